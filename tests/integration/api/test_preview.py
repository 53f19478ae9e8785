"""`warehouse_tables/{id}/preview/`: who may ask, who sees rows, and where they are not."""

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select, update

from stocktake.catalog import previews
from stocktake.db.clock import now
from stocktake.db.models import IdempotencyKey, Preview
from stocktake.db.session import Database
from stocktake.jobs import leases
from stocktake.security.scopes import TABLE_READ, TABLE_READ_ROWS, TABLE_WRITE
from tests.integration.api.conftest import MakeKey, Served
from tests.integration.api.playing import start_worker

Connect = Callable[..., httpx.Client]
RESULT: dict[str, Any] = {
    "table": "orders",
    "file": "a.csv",
    "columns": [{"name": "id", "type": "String"}],
    "omitted_columns": 0,
    "row_count": 1,
    "more": False,
}


@pytest.fixture
def table(client: httpx.Client, make_table: Callable[..., UUID]) -> UUID:
    assert client.patch("", json={"row_previews": True}).json()["row_previews"] is True
    return make_table("orders")


@pytest.fixture
def end(
    served: Served, database: Database, claim_job: Callable[[UUID], leases.Claim], project_id: int
) -> Callable[[str, UUID], None]:
    """End a preview as its worker does."""

    def work(job_id: str, table_id: UUID) -> None:
        claim = claim_job(UUID(job_id))
        with database.write() as session:
            keyring = served.parts.process.keyring
            previews.keep(session, keyring, claim.job_id, [["hunter2"]], project_id=project_id)
            leases.succeed(session, claim, RESULT | {"table_id": str(table_id)})

    return work


def ask(client: httpx.Client, table: UUID, **more: Any) -> httpx.Response:
    return client.post(f"warehouse_tables/{table}/preview/", **({"json": {}} | more))


def test_the_rows_stand_in_the_jobs_result_for_a_while(
    client: httpx.Client, database: Database, table: UUID, end: Callable[[str, UUID], None]
) -> None:
    answer = ask(client, table, json={"file": "a.csv"})
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert (job["kind"], job["table_id"], job["result"]) == ("preview_file", None, None)
    assert ask(client, table).json()["id"] != job["id"]

    end(job["id"], table)
    shown = client.get(f"jobs/{job['id']}/")
    assert shown.json()["result"] == RESULT | {"table_id": str(table), "rows": [["hunter2"]]}
    assert shown.headers["Cache-Control"] == "no-store"
    listed = client.get("jobs/", params={"kind": "preview_file"}).text
    assert "hunter2" not in listed + client.get("audit_log/").text
    assert '"file":"a.csv"' in client.get("audit_log/").text.replace(" ", "")

    with database.write() as session:
        session.execute(update(Preview).values(created_at=now(-previews.KEPT_SECONDS)))
    assert client.get(f"jobs/{job['id']}/").json()["result"]["rows"] is None


def test_only_a_key_of_the_scope_asks_and_sees(
    client: httpx.Client,
    connect: Connect,
    make_key: MakeKey,
    table: UUID,
    end: Callable[[str, UUID], None],
) -> None:
    url = str(client.base_url)
    writer = connect(make_key([TABLE_WRITE]), url)
    seer = connect(make_key([TABLE_READ, TABLE_READ_ROWS]), url)

    refused = ask(writer, table)
    assert (refused.status_code, refused.json()["detail"]) == (
        403,
        "API key missing required scope 'warehouse_table:read_rows'",
    )
    job = ask(seer, table).json()["id"]
    end(job, table)
    assert writer.get(f"jobs/{job}/").json()["result"]["rows"] is None
    assert seer.get(f"jobs/{job}/").json()["result"]["rows"] == [["hunter2"]]
    with writer.stream("GET", f"jobs/{job}/events/") as events:
        assert "hunter2" not in events.read().decode()


def test_a_project_allows_it_first(client: httpx.Client, make_table: Callable[..., UUID]) -> None:
    table = make_table("orders")
    assert client.get("").json()["row_previews"] is False

    answer = ask(client, table)
    assert (answer.status_code, answer.json()["code"]) == (403, "previews_off")
    assert "row_previews" in answer.json()["detail"]


def test_no_answer_that_is_kept_holds_rows(
    client: httpx.Client,
    served: Served,
    database: Database,
    table: UUID,
    end: Callable[[str, UUID], None],
) -> None:
    start_worker(served, lambda _, job_id: end(str(job_id), table))
    headers = {"Prefer": "wait=30", "Idempotency-Key": "once"}
    answer = ask(client, table, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.json()["result"]["rows"] == [["hunter2"]]

    with database.read() as session:
        assert "hunter2" not in json.dumps(session.scalars(select(IdempotencyKey.body)).all())
    again = ask(client, table, headers=headers)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (again.json()["id"], again.json()["result"]["rows"]) == (answer.json()["id"], None)


@pytest.mark.parametrize("body", [{"file": ""}, {"file": "a\x00"}, {"file": 7}, {"path": "a"}])
def test_what_is_no_file(client: httpx.Client, table: UUID, body: dict[str, Any]) -> None:
    assert ask(client, table, json=body).status_code == 400


def test_rows_are_gone_for_good_once_the_project_shows_none(
    client: httpx.Client, table: UUID, end: Callable[[str, UUID], None], database: Database
) -> None:
    job = ask(client, table).json()["id"]
    end(job, table)
    client.patch("", json={"row_previews": False})
    with database.read() as session:
        assert session.scalars(select(Preview)).all() == []
    client.patch("", json={"row_previews": True})
    assert client.get(f"jobs/{job}/").json()["result"]["rows"] is None


def test_rows_of_a_deleted_table_are_not_shown(
    client: httpx.Client, table: UUID, end: Callable[[str, UUID], None]
) -> None:
    job = ask(client, table).json()["id"]
    end(job, table)
    assert client.delete(f"warehouse_tables/{table}/").status_code == 204
    assert client.get(f"jobs/{job}/").json()["result"]["rows"] is None


def test_a_retry_reads_no_rows(
    client: httpx.Client, table: UUID, end: Callable[[str, UUID], None]
) -> None:
    """It would be told nowhere, and anybody who may write could ask."""
    job = ask(client, table).json()["id"]
    end(job, table)
    answer = client.post(f"jobs/{job}/retry/")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert "ask for the preview again" in answer.json()["detail"]
