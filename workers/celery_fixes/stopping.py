"""A worker's stop: its reads may go on for a while, then their jobs are handed back.

Celery's own soft shutdown (5.7) sleeps for all of its time inside the signal handler, idle or
not. Its event loop stands still meanwhile, so that nothing is acknowledged, and a job whose
message was popped a moment before waits until the end. Here the loop goes on without a consumer.
"""

import json
import os
import signal
import threading
import time
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from celery.worker import state
from kombu.common import ignore_errors

from workers.guarding import BOARD

#: Beyond the reads' own time: for the children to write their ends and to leave.
_LAST_SECONDS: Final = 2.0
#: For Celery to stop once it was told. Its one thread may wait for a broker that is silent, and
#: try several connections one after another; what it would still tell it, the leases tell as well.
_LEAVE_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 0.1
_WAKE_SECONDS: Final = 0.5
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)

log = structlog.get_logger(__name__)


def leave_stopping_to_the_parent() -> None:
    """Ignore stop signals in a child: one to the whole group (systemd's way) must not end its read,
    nor count as a second one, which a child that was forked later would take for its own."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


class GracefulStop:
    """What the signals do to a running worker. A second one ends the time given at once.

    Args:
        consumer: Celery's, which holds the connection to the broker.
        grace_seconds: how long a read may go on.
    """

    def __init__(self, consumer: Any, grace_seconds: float) -> None:
        self._consumer = consumer
        self._grace_seconds = grace_seconds

    def install(self) -> None:
        """Take the signals over from Celery; in the main thread."""
        for number in _SIGNALS:
            signal.signal(number, self._on_signal)
        # Celery sees that it must stop when its loop wakes, which idle takes up to five seconds.
        self._consumer.hub.call_repeatedly(_WAKE_SECONDS, lambda: None)

    def _on_signal(self, number: int, _frame: Any) -> None:
        again = BOARD.stop_at > 0
        BOARD.stop_at = time.monotonic() + (0 if again else self._grace_seconds)
        if not again:
            # Only the broker is told by this, and in memory: what was popped is put back.
            if consumer := self._consumer.task_consumer:
                ignore_errors(self._consumer, consumer.cancel)
            threading.Thread(target=self._wait, name="stopping", daemon=True).start()
        os.write(2, _line(signal.Signals(number).name))

    def _wait(self) -> None:
        """Let Celery stop once nothing is read any more, and make sure that it has."""
        pause = threading.Event()
        while state.active_requests and time.monotonic() < BOARD.stop_at + _LAST_SECONDS:
            pause.wait(_LOOK_SECONDS)
        state.should_stop = os.EX_OK  # type: ignore[assignment]  # the stub knows None only
        pause.wait(_LEAVE_SECONDS)
        os.write(2, b"ended, as Celery had not stopped in time\n")
        os._exit(os.EX_OK)


def _line(name: str) -> bytes:
    """Return a line of the log that a signal's handler may write: of logging's locks one may be
    held.
    """
    event = {
        "timestamp": datetime.now(UTC).isoformat(),
        "level": "info",
        "event": "stopping",
        "logger": __name__,
        "signal": name,
    }
    return json.dumps(event).encode() + b"\n"
