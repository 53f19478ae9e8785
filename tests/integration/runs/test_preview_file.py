"""A preview: the first rows of one file of a table, of any format, and of no other file."""

import datetime as dt
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.feather
import pyarrow.orc
import pyarrow.parquet as pq
import pytest
from sqlalchemy import func, select, update

from stocktake.catalog import previews
from stocktake.clock import rows as clock_rows
from stocktake.db.clock import now
from stocktake.db.models import Job, Preview, Project
from stocktake.errors import (
    InvalidSourceError,
    JobError,
    LimitExceededError,
    PermissionDeniedError,
    RaggedRowsError,
    SourceNotFoundError,
    SupersededError,
)
from stocktake.runs import preview_file, refresh_schema
from stocktake.security.scopes import ALL, TABLE_READ_ROWS, TABLE_WRITE
from stocktake.services import previews as service
from stocktake.services import tables
from tests.integration.runs.conftest import Desk
from tests.integration.runs.test_refresh import queue
from tests.support.rows import context, make_table


@pytest.fixture
def desk(desk: Desk) -> Desk:
    allow(desk, True)
    return desk


def allow(desk: Desk, allowed: bool) -> None:
    with desk.database.write() as session:
        session.execute(
            update(Project).where(Project.id == desk.project_id).values(row_previews=allowed)
        )


def table_of(desk: Desk, pattern: str, table_format: str = "Parquet", **options: Any) -> UUID:
    with desk.database.write() as session:
        return make_table(
            session,
            desk.project_id,
            "orders",
            url_pattern=f"file://{desk.sources}/{pattern}",
            format=table_format,
            options=options,
        ).id


def request(desk: Desk, table_id: UUID, file: str | None = None) -> UUID:
    with context(desk.database, desk.settings, desk.project_id) as ctx:
        return service.request(ctx, table_id, file).job.id


def preview(desk: Desk, table_id: UUID, file: str | None = None) -> dict[str, Any]:
    """The job's result, with the rows."""
    job_id = request(desk, table_id, file)
    desk.run(job_id, preview_file.run)
    assert "rows" not in desk.result(job_id)
    return desk.result(job_id) | {"rows": rows_of(desk, job_id)}


def rows_of(desk: Desk, job_id: UUID, *scopes: str) -> list[list[Any]] | None:
    with context(desk.database, desk.settings, desk.project_id) as ctx:
        caller = replace(ctx.caller, scopes=frozenset(scopes or [ALL]))
        return service.rows_of(replace(ctx, caller=caller), ctx.session.get_one(Job, job_id))


def kept(desk: Desk) -> int | None:
    with desk.database.read() as session:
        return session.scalar(select(func.count()).select_from(Preview))


TABLE = pa.table({"id": [1, 2], "note": ["a", None]})


def write_csv(path: Path) -> None:
    path.write_bytes(b"id,note\n1,a\n2,\n")


def write_json(path: Path) -> None:
    path.write_bytes(b'{"id": 1, "note": "a"}\n{"id": 2}\n')


def write_stream(path: Path) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, TABLE.schema) as writer:
        writer.write_table(TABLE)


FORMATS: dict[str, Callable[[Path], None]] = {
    "Parquet": lambda path: pq.write_table(TABLE, path),
    "ORC": lambda path: pa.orc.write_table(TABLE, str(path)),
    "Arrow": lambda path: pa.feather.write_feather(TABLE, str(path), compression="uncompressed"),
    "ArrowStream": write_stream,
    "CSVWithNames": write_csv,
    "JSONEachRow": write_json,
}


@pytest.mark.parametrize("table_format", FORMATS)
def test_the_rows_of_a_file(desk: Desk, table_format: str) -> None:
    FORMATS[table_format](desk.sources / "a.dat")

    found = preview(desk, table_of(desk, "*.dat", table_format))

    one = "1" if table_format == "CSVWithNames" else 1
    two = "2" if table_format == "CSVWithNames" else 2
    assert found["rows"] == [[one, "a"], [two, None]]
    assert [each["name"] for each in found["columns"]] == ["id", "note"]
    assert (found["file"], found["row_count"], found["more"]) == ("a.dat", 2, False)


