"""Uploads with `target=delta`: rows land in the managed table once, or not at all."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from servers.process import PATIENCE_SECONDS
from stocktake.db.models import Table, new_id
from stocktake.errors import (
    CommitConflictError,
    JobError,
    RaggedRowsError,
    SchemaConflictError,
    StaleAttemptError,
    StorageUnavailableError,
    SupersededError,
    UnsupportedError,
)
from stocktake.parts import managed_storage
from stocktake.readers import introspect
from stocktake.runs import ingest_file, refresh_schema
from stocktake.runs.attempt import Attempt
from stocktake.runs.opening import open_table
from stocktake.states import JobState, UploadState
from stocktake.storage.managed import ManagedStorage
from tests.integration.runs.conftest import Desk, with_storage
from tests.integration.runs.test_ingest import parquet
from tests.support.rows import enqueue, refresh_of
from tests.support.typed_files import arrow_file, arrow_stream, avro_file, avro_record, orc_file
from tests.support.workbooks import xlsx

CSV = b"id,note\n1,one\n2,two\n"


def delta(desk: Desk) -> DeltaTable:
    uri, options = managed_storage(desk.settings).delta_root(desk.project_id, str(desk.table().id))
    return DeltaTable(uri, storage_options=options)


def rows(desk: Desk) -> list[dict[str, Any]]:
    """What the managed table holds, by id."""
    found = delta(desk).to_pyarrow_table().to_pylist()
    return sorted(found, key=lambda row: str(row.get("id")))


def test_uploads_of_all_formats_append_to_one_table(any_desk: Desk) -> None:
    desk = any_desk
    desk.load(CSV)
    desk.load(b'{"id": 3, "note": "three"}', filename="more.jsonl", format="JSONEachRow")
    desk.load(parquet(id=pa.array([4], pa.int32())), filename="x.parquet", format="Parquet")
    last = desk.load(b"id,note\n5,five\n")

    assert rows(desk) == [
        {"id": 1, "note": "one"},
        {"id": 2, "note": "two"},
        {"id": 3, "note": "three"},
        {"id": 4, "note": None},
        {"id": 5, "note": "five"},
    ]
    assert desk.columns() == {"id": "Int64)", "note": "String)"}
    table = desk.table()
    assert (table.row_count, table.format, table.source_version) == (5, "Delta", 4)
    assert table.upload_id is None
    assert desk.upload_state(last.claim.job_id) == UploadState.SUPERSEDED


def test_uploads_of_files_that_carry_their_types_append_as_well(desk: Desk) -> None:
    desk.load(CSV)
    table = pa.table({"id": [3], "note": ["x"]})
    avro = avro_file(avro_record(id="long", note=["null", "string"]), table.to_pylist())
    sheet = xlsx([["id", "note"], [3, "x"]])
    for data, name, format_ in (
        (orc_file(table), "x.orc", "ORC"),
        (arrow_file(table), "x.arrow", "Arrow"),
        (arrow_stream(table), "x.arrows", "ArrowStream"),
        (avro, "x.avro", "Avro"),
        (sheet, "x.xlsx", "Excel"),
    ):
        desk.load(data, filename=name, format=format_)

    assert rows(desk)[2:] == [{"id": 3, "note": "x"}] * 5
    assert desk.columns() == {"id": "Int64)", "note": "String)"}
    assert desk.table().row_count == 7


def test_texts_of_an_avro_file_are_texts_and_its_bytes_bytes(desk: Desk) -> None:
    inner = {"type": "record", "name": "inner", "fields": [{"name": "t", "type": "string"}]}
    some = {"type": "array", "items": ["null", "string"]}
    schema = avro_record(note=["null", "string"], raw="bytes", some=some, inner=inner)
    row = {"note": "é", "raw": b"\xff", "some": ["a", None], "inner": {"t": "b"}}
    desk.load(avro_file(schema, [row]), filename="x.avro", format="Avro")

    assert rows(desk) == [row]
    assert desk.columns()["note"] == desk.columns()["raw"] == "String)"
    # Bytes take the place of texts, and none are lost.
    schema = avro_record(note="bytes", raw="string")
    desk.load(avro_file(schema, [{"note": b"\xff", "raw": "y"}]), filename="x.avro", format="Avro")
    assert [(each["note"], each["raw"]) for each in rows(desk)] == [
        ("é".encode(), b"\xff"),
        (b"\xff", b"y"),
    ]


def test_replace_drops_the_rows_and_the_columns_that_were_there(any_desk: Desk) -> None:
    any_desk.load(CSV)
    any_desk.load(b"id,price\nA,1.5\n", mode="replace")

    assert rows(any_desk) == [{"id": "A", "price": 1.5}]
    assert any_desk.columns() == {"id": "String)", "price": "Float64)"}
    assert any_desk.table().row_count == 1


def test_a_new_column_is_merged_and_null_in_the_older_rows(desk: Desk) -> None:
    desk.load(CSV)
    attempt = desk.load(b"price,id\n1.5,3\n")

    assert rows(desk)[0] == {"id": 1, "note": "one", "price": None}
    assert rows(desk)[2] == {"id": 3, "note": None, "price": 1.5}
    assert desk.result(attempt.claim.job_id)["change"] == "additive"


def test_the_tables_own_type_wins_over_the_uploads(desk: Desk) -> None:
    desk.load(b"id,price,code,at\n1,1.5,x,2024-01-01 10:00:00\n")
    desk.load(b"id,price,code,at\n2,3,007,2024-02-01\n")

    assert [(row["price"], row["code"]) for row in rows(desk)] == [(1.5, "x"), (3.0, "007")]
    assert str(rows(desk)[1]["at"]) == "2024-02-01 00:00:00+00:00"
    assert desk.table().schema_version == 1


@pytest.mark.parametrize(
    ("data", "format_", "words"),
    [
        (b"id,note\n3,x\nabc,y\n", "CSVWithNames", ["line 3", "'id'", "abc (String)", "Int64"]),
        (b'{"id":3}\n\n{"id":"x"}', "JSONEachRow", ["line 3", "'id'", "String", "Int64"]),
        (parquet(id=["3", "abc"]), "Parquet", ["row 1", "'id'", "3 (string)", "Int64"]),
        (b"ID\n3\n", "CSVWithNames", ["'id'", "'ID'"]),
    ],
)
def test_a_value_that_does_not_fit_is_an_error_before_anything_is_committed(
    desk: Desk, data: bytes, format_: str, words: list[str]
) -> None:
    desk.load(CSV)
    before = desk.table()
    bad = desk.send(data, filename="bad.file", target="delta", format=format_)
    error = desk.fail(bad, SchemaConflictError)

    assert [word for word in words if word not in error.detail] == []
    assert delta(desk).version() == before.source_version
    assert (desk.table().columns, desk.table().row_count) == (before.columns, 2)
    assert desk.upload_state(bad) == UploadState.STORED  # for a retry


def test_rows_of_another_kind_altogether_are_refused(desk: Desk) -> None:
    desk.load(CSV)
    before = delta(desk).version()
    error = desk.fail(desk.send(b"zip,zap\n1,2\n", target="delta"), SchemaConflictError)

    assert "zip, zap" in error.detail
    assert "id, note" in error.detail
    assert "mode=replace takes the file's types, and removes the 2 rows that the table has" in (
        error.hint
    )
    assert delta(desk).version() == before


def test_rows_that_an_unclosed_quote_swallows_are_refused(desk: Desk) -> None:
    desk.load(CSV)
    before = delta(desk).version()
    bad = desk.send(b'id,note\n3,x\n4,"foo\n5,bar\n', target="delta")
    error = desk.fail(bad, RaggedRowsError)

    assert "line 3: a quoted value is never closed" in error.detail
    assert delta(desk).version() == before


def test_a_first_load_that_fails_makes_no_table(desk: Desk) -> None:
    data = b"id,at\n1,2024-01-30 10:00:00\n2,2024-01-30 10:00:00.0000001\n"
    job_id = desk.send(data, target="delta")
    error = desk.fail(job_id, SchemaConflictError)

    assert "line 3" in error.detail
    uri, _ = managed_storage(desk.settings).delta_root(desk.project_id, str(desk.table().id))
    assert not DeltaTable.is_deltatable(uri)
    assert desk.table().columns == []


def test_a_file_without_rows_still_gives_its_columns(desk: Desk) -> None:
    desk.load(b"id,note\n")

    assert desk.columns() == {"id": "String)", "note": "String)"}
    assert desk.table().row_count == 0


def _killed_before_the_end_is_written(attempt: Attempt) -> None:
    """Commits the rows, then loses its job, as a worker does that is killed in between."""
    stale = replace(attempt.claim, attempt=attempt.claim.attempt - 1)
    with pytest.raises(StaleAttemptError):
        ingest_file.run(replace(attempt, claim=stale))


def test_a_job_that_runs_twice_appends_once(any_desk: Desk) -> None:
    any_desk.load(CSV)
    job_id = any_desk.send(b"id,note\n3,three\n", target="delta")
    _killed_before_the_end_is_written(any_desk.attempt(job_id))
    assert delta(any_desk).count() == 3
    any_desk.expire(job_id)
    any_desk.run(job_id)

    assert delta(any_desk).count() == 3
    assert any_desk.table().row_count == 3


def test_a_retry_under_another_job_appends_its_upload_once(desk: Desk) -> None:
    attempt = desk.attempt(desk.send(CSV, target="delta"))
    _killed_before_the_end_is_written(attempt)
    other = replace(attempt.claim, job_id=new_id())
    with pytest.raises(StaleAttemptError):
        ingest_file.run(replace(attempt, claim=other))

    assert delta(desk).count() == 2


@pytest.mark.parametrize("first", [True, False])
def test_a_frozen_attempt_that_thaws_after_its_successor_appends_nothing(
    desk: Desk, first: bool
) -> None:
    if not first:
        desk.load(b"id,note\n0,zero\n")
    job_id = desk.send(CSV, target="delta")
    frozen = _Frozen()
    attempt = replace(desk.attempt(job_id), progress=frozen)
    thread = threading.Thread(target=frozen.run, args=(attempt,))
    thread.start()
    assert frozen.reached.wait(PATIENCE_SECONDS)
    desk.expire(job_id)
    desk.run(job_id)
    frozen.go_on.set()
    thread.join(PATIENCE_SECONDS)

    assert isinstance(frozen.error, CommitConflictError | StaleAttemptError)
    assert delta(desk).count() == (2 if first else 3)


class _Frozen:
    """An attempt that stops at the moment its rows begin to stream."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.go_on = threading.Event()
        self.error: BaseException | None = None

    def __call__(self, phase: str, done: int, total: int | None) -> None:
        if phase == "load":
            self.reached.set()
            self.go_on.wait(PATIENCE_SECONDS)

    def run(self, attempt: Attempt) -> None:
        try:
            ingest_file.run(attempt)
        except (JobError, StaleAttemptError) as exc:
            self.error = exc


