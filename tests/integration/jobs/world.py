"""Two processes' worth of the service over one database, whose steps may be struck by a fault."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from celery.exceptions import Ignore, Retry
from sqlalchemy import delete, update
from sqlalchemy.exc import OperationalError

from stocktake.clock.ticks import ClockWork
from stocktake.db.clock import now
from stocktake.db.models import Base, Job, Table, WorkerPool
from stocktake.db.session import Database
from stocktake.errors import HandedBackError, JobError, StaleAttemptError, WorkerLostError
from stocktake.jobs import leases, rescue
from stocktake.jobs.leases import Claim
from stocktake.jobs.queueing import enqueue
from stocktake.jobs.shares import Presence
from stocktake.jobs.sweeps import Chunk
from stocktake.parts import managed_storage
from stocktake.readers.source import Coverage, Introspection, no_progress
from stocktake.runs import expand_batch, ingest_file, refresh_schema, sweep, validate_columns
from stocktake.runs.attempt import Attempt
from stocktake.runs.opening import TableSource
from stocktake.runs.sweep_probes import Seen
from stocktake.schema.columns import Column
from stocktake.services import idempotency
from stocktake.services.context import Context
from stocktake.settings import Settings
from stocktake.states import JobKind, Queue
from tasks.base import JobFailed, Runtime, run_attempt
from tasks.sweep import run_sweep
from tests.integration.jobs.killing import Fault, Killer, Struck
from tests.integration.jobs.promises import Rows, check_moment, check_step, look
from tests.integration.runs.conftest import Desk
from tests.support.rows import (
    RecordedRings,
    context,
    make_project,
    make_tables,
    process_of,
    refresh_of,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One process: its connections, its clock, and its place to work."""

    database: Database
    runtime: Runtime
    clock: ClockWork
    desk: Desk


