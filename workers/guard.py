"""The guard of a worker's children: a process beside them, for what their watchdogs cannot see.

A watchdog is a thread of the process that it guards: native code that keeps the interpreter's lock
keeps it from running, and with it the deadline, the memory limit, the lease and a cancel. The guard
sees on the shared board that a child's sign of life has stopped. From then on it does the
watchdog's work: renews the lease, asks for a cancel, and ends the child, the reason first.

It also says that the worker is there, for the shares of the projects, when no child has anything
to do; and where all have, it asks slow ones of the reserve to leave for who waits. It loads the
database's modules, and opens a connection, when there is something to ask or to write, and neither
Celery nor a reader. Run as ``python -m workers.guard BOUNDS``, by `workers.guarding`.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass, field
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Final, Protocol
from uuid import UUID

import psutil

from workers.board import Beat, Board, Reading
from workers.process.parent_death import die_with_parent

if TYPE_CHECKING:
    from stocktake.errors import JobError

#: As often as a watchdog gives its sign of life.
LOOK_SECONDS: Final = 0.1
#: A child that is silent for so long is looked at from here.
SUSPECT_SECONDS: Final = 0.6
#: Between two looks at who waits for a child.
_WAITERS_SECONDS: Final = 0.1
#: For one write. A database that is frozen must keep no child alive, nor its guard from the others.
_WRITE_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a read may take, by the settings of these names, and where the reads are.

    Attributes:
        board: its descriptor.
        worker: the process id of the children's parent.
        presence: what is announced of the worker while it takes jobs (`jobs.shares.Presence`).
        children: of the worker, with those in reserve; 0 where it has none in reserve.
        reserve_seconds: how long a job may keep a child of the reserve, at the least.
    """

    board: int
    worker: int
    presence: dict[str, Any]
    heartbeat_seconds: float
    lease_seconds: float
    job_time_limit_seconds: float
    job_memory_limit_bytes: int
    children: int = 0
    reserve_seconds: float = 0.0

    def as_argument(self) -> str:
        """Write it for the command line: to read the settings would load more than all the rest."""
        return json.dumps(asdict(self))


class Ends(Protocol):
    """What the guard writes to the database in a silent child's place, and asks of it. Never
    raises."""

    def beat(self, reading: Reading) -> bool:
        """Renew the lease; whether the job is still the child's, and wanted."""
        ...

    def end(self, reading: Reading, error: "JobError | None") -> bool:
        """End the attempt by its error, by a cancel where there is none; whether it was written,
        or nothing was there to be written."""
        ...

    def to_leave(self, worker: str) -> dict[UUID, int]:
        """Choose the attempts that must leave the reserve, by job; known a moment later, so that
        the guard waits for nothing."""
        ...


class LateEnds:
    """Writes, with what that needs loaded at the first call, and waits only so long for it."""

    def __init__(self) -> None:
        self._writing: Thread | None = None
        self._announcing: Thread | None = None
        self._choosing: Thread | None = None
        self._chosen: dict[UUID, int] = {}
        self._choose_at = 0.0

    def beat(self, reading: Reading) -> bool:
        """Renew the lease. A database that does not answer changes nothing."""
        from workers import guard_ends

        return self._in_time(lambda: guard_ends.beat(reading), otherwise=True)

    def end(self, reading: Reading, error: "JobError | None") -> bool:
        """End the attempt."""
        from workers import guard_ends

        return self._in_time(lambda: guard_ends.end(reading, error), otherwise=False)

    def announce(self, presence: dict[str, Any]) -> None:
        """Say that the worker is there, and wait for nothing."""
        from workers import guard_ends

        self._announce(guard_ends.announce, presence)

    def withdraw(self, presence: dict[str, Any]) -> bool:
        """Say that the worker takes no more jobs; whether what was said before is written."""
        from workers import guard_ends

        return self._announce(guard_ends.withdraw, presence)

    def _announce(self, write: Callable[[dict[str, Any]], None], presence: dict[str, Any]) -> bool:
        if self._announcing is not None and self._announcing.is_alive():
            return False
        self._announcing = Thread(
            target=write, args=(presence,), name="guard_announces", daemon=True
        )
        self._announcing.start()
        return True

    def to_leave(self, worker: str) -> dict[UUID, int]:
        """Choose the attempts that must leave the reserve."""
        chosen, self._chosen = self._chosen, {}
        busy = self._choosing is not None and self._choosing.is_alive()
        if not busy and time.monotonic() >= self._choose_at:
            self._choose_at = time.monotonic() + _WAITERS_SECONDS
            self._choosing = Thread(
                target=self._choose, args=(worker,), name="guard_chooses", daemon=True
            )
            self._choosing.start()
        return chosen

    def _choose(self, worker: str) -> None:
        from workers import guard_ends

        self._chosen = guard_ends.to_leave(worker)

    def _in_time(self, write: Callable[[], bool], *, otherwise: bool) -> bool:
        # Behind a frozen database they would pile up, a thread for each look.
        if self._writing is not None and self._writing.is_alive():
            return otherwise
        answer = [otherwise]

        def run() -> None:
            answer[0] = write()

        self._writing = Thread(target=run, name="guard_writes", daemon=True)
        self._writing.start()
        self._writing.join(_WRITE_SECONDS)
        return answer[0]


@dataclass(slots=True)
class Silence:
    """How long nothing was heard of a read, and what was done about it."""

    process: psutil.Process
    beat: Beat
    seconds: float = 0.0
    next_lease_at: float = 0.0
    killed: bool = False


