"""The oracle: waits until all that was accepted must have ended, and holds it to the promises."""

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from threading import Event
from uuid import UUID

from sqlalchemy import func, select

from servers.process import PATIENCE_SECONDS
from stocktake.db.models import Job
from stocktake.parts import managed_storage
from stocktake.states import JobState
from tests.faults.client import Client, Sent
from tests.faults.promises.answers import answered
from tests.faults.promises.broken import Broken
from tests.faults.promises.effects import Loaded, ends, one_effect
from tests.faults.promises.histories import never_back, writes_are_shown
from tests.faults.promises.kept import nothing_lost
from tests.faults.promises.truth import nothing_older
from tests.faults.records import Records, history, read_records
from tests.faults.sources import loaded_rows
from tests.support.harness import Stack

#: What a read of these tests' small sources takes on a busy machine at most.
RUN_SECONDS = float(PATIENCE_SECONDS)
#: Of what is broken, so much is told.
SHOWN = 20
HISTORIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of everything.

    Attributes:
        ended: jobs by the state they ended in.
        attempts: attempts by their outcome.
        slowest_seconds: the longest time from a job's making to its end.
    """

    records: Records
    broken: tuple[Broken, ...]
    accepted: int
    ended: Mapping[str, int]
    attempts: Mapping[str | None, int]
    slowest_seconds: float


class Oracle:
    """Judges one service by what its client heard and by what its database holds.

    Call `check` once the fault is over and all parts run again.
    """

    def __init__(self, stack: Stack, client: Client) -> None:
        self._stack = stack
        self._client = client

    @property
    def bound_seconds(self) -> float:
        """Lease, sweep and run: the longest that a job may need once nothing is broken any more.

        The sweep is the clock's: it rescues at a tick, rings at the next, and a retry waits for
        its backoff first.
        """
        settings = self._stack.parsed_settings()
        sweep = 2 * settings.clock_interval_seconds + settings.ring_again_seconds
        return settings.lease_seconds + sweep + settings.job_retry_max_seconds + RUN_SECONDS

    def check(
        self,
        *,
        allowed: Collection[int | None] = (),
        failures: Collection[str] = (),
        refresh: bool = True,
        one_clock: bool = True,
        within_seconds: float | None = None,
    ) -> Verdict:
        """Wait for all ends, refresh each source's table once more, and hold all to the promises.

        Args:
            allowed: 5xx statuses that the fault excuses; None excuses a missing answer.
            failures: codes with which jobs may have failed.
            refresh: whether the tables of `Client.sources` must equal them at the end.
            one_clock: False where the test sets the database's clock, of which a column's default
                on PostgreSQL knows nothing.
            within_seconds: instead of `bound_seconds`, where much was queued.
        """
        within = self.bound_seconds if within_seconds is None else within_seconds
        self.wait_for_ends(within)
        if refresh:
            for table_id in self._client.sources:
                self._client.insist(self._client.refresh(table_id))
            self.wait_for_ends(self.bound_seconds)
        verdict = self.judge(
            allowed=allowed, failures=failures, refresh=refresh, one_clock=one_clock
        )
        assert not verdict.broken, self.told(verdict)
        return verdict

    def wait_for_ends(self, within_seconds: float) -> None:
        """Return when no job is open any more, or after this long; `judge` names what is open."""
        give_up_at = time.monotonic() + within_seconds
        pause = Event()
        while self.open_jobs() and time.monotonic() < give_up_at:
            pause.wait(0.1)

    def open_jobs(self) -> int:
        """How many jobs have not ended."""
        open_states = [state.value for state in JobState if not state.done]
        with self._stack.database.read() as session:
            counted = select(func.count()).select_from(Job).where(Job.state.in_(open_states))
            return session.scalar(counted) or 0

    def judge(
        self,
        *,
        allowed: Collection[int | None] = (),
        explained: Callable[[Sent], bool] = lambda _: True,
        failures: Collection[str] = (),
        refresh: bool = True,
        one_clock: bool = True,
    ) -> Verdict:
        """The promises as they stand now; waits for nothing.

        Args:
            explained: whether a fault stood while this request was under way.
        """
        records = read_records(self._stack.database)
        log = list(self._client.log)
        broken = [
            *ends(log, records, failures, one_clock=one_clock),
            *one_effect(log, records, self._loaded),
            *nothing_lost(log, records),
            *nothing_older(log, records, self._client.sources if refresh else {}),
            *never_back(log),
            *writes_are_shown(log),
            *answered(log, allowed, explained),
        ]
        return Verdict(
            records=records,
            broken=tuple(broken),
            accepted=len(self._client.jobs()),
            ended=Counter(job.state for job in records.jobs.values()),
            attempts=Counter(
                attempt.outcome for each in records.attempts.values() for attempt in each
            ),
            slowest_seconds=max(
                (
                    (job.finished_at - job.created_at).total_seconds()
                    for job in records.jobs.values()
                    if job.finished_at is not None
                ),
                default=0.0,
            ),
        )

    def told(self, verdict: Verdict) -> str:
        """The broken promises, and the whole history of the first jobs concerned."""
        lines = [f"{len(verdict.broken)} broken promises", *map(str, verdict.broken[:SHOWN])]
        concerned = dict.fromkeys(job for broken in verdict.broken for job in broken.jobs)
        histories = [self.history(job, verdict.records) for job in list(concerned)[:HISTORIES]]
        return "\n".join(lines + histories)

    def history(self, job_id: UUID, records: Records | None = None) -> str:
        """A job's row, attempts and log lines, and what the client heard of it."""
        heard = [f"client: {sent}" for sent in self._client.log if sent.job == job_id]
        lines = [*heard, *self._stack.logged(str(job_id))]
        return history(records or read_records(self._stack.database), job_id, lines)

    def _loaded(self, table_id: UUID) -> Loaded:
        storage = managed_storage(self._stack.parsed_settings())
        uri, options = storage.delta_root(self._stack.project_id, str(table_id))
        return loaded_rows(uri, options)
