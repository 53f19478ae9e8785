"""A child whose native code keeps the interpreter's lock: its own watchdog never runs again."""

from collections.abc import Callable
from uuid import UUID

import psutil
import pytest

from servers.service import Worker
from tests.faults.breaking import gone, reader_of
from tests.faults.client import Client
from tests.faults.inside import variables
from tests.faults.oracle import Oracle
from tests.support.harness import Stack
from tests.support.stack import see_job, wait_for_end, wait_until

HOLDING = variables(hold_interpreter=".held")


def start_read(stack: Stack, client: Client, name: str = "orders.held") -> UUID:
    (stack.sources / name).write_text("id\n1\n")
    answer = client.ask(
        "create",
        "POST",
        "warehouse_tables/",
        json={
            "name": name.replace(".", "_"),
            "format": "CSVWithNames",
            "url_pattern": f"file://{stack.sources / name}",
        },
    )
    assert answer.job
    return answer.job


def held_read(stack: Stack, client: Client) -> tuple[UUID, psutil.Process]:
    """A read that keeps its child's interpreter, and that child."""
    job = start_read(stack, client)
    return job, reader_of(stack, job)


def ended_by_guard(stack: Stack, job: UUID, child: psutil.Process) -> tuple[str | None, ...]:
    ended = wait_for_end(stack.database, job)
    gone(child)
    assert stack.logged("attempt_ended_by_guard", str(job))
    return ended.outcomes


def test_it_is_ended_at_its_time_limit(stack: Stack, client: Client, oracle: Oracle) -> None:
    stack.start_worker(HOLDING, JOB_TIME_LIMIT_SECONDS="2", LEASE_SECONDS="60")
    assert ended_by_guard(stack, *held_read(stack, client)) == ("time_limit",)
    oracle.check(failures={"time_limit"}, refresh=False)


def test_it_is_ended_at_its_memory_limit(stack: Stack, client: Client, oracle: Oracle) -> None:
    holding = HOLDING | variables(hold_interpreter=".held", hold_bytes=str(600 << 20))
    stack.start_worker(holding, JOB_MEMORY_LIMIT_BYTES=str(400 << 20), LEASE_SECONDS="60")
    assert ended_by_guard(stack, *held_read(stack, client)) == ("memory_limit",)
    oracle.check(failures={"memory_limit"}, refresh=False)


def test_its_job_can_be_cancelled(stack: Stack, client: Client, oracle: Oracle) -> None:
    stack.start_worker(HOLDING, LEASE_SECONDS="60")
    job, child = held_read(stack, client)
    assert client.cancel(job).status == 202
    assert ended_by_guard(stack, job, child) == ("cancelled",)
    oracle.check(refresh=False)


def test_it_is_ended_once_when_a_lease_has_passed_and_is_never_lost(
    stack: Stack, client: Client, oracle: Oracle
) -> None:
    """The clock, which rescues what has no lease, finds nothing to do; its neighbour reads on."""
    stack.start_clock(LEASE_SECONDS="12")
    stack.start_worker(HOLDING, LEASE_SECONDS="12")
    job, child = held_read(stack, client)
    neighbour = start_read(stack, client, "good.csv")
    assert wait_for_end(stack.database, neighbour).outcomes == ("succeeded",)
    assert ended_by_guard(stack, job, child) == ("time_limit",)
    assert not stack.logged("jobs_rescued")
    oracle.check(failures={"time_limit"}, refresh=False)


def test_a_worker_that_stops_hands_its_job_back(
    stack: Stack, client: Client, oracle: Oracle
) -> None:
    stack.start_clock()
    worker = stack.start_worker(HOLDING, LEASE_SECONDS="60", WORKER_GRACE_SECONDS="1")
    job, child = held_read(stack, client)
    stack.start_worker()
    worker.ask_to_end()
    assert ended_by_guard(stack, job, child) == ("worker_stopped", "succeeded")
    assert worker.wait_for_exit(60) == 0
    assert see_job(stack.database, job).max_attempts == 6
    oracle.check()


@pytest.mark.parametrize("end", [psutil.Process.kill, psutil.Process.terminate])
def test_a_guard_that_was_killed_is_started_again_and_knows_what_had_begun(
    stack: Stack,
    client: Client,
    oracle: Oracle,
    end: Callable[[psutil.Process], None],
) -> None:
    """SIGTERM it does not hear: whoever signals a whole group means the reads to end in order."""
    worker = stack.start_worker(HOLDING, JOB_TIME_LIMIT_SECONDS="6", LEASE_SECONDS="60")
    job, child = held_read(stack, client)
    guard = worker.guard()
    end(guard)
    if end is psutil.Process.kill:
        wait_until(lambda: bool(stack.logged("guard_restarted")), "another guard")
    assert ended_by_guard(stack, job, child) == ("time_limit",)
    assert guard.is_running() is (end is psutil.Process.terminate)
    oracle.check(failures={"time_limit"}, refresh=False)


def test_the_guard_goes_with_its_worker(worker: Worker) -> None:
    guard = worker.guard()
    worker.kill()
    gone(guard)
