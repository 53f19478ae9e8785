"""The bulk refresh, from the POST to its end, with the test in the worker's place."""

from collections.abc import Callable
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import update

from stocktake.db.clock import now
from stocktake.db.models import Table
from stocktake.db.session import Database, Ring
from stocktake.errors import SourceNotFoundError
from stocktake.jobs import leases
from stocktake.jobs.leases import RetryPolicy
from stocktake.readers.source import no_progress
from stocktake.runs import expand_batch as expansion
from stocktake.runs.attempt import Attempt
from stocktake.settings import Settings
from stocktake.states import JobKind, Queue
from tests.integration.api.conftest import FinishJob, MakeJob, MakeKey
from tests.support.rows import claimed, job, process_of

MakeTable = Callable[..., UUID]
Expand = Callable[..., None]


@pytest.fixture
def expand_batch(database: Database, settings: Settings) -> Expand:
    """Play the worker that expands a batch."""

    def run(batch: dict, chunk: int = 500) -> None:
        attempt = Attempt(
            claim=claimed(database, UUID(batch["expand_job_id"])),
            process=process_of(database, settings),
            progress=no_progress,
        )
        expansion.run(attempt, chunk=chunk)

    return run


def _start(client: httpx.Client, selector: dict) -> dict:
    answer = client.post("warehouse_tables/refresh/", json=selector)
    assert answer.status_code == 202, answer.text
    return answer.json()


def _batch(client: httpx.Client, batch: dict) -> dict:
    answer = client.get(f"batches/{batch['id']}/")
    assert answer.status_code == 200, answer.text
    return answer.json()


def _jobs(client: httpx.Client, batch: dict) -> dict[str, dict]:
    found = client.get("jobs/", params={"batch": batch["id"], "kind": "refresh_schema"}).json()
    return {each["table_id"]: each for each in found["results"]}


def test_a_bulk_refresh_is_accepted_before_any_of_its_jobs_exist(
    client: httpx.Client, make_table: MakeTable, rings: list[Ring], project_id: int
) -> None:
    make_table("orders")
    answer = client.post("warehouse_tables/refresh/", json={"all": True})
    body = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/api/projects/{project_id}/batches/{body['id']}/"
    assert answer.headers["retry-after"] == "1"
    assert (body["state"], body["done"], body["total"]) == ("expanding", False, 0)
    assert [(ring.kind, ring.queue) for ring in rings] == [(JobKind.EXPAND_BATCH, Queue.BULK)]
    assert str(rings[0].job_id) == body["expand_job_id"]


def test_the_counters_follow_the_jobs_to_the_end(
    client: httpx.Client,
    make_table: MakeTable,
    expand_batch: Expand,
    finish_job: FinishJob,
    database: Database,
) -> None:
    tables = [make_table(f"t{number}") for number in range(4)]
    batch = _start(client, {"all": True})
    expand_batch(batch)
    jobs = _jobs(client, batch)
    assert set(jobs) == {str(each) for each in tables}

    running = _batch(client, batch)
    assert (running["state"], running["done"], running["total"]) == ("running", False, 4)
    assert running["counts"]["queued"] == 4
    assert running["finished_share"] == 0.0

    for table_id in tables[:3]:
        finish_job(UUID(jobs[str(table_id)]["id"]))
    claim = claimed(database, UUID(jobs[str(tables[3])]["id"]))
    assert _batch(client, batch)["finished_share"] == 0.75
    with database.write() as session:
        policy = RetryPolicy(base_seconds=0.0, max_seconds=0.0)
        leases.fail(session, claim, SourceNotFoundError(), policy)

    answer = client.get(f"batches/{batch['id']}/")
    ended = answer.json()
    assert (ended["state"], ended["done"], ended["finished_share"]) == ("finished", True, 1.0)
    assert (ended["counts"]["succeeded"], ended["counts"]["failed"]) == (3, 1)
    assert ended["errors"] == [
        {
            "table_id": str(tables[3]),
            "table_name": "t3",
            "job_id": jobs[str(tables[3])]["id"],
            "code": "source_not_found",
            "detail": "The provided file doesn't exist in the bucket",
        }
    ]
    assert "retry-after" not in answer.headers


