"""A dry run of an upload says what the upload then does, and changes nothing."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stocktake.errors import JobError
from stocktake.runs import check_file, ingest_file
from tests.integration.runs.conftest import Desk
from tests.integration.runs.test_ingest import parquet
from tests.integration.runs.test_load import delta, rows


def check(desk: Desk, data: bytes, **fields: str) -> dict[str, Any]:
    """The verdict; whatever there is stays as it was."""
    before = _all_there_is(desk)
    job_id = desk.send(data, **({"target": "delta", "dry_run": "true"} | fields))
    desk.run(job_id, check_file.run)
    assert _all_there_is(desk) == before
    assert desk.upload_state(job_id) == "superseded"
    return desk.result(job_id)


def _all_there_is(desk: Desk) -> Any:
    folder = Path(desk.settings.data_dir) / "managed" / "delta"
    files = sorted(str(file) for file in folder.rglob("*"))
    try:
        table = desk.table()
    except Exception:  # noqa: BLE001 - there is none
        return files, None
    return (
        files,
        table.columns,
        table.options,
        table.row_count,
        table.latest_job_id,
        desk.versions(),
    )


@pytest.mark.parametrize(
    ("first", "second", "fields", "change"),
    [
        (None, b"id,n\n1,x\n2,y\n", {}, "additive"),
        (b"id\n1\n", b"id\n2\n", {}, "none"),
        (b"id\n1\n", b"id,n\n2,x\n", {}, "additive"),
        (b"id,n\n1,1\n", b"id,n\n2,1.5\n", {}, "widening"),
        (b"id,n\n1,1\n", b"n,id\n2,1\n", {"mode": "replace"}, "none"),
        (b"id,n\n1,1\n", b"id,n\n2,x\n", {"mode": "replace"}, "breaking"),
        (b"id,n\n1,1\n", b"id,n\n1,7\n", {"mode": "merge", "key": "id"}, "none"),
        (b"id,n\n1,x\n", b"id;n\n2;3\n", {"options": '{"csv_delimiter": ";"}'}, "none"),
        (None, b"zip\n02139\n", {"columns": '{"zip": "string"}'}, "additive"),
        (b"id,n\n1,\n", b"id,n\n2,7\n", {}, "breaking"),
    ],
)
def test_the_verdict_is_what_the_load_then_does(
    desk: Desk, first: bytes | None, second: bytes, fields: dict[str, str], change: str
) -> None:
    if first:
        desk.load(first)
    told = check(desk, second, **fields)
    assert (told["change"], told["refusal"], told["exists"]) == (change, None, first is not None)
    assert told["row_count"] == second.count(b"\n") - 1
    assert told["rows_before"] == (1 if first else None)

    done = desk.result(desk.load(second, **fields).claim.job_id)
    # Who brought a column only a load can tell.
    for column in (*done["diff"]["added"], *done["diff"]["changed"]):
        column.pop("origin", None)
    assert (done["change"], done["diff"]) == (told["change"], told["diff"])
    columns = [{"name": c["name"], "type": c["clickhouse"]} for c in desk.table().columns]
    assert told["columns"] == columns


@pytest.mark.parametrize(
    ("second", "fields", "change"),
    [
        (b"id,n\n2,7\n3,x\n", {}, "breaking"),
        (b"other\n1\n", {}, "breaking"),
        (b"id,n\n1,7\n1,8\n", {"mode": "merge", "key": "id"}, "breaking"),
        (b"id,n\n2,7\n", {"columns": '{"nn": "string"}'}, "breaking"),
        (b"id,n\n2,7,8\n", {}, None),
        (b"", {}, None),
    ],
)
def test_a_refusal_has_the_sentence_of_the_load(
    desk: Desk, second: bytes, fields: dict[str, str], change: str | None
) -> None:
    desk.load(b"id,n\n1,1\n")
    told = check(desk, second, **fields)
    assert (told["change"], told["row_count"]) == (change, None)

    job_id = desk.send(second, target="delta", **fields)
    attempt = desk.attempt(job_id)

    with pytest.raises(JobError) as refusal:
        ingest_file.run(attempt)
    assert told["refusal"] == refusal.value.as_dict()


def test_a_refused_file_shows_its_own_types(desk: Desk) -> None:
    desk.load(b"id,n\n1,1\n")
    told = check(desk, b"id,n,m\n2,x,1\n")
    assert [each["name"] for each in told["diff"]["added"]] == ["m"]
    assert told["diff"]["changed"][0] == {
        "name": "n",
        "from": "Nullable(Int64)",
        "to": "Nullable(String)",
        "only_fields": False,
    }


def test_a_value_of_the_table_that_cannot_be_widened_is_found(desk: Desk) -> None:
    desk.load(b"id,n\n1,9007199254740993\n")
    told = check(desk, b"id,n\n2,1.5\n")
    assert "holds 9007199254740993" in told["refusal"]["detail"]


def test_a_file_with_types_and_one_in_the_place_of_another(desk: Desk) -> None:
    form = {"filename": "x.parquet", "format": "Parquet"}
    told = check(desk, parquet(id=[1, 2]), **form)
    assert (told["change"], told["row_count"]) == ("additive", 2)

    desk.run(desk.send(b"id,n\n1,1\n"))
    told = check(desk, b"id\nx\n", target="file")
    assert (told["change"], told["rows_before"], told["row_count"]) == ("breaking", 1, 1)
    assert told["refusal"] is None


def test_several_dry_runs_of_one_table_are_each_of_their_own_file(desk: Desk) -> None:
    desk.load(b"id\n1\n")
    sent = {"target": "delta", "dry_run": "true"}
    jobs = [desk.send(b"id\n1\n", **sent), desk.send(b"id,n\n1,1\n", **sent)]
    for job_id in jobs:
        desk.run(job_id, check_file.run)
    assert [desk.result(job_id)["change"] for job_id in jobs] == ["none", "additive"]
    assert delta(desk).version() == 1
    assert len(rows(desk)) == 1


_MANY: Final = pa.table(
    {
        "u8": pa.array([1], pa.uint8()),
        "u16": pa.array([1], pa.uint16()),
        "u32": pa.array([1], pa.uint32()),
        "u64": pa.array([1], pa.uint64()),
        "i8": pa.array([1], pa.int8()),
        "float": pa.array([1.5], pa.float32()),
        "decimal": pa.array([Decimal("1.10")], pa.decimal128(10, 2)),
        "long_decimal": pa.array([Decimal("1.10")], pa.decimal256(50, 2)),
        "day": pa.array([date(2024, 1, 1)]),
        "milliseconds": pa.array([datetime(2024, 1, 1)], pa.timestamp("ms")),  # noqa: DTZ001
        "nanoseconds": pa.array([datetime(2024, 1, 1)], pa.timestamp("ns")),  # noqa: DTZ001
        "zoned": pa.array([datetime(2024, 1, 1)], pa.timestamp("us", "Europe/Berlin")),  # noqa: DTZ001
        "time_ms": pa.array([time(1, 2)], pa.time32("ms")),
        "time_us": pa.array([time(1, 2)], pa.time64("us")),
        "duration": pa.array([timedelta(1)], pa.duration("us")),
        "bytes": pa.array([b"\xff"]),
        "fixed": pa.array([b"ab"], pa.binary(2)),
        "nulls": pa.nulls(1),
        "list": pa.array([[1]], pa.list_(pa.uint16())),
        "struct": pa.array([{"n": 1}], pa.struct([("n", pa.uint8()), ("day", pa.date32())])),
        "map": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.uint8())),
    }
)
_TEXTS: Final = [
    b"id,day,moment,big,n\n1,2024-01-01,2024-01-01 00:00:00,18446744073709551615,7\n",
    b'{"id": 1, "day": "2024-01-01", "o": {"day": "2024-01-01"}, "mixed": [1, "x"]}\n',
]


def _parquet_of(table: pa.Table) -> bytes:
    sink = BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("data", "bad", "form"),
    [
        (
            _parquet_of(_MANY),
            _parquet_of(_MANY.set_column(0, "u8", pa.array(["x"]))),
            {"filename": "x.parquet"},
        ),
        (_TEXTS[0], _TEXTS[0] + b"x,2024-01-01,,,\n", {"filename": "x.csv"}),
        (_TEXTS[1], _TEXTS[1] + b'{"id": "x"}\n', {"filename": "x.json"}),
    ],
    ids=["parquet", "csv", "json"],
)
def test_types_are_compared_as_the_managed_table_keeps_them(
    desk: Desk, data: bytes, bad: bytes, form: dict[str, str]
) -> None:
    desk.load(data, **form)
    same = check(desk, data, **form)
    assert (same["change"], same["diff"]["changed"], same["refusal"]) == ("none", [], None)

    told = check(desk, bad, **form)
    assert told["refusal"]["code"] == "schema_conflict"
    changed = {each["name"]: each["to"] for each in told["diff"]["changed"]}
    assert changed == {next(iter(desk.columns())): "Nullable(String)"}
