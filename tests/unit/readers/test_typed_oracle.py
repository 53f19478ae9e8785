"""Each type of ORC, Arrow and Avro: what ClickHouse calls it, and that our type reads it back."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest

from stocktake.schema.formats import TableFormat
from tests.support.oracle import Case, ask, describe
from tests.support.typed_files import (
    arrow_file,
    arrow_stream,
    avro_file,
    avro_record,
    look,
    orc_file,
    shown,
)

pytestmark = pytest.mark.chdb

AT = datetime(2024, 1, 31, 10, 20, 30, 123456, tzinfo=UTC)
DAY = date(1968, 11, 27)
OTHERWISE = ""


@dataclass(frozen=True)
class Kind:
    """One column `x`.

    Attributes:
        data: the file.
        ours: its type.
        back: its values as ClickHouse gives them where it reads the file by that type.
        theirs: what ClickHouse calls it, where that is something else; None where it fails.
    """

    format: TableFormat
    data: bytes
    ours: str
    back: list[Any]
    theirs: str | None = OTHERWISE


def arrow(
    type_: pa.DataType,
    values: list[Any],
    ours: str,
    back: list[Any],
    theirs: str | None = OTHERWISE,
) -> list[Kind]:
    return of_array(pa.array(values, type_), ours, back, theirs)


def of_array(
    array: pa.Array, ours: str, back: list[Any], theirs: str | None = OTHERWISE
) -> list[Kind]:
    table = pa.table({"x": array})
    writers: dict[TableFormat, Callable[[pa.Table], bytes]] = {
        TableFormat.ARROW: arrow_file,
        TableFormat.ARROW_STREAM: arrow_stream,
    }
    return [Kind(each, write(table), ours, back, theirs) for each, write in writers.items()]


def orc(type_: pa.DataType, values: list[Any], ours: str, back: list[Any]) -> list[Kind]:
    data = orc_file(pa.table({"x": pa.array(values, type_)}))
    return [Kind(TableFormat.ORC, data, ours, back)]


def avro(
    type_: Any, values: list[Any], ours: str, back: list[Any], theirs: str | None = OTHERWISE
) -> list[Kind]:
    data = avro_file(avro_record(x=type_), [{"x": value} for value in values])
    return [Kind(TableFormat.AVRO, data, ours, back, theirs)]


def logical(type_: str, name: str, **more: Any) -> dict[str, Any]:
    return {"type": type_, "logicalType": name, **more}


PACKED = pa.DictionaryArray.from_arrays(pa.array([0, None, 1], pa.int8()), pa.array(["p", "q"]))
NUMBERS = pa.DictionaryArray.from_arrays(pa.array([0, None], pa.int8()), pa.array([7, 8]))
UNION = pa.UnionArray.from_dense(
    pa.array([0, 1], pa.int8()), pa.array([0, 0], pa.int32()), [pa.array([1]), pa.array(["q"])]
)
INNER = {
    "type": "record",
    "name": "inner",
    "fields": [{"name": "a", "type": "int"}, {"name": "b", "type": ["null", "string"]}],
}
LETTERS = {"type": "enum", "name": "letters", "symbols": ["A", "B"]}

KINDS = [
    *arrow(pa.int8(), [1, None], "Nullable(Int8)", [1, None]),
    *arrow(pa.uint64(), [2**64 - 1], "Nullable(UInt64)", [2**64 - 1]),
    *arrow(pa.float16(), [1.5], "Nullable(Float32)", [1.5]),
    *arrow(pa.bool_(), [True, None], "Nullable(Bool)", [True, None]),
    *arrow(pa.large_string(), ["é"], "Nullable(String)", ["é"]),
    *arrow(pa.string_view(), ["é"], "Nullable(String)", ["é"]),
    *arrow(pa.binary_view(), [b"b"], "Nullable(String)", ["b"]),
    *arrow(pa.binary(3), [b"abc"], "Nullable(FixedString(3))", ["abc"]),
    *arrow(
        pa.uuid(),
        [UUID(int=5).bytes],
        "Nullable(UUID)",
        ["00000000-0000-0000-0000-000000000005"],
    ),
    *arrow(pa.json_(), ['{"a":1}'], "Nullable(String)", ['{"a":1}']),
    *arrow(pa.date32(), [DAY], "Nullable(Date32)", ["1968-11-27"]),
    *arrow(pa.date64(), [date(2024, 10, 4)], "Nullable(DateTime)", ["2024-10-04 00:00:00"]),
    *arrow(pa.time32("s"), [5], "Nullable(Time64(0))", ["00:00:05"]),
    *arrow(pa.time64("us"), [5], "Nullable(Time64(6))", ["00:00:00.000005"]),
    *arrow(pa.duration("us"), [-3], "Nullable(IntervalMicrosecond)", [-3]),
    *arrow(
        pa.timestamp("us"), [AT], "Nullable(DateTime64(6))", ["2024-01-31 10:20:30.123456"]
    ),
    *arrow(
        pa.timestamp("ms", "Europe/Berlin"),
        [AT],
        "Nullable(DateTime64(3, 'Europe/Berlin'))",
        ["2024-01-31 11:20:30.123"],
    ),
    *arrow(
        pa.timestamp("s", "+05:30"),
        [AT],
        "Nullable(DateTime64(0, 'Fixed/UTC+05:30:00'))",
        ["2024-01-31 15:50:30"],
    ),
    *arrow(pa.decimal128(9, 2), [Decimal("1.23")], "Nullable(Decimal(9, 2))", [1.23]),
    *arrow(pa.decimal256(76, 2), [Decimal("1.23")], "Nullable(Decimal(76, 2))", [1.23]),
    *arrow(pa.null(), [None], "Nullable(String)", [None], None),
    *arrow(pa.list_(pa.null()), [[None]], "Array(Nullable(String))", [[None]], None),
    *arrow(pa.list_(pa.int64(), 2), [[1, 2]], "Array(Nullable(Int64))", [[1, 2]]),
    *arrow(
        pa.struct([pa.field("a", pa.int8(), nullable=False)]),
        [{"a": 1}, None],
        "Nullable(Tuple(a Int8))",
        [{"a": 1}, None],
    ),
    *arrow(
        pa.list_(pa.struct([("a", pa.int8())])),
        [[{"a": 1}, None]],
        "Array(Nullable(Tuple(a Nullable(Int8))))",
        [[{"a": 1}, None]],
    ),
    *arrow(
        pa.map_(pa.string(), pa.int8()), [[("k", 1)]], "Map(String, Nullable(Int8))", [{"k": 1}]
    ),
    *of_array(PACKED, "LowCardinality(Nullable(String))", ["p", None, "q"]),
    # a setting must allow theirs before it can be read
    *of_array(
        NUMBERS, "Nullable(Int64)", [7, None], theirs="LowCardinality(Nullable(Int64))"
    ),
    *of_array(
        pa.ListArray.from_arrays([0, 1, 3], PACKED), "Array(Nullable(String))", [["p"], [None, "q"]]
    ),
    *of_array(UNION, "Variant(Int64, String)", [1, "q"]),
    *orc(pa.int8(), [1, None], "Nullable(Int8)", [1, None]),
    *orc(pa.bool_(), [True], "Nullable(Bool)", [True]),
    *orc(pa.float32(), [1.5], "Nullable(Float32)", [1.5]),
    *orc(pa.binary(), [b"b"], "Nullable(String)", ["b"]),
    *orc(pa.date32(), [DAY], "Nullable(Date32)", ["1968-11-27"]),
    *orc(
        pa.timestamp("us"), [AT], "Nullable(DateTime64(9))", ["2024-01-31 10:20:30.123456000"]
    ),
    *orc(
        pa.timestamp("us", "Europe/Berlin"),
        [AT],
        "Nullable(DateTime64(9, 'UTC'))",
        ["2024-01-31 10:20:30.123456000"],
    ),
    *orc(pa.decimal128(38, 2), [Decimal("1.23")], "Nullable(Decimal(38, 2))", [1.23]),
    *orc(
        pa.struct([("a", pa.list_(pa.int8()))]),
        [{"a": [1]}, None],
        "Nullable(Tuple(a Array(Nullable(Int8))))",
        [{"a": [1]}, None],
    ),
    *orc(pa.map_(pa.string(), pa.int8()), [[("k", 1)]], "Map(String, Nullable(Int8))", [{"k": 1}]),
    *avro("boolean", [True], "Bool", [True]),
    *avro("int", [-1], "Int32", [-1]),
    *avro("long", [2**60], "Int64", [2**60]),
    *avro("bytes", [b"b"], "String", ["b"]),
    *avro(["null", "string"], [None, "a"], "Nullable(String)", [None, "a"]),
    *avro(["double", "null"], [None, 1.5], "Nullable(Float64)", [None, 1.5]),
    *avro(["int"], [5], "Int32", [5]),
    *avro(["null", "int", "string"], [5, "a", None], "Variant(Int32, String)", [5, "a", None]),
    *avro(LETTERS, ["B"], "Enum8('A' = 0, 'B' = 1)", ["B"]),
    *avro({"type": "fixed", "name": "f", "size": 3}, [b"abc"], "FixedString(3)", ["abc"]),
    *avro({"type": "array", "items": ["null", "int"]}, [[1, None]], "Array(Nullable(Int32))",
          [[1, None]]),
    *avro(["null", {"type": "array", "items": "int"}], [[1], None], "Array(Int32)", [[1], []]),
    *avro({"type": "map", "values": "int"}, [{"k": 1}], "Map(String, Int32)", [{"k": 1}]),
    *avro(INNER, [{"a": 1, "b": None}], "Tuple(a Int32, b Nullable(String))",
          [{"a": 1, "b": None}]),
    *avro(["null", INNER], [None], "Nullable(Tuple(a Int32, b Nullable(String)))", [None]),
    *avro(logical("int", "date"), [DAY], "Date32", ["1968-11-27"]),
    *avro(logical("long", "timestamp-millis"), [AT], "DateTime64(3)", ["2024-01-31 10:20:30.123"]),
    *avro(logical("long", "timestamp-micros"), [AT], "DateTime64(6)",
          ["2024-01-31 10:20:30.123456"]),
    *avro(logical("long", "local-timestamp-micros"), [7], "Int64", [7]),
    *avro(logical("int", "time-millis"), [7], "Int32", [7]),
    *avro(logical("bytes", "decimal", precision=40, scale=2), [Decimal("-1.23")], "Decimal(40, 2)",
          [-1.23]),
    *avro(logical("string", "uuid"), [UUID(int=5)], "UUID",
          ["00000000-0000-0000-0000-000000000005"]),
    *avro(logical("string", "date"), ["a"], "String", ["a"]),
]  # fmt: skip


def test_each_type_is_clickhouses_and_reads_the_file_back(tmp_path: Path) -> None:
    cases = [Case(kind.format.value, kind.data) for kind in KINDS]
    theirs = describe(cases, tmp_path)
    queries = []
    for number, kind in enumerate(KINDS):
        structure = f"x {kind.ours}".replace("\\", "\\\\").replace("'", "\\'")
        path = tmp_path / f"case_{number}"
        source = f"file('{path}', '{kind.format.value}', '{structure}')"
        queries.append(f"SELECT x FROM {source} SETTINGS max_threads=1")
    read_back = ask(queries)

    for kind, told, rows in zip(KINDS, theirs, read_back, strict=True):
        assert shown(look(kind.data, kind.format)) == {"x": kind.ours}, kind.format
        named = None if told is None else dict(told)["x"]
        assert named == (kind.ours if kind.theirs == OTHERWISE else kind.theirs), kind.ours
        assert rows is not None, kind.ours
        assert [row[0] for row in rows] == kind.back, kind.ours
