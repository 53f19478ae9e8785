"""`refresh_schema/?dry_run=true`, the same of many tables, and `stocktake plan`."""

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from uuid import UUID

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import select

from stocktake.db.models import Job, SchemaVersion
from stocktake.db.session import Database
from stocktake.errors import JobError
from stocktake.jobs import leases
from stocktake.readers.source import no_progress
from stocktake.runs.attempt import Attempt
from stocktake.schema.columns import Column
from stocktake.states import JobState
from tests.integration.api.conftest import Served
from tests.integration.api.playing import NO_RETRY, start_worker, table_row, take
from tests.integration.api.test_changes_cli import run, server, silent
from tests.support.rows import process_of

__all__ = ["server", "silent"]
MakeTable = Callable[..., UUID]
LIVE = [Column.of("id", "Nullable(Int64)").as_dict(), Column.of("n", "Nullable(Int32)").as_dict()]


@pytest.fixture
def served(serve: Callable[..., Served], tmp_path: Path) -> Served:
    """An app whose tables may be files below the test's folder."""
    return serve(allowed_url_schemes=("https", "file"), local_roots=(tmp_path,))


@pytest.fixture
def work(served: Served) -> None:
    """Each job is run by the run of its kind as soon as it is rung for, and what it queues."""

    def play(database: Database, job_id: UUID) -> None:
        work_on(database, job_id)
        with database.read() as session:
            made = session.scalars(select(Job.id).where(Job.state == JobState.QUEUED)).all()
        for each in made:
            work_on(database, each)

    def work_on(database: Database, job_id: UUID) -> None:
        claim = take(database, job_id)
        attempt = Attempt(
            claim=claim,
            process=process_of(database, served.parts.process.settings),
            progress=no_progress,
        )
        with database.read() as session:
            kind = session.scalars(select(Job.kind).where(Job.id == job_id)).one()
        try:
            import_module(f"stocktake.runs.{kind}").run(attempt)
        except JobError as error:
            with database.write() as session:
                leases.fail(session, claim, error, NO_RETRY)

    start_worker(served, play)


@pytest.fixture
def source(tmp_path: Path, make_table: MakeTable) -> Callable[..., UUID]:
    """Make a table, and a file of these types that it reads."""

    def make(name: str, **types: pa.DataType) -> UUID:
        file = tmp_path / f"{name}.parquet"
        if types:
            pq.write_table(pa.schema(types.items()).empty_table(), file)
        return make_table(name, url_pattern=f"file://{file}", columns=LIVE, schema_version=1)

    return make


def test_a_plan_is_a_job_that_tells_the_diff_and_leaves_the_table_as_it_is(
    client: httpx.Client, work: None, source: Callable[..., UUID], database: Database
) -> None:
    table = source("orders", id=pa.int64(), n=pa.int32(), note=pa.string())
    path = f"warehouse_tables/{table}/refresh_schema/"
    answer = client.post(path, params={"dry_run": "true"}, headers={"Prefer": "wait=20"})
    job = answer.json()
    assert (answer.status_code, job["kind"], job["state"]) == (200, "plan_refresh", "succeeded")
    assert job["result"]["change"] == "additive"
    assert job["result"]["diff"]["added"] == [{"name": "note", "type": "Nullable(String)"}]
    row = table_row(database, table)
    assert (row.columns, row.source_state, row.latest_job_id) == (LIVE, None, None)
    with database.read() as session:
        assert session.scalars(select(SchemaVersion)).all() == []


def test_a_plan_and_a_refresh_are_two_requests_under_a_key(
    client: httpx.Client, source: Callable[..., UUID]
) -> None:
    path = f"warehouse_tables/{source('orders', id=pa.int64())}/refresh_schema/"
    key = {"Idempotency-Key": "k"}
    assert client.post(path, params={"dry_run": "true"}, headers=key).status_code == 202
    assert client.post(path, headers=key).json()["code"] == "idempotency_key_reused"


def test_a_plan_of_many_is_a_batch(
    client: httpx.Client, work: None, source: Callable[..., UUID], database: Database
) -> None:
    tables = [source(f"t{number}", id=pa.int64()) for number in range(3)]
    params = {"dry_run": "true"}
    batch = client.post("warehouse_tables/refresh/", json={"all": True}, params=params).json()
    batch = client.get(f"batches/{batch['id']}/").json()
    assert (batch["dry_run"], batch["state"], batch["counts"]["succeeded"]) == (True, "finished", 3)
    jobs = client.get("jobs/", params={"batch": batch["id"], "kind": "plan_refresh"}).json()
    assert [job["result"]["change"] for job in jobs["results"]] == ["breaking"] * 3
    assert all(table_row(database, each).latest_job_id is None for each in tables)


NEW = {"id": pa.int64(), "n": pa.int32(), "note": pa.string()}
WIDER = {"id": pa.int64(), "n": pa.int64()}
SAME = {"id": pa.int64(), "n": pa.int32()}


@pytest.mark.parametrize(
    ("types", "status", "change"),
    [
        ((SAME,), 0, "none"),
        ((SAME, NEW), 0, "additive"),
        ((NEW, WIDER), 3, "widening"),
        ((WIDER, {"id": pa.string()}), 4, "breaking"),
        ((WIDER, {}), 1, "widening"),
    ],
)
@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_the_exit_status_tells_the_worst(
    work: None,
    source: Callable[..., UUID],
    types: tuple[dict[str, pa.DataType], ...],
    status: int,
    change: str,
) -> None:
    for number, each in enumerate(types):
        source(f"t{number}", **each)
    told = json.loads(run("plan", "--all", "--json", status=status).stdout)
    assert told["change"] == change
    assert len(told["tables"]) == len(types)


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_people_see_what_would_change(work: None, source: Callable[..., UUID]) -> None:
    source("orders", **NEW)
    source("gone")
    done = run("plan", "orders", "orders", status=0).stdout
    assert "orders: additive\n  + note  Nullable(String)\n" in done
    assert "1 read, 1 would change, 0 failed. Nothing was changed." in done
    assert "gone: failed, source_not_found" in run("plan", "gone", status=1).stdout
    run("plan", "--selector", '{"name_glob": "o*"}', status=0)
    run("plan", "--selector", '{"name_glob": "nothing*"}', status=0)


@pytest.mark.parametrize(
    "arguments", [(), ("orders", "--all"), ("--selector", "x"), ("--selector", "[]")]
)
@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_wrong_command_is_status_2(arguments: tuple[str, ...]) -> None:
    run("plan", *arguments, status=2)
