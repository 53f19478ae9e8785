"""A batch of tables that were read before, ready to be swept: what tests of sweeps begin with."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import select

from benchmarks.sources import delta_tables
from stocktake.db.models import Job, JobAttempt, Table
from stocktake.db.session import Database
from stocktake.jobs import sweeps
from stocktake.jobs.sweeps import Chunk
from stocktake.readers.source import no_progress
from stocktake.runs import expand_batch, refresh_schema
from stocktake.runs.attempt import Attempt
from stocktake.services import batches
from stocktake.settings import Settings
from stocktake.states import JobKind
from tasks.base import Runtime
from tests.integration.runs.conftest import Desk
from tests.support.rows import (
    LEASE_SECONDS,
    RecordedRings,
    claimed,
    context,
    enqueue,
    make_table,
    process_of,
    refresh_of,
)

WORKER = "node/s/7"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Tables of one project, and batches of them."""

    desk: Desk
    rings: RecordedRings

    @property
    def database(self) -> Database:
        return self.desk.database

    def table(self, name: str, format_: str, url: str, **values: Any) -> UUID:
        with self.database.write() as session:
            project_id = values.pop("project_id", self.desk.project_id)
            values = {"format": format_, "url_pattern": url} | values
            return make_table(session, project_id, name, **values).id

    def delta(self, count: int) -> list[UUID]:
        """Delta tables of one commit, each read once."""
        urls = delta_tables(self.desk.sources, count)
        made = [self.table(f"d{n}", "Delta", url) for n, url in enumerate(urls)]
        self.read(made)
        return made

    def parquet(self, name: str = "files", count: int = 2, **values: Any) -> UUID:
        """A table of Parquet files, read once."""
        folder = self.desk.sources / name
        folder.mkdir()
        for number in range(count):
            pq.write_table(pa.table({"id": [number]}), folder / f"{number}.parquet")
        made = self.table(name, "Parquet", f"file://{folder}/*.parquet", **values)
        self.read([made])
        return made

    def read(self, tables: Sequence[UUID]) -> None:
        """Refresh each, as a request of its own does."""
        for table_id in tables:
            job_id = enqueue(self.database, refresh_of(self.row(table_id)))
            self.desk.run(job_id, refresh_schema.run)
        self.rings.take()

    def row(self, table_id: UUID) -> Table:
        with self.database.read() as session:
            return session.get_one(Table, table_id)

    def batch(self, **settings: Any) -> UUID:
        """A bulk refresh of all tables, expanded; its first ring is forgotten."""
        batch_id = self.accepted()
        self.rings.take()
        self.expand(batch_id, **settings)
        return batch_id

    def accepted(self) -> UUID:
        with context(self.database, self.desk.settings, self.desk.project_id) as ctx:
            return batches.create(ctx, {"all": True}).id

    def expand(self, batch_id: UUID, *, chunk: int = expand_batch.CHUNK, **settings: Any) -> None:
        with self.database.read() as session:
            of_batch = Job.batch_id == batch_id, Job.kind == JobKind.EXPAND_BATCH.value
            job_id = session.scalars(select(Job.id).where(*of_batch)).one()
        attempt = Attempt(
            claim=claimed(self.database, job_id, worker="node/s/1"),
            process=process_of(self.database, self.settings(**settings)),
            progress=no_progress,
        )
        expand_batch.run(attempt, chunk=chunk)

    def settings(self, **changes: Any) -> Settings:
        return self.desk.settings.model_copy(update={"sweep_chunk": 50} | changes)

    def runtime(self, database: Database | None = None, **settings: Any) -> Runtime:
        return Runtime(
            process=process_of(database or self.database, self.settings(**settings)),
            watch=lambda _runtime, _claim: nullcontext(no_progress),
        )

    def claim(self, batch_id: UUID, most: int = 50, worker: str = WORKER) -> Chunk | None:
        with self.database.write() as session:
            return sweeps.claim(
                session, batch_id, worker=worker, lease_seconds=LEASE_SECONDS, most=most
            )

    def claimed(self, batch_id: UUID, most: int = 50, worker: str = WORKER) -> Chunk:
        chunk = self.claim(batch_id, most, worker)
        assert chunk is not None
        return chunk

    def jobs(self, batch_id: UUID) -> list[Job]:
        """The batch's refreshes, in the order of their tables."""
        refreshes = Job.batch_id == batch_id, Job.kind == JobKind.REFRESH_SCHEMA.value
        with self.database.read() as session:
            return list(session.scalars(select(Job).where(*refreshes).order_by(Job.table_id)))

    def job_of(self, batch_id: UUID, table_id: UUID) -> Job:
        [found] = [job for job in self.jobs(batch_id) if job.table_id == table_id]
        return found

    def attempts(self, job_id: UUID) -> list[JobAttempt]:
        mine = select(JobAttempt).where(JobAttempt.job_id == job_id).order_by(JobAttempt.number)
        with self.database.read() as session:
            return list(session.scalars(mine))

    def states(self, batch_id: UUID) -> list[str]:
        return [job.state for job in self.jobs(batch_id)]


def never() -> bool:
    return False


def commit(folder: Path, version: int = 1) -> None:
    """One more commit in a Delta table's log: it says nothing, and is a version."""
    (folder / "_delta_log" / f"{version:020}.json").write_text('{"commitInfo":{}}\n')
