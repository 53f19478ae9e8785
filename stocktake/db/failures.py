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
_ENCODED: Final = (
    "The PostgreSQL database is encoded in {}, and UTF8 is needed: make another with "
    "`createdb --encoding=UTF8 --template=template0 NAME`, and name it in STOCKTAKE_DATABASE_URL."
)
_BUSY: Final = "All connections of this process to the database are in use."

_FAILS: Final = (
    "The disk under the SQLite file fails at reading or writing (disk I/O error): look at `df` and "
    "`dmesg`."
)

#: SQLite's code as a whole, or else its low byte.
_OF_SQLITE: Final = {
    # The index of its log does not fit; for the log itself it says that the disk is full.
    sqlite3.SQLITE_IOERR_SHMSIZE: _FULL,
    sqlite3.SQLITE_IOERR: _FAILS,
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


class WrongEncodingError(SQLAlchemyError):
    """A PostgreSQL database keeps its text in something else than UTF-8.

    In SQL_ASCII it does not know what its bytes say, and psycopg hands them out as such; in others
    it lacks some of the characters that a name may have.

    Args:
        encoding: as PostgreSQL calls it.
    """

    def __init__(self, encoding: str) -> None:
        super().__init__(_ENCODED.format(encoding))


def explain_failure(exc: SQLAlchemyError) -> str:
    """Say what is wrong with the database, and what to do."""
    if isinstance(exc, WrongEncodingError):
        return str(exc)
    if isinstance(exc, PoolTimeoutError):
        return _BUSY
    cause = exc.orig if isinstance(exc, DBAPIError) else None
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", 0)
        known = _OF_SQLITE.get(code) or _OF_SQLITE.get(code & 0xFF)
        return known or _ELSE.format(type(exc).__name__)
    known = _OF_POSTGRESQL.get(getattr(cause, "sqlstate", None) or "")
    return known or _of_text(str(cause)) or _ELSE.format(type(exc).__name__)


def _of_text(text: str) -> str | None:
    return next((told for pattern, told in _OF_LIBPQ if pattern.search(text)), None)
