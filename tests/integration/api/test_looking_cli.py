"""`stocktake preview`, `previews`, `watch`, and words that are wrong, against a server."""

import json
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest

from cli.client import Client
from stocktake.catalog import previews
from stocktake.db.session import Database
from stocktake.jobs import leases
from tests.integration.api.conftest import MakeKey, Served
from tests.integration.api.playing import start_worker
from tests.integration.api.test_changes import change, table
from tests.integration.api.test_changes_cli import lines, run, server, silent

__all__ = ["change", "server", "silent", "table"]

RESULT: dict[str, Any] = {
    "file": "a.csv",
    "columns": [{"name": "id", "type": "Int64"}, {"name": "blob", "type": "String"}],
    "omitted_columns": 3,
    "row_count": 1,
    "more": True,
}


def test_rows_are_shown_where_the_project_allows_it(
    served: Served,
    database: Database,
    claim_job: Callable[[UUID], leases.Claim],
    make_table: Callable[..., UUID],
    project_id: int,
) -> None:
    def work(_: Database, job_id: UUID) -> None:
        claimed = claim_job(job_id)
        with database.write() as session:
            rows = [[1, {"base64": "3q0=", "length": 2}]]
            keyring = served.parts.process.keyring
            previews.keep(session, keyring, job_id, rows, project_id=project_id)
            leases.succeed(session, claimed, RESULT)

    make_table("orders")
    assert run("previews").stdout == "off\n"
    assert "previews --set on" in str(run("preview", "orders", status=1).exception)
    assert run("previews", "--set", "on").stdout == "on\n"
    start_worker(served, work)
    assert lines("preview", "orders") == [["id", "blob"], ["1", "3q0=… (2 bytes)"]]
    assert json.loads(run("preview", "orders", "--json").stdout)["result"]["rows"][0][0] == 1


def test_what_changes_is_told_line_by_line(
    change: str, table: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = {"kind": "refresh_schema", "table_id": str(table), "state": "running", "done": False}
    event = {
        "id": "7",
        "tables": [{"id": "x", "name": "other", "deleted": True, "schema_version": 1}],
        "jobs": [job | {"id": "y", "batch_id": None, "progress": None}],
        "changes": [
            {"id": change, "table_id": str(table), "state": "pending", "change": "breaking"}
            | {"undecided": 2, "decided": 0}
        ],
        "more": ["batches"],
    }

    def two(self: Client, topics: Any, since: str | None) -> Iterator[Any]:
        yield {"id": "6"}
        yield event
        raise KeyboardInterrupt

    monkeypatch.setattr(Client, "watch", two)
    told = [line.split("  ", 1)[1] for line in run("watch", status=130).stdout.splitlines()]
    assert told[0] == "table   other: deleted"
    assert told[1].startswith("job     refresh_schema of orders: running")
    assert told[2:] == [
        "change  orders: breaking, pending, 2 to decide",
        "more batches changed than can be named: list them",
    ]
    written = run("watch", "changes", "--json", status=130).stdout.splitlines()
    assert [json.loads(line)["id"] for line in written] == ["6", "7"]


def test_a_stream_of_a_key_that_may_not_ends_with_a_sentence(
    make_key: MakeKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STOCKTAKE_API_KEY", make_key(["audit_log:read"]))
    assert "warehouse_table:read" in str(run("watch", status=1).exception)


def test_words_that_are_wrong_are_status_2_and_name_the_right_ones(change: str) -> None:
    told = " ".join(run("policy", "--set", "manul", status=2).output.replace("│", " ").split())
    assert "'auto', 'additive_only', 'manual'; did you mean 'manual'?" in told
    told = run("changes", "accept", "orders", status=2).output
    assert "--all" in told
    assert "jobs" in run("watch", "jbs", status=2).output
