"""Each way to cancel jobs rings for whoever is next, and ends or asks just the jobs it should."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy.orm import Session

from stocktake.db.models import Batch, Job, Table
from stocktake.db.session import Database
from stocktake.jobs import cancelling, leases
from stocktake.jobs.shares import Presence
from stocktake.services import batches, jobs, table_changes, tables
from stocktake.services.context import Context
from stocktake.states import JobKind, Queue
from tests.support.rows import (
    RecordedRings,
    claimed,
    context,
    enqueue,
    job,
    make_tables,
    refresh_of,
    settings_for,
)

Way = Callable[[Context, Job], object]


def _supersede(ctx: Context, each: Job) -> Sequence[Job]:
    assert each.table_id is not None
    kinds = [JobKind.REFRESH_SCHEMA]
    return cancelling.supersede(ctx.session, each.table_id, kinds=kinds, detail="x")


def _change_table(ctx: Context, each: Job) -> None:
    assert each.table_id is not None
    table_changes.change(ctx, each.table_id, {"options": {"public": True}})


#: The ways, each with the kind of the job that it ends.
WAYS: dict[str, tuple[JobKind, Way]] = {
    "a job": (JobKind.REFRESH_SCHEMA, lambda ctx, it: jobs.cancel_job(ctx, it.id)),
    "a table's jobs": (JobKind.REFRESH_SCHEMA, _supersede),
    "what a change makes void": (JobKind.VALIDATE_COLUMNS, _change_table),
    "a batch": (JobKind.REFRESH_SCHEMA, lambda ctx, it: batches.cancel(ctx, _id(it.batch_id))),
    "a table": (JobKind.REFRESH_SCHEMA, lambda ctx, it: tables.delete(ctx, _id(it.table_id))),
}


def _id(given: UUID | None) -> UUID:
    assert given is not None
    return given


@pytest.fixture
def ask(
    database: Database, migrated_database_url: str, tmp_path: Path, project
) -> Callable[[], AbstractContextManager]:
    @contextmanager
    def asking() -> Iterator[Context]:
        with context(database, settings_for(migrated_database_url, tmp_path), project.id) as ctx:
            yield ctx

    return asking


def _one_place(session: Session) -> None:
    Presence(worker="node", places=1, project_places=1, lease_seconds=30).keep(session)


def _batch_of(session: Session, table: Table) -> Batch:
    """A batch that has made all its jobs."""
    batch = Batch(project_id=table.project_id, selector={"all": True}, expanded_at=table.created_at)
    session.add(batch)
    session.flush()
    return batch


def _enqueue(database: Database, table: Table, kind: JobKind, **more) -> UUID:
    return enqueue(database, refresh_of(table, kind=kind, queue=Queue.BULK, **more))


def _finish(database: Database, job_id: UUID) -> None:
    """Let a job end as if its worker had done it."""
    won = claimed(database, job_id)
    with database.write() as session:
        leases.succeed(session, won, {})


@pytest.mark.parametrize("way", WAYS)
def test_who_waits_for_a_turn_is_rung_for_when_the_job_before_is_cancelled(
    database: Database, rings: RecordedRings, project, ask, way: str
) -> None:
    kind, cancel = WAYS[way]
    with database.write() as session:
        table, other = make_tables(session, project.id, 2)
        batch = _batch_of(session, table)
    expansion = _enqueue(database, table, JobKind.EXPAND_BATCH, table_id=None, batch_id=batch.id)
    _finish(database, expansion)
    with database.write() as session:
        _one_place(session)
    rings.take()
    first = _enqueue(database, table, kind, batch_id=batch.id)
    waiting = _enqueue(database, other, JobKind.REFRESH_SCHEMA)
    assert rings.take() == [first], "the one place is taken"
    assert job(database, waiting).rung_at is None

    with ask() as ctx:
        cancel(ctx, job(database, first))

    assert job(database, first).state == "cancelled"
    assert job(database, first).finished_at is not None
    assert waiting in rings.take()
    assert job(database, waiting).rung_at is not None


@pytest.mark.parametrize("way", ["a job", "a table's jobs"])
def test_the_upload_behind_a_cancelled_one_is_rung_for(
    database: Database, rings: RecordedRings, table: Table, ask, way: str
) -> None:
    older, younger = (_enqueue(database, table, JobKind.INGEST_FILE) for _ in range(2))
    rings.take()
    with ask() as ctx:
        if way == "a job":
            jobs.cancel_job(ctx, older)
        else:
            cancelling.supersede_jobs(ctx.session, [older], detail="A newer file came.")
    assert rings.take() == [younger]


def test_nothing_is_rung_for_where_the_cancelled_job_runs(
    database: Database, rings: RecordedRings, table: Table, ask
) -> None:
    """It ends by its own attempt, and that rings."""
    running = claimed(database, enqueue(database, refresh_of(table))).job_id
    rings.take()
    with ask() as ctx:
        jobs.cancel_job(ctx, running)
    asked = job(database, running)
    assert (asked.state, asked.cancel_requested_at is not None) == ("running", True)
    assert rings.take() == []
