"""An upload that fails: a table that has content is as it was, a new one says that it has none."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from stocktake.errors import AccessDeniedError, EmptySourceError
from tests.integration.api.conftest import Served
from tests.integration.api.console.conftest import browser, sign_in, text_of
from tests.integration.api.playing import fail_with, start_worker
from tests.integration.api.test_changes_cli import run, server, silent
from tests.integration.api.test_files import send

__all__ = ["browser", "server", "sign_in", "silent"]

NOW = datetime.now(UTC)


def counts(client: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get("warehouse_tables/counts/").json()
    return {"by_state": {k: v for k, v in found["by_state"].items() if v}} | {
        "failing": [each["error_code"] for each in found["failing"]]
    }


@pytest.fixture
def unreadable(served: Served) -> None:
    """Whatever is sent cannot be read."""
    start_worker(served, fail_with(EmptySourceError()))


@pytest.mark.usefixtures("unreadable")
@pytest.mark.parametrize("target", ["file", "delta"])
def test_a_table_with_content_stands_as_it_did(
    client: httpx.Client, make_table: Callable[..., UUID], target: str
) -> None:
    kind = {"format": "Delta"} if target == "delta" else {}
    make_table("orders", managed=True, last_refreshed_at=NOW, **kind)
    table = send(client, name="orders", target=target, headers={"Prefer": "wait=10"}).json()
    assert (table["state"], table["error_code"]) == ("fresh", None)
    assert (table["latest_job"]["state"], table["latest_job"]["error"]["code"]) == (
        "failed",
        "source_empty",
    )
    assert counts(client) == {"by_state": {"fresh": 1}, "failing": []}
    assert client.get("warehouse_tables/?state=failing").json()["count"] == 0
    assert client.get("warehouse_tables/?state=fresh&order_by=state").json()["count"] == 1


@pytest.mark.usefixtures("unreadable")
@pytest.mark.parametrize("read", [None, NOW])
def test_what_reads_of_the_source_found_stays(
    client: httpx.Client, make_table: Callable[..., UUID], read: datetime | None
) -> None:
    make_table("orders", last_refreshed_at=read, error_code="access_denied")
    table = send(client, name="orders", headers={"Prefer": "wait=10"}).json()
    assert (table["state"], table["error_code"]) == ("failing", "access_denied")
    assert counts(client)["failing"] == ["access_denied"]


@pytest.mark.usefixtures("unreadable")
def test_a_linked_table_that_was_never_read_has_not_failed(
    client: httpx.Client, make_table: Callable[..., UUID]
) -> None:
    make_table("orders")
    table = send(client, name="orders", headers={"Prefer": "wait=10"}).json()
    assert (table["state"], table["error_code"]) == ("never_read", None)


def test_a_read_that_fails_is_told_as_ever(
    client: httpx.Client, served: Served, make_table: Callable[..., UUID]
) -> None:
    table_id = make_table("orders", managed=True, last_refreshed_at=NOW)
    start_worker(served, fail_with(AccessDeniedError()))
    client.post(f"warehouse_tables/{table_id}/refresh_schema/", headers={"Prefer": "wait=10"})
    assert client.get(f"warehouse_tables/{table_id}/").json()["state"] == "failing"


@pytest.mark.usefixtures("unreadable")
@pytest.mark.parametrize("target", ["file", "delta"])
def test_a_new_table_stays_and_fails_as_its_upload_did(client: httpx.Client, target: str) -> None:
    table = send(client, name="orders", target=target, headers={"Prefer": "wait=10"}).json()
    assert (table["state"], table["error_code"]) == ("failing", "source_empty")
    assert (table["last_refreshed_at"], table["columns"]) == (None, [])
    assert counts(client) == {"by_state": {"failing": 1}, "failing": ["source_empty"]}


@pytest.mark.usefixtures("unreadable", "server", "silent")
def test_the_command_says_what_is_left(make_table: Callable[..., UUID], tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    file.write_bytes(b"id\n1\n")
    told = str(run("upload", str(file), "--wait", status=1).exception)
    assert told.endswith(
        "The table orders is there, and has nothing in it. Upload to it again, or remove it: "
        "stocktake tables remove orders"
    )
    make_table("sales", managed=True, last_refreshed_at=NOW)
    told = str(run("upload", str(file), "--table", "sales", "--wait", status=1).exception)
    assert told.endswith("The table sales is as it was.")
    shown = run("tables", "show", "sales").stdout
    assert "Upload failed" in shown
    assert "fresh" in shown


@pytest.mark.usefixtures("unreadable")
def test_the_console_says_what_is_left(
    browser: httpx.Client, client: httpx.Client, make_table: Callable[..., UUID]
) -> None:
    made = send(client, name="orders").json()["id"]
    page = text_of(browser.get(f"tables/{made}"))
    assert "The last upload failed" in page
    assert "delete the table" in page
    healthy = make_table("sales", managed=True, last_refreshed_at=NOW)
    send(client, name="sales")
    page = text_of(browser.get(f"tables/{healthy}"))
    assert "The table is as it was." in page
    assert "delete the table" not in page
    listed = text_of(browser.get("tables", params={"q": "state:failing"}))
    assert made in listed
    assert str(healthy) not in listed
