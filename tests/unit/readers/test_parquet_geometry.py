"""Geometry in Parquet files: the types that ClickHouse gives it, and reads it back by."""

import io
import json
import struct
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stocktake.readers.parquet.geometry import described
from stocktake.readers.parquet.reader import read
from stocktake.readers.source import Limits, no_progress
from stocktake.schema.columns import Column
from tests.support.clickhouse import describe_parquet, structure
from tests.support.memory import MemoryObjects, files_source
from tests.support.oracle import ask
from tests.support.parquet_schemas import BYTES, INT64, leaf, under

POINT: Final = struct.pack("<BIdd", 1, 1, 1, 2)
CORNERS: Final = struct.pack("<I6d", 3, 0, 0, 1, 1, 0, 0)
LINE: Final = struct.pack("<BI", 1, 2) + CORNERS
POLYGON: Final = struct.pack("<BII", 1, 3, 1) + CORNERS


def many(kind: int, one: bytes) -> bytes:
    return struct.pack("<BII", 1, kind, 1) + one


KINDS: Final = {
    "Point": POINT,
    "LineString": LINE,
    "Polygon": POLYGON,
    "MultiPoint": many(4, POINT),
    "MultiLineString": many(5, LINE),
    "MultiPolygon": many(6, POLYGON),
}


def geo(kinds: Any, encoding: str = "WKB", name: str = "g") -> bytes:
    column = {"encoding": encoding, "geometry_types": kinds}
    told = {"version": "1.1.0", "primary_column": name, "columns": {name: column}}
    return json.dumps(told).encode()


def written(*values: Any, meta: bytes, kind: pa.DataType | None = None, rows: int = 1) -> bytes:
    fields = [pa.field("id", pa.int64()), pa.field("g", kind or pa.binary())]
    schema = pa.schema(fields, metadata={"geo": meta})
    columns = [pa.array([1] * len(values)), pa.array(values, fields[1].type)]
    sink = io.BytesIO()
    pq.write_table(pa.table(columns, schema=schema), sink, row_group_size=rows)
    return sink.getvalue()


def columns(*files: bytes) -> tuple[Column, ...]:
    store = MemoryObjects({f"{at}.parquet": data for at, data in enumerate(files)})
    return read(files_source(store), Limits(), no_progress).columns


def types(*files: bytes) -> str:
    return ", ".join(column.clickhouse for column in columns(*files) if column.name == "g")


#: As ClickHouse says and reads.
ALIKE: Final = {
    **{kind: written(value, meta=geo([kind])) for kind, value in KINDS.items()},
    "mixed": written(POINT, POLYGON, meta=geo(["Point", "Polygon"])),
    "not_told": written(POINT, None, meta=geo([])),
    "of_unknown_shape": written(POINT, meta=geo("Point")),
    "text": written("POINT (1 2)", meta=geo(["Point"], "WKT"), kind=pa.string()),
    "large": written(POINT, meta=geo(["Point"]), kind=pa.large_binary()),
    "dictionary": written(POINT, meta=geo(["Point"]), kind=pa.dictionary(pa.int8(), pa.binary())),
    "another_column": written(POINT, meta=geo(["Point"], name="other")),
    "no_columns": written(POINT, meta=b'{"version": "1.0.0", "columns": {}}'),
}
#: Where ClickHouse says Geometry, or nothing at all, and then fails; the bytes it reads.
DIFFERENT: Final = {
    "three_dimensions": written(POINT, meta=geo(["Point Z"])),
    "some_of_three_dimensions": written(POINT, meta=geo(["Point", "Point Z"])),
    "collection": written(many(7, POINT), meta=geo(["GeometryCollection"])),
    "unknown_encoding": written(POINT, meta=geo(["Point"], "wkb")),
    "broken": written(POINT, meta=b"{"),
    "deep": written(POINT, meta=b"[" * 20_000),
    "list": written(POINT, meta=b"[]"),
}


def test_clickhouse_says_the_same(tmp_path: Path) -> None:
    paths = {tmp_path / name: data for name, data in ALIKE.items()}
    for path, data in paths.items():
        path.write_bytes(data)
    for (path, data), theirs in zip(paths.items(), describe_parquet(paths), strict=True):
        assert {each.name: each.clickhouse for each in columns(data)} == theirs, path.name


