"""The clock's process: Celery beat with a scheduler of our own, `celery -A workers beat
--scheduler workers.beat:Clock`.
"""

import signal
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from celery.beat import Scheduler

from stocktake.clock.ticks import ClockWork, log
from stocktake.db.session import WORKER_IDLE_SECONDS, Database
from stocktake.jobs import counters
from stocktake.parts import managed_storage
from stocktake.settings import read_settings
from tasks.doorbell import CeleryDoorbell
from tasks.queue_lengths import BrokerQueueLengths

#: What `close` gives to upkeep that is under way. Where it is cut off, the next one goes on.
_CLOSE_SECONDS: Final = 3.0


class Clock(Scheduler):
    """Beat's scheduler class. It has no entries of beat's own; a tick is `ClockWork.tick`.

    The settings are read in `setup_schedule`, which beat calls in the instance that runs and
    not in the second, lazy one that it makes for its banner.
    """

    _work: ClockWork | None = None
    _closers: tuple[Callable[[], Any], ...] = ()
    _asked_to_end = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._interval_seconds = read_settings().clock_interval_seconds
        kwargs["max_interval"] = kwargs.get("max_interval") or self._interval_seconds
        super().__init__(*args, **kwargs)

    def setup_schedule(self) -> None:
        """Open the database and the broker."""
        # Beat's own handler raises at once, and an exception that meets a finalizer is swallowed,
        # the signal with it (seen within an import). A tick is never far, and ends in order.
        restore = [
            partial(signal.signal, number, signal.signal(number, self._ask_to_end))
            for number in (signal.SIGTERM, signal.SIGINT)
        ]
        self.data: dict[str, Any] = {}
        settings = read_settings()
        doorbell = CeleryDoorbell(settings)
        database = Database(
            settings.database_url, doorbell.ring, pool_size=1, idle_seconds=WORKER_IDLE_SECONDS
        )
        doorbell.on_drop = counters.drops_of("clock", database)
        lengths = BrokerQueueLengths(settings.broker_url.get_secret_value())
        work = ClockWork(database, settings, managed_storage(settings), lengths)
        stop = threading.Event()
        upkeep = threading.Thread(target=work.keep_tidy, args=(stop,), name="upkeep", daemon=True)
        upkeep.start()
        wait_for_upkeep = partial(upkeep.join, _CLOSE_SECONDS)
        give_back = (doorbell.close, lengths.close, database.dispose)
        # Upkeep ends first, as it uses what is given back behind it.
        self._closers = (stop.set, wait_for_upkeep, *give_back, *restore)
        self._work = work
        log.info("clock_started")

    def _ask_to_end(self, *_: Any) -> None:
        self._asked_to_end = True

    def tick(self, *_: Any, **__: Any) -> float:
        """Tick once, and return the seconds to sleep until the next.

        Raises:
            SystemExit: the process was asked to end.
        """
        if self._asked_to_end:
            raise SystemExit
        if self._work is not None:
            self._work.tick()
        return self._interval_seconds

    def close(self) -> None:
        """Give everything back; beat may call it twice."""
        closers, self._closers, self._work = self._closers, (), None
        for close in closers:
            close()
        super().close()

    @property
    def info(self) -> str:
        """For beat's banner."""
        return "    . our own tables"