def test_the_newest_file_unless_another_is_named(desk: Desk) -> None:
    for at, name in enumerate(["old", "new"]):
        (desk.sources / f"{name}.csv").write_text(f"id\n{name}\n")
        moment = 1_700_000_000 + at
        os.utime(desk.sources / f"{name}.csv", (moment, moment))
    table = table_of(desk, "*.csv", "CSVWithNames")

    assert preview(desk, table)["rows"] == [["new"]]
    assert preview(desk, table, "old.csv")["rows"] == [["old"]]


@pytest.mark.parametrize(
    "file", ["../secret.csv", "in/../../secret.csv", "x.json", "/etc/passwd", "in/", "_a.csv", "?"]
)
def test_no_file_but_the_tables_own(desk: Desk, file: str) -> None:
    (desk.sources / "in").mkdir()
    for name in ("secret.csv", "x.json", "_a.csv", "in/a.csv", "in/_a.csv", "in/x.json"):
        (desk.sources / name).write_text("id\nsecret\n")
    table = table_of(desk, "in/**/*.csv", "CSVWithNames")

    with pytest.raises(SourceNotFoundError):
        preview_file.run(desk.attempt(request(desk, table, file)))
    assert kept(desk) == 0


def test_a_file_that_is_not_there_is_told_by_its_name(desk: Desk) -> None:
    write_csv(desk.sources / "a.csv")
    table = table_of(desk, "*.csv", "CSVWithNames")
    with pytest.raises(SourceNotFoundError, match='no file "b') as caught:
        preview_file.run(desk.attempt(request(desk, table, "b.csv")))
    assert "origin" in caught.value.hint


def test_rows_cells_and_columns_are_bounded_and_cut_ones_are_marked(desk: Desk) -> None:
    moment = dt.datetime(2026, 11, 27, 12, tzinfo=dt.UTC)
    wide = {
        "text": ["x" * 1000] * 60,
        "blob": [b"\x00\xff" * 100] * 60,
        "big": [2**60] * 60,
        "at": [moment] * 60,
        "tags": [[1, None]] * 60,
        "nan": [float("nan")] * 60,
    }
    more = {f"c{number}": [0] * 60 for number in range(600)}
    pq.write_table(pa.table(wide | more), desk.sources / "a.parquet")

    found = preview(desk, table_of(desk, "a.parquet"))

    assert (found["row_count"], found["more"]) == (50, True)
    assert (len(found["columns"]), found["omitted_columns"]) == (500, 106)
    text, blob, big, at, tags, nan = found["rows"][0][:6]
    assert text == {"text": "x" * 256, "length": 1000}
    assert blob["length"] == 200
    assert len(blob["base64"]) == 128
    assert (big, at, tags, nan) == (str(2**60), str(moment), "[1, null]", "nan")


def test_all_rows_have_a_bound_together(desk: Desk) -> None:
    row = {f"c{number}": ["\x01" * 250] * 50 for number in range(500)}
    pq.write_table(pa.table(row), desk.sources / "a.parquet")

    found = preview(desk, table_of(desk, "a.parquet"))

    assert found["more"]
    assert 1 <= found["row_count"] < 50
    assert len(json.dumps(found["rows"], separators=(",", ":"))) <= 1024**2


def test_what_stands_in_a_folders_name(desk: Desk) -> None:
    (desk.sources / "day=2026-11-27").mkdir()
    pq.write_table(TABLE, desk.sources / "day=2026-11-27/a.parquet")

    found = preview(desk, table_of(desk, "*/*.parquet"), "day=2026-11-27/a.parquet")

    assert found["rows"] == [[1, "a", "2026-11-27"], [2, None, "2026-11-27"]]


