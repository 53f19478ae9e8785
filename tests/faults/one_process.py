"""The whole service in one process, whose calls to the database a test can count and break.

The API answers over a real socket, the tasks are the worker's own, the clock ticks when it is told
to. There is no broker: what was rung for is done at once, or when the clock rings again.
"""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any
from uuid import UUID

from celery.exceptions import Ignore, Retry
from sqlalchemy import event, select, update
from sqlalchemy.exc import DBAPIError

from stocktake.clock.ticks import ClockWork
from stocktake.db.clock import now
from stocktake.db.models import Job, Schedule
from stocktake.db.session import Database
from stocktake.jobs import leases, sweeps
from stocktake.parts import ProcessParts
from stocktake.readers.source import no_progress
from stocktake.services import identity
from stocktake.settings import Settings
from stocktake.states import CANARY, SWEEP, JobKind, JobState, Queue
from tasks.base import JobFailed, JobTask, Runtime
from tests.faults.calls import Calls
from tests.faults.client import Client
from tests.faults.sources import DeltaSource
from tests.integration.api.conftest import Rings, Served
from tests.support.stack import add_project

#: Far more rounds of clock and worker than any story needs.
_ROUNDS = 40
_OPEN = [state for state in JobState if not state.done]


@dataclass(slots=True, kw_only=True)
class OneProcess:
    """A service, as a test and the oracle see it.

    Attributes:
        database: the test's own view, which is never struck.
        worker: the tasks' database, which is; so are the API's and the clock's.
        source: what all tables are made for.
    """

    settings: Settings
    database: Database
    worker: Database
    clock: ClockWork
    rings: Rings
    calls: Calls
    client: Client
    project_id: int
    source: DeltaSource
    made: int = 0

    def parsed_settings(self) -> Settings:
        """For the oracle."""
        return self.settings

    def logged(self, *_: str) -> list[str]:
        """For the oracle; what is logged pytest shows."""
        return []

    def new_name(self) -> str:
        """A table's name that is free."""
        self.made += 1
        return f"t_{self.made}"

    def do_jobs(self) -> None:
        """Do all that was accepted: a call that goes wrong is made up for by the clock, whose
        distances are passed over."""
        for _ in range(_ROUNDS):
            for job_id, kind in self._rung():
                self.take_message(job_id, kind)
            if not self._open():
                return
            self.let_time_pass()
            self.clock.tick()
        raise AssertionError(f"never ended: {self._open()}")

    def take_message(self, job_id: UUID, kind: JobKind | str) -> None:
        """Do what a worker's child does with a message of the broker."""
        task = getattr(importlib.import_module(f"tasks.{kind}"), str(kind))
        # How a task ends is Celery's to show; the row says what became of the job.
        with suppress(Ignore, Retry, JobFailed, DBAPIError):
            task(str(job_id))

    def claim_and_die(self) -> None:
        """A worker takes what was rung for, and is gone."""
        for named, kind in self._rung():
            claim = leases.claim if kind != SWEEP else partial(sweeps.claim, most=50)
            with self.database.write() as session:
                claim(session, named, worker="gone/1", lease_seconds=60)

    def let_time_pass(self) -> None:
        """All leases run out, what waits is due, and nobody has rung for it lately."""
        with self.database.write() as session:
            waiting = update(Job).where(Job.state == JobState.QUEUED)
            session.execute(waiting.values(next_run_at=now(-1), rung_at=now(-3600)))
            running = update(Job).where(Job.state == JobState.RUNNING)
            session.execute(running.values(lease_expires_at=now(-1)))

    def come_due(self, schedule_id: str) -> None:
        """The moment of a schedule is there."""
        with self.database.write() as session:
            due = update(Schedule).where(Schedule.id == UUID(schedule_id))
            session.execute(due.values(next_fire_at=now(-1)))

    def _rung(self) -> list[tuple[UUID, JobKind | str]]:
        rung, self.rings.rung[:] = list(self.rings.rung), []
        return [(each.job_id, each.kind) for each in rung if each.kind != CANARY]

    def _open(self) -> list[UUID]:
        with self.database.read() as session:
            return list(session.scalars(select(Job.id).where(Job.state.in_(_OPEN))))


class _Still(DeltaSource):
    """Never grows, and so is asked once for what the oracle asks of each table's source."""

    @cache  # noqa: B019 - there is one
    def size_bytes(self) -> int:
        return super().size_bytes()


@contextmanager
def one_process(served: Served, folder: Path) -> Iterator[OneProcess]:
    """Put a worker, a clock and a customer beside an app."""
    calls, settings = Calls(), served.settings
    parts = served.parts
    worker = Database(settings.database_url, served.rings.ring, pool_size=1)
    process = ProcessParts.of(settings, worker)
    clock = ClockWork(worker, settings, process.storage, lambda: dict.fromkeys(Queue, 0))
    project_id = add_project(served.database)
    with served.database.write() as session:
        key = identity.create_key(session, [project_id], ["*"])
    for database in (parts.process.database, worker, served.database):
        _without_sync(database)
    calls.hear(parts.process.database, patient=True)
    calls.hear(worker, patient=False)
    client = Client(served.url, key, project_id)
    before = JobTask.runtime
    JobTask.runtime = Runtime(process=process, watch=lambda *_: nullcontext(no_progress))
    try:
        yield OneProcess(
            settings=settings,
            database=served.database,
            worker=worker,
            clock=clock,
            rings=served.rings,
            calls=calls,
            client=client,
            project_id=project_id,
            source=_Still(folder / "source"),
        )
    finally:
        JobTask.runtime = before
        client.close()
        calls.close()
        worker.dispose()


def _without_sync(database: Database) -> None:
    """No power fails here, and there are thousands of commits."""

    def do_not_sync(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA synchronous=OFF")

    if database.sqlite:
        database.dispose()  # what was opened before
        event.listen(database.engine, "connect", do_not_sync)
