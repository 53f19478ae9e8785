"""An upload becomes a table's content, or leaves it as it was."""

import gzip
import io
from dataclasses import replace
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stocktake.catalog import uploads
from stocktake.db.models import Upload
from stocktake.errors import (
    FormatMismatchError,
    InvalidSourceError,
    JobError,
    RaggedRowsError,
    SourceNotFoundError,
    StaleAttemptError,
    StorageUnavailableError,
    SupersededError,
    TableChangedError,
    TerminalError,
)
from stocktake.runs import ingest_file, refresh_schema
from stocktake.runs.attempt import Attempt
from stocktake.services import files
from stocktake.states import UploadState
from stocktake.storage.managed import ManagedStorage
from stocktake.storage.stores.opening import ObjectStore
from tests.integration.runs.conftest import Desk, with_storage
from tests.support.rows import context, enqueue, refresh_of

CSV = b"id,note\n1,one\n2,two\n"


def parquet(**columns: pa.Array) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


def set_state(desk: Desk, job_id: UUID, state: UploadState) -> None:
    with desk.database.write() as session:
        session.get_one(Upload, desk.job(job_id).upload_id).state = state.value


@pytest.mark.parametrize(
    ("data", "format_", "columns"),
    [
        (CSV, "CSVWithNames", {"id": "Int64)", "note": "String)"}),
        (b"1,one\n2,two\n", "CSV", {"c1": "Int64)", "c2": "String)"}),
        (b'{"id":1}\n{"id":2,"at":"2024-01-01"}', "JSONEachRow", {"id": "Int64)", "at": "Date)"}),
        (parquet(id=pa.array([1, 2], pa.int32())), "Parquet", {"id": "Int32)"}),
        (gzip.compress(CSV, mtime=0), "CSVWithNames", {"id": "Int64)", "note": "String)"}),
    ],
)
def test_an_upload_becomes_the_content_with_its_exact_row_count(
    desk: Desk, data: bytes, format_: str, columns: dict[str, str]
) -> None:
    job_id = desk.send(data, format=format_)
    desk.run(job_id)

    table = desk.table()
    assert desk.columns() == columns
    assert (table.row_count, table.size_bytes, table.format) == (2, len(data), format_)
    assert table.managed
    assert desk.job(job_id).upload_id == table.upload_id
    assert desk.upload_state(job_id) == UploadState.ACTIVE
    assert desk.result(job_id)["row_count"] == 2
    assert desk.result(job_id)["coverage"]["truncated"] is False


def test_a_bucket_takes_uploads_as_a_folder_does(bucket_desk: Desk) -> None:
    bucket_desk.run(bucket_desk.send(CSV))
    bucket_desk.run(bucket_desk.send(parquet(x=pa.array([1.5])), format="Parquet"))

    assert bucket_desk.columns() == {"x": "Float64)"}
    assert bucket_desk.table().row_count == 1


def test_types_come_from_the_last_row_as_well(desk: Desk) -> None:
    rows = b"id,n\n" + b"1,12345678\n" * 600_000 + b"1,many\n"
    desk.run(desk.send(rows))

    assert desk.columns() == {"id": "Int64)", "n": "String)"}
    assert desk.table().row_count == 600_001


def test_a_new_upload_takes_the_place_of_the_old_one(desk: Desk) -> None:
    first = desk.send(CSV)
    desk.run(first)
    url = desk.table().url_pattern
    second = desk.send(b"key\n5\n")
    assert desk.table().url_pattern == url
    desk.run(second)

    assert desk.columns() == {"key": "Int64)"}
    assert desk.table().url_pattern != url
    assert desk.upload_state(first) == UploadState.SUPERSEDED
    assert desk.upload_state(second) == UploadState.ACTIVE
    assert desk.table().schema_version == desk.versions() == 2


@pytest.mark.parametrize(
    ("data", "format_", "error"),
    [
        (b"id,note\n1\n", "CSVWithNames", RaggedRowsError),
        (b'{"id":1}\n{"id":', "JSONEachRow", InvalidSourceError),
        (b'{"id":1}\n{"id":1,"id":2}', "JSONEachRow", InvalidSourceError),
        (CSV, "Parquet", FormatMismatchError),
        (parquet(id=pa.array([1])), "CSVWithNames", FormatMismatchError),
        (b'{"id":1}', "CSVWithNames", FormatMismatchError),
    ],
)
def test_a_bad_file_leaves_a_good_table_as_it_was(
    desk: Desk, data: bytes, format_: str, error: type[JobError]
) -> None:
    good = desk.send(CSV)
    desk.run(good)
    before = desk.table()
    bad = desk.send(data, filename="new orders.csv", format=format_)
    caught = desk.fail(bad, error)

    after = desk.table()
    kept = ("columns", "url_pattern", "upload_id", "format", "row_count", "generation")
    assert [getattr(after, name) for name in kept] == [getattr(before, name) for name in kept]
    assert desk.upload_state(good) == UploadState.ACTIVE
    assert desk.upload_state(bad) == UploadState.STORED  # for a retry
    assert str(desk.job(bad).upload_id) not in caught.detail
    assert caught.file == "new orders.csv"


