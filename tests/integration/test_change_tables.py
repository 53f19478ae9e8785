"""Batches that change or delete their tables: in chunks, fenced, gone on with, audited."""

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select, update

from stocktake.db.models import AuditEntry, Job, Table
from stocktake.db.session import Database
from stocktake.errors import StaleAttemptError
from stocktake.runs import change_tables
from stocktake.runs.attempt import Attempt
from stocktake.services import batches
from stocktake.services.batches import BatchView
from stocktake.settings import Settings
from stocktake.states import BatchAction, JobState
from tests.support.rows import (
    claimed,
    context,
    enqueue,
    job,
    make_project,
    make_tables,
    process_of,
    refresh_of,
    settings_for,
)

TABLES = 5


@pytest.fixture
def settings(migrated_database_url: str, tmp_path: Path) -> Settings:
    return settings_for(migrated_database_url, tmp_path / "data")


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    opened = Database(settings.database_url, lambda _: None)
    yield opened
    opened.dispose()


@pytest.fixture
def tables(database: Database) -> list[Table]:
    with database.write() as session:
        return make_tables(session, make_project(session).id, TABLES)


Start = Callable[..., BatchView]


@pytest.fixture
def start(database: Database, settings: Settings, tables: list[Table]) -> Start:
    def begin(action: BatchAction, selector: dict[str, object], **arguments: object) -> BatchView:
        with context(database, settings, tables[0].project_id) as edge:
            return batches.create(edge, selector, action=action, arguments=arguments or None)

    return begin


def run(database: Database, settings: Settings, job_id: UUID, chunk: int = 2) -> list[object]:
    told: list[object] = []
    attempt = Attempt(
        claim=claimed(database, job_id),
        process=process_of(database, settings),
        progress=lambda *so_far: told.append(so_far),
    )
    change_tables.run(attempt, chunk=chunk)
    return told


def view(database: Database, settings: Settings, tables: list[Table], batch_id: UUID) -> BatchView:
    with context(database, settings, tables[0].project_id) as edge:
        return batches.get(edge, batch_id)


def test_tables_that_match_are_deleted_with_their_jobs(
    database: Database, settings: Settings, tables: list[Table], start: Start
) -> None:
    sourced, kept, *gone = tables
    with database.write() as session:
        session.execute(update(Table).values(error_code="internal"))
        session.execute(
            update(Table)
            .where(Table.id == sourced.id)
            .values(external_data_source={"id": "1", "source_type": "Stripe"})
        )
        session.execute(update(Table).where(Table.id == kept.id).values(error_code=None))
    waiting = enqueue(database, refresh_of(gone[0]))
    batch = start(BatchAction.DELETE, {"state": "failing"})
    with database.write() as session:  # made after somebody has seen what is to be deleted
        [later] = make_tables(session, tables[0].project_id, 1, stem="later")
        later.error_code = "internal"
        later_id = later.id
    told = run(database, settings, batch.expand_job_id)
    assert told == [("change", 2, 3)]
    with database.read() as session:
        live = set(session.scalars(select(Table.id).where(Table.deleted.is_(False))))
        subjects = session.scalars(
            select(AuditEntry.subject).where(AuditEntry.action == "table.delete")
        )
        assert set(subjects) == {str(table.id) for table in gone}
    assert live == {sourced.id, kept.id, later_id}
    assert job(database, waiting).state == JobState.CANCELLED
    seen = view(database, settings, tables, batch.id)
    assert (seen.state, seen.done, seen.total, seen.finished_share) == ("finished", True, 3, 1.0)
    assert job(database, batch.expand_job_id).result == {"action": "delete", "tables": 3}


def test_policies_are_set_and_the_share_is_told_on_the_way(
    database: Database, settings: Settings, tables: list[Table], start: Start
) -> None:
    batch = start(BatchAction.POLICY, {"all": True}, change_policy="manual")
    shares = []

    class StopHereError(Exception):
        pass

    def stop(*_: object) -> None:
        shares.append(view(database, settings, tables, batch.id).finished_share)
        if len(shares) == 2:
            raise StopHereError

    claim = claimed(database, batch.expand_job_id)
    attempt = Attempt(claim=claim, process=process_of(database, settings), progress=stop)
    with pytest.raises(StopHereError):
        change_tables.run(attempt, chunk=2)
    assert shares == [0.4, 0.8]
    # Its process has gone; the next attempt goes on where this one stopped.
    change_tables.run(Attempt(claim=claim, process=attempt.process, progress=lambda *_: None))
    with database.read() as session:
        assert set(session.scalars(select(Table.change_policy))) == {"manual"}
    assert view(database, settings, tables, batch.id).total == TABLES


def test_a_lost_lease_changes_nothing(
    database: Database, settings: Settings, tables: list[Table], start: Start
) -> None:
    batch = start(BatchAction.DELETE, {"all": True})
    claim = claimed(database, batch.expand_job_id)
    with database.write() as session:
        session.execute(update(Job).where(Job.id == claim.job_id).values(attempt=2))
    attempt = Attempt(claim=claim, process=process_of(database, settings), progress=lambda *_: None)
    with pytest.raises(StaleAttemptError):
        change_tables.run(attempt)
    with database.read() as session:
        assert not session.scalars(select(Table.id).where(Table.deleted.is_(True))).all()


def test_a_cancel_stops_it_between_two_chunks(
    database: Database, settings: Settings, tables: list[Table], start: Start
) -> None:
    batch = start(BatchAction.DELETE, {"all": True})
    claim = claimed(database, batch.expand_job_id)

    def cancel(*_: object) -> None:
        with context(database, settings, tables[0].project_id) as edge:
            batches.cancel(edge, batch.id)

    attempt = Attempt(claim=claim, process=process_of(database, settings), progress=cancel)
    change_tables.run(attempt, chunk=2)
    seen = view(database, settings, tables, batch.id)
    assert (seen.state, seen.done, seen.counts["succeeded"]) == ("cancelled", True, 2)
