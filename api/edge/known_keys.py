"""Keys that were looked up a moment ago, so that the next request need not be, before it begins.

Nothing is granted by it: what a remembered key asks for is done in a transaction that looks at the
key itself first (`Edge.verified`), so one that is revoked is refused at its next request, as ever.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from stocktake.security import keys
from stocktake.services.context import Caller

_SECONDS: Final = 10.0
_MOST: Final = 4096


@dataclass(frozen=True, slots=True)
class _Entry:
    caller: Caller
    until: float


class KnownKeys:
    """The callers of one process by their key's digest; used on its event loop alone."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._entries: dict[bytes, _Entry] = {}

    def remember(self, plaintext: str, caller: Caller) -> None:
        """Keep who was found; where there are too many, all are looked up anew."""
        if len(self._entries) >= _MOST:
            self._entries.clear()
        self._entries[keys.digest(plaintext)] = _Entry(caller, self._now() + _SECONDS)

    def recall(self, plaintext: str) -> Caller | None:
        """Return who was found lately; None is nobody."""
        entry = self._entries.get(keys.digest(plaintext))
        return entry.caller if entry and entry.until > self._now() else None

    def forget(self, plaintext: str) -> None:
        """Have the key looked up at its next request."""
        self._entries.pop(keys.digest(plaintext), None)
