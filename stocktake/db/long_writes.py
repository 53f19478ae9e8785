"""Who held SQLite's one write lock for long, told in the log: nobody else can find that out later.

A writer that got no turn is told of as well, with how often it could try: where the tries are few,
the machine was late and nobody held the lock.
"""

import time
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from sqlalchemy import Connection, Engine, event

#: Everybody else waits as long, of ten seconds that a request waits at most.
_LONG_SECONDS: Final = 0.5
#: Of the first statement: enough to know it by. What was sent with it is never logged.
_SHOWN_CHARACTERS: Final = 160
_HELD: Final = "held_write_lock"

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Held:
    """One transaction, from when it had the lock."""

    since: float = field(default_factory=time.monotonic)
    #: Of this thread: where it is far below the time held, it waited, for a disk or a processor.
    processor_since: float = field(default_factory=time.thread_time)
    first: str = ""
    statements: int = 0
    committing_since: float | None = None

    def tell(self) -> None:
        """Log it if it was long."""
        until = time.monotonic()
        if until - self.since < _LONG_SECONDS:
            return
        log.warning(
            "write_lock_held_long",
            held_seconds=round(until - self.since, 3),
            commit_seconds=round(until - (self.committing_since or until), 3),
            processor_seconds=round(time.thread_time() - self.processor_since, 3),
            statements=self.statements,
            first_statement=" ".join(self.first.split())[:_SHOWN_CHARACTERS],
        )


def note_held(connection: Connection) -> None:
    """Note that a connection has the write lock from now on."""
    connection.info[_HELD] = _Held()


def tell_refused(waited_seconds: float, tries: int) -> None:
    """Log that a writer got no turn."""
    log.warning("write_lock_not_had", waited_seconds=round(waited_seconds, 3), tries=tries)


def tell_long_writes(engine: Engine) -> None:
    """Listen to the engine's transactions, and log those that held the lock for long."""

    @event.listens_for(engine, "before_cursor_execute")
    def _count(connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        if held := connection.info.get(_HELD):
            held.first = held.first or statement
            held.statements += 1

    @event.listens_for(engine, "commit")
    def _commits(connection: Connection) -> None:
        if held := connection.info.get(_HELD):
            held.committing_since = time.monotonic()

    # Given back to the pool: the transaction is over, whichever way.
    @event.listens_for(engine, "checkin")
    def _over(_dbapi: Any, record: Any) -> None:
        if held := record.info.pop(_HELD, None):
            held.tell()
