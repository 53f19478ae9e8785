"""Processes that are asked to stop, as in a deploy: no job fails, none is late by more than what
it had read so far and three seconds, and no request under way is dropped.
"""

import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import httpx
import pytest

from servers.scripted_store import ScriptedStore
from servers.service import Clock, ServiceProcess, Web, Worker
from servers.valkey import Valkey
from stocktake.db.models import ApiKey, Job, JobAttempt
from stocktake.states import JobState
from tests.faults.client import Client
from tests.faults.oracle import Oracle, Verdict
from tests.faults.sources import DeltaSource
from tests.support.harness import Stack
from tests.support.stack import add_table, see_job, wait_for_end, wait_until

#: Far longer than a busy machine takes to ring, to write or to end; who waits for a message that
#: is lost, or for a grace that nobody needs, waits for longer.
LATE_SECONDS = 100.0
FAR_LONGER = "600"


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


def _stopping(worker: Worker) -> bool:
    return '"signal": "SIGTERM"' in worker.log_text()


@pytest.mark.parametrize("group", [False, True], ids=["worker", "worker_and_children"])
def test_a_read_under_way_ends_in_order(
    stack: Stack, store: ScriptedStore, held_table: UUID, group: bool
) -> None:
    worker = stack.start_worker()
    job_id = stack.refresh(held_table)
    store.wait_for_request()

    if group:  # systemd signals every process of a service
        for child in worker.children():
            os.kill(child.pid, signal.SIGTERM)
    worker.ask_to_end()
    wait_until(lambda: _stopping(worker), "the worker's word that it stops")
    store.release()

    assert worker.wait_for_exit(LATE_SECONDS) == 0
    assert see_job(stack.database, job_id).outcomes == ("source_not_found",)


@pytest.mark.parametrize("again", [False, True], ids=["after_its_time", "on_a_second_signal"])
def test_a_read_that_takes_longer_is_handed_back_and_costs_no_attempt(
    stack: Stack, store: ScriptedStore, held_table: UUID, again: bool
) -> None:
    stack.start_clock()
    worker = stack.start_worker(WORKER_GRACE_SECONDS=FAR_LONGER if again else "1")
    job_id = stack.refresh(held_table)
    store.wait_for_request()
    stack.start_worker()

    worker.ask_to_end()
    wait_until(lambda: _stopping(worker), "the worker's word that it stops")
    if again:
        worker.ask_to_end()
    wait_until(lambda: see_job(stack.database, job_id).attempt == 2, "the second attempt")

    assert worker.wait_for_exit(LATE_SECONDS) == 0
    store.release()
    job = wait_for_end(stack.database, job_id)
    assert job.outcomes == ("worker_stopped", "source_not_found")
    assert job.max_attempts == 4


def test_an_idle_worker_ends_at_once(stack: Stack) -> None:
    worker = stack.start_worker(WORKER_GRACE_SECONDS=FAR_LONGER)
    worker.ask_to_end()
    assert worker.wait_for_exit(LATE_SECONDS) == 0


@pytest.mark.parametrize("fault", ["kill", "pause"])
def test_a_worker_without_its_broker_ends_too(
    stack: Stack, broker_server: Valkey, store: ScriptedStore, held_table: UUID, fault: str
) -> None:
    worker = stack.start_worker(WORKER_GRACE_SECONDS="1")
    job_id = stack.refresh(held_table)
    store.wait_for_request()
    getattr(broker_server, fault)()
    worker.ask_to_end()
    worker.wait_for_exit(LATE_SECONDS)
    job = see_job(stack.database, job_id)
    assert (job.state, job.outcomes) == (JobState.QUEUED, ("worker_stopped",))


@pytest.mark.timeout(1200)
def test_a_rolling_restart_under_load_fails_no_job_and_delays_none(
    stack: Stack, web: Web, client: Client, oracle: Oracle, new_source: Callable[[], DeltaSource]
) -> None:
    # A message that is lost or held up by a process that stops shows as a long wait.
    stack.settings["RING_AGAIN_SECONDS"] = FAR_LONGER
    running = [web, *(stack.start_worker() for _ in range(2)), stack.start_clock()]
    sources = [new_source() for _ in range(8)]
    tables = [client.create(source) for source in sources]
    over = threading.Event()

    def ask() -> int:
        asked = 0
        while not over.wait(0.1):
            sources[asked % len(sources)].grow()
            assert client.refresh(tables[asked % len(tables)]).status == 202
            asked += 1
        return asked

    with ThreadPoolExecutor() as thread:
        load = thread.submit(ask)
        try:
            for old in running:
                new = _replacement(stack, old)
                if isinstance(new, Web):
                    client.move_to(new.url)
                old.ask_to_end()
                assert old.wait_for_exit(LATE_SECONDS) in {0, -signal.SIGTERM}
        finally:
            over.set()
        assert load.result() > len(running)

    verdict = oracle.check()
    assert set(verdict.ended) == {"succeeded"}
    assert set(verdict.attempts) <= {"succeeded", "worker_stopped"}
    assert max(map(_idle_seconds, *_with_attempts(verdict))) <= LATE_SECONDS


def _replacement(stack: Stack, old: ServiceProcess) -> ServiceProcess:
    start = {Web: stack.start_web, Worker: stack.start_worker, Clock: stack.start_clock}
    return start[type(old)]()


def _with_attempts(verdict: Verdict) -> tuple[list[Job], list[Sequence[JobAttempt]]]:
    jobs = list(verdict.records.jobs.values())
    return jobs, [verdict.records.attempts[job.id] for job in jobs]


def _idle_seconds(job: Job, attempts: Sequence[JobAttempt]) -> float:
    """For how long nobody worked on a job, from its making to its end."""
    assert job.finished_at is not None
    total = job.finished_at - job.created_at
    for attempt in attempts:
        assert attempt.ended_at is not None
        total -= attempt.ended_at - attempt.started_at
    return total.total_seconds()


def test_requests_that_wait_are_answered_when_the_web_process_stops(
    stack: Stack, web: Web, held_table: UUID
) -> None:
    """Nobody works on the job: a long poll and an event stream would wait for a minute."""
    job_id = stack.refresh(held_table)
    url = f"{web.url}/api/projects/{stack.project_id}/jobs/{job_id}/"
    streams, polls = ({"Authorization": f"Bearer {stack.make_key()}"} for _ in range(2))

    with (
        httpx.Client(headers=streams, timeout=LATE_SECONDS, trust_env=False) as client,
        ThreadPoolExecutor() as thread,
        client.stream("GET", f"{url}events/") as stream,
    ):
        polled = thread.submit(client.get, f"{url}?wait=60", headers=polls)
        lines = stream.iter_lines()
        assert next(lines) == "event: state"
        wait_until(lambda: _used_keys(stack) == 2, "the use of the poll's key")
        web.ask_to_end()
        rest = list(lines)  # without an error: the stream was ended in order
        assert polled.result(45).json()["state"] == "queued"

    assert not any("end" in line for line in rest if line.startswith("event"))
    assert web.wait_for_exit(LATE_SECONDS) == -signal.SIGTERM
    assert not stack.logged("graceful shutdown exceeded")


def _used_keys(stack: Stack) -> int:
    """How many keys a request has come with, as is written every few seconds."""
    with stack.database.read() as session:
        return session.query(ApiKey).where(ApiKey.last_used_at.is_not(None)).count()


def test_a_clock_ends_at_once(stack: Stack) -> None:
    clock = stack.start_clock()
    clock.ask_to_end()
    assert clock.wait_for_exit(LATE_SECONDS) == 0
