"""Expansions that are interrupted, repeated, cancelled or raced, on both databases."""

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from stocktake.catalog.selection import parse_selector, select_tables
from stocktake.db.clock import now
from stocktake.db.models import Batch, BatchItem, Job, Table
from stocktake.db.session import Database
from stocktake.errors import StaleAttemptError, StorageThrottledError
from stocktake.jobs import leases, rescue
from stocktake.jobs.leases import Claim, RetryPolicy
from stocktake.runs import expand_batch
from stocktake.runs.attempt import Attempt
from stocktake.services import batches
from stocktake.settings import Settings
from stocktake.states import JobKind
from tests.support.rows import (
    RecordedRings,
    claimed,
    context,
    enqueue,
    job,
    make_project,
    make_tables,
    process_of,
    race,
    refresh_of,
    settings_for,
)

AT_ONCE = RetryPolicy(base_seconds=0.0, max_seconds=0.0)
TABLES = 7


@pytest.fixture
def rings() -> RecordedRings:
    return RecordedRings()


@pytest.fixture
def settings(migrated_database_url: str, tmp_path: Path) -> Settings:
    return settings_for(migrated_database_url, tmp_path / "data")


@pytest.fixture
def database(settings: Settings, rings: RecordedRings) -> Iterator[Database]:
    opened = Database(settings.database_url, rings.ring)
    yield opened
    opened.dispose()


@pytest.fixture
def tables(database: Database) -> list[Table]:
    with database.write() as session:
        return make_tables(session, make_project(session).id, TABLES)


@pytest.fixture
def start(
    database: Database, settings: Settings, tables: list[Table]
) -> Callable[[], tuple[UUID, UUID]]:
    """Start a batch of all tables: its id and that of its expansion."""

    def begin() -> tuple[UUID, UUID]:
        with context(database, settings, tables[0].project_id) as edge:
            view = batches.create(edge, {"all": True})
        return view.id, view.expand_job_id

    return begin


def test_a_table_without_an_accepted_upload_is_left_out(
    database: Database, settings: Settings, tables: list[Table]
) -> None:
    """A first upload that failed must not make every nightly run fail again."""
    untried, uploaded, loaded, *linked = sorted(table.id for table in tables)
    managed = update(Table).values(managed=True)
    with database.write() as session:
        session.execute(managed.where(Table.id == untried))
        session.execute(managed.where(Table.id == uploaded).values(upload_id=uploaded))
        session.execute(managed.where(Table.id == loaded).values(last_refreshed_at=now()))
    for raw in ({"all": True}, {"tables": [str(table.id) for table in tables]}):
        with database.read() as session:
            chosen = select_tables(
                session, tables[0].project_id, parse_selector(raw), after=None, limit=TABLES
            )
        assert chosen.ids == [uploaded, loaded, *linked]


def _attempt(
    database: Database,
    settings: Settings,
    claim: Claim,
    progress: Callable[[str, int, int | None], None] = lambda *_: None,
) -> Attempt:
    return Attempt(
        claim=claim,
        process=process_of(database, settings),
        progress=progress,
    )


def _refreshes(database: Database) -> int:
    with database.read() as session:
        kind = Job.kind == JobKind.REFRESH_SCHEMA.value
        return session.scalar(select(func.count()).select_from(Job).where(kind)) or 0


def _items(database: Database, batch_id: UUID) -> int:
    with database.read() as session:
        mine = select(func.count()).where(BatchItem.batch_id == batch_id)
        return session.scalar(mine) or 0


class StopHereError(Exception):
    """Ends an attempt between two chunks, as a killed worker would."""


def _stop_after(chunks: int) -> Callable[[str, int, int | None], None]:
    left = [chunks]

    def progress(*_: object) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise StopHereError

    return progress


@pytest.mark.parametrize("chunk", [1, 3, 7, 8])
def test_every_table_gets_one_job_whatever_the_chunk(
    database: Database,
    settings: Settings,
    start: Callable[[], tuple[UUID, UUID]],
    rings: RecordedRings,
    chunk: int,
) -> None:
    batch_id, expansion = start()
    rings.take()
    expand_batch.run(_attempt(database, settings, claimed(database, expansion)), chunk=chunk)
    assert _refreshes(database) == _items(database, batch_id) == TABLES
    assert len(rings.take()) == TABLES
    ended = job(database, expansion)
    assert ended.state == "succeeded"
    assert ended.result == {"tables": TABLES, "jobs": TABLES, "deduplicated": 0}


