"""Waiting for jobs: `Prefer: wait`, long polls and event streams, through one hub a process.

One query for all awaited ids every 50 ms, none while nobody waits, and one right after somebody
begins to wait. 200 waiters cost 24 % of a processor this way and 122 % with a poll each. Every
second the keys of all who wait are looked at too: what is refused by now waits no longer.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final
from uuid import UUID

import structlog
from anyio import CapacityLimiter
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from api.edge.threads import finish_in_thread
from stocktake.db.models import Job
from stocktake.db.session import Database
from stocktake.errors import RequestError
from stocktake.services import identity
from stocktake.services.context import Caller
from stocktake.states import JobState

#: No request waits longer; proxies give up at about this time too.
MAX_WAIT_SECONDS: Final = 60.0
INTERVAL_SECONDS: Final = 0.05
#: How long a key that no longer holds may go on waiting, and the time of a query more.
KEYS_EVERY_SECONDS: Final = 1.0
#: Requests beyond this many are answered without a wait.
MAX_WAITERS: Final = 5000

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What the hub saw of a job."""

    state: JobState
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who waits.

    Attributes:
        key_id: the key that the request came with.
        admit: raises a RequestError where a request with what the key is by now would be refused;
            None is a key that does not hold any more.
    """

    key_id: UUID
    admit: Callable[[Caller | None], None]


@dataclass(slots=True, eq=False)
class _Waiter:
    job_id: UUID
    #: Resolve on any revision after this one; None resolves at the job's end only.
    after_revision: int | None
    holder: Holder | None
    seen: asyncio.Future[Sight | None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def check(self, callers: Mapping[UUID, Caller]) -> None:
        if self.holder is None or self.seen.done():
            return
        try:
            self.holder.admit(callers.get(self.holder.key_id))
        except RequestError as refusal:
            self.seen.set_exception(refusal)

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
        self._keys_at = 0.0
        #: Queries made so far; none is made while nobody waits.
        self.polls = 0

    @property
    def waiting(self) -> int:
        """How many wait now."""
        return len(self._waiters)

    @property
    def is_full(self) -> bool:
        """Whether nobody more may wait."""
        return len(self._waiters) >= MAX_WAITERS

    async def wait_for_end(
        self, job_id: UUID, seconds: float, holder: Holder | None = None
    ) -> Sight | None:
        """Return what the job was when it had ended; None if it had not in time, or is gone.

        Raises:
            RequestError: what the holder would be refused with by now.
        """
        return await self._wait(_Waiter(job_id, None, holder), seconds)

    async def wait_for_change(
        self, job_id: UUID, after_revision: int, seconds: float, holder: Holder | None = None
    ) -> Sight | None:
        """Return what the job was at its first revision after this one; None if it did not change.

        Raises:
            RequestError: as above.
        """
        return await self._wait(_Waiter(job_id, after_revision, holder), seconds)

    async def _wait(self, waiter: _Waiter, seconds: float) -> Sight | None:
        if seconds <= 0 or self._closed or self.is_full:
            return None
        self._waiters.add(waiter)
        # First among the waiters, so that the hub that wakes finds it.
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
        # Those of this moment: one that joined during the query is not in its answer, and would
        # look like a job that is gone.
        waiters = list(self._waiters)
        ids = {waiter.job_id for waiter in waiters}
        key_ids = {waiter.holder.key_id for waiter in waiters if waiter.holder}
        begun = time.monotonic()
        if begun < self._keys_at:
            key_ids = set()
        try:
            look = partial(self._look, ids, key_ids)
            sights, callers = await finish_in_thread(look, self._thread)
        except SQLAlchemyError as exc:
            # They wait on, and time out by themselves if the database stays away.
            log.warning("waiting_poll_failed", reason=type(exc).__name__)
            return
        except Exception:
            # The watching must go on for those who come later.
            log.exception("waiting_poll_broken")
            sights, callers, key_ids = {}, {}, set()
        if key_ids:
            self._keys_at = begun + KEYS_EVERY_SECONDS
        for waiter in waiters:
            if waiter.holder and waiter.holder.key_id in key_ids:
                waiter.check(callers)
            waiter.look(sights.get(waiter.job_id))

    def _look(
        self, ids: set[UUID], key_ids: set[UUID]
    ) -> tuple[Mapping[UUID, Sight], Mapping[UUID, Caller]]:
        self.polls += 1
        with self._database.read() as session:
            rows = session.execute(
                select(Job.id, Job.state, Job.revision).where(Job.id.in_(ids))
            ).all()
            callers = identity.live_callers(session, key_ids) if key_ids else {}
        sights = {row.id: Sight(state=JobState(row.state), revision=row.revision) for row in rows}
        return sights, callers
