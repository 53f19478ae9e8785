"""Limits, counted in this process: requests and waits per key, refused keys per address."""

import math
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from uuid import UUID

from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from stocktake.errors import ThrottledError
from stocktake.settings import Settings

#: When a stream that was one too many may be asked for again.
_STREAM_RETRY_SECONDS: Final = 5


class RateLimits:
    """The counters of one process; a limit of 0 is off."""

    def __init__(self, settings: Settings) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._most_waits = settings.max_waits_per_key
        self._waits: Counter[UUID | None] = Counter()
        self._per_key: list[RateLimitItem] = []
        self._per_address: list[RateLimitItem] = []
        if settings.rate_limit_per_minute:
            self._per_key.append(RateLimitItemPerMinute(settings.rate_limit_per_minute))
        if settings.refused_keys_per_minute:
            self._per_address.append(RateLimitItemPerMinute(settings.refused_keys_per_minute))
        if settings.rate_limit_per_hour:
            self._per_key.append(RateLimitItemPerHour(settings.rate_limit_per_hour))

    def count_request(self, key_id: UUID) -> None:
        """Count a request by this key.

        Raises:
            ThrottledError: one too many.
        """
        self._count(self._per_key, f"key:{key_id}")

    def count_failure(self, address: str) -> None:
        """Count a refused key from this address.

        Only refused ones are counted and throttled: behind a proxy everybody has one address,
        and nobody's good key may stop working because of somebody's bad ones.

        Raises:
            ThrottledError: one too many.
        """
        self._count(self._per_address, f"address:{address}")

    @contextmanager
    def waiting(self, key_id: UUID | None) -> Iterator[bool]:
        """Whether one more request by this key may wait; while it does, it counts."""
        granted = self._may_wait(key_id)
        self._waits[key_id] += granted
        try:
            yield granted
        finally:
            self._waits[key_id] -= granted
            if not self._waits[key_id]:
                del self._waits[key_id]

    def require_wait(self, key_id: UUID | None) -> None:
        """For what can't be answered at once, and has yet to begin.

        Raises:
            ThrottledError: it would be one too many.
        """
        if not self._may_wait(key_id):
            raise ThrottledError(_STREAM_RETRY_SECONDS)

    def _may_wait(self, key_id: UUID | None) -> bool:
        return not self._most_waits or self._waits[key_id] < self._most_waits

    def _count(self, limits: list[RateLimitItem], who: str) -> None:
        for limit in limits:
            if not self._limiter.hit(limit, who):
                reset = self._limiter.get_window_stats(limit, who).reset_time
                raise ThrottledError(max(1, math.ceil(reset - time.time())))