def test_a_moment_that_python_does_not_reach(desk: Desk) -> None:
    far = pa.array([2**62, 1], pa.timestamp("us"))
    pq.write_table(pa.table({"at": far}), desk.sources / "a.parquet")

    (first,), (second,) = preview(desk, table_of(desk, "a.parquet"))["rows"]
    assert second == "1970-01-01 00:00:00.000001"
    assert isinstance(first, str)


def test_a_text_that_is_not_utf_8_and_a_zone_that_nobody_knows(desk: Desk) -> None:
    parts = pa.array([b"ok", b"caf\xe9"])
    texts = pa.Array.from_buffers(pa.string(), 2, parts.buffers())
    times = pa.array([1, 2]).cast(pa.timestamp("us", "Nowhere/Bad"))
    pq.write_table(pa.table({"a": texts, "b": times}), desk.sources / "1.parquet")
    rows = preview(desk, table_of(desk, "1.parquet"))["rows"]
    assert [row[0] for row in rows] == ["ok", "caf\\xe9"]
    assert "that cannot be shown" in rows[0][1]


def test_a_managed_table_shows_the_rows_that_it_has(desk: Desk) -> None:
    job = desk.send(b"id,day\n1,x\n", target="delta", partition_by="day")
    desk.run(job)
    first = desk.table().id
    assert preview(desk, first)["rows"] == [[1, "x"]]
    replaced = preview(desk, first)["file"]
    desk.run(desk.send(b"id,day\n2,y\n", target="delta", mode="replace"))

    assert preview(desk, first)["rows"] == [[2, "y"]]
    with pytest.raises(SourceNotFoundError, match="no data file"):
        preview_file.run(desk.attempt(request(desk, first, replaced)))


def test_an_uploaded_file(desk: Desk) -> None:
    desk.run(desk.send(b"id\n7\n", "june.csv"))
    for file in (None, "june.csv"):
        shown = preview(desk, desk.table().id, file)
        assert (shown["rows"], shown["file"]) == ([["7"]], "june.csv")
    job_id = request(desk, desk.table().id, str(desk.table().upload_id))
    with pytest.raises(SourceNotFoundError, match="names no file"):
        preview_file.run(desk.attempt(job_id))


def test_a_large_file_is_refused_before_it_is_fetched(desk: Desk) -> None:
    pa.orc.write_table(TABLE, str(desk.sources / "a.orc"))
    desk = replace(desk, settings=desk.settings.model_copy(update={"inference_max_bytes": 100}))
    with pytest.raises(LimitExceededError, match="STOCKTAKE_INFERENCE_MAX_BYTES"):
        preview_file.run(desk.attempt(request(desk, table_of(desk, "a.orc", "ORC"))))


def test_a_read_that_takes_too_long_ends(desk: Desk) -> None:
    write_csv(desk.sources / "a.csv")
    settings = desk.settings.model_copy(update={"inference_max_seconds": 1e-9})
    desk = replace(desk, settings=settings)
    with pytest.raises(LimitExceededError, match="took longer"):
        preview_file.run(desk.attempt(request(desk, table_of(desk, "a.csv", "CSVWithNames"))))


def test_the_rows_before_a_broken_line_are_shown_and_the_line_is_told(desk: Desk) -> None:
    write_csv(desk.sources / "a.csv")
    table_id = table_of(desk, "*.csv", "CSVWithNames")
    desk.run(queue(desk), refresh_schema.run)
    (desk.sources / "a.csv").write_bytes(b"id,note\n1,a\n\n2,b\n3,c,d\n4,e\n")
    found = preview(desk, table_id)
    assert (found["rows"], found["more"]) == ([["1", "a"], ["2", "b"]], True)
    assert found["error"]["code"] == "csv_ragged"
    assert "line 5" in found["error"]["detail"]
    (desk.sources / "a.csv").write_bytes(b"id,note\n3,c,d\n4,e\n")
    with pytest.raises(RaggedRowsError):
        preview_file.run(desk.attempt(request(desk, table_id)))