def test_the_first_ten_errors_are_shown(
    client: httpx.Client, make_table: MakeTable, expand_batch: Expand, database: Database
) -> None:
    for number in range(12):
        make_table(f"t{number:02}")
    batch = _start(client, {"all": True})
    expand_batch(batch)
    for each in _jobs(client, batch).values():
        claim = claimed(database, UUID(each["id"]))
        with database.write() as session:
            policy = RetryPolicy(base_seconds=0.0, max_seconds=0.0)
            leases.fail(session, claim, SourceNotFoundError(), policy)
    ended = _batch(client, batch)
    assert ended["counts"]["failed"] == 12
    assert [each["table_name"] for each in ended["errors"]] == [f"t{n:02}" for n in range(10)]


def test_a_batch_of_no_tables_ends_well(client: httpx.Client, expand_batch: Expand) -> None:
    batch = _start(client, {"name_glob": "nothing_*"})
    expand_batch(batch)
    ended = _batch(client, batch)
    assert (ended["state"], ended["done"], ended["total"]) == ("finished", True, 0)
    assert ended["finished_share"] == 1.0


def test_a_refresh_that_waits_already_serves_the_batch_too(
    client: httpx.Client,
    make_table: MakeTable,
    make_job: MakeJob,
    expand_batch: Expand,
    database: Database,
) -> None:
    shared, own = make_table("shared"), make_table("own")
    waiting = make_job(table_id=shared)
    batch = _start(client, {"all": True})
    expand_batch(batch)
    assert set(_jobs(client, batch)) == {str(own)}
    seen = _batch(client, batch)
    assert (seen["total"], seen["deduplicated"]) == (2, 1)
    assert job(database, UUID(batch["expand_job_id"])).result == {
        "tables": 2,
        "jobs": 1,
        "deduplicated": 1,
    }
    assert job(database, waiting).queue == "interactive"


def test_a_tables_latest_job_is_the_batchs(
    client: httpx.Client, make_table: MakeTable, expand_batch: Expand, database: Database
) -> None:
    table_id = make_table("orders")
    batch = _start(client, {"all": True})
    expand_batch(batch)
    with database.read() as session:
        latest = session.get_one(Table, table_id).latest_job_id
    assert str(latest) == _jobs(client, batch)[str(table_id)]["id"]


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({"all": True}, {"sales_eu", "sales_us", "Sales", "salesXeu", "logs"}),
        ({"name_glob": "sales_*"}, {"sales_eu", "sales_us"}),
        ({"name_glob": "sales?eu"}, {"sales_eu", "salesXeu"}),
        ({"name_glob": "SALES"}, {"Sales"}),
        ({"name_glob": "%"}, set()),
        ({"format": "CSV"}, {"logs"}),
        ({"format": "CSV", "name_glob": "s*"}, set()),
        ({"stale_for_seconds": 3600}, {"sales_eu", "Sales", "salesXeu", "logs"}),
        ({"stale_for_seconds": 3600, "format": "CSV"}, {"logs"}),
    ],
)
def test_a_selector_takes_the_tables_it_names(
    client: httpx.Client,
    make_table: MakeTable,
    expand_batch: Expand,
    database: Database,
    other_project: int,
    selector: dict,
    expected: set[str],
) -> None:
    names = {make_table(name): name for name in ("sales_eu", "sales_us", "Sales", "salesXeu")}
    names |= {make_table("logs", format="CSV"): "logs"}
    make_table("sales_gone", deleted=True)
    make_table("sales_import", external_data_source={"id": "x"})
    make_table("sales_theirs", other_project)
    with database.write() as session:
        session.execute(
            update(Table).where(Table.name == "sales_us").values(last_refreshed_at=now())
        )
        session.execute(
            update(Table).where(Table.name == "logs").values(last_refreshed_at=now(-7200))
        )
    batch = _start(client, selector)
    expand_batch(batch, chunk=2)
    assert {names[UUID(table_id)] for table_id in _jobs(client, batch)} == expected


