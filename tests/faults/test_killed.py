"""A process is killed at the worst moment: the reading child, its parent, the API."""

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import cast
from uuid import UUID

import psutil
import pytest
import redis
from deltalake import DeltaTable
from sqlalchemy import select, update

from servers.process import PATIENCE_SECONDS
from servers.scripted_store import ScriptedStore
from servers.service import Web, Worker
from servers.valkey import Valkey
from stocktake.db.clock import now
from stocktake.db.models import IdempotencyKey, Table
from stocktake.parts import managed_storage
from stocktake.services.idempotency import RUNNING_SECONDS
from stocktake.states import JobState
from tests.faults.breaking import freeze, gone, is_frozen, kill_reader, reader_of
from tests.faults.client import Client, Sent
from tests.faults.inside import variables
from tests.faults.oracle import Oracle
from tests.faults.records import read_records
from tests.faults.sources import DeltaSource, ParquetSource
from tests.support.harness import Stack
from tests.support.stack import see_job, wait_until


def test_a_killed_child_costs_its_job_one_attempt_and_its_neighbour_nothing(
    stack: Stack, worker: Worker, store: ScriptedStore, client: Client, oracle: Oracle
) -> None:
    stack.start_clock()
    victim, neighbour = jobs_that_are_held(client, store)
    child, other = reader_of(stack, victim), reader_of(stack, neighbour)
    assert child != other
    kill_reader(stack, child)
    wait_until(lambda: see_job(stack.database, victim).attempt == 2, "the second attempt")
    store.release()
    oracle.check()

    assert see_job(stack.database, victim).outcomes == ("worker_lost", "succeeded")
    assert see_job(stack.database, neighbour).outcomes == ("succeeded",)
    assert other in worker.children()


def test_a_killed_child_gives_its_job_back_at_once_and_only_where_its_worker_is_meant(
    stack: Stack, worker: Worker, store: ScriptedStore, client: Client, oracle: Oracle
) -> None:
    """Two machines of one host name: the nodes' names are the same, and process ids may be."""
    stack.start_worker(node=worker.node)
    jobs = jobs_that_are_held(client, store, 4)
    names = {job: see_job(stack.database, job).worker or "" for job in jobs}
    assert {name.split("/")[0] for name in names.values()} == {worker.node}
    assert len({name.rsplit("/", 1)[0] for name in names.values()}) == 2

    kill_reader(stack, reader_of(stack, jobs[0]))

    told = ("child_lost", names[jobs[0]], '"handed_back": true')
    wait_until(lambda: bool(stack.logged(*told)), "the parent's report")
    stack.start_clock()
    store.release()
    oracle.check()


def test_a_killed_worker_leaves_no_child_behind_and_another_one_takes_its_jobs(
    stack: Stack, worker: Worker, store: ScriptedStore, client: Client, oracle: Oracle
) -> None:
    stack.start_clock()
    jobs = jobs_that_are_held(client, store)
    parent, children = psutil.Process(worker.pid), worker.children()
    assert {reader_of(stack, job) for job in jobs} < set(children)
    parent.send_signal(signal.SIGKILL)

    assert parent.wait(PATIENCE_SECONDS) == -signal.SIGKILL
    gone(*children)
    stack.start_worker()
    store.release()
    oracle.check()
    for job in jobs:
        assert see_job(stack.database, job).outcomes == ("worker_lost", "succeeded")


def jobs_that_are_held(client: Client, store: ScriptedStore, count: int = 2) -> list[UUID]:
    """Jobs whose reads hang until the store lets go."""
    for number in range(count):
        client.create(ParquetSource(store, f"{number}.parquet", "id"))
        store.wait_for_request()
    return client.jobs()


def test_a_worker_killed_between_effect_and_acknowledgement_leaves_one_effect(
    stack: Stack,
    worker: Worker,
    store: ScriptedStore,
    broker_server: Valkey,
    client: Client,
    oracle: Oracle,
) -> None:
    stack.start_clock()
    client.create(ParquetSource(store, "orders.parquet", "id", "note"))
    [job] = client.jobs()
    child = reader_of(stack, job)
    store.wait_for_request()
    parent = psutil.Process(worker.pid)
    freeze(parent)
    store.release()
    wait_until(lambda: see_job(stack.database, job).state.done, "the effect")
    with broker_server.client() as broker:
        [tag] = unacknowledged(broker, job)
        worker.kill()
        gone(parent, child)
        worker.start()
        broker.zadd("unacked_index", {tag: 0})  # as if the visibility timeout were over
        wait_until(lambda: len(stack.logged(str(job), "received")) == 2, "the second delivery")
        wait_until(lambda: not unacknowledged(broker, job), "its acknowledgement")
    oracle.check()

    assert see_job(stack.database, job).outcomes == ("succeeded",)


