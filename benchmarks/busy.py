"""Long reads in every child of a worker, for as long as somebody else measures.

Reads are added while they are needed, so the load ends with the window and not with a stock of
reads, however fast the reader becomes. That it lasted is proven from the jobs' own rows.
"""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pydantic import SecretStr
from sqlalchemy import func, select

from benchmarks.deployment import Deployment, wait_until
from benchmarks.inputs_delta import commits
from servers.service import Worker
from stocktake.db.models import Job
from stocktake.db.session import Database
from stocktake.jobs.queueing import JobRequest, enqueue
from stocktake.schema.formats import TableFormat
from stocktake.settings import Settings
from stocktake.states import JobKind, JobState, Queue
from tasks.doorbell import CeleryDoorbell

#: A read of some 200 ms of one processor, where a job's transactions take some ten.
LOG_COMMITS: Final = 5_000
#: Reads that wait, at the least: many times what two children begin between two looks.
_AHEAD: Final = 100
#: In one transaction, which must not keep a request waiting on SQLite.
_AT_ONCE: Final = 10
_LOOK_SECONDS: Final = 0.05
#: Of the children's time: what is left is claims and results, which take long on a busy machine.
_LEAST_SHARE: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """When a long read was asked for, began and ended; None for what has not come yet."""

    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Whether children were busy in a window.

    Attributes:
        least_waiting: the fewest reads that waited for a child at any moment of it.
        share: of all children's time in it that was spent in reads, from 0 to 1.
        ended: reads that ended in it.
    """

    least_waiting: int
    share: float
    ended: int


class BulkWorker(Worker):
    """A worker that takes long reads alone, so that what is posted meanwhile waits."""

    def command(self) -> list[str]:
        """Return the shipped command, with one queue."""
        command = super().command()
        command[command.index("-Q") + 1] = Queue.BULK.value
        return command


class LongReads:
    """The long reads of one window: asked for here, done by a worker.

    Args:
        database: one that rings for what is written.
        url: the table's to read.
    """

    def __init__(self, deployment: Deployment, database: Database, url: str) -> None:
        self._deployment = deployment
        self._database = database
        self._url = url

    def keep_ahead(self, stop: threading.Event) -> None:
        """Have many wait at any moment, until told to stop."""
        while not stop.wait(_LOOK_SECONDS):
            while self._count(JobState.QUEUED) < _AHEAD and not stop.is_set():
                self._add(_AT_ONCE)

    def in_every_child(self) -> bool:
        """Return whether all children of one worker read now."""
        return self._count(JobState.RUNNING) >= Worker.concurrency

    def proof(self, opened_at: datetime, closed_at: datetime) -> Proof:
        """Prove that every child was busy between the two moments.

        Raises:
            RuntimeError: there was a moment without a read to do, or hardly anything was read.
        """
        found = proof_of(self._reads(), opened_at, closed_at, Worker.concurrency)
        if found.least_waiting < 1 or found.share < _LEAST_SHARE or found.ended < 1:
            raise RuntimeError(
                "the workers were not busy in the whole window: at the least "
                f"{found.least_waiting} long reads waited for a child, {found.ended} ended, and "
                f"reads took {found.share:.0%} of the children's time"
            )
        return found

    def _add(self, count: int) -> None:
        """Add reads of tables of their own: of one table there is one job at a time."""
        table_ids = self._deployment.register([self._url] * count, TableFormat.DELTA)
        with self._database.write() as session:
            for table_id in table_ids:
                request = JobRequest(
                    project_id=self._deployment.project_id,
                    kind=JobKind.REFRESH_SCHEMA,
                    queue=Queue.BULK,
                    max_attempts=1,
                    table_id=table_id,
                )
                enqueue(session, request)

    def _count(self, state: JobState) -> int:
        statement = select(func.count()).where(
            Job.queue == Queue.BULK.value, Job.state == state.value
        )
        with self._database.read() as session:
            return session.scalars(statement).one()

    def _reads(self) -> list[Read]:
        statement = select(Job.created_at, Job.started_at, Job.finished_at).where(
            Job.queue == Queue.BULK.value
        )
        with self._database.read() as session:
            return [
                Read(created_at=created, started_at=started, finished_at=finished)
                for created, started, finished in session.execute(statement)
            ]


@contextmanager
def long_reads(deployment: Deployment) -> Iterator[LongReads]:
    """Start a worker and have all of its children read until the block ends."""
    folder = deployment.sources / "long"
    folder.mkdir()
    commits(folder, LOG_COMMITS)
    stop = threading.Event()
    with (
        ringing_database(deployment.settings) as database,
        BulkWorker(deployment.settings, deployment.place("worker")),
        ThreadPoolExecutor(1) as pool,
    ):
        reads = LongReads(deployment, database, f"file://{folder}")
        feeding = pool.submit(reads.keep_ahead, stop)
        try:
            wait_until(reads.in_every_child, "a long read in every child")
            yield reads
        finally:
            stop.set()
        feeding.result()  # raises what ended it early


@contextmanager
def ringing_database(settings: dict[str, str]) -> Iterator[Database]:
    """Open a deployment's database for a process that puts jobs in itself."""
    doorbell = CeleryDoorbell(Settings(broker_url=SecretStr(settings["BROKER_URL"])))
    database = Database(settings["DATABASE_URL"], doorbell.ring)
    try:
        yield database
    finally:
        database.dispose()
        doorbell.close()


def proof_of(
    reads: Sequence[Read], opened_at: datetime, closed_at: datetime, children: int
) -> Proof:
    """Return what the reads say of that window."""
    spent = sum(_seconds_within(each, opened_at, closed_at) for each in reads)
    return Proof(
        least_waiting=_least_waiting(reads, opened_at, closed_at),
        share=spent / (children * (closed_at - opened_at).total_seconds()),
        ended=sum(
            each.finished_at is not None and opened_at <= each.finished_at <= closed_at
            for each in reads
        ),
    )


def _least_waiting(reads: Sequence[Read], opened_at: datetime, closed_at: datetime) -> int:
    """Return the fewest reads that waited at any moment: one waits from its row until a child
    begins, and only a beginning makes them fewer.
    """
    begun = (each.started_at for each in reads if each.started_at is not None)
    moments = [opened_at, *(moment for moment in begun if opened_at <= moment <= closed_at)]
    return min(sum(_waits(each, moment) for each in reads) for moment in moments)


def _waits(read: Read, at: datetime) -> bool:
    return read.created_at <= at and (read.started_at is None or read.started_at > at)


def _seconds_within(read: Read, opened_at: datetime, closed_at: datetime) -> float:
    if read.started_at is None:
        return 0.0
    ended_at = min(read.finished_at or closed_at, closed_at)
    return max(0.0, (ended_at - max(read.started_at, opened_at)).total_seconds())
