"""Work in a thread for a task that may be cancelled."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

T = TypeVar("T")


async def finish_in_thread(work: Callable[[], T], limiter: CapacityLimiter | None = None) -> T:
    """Run the work in a thread; who is cancelled meanwhile waits for its end.

    Else the thread would still use a connection when the pool is closed, and nobody would close it.

    Args:
        limiter: how many threads may do such work at once; anyio's own limit where None.
    """
    running = asyncio.ensure_future(to_thread.run_sync(work, limiter=limiter))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise
