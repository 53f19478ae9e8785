"""The rows of a table's file: who may ask for them, what is shown, and for how long."""

import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import update

from stocktake.catalog import previews
from stocktake.db.clock import now
from stocktake.db.models import Preview
from stocktake.db.session import Database
from stocktake.jobs import leases
from tests.integration.api.conftest import Served
from tests.integration.api.console.conftest import Claim, SignIn, post, text_of

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
End = Callable[[UUID, UUID, list[list[Any]]], None]


@pytest.fixture
def allowed(client: httpx.Client, make_table: Callable[..., UUID]) -> UUID:
    """A table of a project that shows rows."""
    client.patch("", json={"row_previews": True})
    return make_table("orders")


@pytest.fixture
def end(served: Served, database: Database, claim_job: Claim, project_id: int) -> End:
    """End a preview as its worker does, with columns as many as the rows have."""

    def work(job_id: UUID, table: UUID, rows: list[list[Any]]) -> None:
        claim = claim_job(job_id)
        columns = [{"name": f"c{at}", "type": "String"} for at in range(len(rows[0]))]
        told = {"table_id": str(table), "table": "orders", "file": "a.csv", "columns": columns}
        told |= {"omitted_columns": 0, "row_count": len(rows), "more": True}
        with database.write() as session:
            keyring = served.parts.process.keyring
            previews.keep(session, keyring, claim.job_id, rows, project_id=project_id)
            leases.succeed(session, claim, told)

    return work


def _ask(browser: httpx.Client, table: UUID, file: str = "a.csv") -> tuple[str, UUID]:
    """Ask for rows: where they are shown, and the job that reads them."""
    answer = post(browser, f"tables/{table}/data", {"file": file})
    assert answer.status_code == 303, answer.text
    url = answer.headers["location"].partition("/tables/")[2]
    return f"tables/{url}", UUID(url.partition("job=")[2])


def test_rows_of_a_named_file_are_shown_for_a_while(
    browser: httpx.Client, allowed: UUID, end: End, database: Database
) -> None:
    url, job = _ask(browser, allowed)
    page = text_of(browser.get(url))
    assert "The file is being read" in page
    assert 'hx-trigger="every 1s"' in page
    cut = {"text": "begin", "length": 4711}
    end(job, allowed, [["hunter2", None, cut, 7], [EVIL, True, "", 1.5]])
    page = text_of(browser.get(url))
    assert "every 1s" not in page
    assert "The first 2 rows of <code>a.csv</code>" in page
    for told in ("hunter2", ">null<", "begin (4,711 characters)", ">7<", ">true<", ">1.5<"):
        assert told in page, told
    assert "<script>alert" not in page
    # Neither the page of the job nor another table's shows them.
    page = text_of(browser.get(f"jobs/{job}"))
    assert "hunter2" not in page
    assert f"/tables/{allowed}/data?job={job}" in page
    with database.write() as session:
        session.execute(update(Preview).values(created_at=now(-previews.KEPT_SECONDS)))
    page = text_of(browser.get(url))
    assert "shown no more" in page
    assert "hunter2" not in page


def test_another_tables_rows_are_not_shown_as_its_own(
    browser: httpx.Client, allowed: UUID, end: End, make_table: Callable[..., UUID]
) -> None:
    other = make_table("people")
    _, job = _ask(browser, other)
    end(job, other, [["hunter2"]])
    page = text_of(browser.get(f"tables/{allowed}/data?job={job}"))
    assert "No rows are read yet" in page
    assert "hunter2" not in page


def test_where_rows_are_off_the_page_says_how_to_allow_them(
    browser: httpx.Client, client: httpx.Client, make_table: Callable[..., UUID]
) -> None:
    table = make_table("orders")
    page = text_of(browser.get(f"tables/{table}/data"))
    assert "stocktake previews --set on" in page
    assert re.search(r'<button[^>]*disabled aria-describedby="allow"', page)
    assert "row_previews" in text_of(post(browser, f"tables/{table}/data"), 403)
    fields = {"policy": "auto", "row_previews": "on"}
    assert post(browser, "settings", fields).status_code == 303
    assert client.get("").json()["row_previews"] is True
    page = text_of(browser.get(f"tables/{table}/data"))
    assert "disabled" not in page


def test_a_key_without_the_scope_is_told_and_sees_nothing(
    browser: httpx.Client, sign_in: SignIn, allowed: UUID, end: End, project_id: int
) -> None:
    url, job = _ask(browser, allowed)
    end(job, allowed, [["hunter2"]])
    writer = sign_in(["warehouse_table:write"])
    page = text_of(writer.get(f"/p/{project_id}/{url}"))
    assert "hunter2" not in page
    assert re.search(r"disabled[^>]*lacks the scope warehouse_table:read_rows", page)
    answer = post(writer, f"/p/{project_id}/tables/{allowed}/data")
    assert "warehouse_table:read_rows" in text_of(answer, 403)
    seer = sign_in(["warehouse_table:read", "warehouse_table:read_rows"])
    assert "hunter2" in text_of(seer.get(f"/p/{project_id}/{url}"))


def test_the_widest_rows_are_shown_column_by_column(
    browser: httpx.Client, allowed: UUID, end: End
) -> None:
    url, job = _ask(browser, allowed)
    rows = [[("'\"<é" * 64) + str(at) for at in range(500)] for _ in range(50)]
    end(job, allowed, rows)
    answer = browser.get(url)
    page = text_of(answer)
    assert len(answer.content) < 100_000
    assert "of 500 columns" in page
    last = browser.get(f"{url}&offset=499")
    assert "c499" in text_of(last)
    assert "c498" not in last.text


def test_a_file_that_cannot_be_shown_is_told_with_its_code(
    browser: httpx.Client, allowed: UUID, fail_job: Callable[..., None]
) -> None:
    url, job = _ask(browser, allowed, EVIL)
    fail_job(job, EVIL)
    page = text_of(browser.get(url))
    assert "access_denied" in page
    assert "<script>alert" not in page
