"""Engines and transactions, for both databases.

``Database.write()`` and ``Database.read()`` are the only ways to a session. A write commits
when its block ends well, and rolls back otherwise; job ids collected on the session with
:func:`ring_after_commit` are handed to the doorbell after the commit, so that no route can
forget, and none rings for a row that was rolled back.
"""

import select
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Final, Literal
from uuid import UUID

import structlog
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from stocktake.db.failures import WrongEncodingError
from stocktake.db.long_writes import note_held, tell_long_writes, tell_refused
from stocktake.db.write_turns import Turns
from stocktake.states import JobKind, Queue

_RINGS: Final = "rings"
_EVENTS: Final = "events"
_RINGS_NOTHING: Final = "rings_nothing"
#: How long a write waits for its turn: for SQLite's lock, and for its project's threads. As long as
#: for an answer of PostgreSQL: on a machine that is short of processors a handful of writers, one
#: after the other, hold the lock for two or three seconds each, and nobody is stuck (ADR 7).
PATIENCE_SECONDS: Final = 10.0
_TRY_AGAIN_SECONDS: Final = 0.0005
#: How long a request waits for one answer of PostgreSQL.
ANSWER_SECONDS: Final = 10.0
#: What libpq is told where the URL does not say otherwise. It waits for an answer without an end,
#: so a host that is gone without a word must be noticed by the kernel: within 10 s when something
#: was sent to it, within 25 s when nothing was.
_POSTGRESQL: Final[dict[str, int]] = {
    "connect_timeout": 5,
    "tcp_user_timeout": 10_000,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}
#: After which PostgreSQL ends a transaction whose client does nothing: one that is frozen, or gone
#: with its machine, would keep its locks, and the rescue pass over the job that it has locked.
_IDLE_SECONDS: Final = 30
#: The same of workers and clocks, whose transactions are short and lock many tables, as the end of
#: a sweep does: a request that waits for them then still has its answer within `ANSWER_SECONDS`.
WORKER_IDLE_SECONDS: Final = 7

#: A connection that was used within so long is not asked whether it lives.
_FRESH_SECONDS: Final = 1.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ring:
    """What the doorbell needs to know of a job, or of what is rung for in a job's place.

    Attributes:
        job_id: a canary's own, for a canary; the batch's, for a sweep.
        kind: the task's name.
    """

    job_id: UUID
    kind: JobKind | Literal["canary", "sweep"]
    queue: Queue


#: Called after a commit with each ring that was collected; must not block.
Ringer = Callable[[Ring], None]


def _do_not_ring(_: Ring) -> None:
    """Ring for nothing, in processes without a doorbell: the clock rings for what they leave
    behind.
    """


def ring_after_commit(session: Session, ring: Ring) -> None:
    """Ring for this job once the session's transaction has committed."""
    session.info.setdefault(_RINGS, []).append(ring)


def can_ring(session: Session) -> bool:
    """Return whether a ring of this session would be heard: who marks a job as rung for
    must know."""
    return not session.info.get(_RINGS_NOTHING, False)


def inserting(session: Session, into: Any) -> Any:
    """Return an INSERT that knows ON CONFLICT: each database has its own, with the same methods.

    Args:
        into: a model or a table.
    """
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    return dialect.insert(into)


def log_after_commit(session: Session, event: str, **fields: Any) -> None:
    """Log this once the session's transaction has committed: the log claims nothing undone."""
    session.info.setdefault(_EVENTS, []).append((event, fields))


