"""Rings for forgotten jobs, and jobs whose worker vanished."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import update

from stocktake.catalog.tables import locked
from stocktake.db.clock import now
from stocktake.db.models import Job, Project, Table
from stocktake.db.session import Database
from stocktake.jobs import counters, leases, rescue
from stocktake.jobs.leases import RetryPolicy
from stocktake.states import JobKind, Queue
from tests.support.rows import RecordedRings, claimed, enqueue, job, make_tables, race, refresh_of

AT_ONCE = RetryPolicy(base_seconds=0.0, max_seconds=0.0)
AGAIN_SECONDS = 5.0


@pytest.fixture
def queued(database: Database, table: Table) -> UUID:
    return enqueue(database, refresh_of(table))


def _set(database: Database, job_id: UUID, **values) -> None:
    with database.write() as session:
        session.execute(update(Job).where(Job.id == job_id).values(**values))


def _due(database: Database, limit: int = 10) -> list[UUID]:
    with database.read() as session:
        found = rescue.due_for_ring(
            session, queue=Queue.INTERACTIVE, limit=limit, ring_again_seconds=AGAIN_SECONDS
        )
        return list(found)


def _ring(database: Database, ids: list[UUID]) -> int:
    with database.write() as session:
        return rescue.ring_again(session, ids, ring_again_seconds=AGAIN_SECONDS)


def _rescue(database: Database) -> int:
    with database.read() as session:
        lost = rescue.expired(session, limit=10)
    with database.write() as session:
        return rescue.rescue_expired(session, lost, AT_ONCE)


def test_a_job_that_was_just_rung_for_is_left_alone(database: Database, queued: UUID) -> None:
    assert _due(database) == []


def test_a_job_whose_ring_was_lost_is_rung_for_again(
    database: Database, rings: RecordedRings, queued: UUID
) -> None:
    rings.take()
    _set(database, queued, rung_at=now(-AGAIN_SECONDS - 1))
    assert _due(database) == [queued]
    assert _ring(database, [queued]) == 1
    assert rings.take() == [queued]
    assert _due(database) == []


def test_a_job_put_back_for_a_retry_is_rung_for_when_its_time_has_come(
    database: Database, queued: UUID
) -> None:
    _set(database, queued, rung_at=None, next_run_at=now(60))
    assert _due(database) == []
    _set(database, queued, next_run_at=now())
    assert _due(database) == [queued]


@pytest.mark.parametrize(
    ("rings_before", "silent_seconds", "is_due"),
    [(0, 6, True), (1, 6, False), (1, 11, True), (2, 19, False), (2, 21, True), (99, 21, True)],
)
def test_rings_double_their_distance_up_to_a_bound(
    database: Database, queued: UUID, rings_before: int, silent_seconds: float, is_due: bool
) -> None:
    _set(database, queued, rings=rings_before, rung_at=now(-silent_seconds))
    assert (_due(database) == [queued]) is is_due


def test_running_and_ended_jobs_are_not_rung_for(database: Database, queued: UUID) -> None:
    _set(database, queued, rung_at=None)
    claimed(database, queued)
    _set(database, queued, rung_at=None)
    assert _due(database) == []


def test_a_job_behind_another_is_rung_for_only_once_its_turn_has_come(
    database: Database, table: Table, queued: UUID
) -> None:
    """A worker would refuse it; and rings for nothing would have made its distance long by then."""
    won = claimed(database, queued)
    behind = enqueue(database, refresh_of(table))
    _set(database, behind, rung_at=now(-3600))
    assert _due(database) == []
    with database.read() as session:
        assert rescue.runnable(session) == {}
    with database.write() as session:
        leases.succeed(session, won, {})
    assert _due(database) == [behind]


def test_a_job_that_follows_a_cancelled_one_is_due_at_once(
    database: Database, table: Table
) -> None:
    """Nobody rings for an upload when the older one, which waited for its retry, is cancelled."""
    upload = refresh_of(table, kind=JobKind.INGEST_FILE)
    older, newer = enqueue(database, upload), enqueue(database, upload)
    _set(database, older, next_run_at=now(3600))
    _set(database, newer, rung_at=now(-3600))
    assert _due(database) == []
    _set(database, older, state="cancelled")
    assert _due(database) == [newer]


def test_no_more_than_the_limit_is_due_at_once(database: Database, project: Project) -> None:
    with database.write() as session:
        tables = make_tables(session, project.id, 5)
    for each in tables:
        _set(database, enqueue(database, refresh_of(each)), rung_at=None)
    assert len(_due(database, limit=3)) == 3


def test_two_clocks_that_saw_the_same_jobs_ring_for_each_once(
    database: Database, other_process: Database, project: Project, rings: RecordedRings
) -> None:
    with database.write() as session:
        tables = make_tables(session, project.id, 20)
    ids = [enqueue(database, refresh_of(each)) for each in tables]
    for job_id in ids:
        _set(database, job_id, rung_at=None)
    rings.take()
    seen = _due(database, limit=50)
    # In opposite orders, so that locks taken one by one would cross.
    rung = race(
        lambda: _ring(database, seen),
        lambda: _ring(other_process, seen[::-1]),
        lambda: _ring(database, seen),
    )
    assert sum(rung) == 20
    assert sorted(rings.take()) == sorted(ids)


@pytest.mark.parametrize("dialect", ["postgresql"])
def test_ringing_does_not_wait_for_jobs_that_another_transaction_holds(
    database: Database, other_process: Database, queued: UUID
) -> None:
    """An expansion locks hundreds of jobs; a clock that waited for them could deadlock with it."""
    _set(database, queued, rung_at=None)
    with database.write() as session:
        session.get_one(Job, queued, with_for_update=True)
        assert _ring(other_process, [queued]) == 0
    assert _ring(other_process, [queued]) == 1


def test_a_live_lease_is_not_rescued(database: Database, queued: UUID) -> None:
    claimed(database, queued)
    assert _rescue(database) == 0
    assert job(database, queued).state == "running"


def test_a_job_whose_lease_ran_out_is_queued_again(database: Database, queued: UUID) -> None:
    claimed(database, queued, worker="node/dead", lease_seconds=-1.0)
    assert _rescue(database) == 1
    back = job(database, queued)
    assert (back.state, back.worker, back.attempt) == ("queued", None, 1)
    assert back.error is not None
    assert back.error["code"] == "worker_lost"
    assert claimed(database, queued).attempt == 2


def test_a_job_that_loses_every_worker_fails_in_the_end(database: Database, queued: UUID) -> None:
    for _ in range(3):
        claimed(database, queued, lease_seconds=-1.0)
        assert _rescue(database) == 1
    assert job(database, queued).state == "failed"


def test_a_vanished_worker_whose_job_was_to_be_cancelled_leaves_it_cancelled(
    database: Database, queued: UUID
) -> None:
    claimed(database, queued, lease_seconds=-1.0)
    _set(database, queued, cancel_requested_at=now())
    assert _rescue(database) == 1
    assert job(database, queued).state == "cancelled"


def test_two_clocks_rescue_a_job_once(
    database: Database, other_process: Database, queued: UUID
) -> None:
    claimed(database, queued, lease_seconds=-1.0)
    rescued = race(
        *(lambda opened=opened: _rescue(opened) for opened in (database, other_process) * 3)
    )
    assert sum(rescued) == 1
    assert job(database, queued).attempt == 1


def test_a_heartbeat_between_the_look_and_the_rescue_saves_the_job(
    database: Database, queued: UUID
) -> None:
    claimed(database, queued, lease_seconds=-1.0)
    with database.read() as session:
        seen = rescue.expired(session, limit=10)
    _set(database, queued, lease_expires_at=now(30))
    with database.write() as session:
        assert rescue.rescue_expired(session, seen, AT_ONCE) == 0


def test_a_worker_known_to_be_dead_gives_its_job_back_at_once(
    database: Database, queued: UUID
) -> None:
    claimed(database, queued, worker="node/7")
    error = rescue.lost_error("node/7")
    with database.write() as session:
        assert not rescue.end_lost(session, queued, "node/8", error, AT_ONCE)
        assert rescue.end_lost(session, queued, "node/7", error, AT_ONCE)
        assert not rescue.end_lost(session, queued, "node/7", error, AT_ONCE)
    back = job(database, queued)
    assert (back.state, back.error) == ("queued", error.as_dict())


def test_the_rescue_goes_by_the_databases_clock(database: Database, queued: UUID) -> None:
    """A lease is compared with the database's time, never with a machine's."""
    claimed(database, queued)
    lease = job(database, queued).lease_expires_at
    started = job(database, queued).started_at
    assert lease is not None
    assert started is not None
    assert timedelta(seconds=29) < lease - started < timedelta(seconds=31)


def test_rescues_are_counted_by_what_told_of_them(
    database: Database, project: Project, queued: UUID
) -> None:
    claimed(database, queued, worker="node/7")
    with database.write() as session:
        rescue.end_lost(session, queued, "node/7", rescue.lost_error("node/7"), AT_ONCE)
    claimed(database, queued, lease_seconds=-1)
    assert _rescue(database) == 1
    assert _rescue(database) == 0
    with database.read() as session:
        totals = counters.totals(session, counters.RESCUES)
    assert totals == {"worker_lost": 1, "lease_expired": 1}


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_a_lost_job_whose_table_is_being_changed_is_for_the_next_tick(
    database: Database, other_process: Database, table: Table, queued: UUID
) -> None:
    """Its last attempt fails the table, too, and no clock waits for a request."""
    claimed(database, queued, lease_seconds=-1)
    _set(database, queued, max_attempts=1)
    with other_process.write() as session:
        assert locked(session, table.project_id, Table.id == table.id) is not None
        assert _rescue(database) == 0
    assert _rescue(database) == 1
    with database.read() as session:
        assert session.get_one(Table, table.id).error_code == "worker_lost"