def test_two_loads_at_once_both_land(desk: Desk) -> None:
    """Two tables' worth of workers on one root: what the claims' order does not hold apart."""
    desk.load(CSV)
    slow = _Frozen()
    job_id = desk.send(b"id,note\n3,three\n", target="delta")
    attempt = desk.attempt(job_id)
    thread = threading.Thread(target=slow.run, args=(replace(attempt, progress=slow),))
    thread.start()
    assert slow.reached.wait(PATIENCE_SECONDS)
    write = pa.table({"id": pa.array([4], pa.int64()), "note": ["four"]})
    write_deltalake(delta(desk), write, mode="append")
    slow.go_on.set()
    thread.join(PATIENCE_SECONDS)

    assert slow.error is None
    assert [row["id"] for row in rows(desk)] == [1, 2, 3, 4]
    assert desk.table().row_count == 4


def test_a_schema_that_another_writer_changed_meanwhile_is_a_conflict_that_is_retried(
    desk: Desk,
) -> None:
    desk.load(CSV)
    slow = _Frozen()
    job_id = desk.send(b"id,price\n3,1.5\n", target="delta")
    thread = threading.Thread(target=slow.run, args=(replace(desk.attempt(job_id), progress=slow),))
    thread.start()
    assert slow.reached.wait(PATIENCE_SECONDS)
    write_deltalake(delta(desk), pa.table({"other": ["x"]}), mode="append", schema_mode="merge")
    slow.go_on.set()
    thread.join(PATIENCE_SECONDS)
    assert isinstance(slow.error, CommitConflictError)
    assert desk.upload_state(job_id) == UploadState.STORED
    desk.expire(job_id)
    desk.run(job_id)

    assert desk.table().row_count == 4
    assert set(desk.columns()) == {"id", "note", "other", "price"}


