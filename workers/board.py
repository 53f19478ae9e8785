"""Shared memory in which each reading child says what it works on, and that it lives.

A child writes its own place and nobody else's. The guard, another process, reads, and writes there
which attempt it asks to leave. What is written outlives both: a guard that was started anew sees
the reads that had begun before.
"""

import mmap
import os
import struct
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Self
from uuid import UUID

#: Far more than a worker has children. A child beyond them is guarded by its own watchdog and by
#: Celery's hard limit.
PLACES: Final = 1024
_STOP: Final = struct.Struct("=d")
#: Process id (0: nothing is read), attempt, the deadline, the job.
_READ: Final = struct.Struct("=qqd16s")
#: How many signs of life there were, and whether the watchdog waits for the database.
_BEAT: Final = struct.Struct("=q?")
#: The attempt that is asked to leave, and its job.
_ASK: Final = struct.Struct("=q16s")
_ASK_AT: Final = 64
_PLACE_BYTES: Final = 128
_HEAD_BYTES: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a child works on.

    Attributes:
        deadline: on the monotonic clock, which all processes of a machine share.
    """

    pid: int
    job_id: UUID
    attempt: int
    deadline: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """A sign of life.

    Attributes:
        writing: whether the next one waits for the database, and not for the interpreter.
    """

    number: int
    writing: bool


class Board:
    """A place for each child, by its index in the pool, and the moment of the worker's stop.

    Args:
        descriptor: of the file behind the memory, for whoever is not a fork of this process.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._memory = mmap.mmap(descriptor, _HEAD_BYTES + PLACES * _PLACE_BYTES)

    @classmethod
    def make(cls) -> Self:
        """Return an empty one, in a file that has no name and goes with its last process."""
        with tempfile.TemporaryFile() as file:
            # Written and not only made so long: on a full disk the first use would be a SIGBUS.
            file.write(bytes(_HEAD_BYTES + PLACES * _PLACE_BYTES))
            file.flush()
            return cls(os.dup(file.fileno()))

    @property
    def stop_at(self) -> float:
        """When reads must be over, on the monotonic clock; 0 while nobody asked for it."""
        return float(_STOP.unpack_from(self._memory)[0])

    @stop_at.setter
    def stop_at(self, moment: float) -> None:
        _STOP.pack_into(self._memory, 0, moment)

    @property
    def reads_are_over(self) -> bool:
        """Whether this worker stops, and the time that its reads were given is over."""
        return 0 < self.stop_at <= time.monotonic()

    def place(self, number: int) -> "Place":
        """Return one child's place."""
        return Place(self._memory, self._at(number))

    def readings(self) -> dict[Reading, Beat]:
        """Return what is worked on, each with its last sign of life."""
        return dict(filter(None, map(self._reading, range(PLACES))))

    def ask_to_leave(self, reading: Reading) -> None:
        """Ask a child to end this attempt and to leave; one that reads another meanwhile stays."""
        for place in range(PLACES):
            if (found := self._reading(place)) is not None and found[0] == reading:
                ask = (reading.attempt, reading.job_id.bytes)
                _ASK.pack_into(self._memory, self._at(place) + _ASK_AT, *ask)

    def _reading(self, place: int) -> tuple[Reading, Beat] | None:
        at = self._at(place)
        written = self._memory[at : at + _READ.size]
        pid, attempt, deadline, job = _READ.unpack(written)
        number, writing = _BEAT.unpack_from(self._memory, at + _READ.size)
        # Nobody is locked out: what was half written is taken up with the next look.
        if not pid or written != self._memory[at : at + _READ.size]:
            return None
        reading = Reading(pid=pid, job_id=UUID(bytes=job), attempt=attempt, deadline=deadline)
        return reading, Beat(number=number, writing=writing)

    def _at(self, place: int) -> int:
        if not 0 <= place < PLACES:
            raise ValueError(f"a board has {PLACES} places; found place {place}")
        return _HEAD_BYTES + place * _PLACE_BYTES


class Place:
    """Where one child writes.

    Args:
        memory: of a board; by default some that nobody reads, for a process without a guard.
        at: where in it.
    """

    def __init__(self, memory: "mmap.mmap | bytearray | None" = None, at: int = 0) -> None:
        self._memory = bytearray(_PLACE_BYTES) if memory is None else memory
        self._at = at

    def begin(self, job_id: UUID, attempt: int, deadline: float, pid: int | None = None) -> None:
        """Say what is worked on, by this process if no other is named; see `Reading`."""
        self.beat()
        fields = (pid or os.getpid(), attempt, deadline, job_id.bytes)
        _READ.pack_into(self._memory, self._at, *fields)

    def asked_to_leave(self, job_id: UUID, attempt: int) -> bool:
        """Return whether the guard asks this attempt to leave."""
        found = _ASK.unpack_from(self._memory, self._at + _ASK_AT)
        return bool(found == (attempt, job_id.bytes))

    def end(self) -> None:
        """Say that nothing is worked on."""
        _READ.pack_into(self._memory, self._at, 0, 0, 0.0, bytes(16))

    def beat(self, *, writing: bool = False) -> None:
        """Give a sign of life; `Beat` explains the field."""
        at = self._at + _READ.size
        [number, _] = _BEAT.unpack_from(self._memory, at)
        _BEAT.pack_into(self._memory, at, number + 1, writing)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Let the next sign of life wait for the database."""
        self.beat(writing=True)
        try:
            yield
        finally:
            self.beat()
