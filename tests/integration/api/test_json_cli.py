"""What commands that change something answer with `--json`, against a server."""

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

from stocktake.schema.formats import TableFormat
from tests.integration.api.test_changes_cli import run, server, silent

__all__ = ["server", "silent"]

MakeTable = Callable[..., UUID]
URL = "https://bucket.s3.amazonaws.com/sales/*.parquet"


def as_json(*arguments: str) -> Any:
    """What stands alone on stdout."""
    return json.loads(run(*arguments, "--json").stdout)


def test_tables_and_what_is_queued_for_them_are_answered_as_the_api_does() -> None:
    added = as_json("tables", "add", "sales", "--url", URL, "--public")
    assert (added["name"], added["format"]) == ("sales", "Parquet")
    job_id = added["latest_job"]["id"]
    assert as_json("jobs", "cancel", job_id)["state"] == "cancelled"
    again = as_json("jobs", "retry", job_id)
    assert (again["id"] != job_id, again["state"]) == (True, "queued")
    ended = run("jobs", "watch", job_id, "--json", status=1)
    assert json.loads(ended.stdout)["state"] == "cancelled"
    assert as_json("refresh", "sales")["total"] == 0  # a job of it makes the others
    gone = as_json("tables", "remove", "sales", "--yes")
    assert gone == {"id": added["id"], "name": "sales", "deleted": True}


def test_types_are_answered_with_the_table(make_table: MakeTable) -> None:
    column = {
        "name": "zip",
        "clickhouse": "Int64",
        "hogql": "IntegerDatabaseField",
        "valid": True,
        "nullable": False,
        "override": False,
    }
    make_table("stock", format="CSV", columns=[column], schema_version=1)
    assert as_json("tables", "types", "set", "stock", "zip=string")["columns"][0]["name"] == "zip"
    assert as_json("tables", "types", "clear", "stock", "zip")["name"] == "stock"


def test_a_job_of_a_managed_table_is_answered(make_table: MakeTable) -> None:
    make_table("loads", format=TableFormat("Delta"), managed=True)
    assert as_json("tables", "maintain", "loads")["kind"] == "maintain_table"


def test_schedules_are_answered_by_each_of_their_commands() -> None:
    added = as_json("schedules", "add", "nightly", "--cron", "0 3 * * *", "--all")
    assert added["name"] == "nightly"
    assert as_json("schedules", "edit", "nightly", "--cron", "0 4 * * *")["cron"] == "0 4 * * *"
    assert as_json("schedules", "pause", "nightly")["paused"] is True
    assert as_json("schedules", "resume", "nightly")["paused"] is False
    assert as_json("schedules", "run", "nightly")["schedule_id"] == added["id"]
    gone = {"id": added["id"], "name": "nightly", "deleted": True}
    assert as_json("schedules", "remove", "nightly", "--yes") == gone


def test_what_is_done_to_many_tables_is_answered_as_a_batch() -> None:
    batch = as_json("batches", "start", "policy", "--all", "--policy", "manual")
    assert (batch["action"], batch["arguments"]) == ("policy", {"change_policy": "manual"})
