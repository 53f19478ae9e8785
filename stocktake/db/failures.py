"""Why a database does not do what it was asked, in a sentence that names no host and no secret."""

import re
import sqlite3
from typing import Final

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

_ELSE: Final = "The database does not answer ({}): check STOCKTAKE_DATABASE_URL."
_FULL: Final = "The database's disk is full: make room, and everything goes on by itself."
_WRONG_LOGIN: Final = (
    "The database refuses the user or the password: correct them in STOCKTAKE_DATABASE_URL."
)
_NO_SUCH: Final = "The server has no database of that name: `createdb` makes it."
_LOCKED: Final = (
    "The SQLite database is locked: another process has held its one write lock for too long. "
    "Find it with `fuser` on the file; a process that was stopped (SIGSTOP) holds it for ever."
)
_NOT_OPENED: Final = (
    "The SQLite file cannot be opened: its folder is missing, or not to be written by this user."
)
_READ_ONLY: Final = "The SQLite file, or its folder, is not to be written by this user."
_NO_DATABASE: Final = (
    "The file that STOCKTAKE_DATABASE_URL names is no SQLite database, or damaged."
)
_CROWDED: Final = (
    "The database takes no more connections: raise its max_connections, or run fewer processes."
)
_BUSY: Final = "All connections of this process to the database are in use."

#: The low byte of SQLite's code.
_OF_SQLITE: Final = {
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_CANTOPEN: _NOT_OPENED,
    sqlite3.SQLITE_READONLY: _READ_ONLY,
    sqlite3.SQLITE_NOTADB: _NO_DATABASE,
    sqlite3.SQLITE_CORRUPT: _NO_DATABASE,
}
#: https://www.postgresql.org/docs/18/errcodes-appendix.html
_OF_POSTGRESQL: Final = {
    "28P01": _WRONG_LOGIN,
    "28000": _WRONG_LOGIN,
    "3D000": _NO_SUCH,
    "53100": _FULL,
    "53300": _CROWDED,
}
#: Of a connection that is not made psycopg has no code, only libpq's text.
_OF_LIBPQ: Final = (
    (
        re.compile(r"password authentication failed|no pg_hba.conf entry|no password supplied"),
        _WRONG_LOGIN,
    ),
    (re.compile(r'database "[^"]*" does not exist'), _NO_SUCH),
    (re.compile(r"too many clients|remaining connection slots"), _CROWDED),
    (
        re.compile(
            r"could not translate host name|failed to resolve host|Name or service not known"
        ),
        "The database's host has no address (DNS): check the host in STOCKTAKE_DATABASE_URL.",
    ),
    (
        re.compile(r"Connection refused"),
        "Nothing listens where STOCKTAKE_DATABASE_URL says (connection refused): start the "
        "database, or correct its host and port.",
    ),
    (
        re.compile(r"timeout expired|timed out"),
        "The database does not answer in time: is its host up, and no firewall between?",
    ),
    (
        re.compile(r"SSL|certificate"),
        "TLS to the database fails: check sslmode and its certificates.",
    ),
    (
        re.compile(r"No space left on device"),
        _FULL,
    ),
)


def explain_failure(exc: SQLAlchemyError) -> str:
    """Say what is wrong with the database, and what to do."""
    if isinstance(exc, PoolTimeoutError):
        return _BUSY
    cause = exc.orig if isinstance(exc, DBAPIError) else None
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
        return _OF_SQLITE.get(code, _ELSE.format(type(exc).__name__))
    known = _OF_POSTGRESQL.get(getattr(cause, "sqlstate", None) or "")
    return known or _of_text(str(cause)) or _ELSE.format(type(exc).__name__)


def _of_text(text: str) -> str | None:
    return next((told for pattern, told in _OF_LIBPQ if pattern.search(text)), None)
