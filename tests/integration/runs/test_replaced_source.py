"""An upload that takes the place of files of the user's own, and the way back to them."""

from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import inspect

from stocktake.db.models import Table
from stocktake.errors import JobError, SupersededError, TableChangedError, ValidationError
from stocktake.runs import ingest_file, refresh_schema
from stocktake.services import table_changes, table_views
from stocktake.services.tables import TableFields
from stocktake.states import JobState, UploadState
from tests.integration.runs.conftest import Desk
from tests.integration.runs.test_refresh import queue, refreshed, register
from tests.support.rows import context

CSV = b"key;n\n5;1\n"
SEMICOLON = '{"csv_delimiter": ";"}'


@pytest.fixture
def url(desk: Desk) -> str:
    """The URL of a table of one Parquet file that was read, with a type that a user has set."""
    file = desk.sources / "orders.parquet"
    pq.write_table(pa.table({"id": [1, 2], "note": ["a", "b"]}), file)
    register(desk, file, "Parquet")
    refreshed(desk)
    desk.override("id", "Nullable(Float64)")
    return f"file://{file}"


def upload_over(desk: Desk) -> UUID:
    job_id = desk.send(CSV, options=SEMICOLON)
    desk.run(job_id)
    return job_id


def change(desk: Desk, **fields: Any) -> None:
    with context(desk.database, desk.settings, desk.project_id) as ctx:
        table_changes.change(ctx, desk.table().id, TableFields(**fields))


def test_what_was_read_is_kept_and_read_again(desk: Desk, url: str) -> None:
    before = desk.columns()
    upload = upload_over(desk)
    replaced = desk.table()
    former = replaced.former_source
    assert former is not None
    assert (former["url_pattern"], former["format"], former["options"]) == (url, "Parquet", {})
    assert (replaced.format, desk.columns()) == ("CSVWithNames", {"key": "Int64)", "n": "Int64)"})

    change(desk, url_pattern=url)

    table = desk.table()
    assert (table.url_pattern, table.format, table.options) == (url, "Parquet", {})
    assert (table.managed, table.upload_id, table.former_source) == (False, None, None)
    assert desk.columns() == before  # at once, with the type that was set
    assert desk.upload_state(upload) == UploadState.SUPERSEDED
    assert desk.job(table.latest_job_id).kind == "refresh_schema"
    assert refreshed(desk)["change"] == "none"
    assert (desk.columns(), desk.table().row_count) == (before, 2)
    assert [column["override"] for column in desk.table().columns] == [True, False]
    assert desk.versions() == 3


def test_lists_leave_the_types_that_were_set_in_the_database(desk: Desk, url: str) -> None:
    """Of a thousand tables they are gigabytes, which no bound on a page's columns knows of."""
    upload_over(desk)
    with context(desk.database, desk.settings, desk.project_id) as ctx:
        [view] = table_views.list_views(ctx, limit=1, offset=0).views
        assert "former_overrides" in inspect(view.table).unloaded
        assert set(view.table.former_source or ()) == {
            *("url_pattern", "format", "options", "schema_version", "replaced_at")
        }
        assert [each["name"] for each in view.table.former_overrides or ()] == ["id"]
    change(desk, url_pattern=url)
    with context(desk.database, desk.settings, desk.project_id) as ctx:
        assert ctx.session.get_one(Table, desk.table().id).former_overrides is None


def test_a_second_upload_leaves_what_was_before_the_first(desk: Desk, url: str) -> None:
    upload_over(desk)
    former = desk.table().former_source
    desk.run(desk.send(b"other\n1\n"))
    assert desk.table().former_source == former
    change(desk, url_pattern=url)
    assert desk.columns() == {"id": "Float64)", "note": "String)"}


def test_what_changed_meanwhile_at_the_source_is_found(desk: Desk, url: str) -> None:
    upload_over(desk)
    pq.write_table(pa.table({"id": [1], "note": ["a"], "new": [1.5]}), Path(url[7:]))
    change(desk, url_pattern=url)
    result = refreshed(desk)
    assert (result["change"], desk.columns()["new"]) == ("additive", "Float64)")


def test_a_sample_of_what_was_read_takes_up_nothing_of_the_upload(desk: Desk) -> None:
    """A sample adds to what is known, which must not be the upload's columns."""
    for number in range(3):
        (desk.sources / f"{number}.csv").write_bytes(b"id\n1\n")
    settings = desk.settings.model_copy(update={"inference_max_files": 1})
    register(desk, f"{desk.sources}/*.csv", "CSVWithNames")

    def sampled() -> bool:
        job_id = queue(desk)
        attempt = desk.attempt(job_id)
        process = replace(attempt.process, settings=settings)
        refresh_schema.run(replace(attempt, process=process))
        return bool(desk.result(job_id)["coverage"]["truncated"])

    assert sampled()
    upload_over(desk)
    change(desk, url_pattern=f"file://{desk.sources}/*.csv")
    assert sampled()
    assert desk.columns() == {"id": "Int64)"}


def test_a_table_that_was_never_read_goes_back_without_columns(desk: Desk) -> None:
    register(desk, desk.sources / "orders.parquet", "Parquet")
    upload_over(desk)
    change(desk, url_pattern=f"file://{desk.sources / 'orders.parquet'}")
    assert desk.columns() == {}


def test_what_is_sent_beside_the_url_stands_over_what_was(desk: Desk, url: str) -> None:
    upload_over(desk)
    change(desk, url_pattern=url, format="Arrow", options={"public": True})
    assert (desk.table().format, desk.table().options) == ("Arrow", {"public": True})


def test_another_url_is_refused_with_the_one_that_is_not(desk: Desk, url: str) -> None:
    upload_over(desk)
    with pytest.raises(ValidationError) as refused:
        change(desk, url_pattern=f"{url}x")
    assert refused.value.detail.endswith(url)
    assert desk.table().managed


def test_an_upload_that_waits_or_is_read_does_not_come_back(desk: Desk, url: str) -> None:
    upload_over(desk)
    running = desk.attempt(desk.send(CSV))
    waiting = desk.send(CSV)
    change(desk, url_pattern=url)
    assert desk.job(waiting).state == JobState.CANCELLED
    assert desk.upload_state(waiting) == UploadState.SUPERSEDED

    desk.end(running, TableChangedError)
    assert desk.job(running.claim.job_id).state == JobState.CANCELLED
    assert desk.table().url_pattern == url


def test_an_upload_that_may_not_replace_a_source_never_does(desk: Desk, url: str) -> None:
    """It was sent while there was another upload, and is read when there is none."""
    upload_over(desk)
    job_id = desk.send(CSV, replace_source="false")
    desk.change_table(managed=False, url_pattern=url, format="Parquet")
    with pytest.raises(SupersededError):
        ingest_file.run(desk.attempt(job_id))
    assert (desk.table().managed, desk.table().url_pattern) == (False, url)


def test_an_upload_that_cannot_be_read_replaces_nothing(desk: Desk, url: str) -> None:
    desk.fail(desk.send(b"a,b\n1\n"), JobError)
    assert (desk.table().url_pattern, desk.table().former_source) == (url, None)