@dataclass(slots=True, kw_only=True)
class Guard:
    """Looks at the board, again and again.

    Attributes:
        worker: the children's parent.
        ends: writes; a port, so that a test needs no second process.
    """

    board: Board
    bounds: Bounds
    ends: Ends
    worker: psutil.Process
    _silences: dict[Reading, Silence] = field(default_factory=dict)
    _asked: set[Reading] = field(default_factory=set)

    def look(self) -> None:
        """Look once at each read.

        A silence grows by what lies between two looks, and not by the clock: when the machine
        stood still, or had no time for anybody, a child's silence says nothing.
        """
        seen = self.board.readings()
        self._silences = {each: kept for each, kept in self._silences.items() if each in seen}
        self._make_room(seen.keys())
        for reading, beat in seen.items():
            try:
                self._hear(reading, beat)
            except psutil.NoSuchProcess:
                continue  # that is for the worker to tell

    def _make_room(self, seen: AbstractSet[Reading]) -> None:
        """Ask those to leave that were in the reserve for long, where all children are busy."""
        self._asked &= seen
        if not 0 < self.bounds.children <= len(seen):
            return
        # Only where somebody has been there for a turn, which the board tells, is the database
        # asked.
        limit = self.bounds.job_time_limit_seconds - self.bounds.reserve_seconds
        if not any(each.deadline - time.monotonic() <= limit for each in seen):
            return
        chosen = self.ends.to_leave(self.bounds.presence["worker"])
        # The choice is a moment old and a child may read another job by now: its number is
        # compared.
        for each in seen - self._asked:
            if chosen.get(each.job_id) == each.attempt:
                self.board.ask_to_leave(each)
                self._asked.add(each)

    def _hear(self, reading: Reading, beat: Beat) -> None:
        if (silence := self._silences.get(reading)) is None:
            process = psutil.Process(reading.pid)
            # The board outlives a child, and its number may be another process's by now.
            if process.ppid() == self.worker.pid:
                lease_at = time.monotonic() + self.bounds.heartbeat_seconds
                self._silences[reading] = Silence(process, beat, next_lease_at=lease_at)
        elif beat != silence.beat:
            silence.seconds, silence.beat = 0.0, beat
        elif not silence.killed and silence.process.status() != psutil.STATUS_ZOMBIE:
            silence.seconds += LOOK_SECONDS
            if silence.seconds >= SUSPECT_SECONDS:
                self._look_at(reading, silence)

    def _look_at(self, reading: Reading, silence: Silence) -> None:
        if self.worker.status() == psutil.STATUS_STOPPED:
            silence.seconds = 0.0  # somebody froze the worker, and may let it go on
        elif error := self._broken_limit(reading, silence):
            self._end(reading, silence, error)
        elif time.monotonic() >= silence.next_lease_at:
            silence.next_lease_at = time.monotonic() + self.bounds.heartbeat_seconds
            if not self.ends.beat(reading):
                self._end(reading, silence, None)

    def _broken_limit(self, reading: Reading, silence: Silence) -> "JobError | None":
        from workers import read_errors  # late, as all that only a silent child needs

        bounds = self.bounds
        if time.monotonic() > reading.deadline:
            return read_errors.time_limit_error(bounds.job_time_limit_seconds)
        resident = silence.process.memory_info().rss
        if resident > bounds.job_memory_limit_bytes:
            return read_errors.memory_limit_error(resident, bounds.job_memory_limit_bytes)
        if self.board.reads_are_over:
            return read_errors.stopped_error()
        if reading in self._asked:
            return read_errors.reserve_error()
        if silence.seconds >= bounds.lease_seconds and not silence.beat.writing:
            return read_errors.silence_error(bounds.lease_seconds)
        return None

    def _end(self, reading: Reading, silence: Silence, error: "JobError | None") -> None:
        """Write why, then end the child: a worker that saw it vanish would write that it was lost.

        A child that came to itself meanwhile is left to its own watchdog.
        """
        written = self.ends.end(reading, error)
        silence.process.suspend()  # so that it takes no other job between the look and the kill
        if self.board.readings().get(reading) != silence.beat:
            silence.process.resume()
            return
        silence.killed = True
        silence.process.kill()  # psutil sees that it is this process still
        if not written:
            self.ends.end(reading, error)  # SQLite's lock may have been with the child


def main(argument: str) -> None:
    """Guard the children of the worker that started this process, until that is gone."""
    bounds = Bounds(**json.loads(argument))
    die_with_parent(bounds.worker)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)  # it stays for as long as there are children
    worker, board, ends = psutil.Process(bounds.worker), Board(bounds.board), LateEnds()
    guard = Guard(board=board, bounds=bounds, ends=ends, worker=worker)
    pause = Event()
    next_word_at = time.monotonic() + bounds.lease_seconds / 3  # the worker has just said it
    withdrawn = not bounds.presence
    # Asked too: only Linux sends the signal of `die_with_parent`.
    while os.getppid() == bounds.worker:
        guard.look()
        if board.stop_at:
            withdrawn = withdrawn or ends.withdraw(bounds.presence)
        elif bounds.presence and time.monotonic() >= next_word_at:
            next_word_at = time.monotonic() + bounds.lease_seconds / 3
            ends.announce(bounds.presence)
        pause.wait(LOOK_SECONDS)


if __name__ == "__main__":
    main(sys.argv[1])
