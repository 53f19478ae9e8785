"""What is asked of the broker: how many messages wait, and which workers are connected."""

from collections.abc import Mapping
from typing import Any, Final

import redis
import structlog
from celery import Celery
from kombu.exceptions import OperationalError
from redis.backoff import NoBackoff
from redis.retry import Retry

from stocktake.states import Queue

#: The inspect command by which a worker names its release.
VERSION_COMMAND: Final = "stocktake_version"
#: Above the answer of a broker that is far away and works: over a link with 2 s of latency nothing
#: was rung for while the doorbell waited for 2 s and the clock for 1.
PATIENCE_SECONDS: Final = 5.0
_REPLY_SECONDS: Final = 2.0

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


def worker_versions(url: str) -> dict[str, str]:
    """Return the release of each worker that answers within two seconds, by its node's name.

    Args:
        url: the broker's.
    """
    try:
        with Celery(broker=url, set_as_current=False) as celery:
            replies: list[dict[str, Any]] | None = celery.control.broadcast(
                VERSION_COMMAND, reply=True, timeout=_REPLY_SECONDS
            )
    except (OperationalError, OSError):
        return {}
    return {node: str(answer) for reply in replies or () for node, answer in reply.items()}
