"""Uploads under the name of a table that reads files of the user's own: refused unless it is meant,
but for PostHog's clients; and the way back."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from stocktake.client import Client, RefusedError
from stocktake.db.models import AuditEntry, Table
from stocktake.db.session import Database
from stocktake.errors import CommandError
from tests.integration.api.conftest import MakeKey, Served
from tests.integration.api.console.conftest import browser, sign_in, text_of
from tests.integration.api.playing import jobs_of
from tests.integration.api.test_changes_cli import run, server, silent
from tests.integration.api.test_files import send

__all__ = ["browser", "server", "sign_in", "silent"]

URL = "https://bucket.s3.amazonaws.com/orders/*.parquet"
KEYS = {"access_key": "AK", "access_secret": "SK"}
TOLD = (
    f"The table 'orders' reads {URL} (Parquet), and the file would take the place of that. Say "
    "that it may (replace_source), or upload under another name."
)


@pytest.fixture
def orders(make_table: Callable[..., UUID]) -> UUID:
    """A table of the user's own files."""
    return make_table("orders")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "orders.csv"
    path.write_bytes(b"id\n1\n")
    return path


@pytest.fixture
def replaced(make_table: Callable[..., UUID]) -> UUID:
    """A table of an upload that took the place of the user's own files."""
    former = {
        "url_pattern": URL,
        "format": "Parquet",
        "options": {"public": False},
        "schema_version": 0,
        "replaced_at": "2026-11-02T10:00:00+00:00",
    }
    return make_table(
        "orders",
        format="CSVWithNames",
        managed=True,
        url_pattern="managed:///uploads/1/x",
        former_source=former,
    )


def test_a_client_that_says_nothing_is_taken_as_by_posthog(
    client: httpx.Client, database: Database, orders: UUID
) -> None:
    assert send(client, name="orders").status_code == 201
    assert [job.arguments.get("replace_source") for job in jobs_of(database, orders)] == [None]
    with database.read() as session:
        [entry] = session.query(AuditEntry).filter(AuditEntry.action == "table.upload")
    assert entry.detail["replaces"] == {"url_pattern": URL, "format": "Parquet"}


@pytest.mark.parametrize("more", [{}, {"dry_run": "true"}])
def test_who_says_no_is_refused_with_the_present_source(
    client: httpx.Client, database: Database, orders: UUID, more: dict[str, str]
) -> None:
    answer = send(client, name="orders", replace_source="false", **more)
    assert (answer.status_code, answer.json()) == (
        400,
        {
            "type": "validation_error",
            "code": "linked_source",
            "detail": TOLD,
            "attr": "replace_source",
            "message": TOLD,
        },
    )
    assert jobs_of(database, orders) == []


def test_who_says_no_uploads_to_other_tables_all_the_same(
    client: httpx.Client, database: Database
) -> None:
    for _ in range(2):
        made = send(client, name="sales", replace_source="false")
        assert made.status_code == 201, made.text
    [_, job] = jobs_of(database, made.json()["id"])
    assert job.arguments["replace_source"] is False


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"target": "delta", "replace_source": "true"}, "replace_source needs target=file."),
        ({"replace_source": "yes"}, "replace_source must be true or false."),
    ],
)
def test_a_word_that_says_nothing_is_refused(
    client: httpx.Client, fields: dict[str, str], told: str
) -> None:
    answer = send(client, name="sales", **fields)
    assert (answer.status_code, answer.json()["detail"]) == (400, told)


def test_the_command_replaces_only_what_it_is_told_to(
    server: Served, silent: None, database: Database, orders: UUID, file: Path
) -> None:
    refused = run("upload", str(file), "--table", "orders", status=1)
    assert isinstance(refused.exception, CommandError)
    assert TOLD in str(refused.exception)
    assert jobs_of(database, orders) == []
    run("upload", str(file), "--table", "orders", "--replace-source")
    assert len(jobs_of(database, orders)) == 1


