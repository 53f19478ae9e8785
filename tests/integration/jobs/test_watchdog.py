"""What comes behind the commit of a success: a heartbeat, an error, an order to end."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from servers.process import PATIENCE_SECONDS
from stocktake.db.models import Table
from stocktake.db.session import Database
from stocktake.errors import StorageThrottledError
from stocktake.jobs import counters, leases
from stocktake.jobs.leases import Claim
from stocktake.readers.source import Progress, no_progress
from tasks.base import Runtime, run_attempt
from tests.support.rows import claimed, enqueue, job, process_of, refresh_of, settings_for
from tests.support.stack import wait_until
from workers import guard_ends
from workers.board import Reading
from workers.watchdog import EXIT_STATUS, Watchdog

Watch = Callable[[Runtime, Claim], AbstractContextManager[Progress]]


class Beats:
    """Follows what the watchdog's thread asks of the database."""

    def __init__(self, database: Database) -> None:
        self.asked, self._committed = threading.Event(), threading.Semaphore(0)
        event.listen(database.engine, "begin", lambda _: self._own() and self.asked.set())
        event.listen(database.engine, "commit", lambda _: self._own() and self._committed.release())

    def must_be_judged(self) -> None:
        """Wait until the first heartbeat was written and all that follows from it has happened.

        A lost lease makes two commits, the heartbeat's and the count's; the third is of the next.
        """
        for _ in range(3):
            assert self._committed.acquire(timeout=PATIENCE_SECONDS)

    @staticmethod
    def _own() -> bool:
        return threading.current_thread().name == "watchdog"


@pytest.fixture
def job_id(database: Database, table: Table) -> UUID:
    return enqueue(database, refresh_of(table))


def runtime_of(database: Database, folder: Path, watch: Watch, **settings: float) -> Runtime:
    settings = {"heartbeat_seconds": 0.1, "lease_seconds": 30, **settings}
    return Runtime(
        process=process_of(database, settings_for("sqlite:///unused.db", folder, **settings)),
        watch=watch,
    )


@pytest.fixture
def unwatched(database: Database, tmp_path: Path) -> Runtime:
    @contextmanager
    def nobody(_runtime: Runtime, _claim: Claim) -> Iterator[Progress]:
        yield no_progress

    return runtime_of(database, tmp_path, nobody)


@contextmanager
def watched(runtime: Runtime, claim: Claim) -> Iterator[list[int]]:
    """The watchdog at its work; gives the statuses with which it left the process."""
    left: list[int] = []
    watchdog = Watchdog(runtime, claim, left.append)
    thread = threading.Thread(target=watchdog.run, name="watchdog")
    thread.start()
    try:
        yield left
    finally:
        watchdog.stop()
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()


def stale_writes(database: Database) -> int:
    with database.read() as session:
        return sum(counters.totals(session, counters.STALE_WRITES).values())


def test_item_3_a_heartbeat_behind_the_success_commit_loses_nothing(
    database: Database, unwatched: Runtime, job_id: UUID
) -> None:
    """The success is committed, and the block has not ended when the next heartbeat is written."""
    claim = claimed(database, job_id)
    with database.write() as session:
        leases.succeed(session, claim, {})
    beats = Beats(database)
    with watched(unwatched, claim) as left:
        beats.must_be_judged()
    assert (left, stale_writes(database)) == ([], 0)


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_item_3_a_heartbeat_that_waits_for_the_success_commit_loses_nothing(
    database: Database, unwatched: Runtime, job_id: UUID
) -> None:
    """It waits for the row that the success has locked. (On SQLite it has not begun then.)"""
    claim = claimed(database, job_id)
    beats = Beats(database)
    with database.write() as session:
        leases.succeed(session, claim, {})
        with watched(unwatched, claim) as left:
            assert beats.asked.wait(PATIENCE_SECONDS)
            session.commit()
            beats.must_be_judged()
    assert (left, stale_writes(database)) == ([], 0)