class Database:
    """One process's engine, and the two kinds of transaction.

    Args:
        url: a SQLAlchemy URL, ``sqlite:///…`` or ``postgresql+psycopg://…``.
        ringer: told of each job to ring for, after the commit.
        pool_size: connections to keep; 1 in a worker child.
        answer_seconds: how long a statement waits for PostgreSQL's answer before its connection is
            thrown away; None is for ever, as a migration or a job's last write needs it.
        idle_seconds: after which PostgreSQL ends a transaction in which nothing is asked of it.
    """

    def __init__(
        self,
        url: str,
        ringer: Ringer = _do_not_ring,
        *,
        pool_size: int = 5,
        answer_seconds: float | None = None,
        idle_seconds: int = _IDLE_SECONDS,
    ) -> None:
        self.sqlite = url.startswith("sqlite")
        self.engine = (
            _sqlite_engine(url)
            if self.sqlite
            else _postgresql_engine(url, pool_size, answer_seconds, idle_seconds)
        )
        self._ringer = ringer
        # SQLite has one write lock; threads of one process need not poll for it.
        self._turn: Callable[[], AbstractContextManager[Any]] = (
            Turns(PATIENCE_SECONDS).turn if self.sqlite else nullcontext
        )

    @contextmanager
    def write(self, *, leaving: bool = False) -> Iterator[Session]:
        """Open a transaction that commits at the end of the block, and then rings.

        Args:
            leaving: whether the process ends right after it, so that no ring would get away.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the database is away, or busy for too long.
        """
        # The turn ends before the rings and the log's lines: neither keeps the next thread from the
        # lock.
        with self._turn(), self._session() as session:
            session.info[_RINGS_NOTHING] = leaving or self._ringer is _do_not_ring
            with session.begin():
                yield session
            rings: list[Ring] = session.info.pop(_RINGS, [])
            events: list[tuple[str, dict[str, Any]]] = session.info.pop(_EVENTS, [])
        for name, fields in events:
            log.info(name, **fields)
        for ring in rings:
            self._ringer(ring)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Open a transaction that only reads; on SQLite it never waits for a writer."""
        with self._session() as session:
            # Before the first statement: SQLite's BEGIN goes by it.
            session.connection(execution_options={"read_only": True})
            yield session

    def _session(self) -> Session:
        # A statement that updates many rows looks for none of them among the loaded ones: who wants
        # to see what it wrote reads it again.
        options = {"synchronize_session": False}
        # What was read is still shown after the commit: an answer's body is made then.
        return Session(self.engine, expire_on_commit=False, execution_options=options)

    def dispose(self) -> None:
        """Close the pool."""
        self.engine.dispose()


def _postgresql_engine(
    url: str, pool_size: int, answer_seconds: float | None, idle_seconds: int
) -> Engine:
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=max(5, pool_size),
        # A connection that the server has closed is noticed before it is used, and no request fails
        # by it.
        pool_pre_ping=True,
        pool_timeout=10,
        connect_args={
            name: value for name, value in _POSTGRESQL.items() if name not in make_url(url).query
        },
        hide_parameters=True,  # an error is logged, and what sources and requests hold must not be
    )

    _ping_seldom(engine)
    if answer_seconds is not None:
        from stocktake.db.patient_connection import Patience  # SQLite needs no psycopg

        patience = Patience(answer_seconds)

        @event.listens_for(engine, "do_connect")
        def _connect(_dialect: Any, _record: Any, arguments: Any, options: Any) -> Any:
            return patience.connect(*arguments, **options)

    event.listen(engine, "connect", require_utf8, insert=True)

    # Not among libpq's options: a pooler between refuses those.
    @event.listens_for(engine, "connect")
    def _limits(dbapi: Any, _record: Any) -> None:
        with dbapi.cursor() as cursor:
            cursor.execute(f"SET idle_in_transaction_session_timeout = '{idle_seconds}s'")
        dbapi.commit()

    return engine


def _ping_seldom(engine: Engine) -> None:
    """Ask no connection whether it lives that was used a moment ago and of which nothing was heard
    since: of one that is closed, the end has come in. To ask took 0.4 ms of each transaction.
    """
    ping = engine.dialect.do_ping

    @event.listens_for(engine, "checkin")
    def _used(dbapi: Any, _record: Any) -> None:
        if dbapi is not None:
            dbapi.used_at = time.monotonic()

    def look(dbapi_connection: Any) -> bool:
        used_at = getattr(dbapi_connection, "used_at", float("-inf"))
        lately = time.monotonic() - used_at < _FRESH_SECONDS
        return (lately and _is_silent(dbapi_connection)) or ping(dbapi_connection)

    engine.dialect.do_ping = look  # type: ignore[method-assign]  # SQLAlchemy has no other way


def _is_silent(dbapi: Any) -> bool:
    if dbapi.closed:
        return False
    socket = select.poll()
    socket.register(dbapi.fileno(), select.POLLIN)
    return not socket.poll(0)


def require_utf8(dbapi: Any, _record: object) -> None:
    """Refuse a new connection to a PostgreSQL database of another encoding.

    It comes first: in SQL_ASCII already SQLAlchemy's question for the version has no answer that
    it understands.

    Raises:
        WrongEncodingError: the database has another encoding.
    """
    encoding = dbapi.info.parameter_status("server_encoding")
    if encoding not in {"UTF8", None}:  # a pooler between may not tell
        dbapi.close()
        raise WrongEncodingError(encoding)


def _sqlite_engine(url: str) -> Engine:
    # More than the threads of requests (24 that read and 24 that write, `api/edge/threads.py`), so
    # that none waits for a connection.
    # The one that was used last is used next: it has the pages in its memory, and of those that a
    # crowd of requests opened most keep little in theirs.
    engine = create_engine(
        url, pool_size=40, max_overflow=20, pool_use_lifo=True, hide_parameters=True
    )

    @event.listens_for(engine, "connect")
    def _pragmas(dbapi: Any, _record: Any) -> None:
        dbapi.isolation_level = None  # the driver begins nothing by itself
        for pragma in (
            # Who reads does not wait for who writes.
            "journal_mode=WAL",
            # In WAL mode NORMAL may lose the last commits at a power cut, and with them jobs that
            # were answered 202.
            "synchronous=FULL",
            _busy_timeout(PATIENCE_SECONDS),
            # In KiB. A list looks through one index, of 25 MB at 100,000 tables, twice; with the
            # default of 2 MB it is read anew each time, which takes twice as long as the rest.
            "cache_size=-32768",
            # Off by default, and asked for by each connection.
            "foreign_keys=ON",
        ):
            dbapi.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if connection.get_execution_options().get("read_only"):
            connection.exec_driver_sql("BEGIN")
        else:
            _begin_writing(connection)
            note_held(connection)

    tell_long_writes(engine)
    return engine


def _busy_timeout(seconds: float) -> str:
    return f"busy_timeout={seconds * 1000:.0f}"


def _begin_writing(connection: Connection) -> None:
    """Take the write lock at once: read-then-write in a deferred transaction fails with
    SQLITE_BUSY_SNAPSHOT, whatever busy_timeout says.

    Tried every half millisecond, because SQLite's own busy handler sleeps up to 100 ms between
    two tries, while whoever has just released the lock is the first to have it again: beside two
    processes that wrote without a pause, a third one got no transaction at all in three seconds.
    """
    raw: Any = connection.connection.dbapi_connection
    raw.execute(f"PRAGMA {_busy_timeout(0)}")
    try:
        if not _begun(raw):
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # fails again, as SQLAlchemy's error
    finally:
        raw.execute(f"PRAGMA {_busy_timeout(PATIENCE_SECONDS)}")


def _begun(raw: sqlite3.Connection) -> bool:
    since, tries = time.monotonic(), 0
    while (waited := time.monotonic() - since) < PATIENCE_SECONDS:
        tries += 1
        try:
            raw.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as exc:
            # The code's low byte: the rest says for what, as for a log that is being recovered.
            if exc.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                return False
            time.sleep(_TRY_AGAIN_SECONDS)
        else:
            return True
    tell_refused(waited, tries)
    return False
