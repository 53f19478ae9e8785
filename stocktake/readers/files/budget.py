"""How much of a source one read may take: files, bytes and seconds."""

import threading
import time
from collections.abc import Callable

from stocktake.readers.files.listing import Listing
from stocktake.readers.source import Coverage, Limits


class Budget:
    """What one sample may still spend. Safe to share between the threads of `store.map`.

    Args:
        limits: `max_files`, `max_bytes` and `max_seconds` apply.
        clock: seconds, monotonic.
    """

    def __init__(self, limits: Limits, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._deadline = clock() + limits.max_seconds
        self._lock = threading.Lock()
        self._admitted = 0
        self.files_read = 0
        self.bytes_read = 0
        self.truncated = False

    def admit(self) -> bool:
        """Return whether one more file may be opened. The first always may; the first refusal ends
        the sample for good."""
        with self._lock:
            spent = self._admitted and (
                self._admitted >= self._limits.max_files
                or self.bytes_read >= self._limits.max_bytes
                or self._clock() >= self._deadline
            )
            self.truncated = self.truncated or bool(spent)
            self._admitted += not self.truncated
            return not self.truncated

    @property
    def bytes_left(self) -> int:
        """Bytes until `max_bytes`; never below zero."""
        return max(self._limits.max_bytes - self.bytes_read, 0)

    def spend(self, size_bytes: int, *, files: int = 0) -> None:
        """Count bytes that were read, and files that were opened for them."""
        with self._lock:
            self.bytes_read += size_bytes
            self.files_read += files

    def cut(self) -> None:
        """Note that something was left unread."""
        self.truncated = True

    def coverage(self, listing: Listing) -> Coverage:
        """Return what was read so far."""
        return Coverage(
            files_matched=len(listing.files),
            files_read=self.files_read,
            bytes_read=self.bytes_read,
            truncated=self.truncated,
        )