@dataclass(slots=True, kw_only=True)
class World:
    """The rows as last seen, and what the outside knows that the rows do not say.

    Attributes:
        source_version: of every source; a read finds the one of its moment.
        must_see: by refresh job, the version that was there when a request was answered with it.
        looked: by sweep, the version that its look met, and the jobs whose tables had it already.
        others: tables of another project, each of which is read now and then.
        places: for anybody's jobs, and for one project's; none: no worker is known.
    """

    processes: Sequence[Process]
    rings: RecordedRings
    killer: Killer
    rows: Rows
    project_id: int
    others: Sequence[UUID] = ()
    places: tuple[int, int] = (0, 0)
    source_version: int = 0
    must_see: dict[UUID, int] = field(default_factory=dict)
    seen: dict[tuple[UUID, int], int] = field(default_factory=dict)
    looked: dict[str, tuple[int, set[UUID]]] = field(default_factory=dict)

    @contextmanager
    def step(self, fault: Fault | None = None) -> Iterator[Struck]:
        """One operation; afterwards the rows are looked at and held to the promises.

        An operation that was struck before any of its commits has changed nothing at all.
        """
        before = self.rows
        with self.killer.striking(fault) as struck:
            try:
                yield struck
            except OperationalError:
                if not struck.fired:
                    raise
        self.rows = look(self.processes[0].database)
        if struck.fired and not struck.commits:
            assert self.rows == before
        check_step(before, self.rows)
        check_moment(self.rows)
        for job_id, version in self.must_see.items():
            if result := self.rows.jobs[job_id]["result"]:
                assert result["source_version"] >= version, "the read began before the request"

    def ask(self, at: int, project_id: int | None = None) -> Any:
        """A request's transaction in the process."""
        process = self.processes[at]
        project_id = project_id or self.project_id
        return context(process.database, process.desk.settings, project_id)

    def answered(
        self, at: int, key: str | None, work: Callable[[Context], UUID]
    ) -> tuple[UUID, bool]:
        """A POST, as the API guards it; the job's id, and whether it was answered before."""
        with self.ask(at) as ctx:
            if key is None:
                return work(ctx), False
            guard = idempotency.make_key(self.project_id, key, b"POST")
            if (earlier := idempotency.begin(ctx.session, guard)) is not None:
                return UUID(earlier.body), True
            job_id = work(ctx)
            answer = idempotency.StoredAnswer(status=202, body=str(job_id))
            idempotency.keep(ctx.session, guard, answer, final=True)
            return job_id, False

    def have_places(self, places: int, project_places: int) -> None:
        """Workers come, or go: so many children are for anybody's jobs."""
        self.places = (places, project_places)
        with self.processes[0].database.write() as session:
            session.execute(delete(WorkerPool))
            if places:
                presence = Presence(
                    worker="node", places=places, project_places=project_places, lease_seconds=1e6
                )
                presence.keep(session)

    def has_place(self, job: dict[str, Any]) -> bool:
        """Whether a child may take it, by what runs."""
        running = [
            each
            for each in self.rows.jobs.values()
            if each["state"] == "running" and each["lease_expires_at"] > datetime.now(UTC)
        ]
        children = {(each["project_id"], each["worker"]) for each in running}
        own = sum(project_id == job["project_id"] for project_id, _ in children)
        places, project_places = self.places
        anybody = len(children) < places and own < project_places
        yielded = any(
            each["state"] == "queued"
            and each["yielded_at"] is not None
            and each["project_id"] == job["project_id"]
            for each in self.rows.jobs.values()
        )
        reserve = job["queue"] == Queue.INTERACTIVE and not own and not yielded
        return not places or anybody or reserve

    def refresh_other(self, table_id: UUID, at: int) -> None:
        """The other project asks for a read of a table of its own."""
        with self.processes[at].database.write() as session:
            table = session.get_one(Table, table_id)
            enqueue(session, refresh_of(table))

    def owns(self, held: Claim) -> bool:
        """Whether the attempt is still the job's."""
        job = self.rows.jobs[held.job_id]
        return bool(job["state"] == "running" and job["attempt"] == held.attempt)

    def void(self, held: Claim) -> bool:
        """Whether the table changed since the claim."""
        if held.table_id is None:
            return False
        table = self.rows.tables[held.table_id]
        return bool(table["deleted"] or table["generation"] != held.generation)

    def read(self, held: Claim) -> None:
        """The attempt reads its source now; what it found is written later, or never."""
        self.seen.setdefault((held.job_id, held.attempt), self.source_version)

    def finish(self, held: Claim, at: int) -> str:
        """Do the rest of the attempt as a worker's child does; how Celery sees it end."""
        process = self.processes[at]

        def work(attempt: Attempt) -> None:
            if held.kind is JobKind.REFRESH_SCHEMA:
                self.read(held)
                refresh_schema.store(attempt, found_at(self.seen[held.job_id, held.attempt]))
            elif held.kind is JobKind.EXPAND_BATCH:
                expand_batch.run(attempt, chunk=1)
            else:
                runs = {
                    JobKind.VALIDATE_COLUMNS: validate_columns,
                    JobKind.INGEST_FILE: ingest_file,
                }
                runs[held.kind].run(attempt)

        return self._attempt(process, held, work)

    def batches(self) -> list[UUID]:
        """Those of which there are jobs."""
        found = {job["batch_id"] for job in self.rows.jobs.values()}
        return sorted(each for each in found if each is not None)

    def could_sweep(self, batch_id: UUID) -> set[UUID]:
        """The jobs that a sweep of the batch may take, if there is a place."""
        return {
            job["id"]
            for job in self.rows.jobs.values()
            if job["batch_id"] == batch_id
            and job["sweepable"]
            and (job["state"], job["attempt"], job["queue"]) == ("queued", 0, Queue.BULK)
            and job["next_run_at"] <= datetime.now(UTC)
            and not any(each["state"] == "running" for each in self.rows.siblings(job))
        }

    def look(self, chunk: Chunk) -> None:
        """The sweep looks at its sources now: at which of them the last read still holds."""
        unchanged = {
            claim.job_id
            for claim in chunk.claims
            if (table := self.rows.tables[claim.table_id])
            and (table["source_state"] or {}).get("version") == self.source_version
            and table["source_state"]["generation"] == claim.generation
        }
        self.looked.setdefault(chunk.worker, (self.source_version, unchanged))

    def finish_sweep(self, chunk: Chunk, at: int) -> str:
        """Do the rest of a sweep as a worker's child does; what Flower shows."""
        self.look(chunk)
        version, unchanged = self.looked[chunk.worker]

        def seen(process: Any, claims: Sequence[Claim], *, stopping: Any) -> Seen:
            source = TableSource(
                source=None,  # type: ignore[arg-type]  # nobody opens it
                managed=False,
                stored=(),
                source_state=None,
                validated_state=None,
            )
            found = replace(
                found_at(version), coverage=Coverage(files_matched=1, unchanged=True), columns=()
            )
            ids = {claim.job_id for claim in claims}
            return Seen(
                unchanged=dict.fromkeys(ids & unchanged, (source, found)),
                passed_on=dict.fromkeys(ids - unchanged, "changed"),
            )

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sweep, "look", seen)
            return run_sweep(self.processes[at].runtime, chunk, sweep.run)

    def fail(self, held: Claim, at: int, error: JobError) -> None:
        """The attempt raises this error, or its parent reports it lost."""
        process = self.processes[at]

        def work(_: Attempt) -> None:
            raise error

        if isinstance(error, WorkerLostError):
            with process.database.write() as session:
                retry = process.runtime.retry
                rescue.end_lost(session, held.job_id, held.worker, error, retry)
        elif isinstance(error, HandedBackError):
            with suppress(StaleAttemptError), process.database.write() as session:
                leases.hand_back(session, held, error)
        else:
            self._attempt(process, held, work)

    def _attempt(self, process: Process, held: Claim, work: Callable[[Attempt], None]) -> str:
        try:
            run_attempt(process.runtime, held, work)
        except (Ignore, Retry, JobFailed) as exc:
            return type(exc).__name__
        return "success"

    def let_time_pass(self, job_id: UUID) -> None:
        """The job's lease runs out, its retry is due, and nobody has rung for it for long."""
        with self.processes[0].database.write() as session:
            session.execute(
                update(Job)
                .where(Job.id == job_id, Job.finished_at.is_(None))
                .values(next_run_at=now(-1), rung_at=now(-3600))
                .execution_options(synchronize_session=False)
            )
            session.execute(
                update(Job)
                .where(Job.id == job_id, Job.lease_expires_at.is_not(None))
                .values(lease_expires_at=now(-1))
                .execution_options(synchronize_session=False)
            )


