"""`/readyz` on a real stack whose parts freeze and die: it names the one at fault."""

import json
import urllib.error
import urllib.request
from typing import Any
from uuid import UUID

import psutil
import pytest
from celery import Celery
from sqlalchemy import select

from servers.postgres import Postgres
from servers.process import PATIENCE_SECONDS
from servers.scripted_store import ScriptedStore
from servers.service import Web, Worker
from servers.valkey import Valkey
from stocktake.db.models import Canary
from stocktake.states import JobState, Queue
from tests.faults.breaking import freeze, thaw
from tests.support.harness import Stack
from tests.support.stack import add_table, see_job, wait_until

pytestmark = pytest.mark.faults

LATE_SECONDS = 2


@pytest.fixture
def extra_settings(store: ScriptedStore) -> dict[str, str]:
    return {
        "TRUSTED_ENDPOINTS": store.endpoint,
        "CANARY_INTERVAL_SECONDS": "0.3",
        "CANARY_LATE_SECONDS": str(LATE_SECONDS),
        "RING_AGAIN_SECONDS": "1",
        "HEARTBEAT_SECONDS": "0.3",
        "LEASE_SECONDS": "30",
        "CLOCK_INTERVAL_SECONDS": "0.1",
        "WORKER_RESERVE": "0",  # whose child is never busy here
    }


@pytest.fixture
def web(stack: Stack) -> Web:
    return stack.start_web()


def _readyz(web: Web) -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.urlopen(f"{web.url}/readyz", timeout=PATIENCE_SECONDS) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.loads(refused.read())


def _is_well(web: Web) -> bool:
    status, body = _readyz(web)
    return (status, body["status"]) == (200, "ok")


def _checks(web: Web) -> dict[str, str]:
    checks: dict[str, str] = _readyz(web)[1]["checks"]
    return checks


def _wait_for(web: Web, part: str, status: str) -> None:
    wait_until(lambda: _checks(web)[part] == status, f"{part} {status}")


def test_an_idle_worker_is_fine_and_a_frozen_one_is_told_apart(
    stack: Stack, web: Web, worker: Worker
) -> None:
    stack.start_clock()
    wait_until(lambda: _readyz(web)[1]["canary_age_seconds"] is not None, "the first canary home")
    wait_until(lambda: _is_well(web), "all parts in good health")

    frozen = worker.all_processes()
    _freeze_between_canaries(stack, *frozen)
    alone = {"database": "ok", "clock": "ok", "broker": "ok", "worker": "silent"}
    wait_until(
        lambda: _checks(web) == alone,
        "a worker that is silent, and no other part",
        lambda: _readyz(web),
    )
    status, body = _readyz(web)
    assert status == 503
    assert "wedged" in body["reasons"][0]

    thaw(*frozen)
    _wait_for(web, "worker", "ok")


def _freeze_between_canaries(stack: Stack, *processes: psutil.Process) -> None:
    """Stop a worker that has no canary in hand: of one that it took, it would be told as stuck."""

    def frozen() -> bool:
        with stack.database.write() as session:
            # Under its lock the next one is not sent.
            at_home = select(Canary.id).where(Canary.ended_at.is_not(None)).with_for_update()
            if session.scalar(at_home) is None:
                return False
            freeze(*processes)
            return True

    wait_until(frozen, "a canary at home")


def test_a_worker_that_is_connected_but_consumes_nothing_is_silent(
    stack: Stack, web: Web, worker: Worker
) -> None:
    stack.start_clock()
    _wait_for(web, "worker", "ok")
    with Celery(broker=stack.settings["BROKER_URL"]) as celery:
        for queue in Queue:
            celery.control.cancel_consumer(queue, destination=[worker.node], reply=True)

        _wait_for(web, "worker", "silent")

        # It answers a ping all the while.
        pong = {worker.node: {"ok": "pong"}}
        assert celery.control.ping(destination=[worker.node], timeout=PATIENCE_SECONDS) == [pong]


def test_workers_that_are_busy_for_long_are_not_taken_for_wedged(
    stack: Stack, web: Web, worker: Worker, store: ScriptedStore
) -> None:
    stack.start_clock()
    held = [_held_job(stack, store, f"t{number}") for number in range(worker.concurrency)]
    wait_until(
        lambda: all(see_job(stack.database, job).state is JobState.RUNNING for job in held),
        "both children read",
    )

    _wait_for(web, "worker", "busy")
    wait_until(lambda: _is_well(web), "a word that this is well")
    store.release()
    _wait_for(web, "worker", "ok")


def _held_job(stack: Stack, store: ScriptedStore, name: str) -> UUID:
    return stack.refresh(
        add_table(
            stack.database,
            stack.project_id,
            format="Delta",
            url_pattern=store.url(name),
            options={"public": True},
        )
    )


def test_without_a_worker_the_queue_holds_one_canary(
    stack: Stack, web: Web, broker_server: Valkey
) -> None:
    stack.start_clock()
    stack.start_clock()
    _wait_for(web, "worker", "silent")
    with broker_server.client() as client:
        assert client.llen("interactive") == 1


def test_a_killed_clock_and_a_frozen_broker_are_named(
    stack: Stack, web: Web, broker_server: Valkey, worker: Worker
) -> None:
    clock = stack.start_clock()
    _wait_for(web, "worker", "ok")
    broker_server.pause()
    _wait_for(web, "broker", "unreachable")
    broker_server.resume()
    _wait_for(web, "broker", "ok")

    clock.kill()
    _wait_for(web, "clock", "not_ticking")
    assert _readyz(web)[0] == 503


def test_a_dead_database_is_a_503_that_names_it() -> None:
    """Of its own, since the shared one serves other tests."""
    with Postgres() as server:
        url = server.create_database()
        with Web({"DATABASE_URL": url, "BROKER_URL": "redis://127.0.0.1:1/0"}) as web:
            assert _checks(web)["database"] == "not_migrated"
            server.kill()
            # An answer of a moment ago may be given once more.
            wait_until(lambda: _checks(web)["database"] == "unreachable", "word of the dead server")
            status, body = _readyz(web)
            assert status == 503
            assert url not in json.dumps(body)
