"""One job, followed by its ids through the logs of the API, the worker and the clock."""

import json
import urllib.request
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from servers.process import PATIENCE_SECONDS
from servers.scripted_store import ScriptedStore
from servers.service import ServiceProcess, Web, Worker
from stocktake.db.models import Canary
from stocktake.states import JobState
from tests.support.harness import Stack
from tests.support.stack import add_table, see_job, wait_for_end, wait_until

pytestmark = pytest.mark.faults

REQUEST_ID = "nightly-7"


@pytest.fixture
def extra_settings(store: ScriptedStore) -> dict[str, str]:
    return {
        "TRUSTED_ENDPOINTS": store.endpoint,
        "LEASE_SECONDS": "2",
        "HEARTBEAT_SECONDS": "0.3",
        "RING_AGAIN_SECONDS": "1",
    }


def test_a_job_is_followed_from_its_request_over_a_rescue_to_its_end(
    stack: Stack, worker: Worker, store: ScriptedStore
) -> None:
    table_id = add_table(
        stack.database,
        stack.project_id,
        format="Delta",
        url_pattern=store.url("orders"),
        options={"public": True},
    )
    web = stack.start_web()
    job_id = _post_refresh(stack, web, table_id)
    store.wait_for_request()
    worker.kill()
    clock = stack.start_clock()
    wait_until(lambda: see_job(stack.database, job_id).state is JobState.QUEUED, "the rescue")
    store.release()
    worker.start()
    assert wait_for_end(stack.database, job_id).outcomes == ("worker_lost", "source_not_found")

    wait_until(lambda: "job_attempt_failed" in _events(worker, job_id), "the last line")
    wait_until(lambda: "ring_published" in _events(clock, job_id), "the clock's ring")
    assert _events(web, job_id) == ["job_accepted", "ring_published"]
    assert _events(clock, job_id)[:2] == ["job_rescued", "job_rung_again"]

    attempts = [
        (line["event"], line["attempt"]) for line in _lines(worker, job_id) if "attempt" in line
    ]
    assert attempts == [("job_started", 1), ("job_started", 2), ("job_attempt_failed", 2)]
    told = [line for process in (web, worker, clock) for line in _lines(process, job_id)]
    (rescued,) = [line for line in told if line["event"] == "job_rescued"]
    assert rescued["attempt"] == 1
    for line in told:
        if line["event"] not in {"ring_published", "claim_refused"}:  # they know the job alone
            assert (line["request_id"], line["table_id"]) == (REQUEST_ID, str(table_id)), line


def test_every_line_of_every_process_is_one_object_with_the_time_first(stack: Stack) -> None:
    """Their banners, Celery's own lines and Python's warnings too; and no canary fills the logs."""
    processes = (stack.start_web(), stack.start_worker(), stack.start_clock())
    wait_until(lambda: _came_home(stack), "a canary")
    for process in processes:
        process.stop()
        for line in process.log_text().splitlines():
            assert next(iter(json.loads(line))) == "timestamp", line
            assert "canary" not in line


def _came_home(stack: Stack) -> bool:
    with stack.database.read() as session:
        return session.scalar(select(Canary.last_ended_at)) is not None


def _post_refresh(stack: Stack, web: Web, table_id: UUID) -> UUID:
    request = urllib.request.Request(
        f"{web.url}/api/projects/{stack.project_id}/warehouse_tables/{table_id}/refresh_schema/",
        method="POST",
        headers={"Authorization": f"Bearer {stack.make_key()}", "X-Request-ID": REQUEST_ID},
    )
    with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
        assert answer.status == 202
        assert answer.headers["X-Request-ID"] == REQUEST_ID
        return UUID(json.loads(answer.read())["id"])


def _lines(process: ServiceProcess, job_id: UUID) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in process.log_text().splitlines() if line.startswith("{")]
    return [line for line in lines if line.get("job_id") == str(job_id)]


def _events(process: ServiceProcess, job_id: UUID) -> list[str]:
    return [line["event"] for line in _lines(process, job_id)]
