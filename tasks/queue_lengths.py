"""What is asked of the broker: how many messages wait, and which workers are connected."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import redis
import structlog
from celery import Celery
from kombu.exceptions import OperationalError
from redis.backoff import NoBackoff
from redis.retry import Retry

from stocktake.jobs.doorbell import WorkerAnswer
from stocktake.states import Queue

#: The inspect command by which a worker tells of itself.
WORKER_COMMAND: Final = "stocktake_worker"
#: Above the answer of a broker that is far away and works: over a link with 2 s of latency nothing
#: was rung for while the doorbell waited for 2 s and the clock for 1.
PATIENCE_SECONDS: Final = 5.0
#: For so long the broker keeps a question for answers. By kombu's default a second, in which it
#: would give them to a question of before, that nobody reads any more.
_KEPT_SECONDS: Final = 0.1

log = structlog.get_logger(__name__)


class BrokerQueueLengths:
    """Counts the messages in the Redis lists that Celery's queues are.

    Args:
        url: the broker's.
        timeout_seconds: for its answer; short where somebody waits for ours.
    """

    def __init__(self, url: str, *, timeout_seconds: float = PATIENCE_SECONDS) -> None:
        self._client = redis.Redis.from_url(
            url,
            socket_timeout=timeout_seconds,
            socket_connect_timeout=timeout_seconds,
            # Whoever asks asks again; redis-py's own retries would hold it for seconds.
            retry=Retry(NoBackoff(), 0),
        )

    def __call__(self) -> Mapping[Queue, int] | None:
        """Ask in one round trip; None where the broker is silent."""
        pipe = self._client.pipeline(transaction=False)
        for queue in Queue:
            pipe.llen(queue.value)
        try:
            return dict(zip(Queue, map(int, pipe.execute()), strict=True))
        except (redis.RedisError, OSError) as exc:
            log.warning("broker_silent", reason=type(exc).__name__)
            return None

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def ask_workers(url: str, seconds: float) -> Sequence[WorkerAnswer] | None:
    """Return what each worker says that answers in time; None where the broker is silent.

    Args:
        url: the broker's.
        seconds: for the workers, and at each step for the broker.
    """
    patience = {
        "socket_timeout": seconds,
        "socket_connect_timeout": seconds,
        "connect_retries_timeout": seconds,
        "polling_interval": _KEPT_SECONDS,
    }
    try:
        # Its own app: one that is shared keeps the answers that came too late.
        with Celery(broker=url, set_as_current=False) as celery:
            celery.conf.broker_transport_options = patience
            replies: list[dict[str, Any]] | None = celery.control.broadcast(
                WORKER_COMMAND, reply=True, timeout=seconds
            )
    except (redis.RedisError, OperationalError, OSError) as exc:
        log.warning("broker_silent", reason=type(exc).__name__)
        return None
    return [_answer(*each) for reply in replies or () for each in reply.items()]


def _answer(node: str, said: Any) -> WorkerAnswer:
    """Read a worker's answer; one of another release may say less, or nothing of it."""
    if not isinstance(said, dict) or "version" not in said:
        return WorkerAnswer(node=node, version="another release")
    return WorkerAnswer(
        node=node,
        version=str(said["version"]),
        processes=said.get("processes"),
        running=said.get("running") or {},
    )
