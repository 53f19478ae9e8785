"""A process that dies, or loses its connection, at the Nth point of what it does to a database."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from stocktake.db.session import Database


class Killed(BaseException):
    """The process is gone: whatever its own handlers would still do does not reach the database,
    which rolls back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What happens, and when.

    Attributes:
        point: counted from 0: before each statement, before each COMMIT, and after it.
        connection_only: the process lives on and sees an error; else it is gone.
    """

    point: int
    connection_only: bool = False

    def strike(self) -> None:
        if self.connection_only:
            raise OperationalError("the connection was cut", None, Exception("cut"))
        raise Killed


@dataclass(slots=True)
class Struck:
    """What became of a fault.

    Attributes:
        fired: whether the operation had that many points.
        commits: how many transactions had committed for good.
    """

    fired: bool = False
    killed: bool = False
    commits: int = 0


@dataclass(slots=True)
class Killer:
    """Strikes operations on these databases."""

    databases: Iterable[Database]
    _fault: Fault | None = None
    _points: int = 0
    _struck: Struck = field(default_factory=Struck)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hear of every statement and commit while the block runs."""
        heard: list[tuple[Any, str, Any]] = [(Session, "after_commit", self._after_commit)]
        for engine in (database.engine for database in self.databases):
            heard += [
                (engine, "before_cursor_execute", self._before_statement),
                (engine, "commit", self._before_commit),
            ]
        for each in heard:
            event.listen(*each)
        try:
            yield
        finally:
            for each in heard:
                event.remove(*each)

    @contextmanager
    def striking(self, fault: Fault | None) -> Iterator[Struck]:
        """Let the fault happen to what the block does; it is over afterwards."""
        self._fault, self._points, self._struck = fault, 0, Struck()
        try:
            yield self._struck
        except Killed:
            self._struck.killed = True
        finally:
            self._fault = None

    def _before_statement(self, *_: Any) -> None:
        self._pass()

    def _before_commit(self, _connection: Any) -> None:
        self._pass()

    def _after_commit(self, session: Session) -> None:
        if not session.in_nested_transaction():
            self._struck.commits += isinstance(session.get_bind(), Engine)
            self._pass()

    def _pass(self) -> None:
        fault, self._points = self._fault, self._points + 1
        if fault is not None and self._points > fault.point:
            # What is dead stays dead; a connection is cut once.
            self._fault = None if fault.connection_only else fault
            self._struck.fired = True
            fault.strike()
