"""Who leaves the reserve for whom."""

from collections.abc import Sequence
from uuid import UUID

import pytest
from sqlalchemy import update

from stocktake.db.clock import now
from stocktake.db.models import Job, JobAttempt
from stocktake.db.session import Database
from stocktake.errors import ReserveNeededError
from stocktake.jobs import leases, reserve
from stocktake.jobs.leases import RetryPolicy
from stocktake.states import Queue
from tests.integration.jobs.test_shares import announce, attempt, jobs_of, project, running, won
from tests.support.rows import RecordedRings, job

RETRY = RetryPolicy(base_seconds=0.0, max_seconds=0.0)


def hold(database: Database, projects: Sequence[int], seconds: float = 60.0) -> list[UUID]:
    """One interactive job of each project, claimed in this order, the first so long ago."""
    held = [jobs_of(database, each, 1)[0] for each in projects]
    for number, each in enumerate(held):
        assert won(database, [each])
        begun(database, each, seconds - number / 100)
    return held


def begun(database: Database, job_id: UUID, seconds_ago: float) -> None:
    with database.write() as session:
        mine = update(JobAttempt).where(JobAttempt.job_id == job_id)
        session.execute(mine.values(started_at=now(-seconds_ago)))


def wait(database: Database, project_id: int, queue: Queue = Queue.INTERACTIVE) -> UUID:
    """A job that has waited for a while, and whose ring found no child."""
    [job_id] = jobs_of(database, project_id, 1, queue)
    with database.write() as session:
        mine = update(Job).where(Job.id == job_id)
        session.execute(mine.values(next_run_at=now(-5), rung_at=None))
    return job_id


def chosen(database: Database, worker: str = "node") -> list[UUID]:
    with database.read() as session:
        return list(reserve.to_leave(session, worker))


def leave(database: Database, job_id: UUID) -> None:
    with database.write() as session:
        held = attempt(database, job_id)
        leases.end_early(session, held, ReserveNeededError("others wait"), RETRY)


@pytest.fixture(autouse=True)
def long_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """So long that no machine is too slow for what happens within one."""
    monkeypatch.setattr(reserve, "TURN_SECONDS", 40.0)
    monkeypatch.setattr(reserve, "LEAST_TURN_SECONDS", 20.0)


@pytest.fixture
def projects(database: Database) -> list[int]:
    return [project(database) for _ in range(6)]


def test_what_was_claimed_when_all_places_were_taken_leaves_for_who_has_nothing(
    database: Database, projects: list[int]
) -> None:
    announce(database, places=2)
    held = hold(database, projects[:3])
    assert chosen(database) == []
    wait(database, projects[3])
    assert chosen(database) == held[2:]


def test_as_many_leave_as_projects_wait_those_first_that_were_there_for_longest(
    database: Database, projects: list[int]
) -> None:
    announce(database, places=1)
    held = hold(database, projects[:4])
    for _ in range(3):  # several of one project are one that waits
        wait(database, projects[4])
    assert chosen(database) == held[1:2]
    wait(database, projects[5], Queue.BULK)  # the reserve is for no bulk job
    assert chosen(database) == held[1:2]
    wait(database, projects[5])
    assert chosen(database) == held[1:3]


def test_nobody_leaves_before_its_time_nor_for_who_has_a_child_already(
    database: Database, projects: list[int]
) -> None:
    announce(database, places=1)
    hold(database, projects[:2], seconds=reserve.TURN_SECONDS / 2)
    wait(database, projects[2])
    assert chosen(database) == []
    held = hold(database, projects[3:5])
    assert chosen(database)[:1] == held[1:2]  # the first of the four that is slow
    with database.write() as session:
        session.execute(update(Job).where(Job.project_id == projects[2]).values(state="cancelled"))
    wait(database, projects[0])
    assert chosen(database) == []


def test_a_worker_asks_its_own_children_only(database: Database, projects: list[int]) -> None:
    announce(database, places=1)
    announce(database, places=0, name="other")
    held = hold(database, projects[:3])
    wait(database, projects[3])
    assert chosen(database, "other") == []
    assert chosen(database, "nod") == []
    assert chosen(database) == held[1:2]


def test_who_was_in_the_reserve_and_left_waits_for_a_place(
    database: Database, projects: list[int], rings: RecordedRings
) -> None:
    announce(database, places=1)
    first, second = hold(database, projects[:2])
    waiting = wait(database, projects[2])
    another = jobs_of(database, projects[1], 1)
    rings.take()

    leave(database, second)

    assert waiting in rings.take()
    row = job(database, second)
    assert (row.state, row.attempt, row.max_attempts) == ("queued", 1, 4)
    assert row.yielded_at is not None
    assert won(database, [second, *another]) == []  # neither it nor others of its project
    assert won(database, [waiting]) == [waiting]
    assert chosen(database) == []  # who waits for a place asks nobody to leave
    leave(database, waiting)
    begun(database, first, 1)
    with database.write() as session:
        leases.succeed(session, attempt(database, first), {})
    assert won(database, [second]) == [second]
    assert job(database, second).yielded_at is None
    assert running(database, projects[1]) == 1


def test_the_more_projects_wait_the_shorter_is_a_turn(
    database: Database, projects: list[int]
) -> None:
    announce(database, places=1)
    held = hold(database, projects[:2], seconds=reserve.TURN_SECONDS / 2 + 5)
    wait(database, projects[2])
    assert chosen(database) == []
    wait(database, projects[3])
    assert chosen(database) == held[1:2]


def test_to_cancel_and_ask_anew_does_not_open_the_reserve(
    database: Database, projects: list[int]
) -> None:
    announce(database, places=1)
    _, second = hold(database, projects[:2])
    leave(database, second)
    with database.write() as session:
        session.execute(update(Job).where(Job.id == second).values(state="cancelled"))
    again = jobs_of(database, projects[1], 1)
    assert won(database, again) == []
    with database.write() as session:
        session.execute(update(Job).where(Job.id == second).values(yielded_at=now(-3600)))
    assert won(database, again) == again