def test_a_corrupt_page_behind_a_good_footer_is_found(desk: Desk) -> None:
    data = bytearray(parquet(note=pa.array([f"{n:>20}" for n in range(5_000)])))
    data[200:5_000] = b"\xff" * 4_800
    desk.fail(desk.send(bytes(data), format="Parquet"), InvalidSourceError)

    assert desk.table().columns == []


def test_a_first_upload_that_fails_leaves_a_table_that_takes_the_next(desk: Desk) -> None:
    desk.fail(desk.send(b"a,b\n1\n"), RaggedRowsError)
    assert desk.table().columns == []
    assert desk.table().upload_id is None
    desk.run(desk.send(CSV))

    assert list(desk.columns()) == ["id", "note"]


def test_a_file_that_was_cut_on_its_way_is_refused(desk: Desk) -> None:
    job_id = desk.send(CSV)
    with desk.database.write() as session:
        upload = session.get_one(Upload, desk.job(job_id).upload_id)
        upload.size_bytes = 1_000

    assert "1,000 were received" in desk.fail(job_id, InvalidSourceError).detail


def test_an_override_survives_and_is_what_validity_is_judged_by(desk: Desk) -> None:
    desk.run(desk.send(CSV))
    desk.override("id", "Nullable(String)")
    desk.override("note", "Nullable(Int64)")
    desk.run(desk.send(b"id,note\n1,2\n3,x\n"))

    assert desk.columns() == {"id": "String)", "note": "Int64)"}
    assert desk.valid() == {"id": True, "note": False}
    desk.run(desk.send(b"id,note\n1,2\n"))
    assert desk.valid() == {"id": True, "note": True}


def test_a_second_run_of_a_finished_attempt_changes_nothing(desk: Desk) -> None:
    attempt = desk.run(desk.send(CSV))
    before = desk.table()

    with pytest.raises(StaleAttemptError):
        ingest_file.run(
            replace(attempt, claim=replace(attempt.claim, generation=before.generation))
        )

    assert desk.table().generation == before.generation
    assert desk.versions() == 1


def test_a_frozen_attempt_that_ends_late_changes_nothing(desk: Desk) -> None:
    job_id = desk.send(CSV)
    frozen = desk.attempt(job_id)
    desk.expire(job_id)
    desk.run(job_id)

    with pytest.raises(StaleAttemptError):
        desk.end(frozen, TableChangedError)

    assert desk.upload_state(job_id) == UploadState.ACTIVE
    assert desk.table().schema_version == 1


def test_an_upload_for_a_table_that_changes_meanwhile_is_read_again(desk: Desk) -> None:
    job_id = desk.send(b"id;note\n1;x\n")
    attempt = desk.attempt(job_id)
    desk.change_table(options={"csv_delimiter": ","})
    with pytest.raises(TableChangedError):
        ingest_file.run(attempt)
    assert desk.upload_state(job_id) == UploadState.STORED
    desk.expire(job_id)
    desk.run(job_id)

    assert list(desk.columns()) == ["id;note"]


def test_an_upload_for_a_table_that_was_deleted_is_left_to_the_clock(desk: Desk) -> None:
    job_id = desk.send(CSV)
    attempt = desk.attempt(job_id)
    desk.change_table(deleted=True)

    with pytest.raises(SupersededError):
        ingest_file.run(attempt)

    assert desk.upload_state(job_id) == UploadState.STORED


def test_bytes_that_are_gone_end_the_job(desk: Desk) -> None:
    job_id = desk.send(CSV)
    set_state(desk, job_id, UploadState.REMOVED)

    desk.fail(job_id, SourceNotFoundError)
    assert desk.upload_state(job_id) == UploadState.REMOVED