class _Halfway(ManagedStorage):
    """Storage whose Delta roots point at a store that does not answer."""

    def delta_root(self, project_id: int, table_id: str) -> tuple[str, dict[str, str]]:
        dead = {
            "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true",
            "max_retries": "1",
            "retry_timeout": "1s",
        }
        return "s3://bucket/table", dead


def test_storage_that_does_not_answer_the_writer_is_tried_again(desk: Desk) -> None:
    def run(attempt: Attempt) -> None:
        ingest_file.run(with_storage(attempt, _Halfway(root=attempt.process.storage.root)))

    error = desk.fail(desk.send(CSV, target="delta"), StorageUnavailableError, run)

    assert "127.0.0.1" not in error.detail


def test_many_rows_stream_through_small_batches(desk: Desk) -> None:
    def lines() -> Iterator[bytes]:
        yield b"id,note\n"
        for number in range(200_000):
            yield b"%d,%d\n" % (number, number % 7)

    desk.load(b"".join(lines()))

    assert desk.table().row_count == 200_000
    table = delta(desk).to_pyarrow_table()
    assert sum(table["id"].to_pylist()) == sum(range(200_000))


def test_a_loaded_table_is_unchanged_to_the_next_refresh_and_keeps_its_count(desk: Desk) -> None:
    desk.load(CSV)
    job_id = enqueue(desk.database, refresh_of(desk.table()))
    desk.run(job_id, refresh_schema.run)

    assert desk.result(job_id)["coverage"]["unchanged"] is True
    assert desk.result(job_id)["row_count"] == 2


