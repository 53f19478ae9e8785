"""One project whose reads are slow keeps no other's interactive refresh waiting."""

from uuid import UUID

import psutil
import pytest

from servers.scripted_store import ScriptedStore
from servers.service import Worker
from stocktake.db.models import WorkerPool
from stocktake.jobs.queueing import JobRequest, enqueue
from stocktake.states import JobKind, JobState, Queue
from tests.support.harness import Stack
from tests.support.stack import add_project, add_table, see_job, wait_for_end, wait_until


@pytest.fixture
def extra_settings(store: ScriptedStore) -> dict[str, str]:
    return {"TRUSTED_ENDPOINTS": store.endpoint}


def slow_reads(stack: Stack, store: ScriptedStore, project: int, count: int) -> list[UUID]:
    """Refreshes whose reads hang until the store lets go."""
    return [
        refresh(stack, project, "Delta", store.url(f"slow_{number}")) for number in range(count)
    ]


def refresh(stack: Stack, project: int, format_: str, url: str) -> UUID:
    table = add_table(
        stack.database, project, format=format_, url_pattern=url, options={"public": True}
    )
    request = JobRequest(
        project_id=project,
        kind=JobKind.REFRESH_SCHEMA,
        queue=Queue.INTERACTIVE,
        table_id=table,
        max_attempts=3,
    )
    with stack.database.write() as session:
        return enqueue(session, request).job.id


def test_a_modest_project_reads_while_a_greedy_ones_slow_reads_still_run(
    stack: Stack, worker: Worker, store: ScriptedStore
) -> None:
    """Nobody rings again here: there is no clock."""
    greedy, modest = stack.project_id, add_project(stack.database, "Modest")
    slow = slow_reads(stack, store, greedy, 6)
    wait_until(
        lambda: sum(state(stack, job) is JobState.RUNNING for job in slow) == worker.concurrency,
        "as many slow reads as there are places",
    )
    source = stack.sources / "orders.csv"
    source.write_text("id\n1\n")
    for _ in range(3):
        mine = refresh(stack, modest, "CSVWithNames", f"file://{source}")
        assert wait_for_end(stack.database, mine).state is JobState.SUCCEEDED
        states = [state(stack, job) for job in slow]
        assert states.count(JobState.RUNNING) == worker.concurrency
        assert states.count(JobState.QUEUED) == len(slow) - worker.concurrency

    store.release()
    for job in slow:  # one after the other: each rings for the next
        assert wait_for_end(stack.database, job).outcomes == ("source_not_found",)


def test_slow_projects_leave_the_reserve_for_who_has_no_child(
    stack: Stack, worker: Worker, store: ScriptedStore
) -> None:
    """So many projects that their reads fill the places and the reserve."""
    stack.start_clock()
    greedy = [stack.project_id, *(add_project(stack.database, f"Greedy {n}") for n in range(3))]
    modest = add_project(stack.database, "Modest")
    slow = [
        refresh(stack, project, "Delta", store.url(f"slow_{number}"))
        for number, project in enumerate(greedy)
    ]
    everywhere = worker.concurrency + 1
    wait_until(
        lambda: sum(state(stack, job) is JobState.RUNNING for job in slow) == everywhere,
        "as many slow reads as there are children",
    )
    source = stack.sources / "orders.csv"
    source.write_text("id\n1\n")
    mine = refresh(stack, modest, "CSVWithNames", f"file://{source}")
    assert wait_for_end(stack.database, mine).state is JobState.SUCCEEDED

    jobs = [see_job(stack.database, job) for job in slow]
    held = [job for job in jobs if job.outcomes == (None,)]
    assert len(held) >= worker.concurrency  # those that were there first
    gave_up = [job for job in jobs if "reserve_needed" in job.outcomes]
    assert gave_up
    assert all(job.state is JobState.QUEUED and job.max_attempts == 4 for job in gave_up)
    store.release()
    for job in slow:
        assert wait_for_end(stack.database, job).outcomes[-1] == "source_not_found"


def test_a_worker_that_stops_gives_up_its_places_while_its_last_read_goes_on(
    stack: Stack, worker: Worker, store: ScriptedStore
) -> None:
    [job] = slow_reads(stack, store, stack.project_id, 1)
    store.wait_for_request()
    assert places(stack) > 0
    psutil.Process(worker.pid).terminate()
    wait_until(lambda: places(stack) == 0, "the worker's places to be gone")
    assert state(stack, job) is JobState.RUNNING
    store.release()
    assert wait_for_end(stack.database, job).outcomes == ("source_not_found",)


def places(stack: Stack) -> int:
    with stack.database.read() as session:
        return session.query(WorkerPool).count()


def state(stack: Stack, job: UUID) -> JobState:
    return see_job(stack.database, job).state
