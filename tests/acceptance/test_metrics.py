"""What `/metrics` counts over real processes, as each of their troubles is made to happen."""

import json
import urllib.request
from uuid import UUID

import pytest
from prometheus_client.parser import text_string_to_metric_families

from servers.process import PATIENCE_SECONDS
from servers.scripted_store import ScriptedStore
from servers.service import Web, Worker
from servers.valkey import Valkey
from tests.faults.breaking import freeze_between_writes, thaw
from tests.support.harness import Stack
from tests.support.stack import add_table, see_job, wait_for_end, wait_until

# The clock adds attempts up some fifteen seconds after they end.
pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture
def extra_settings(store: ScriptedStore) -> dict[str, str]:
    return {
        "TRUSTED_ENDPOINTS": store.endpoint,
        "LEASE_SECONDS": "2",
        "HEARTBEAT_SECONDS": "0.3",
        "RING_AGAIN_SECONDS": "1",
        "CANARY_INTERVAL_SECONDS": "1",
    }


@pytest.mark.long
def test_drops_rescues_stale_writes_and_ends_are_counted_wherever_they_happen(
    stack: Stack, broker_server: Valkey, worker: Worker, store: ScriptedStore
) -> None:
    web = stack.start_web()
    broker_server.kill()
    job_id = _post_refresh(stack, web)
    wait_until(
        lambda: _read(web, "stocktake_rings_dropped_total", process="web") == 1, "the web's drop"
    )
    assert _read(web, "stocktake_broker_up") == 0
    assert _read(web, "stocktake_due_jobs", queue="interactive") == 1
    assert _read(web, "stocktake_oldest_queued_seconds", queue="interactive") > 0

    broker_server.start()
    stack.start_clock()
    store.wait_for_request()
    frozen = worker.all_processes()
    freeze_between_writes(stack.database, *frozen)
    wait_until(
        lambda: _read(web, "stocktake_rescues_total", reason="lease_expired") == 1, "the rescue"
    )
    other = stack.start_worker()
    wait_until(lambda: see_job(stack.database, job_id).attempt == 2, "the second attempt")
    store.release()
    assert wait_for_end(stack.database, job_id).outcomes == ("worker_lost", "source_not_found")
    assert _read(web, "stocktake_stale_writes_refused_total") == 0

    thaw(*frozen)
    wait_until(lambda: _read(web, "stocktake_stale_writes_refused_total") == 1, "the refused write")
    for code in ("worker_lost", "source_not_found"):
        wait_until(
            lambda code=code: _read(web, "stocktake_attempts_total", code=code) == 1,
            f"the attempt that ended {code}",
        )
    assert _read(web, "stocktake_jobs", state="failed") == 1
    assert _read(web, "stocktake_canary_age_seconds") >= 0
    assert other.pid


def _post_refresh(stack: Stack, web: Web) -> UUID:
    table_id = add_table(
        stack.database,
        stack.project_id,
        format="Delta",
        url_pattern=f"{stack.settings['TRUSTED_ENDPOINTS']}/bucket/orders",
        options={"public": True},
    )
    request = urllib.request.Request(
        f"{web.url}/api/projects/{stack.project_id}/warehouse_tables/{table_id}/refresh_schema/",
        method="POST",
        headers={"Authorization": f"Bearer {stack.make_key()}"},
    )
    with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
        return UUID(json.loads(answer.read())["id"])


def _read(web: Web, name: str, **labels: str) -> float | None:
    """The sample of that name and those labels; None where there is none."""
    with urllib.request.urlopen(f"{web.url}/metrics", timeout=PATIENCE_SECONDS) as answer:
        families = text_string_to_metric_families(answer.read().decode())
    samples = (sample for family in families for sample in family.samples)
    found = [each.value for each in samples if (each.name, each.labels) == (name, labels)]
    return found[0] if found else None
