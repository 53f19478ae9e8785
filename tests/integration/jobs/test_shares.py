"""How many jobs of one project run at once, what stays free for others, and whose turn it is."""

import itertools
from collections.abc import Sequence
from uuid import UUID

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError

from stocktake.db.clock import now
from stocktake.db.models import Job, WorkerPool
from stocktake.db.session import Database
from stocktake.errors import InvalidSourceError
from stocktake.jobs import leases, queueing, rescue, shares
from stocktake.jobs.leases import Claim, RetryPolicy
from stocktake.jobs.shares import Presence
from stocktake.settings import Settings
from stocktake.states import JobState, Queue
from tests.support.rows import (
    RecordedRings,
    claim,
    claimed,
    enqueue,
    job,
    make_project,
    make_tables,
    race,
    refresh_of,
)

RETRY = RetryPolicy(base_seconds=0.0, max_seconds=0.0)
_STEMS = itertools.count()
LATER = RetryPolicy(base_seconds=1e6, max_seconds=1e6)


def announce(
    database: Database,
    places: int,
    project_places: int | None = None,
    name: str = "node",
    queues: Sequence[Queue] = tuple(Queue),
) -> None:
    presence = Presence(
        worker=name,
        places=places,
        project_places=places if project_places is None else project_places,
        lease_seconds=30,
        queues=tuple(queues),
    )
    with database.write() as session:
        presence.keep(session)


def project(database: Database) -> int:
    with database.write() as session:
        return make_project(session).id


def jobs_of(
    database: Database, project_id: int, count: int, queue: Queue = Queue.INTERACTIVE
) -> list[UUID]:
    """As many jobs, each of a table of its own."""
    with database.write() as session:
        tables = make_tables(session, project_id, count, stem=f"p{project_id}_{next(_STEMS)}")
    return [enqueue(database, refresh_of(table, queue=queue)) for table in tables]


def won(database: Database, jobs: Sequence[UUID], worker: str = "node/1") -> list[UUID]:
    # Each by a child of its own: one has one place, however many jobs it has.
    return [each for each in jobs if claim(database, each, worker=f"{worker}-{each}") is not None]


def attempt(database: Database, job_id: UUID) -> Claim:
    with database.read() as session:
        held = leases.attempt_of(session, job_id, 1)
    assert held is not None
    return held


def end(database: Database, held: Claim) -> None:
    with database.write() as session:
        leases.fail(session, held, InvalidSourceError("x"), RETRY)


def running(database: Database, project_id: int) -> int:
    with database.read() as session:
        found = select(Job.id).where(Job.project_id == project_id, Job.state == "running")
        return len(session.scalars(found).all())


def test_where_no_worker_is_known_nobody_is_kept_waiting(database: Database) -> None:
    jobs = jobs_of(database, project(database), 5)
    assert won(database, jobs) == jobs


def test_a_project_alone_takes_all_but_the_reserve(database: Database) -> None:
    announce(database, places=2)
    jobs = jobs_of(database, project(database), 4)
    assert won(database, jobs) == jobs[:2]


def test_two_workers_have_the_places_of_both(database: Database) -> None:
    announce(database, places=2, name="a")
    announce(database, places=1, name="b")
    jobs = jobs_of(database, project(database), 5)
    assert won(database, jobs[:1], "b/1") == jobs[:1]
    assert won(database, jobs[1:], "a/1") == jobs[1:3]


def test_a_workers_places_are_those_of_the_queues_that_it_takes(database: Database) -> None:
    announce(database, places=2)
    announce(database, places=3, name="extra", queues=[Queue.VALIDATE])
    greedy, modest = project(database), project(database)
    bulk = jobs_of(database, greedy, 4, Queue.BULK)
    assert won(database, bulk) == bulk[:2]
    mine = jobs_of(database, modest, 1)
    assert won(database, mine) == mine  # the reserve is there still
    reads = jobs_of(database, modest, 5, Queue.VALIDATE)
    # Three of the five places in all are taken: the other worker has as many as it has children.
    assert won(database, reads, "extra/1") == reads[:2]
    assert won(database, bulk[2:]) == []  # what runs over there takes none of these places
    end(database, attempt(database, bulk[0]))
    end(database, attempt(database, mine[0]))
    assert won(database, bulk[2:]) == bulk[2:3]


