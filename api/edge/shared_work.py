"""One piece of work for all who ask for it at the same time."""

import asyncio
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from anyio import to_thread

T = TypeVar("T")


class Shared(Generic[T]):
    """Runs a function in a thread, once at a time: who asks meanwhile gets the same answer.

    However many ask, and however long a silent broker takes, it holds one thread; and who asks
    in a flood, without a key, costs the database a look now and then.

    Args:
        work: blocks; called from one thread at a time.
        fresh_seconds: for how long an answer is given again.
    """

    def __init__(self, work: Callable[[], T], fresh_seconds: float) -> None:
        self._work = work
        self._fresh_seconds = fresh_seconds
        self._running: asyncio.Task[T] | None = None
        self._ended_at = 0.0

    async def __call__(self) -> T:
        """Return the answer of the call that runs or was the last, or of a new one."""
        if self._running is None or (self._running.done() and not self._fresh()):
            self._running = asyncio.create_task(self._work_once())
        # One client that leaves must not take the answer from the others.
        return await asyncio.shield(self._running)

    async def _work_once(self) -> T:
        try:
            return await to_thread.run_sync(self._work)
        finally:
            self._ended_at = time.monotonic()

    def _fresh(self) -> bool:
        return time.monotonic() - self._ended_at < self._fresh_seconds
