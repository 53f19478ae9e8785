"""What the broker says of itself: how many messages wait, if it answers at all."""

from collections.abc import Mapping
from typing import Final

import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry

from stocktake.states import Queue

_TIMEOUT_SECONDS: Final = 1.0

log = structlog.get_logger(__name__)


class BrokerQueueLengths:
    """Counts the messages in the Redis lists that Celery's queues are.

    Args:
        url: the broker's.
    """

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(
            url,
            socket_timeout=_TIMEOUT_SECONDS,
            socket_connect_timeout=_TIMEOUT_SECONDS,
            # Whoever asks asks again; redis-py's own retries would hold it for seconds.
            retry=Retry(NoBackoff(), 0),
        )

    def __call__(self) -> Mapping[Queue, int] | None:
        """One round trip; None where the broker is silent."""
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