def test_a_worker_of_which_nothing_is_heard_any_more_has_no_places(database: Database) -> None:
    announce(database, places=2, name="dead")
    announce(database, places=1)
    with database.write() as session:
        dead = update(WorkerPool).where(WorkerPool.worker == "dead")
        session.execute(dead.values(expires_at=now(-1)))
    jobs = jobs_of(database, project(database), 3)
    assert won(database, jobs) == jobs[:1]


def test_a_share_bounds_one_project_and_leaves_places_to_the_others(database: Database) -> None:
    announce(database, places=4, project_places=2)
    greedy, modest = project(database), project(database)
    assert len(won(database, jobs_of(database, greedy, 4))) == 2
    assert len(won(database, jobs_of(database, modest, 4, Queue.BULK))) == 2


def test_what_is_in_reserve_is_for_interactive_jobs_of_who_has_nothing_running(
    database: Database,
) -> None:
    announce(database, places=2)
    greedy, modest, third = (project(database) for _ in range(3))
    held = won(database, jobs_of(database, greedy, 3))
    assert len(held) == 2
    assert won(database, jobs_of(database, modest, 1, Queue.BULK)) == []
    assert won(database, jobs_of(database, modest, 1, Queue.VALIDATE)) == []
    mine = jobs_of(database, modest, 2)
    assert won(database, mine) == mine[:1]
    theirs = jobs_of(database, third, 1)
    assert won(database, theirs) == theirs


def test_two_claims_at_once_keep_the_bound(database: Database) -> None:
    announce(database, places=3)
    project_id = project(database)
    jobs = jobs_of(database, project_id, 8)
    race(*(lambda each=each: claim(database, each, f"node/{each}") for each in jobs))
    assert running(database, project_id) == 3


def test_a_job_that_found_no_place_is_rung_for_by_the_end_of_one_that_had_it(
    database: Database, rings: RecordedRings
) -> None:
    project_id = project(database)
    jobs = jobs_of(database, project_id, 3)
    announce(database, places=1)
    first = claimed(database, jobs[0])
    assert won(database, jobs[1:]) == []
    assert [job(database, each).rung_at is None for each in jobs] == [False, True, True]
    rings.take()
    end(database, first)
    assert rings.take() == [jobs[1]]
    end(database, claimed(database, jobs[1]))
    assert rings.take() == [jobs[2]]


def test_what_has_no_place_is_not_rung_for_at_all_when_it_is_accepted(
    database: Database, rings: RecordedRings
) -> None:
    """A queue that one project's messages fill keeps the others' behind it."""
    announce(database, places=2)
    greedy, modest = project(database), project(database)
    assert rings.take() == []
    jobs = jobs_of(database, greedy, 20)
    assert rings.take() == jobs[:2]
    [mine] = jobs_of(database, modest, 1)
    assert rings.take() == [mine]


def test_a_bulk_refresh_rings_for_as_many_as_have_a_place(
    database: Database, rings: RecordedRings
) -> None:
    announce(database, places=2)
    project_id = project(database)
    with database.write() as session:
        tables = make_tables(session, project_id, 10)
        requests = {each.id: refresh_of(each, queue=Queue.BULK) for each in tables}
        made = queueing.enqueue_many(session, requests)
    assert len(made) == 10
    rung = rings.take()
    assert len(rung) == 2
    ended = set()
    while rung:
        for each in rung:
            end(database, claimed(database, each))
            ended.add(each)
        rung = rings.take()
    assert ended == set(made.values())


def test_the_message_of_a_cancelled_job_passes_its_turn_on(
    database: Database, rings: RecordedRings
) -> None:
    announce(database, places=1)
    first, second, third = jobs_of(database, project(database), 3, Queue.BULK)
    assert rings.take() == [first]
    for each in (second, first):
        with database.write() as session:
            session.execute(
                update(Job).where(Job.id == each).values(state="cancelled", finished_at=now())
            )
    assert claim(database, first) is None
    assert rings.take() == [third]
    assert claim(database, third) is not None
    assert claim(database, first) is None  # a second message of it finds nobody who waits
    assert rings.take() == []


def test_the_projects_take_turns(database: Database, rings: RecordedRings) -> None:
    announce(database, places=1)
    projects = [project(database) for _ in range(3)]
    waiting = {
        each.id: each.project_id
        for project_id in projects
        for job_id in jobs_of(database, project_id, 4, Queue.BULK)
        for each in [job(database, job_id)]
    }
    with database.write() as session:
        session.execute(update(Job).values(rung_at=None))
    rings.take()
    held = claimed(database, next(iter(waiting)))
    order = [held.project_id]
    for _ in range(8):
        end(database, held)
        [next_] = rings.take()
        held = claimed(database, next_)
        order.append(held.project_id)
    assert order == projects * 3


