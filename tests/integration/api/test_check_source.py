"""`warehouse_tables/check/`: who may ask, and what is answered; what it finds is the run's."""

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import func, select

from stocktake.db.models import Job, StoredCredential, Table
from stocktake.db.session import Database
from stocktake.security.scopes import TABLE_READ
from tests.integration.api.conftest import MakeKey

SOURCE: dict[str, Any] = {
    "url_pattern": "https://bucket.s3.amazonaws.com/orders/*.parquet",
    "credential": {"access_key": "AKIDEXAMPLE", "access_secret": "hunter2-hunter2"},
}


def check(client: httpx.Client, **body: Any) -> httpx.Response:
    return client.post("warehouse_tables/check/", json=body)


def test_a_check_is_a_job_of_no_table_and_shows_no_key(
    client: httpx.Client, database: Database
) -> None:
    answer = check(client, **SOURCE)

    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert (job["kind"], job["table_id"], job["state"]) == ("check_source", None, "queued")
    assert answer.headers["Location"].endswith(f"/jobs/{job['id']}/")
    assert "hunter2" not in answer.text
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Table)) == 0
        kept = session.scalars(select(StoredCredential)).one()
        assert kept.job_id == UUID(job["id"])
        assert "hunter2" not in json.dumps(session.get_one(Job, kept.job_id).arguments)
    # another one is another's keys
    assert check(client, **SOURCE).json()["id"] != job["id"]


def test_a_tables_own_source_is_checked_once_for_all_who_ask(
    client: httpx.Client, make_table: Callable[..., UUID]
) -> None:
    table = str(make_table("orders"))
    first, again = check(client, table=table), check(client, table=table)

    assert first.json()["table_id"] == table
    assert (again.json()["id"], again.json()["deduplicated"]) == (first.json()["id"], True)
    assert client.get(f"warehouse_tables/{table}/").json()["latest_job"] is None


@pytest.mark.parametrize(
    ("body", "attr"),
    [
        ({"url": "https://bucket.s3.amazonaws.com/x"}, "url"),
        ({"table": "01a224f5-5d89-737b-ac2f-3c31357dee7d", "format": "CSV"}, None),
        ({"url_pattern": SOURCE["url_pattern"]}, "credential"),
        ({**SOURCE, "credential": {"access_key": "x"}}, "credential__access_secret"),
        ({**SOURCE, "url_pattern": "http://169.254.169.254/latest/x"}, "url_pattern"),
    ],
)
def test_what_no_table_could_have_is_refused(
    client: httpx.Client, body: dict[str, Any], attr: str | None
) -> None:
    answer = check(client, **body)

    assert (answer.status_code, answer.json()["attr"]) == (400, attr), answer.text


def test_only_who_may_write_may_ask(client: httpx.Client, make_key: MakeKey) -> None:
    headers = {"Authorization": f"Bearer {make_key([TABLE_READ])}"}
    answer = client.post("warehouse_tables/check/", json=SOURCE, headers=headers)
    assert answer.status_code == 403


def test_another_projects_table_is_not_there(client: httpx.Client) -> None:
    answer = check(client, table="01a224f5-5d89-737b-ac2f-3c31357dee7d")
    assert (answer.status_code, answer.json()["attr"]) == (400, "table")
