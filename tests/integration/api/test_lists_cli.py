"""Lists, counts and batches on the command line and by the client, against a server."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from stocktake.client import Client
from stocktake.errors import CommandError
from tests.integration.api.conftest import MakeJob, MakeKey, Served
from tests.integration.api.test_changes_cli import lines, run, server, silent

__all__ = ["server", "silent"]

MakeTable = Callable[..., UUID]


def as_json(*arguments: str) -> Any:
    return json.loads(run(*arguments, "--json").stdout)


@pytest.fixture(autouse=True)
def tables(make_table: MakeTable) -> None:
    make_table("sales", error_code="access_denied")
    make_table("stock", format="CSV", last_refreshed_at=datetime.now(UTC))


def test_tables_are_listed_by_state_and_counted() -> None:
    headings, row = lines("tables", "list", "--state", "failing")
    shown = dict(zip(headings, row, strict=True))
    assert (shown["NAME"], shown["STATE"]) == ("sales", "access_denied")
    assert [each["name"] for each in as_json("tables", "list", "--order-by", "name")] == [
        "sales",
        "stock",
    ]
    assert as_json("tables", "list", "--format", "csv", "--no-overrides")[0]["name"] == "stock"
    assert as_json("tables", "counts")["by_state"]["failing"] == 1
    assert "1 table: access_denied." in run("tables", "counts").stdout
    none = run("tables", "list", "--schedule", "nightly", status=1)
    assert isinstance(none.exception, CommandError)


def test_how_old_a_table_may_be_is_set() -> None:
    assert as_json("tables", "edit", "stock", "--stale-after", "60")["stale_after_seconds"] == 60
    assert as_json("tables", "edit", "stock", "--stale-after", "0")["stale_after_seconds"] is None


def test_jobs_are_listed_by_kind_and_age(make_job: MakeJob) -> None:
    job_id = make_job()
    found = as_json("jobs", "list", "--kind", "refresh_schema", "--after", "2026-01-01")
    assert [each["id"] for each in found] == [str(job_id)]
    assert as_json("jobs", "list", "--before", "2026-01-01T10:00") == []


def test_a_batch_is_started_listed_shown_and_cancelled() -> None:
    refused = run("batches", "start", "delete", status=1)
    assert "--all" in str(refused.exception)
    batch = as_json("batches", "start", "policy", "--state", "failing", "--policy", "manual")
    assert batch["selector"] == {"state": "failing"}
    assert batch["arguments"] == {"change_policy": "manual"}
    headings, row = lines("batches", "list", "--state", "expanding")
    assert dict(zip(headings, row, strict=True))["ID"] == batch["id"]
    assert ["Action", "policy"] in lines("batches", "show", batch["id"])
    assert as_json("batches", "cancel", batch["id"])["state"] == "cancelled"
    deletion = as_json("batches", "start", "delete", "--search", "sales", "--yes")
    assert deletion["action"] == "delete"


def test_tables_are_meant_as_the_api_means_them() -> None:
    batch = as_json("batches", "start", "refresh", "--selector", '{"name_glob": "st*"}')
    assert batch["selector"] == {"name_glob": "st*"}
    for wrong in ("{}", '{"nme": 1}'):
        run("batches", "start", "delete", "--yes", "--selector", wrong, status=1)
    run("batches", "start", "delete", "--yes", "--selector", "{", status=2)
    run("batches", "start", "delete", "--all", "--selector", "{}", status=1)
    glob = '{"stale_for_seconds": 60}'
    added = as_json(
        *("schedules", "add", "stale", "--cron", "@daily", "--selector", glob, "--jitter", "30")
    )
    assert (added["selector"], added["jitter_seconds"]) == ({"stale_for_seconds": 60}, 30)
    edited = as_json("schedules", "edit", "stale", "--jitter", "0", "--glob", "s*")
    assert (edited["selector"], edited["jitter_seconds"]) == ({"name_glob": "s*"}, 0)
    run("schedules", "run", "stale")
    assert [each["action"] for each in as_json("batches", "list", "--schedule", "stale")] == [
        "refresh"
    ]
    assert as_json("batches", "list", "--plans") == []


def test_a_table_is_added_with_its_policy_and_its_age() -> None:
    url = "https://bucket.s3.amazonaws.com/new/*.parquet"
    added = as_json(
        *("tables", "add", "new", "--url", url, "--public", "--policy", "manual"),
        *("--stale-after", "60"),
    )
    assert (added["change_policy"], added["stale_after_seconds"]) == ("manual", 60)


def test_the_client_lists_counts_and_starts(served: Served, make_key: MakeKey) -> None:
    with Client(served.url, make_key()) as client:
        [failing] = client.tables.list(state="failing", has_overrides=False)
        assert (failing.name, failing.state, failing.error_code) == (
            "sales",
            "failing",
            "access_denied",
        )
        assert [table.name for table in client.tables.list(order_by="-name")] == ["stock", "sales"]
        counts = client.tables.counts()
        assert (counts.total, counts.failing[0].tables) == (2, 1)
        assert client.tables.edit("stock", stale_after_seconds=60).stale_after_seconds == 60
        batch = client.batches.start("policy", {"search": "st"}, change_policy="manual")
        assert (batch.action, batch.arguments["change_policy"]) == ("policy", "manual")
        [listed] = client.batches.list(action="policy", dry_run=False)
        assert (listed.id, listed.state) == (batch.id, "expanding")
        now = datetime.now(UTC)
        assert [job.kind for job in client.jobs.list(created_before=now)] == ["change_tables"]
