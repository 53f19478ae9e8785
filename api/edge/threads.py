"""Work in threads: for a task that may be cancelled, and for a project that asks for much."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeVar
from weakref import WeakValueDictionary

from anyio import CapacityLimiter, to_thread
from sqlalchemy.exc import TimeoutError as BusyError

T = TypeVar("T")

#: Threads that one project's requests have at once in this process. What they do is mostly held by
#: the interpreter's lock: more of them do no more, and keep the event loop from it for longer.
PROJECT_THREADS: Final = 3
#: Large answers of one project that are on their way to its clients, and files that come from them:
#: a slow client keeps a turn for as long as it likes, so they are more than the threads.
SLOW_AT_ONCE: Final = 8
#: Those of all projects. Readers and writers together, and those of the console, are fewer than
#: SQLite's connections.
_ALL_THREADS: Final = 24


class ProjectThreads:
    """Threads of which each project has a share, so that one that asks for much waits for itself.

    A hundred requests for a table of 10,000 columns had all threads, and the lock, for 33 seconds.

    Args:
        patience_seconds: how long somebody waits for a turn; None is for ever.
        share: turns that one project has at once.
        at_most: threads of all projects together.
    """

    def __init__(
        self,
        patience_seconds: float | None = None,
        share: int = PROJECT_THREADS,
        at_most: int = _ALL_THREADS,
    ) -> None:
        self._patience_seconds = patience_seconds
        self._share = share
        self._all = CapacityLimiter(at_most)
        #: Of the projects that somebody works or waits for, who holds it until then.
        self._shares: WeakValueDictionary[int, asyncio.Semaphore] = WeakValueDictionary()

    async def run(
        self,
        project_id: int,
        work: Callable[[], T],
        then: Callable[[T], Awaitable[None]] | None = None,
    ) -> T:
        """Run the work in a thread, when it is the project's turn.

        Args:
            project_id: 0 where the request names none; such requests share as one.
            then: is waited for before the turn is over.

        Raises:
            sqlalchemy.exc.TimeoutError: there was no turn in time.
        """
        async with self.turn(project_id):
            done = await to_thread.run_sync(work, limiter=self._all)
            if then is not None:
                await then(done)
            return done

    @asynccontextmanager
    async def turn(self, project_id: int) -> AsyncIterator[None]:
        """Wait until it is the project's turn, and keep it for the block.

        Raises:
            sqlalchemy.exc.TimeoutError: there was no turn in time.
        """
        # Kept by whoever has it or waits for it, and by nobody else: projects that ask no more
        # leave nothing behind.
        share = self._shares.get(project_id)
        if share is None:
            share = self._shares[project_id] = asyncio.Semaphore(self._share)
        if share.locked():
            try:
                async with asyncio.timeout(self._patience_seconds):
                    await share.acquire()
            except TimeoutError as exc:
                raise BusyError("other requests of this project have its threads") from exc
        else:
            await share.acquire()  # at once
        try:
            yield
        finally:
            share.release()


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