def test_a_refresh_that_read_an_older_version_leaves_what_a_load_has_written(
    any_desk: Desk,
) -> None:
    desk = any_desk
    desk.load(CSV)
    # Another version by somebody else, or the refresh would find all unchanged.
    append(desk)
    refresh = desk.attempt(enqueue(desk.database, refresh_of(desk.table())))
    opened = open_table(refresh)
    found = introspect(opened.source, refresh.limits, refresh.progress)
    desk.load(CSV)
    with pytest.raises(SupersededError):
        refresh_schema.store(refresh, found)

    assert found.source_version == 2
    assert (desk.table().source_version, desk.table().row_count) == (3, 5)


def test_a_refresh_counts_what_a_load_committed_and_could_not_say(any_desk: Desk) -> None:
    desk = any_desk
    desk.load(CSV)
    append(desk)
    desk.run(enqueue(desk.database, refresh_of(desk.table())), refresh_schema.run)

    assert (desk.table().source_version, desk.table().row_count) == (2, 3)


def test_a_log_that_went_back_by_itself_is_believed(desk: Desk) -> None:
    desk.load(CSV)
    with desk.database.write() as session:
        session.get_one(Table, desk.table().id).source_version = 9
        session.get_one(Table, desk.table().id).source_state = None
    desk.run(enqueue(desk.database, refresh_of(desk.table())), refresh_schema.run)

    assert desk.table().source_version == 1


def append(desk: Desk) -> None:
    """Append a row past the service."""
    write_deltalake(delta(desk), pa.table({"id": [9], "note": ["nine"]}), mode="append")


def test_a_bucket_that_would_lose_a_commit_is_refused_before_anything_is_read(
    lax_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: Any) -> None:
        raise AssertionError("the upload was read in vain")

    job = lax_desk.send(CSV, target="delta")
    with monkeypatch.context() as patch:
        patch.setattr(ingest_file, "read_all", read)
        error = lax_desk.fail(job, UnsupportedError)

    assert (error.code, lax_desk.job(job).state) == ("unsupported_store", JobState.FAILED)
    assert "lose one of two commits" in error.detail
    assert "target=delta" in error.hint
    assert lax_desk.upload_state(job) == UploadState.STORED
    storage = managed_storage(lax_desk.settings)
    assert [key for key, _ in storage.objects("delta/")] == []
