"""Uploads of every format through a real worker, a real broker, PostgreSQL and a bucket.

One worker serves the module: nothing here harms it.
"""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from servers.postgres import Postgres
from servers.seaweedfs import SeaweedFS
from servers.service import Worker, service_settings
from servers.valkey import Valkey
from stocktake.db.models import Table
from stocktake.db.session import Database
from stocktake.parts import managed_storage
from stocktake.settings import Settings
from stocktake.states import JobState, UploadState
from tasks.doorbell import CeleryDoorbell
from tests.integration.runs.conftest import Desk
from tests.integration.runs.test_ingest import parquet
from tests.support.stack import add_project, wait_for_end


@pytest.fixture(scope="module")
def desk(
    s3: SeaweedFS,
    postgres: Postgres,
    migrated_postgres_template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Desk]:
    """A place to send uploads to, with a worker that takes them."""
    url = postgres.create_database(migrated_postgres_template)
    with Valkey() as broker:
        values = service_settings(
            url,
            broker.url,
            tmp_path_factory.mktemp("stack"),
            MANAGED_STORAGE_URL=f"s3://{s3.bucket()}/managed",
            MANAGED_STORAGE_ACCESS_KEY=s3.access_key,
            MANAGED_STORAGE_ACCESS_SECRET=s3.secret_key,
            MANAGED_STORAGE_ENDPOINT=s3.endpoint,
            MANAGED_STORAGE_REGION=s3.region,
        )
        settings = Settings(**{name.lower(): value for name, value in values.items()})  # type: ignore[arg-type]  # pydantic takes texts
        doorbell = CeleryDoorbell(settings)
        database = Database(url, doorbell.ring)
        with Worker(values):
            yield Desk(
                database=database,
                settings=settings,
                project_id=add_project(database),
                sources=Path(),
            )
        doorbell.close()
        database.dispose()
    postgres.drop_database(url)


@pytest.mark.parametrize(
    ("format_", "data", "columns"),
    [
        ("CSV", b"1,one\n2,two\n", ["c1", "c2"]),
        ("CSVWithNames", b"id,note\n1,one\n2,two\n", ["id", "note"]),
        ("JSONEachRow", b'{"id":1}\n{"id":2,"note":"two"}\n', ["id", "note"]),
        ("Parquet", parquet(id=pa.array([1, 2]), note=pa.array(["x", None])), ["id", "note"]),
    ],
)
def test_an_upload_of_each_format_becomes_a_table(
    desk: Desk, format_: str, data: bytes, columns: list[str]
) -> None:
    name = f"table_{format_}"
    job = wait_for_end(desk.database, desk.send(data, name=name, format=format_))

    assert job.state is JobState.SUCCEEDED, job.error
    table = desk.table(name)
    assert [column["name"] for column in table.columns] == columns
    assert (table.format, table.row_count, table.managed) == (format_, 2, True)


def test_a_bad_upload_fails_with_its_reason_and_leaves_the_table(desk: Desk) -> None:
    wait_for_end(desk.database, desk.send(b"id,note\n1,one\n", name="kept"))
    before = desk.table("kept")
    job_id = desk.send(b"id,note\n1\n", filename="mine.csv", name="kept")
    job = wait_for_end(desk.database, job_id)

    assert job.state is JobState.FAILED
    assert job.error is not None
    assert (job.error["code"], job.error["file"]) == ("csv_ragged", "mine.csv")
    assert desk.table("kept").url_pattern == before.url_pattern
    assert desk.table("kept").columns == before.columns
    assert desk.upload_state(job_id) == UploadState.STORED  # for a retry


def test_uploads_append_to_a_managed_delta_table_in_the_order_they_were_sent(desk: Desk) -> None:
    fields = {"name": "ledger", "target": "delta"}
    jobs = [
        desk.send(b"id,note\n1,one\n", **fields),
        desk.send(b"id,price\n2,1.5\n", **fields, mode="replace"),
        desk.send(b'{"id": 3, "price": 2}\n', **fields, format="JSONEachRow"),
        desk.send(parquet(id=pa.array([4, 5])), **fields, format="Parquet"),
    ]
    ends = [wait_for_end(desk.database, job_id) for job_id in jobs]

    assert [job.state for job in ends] == [JobState.SUCCEEDED] * 4, [job.error for job in ends]
    table = desk.table("ledger")
    uri, options = managed_storage(desk.settings).delta_root(desk.project_id, str(table.id))
    kept = DeltaTable(uri, storage_options=options).to_pyarrow_table().sort_by("id")
    assert kept.to_pydict() == {"id": [2, 3, 4, 5], "price": [1.5, 2.0, None, None]}
    assert (table.format, table.row_count) == ("Delta", 4)


def test_a_dry_run_is_judged_by_a_worker_and_makes_no_table(desk: Desk) -> None:
    fields = {"name": "planned", "target": "delta", "dry_run": "true"}
    sent = [
        desk.send(b"zip;n\n02139;1\n", **fields, options='{"csv_delimiter": ";"}'),
        desk.send(b"zip\nx\n", **fields, columns='{"zip": "integer"}'),
    ]
    taken, refused = (wait_for_end(desk.database, job_id).result or {} for job_id in sent)

    assert (taken["change"], taken["row_count"], taken["exists"]) == ("additive", 1, False)
    assert [each["name"] for each in taken["columns"]] == ["zip", "n"]
    assert "orders.csv, line 2: column 'zip' holds x" in refused["refusal"]["detail"]
    with desk.database.read() as session:
        assert session.query(Table).filter(Table.name == "planned").all() == []
