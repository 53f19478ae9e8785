"""What breaks under a job: its child, its broker, its clock. Each test sees its fault happen."""

import os
import signal
from uuid import UUID

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from stocktake.states import JobState
from tests.harness import Stack
from tests.scripted_store import ScriptedStore
from tests.servers import Valkey
from tests.stack import Worker, add_table, see_job, wait_for_end, wait_until


@pytest.fixture
def extra_settings(store: ScriptedStore) -> dict[str, str]:
    return {
        "TRUSTED_ENDPOINTS": store.endpoint,
        "RING_AGAIN_SECONDS": "1",
        "HEARTBEAT_SECONDS": "0.5",
        "JOB_MEMORY_LIMIT_BYTES": str(1 << 40),
    }


@pytest.fixture
def held_table(stack: Stack, store: ScriptedStore) -> UUID:
    """A table whose read hangs until the store lets go."""
    return add_table(
        stack.database,
        stack.project_id,
        format="Delta",
        url_pattern=store.url("orders"),
        options={"public": True},
    )


@pytest.fixture
def local_table(stack: Stack) -> UUID:
    """A table that is read at once."""
    folder = stack.sources / "orders"
    write_deltalake(str(folder), pa.table({"id": pa.array([1], pa.int64())}))
    return add_table(
        stack.database,
        stack.project_id,
        format="Delta",
        url_pattern=f"file://{folder}",
        options={},
    )


def test_a_child_killed_in_the_middle_of_a_job_costs_one_attempt(
    stack: Stack, worker: Worker, store: ScriptedStore, held_table: UUID
) -> None:
    stack.start_clock()
    job_id = stack.refresh(held_table)
    store.wait_for_request()
    claimed_by = see_job(stack.database, job_id).worker
    assert claimed_by is not None
    os.kill(int(claimed_by.rsplit("/", 1)[1]), signal.SIGKILL)

    wait_until(lambda: see_job(stack.database, job_id).attempt == 2, "the second attempt")
    store.release()
    job = wait_for_end(stack.database, job_id)

    assert job.outcomes == ("worker_lost", "source_not_found")
    assert worker.pid  # the parent lived on


def test_a_job_accepted_while_the_broker_is_dead_runs_when_it_is_back(
    stack: Stack, broker_server: Valkey, worker: Worker, local_table: UUID
) -> None:
    stack.start_clock()
    broker_server.kill()
    job_id = stack.refresh(local_table)
    assert see_job(stack.database, job_id).state is JobState.QUEUED

    broker_server.start()

    assert wait_for_end(stack.database, job_id).state is JobState.SUCCEEDED


def test_a_job_whose_message_is_wiped_from_the_broker_is_rung_for_again(
    stack: Stack, broker_server: Valkey, local_table: UUID, request: pytest.FixtureRequest
) -> None:
    job_id = stack.refresh(local_table)
    with broker_server.client() as client:
        wait_until(lambda: client.llen("interactive") == 1, "the first ring")
        client.flushall()
    stack.start_clock()
    request.getfixturevalue("worker")

    job = wait_for_end(stack.database, job_id)

    assert job.state is JobState.SUCCEEDED
    assert job.outcomes == ("succeeded",)


def test_two_clocks_run_every_job_once(stack: Stack, broker_server: Valkey, worker: Worker) -> None:
    tables = []
    for number in range(10):
        folder = stack.sources / f"t{number}"
        write_deltalake(str(folder), pa.table({"id": pa.array([1], pa.int64())}))
        tables.append(
            add_table(
                stack.database,
                stack.project_id,
                format="Delta",
                url_pattern=f"file://{folder}",
                options={},
            )
        )
    broker_server.pause()  # no first ring arrives: all of it is the clocks' work
    jobs = [stack.refresh(table_id) for table_id in tables]
    stack.start_clock()
    stack.start_clock()
    broker_server.resume()

    ends = [wait_for_end(stack.database, job_id) for job_id in jobs]

    assert [job.outcomes for job in ends] == [("succeeded",)] * len(jobs)


def test_a_running_job_is_cancelled_at_its_next_heartbeat(
    stack: Stack, worker: Worker, store: ScriptedStore, held_table: UUID
) -> None:
    from sqlalchemy import update

    from stocktake.db.clock import now
    from stocktake.db.models import Job

    job_id = stack.refresh(held_table)
    store.wait_for_request()
    with stack.database.write() as session:
        session.execute(update(Job).where(Job.id == job_id).values(cancel_requested_at=now()))

    job = wait_for_end(stack.database, job_id)

    assert job.state is JobState.CANCELLED
    assert job.outcomes == ("cancelled",)


@pytest.mark.parametrize(
    ("setting", "code"),
    [("JOB_TIME_LIMIT_SECONDS", "time_limit"), ("JOB_MEMORY_LIMIT_BYTES", "memory_limit")],
)
def test_a_read_beyond_a_limit_fails_at_once(
    stack: Stack,
    store: ScriptedStore,
    held_table: UUID,
    setting: str,
    code: str,
    request: pytest.FixtureRequest,
) -> None:
    stack.settings[setting] = "1"
    request.getfixturevalue("worker")

    job = wait_for_end(stack.database, stack.refresh(held_table))

    assert job.state is JobState.FAILED
    assert job.outcomes == (code,)