def test_the_command_shows_what_was_read_and_goes_back(
    server: Served,
    silent: None,
    database: Database,
    replaced: UUID,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert f"{URL} (Parquet)" in run("tables", "show", "orders").stdout
    refused = run("tables", "edit", "orders", "--url", URL, status=1)
    assert "Credentials are required" in str(refused.exception)
    monkeypatch.setenv("STOCKTAKE_ACCESS_SECRET", "SK")
    run("tables", "edit", "orders", "--url", URL, "--access-key", "AK")
    assert _source(database, replaced) == (URL, "Parquet", False)


def test_the_client_replaces_only_what_it_is_told_to(
    served: Served, make_key: MakeKey, database: Database, orders: UUID, file: Path
) -> None:
    with Client(served.url, make_key()) as api:
        for ask in (api.tables.upload, api.tables.check):
            with pytest.raises(RefusedError) as refused:
                ask(file, table="orders")
            assert refused.value.code == "linked_source"
        assert api.tables.upload(file, table="orders", replace_source=True).name == "orders"
        assert len(jobs_of(database, orders)) == 1


def test_the_client_tells_what_was_read(served: Served, make_key: MakeKey, replaced: UUID) -> None:
    with Client(served.url, make_key()) as api:
        former = api.tables.get("orders").former_source
    assert former is not None
    assert (former.url_pattern, former.format, former.schema_version) == (URL, "Parquet", 0)


def test_a_patch_goes_back_with_a_key_and_tells_so_in_the_audit_log(
    client: httpx.Client, database: Database, replaced: UUID
) -> None:
    path = f"warehouse_tables/{replaced}/"
    refused = client.patch(path, json={"url_pattern": URL})
    assert (refused.status_code, refused.json()["code"]) == (400, "credential_required")
    assert _source(database, replaced)[2]
    answer = client.patch(path, json={"url_pattern": URL, "credential": KEYS})
    assert answer.status_code == 200, answer.text
    table = answer.json()
    assert (table["format"], table["former_source"]) == ("Parquet", None)
    assert table["latest_job"]["kind"] == "refresh_schema"
    with database.read() as session:
        [entry] = session.query(AuditEntry).filter(AuditEntry.action == "table.change")
    assert entry.detail["before"] == {
        "url_pattern": "managed:///uploads/1/x",
        "format": "CSVWithNames",
    }


def test_the_console_asks_before_a_source_is_replaced(
    browser: httpx.Client, database: Database, orders: UUID
) -> None:
    assert 'type="checkbox" name="replace_source"' in text_of(browser.get("add"))
    sent: dict[str, Any] = {"files": {"file": ("a.csv", b"a\n1\n")}}
    refused = browser.post("add/upload", data={"name": "orders"}, **sent)
    assert f"reads {URL} (Parquet)" in text_of(refused, 400)
    assert jobs_of(database, orders) == []
    ticked = {"name": "orders", "replace_source": "true"}
    assert browser.post("add/upload", data=ticked, **sent).status_code == 303
    assert len(jobs_of(database, orders)) == 1


def test_the_console_shows_what_was_read_and_goes_back(
    browser: httpx.Client, database: Database, replaced: UUID
) -> None:
    page = text_of(browser.get(f"tables/{replaced}/source"))
    assert URL in page
    assert "Go back" in page
    path = f"tables/{replaced}/go-back"
    assert "Credentials are required" in text_of(browser.post(path, data={"url": URL}), 400)
    answer = browser.post(path, data={"url": URL} | KEYS)
    assert (answer.status_code, _source(database, replaced)) == (303, (URL, "Parquet", False))
    assert "Go back" not in text_of(browser.get(f"tables/{replaced}/source"))


@pytest.mark.parametrize(
    ("options", "url", "asks"),
    [
        ({}, URL, True),
        ({"public": False}, URL, True),
        ({"public": True}, URL, False),
        ({}, "file:///data/*.csv", False),
    ],
)
def test_the_console_asks_for_a_key_only_where_the_former_source_needs_one(
    browser: httpx.Client,
    database: Database,
    replaced: UUID,
    options: dict[str, Any],
    url: str,
    asks: bool,
) -> None:
    with database.write() as session:
        table = session.get_one(Table, replaced)
        assert table.former_source is not None
        table.former_source = table.former_source | {"options": options, "url_pattern": url}
    page = text_of(browser.get(f"tables/{replaced}/source"))
    assert "Go back" in page
    assert ("Access secret" in page) == asks


def _source(database: Database, table_id: UUID) -> tuple[str, str, bool]:
    with database.read() as session:
        table = session.get_one(Table, table_id)
        return table.url_pattern, table.format, table.managed
