"""Limits, counted in this process: requests and waits per key, refused keys per address."""

import math
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from ipaddress import IPv6Address, ip_address
from typing import Final
from uuid import UUID

from stocktake.errors import ThrottledError
from stocktake.settings import Settings

#: Addresses that are counted apart; those beyond them are counted together. Keys need no such
#: bound: an operator makes them.
_MOST_ADDRESSES: Final = 4096
_IPV6_NETWORK_BYTES: Final = 8
#: One key may have this part of a process's connections: a half.
KEY_SHARE: Final = 2


class RateLimits:
    """The counters of one process; a limit of 0 is off.

    Args:
        settings: the limits.
        now: a clock in seconds that never goes back.
    """

    def __init__(self, settings: Settings, now: Callable[[], float] = time.monotonic) -> None:
        self._most_waits = settings.max_waits_per_key
        self._waits: Counter[UUID | None] = Counter()
        self._most_at_once = max(1, settings.max_connections // KEY_SHARE)
        self._at_once: Counter[UUID] = Counter()
        self._per_key = [
            _MovingWindow(limit, seconds, now)
            for limit, seconds in (
                (settings.rate_limit_per_minute, 60),
                (settings.rate_limit_per_hour, 3600),
            )
            if limit
        ]
        self._per_address = []
        if limit := settings.refused_keys_per_minute:
            self._per_address.append(_MovingWindow(limit, 60, now, _MOST_ADDRESSES))

    def count_request(self, key_id: UUID) -> None:
        """Count a request by this key.

        Raises:
            ThrottledError: one too many.
        """
        _count(self._per_key, key_id)

    def count_failure(self, address: str) -> None:
        """Count a refused key from this address; an IPv6 one stands for its network of 64 bits.

        Only refused ones are counted and throttled: behind a proxy everybody has one address,
        and nobody's good key may stop working because of somebody's bad ones. For the same reason
        many addresses can share one count, once there are too many to count apart.

        Raises:
            ThrottledError: one too many.
        """
        _count(self._per_address, _network(address))

    @contextmanager
    def under_way(self, key_id: UUID) -> Iterator[None]:
        """Count a request by this key until it is answered: each has a connection, and may take as
        long for a large body, or for a large answer, as it takes its client.

        Raises:
            ThrottledError: one too many.
        """
        if self._at_once[key_id] >= self._most_at_once:
            raise ThrottledError(1)
        self._at_once[key_id] += 1
        try:
            yield
        finally:
            self._at_once[key_id] -= 1
            if not self._at_once[key_id]:
                del self._at_once[key_id]

    @contextmanager
    def waiting(self, key_id: UUID | None, weight: int = 1) -> Iterator[bool]:
        """Yield whether one more request by this key may wait; count it while it does.

        Args:
            weight: as how many it counts; one that is heavier than all may wait alone.
        """
        now = self._waits[key_id]
        granted = not self._most_waits or not now or now + weight <= self._most_waits
        self._waits[key_id] += granted * weight
        try:
            yield granted
        finally:
            self._waits[key_id] -= granted * weight
            if not self._waits[key_id]:
                del self._waits[key_id]


class _MovingWindow:
    """At most `limit` hits of one name in any `seconds`.

    Names whose hits are all older are forgotten. Of `most_names` at once, those that come later
    share one count, so that no flood of names makes room for itself.
    """

    def __init__(
        self, limit: int, seconds: float, now: Callable[[], float], most_names: float = math.inf
    ) -> None:
        self._limit, self._seconds, self._now, self._most_names = limit, seconds, now, most_names
        #: The times of each name's hits; whose latest is the oldest stands first.
        self._hits: OrderedDict[Hashable, deque[float]] = OrderedDict()

    def hit(self, name: Hashable) -> float:
        """Count a hit, and return 0; or how many seconds are left until there is room for it."""
        now = self._now()
        while self._hits and next(iter(self._hits.values()))[-1] <= now - self._seconds:
            self._hits.popitem(last=False)
        if name not in self._hits and len(self._hits) >= self._most_names:
            name = None
        hits = self._hits.setdefault(name, deque(maxlen=self._limit))
        if len(hits) == self._limit and hits[0] > now - self._seconds:
            return hits[0] + self._seconds - now
        hits.append(now)  # and of a full one, the first goes
        self._hits.move_to_end(name)
        return 0


def _count(windows: list[_MovingWindow], name: Hashable) -> None:
    for window in windows:
        if wait := window.hit(name):
            raise ThrottledError(max(1, math.ceil(wait)))


def _network(address: str) -> bytes | None:
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    if isinstance(parsed, IPv6Address):
        parsed = parsed.ipv4_mapped or parsed
    return parsed.packed[:_IPV6_NETWORK_BYTES]