SHOWN: Final = "if(isNull(g), 'null', toString(g))"


def test_what_is_stored_reads_it_back(tmp_path: Path) -> None:
    queries = []
    for name, data in ALIKE.items():
        (tmp_path / name).write_bytes(data)
        spelt = structure(columns(data)).replace("'", "\\'")
        query = f"SELECT {SHOWN} FROM file('{tmp_path / name}', Parquet, '{spelt}')"
        # Of several threads the rows come in any order.
        queries.append(f"{query} SETTINGS max_threads=1")
    answers = dict(zip(ALIKE, ask(queries), strict=True))
    assert answers["Point"] == answers["text"] == [["(1,2)"]]
    assert answers["Polygon"] == [["[[(0,0),(1,1),(0,0)]]"]]
    assert answers["MultiLineString"] == [["[[(0,0),(1,1),(0,0)]]"]]
    assert answers["mixed"] == [["(1,2)"], ["[[(0,0),(1,1),(0,0)]]"]]
    assert answers["not_told"] == [["(1,2)"], ["null"]]
    assert None not in answers.values()


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_clickhouse_would_fail_on_stays_bytes(name: str) -> None:
    assert types(DIFFERENT[name]) == "Nullable(String)"


def test_three_dimensions_are_read_back_as_bytes(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    path.write_bytes(DIFFERENT["some_of_three_dimensions"])
    spelt = structure(columns(path.read_bytes()))
    (answer,) = ask([f"SELECT hex(g) FROM file('{path}', Parquet, '{spelt}')"])
    assert answer == [[POINT.hex().upper()]]


@pytest.mark.parametrize(
    ("kind", "value"), [(pa.int64(), 1), (pa.binary(21), POINT), (pa.list_(pa.binary()), [POINT])]
)
def test_a_column_of_another_kind_is_no_geometry(kind: pa.DataType, value: Any) -> None:
    plain = types(written(value, meta=geo([], name="other"), kind=kind))
    assert types(written(value, meta=geo(["Point"]), kind=kind)) == plain


@pytest.mark.parametrize("union", [17, 18])
def test_parquets_own_types_are_read_as_mixed_geometry(union: int, tmp_path: Path) -> None:
    table = pa.table({"id": pa.array([1, 2]), "g": pa.array([POINT, None], pa.binary())})
    data = under(table, leaf("id", INT64), leaf("g", BYTES, logical={union: {}}))
    assert types(data) == "Geometry"
    path = tmp_path / "x.parquet"
    path.write_bytes(data)
    spelt = structure(columns(data))
    (answer,) = ask([f"SELECT {SHOWN} FROM file('{path}', Parquet, '{spelt}') ORDER BY id"])
    assert answer == [["(1,2)"], ["null"]]


def test_files_of_several_kinds_are_mixed() -> None:
    point, polygon = ALIKE["Point"], ALIKE["Polygon"]
    assert types(point, point) == "Point"
    assert types(point, polygon) == "Geometry"
    assert types(point, ALIKE["another_column"]) == "Nullable(String)"
    assert columns(point)[1].nullable
    null = written(None, meta=b"{}", kind=pa.null())
    assert types(point, null) == "Point"


def test_metadata_behind_many_row_groups_is_found() -> None:
    data = written(*[POINT] * 2_000, meta=geo(["Point"]))
    assert int.from_bytes(data[-8:-4], "little") > 100_000
    assert types(data) == "Point"


@pytest.mark.parametrize(
    "footer",
    [
        b"",
        b"\x18\x03geo\x18",
        b"\x18\x03geo\x18\x05{",
        b"\x18\x03geo\x18\xff\xff\xff\xff\x0f{}",
        b"\x18\x03geo\x18" + b"\xff" * 20,
        b'\x18\x03geo\x18\x0c{"columns":1',
        b"\x18\x03geo\x18\x03\xff\xfe\xfd",
    ],
)
def test_bytes_that_look_like_the_entry_are_not_taken_for_it(footer: bytes) -> None:
    assert described(footer) == ()
    real = b"\x18\x03geo\x18" + bytes([0x80 | len(META) & 127, len(META) >> 7]) + META
    assert [name for name, _ in described(real + footer)] == ["g"]


META: Final = geo(["Point"]) + b" " * 30
