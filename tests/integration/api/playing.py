"""Playing the worker: ring, claim, and the end that a test wants, in the ringing thread itself.

The job has ended before the request begins to wait for it, so no test sleeps.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from uuid import UUID

from sqlalchemy import Select, select, text

from servers.process import PATIENCE_SECONDS
from stocktake.catalog.tables import locked_for
from stocktake.db.models import Job, SchemaVersion, Table
from stocktake.db.session import Database, Ring
from stocktake.errors import JobError
from stocktake.jobs import leases
from stocktake.jobs.leases import Claim, RetryPolicy
from stocktake.schema.columns import Column
from stocktake.schema.diff import apply_overrides, diff
from stocktake.states import SWEEP, JobState
from tests.integration.api.conftest import Served

Play = Callable[[Database, UUID], None]
NO_RETRY = RetryPolicy(base_seconds=0.001, max_seconds=0.001)


class Worker(list[Ring]):
    """Does the work the moment that the bell rings."""

    def __init__(self, database: Database, play: Play) -> None:
        super().__init__()
        self._database = database
        self._play = play

    def append(self, ring: Ring) -> None:
        super().append(ring)
        jobs = self._of_batch(ring.job_id) if ring.kind == SWEEP else [ring.job_id]
        for job_id in jobs:
            self._play(self._database, job_id)

    def _of_batch(self, batch_id: UUID) -> Iterator[UUID]:
        """Yield the jobs of a batch that a sweep is rung for, one by one, as far as each waits
        still when its turn comes: whatever a test plays, it plays with a job."""
        waits = Job.batch_id == batch_id, Job.state == JobState.QUEUED, Job.sweepable.is_(True)
        for job_id in self._found(select(Job.id).where(*waits).order_by(Job.id)):
            if self._found(select(Job.id).where(Job.id == job_id, *waits)):
                yield job_id

    def _found(self, asked: Select[tuple[UUID]]) -> Sequence[UUID]:
        with self._database.read() as session:
            return session.scalars(asked).all()


def start_worker(served: Served, play: Play) -> None:
    """Have each job of this app end as `play` ends it."""
    served.rings.rung = Worker(served.database, play)


def take(database: Database, job_id: UUID) -> Claim:
    """Claim a job."""
    with database.write() as session:
        claim = leases.claim(session, job_id, worker="test/1", lease_seconds=60)
    assert claim is not None, "the job could not be claimed"
    return claim


def read_columns(columns: Sequence[Column]) -> Play:
    """The source has these columns."""

    def play(database: Database, job_id: UUID) -> None:
        claim = take(database, job_id)
        with database.write() as session:
            table = locked_for(session, claim)
            stored = tuple(Column.from_dict(column) for column in table.columns)
            fresh = apply_overrides(stored, tuple(columns))
            change = diff(stored, fresh)
            table.columns = [column.as_dict() for column in fresh]
            table.row_count, table.size_bytes, table.source_version = 7, 512, 3
            if change:
                table.schema_version += 1
                session.add(
                    SchemaVersion(
                        table_id=table.id,
                        number=table.schema_version,
                        columns=table.columns,
                        diff=change.as_dict(),
                        change=change.change.value,
                        source_version=3,
                        job_id=job_id,
                    )
                )
            leases.succeed(session, claim, {"columns": len(fresh), "change": change.change.value})

    return play


def fail_with(error: JobError) -> Play:
    """The read fails, for good or for now."""

    def play(database: Database, job_id: UUID) -> None:
        claim = take(database, job_id)
        with database.write() as session:
            leases.fail(session, claim, error, NO_RETRY)

    return play


def table_row(database: Database, table_id: UUID | str) -> Table:
    """A table as it is stored."""
    with database.read() as session:
        return session.get_one(Table, UUID(str(table_id)))


def jobs_of(database: Database, table_id: UUID | str) -> list[Job]:
    """A table's jobs, oldest first."""
    with database.read() as session:
        query = session.query(Job).filter(Job.table_id == UUID(str(table_id)))
        return list(query.order_by(Job.id))


def states_of(database: Database, table_id: UUID | str) -> list[tuple[str, str]]:
    """Kind and state of a table's jobs, oldest first."""
    return [(job.kind, JobState(job.state).value) for job in jobs_of(database, table_id)]


def wait_for_a_lock(database: Database) -> None:
    """Until somebody waits for what an open transaction of the test will decide."""
    if database.sqlite:  # a second writer waits before it has looked at anything
        return
    deadline = time.monotonic() + PATIENCE_SECONDS
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'")
    with database.read() as session:
        while not session.scalar(waiting):
            assert time.monotonic() < deadline, "nobody waited"