def test_an_upload_whose_bytes_go_while_it_is_read_is_not_pointed_at(desk: Desk) -> None:
    desk.run(desk.send(CSV))
    before = desk.table()
    job_id = desk.send(b"id\n5\n")

    def remove(phase: str, done: int, total: int | None) -> None:
        set_state(desk, job_id, UploadState.REMOVED)

    desk.fail(
        job_id,
        SourceNotFoundError,
        lambda attempt: ingest_file.run(replace(attempt, progress=remove)),
    )

    assert (desk.table().url_pattern, desk.table().columns) == (before.url_pattern, before.columns)


class _DownStorage(ManagedStorage):
    """Storage that does not answer."""

    def store(self) -> ObjectStore:
        raise StorageUnavailableError("The store is down.")


def test_an_upload_is_kept_while_the_store_is_down(desk: Desk) -> None:
    def run_with_store_down(attempt: Attempt) -> None:
        ingest_file.run(with_storage(attempt, _DownStorage(root=attempt.process.storage.root)))

    job_id = desk.send(CSV)
    desk.fail(job_id, StorageUnavailableError, run_with_store_down)
    assert desk.upload_state(job_id) == UploadState.STORED

    desk.run(job_id)
    assert desk.upload_state(job_id) == UploadState.ACTIVE


@pytest.mark.parametrize("data", [CSV, b"id,note\n"])
def test_a_refresh_finds_an_accepted_upload_unchanged(desk: Desk, data: bytes) -> None:
    desk.run(desk.send(data))
    table = desk.table()
    job_id = enqueue(desk.database, refresh_of(table))
    desk.run(job_id, refresh_schema.run)

    assert desk.result(job_id)["coverage"]["unchanged"] is True
    assert desk.table().row_count == table.row_count
    assert desk.table().schema_version == 1


def test_messages_name_the_file_as_its_owner_does(desk: Desk) -> None:
    caught = desk.fail(desk.send(b"a,b\n1\n", filename="mine.csv"), RaggedRowsError)

    assert "mine.csv, line 2" in caught.detail


@pytest.mark.parametrize("target", ["file", "delta"])
@pytest.mark.parametrize(
    ("data", "detail", "hint"),
    [
        (b"PAR1\x15\x04" + b"\0" * 30 + b"PAR1", "mine.csv is declared CSVWithNames", "`format`"),
        (b"", "contains no data", "at least a header"),
    ],
    ids=["another_format", "empty"],
)
def test_what_to_do_about_a_file_is_to_send_another(
    desk: Desk, data: bytes, detail: str, hint: str, target: str
) -> None:
    """The table's own format may be another one, and no refresh mends it."""
    job_id = desk.send(data, filename="mine.csv", target=target)
    caught = desk.fail(job_id, TerminalError)
    assert detail in caught.detail
    assert hint in caught.hint
    assert "pload the file again" in caught.hint
    assert "refresh" not in caught.hint


def test_an_upload_that_two_tables_share_goes_with_the_last_that_gets_another(
    desk: Desk,
) -> None:
    first = desk.send(b"id\n1\n")
    desk.run(first)
    with context(desk.database, desk.settings, desk.project_id) as ctx:
        shared = ctx.session.get_one(Upload, desk.job(first).upload_id)
        shared.file_format = "csv"
        copy = files.create_from_upload(
            ctx,
            upload_id=shared.id,
            filename=shared.filename,
            file_format="csv",
            table_name="copy",
        ).enqueued.job.id
    desk.run(desk.send(b"id,name\n1,Ada\n"))
    assert desk.upload_state(first) == UploadState.STORED  # the copy's job will read it
    desk.run(copy)
    assert desk.upload_state(first) == UploadState.ACTIVE
    assert [column["name"] for column in desk.table("copy").columns] == ["id"]
    desk.run(desk.send(b"id\n2\n", name="copy"))
    assert desk.upload_state(first) == UploadState.SUPERSEDED


def test_a_table_keeps_what_a_second_try_at_the_same_upload_was_to_bring(desk: Desk) -> None:
    job_id = desk.send(b"id\n1\n")
    desk.run(job_id)
    with context(desk.database, desk.settings, desk.project_id) as ctx:
        uploads.let_go(ctx.session, [desk.job(job_id).upload_id])
    assert desk.upload_state(job_id) == UploadState.ACTIVE


def test_a_first_upload_that_fails_says_that_nothing_was_loaded(desk: Desk) -> None:
    told = "Nothing was ever loaded into the table."
    assert desk.fail(desk.send(b"a,b\n1\n"), RaggedRowsError).hint.endswith(told)
    desk.run(desk.send(CSV))
    assert told not in desk.fail(desk.send(b"a,b\n1\n"), RaggedRowsError).hint
