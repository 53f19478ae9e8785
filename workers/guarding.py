"""The worker's side of the guard: the shared board, and the process that is kept running."""

import os
import subprocess
import sys
import time
from typing import Any, Final

import structlog
from billiard.process import current_process

from stocktake.jobs.reserve import LEAST_TURN_SECONDS
from stocktake.jobs.shares import Presence
from stocktake.settings import Settings
from workers.board import PLACES, Board, Place
from workers.guard import Bounds
from workers.process.environment import scrubbed

#: How often the worker sees that its guard runs.
_LOOK_SECONDS: Final = 1.0

#: Made before the first child is forked; all of them share it.
BOARD: Final = Board.make()

log = structlog.get_logger(__name__)


def own_place() -> Place:
    """Return this child's place on the board."""
    index = getattr(current_process(), "index", None)
    return BOARD.place(index) if isinstance(index, int) and index < PLACES else Place()


class KeptGuard:
    """The guard's process, started again when it ended. Call it from the main thread only: the
    kernel ends the guard with the thread that started it."""

    def __init__(self, settings: Settings, presence: Presence | None) -> None:
        self._bounds = Bounds(
            board=BOARD.descriptor,
            worker=os.getpid(),
            presence=presence.as_dict() if presence else {},
            heartbeat_seconds=settings.heartbeat_seconds,
            lease_seconds=settings.lease_seconds,
            job_time_limit_seconds=settings.job_time_limit_seconds,
            job_memory_limit_bytes=settings.job_memory_limit_bytes,
            children=_children(settings, presence),
            reserve_seconds=LEAST_TURN_SECONDS,
        )
        self._next_look = 0.0
        self._process = self._start()

    def keep(self, hub: Any) -> None:
        """Look after it for as long as Celery's event loop runs.

        At each turn of it: the loop's timers are cleared whenever the broker's connection is lost.
        """
        hub.on_tick.add(self._look)

    def _look(self) -> None:
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + _LOOK_SECONDS
            self.restart_if_dead()

    def restart_if_dead(self) -> None:
        """Start it again where it ended; what it knew stands on the board."""
        if (status := self._process.poll()) is not None:
            log.warning("guard_restarted", status=status)
            self._process = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, "-m", "workers.guard", self._bounds.as_argument()],
            stdin=subprocess.DEVNULL,
            env=scrubbed(os.environ),
            pass_fds=(self._bounds.board,),
        )


def _children(settings: Settings, presence: Presence | None) -> int:
    """Count the children, with those in reserve where there are some."""
    if presence is None or not settings.worker_reserve:
        return 0
    return presence.places + settings.worker_reserve
