"""The Celery doorbell: publishes job ids from a thread of its own, off the request path.

Whatever it cannot deliver at once it drops: the clock rings again from the rows. Publishing
inside the request instead let 12 of 600 requests through while the broker was frozen.
"""

import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final
from uuid import uuid4

import structlog
from celery import Celery
from kombu import Connection, Producer
from kombu.exceptions import KombuError

from stocktake.db.session import Ring
from stocktake.jobs.doorbell import WorkerAnswer
from stocktake.settings import Settings
from stocktake.states import CANARY, SWEEP, Queue
from tasks.app import app
from tasks.queue_lengths import PATIENCE_SECONDS, BrokerQueueLengths, ask_workers

_CAPACITY: Final = 10_000
#: Messages in one request to the broker.
_TOGETHER: Final = 100
#: For the broker's answer where a request waits for ours.
_QUESTION_SECONDS: Final = 1.0
#: For the workers' answers, all of which is waited for.
_WORKERS_SECONDS: Final = 0.4
#: What `close` gives to rings that are under way.
_CLOSE_SECONDS: Final = 4.0
#: After a failed publish nothing is tried for this long.
_PAUSE_SECONDS: Final = 1.0
#: Between requests while more than a few wait, so that the drain after an outage leaves the
#: processor to the requests.
_PACE_SECONDS: Final = 0.001
_PACE_ABOVE: Final = 50

log = structlog.get_logger(__name__)


class CeleryDoorbell:
    """Rings by publishing to the broker.

    Args:
        settings: for the broker's URL.
        celery: the app whose message protocol is used.
    """

    def __init__(self, settings: Settings, celery: Celery = app) -> None:
        self._url = settings.broker_url.get_secret_value()
        self._celery = celery
        # redis-py's own errors are not all OSErrors; the transport names them.
        transport = self._connection()
        self._broker_errors: tuple[type[BaseException], ...] = (
            KombuError,
            OSError,
            *transport.connection_errors,
            *transport.channel_errors,
        )
        self._rings: queue.Queue[Ring] = queue.Queue(_CAPACITY)
        self._stop = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        #: Messages published, and rings dropped for the clock to repeat; for `/metrics`.
        self.published = 0
        self.dropped = 0
        self.on_drop: Callable[[int], None] = _ignore
        self._reported = 0
        self._messages: dict[str, Any] = {}
        self._lengths = BrokerQueueLengths(self._url, timeout_seconds=_QUESTION_SECONDS)

    def ring(self, ring: Ring) -> None:
        """Take the ring and return at once."""
        # Started late: a thread would not survive a fork that came after it.
        if self._thread is None:
            self._start()
        try:
            self._rings.put_nowait(ring)
        except queue.Full:
            self.dropped += 1

    def queue_lengths(self) -> Mapping[Queue, int] | None:
        """Ask the broker, for a second at most; None where it does not answer."""
        return self._lengths()

    def workers(self) -> Sequence[WorkerAnswer] | None:
        """Ask the workers, for half a second at most; None where the broker does not answer."""
        return ask_workers(self._url, _WORKERS_SECONDS)

    def close(self) -> None:
        """Stop after what is queued has left, or after a few seconds."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=_CLOSE_SECONDS)
        self._lengths.close()

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="doorbell", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while not self._finished():
            try:
                with self._connection() as connection, connection.Producer() as producer:
                    self._drain(producer)
            except self._broker_errors as exc:
                self._pause(exc)
            except Exception as exc:
                # A thread that ended would go unnoticed, and each job wait for the clock.
                log.exception("doorbell_failed")
                self._pause(exc)

    def _finished(self) -> bool:
        return self._stop.is_set() and self._rings.empty()

    def _connection(self) -> Connection:
        return Connection(
            self._url,
            connect_timeout=PATIENCE_SECONDS,
            transport_options={
                "socket_timeout": PATIENCE_SECONDS,
                "socket_connect_timeout": PATIENCE_SECONDS,
                "socket_keepalive": True,
            },
        )

    def _drain(self, producer: Producer) -> None:
        while not self._finished():
            try:
                # Woken now and then, to see that it is asked to stop.
                first = self._rings.get(timeout=0.2)
            except queue.Empty:
                continue
            self._publish(producer, [first, *self._others()])
            if self._rings.qsize() > _PACE_ABOVE:
                self._stop.wait(_PACE_SECONDS)

    def _others(self) -> Iterator[Ring]:
        """Yield what waits behind a ring, as much as goes with it."""
        with suppress(queue.Empty):
            for _ in range(_TOGETHER - 1):
                yield self._rings.get_nowait()

    def _publish(self, producer: Producer, rings: Sequence[Ring]) -> None:
        try:
            with producer.batch(max_size=_TOGETHER):  # type: ignore[attr-defined]  # its stubs are older
                for ring in rings:
                    self._send(producer, ring)
        except BaseException:
            self.dropped += len(rings)
            raise
        self.published += len(rings)
        for ring in rings:
            if ring.kind != CANARY:
                rung = {"batch_id" if ring.kind == SWEEP else "job_id": str(ring.job_id)}
                log.info("ring_published", **rung, queue=ring.queue.value)

    def _send(self, producer: Producer, ring: Ring) -> None:
        # The task's id is the job's: Flower shows it, and a worker's parent finds by it the job of
        # a child that is lost.
        argument = str(ring.job_id)
        # A batch is swept many times, and each time is a task of its own.
        id_ = argument if ring.kind != SWEEP else str(uuid4())
        message = self._prepared(str(ring.kind))
        own = {"id": id_, "root_id": id_, "argsrepr": repr((argument,))}
        producer.publish(
            ((argument,), *message.body[1:]),
            exchange="",
            routing_key=ring.queue.value,
            serializer="json",
            headers=message.headers | own,
            correlation_id=id_,
        )

    def _prepared(self, kind: str) -> Any:
        """Return Celery's message of a task, whose id and argument are to be put in: to have Celery
        make each anew takes longer than to publish it."""
        if kind not in self._messages:
            make = self._celery.amqp.as_task_v2
            self._messages[kind] = make("", kind, args=("",), ignore_result=True)
        return self._messages[kind]

    def _pause(self, exc: BaseException) -> None:
        self._drop_all(exc)
        self._report()
        self._stop.wait(_PAUSE_SECONDS)

    def _drop_all(self, exc: BaseException) -> None:
        dropped = 0
        while True:
            try:
                self._rings.get_nowait()
            except queue.Empty:
                break
            dropped += 1
        self.dropped += dropped
        log.warning(
            "doorbell_dropped", rings=self.dropped - self._reported, reason=type(exc).__name__
        )

    def _report(self) -> None:
        dropped = self.dropped
        unreported, self._reported = dropped - self._reported, dropped
        self.on_drop(unreported)


def _ignore(_: int) -> None:
    """Count nothing, where nobody does."""
