"""From a committed job row to a refreshed table, through a real broker and real children."""

import os
from pathlib import Path

import pyarrow as pa
from deltalake import write_deltalake

from servers.service import Worker
from stocktake.db.models import Table
from stocktake.states import JobState
from tests.support.harness import Stack
from tests.support.stack import add_table, see_job, wait_for_end, wait_until
from workers.lifecycle import NICENESS

#: Where the kernel stops counting.
LEAST_URGENT = 19


def _delta(folder: Path, **columns: pa.Array) -> str:
    write_deltalake(str(folder), pa.table(columns), mode="append", schema_mode="merge")
    return f"file://{folder}"


def test_a_delta_table_is_refreshed_from_row_to_columns(stack: Stack, worker: Worker) -> None:
    url = _delta(stack.sources / "orders", id=pa.array([1, 2], pa.int64()))
    table_id = add_table(
        stack.database, stack.project_id, format="Delta", url_pattern=url, options={}
    )

    job = wait_for_end(stack.database, stack.refresh(table_id))

    assert job.state is JobState.SUCCEEDED, job.error
    assert job.attempt == 1
    niceness = min(os.getpriority(os.PRIO_PROCESS, worker.pid) + NICENESS, LEAST_URGENT)
    wait_until(
        lambda: {child.nice() for child in worker.children()} == {niceness},
        "children that let their parent go first",
    )
    assert job.result is not None
    assert job.result["source_version"] == 0
    with stack.database.read() as session:
        table = session.get_one(Table, table_id)
        assert [(c["name"], c["clickhouse"]) for c in table.columns] == [("id", "Nullable(Int64)")]
        assert table.schema_version == 1


def test_an_added_column_is_seen_by_the_next_refresh(stack: Stack, worker: Worker) -> None:
    folder = stack.sources / "orders"
    table_id = add_table(
        stack.database,
        stack.project_id,
        format="Delta",
        url_pattern=_delta(folder, id=pa.array([1], pa.int64())),
        options={},
    )
    wait_for_end(stack.database, stack.refresh(table_id))
    _delta(folder, id=pa.array([2], pa.int64()), note=pa.array(["x"]))

    job = wait_for_end(stack.database, stack.refresh(table_id))

    assert job.result is not None
    assert job.result["change"] == "additive"
    assert [column["name"] for column in job.result["diff"]["added"]] == ["note"]


def test_an_unchanged_source_costs_no_schema_version(stack: Stack, worker: Worker) -> None:
    table_id = add_table(
        stack.database,
        stack.project_id,
        format="Delta",
        url_pattern=_delta(stack.sources / "orders", id=pa.array([1], pa.int64())),
        options={},
    )
    wait_for_end(stack.database, stack.refresh(table_id))

    job = wait_for_end(stack.database, stack.refresh(table_id))

    assert job.result is not None
    assert job.result["coverage"]["unchanged"] is True
    assert job.result["schema_version"] == 1


def test_a_missing_source_fails_with_code_and_hint_and_keeps_the_columns(
    stack: Stack, worker: Worker
) -> None:
    columns = [{"name": "id", "clickhouse": "Int64", "hogql": "IntegerDatabaseField"}]
    table_id = add_table(
        stack.database,
        stack.project_id,
        format="Delta",
        url_pattern=f"file://{stack.sources}/nothing",
        options={},
        columns=columns,
    )

    job = wait_for_end(stack.database, stack.refresh(table_id))

    assert job.state is JobState.FAILED
    assert job.error is not None
    assert job.error["code"] == "source_not_found"
    assert job.error["hint"]
    assert job.attempt == 1
    assert see_job(stack.database, job.id).outcomes == ("source_not_found",)
    with stack.database.read() as session:
        assert session.get_one(Table, table_id).columns == columns
