"""Faults at each call of this process to its databases: a statement or a COMMIT, counted from 0.

On PostgreSQL a connection breaks for real: its socket is closed, or exchanged for one on which
nobody answers. SQLite has no connection that could break; there its driver's error stands in.
"""

import os
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

import psycopg
from sqlalchemy import event

from stocktake.db.session import Database

#: After which a connection without an answer is closed, for a process that waits without an end;
#: in production by the kernel.
_CLOSED_AFTER_SECONDS: Final = 0.3


class Kind(StrEnum):
    """What becomes of a call."""

    #: It is not carried out, and its connection is gone.
    FAILED = "failed"
    #: It is not carried out, and nothing says so.
    HUNG = "hung"
    #: It was carried out, and the connection is gone before the answer. COMMITs only: of a
    #: statement without its COMMIT nothing stays.
    ANSWER_LOST = "answer_lost"


@dataclass(slots=True)
class Calls:
    """Hears every call of some databases while it is armed, and lets one of them go wrong.

    Attributes:
        made: how many calls the block has made.
        fired: what was struck, if anything was.
        fired_at: when.
    """

    made: int = 0
    fired: str = ""
    fired_at: datetime | None = None
    _kind: Kind = Kind.FAILED
    _at: int | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _silent: list[socket.socket] = field(default_factory=list)

    def hear(self, database: Database, *, patient: bool) -> None:
        """Listen to a database's calls for as long as it lives.

        Args:
            patient: whether it bounds by itself how long it waits for an answer.
        """
        engine = database.engine

        def execute(cursor: Any, statement: str, *_: Any) -> None:
            if self._strikes(statement, Kind.FAILED, Kind.HUNG):
                self._break(cursor.connection, patient=patient)

        for name in ("do_execute", "do_executemany", "do_execute_no_params"):
            event.listen(engine, name, execute)
        commit = engine.dialect.do_commit

        def do_commit(dbapi: Any) -> None:
            kind = self._kind
            if not self._strikes("COMMIT", *Kind):
                commit(dbapi)
                return
            if kind is Kind.ANSWER_LOST:
                commit(dbapi)
            raw = getattr(dbapi, "driver_connection", dbapi)
            self._break(raw, patient=patient)
            if kind is Kind.ANSWER_LOST and not isinstance(raw, sqlite3.Connection):
                raise psycopg.OperationalError("server closed the connection unexpectedly")
            commit(dbapi)

        engine.dialect.do_commit = do_commit  # type: ignore[method-assign]  # no event comes behind

    @contextmanager
    def striking(self, kind: Kind, at: int | None) -> Iterator[None]:
        """Let call number `at` of what the block does go wrong; None only counts."""
        with self._lock:
            self.made, self.fired, self.fired_at = 0, "", None
            self._kind, self._at = kind, at
        try:
            yield
        finally:
            with self._lock:
                self._at = None

    def close(self) -> None:
        """Let go of who still waits."""
        for each in self._silent:
            each.close()

    def _strikes(self, statement: str, *kinds: Kind) -> bool:
        with self._lock:
            if self._kind not in kinds:
                return False
            number, self.made = self.made, self.made + 1
            if number != self._at:
                return False
            self._at = None
            self.fired, self.fired_at = statement, datetime.now(UTC)
            return True

    def _break(self, raw: Any, *, patient: bool) -> None:
        if isinstance(raw, sqlite3.Connection):
            raise sqlite3.OperationalError("disk I/O error")
        if self._kind is not Kind.HUNG:
            with socket.socket(fileno=os.dup(raw.pgconn.socket)) as connected:
                connected.shutdown(socket.SHUT_RDWR)
            return
        ours, silent = socket.socketpair()
        ours.setblocking(False)
        os.dup2(ours.fileno(), raw.pgconn.socket)
        ours.close()
        self._silent.append(silent)
        if not patient:
            threading.Timer(_CLOSED_AFTER_SECONDS, _end, (silent,)).start()


def _end(silent: socket.socket) -> None:
    with suppress(OSError):
        silent.shutdown(socket.SHUT_RDWR)