def found_at(version: int) -> Introspection:
    """What a read of any source finds at this version."""
    names = ["id", *(f"c{number}" for number in range(version % 3))]
    return Introspection(
        columns=tuple(Column.of(name, "Nullable(String)") for name in names),
        source_version=version,
        row_count=None,
        size_bytes=version,
        state={"version": version},
        coverage=Coverage(files_matched=1, files_read=1),
    )


def make_world(
    databases: Sequence[Database], rings: RecordedRings, killer: Killer, settings: Settings
) -> World:
    """An empty database with one project."""
    with databases[0].write() as session:
        for table in reversed(Base.metadata.sorted_tables):
            session.execute(delete(table))
        project_id = make_project(session).id
        others = [table.id for table in make_tables(session, make_project(session).id, 3)]
    rings.take()
    return World(
        processes=[_process(each, settings, project_id) for each in databases],
        rings=rings,
        killer=killer,
        rows=look(databases[0]),
        project_id=project_id,
        others=others,
    )


def _process(database: Database, settings: Settings, project_id: int) -> Process:
    storage = managed_storage(settings)
    runtime = Runtime(
        process=process_of(database, settings),
        watch=lambda _runtime, _claim: nullcontext(no_progress),
    )
    return Process(
        database=database,
        runtime=runtime,
        clock=ClockWork(database, settings, storage, lambda: dict.fromkeys(Queue, 0)),
        desk=Desk(
            database=database,
            settings=settings,
            project_id=project_id,
            sources=Path(settings.local_roots[0]),
        ),
    )