def test_named_tables_are_refreshed_once_each_and_sourced_ones_are_skipped(
    client: httpx.Client, make_table: MakeTable, expand_batch: Expand
) -> None:
    first, second, _ = (make_table(name) for name in ("a", "b", "c"))
    sourced = make_table("s", external_data_source={"id": "x"})
    wanted = [second, first, sourced, second]
    batch = _start(client, {"tables": [str(each) for each in wanted]})
    expand_batch(batch, chunk=1)
    assert set(_jobs(client, batch)) == {str(first), str(second)}


@pytest.mark.parametrize(
    ("selector", "attr"),
    [
        ({}, None),
        ({"all": True, "format": "CSV"}, None),
        ({"tables": [], "name_glob": "x"}, None),
        ({"tables": []}, "tables"),
        ({"tables": "x"}, "tables"),
        ({"tables": ["no-uuid"]}, "tables"),
        ({"tables": [7]}, "tables"),
        ({"tables": [None]}, "tables"),
        ({"all": False}, "all"),
        ({"all": 1}, "all"),
        ({"all": None}, "all"),
        ({"name_glob": ""}, "name_glob"),
        ({"name_glob": 5}, "name_glob"),
        ({"name_glob": "x" * 129}, "name_glob"),
        ({"format": "parquet"}, "format"),
        ({"format": ["CSV"]}, "format"),
        ({"stale_for_seconds": -1}, "stale_for_seconds"),
        ({"stale_for_seconds": True}, "stale_for_seconds"),
        ({"stale_for_seconds": "60"}, "stale_for_seconds"),
        ({"stale_for_seconds": 10**40}, "stale_for_seconds"),
        ({"table": ["x"]}, "table"),
        ({"tables": [str(uuid4())] * 10_001}, "tables"),
    ],
)
def test_a_wrong_selector_is_refused(
    client: httpx.Client, rings: list[Ring], selector: dict, attr: str | None
) -> None:
    answer = client.post("warehouse_tables/refresh/", json=selector)
    assert answer.status_code == 400, answer.text
    assert (answer.json()["type"], answer.json()["attr"]) == ("validation_error", attr)
    assert rings == []


@pytest.mark.parametrize("body", ["[]", "null", '"all"', "{", ""])
def test_a_body_that_is_no_object_is_refused(client: httpx.Client, body: str) -> None:
    answer = client.post(
        "warehouse_tables/refresh/", content=body, headers={"content-type": "application/json"}
    )
    assert answer.status_code == 400, answer.text


def test_a_table_that_is_named_again_and_again_is_kept_once(
    client: httpx.Client, make_table: MakeTable
) -> None:
    table = str(make_table())
    spellings = [table, table.upper(), f"{{{table}}}", table.replace("-", "-" * 1000)]
    selector = {"tables": spellings * 20}
    assert _start(client, selector)["selector"] == {"tables": [table]}
    fields = {"name": "nightly", "cron": "0 3 * * *", "selector": selector}
    schedule = client.post("schedules/", json=fields).json()
    assert schedule["selector"] == {"tables": [table]}
    changed = client.patch(f"schedules/{schedule['id']}/", json={"selector": selector}).json()
    assert changed["selector"] == {"tables": [table]}


def test_another_tenants_table_is_unknown_and_named(
    client: httpx.Client, make_table: MakeTable, other_project: int
) -> None:
    mine, theirs = make_table("mine"), make_table("theirs", other_project)
    ids = [str(mine), str(theirs), str(uuid4())]
    answer = client.post("warehouse_tables/refresh/", json={"tables": ids})
    assert answer.status_code == 400
    assert answer.json()["detail"] == f"Table {theirs} does not exist in this project."