def test_the_clock_rings_for_the_unrung_in_turns_and_only_where_there_is_a_place(
    database: Database, rings: RecordedRings
) -> None:
    announce(database, places=2)
    greedy, modest = project(database), project(database)
    jobs = jobs_of(database, greedy, 30)
    [mine] = jobs_of(database, modest, 1)
    with database.write() as session:
        session.execute(update(Job).values(rung_at=None))

    def due() -> list[UUID]:
        with database.read() as session:
            assert rescue.any_due_for_ring(session, ring_again_seconds=5)
            found = rescue.due_for_ring(
                session, queue=Queue.INTERACTIVE, limit=100, ring_again_seconds=5
            )
            return list(found)

    assert due()[:2] in ([jobs[0], mine], [mine, jobs[0]])
    assert len(due()) == 17  # of one project, eight for each of its places
    assert len(won(database, jobs[:2])) == 2
    assert due() == [mine]
    assert len(won(database, [mine])) == 1
    with database.read() as session:
        assert not rescue.any_due_for_ring(session, ring_again_seconds=5)
        assert rescue.runnable(session) == {}


def test_a_rescue_leaves_its_place_to_who_waits(database: Database, rings: RecordedRings) -> None:
    announce(database, places=1)
    project_id = project(database)
    first, second = jobs_of(database, project_id, 2)
    claimed(database, first, lease_seconds=-1)
    rings.take()
    with database.write() as session:
        assert rescue.rescue_expired(session, [first], LATER)
    assert second in rings.take()


@pytest.mark.parametrize(
    ("children", "share", "expected"), [(2, 1.0, 2), (2, 0.5, 1), (1, 0.5, 1), (8, 0.25, 2)]
)
def test_a_share_is_a_part_of_the_children_and_at_least_one(
    children: int, share: float, expected: int
) -> None:
    presence = Presence.of(Settings(project_share=share), "w", children, [Queue.BULK])
    assert (presence.places, presence.project_places) == (children, expected)


def test_a_worker_that_stops_takes_its_places_with_it(database: Database) -> None:
    presence = Presence(worker="w", places=2, project_places=2, lease_seconds=30)
    with database.write() as session:
        presence.keep(session)
    with database.write() as session:
        presence.end(session)
        assert session.scalars(select(WorkerPool)).all() == []


def test_states_of_the_refused_are_untouched(database: Database) -> None:
    announce(database, places=1)
    jobs = jobs_of(database, project(database), 2)
    assert won(database, jobs) == jobs[:1]
    refused = job(database, jobs[1])
    assert (refused.state, refused.attempt) == (JobState.QUEUED, 0)


def test_a_lease_that_is_over_holds_no_place(database: Database) -> None:
    """Nobody works under it, and the kind of a newer release stays running for ever."""
    announce(database, places=2)
    greedy, modest = project(database), project(database)
    assert len(won(database, jobs_of(database, greedy, 2, Queue.BULK))) == 2
    waiting = jobs_of(database, modest, 1, Queue.BULK)
    assert won(database, waiting) == []
    with database.write() as session:
        session.execute(
            update(Job).where(Job.state == JobState.RUNNING.value).values(lease_expires_at=now(-1))
        )
    assert won(database, waiting) == waiting


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_a_claimer_that_froze_with_its_lock_keeps_a_child_for_moments(
    database: Database, other_process: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite's one write lock is given up after some seconds anyway."""
    monkeypatch.setattr(shares, "LOCK_SECONDS", 0.05)
    announce(database, places=9)
    held, next_ = jobs_of(database, project(database), 2)
    [others] = jobs_of(database, project(database), 1)
    with other_process.write() as frozen:
        assert leases.claim(frozen, held, worker="node/1", lease_seconds=30)
        with pytest.raises(OperationalError, match="lock timeout"):
            race(lambda: claim(database, next_))
        claimed(database, others)
    assert job(database, next_).rung_at is not None  # so that the clock rings again
    claimed(database, next_)


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_a_child_that_froze_while_it_spoke_for_its_worker_keeps_no_other_from_its_work(
    database: Database, other_process: Database
) -> None:
    def presence() -> Presence:
        return Presence(worker="a", places=1, project_places=1, lease_seconds=30)

    def speak() -> bool:
        with database.write() as session:
            presence().keep(session)
        return True

    assert speak()
    with other_process.write() as frozen:
        presence().keep(frozen)
        assert race(speak) == [True]
