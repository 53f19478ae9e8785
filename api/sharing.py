"""One piece of work for all who ask for it at the same time."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from anyio import to_thread

T = TypeVar("T")


class Shared(Generic[T]):
    """Runs a function in a thread, once at a time: who asks meanwhile gets the same answer.

    However many ask, and however long a silent broker takes, it holds one thread.

    Args:
        work: blocks; called from one thread at a time.
    """

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._running: asyncio.Task[T] | None = None

    async def __call__(self) -> T:
        """The answer of the call that runs, or of a new one."""
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(to_thread.run_sync(self._work))
        # One client that leaves must not take the answer from the others.
        return await asyncio.shield(self._running)
