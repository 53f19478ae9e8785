"""`stocktake tables show`, `maintain`, `restore` and `batches show`, as a person reads them."""

from pathlib import Path

import httpx
import pytest

from tests.integration.api.test_changes_cli import run, server, silent
from tests.integration.api.test_check_before_landing import MakeTable
from tests.integration.api.test_plan import served, work

__all__ = ["served", "server", "silent", "work"]
pytestmark = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)


def test_upkeep_and_undo_are_waited_for(client: httpx.Client, work: None) -> None:
    for rows in (b"id\n1\n", b"id\n2\n"):
        client.post(
            "warehouse_tables/file/",
            files={"file": ("ledger.csv", rows)},
            data={"name": "ledger", "target": "delta"},
        )
    assert "succeeded" in run("tables", "maintain", "ledger", "--wait").stdout
    back = run("tables", "restore", "ledger", "--yes", "--wait").stdout
    assert "succeeded" in back


def test_a_job_that_is_waited_for_and_fails_is_status_1(
    work: None, make_table: MakeTable, tmp_path: Path
) -> None:
    make_table("orders", url_pattern=f"file://{tmp_path}/nothing.parquet")
    run("refresh", "orders", "--wait", status=1)
    [row] = run("jobs", "list", "--state", "failed").stdout.splitlines()[1:]
    again = run("jobs", "retry", row.split("\t")[0], "--wait", status=1).stdout
    assert "There is no such file" in again


def test_a_column_that_does_not_hold_says_why(
    work: None, make_table: MakeTable, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_bytes(b"id,zip\n1,2139\n2,x\n")
    make_table("orders", format="CSVWithNames", url_pattern=f"file://{tmp_path}/a.csv", columns=[])
    run("refresh", "orders", "--wait")
    assert "Not valid" not in run("tables", "show", "orders").stdout
    run("tables", "types", "set", "orders", "zip=integer")
    run("refresh", "orders", "--wait")  # and with it the validation that waits
    shown = run("tables", "show", "orders").stdout
    assert "Not valid: the type does not hold for all rows." in shown
    assert "  zip: found String in a.csv, line 3: no integer" in shown


def test_a_batch_says_in_words_which_tables_it_is_of(work: None, make_table: MakeTable) -> None:
    make_table("orders")
    started = run("batches", "start", "refresh", "--all").stdout.split()[1].rstrip(".")
    assert "Selected\tall\n" in run("batches", "show", started).stdout