def test_the_objects_before_a_broken_line_are_shown_and_the_line_is_told(desk: Desk) -> None:
    write_json(desk.sources / "a.json")
    table_id = table_of(desk, "*.json", "JSONEachRow")
    desk.run(queue(desk), refresh_schema.run)
    (desk.sources / "a.json").write_bytes(b'{"id": 1, "note": "a"}\n{"id": 2}\n{"id": 3,,}\n')
    found = preview(desk, table_id)
    assert (found["rows"], found["more"]) == ([[1, "a"], [2, None]], True)
    assert found["error"]["code"] == "invalid_source"
    assert "line 3" in found["error"]["detail"]
    (desk.sources / "a.json").write_bytes(b'{"id": 3,,}\n{"id": 4}\n')
    with pytest.raises(InvalidSourceError, match="line 1"):
        preview_file.run(desk.attempt(request(desk, table_id)))


def test_a_broken_file_says_where(desk: Desk) -> None:
    (desk.sources / "a.parquet").write_bytes(b"PAR1nothing")
    with pytest.raises(JobError) as caught:
        preview_file.run(desk.attempt(request(desk, table_of(desk, "a.parquet"))))
    assert isinstance(caught.value, InvalidSourceError)


# --- who sees the rows, and for how long --------------------------------------------------------


def test_rows_are_sealed_shown_to_few_and_gone(desk: Desk) -> None:
    (desk.sources / "a.csv").write_text("id\nhunter2\n")
    job_id = request(desk, table_of(desk, "a.csv", "CSVWithNames"))
    desk.run(job_id, preview_file.run)

    with desk.database.read() as session:
        row = session.get_one(Preview, job_id)
        assert b"hunter2" not in row.ciphertext
        assert "hunter2" not in json.dumps(session.get_one(Job, job_id).result)
    assert rows_of(desk, job_id, TABLE_READ_ROWS) == [["hunter2"]]
    assert rows_of(desk, job_id, TABLE_WRITE) is None

    clock_rows.prune_previews(desk.database)
    assert kept(desk) == 1
    with desk.database.write() as session:
        session.execute(update(Preview).values(created_at=now(-previews.KEPT_SECONDS)))
    assert rows_of(desk, job_id) is None
    clock_rows.prune_previews(desk.database)
    assert kept(desk) == 0


def test_a_project_keeps_the_newest_few(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(previews, "MOST_KEPT", 2)
    write_csv(desk.sources / "a.csv")
    table = table_of(desk, "a.csv", "CSVWithNames")
    jobs = [request(desk, table) for _ in range(3)]
    for job_id in jobs:
        desk.run(job_id, preview_file.run)

    assert [rows_of(desk, job_id) is None for job_id in jobs] == [True, False, False]


def test_where_a_project_allows_none(desk: Desk) -> None:
    write_csv(desk.sources / "a.csv")
    table = table_of(desk, "a.csv", "CSVWithNames")
    seen, waiting = request(desk, table), request(desk, table)
    desk.run(seen, preview_file.run)
    allow(desk, False)

    with pytest.raises(PermissionDeniedError, match="row_previews"):
        request(desk, table)
    with pytest.raises(SupersededError):
        preview_file.run(desk.attempt(waiting))
    assert rows_of(desk, seen) is None


def test_a_table_that_was_deleted_meanwhile(desk: Desk) -> None:
    write_csv(desk.sources / "a.csv")
    table = table_of(desk, "a.csv", "CSVWithNames")
    job_id = request(desk, table)
    with context(desk.database, desk.settings, desk.project_id) as ctx:
        tables.delete(ctx, table)
    with pytest.raises(SupersededError):
        preview_file.run(desk.attempt(job_id))
