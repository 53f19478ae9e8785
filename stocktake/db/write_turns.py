"""The turns of one process's threads to have SQLite's write lock, first come, first served."""

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import structlog
from sqlalchemy.exc import TimeoutError as BusyError

#: After a write that was as long, a process leaves SQLite's lock to the others for so long: several
#: of their tries, on a machine that is busy too.
_LONG_SECONDS: Final = 0.05
_LEFT_FREE_SECONDS: Final = 0.01

log = structlog.get_logger(__name__)


class Turns:
    """A lock that is had in the order in which it was asked for.

    A `threading.Lock` is given to whoever asks just when it is free: of sixteen threads on a busy
    machine some waited five seconds and were refused, while others wrote again and again (ADR 7).

    Args:
        patience_seconds: how long a thread waits for its turn.
    """

    def __init__(self, patience_seconds: float) -> None:
        self._patience_seconds = patience_seconds
        self._guard = threading.Lock()
        self._taken = False
        #: A lock for each thread that waits, which opens when its turn has come.
        self._waiting: deque[threading.Lock] = deque()
        self._free_until = 0.0

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Keep the other threads waiting for the block, each no longer than for SQLite's own lock.

        While another process kept that one, the threads of this process waited for it in turn, each
        for the whole time: of twelve requests the last was answered after a minute.

        After a long write the lock is left to other processes for a moment. They only try it now
        and then, and the next thread of this process would be faster: of changes to tables of
        10,000 columns they had to let ten pass.

        Raises:
            sqlalchemy.exc.TimeoutError: the turn did not come in time.
        """
        self._take()
        try:
            time.sleep(max(0.0, self._free_until - time.monotonic()))
            begun_at = time.monotonic()
            yield
            ended_at = time.monotonic()
            if ended_at - begun_at > _LONG_SECONDS:
                self._free_until = ended_at + _LEFT_FREE_SECONDS
        finally:
            self._pass_on()

    def _take(self) -> None:
        with self._guard:
            if not self._taken:
                self._taken = True
                return
            mine = threading.Lock()
            mine.acquire()
            self._waiting.append(mine)
        try:
            came = mine.acquire(timeout=self._patience_seconds)
        except BaseException:  # a signal's, as when a worker stops
            if not self._leave(mine):
                self._pass_on()
            raise
        # Else it came at the last moment.
        if not came and self._leave(mine):
            log.warning("write_turn_not_had", waiting=len(self._waiting))
            raise BusyError("other transactions of this process took the database's write lock")

    def _leave(self, mine: threading.Lock) -> bool:
        """Wait no longer; False where the turn has come meanwhile."""
        with self._guard:
            if mine not in self._waiting:
                return False
            self._waiting.remove(mine)
            return True

    def _pass_on(self) -> None:
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False