def unacknowledged(broker: redis.Redis, job: UUID) -> list[bytes]:
    """The delivery tags of the job's messages that a worker holds, or held when it died."""
    held = cast("dict[bytes, bytes]", broker.hgetall("unacked"))
    return [tag for tag, message in held.items() if str(job).encode() in message]


def test_a_child_killed_between_the_rows_and_their_record_loads_them_once(
    stack: Stack, worker: Worker, client: Client, oracle: Oracle
) -> None:
    stack.start_clock()
    assert client.upload("ledger", rows=1).status == 201
    oracle.wait_for_ends(60)
    sent = client.upload("ledger", rows=200_000)
    assert sent.job is not None
    child = reader_of(stack, sent.job)
    storage = managed_storage(stack.parsed_settings())
    root, _ = storage.delta_root(stack.project_id, str(sent.table_id))
    before = DeltaTable(root).version()
    with locked(stack, sent.table_id):
        wait_until(lambda: DeltaTable(root).version() > before, "the rows")
        assert see_job(stack.database, sent.job).state is JobState.RUNNING
        child.kill()
        gone(child)
    oracle.check()

    assert see_job(stack.database, sent.job).outcomes == ("worker_lost", "succeeded")


@contextmanager
def locked(stack: Stack, table_id: UUID) -> Iterator[None]:
    """Keep everybody else from writing to the table's row."""
    with stack.database.write() as session:  # on SQLite this alone locks out all writers
        session.scalars(select(Table).where(Table.id == table_id).with_for_update()).one()
        yield


def ask_for_refresh(client: Client, table: UUID) -> Sent:
    return client.refresh(table)


def ask_for_refresh_and_wait(client: Client, table: UUID) -> Sent:
    return client.refresh(table, prefer="wait=5")


def ask_for_upload(client: Client, table: UUID) -> Sent:
    return client.upload("ledger", rows=5)


@pytest.mark.parametrize("ask", [ask_for_refresh, ask_for_refresh_and_wait, ask_for_upload])
def test_an_api_killed_between_commit_and_answer_gives_the_same_job_for_the_same_key(
    stack: Stack,
    web: Web,
    client: Client,
    oracle: Oracle,
    new_source: Callable[[], DeltaSource],
    ask: Callable[[Client, UUID], Sent],
) -> None:
    stack.start_clock()  # nobody else rings for what the dead API had committed
    stack.start_worker()
    table = client.create(new_source())
    oracle.wait_for_ends(60)
    known = set(read_records(stack.database).jobs)
    frozen = stack.start_web(variables(freeze_after_commit="INSERT INTO jobs"))
    client.move_to(frozen.url)
    with ThreadPoolExecutor(1) as thread:
        asked = thread.submit(ask, client, table)
        process = psutil.Process(frozen.pid)
        wait_until(lambda: is_frozen(process), "the API to freeze after its commit")
        [job] = set(read_records(stack.database).jobs) - known
        process.kill()
        unheard = asked.result()
    assert process.wait(PATIENCE_SECONDS) == -signal.SIGKILL
    assert unheard.status is None
    oracle.wait_for_ends(60)  # a job that waits would be given for any key
    assert see_job(stack.database, job).state is JobState.SUCCEEDED

    client.move_to(web.url)
    repeated = client.again(unheard)
    if repeated.status == 409:  # it waited for its job, and may do so still: ask again later
        assert repeated.body["code"] == "idempotency_key_in_use"
        grow_older(stack, unheard.key, RUNNING_SECONDS)
        repeated = client.again(unheard)
    assert repeated.accepted
    assert repeated.job == job
    oracle.check(allowed={None})


def grow_older(stack: Stack, key: str, seconds: float) -> None:
    """Let the first use of a key lie further back."""
    with stack.database.write() as session:
        rows = update(IdempotencyKey).where(IdempotencyKey.key == key)
        session.execute(rows.values(created_at=now(-seconds)))