def test_a_second_attempt_goes_on_where_the_first_one_stopped(
    database: Database,
    settings: Settings,
    start: Callable[[], tuple[UUID, UUID]],
    tables: list[Table],
) -> None:
    batch_id, expansion = start()
    first = claimed(database, expansion)
    with pytest.raises(StopHereError):
        expand_batch.run(_attempt(database, settings, first, _stop_after(2)), chunk=2)
    assert _items(database, batch_id) == 4
    with database.write() as session:
        leases.fail(session, first, StorageThrottledError("x"), AT_ONCE)
        # What was made is at work already: a repeated table would get a second job.
        session.execute(update(Job).where(Job.table_id == tables[0].id).values(state="succeeded"))
    expand_batch.run(_attempt(database, settings, claimed(database, expansion)), chunk=2)
    assert _refreshes(database) == TABLES
    assert job(database, expansion).result == {"tables": 7, "jobs": 7, "deduplicated": 0}


def test_an_attempt_that_lost_its_lease_adds_nothing(
    database: Database, settings: Settings, start: Callable[[], tuple[UUID, UUID]]
) -> None:
    batch_id, expansion = start()
    frozen = claimed(database, expansion, worker="node/frozen", lease_seconds=-1.0)
    with database.write() as session:
        assert rescue.rescue_expired(session, [expansion], AT_ONCE) == 1
    with pytest.raises(StaleAttemptError):
        expand_batch.run(_attempt(database, settings, frozen))
    assert _items(database, batch_id) == 0
    assert _refreshes(database) == 0


def test_a_lease_lost_between_two_chunks_stops_the_expansion(
    database: Database, settings: Settings, start: Callable[[], tuple[UUID, UUID]]
) -> None:
    batch_id, expansion = start()
    frozen = claimed(database, expansion)

    def lose(*_: object) -> None:
        with database.write() as session:
            leases.fail(session, frozen, StorageThrottledError("x"), AT_ONCE)

    with pytest.raises(StaleAttemptError):
        expand_batch.run(_attempt(database, settings, frozen, lose), chunk=3)
    assert _items(database, batch_id) == 3


def test_a_cancel_between_two_chunks_stops_the_expansion(
    database: Database,
    settings: Settings,
    start: Callable[[], tuple[UUID, UUID]],
    tables: list[Table],
) -> None:
    batch_id, expansion = start()

    def cancel(*_: object) -> None:
        with context(database, settings, tables[0].project_id) as edge:
            batches.cancel(edge, batch_id)

    expand_batch.run(_attempt(database, settings, claimed(database, expansion), cancel), chunk=3)
    assert job(database, expansion).state == "cancelled"
    assert _items(database, batch_id) == 3
    with context(database, settings, tables[0].project_id) as edge:
        seen = batches.get(edge, batch_id)
    assert (seen.state.value, seen.done, seen.counts["cancelled"]) == ("cancelled", True, 3)


def test_the_expansion_keeps_its_lease(
    database: Database, settings: Settings, start: Callable[[], tuple[UUID, UUID]]
) -> None:
    _, expansion = start()
    claim = claimed(database, expansion, lease_seconds=1.0)
    seen: list[bool] = []

    def look(*_: object) -> None:
        with database.read() as session:
            alive = Job.lease_expires_at > now(settings.lease_seconds - 10)
            seen.append(
                session.scalars(select(Job.id).where(Job.id == expansion, alive)).all() != []
            )

    expand_batch.run(_attempt(database, settings, claim, look), chunk=3)
    assert seen == [True, True]


def test_batches_cancels_rings_and_refreshes_at_once_end_without_a_deadlock(
    database: Database,
    settings: Settings,
    start: Callable[[], tuple[UUID, UUID]],
    tables: list[Table],
) -> None:
    """They lock the same tables and jobs; each must do so in the same order, or not wait."""
    started = [start() for _ in range(4)]

    def run(expansion: UUID) -> None:
        expand_batch.run(_attempt(database, settings, claimed(database, expansion)), chunk=3)

    def cancel(batch_id: UUID) -> None:
        with context(database, settings, tables[0].project_id) as edge:
            batches.cancel(edge, batch_id)

    def ring() -> None:
        for _ in range(10):
            with database.read() as session:
                every = session.scalars(select(Job.id).order_by(Job.id.desc())).all()
            with database.write() as session:
                session.execute(
                    update(Job)
                    .where(
                        Job.id.in_(
                            select(Job.id)
                            .where(Job.id.in_(every))
                            .with_for_update(skip_locked=True)
                            .scalar_subquery()
                        )
                    )
                    .values(rung_at=None)
                )
                rescue.ring_again(session, every, ring_again_seconds=0.001)

    def refresh() -> None:
        for table in reversed(tables):
            enqueue(database, refresh_of(table))

    race(
        *(lambda expansion=expansion: run(expansion) for _, expansion in started[:3]),
        lambda: cancel(started[3][0]),
        ring,
        refresh,
    )
    with database.read() as session:
        waiting = session.execute(
            select(Job.table_id, func.count())
            .where(Job.kind == JobKind.REFRESH_SCHEMA.value, Job.state == "queued")
            .group_by(Job.table_id)
        ).all()
        done = session.scalars(select(Batch).where(Batch.expanded_at.is_not(None))).all()
    assert {count for _, count in waiting} == {1}
    assert len(waiting) == TABLES
    assert len(done) == 3