def test_item_3_an_attempt_whose_job_was_given_away_is_still_ended(
    database: Database, unwatched: Runtime, job_id: UUID
) -> None:
    """Also where the one that has it now succeeded."""
    lost = claimed(database, job_id)
    with database.write() as session:
        leases.fail(
            session,
            lost,
            StorageThrottledError("busy"),
            leases.RetryPolicy(base_seconds=0, max_seconds=0),
        )
    with database.write() as session:
        leases.succeed(session, claimed_in(session, job_id), {})
    beats = Beats(database)
    with watched(unwatched, lost) as left:
        beats.must_be_judged()
    assert set(left) == {EXIT_STATUS}
    assert stale_writes(database) >= len(left)


def test_an_attempt_that_the_guard_ended_is_left_by_a_watchdog_that_comes_to_itself(
    database: Database, unwatched: Runtime, tmp_path: Path, job_id: UUID
) -> None:
    """The guard wrote the end and saw a sign of life in that moment, so that it killed nobody."""
    ended = claimed(database, job_id)
    with database.write() as session:
        leases.end_early(session, ended, None, leases.RetryPolicy(base_seconds=0, max_seconds=0))
    never = runtime_of(
        database, tmp_path, unwatched.watch, heartbeat_seconds=300, job_memory_limit_bytes=1
    )
    with watched(never, ended) as left:
        wait_until(lambda: bool(left), "the end of the process")
    assert set(left) == {EXIT_STATUS}
    assert stale_writes(database) >= len(left)


def claimed_in(session, job_id: UUID) -> Claim:
    won = leases.claim(session, job_id, worker="node/2", lease_seconds=30)
    assert won is not None
    return won


@pytest.mark.parametrize(
    "afterwards",
    [
        OperationalError("COMMIT", None, Exception("its answer was lost")),
        StorageThrottledError("x"),
    ],
    ids=["commit_unanswered", "transient"],
)
def test_item_3_an_error_behind_the_success_commit_loses_nothing(
    database: Database, unwatched: Runtime, job_id: UUID, afterwards: Exception
) -> None:
    claim = claimed(database, job_id)

    def work(_: object) -> None:
        with database.write() as session:
            leases.succeed(session, claim, {"columns": 1})
        raise afterwards

    run_attempt(unwatched, claim, work)
    ended = job(database, job_id)
    assert (ended.state, ended.result, stale_writes(database)) == ("succeeded", {"columns": 1}, 0)


def test_item_3_an_order_to_end_behind_the_success_commit_loses_nothing(
    database: Database, unwatched: Runtime, job_id: UUID
) -> None:
    claim = claimed(database, job_id)

    def work(_: object) -> None:
        with database.write() as session:
            leases.succeed(session, claim, {})
        raise SystemExit(0)

    with pytest.raises(SystemExit):
        run_attempt(unwatched, claim, work)
    assert (job(database, job_id).state, stale_writes(database)) == ("succeeded", 0)


@pytest.mark.parametrize(
    ("end", "wanted"),
    [(leases.succeed, True), (leases.cancel, False)],
    ids=["its success", "a cancel"],
)
def test_a_guard_leaves_a_silent_child_alone_whose_success_is_written(
    database: Database,
    job_id: UUID,
    monkeypatch: pytest.MonkeyPatch,
    end: Callable[..., None],
    wanted: bool,
) -> None:
    monkeypatch.setattr(guard_ends, "_database", lambda: database)
    held = claimed(database, job_id)
    reading = Reading(pid=1, job_id=job_id, attempt=held.attempt, deadline=0.0)
    assert guard_ends.beat(reading)
    with database.write() as session:
        end(session, held, {}) if wanted else end(session, held)
    assert guard_ends.beat(reading) is wanted


def test_a_guard_does_nothing_to_the_claim_of_another_child(
    database: Database, job_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own child's was lost with a database, and the attempt's number given again."""
    monkeypatch.setattr(guard_ends, "_database", lambda: database)
    held = claimed(database, job_id, worker="other/12")
    reading = Reading(pid=2, job_id=job_id, attempt=held.attempt, deadline=0.0)
    assert not guard_ends.beat(reading)
    assert guard_ends.end(reading, None)
    assert job(database, job_id).state == "running"
