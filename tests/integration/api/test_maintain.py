"""`maintain/`: who may ask for a managed Delta table's upkeep, and what is answered."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select

from stocktake.db.models import AuditEntry
from stocktake.db.session import Database
from stocktake.security.scopes import TABLE_READ
from tests.integration.api.conftest import MakeKey


@pytest.fixture
def managed(make_table: Callable[..., UUID]) -> UUID:
    return make_table("ledger", format="Delta", managed=True, url_pattern="managed:///delta/1/x")


def maintain(client: httpx.Client, table_id: Any) -> httpx.Response:
    return client.post(f"warehouse_tables/{table_id}/maintain/")


def test_upkeep_is_a_job_and_asked_for_twice_the_same(
    client: httpx.Client, managed: UUID, database: Database
) -> None:
    first = maintain(client, managed)
    again = maintain(client, managed)

    assert (first.status_code, again.status_code) == (202, 202)
    body = first.json()
    assert (body["kind"], body["state"], body["table_id"]) == (
        "maintain_table",
        "queued",
        str(managed),
    )
    assert first.headers["location"].endswith(f"/jobs/{body['id']}/")
    assert (again.json()["id"], again.json()["deduplicated"]) == (body["id"], True)
    with database.read() as session:
        entry = session.scalars(
            select(AuditEntry).where(AuditEntry.action == "table.maintain").limit(1)
        ).one()
    assert (entry.subject, entry.detail) == (str(managed), {"job_id": body["id"]})


def test_a_table_shows_its_last_read_and_not_its_upkeep(
    client: httpx.Client, managed: UUID
) -> None:
    maintain(client, managed)

    assert client.get(f"warehouse_tables/{managed}/").json()["latest_job"] is None


def test_a_table_of_somebody_elses_files_is_refused(
    client: httpx.Client, make_table: Callable[..., UUID]
) -> None:
    answer = maintain(client, make_table("orders"))

    assert answer.status_code == 400
    assert "no managed Delta table" in answer.json()["message"]


def test_a_table_of_a_format_that_is_not_installed_is_refused(
    client: httpx.Client, make_table: Callable[..., UUID]
) -> None:
    table_id = make_table("orders", format="Gone", managed=True, url_pattern="managed:///x")

    assert maintain(client, table_id).status_code == 400
    assert client.post(f"warehouse_tables/{table_id}/restore/", json={}).status_code == 400


def test_a_key_that_only_reads_may_not(
    connect: Callable[..., httpx.Client], make_key: MakeKey, managed: UUID, project_id: int
) -> None:
    reader = connect(make_key([TABLE_READ]))
    reader.base_url = reader.base_url.join(f"/api/projects/{project_id}/")

    assert maintain(reader, managed).status_code == 403
