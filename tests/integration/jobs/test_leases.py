"""Claims, fences, and the ends of an attempt."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import delete, select, update

from servers.process import PATIENCE_SECONDS
from stocktake.catalog.tables import locked, locked_for
from stocktake.db.clock import now
from stocktake.db.models import Job, JobAttempt, Project, Table
from stocktake.db.session import Database
from stocktake.errors import (
    SourceNotFoundError,
    StaleAttemptError,
    StorageThrottledError,
    SupersededError,
    WorkerStoppedError,
)
from stocktake.jobs import leases
from stocktake.jobs.leases import Claim, RetryPolicy
from stocktake.states import JobKind, JobState
from tests.integration.api.playing import wait_for_a_lock
from tests.support.rows import (
    RecordedRings,
    claim,
    claimed,
    enqueue,
    job,
    make_tables,
    race,
    refresh_of,
)

AT_ONCE = RetryPolicy(base_seconds=0.0, max_seconds=0.0)
MUCH_LATER = RetryPolicy(base_seconds=10_000_000.0, max_seconds=10_000_000.0)


@pytest.fixture
def queued(database: Database, table: Table):
    return enqueue(database, refresh_of(table))


def _take_over(database: Database, queued) -> Claim:
    """The lease ran out, the clock gave the job back, and a second worker has it now."""
    first = claimed(database, queued, worker="node/frozen")
    with database.write() as session:
        leases.fail(session, first, StorageThrottledError("busy"), AT_ONCE)
    claimed(database, queued, worker="node/second")
    return first


def _attempts(database: Database, job_id) -> list[tuple[int, str | None]]:
    with database.read() as session:
        found = session.scalars(select(JobAttempt).order_by(JobAttempt.number)).all()
    return [(each.number, each.outcome) for each in found if each.job_id == job_id]


def test_a_claim_starts_the_job(database: Database, table: Table, queued) -> None:
    won = claimed(database, queued, worker="node/7")
    running = job(database, queued)
    assert (running.state, running.attempt, running.worker) == ("running", 1, "node/7")
    assert running.lease_expires_at is not None
    assert running.started_at is not None
    assert running.lease_expires_at - running.started_at > timedelta(seconds=29)
    assert (won.attempt, won.generation, won.table_id) == (1, table.generation, table.id)


def test_a_doubled_message_claims_nothing(database: Database, queued) -> None:
    claimed(database, queued)
    assert claim(database, queued, worker="node/2") is None
    assert job(database, queued).attempt == 1


def test_an_ended_job_is_not_claimed(database: Database, queued) -> None:
    won = claimed(database, queued)
    with database.write() as session:
        leases.succeed(session, won, {})
    assert claim(database, queued) is None


def test_a_job_is_not_claimed_before_its_time(database: Database, queued) -> None:
    won = claimed(database, queued)
    with database.write() as session:
        leases.fail(session, won, StorageThrottledError("busy"), MUCH_LATER)
    later = job(database, queued).next_run_at
    assert claim(database, queued) is None, f"not due before {later}"


def test_of_many_claims_of_one_job_one_wins(
    database: Database, other_process: Database, queued
) -> None:
    calls = [
        lambda opened=opened, number=number: claim(opened, queued, worker=f"node/{number}")
        for number, opened in enumerate((database, other_process) * 6)
    ]
    winners = [won for won in race(*calls) if won is not None]
    assert [won.attempt for won in winners] == [1]
    assert job(database, queued).worker == winners[0].worker


def test_of_two_jobs_of_one_table_claimed_at_once_one_runs(
    database: Database, other_process: Database, table: Table
) -> None:
    """Both may run: one waits for its retry, the other was asked for meanwhile."""
    tried = enqueue(database, refresh_of(table))
    won = claimed(database, tried)
    fresh = enqueue(database, refresh_of(table))
    with database.write() as session:
        leases.fail(session, won, StorageThrottledError("busy"), AT_ONCE)
    for _ in range(5):
        outcomes = race(lambda: claim(database, tried), lambda: claim(other_process, fresh))
        winners = [each for each in outcomes if each is not None]
        assert len(winners) == 1
        with database.write() as session:
            assert session.scalars(select(Job.state)).all().count("running") == 1
            session.execute(update(Job).values(state="queued"))


def test_a_job_ends_though_the_one_behind_it_is_in_a_queue_of_a_newer_release(
    database: Database, table: Table, rings: RecordedRings, queued: UUID
) -> None:
    won = claimed(database, queued)
    behind = enqueue(database, refresh_of(table))
    with database.write() as session:
        session.execute(update(Job).where(Job.id == behind).values(queue="urgent"))
    rings.take()
    with database.write() as session:
        leases.succeed(session, won, {})
    assert job(database, queued).state == "succeeded"
    assert rings.take() == []


def test_a_job_waits_for_its_running_sibling_whose_end_rings_for_it(
    database: Database, table: Table, rings: RecordedRings, queued
) -> None:
    won = claimed(database, queued)
    behind = enqueue(database, refresh_of(table))
    assert claim(database, behind) is None
    rings.take()
    with database.write() as session:
        leases.succeed(session, won, {})
    assert rings.take() == [behind]
    assert claim(database, behind) is not None


def test_jobs_of_two_tables_run_at_once(database: Database, project: Project) -> None:
    with database.write() as session:
        tables = make_tables(session, project.id, 2)
    ids = [enqueue(database, refresh_of(each)) for each in tables]
    assert None not in [claim(database, job_id) for job_id in ids]


def test_uploads_of_a_table_land_in_order(
    database: Database, table: Table, rings: RecordedRings
) -> None:
    upload = refresh_of(table, kind=JobKind.INGEST_FILE)
    first, second, third = (enqueue(database, upload) for _ in range(3))
    assert claim(database, second) is None
    won = claimed(database, first)
    assert claim(database, second) is None
    with database.write() as session:
        leases.fail(session, won, StorageThrottledError("busy"), MUCH_LATER)
    assert claim(database, second) is None, "the first one still has to be tried again"
    with database.write() as session:
        session.execute(update(Job).where(Job.id == first).values(next_run_at=now()))
    won = claimed(database, first)
    rings.take()
    with database.write() as session:
        leases.succeed(session, won, {})
    assert rings.take() == [second]
    assert claim(database, third) is None
    assert claim(database, second) is not None


@pytest.mark.parametrize("ending", ["succeed", "fail", "cancel"])
def test_a_worker_that_lost_its_lease_writes_nothing(
    database: Database, queued, ending: str
) -> None:
    frozen = _take_over(database, queued)
    endings = {
        "succeed": lambda session: leases.succeed(session, frozen, {"columns": 1}),
        "fail": lambda session: leases.fail(session, frozen, SourceNotFoundError(), AT_ONCE),
        "cancel": lambda session: leases.cancel(session, frozen, code="x", detail="x"),
    }
    with pytest.raises(StaleAttemptError), database.write() as session:
        endings[ending](session)
    held = job(database, queued)
    assert (held.state, held.worker, held.result) == ("running", "node/second", None)


def test_the_effect_of_a_stale_attempt_rolls_back_with_it(
    database: Database, table: Table, queued
) -> None:
    frozen = _take_over(database, queued)

    def write_the_old_columns() -> None:
        with database.write() as session:
            session.get_one(Table, table.id).columns = [{"name": "old"}]
            leases.succeed(session, frozen, {})

    with pytest.raises(StaleAttemptError):
        write_the_old_columns()
    with database.read() as session:
        assert session.get_one(Table, table.id).columns == []


def test_of_two_claims_under_one_number_the_one_that_a_failover_lost_writes_nothing(
    database: Database, queued
) -> None:
    """A standby that had not heard of the first claim was promoted: the number is given again."""
    lost = claimed(database, queued, worker="node/start/7")
    with database.write() as session:
        session.execute(delete(JobAttempt).where(JobAttempt.job_id == queued))
        before = {"state": JobState.QUEUED, "attempt": 0, "worker": None, "lease_expires_at": None}
        session.execute(update(Job).where(Job.id == queued).values(before))
    second = claimed(database, queued, worker="other/start/7")
    assert second.attempt == lost.attempt

    with database.write() as session:
        assert not leases.heartbeat(session, lost, lease_seconds=30).alive
        assert leases.heartbeat(session, second, lease_seconds=30).alive
    for write in (
        lambda session: leases.succeed(session, lost, {}),
        lambda session: leases.fail(session, lost, SourceNotFoundError("gone"), AT_ONCE),
    ):
        with pytest.raises(StaleAttemptError), database.write() as session:
            write(session)
    with database.write() as session:
        leases.succeed(session, second, {})
    assert _attempts(database, queued) == [(1, "succeeded")]
    with database.read() as session:
        for claim in (lost, second):
            is_its_own = leases.has_succeeded(session, queued, 1, worker=claim.worker)
            assert is_its_own is (claim is second)


def test_a_heartbeat_renews_the_lease_and_shows_the_progress(database: Database, queued) -> None:
    won = claimed(database, queued, lease_seconds=1.0)
    before = job(database, queued)
    with database.write() as session:
        beat = leases.heartbeat(session, won, lease_seconds=60.0, progress={"files_done": 3})
    after = job(database, queued)
    assert beat.alive
    assert not beat.cancel_requested
    assert after.progress == {"files_done": 3}
    assert after.revision > before.revision
    assert before.lease_expires_at is not None
    assert after.lease_expires_at is not None
    assert after.lease_expires_at - before.lease_expires_at > timedelta(seconds=50)


def test_a_heartbeat_learns_of_a_cancel(database: Database, queued) -> None:
    won = claimed(database, queued)
    with database.write() as session:
        session.execute(update(Job).values(cancel_requested_at=now()))
    with database.write() as session:
        assert leases.heartbeat(session, won, lease_seconds=1.0).cancel_requested


def test_a_heartbeat_of_a_lost_lease_says_so_and_renews_nothing(database: Database, queued) -> None:
    frozen = _take_over(database, queued)
    held = job(database, queued).lease_expires_at
    with database.write() as session:
        assert not leases.heartbeat(session, frozen, lease_seconds=900.0).alive
    assert job(database, queued).lease_expires_at == held


def test_a_transient_error_queues_the_job_again_until_its_attempts_are_used_up(
    database: Database, queued
) -> None:
    states = []
    for _ in range(3):
        won = claimed(database, queued)
        with database.write() as session:
            states.append(leases.fail(session, won, StorageThrottledError("busy"), AT_ONCE))
    assert states == [JobState.QUEUED, JobState.QUEUED, JobState.FAILED]
    ended = job(database, queued)
    assert ended.error is not None
    assert (ended.state, ended.error["code"]) == ("failed", "storage_throttled")
    assert ended.finished_at is not None
    assert _attempts(database, queued) == [(n, "storage_throttled") for n in (1, 2, 3)]


def test_a_job_that_a_stopping_worker_hands_back_is_due_at_once_and_has_lost_no_attempt(
    database: Database, queued
) -> None:
    for _ in range(5):
        won = claimed(database, queued)
        with database.write() as session:
            leases.hand_back(session, won, WorkerStoppedError("a deploy"))
    back = job(database, queued)
    assert (back.state, back.attempt, back.max_attempts) == ("queued", 5, 8)
    assert _attempts(database, queued) == [(n, "worker_stopped") for n in range(1, 6)]
    assert claim(database, queued) is not None


def test_a_job_that_is_to_be_cancelled_is_not_tried_again(database: Database, queued) -> None:
    won = claimed(database, queued)
    with database.write() as session:
        session.execute(update(Job).values(cancel_requested_at=now()))
    with database.write() as session:
        ended = leases.fail(session, won, StorageThrottledError("busy"), AT_ONCE)
    assert (ended, job(database, queued).state) == (JobState.CANCELLED, "cancelled")
    assert _attempts(database, queued) == [(1, "cancelled")]


def test_a_terminal_error_ends_the_job_at_once(database: Database, queued) -> None:
    won = claimed(database, queued)
    with database.write() as session:
        assert leases.fail(session, won, SourceNotFoundError(), AT_ONCE) is JobState.FAILED
    assert job(database, queued).attempt == 1


def test_a_read_that_fails_while_its_table_is_changed_is_noted_on_it(
    database: Database, other_process: Database, table: Table, queued
) -> None:
    """A batch holds fifty tables at a time, and what failed meanwhile would be listed as fresh."""
    won = claimed(database, queued)

    def end() -> JobState:
        with other_process.write() as session:
            return leases.fail(session, won, SourceNotFoundError(), AT_ONCE)

    with ThreadPoolExecutor(1) as pool:
        with database.write() as session:
            held = locked(session, table.project_id, Table.id == table.id)
            assert held is not None
            ended = pool.submit(end)
            wait_for_a_lock(other_process)
            held.change_policy = "manual"
            # Who holds a table may ask for its jobs: it must not wait for one that waits for it.
            session.execute(update(Job).values(cancel_requested_at=now()))
        assert ended.result(PATIENCE_SECONDS) is JobState.FAILED
    with database.read() as session:
        assert session.get_one(Table, table.id).error_code == "source_not_found"


def test_a_success_keeps_the_result_and_clears_the_error_of_the_attempt_before(
    database: Database, queued
) -> None:
    won = claimed(database, queued)
    with database.write() as session:
        leases.fail(session, won, StorageThrottledError("busy"), AT_ONCE)
    won = claimed(database, queued)
    with database.write() as session:
        leases.succeed(session, won, {"columns": 4})
    ended = job(database, queued)
    assert (ended.state, ended.result, ended.error) == ("succeeded", {"columns": 4}, None)
    assert (ended.worker, ended.lease_expires_at) == (None, None)


@pytest.mark.parametrize("change", [{"generation": 2}, {"deleted": True}])
def test_a_table_that_changed_since_the_claim_takes_no_result(
    database: Database, table: Table, queued, change: dict
) -> None:
    won = claimed(database, queued)
    with database.write() as session:
        session.execute(update(Table).values(**change))
    with pytest.raises(SupersededError), database.write() as session:
        locked_for(session, won)


def test_an_unchanged_table_takes_the_result(database: Database, table: Table, queued) -> None:
    won = claimed(database, queued)
    with database.write() as session:
        assert locked_for(session, won).id == table.id
