"""A read that wakes up too late, hangs, or eats memory."""

import psutil
import pytest

from servers.scripted_store import ScriptedStore
from servers.service import Worker
from stocktake.db.models import Job, Table
from tests.faults.breaking import freeze_between_writes, is_frozen, kill_reader, reader_of, thaw
from tests.faults.client import Client
from tests.faults.oracle import Oracle
from tests.faults.sources import ParquetSource
from tests.support.harness import Stack
from tests.support.stack import see_job, wait_for_end, wait_until

#: Beside its limit a hang takes this at most, on a busy machine; unlimited, it would never end.
GRACE_SECONDS = 60


def test_a_worker_that_wakes_up_after_its_lease_writes_nothing(
    stack: Stack, worker: Worker, store: ScriptedStore, client: Client, oracle: Oracle
) -> None:
    stack.start_clock()
    source = ParquetSource(store, "orders.parquet", "old")
    table = client.create(source)
    [job] = client.jobs()
    store.wait_for_request()  # it will be answered with the old file, however late
    sleepers = [psutil.Process(worker.pid), *worker.children()]
    reader = reader_of(stack, job)
    assert reader in sleepers
    freeze_between_writes(stack.database, *sleepers)
    source.write("new", "newer")
    stack.start_worker()
    store.release()
    ended = wait_for_end(stack.database, job)
    assert all(map(is_frozen, sleepers))
    thaw(reader)  # alone: a guard whose worker is awake may end it before it is refused
    wait_until(lambda: bool(stack.logged("stale_attempt", str(job))), "the refusal")
    # The reader may be over by now, and is no process any more once its worker is awake.
    thaw(*(each for each in sleepers if each != reader))

    assert ended.outcomes == ("worker_lost", "succeeded")
    with stack.database.read() as session:
        columns = session.get_one(Table, table).columns
    assert [column["name"] for column in columns] == ["new", "newer"]
    oracle.check()


def test_a_read_that_hangs_in_native_code_fails_at_its_time_limit(
    stack: Stack, store: ScriptedStore, client: Client, oracle: Oracle
) -> None:
    stack.start_worker(JOB_TIME_LIMIT_SECONDS="2")
    client.create(ParquetSource(store, "orders.parquet", "id"))
    [job] = client.jobs()
    store.wait_for_request()  # and gets no answer

    assert wait_for_end(stack.database, job).outcomes == ("time_limit",)
    assert seconds_running(stack, job) <= 2 + GRACE_SECONDS
    oracle.check(failures={"time_limit"}, refresh=False)


def test_a_child_whose_watchdog_cannot_run_fails_at_its_time_limit(
    stack: Stack, store: ScriptedStore, client: Client, oracle: Oracle
) -> None:
    """Native code may keep the interpreter's lock: then no thread of the child runs."""
    stack.start_worker(JOB_TIME_LIMIT_SECONDS="2", LEASE_SECONDS="30")
    client.create(ParquetSource(store, "orders.parquet", "id"))
    [job] = client.jobs()
    store.wait_for_request()
    child = reader_of(stack, job)
    freeze_between_writes(stack.database, child)

    assert wait_for_end(stack.database, job).outcomes == ("time_limit",)
    assert seconds_running(stack, job) <= 2 + GRACE_SECONDS
    wait_until(lambda: not child.is_running(), "the end of the frozen child")
    oracle.check(failures={"time_limit"}, refresh=False)


def test_a_read_beyond_its_memory_limit_fails_at_once(
    stack: Stack, client: Client, oracle: Oracle
) -> None:
    worker = stack.start_worker(
        JOB_MEMORY_LIMIT_BYTES=str(400 << 20),
        INFERENCE_MAX_LINE_BYTES=str(128 << 20),
        INFERENCE_MAX_BYTES=str(128 << 20),
    )
    before = {child.pid for child in worker.children()}
    assert max(child.memory_info().rss for child in worker.children()) < 300 << 20
    file = stack.sources / "large.json"
    strings = ",".join(f'"{number:06}"' for number in range(5_000_000))
    file.write_text(f'{{"id": 1, "names": [{strings}]}}\n')
    answer = client.ask(
        "create",
        "POST",
        "warehouse_tables/",
        json={"name": "large", "format": "JSONEachRow", "url_pattern": f"file://{file}"},
    )
    assert answer.job

    ended = wait_for_end(stack.database, answer.job)
    assert ended.outcomes == ("memory_limit",)
    wait_until(
        lambda: bool(before - {child.pid for child in worker.children()}), "the end of the child"
    )
    oracle.check(failures={"memory_limit"})


def test_a_job_whose_child_the_kernel_kills_each_time_fails_after_its_last_attempt(
    stack: Stack, worker: Worker, store: ScriptedStore, client: Client, oracle: Oracle
) -> None:
    stack.start_clock()
    client.create(ParquetSource(store, "orders.parquet", "id"))
    [job] = client.jobs()
    for attempt in range(1, int(MAX_ATTEMPTS) + 1):
        wait_until(lambda: see_job(stack.database, job).attempt == attempt, f"attempt {attempt}")  # noqa: B023
        kill_reader(stack, reader_of(stack, job))

    ended = wait_for_end(stack.database, job)
    assert ended.outcomes == ("worker_lost",) * int(MAX_ATTEMPTS)
    assert ended.error
    assert ended.error["code"] == "worker_lost"
    oracle.check(failures={"worker_lost"}, refresh=False)


def test_a_running_job_is_cancelled_at_its_next_heartbeat(
    stack: Stack, worker: Worker, store: ScriptedStore, client: Client, oracle: Oracle
) -> None:
    client.create(ParquetSource(store, "orders.parquet", "id"))
    [job] = client.jobs()
    store.wait_for_request()
    assert client.cancel(job).status == 202

    assert wait_for_end(stack.database, job).outcomes == ("cancelled",)
    oracle.check(refresh=False)


def seconds_running(stack: Stack, job_id: object) -> float:
    """From the claim to the end, by the database's clock."""
    with stack.database.read() as session:
        job = session.get_one(Job, job_id)
    assert job.started_at
    assert job.finished_at
    return (job.finished_at - job.started_at).total_seconds()


MAX_ATTEMPTS = "3"


@pytest.fixture
def extra_settings(extra_settings: dict[str, str]) -> dict[str, str]:
    return extra_settings | {"JOB_MAX_ATTEMPTS": MAX_ATTEMPTS}
