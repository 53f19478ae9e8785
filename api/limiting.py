"""Rate limits, counted in this process: requests per key, refused keys per address."""

import math
import time
from uuid import UUID

from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from stocktake.errors import ThrottledError
from stocktake.settings import Settings


class RateLimits:
    """The counters of one process; a limit of 0 is off."""

    def __init__(self, settings: Settings) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
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

    def _count(self, limits: list[RateLimitItem], who: str) -> None:
        for limit in limits:
            if not self._limiter.hit(limit, who):
                reset = self._limiter.get_window_stats(limit, who).reset_time
                raise ThrottledError(max(1, math.ceil(reset - time.time())))
