"""The broker dies, or forgets."""

from uuid import UUID

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from stocktake.states import JobState
from tests.harness import Stack
from tests.servers import Valkey
from tests.stack import Worker, add_table, see_job, wait_for_end, wait_until


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