def test_a_cancel_ends_queued_jobs_and_asks_running_ones(
    client: httpx.Client,
    make_table: MakeTable,
    make_job: MakeJob,
    expand_batch: Expand,
    database: Database,
) -> None:
    reading, waiting, shared = (make_table(name) for name in ("a", "b", "c"))
    others = make_job(table_id=shared)
    batch = _start(client, {"all": True})
    expand_batch(batch)
    jobs = _jobs(client, batch)
    claim = claimed(database, UUID(jobs[str(reading)]["id"]))

    answer = client.post(f"batches/{batch['id']}/cancel/")
    assert answer.status_code == 202, answer.text
    assert (answer.json()["state"], answer.json()["done"]) == ("cancelled", False)
    ended = job(database, UUID(jobs[str(waiting)]["id"]))
    assert (ended.state, ended.error and ended.error["code"]) == ("cancelled", "cancelled")
    assert ended.finished_at is not None
    assert job(database, claim.job_id).cancel_requested_at is not None
    assert job(database, others).state == "queued"
    assert job(database, others).cancel_requested_at is None

    with database.write() as session:
        leases.cancel(session, claim, code="cancelled", detail="x")
    assert _batch(client, batch)["done"] is True
    assert client.post(f"batches/{batch['id']}/cancel/").status_code == 202


def test_a_batch_cancelled_before_its_expansion_makes_no_jobs(
    client: httpx.Client, make_table: MakeTable, database: Database
) -> None:
    make_table("orders")
    batch = _start(client, {"all": True})
    answer = client.post(f"batches/{batch['id']}/cancel/")
    assert (answer.json()["state"], answer.json()["done"]) == ("cancelled", True)
    assert job(database, UUID(batch["expand_job_id"])).state == "cancelled"


def test_a_batch_that_has_ended_is_not_cancelled(
    client: httpx.Client, expand_batch: Expand
) -> None:
    batch = _start(client, {"all": True})
    expand_batch(batch)
    answer = client.post(f"batches/{batch['id']}/cancel/")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert _batch(client, batch)["state"] == "finished"


def test_an_expansion_that_failed_shows_in_the_batch(
    client: httpx.Client, database: Database
) -> None:
    batch = _start(client, {"all": True})
    claim = claimed(database, UUID(batch["expand_job_id"]))
    with database.write() as session:
        policy = RetryPolicy(base_seconds=0.0, max_seconds=0.0)
        leases.fail(session, claim, SourceNotFoundError("gone"), policy)
    seen = _batch(client, batch)
    assert (seen["state"], seen["done"]) == ("failed", True)
    assert (seen["errors"][0]["table_id"], seen["errors"][0]["detail"]) == (None, "gone")


def test_a_batch_is_seen_in_its_own_project_only(
    client: httpx.Client, make_key: MakeKey, other_project: int
) -> None:
    batch = _start(client, {"all": True})
    theirs = {"authorization": f"Bearer {make_key(['*'], other_project)}"}
    path = f"/api/projects/{other_project}/batches/{batch['id']}/"
    assert client.get(client.base_url.join(path), headers=theirs).status_code == 404
    assert client.post(client.base_url.join(f"{path}cancel/"), headers=theirs).status_code == 404
    assert client.get("batches/no-uuid/").status_code == 404
    assert client.get(f"batches/{uuid4()}/").status_code == 404


def test_a_key_that_may_only_read_looks_and_does_not_touch(
    client: httpx.Client, make_key: MakeKey
) -> None:
    batch = _start(client, {"all": True})
    reader = {"authorization": f"Bearer {make_key(['warehouse_table:read'])}"}
    assert client.get(f"batches/{batch['id']}/", headers=reader).status_code == 200
    for path in ("warehouse_tables/refresh/", f"batches/{batch['id']}/cancel/"):
        assert client.post(path, json={"all": True}, headers=reader).status_code == 403


def test_the_same_idempotency_key_starts_one_batch(client: httpx.Client, rings: list[Ring]) -> None:
    headers = {"idempotency-key": "nightly-1"}
    answers = [
        client.post("warehouse_tables/refresh/", json={"all": True}, headers=headers)
        for _ in range(2)
    ]
    assert answers[0].json() == answers[1].json()
    assert len(rings) == 1
