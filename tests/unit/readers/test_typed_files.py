"""What ORC, Arrow and Avro promise alike: ranged reads, bounds, and a sentence for what is no such
file."""

import gzip
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from stocktake.errors import (
    DuplicateColumnError,
    EmptySourceError,
    FormatMismatchError,
    InvalidSourceError,
    JobError,
    LimitExceededError,
)
from stocktake.readers import introspect, read_all
from stocktake.readers.files.schemas import FIRST_BYTES
from stocktake.readers.source import Introspection, Limits, Source
from stocktake.schema.formats import TableFormat
from stocktake.storage.stores.opening import LocalObjects
from tests.support.memory import MemoryObjects
from tests.support.typed_files import (
    arrow_file,
    arrow_stream,
    avro_file,
    look,
    orc_file,
    shown,
    source_of,
)

ORC, ARROW, STREAM, AVRO = (
    TableFormat.ORC,
    TableFormat.ARROW,
    TableFormat.ARROW_STREAM,
    TableFormat.AVRO,
)


def avro_of(table: pa.Table) -> bytes:
    """The table in Avro; numbers, texts, lists and structs."""
    schema = {"type": "record", "name": "row", "fields": [*map(_avro_field, table.schema)]}
    return avro_file(schema, table.to_pylist())


def _avro_field(field: pa.Field, path: str = "r") -> dict[str, Any]:
    return {"name": field.name, "type": ["null", _avro_type(field.type, f"{path}_{field.name}")]}


def _avro_type(type_: pa.DataType, path: str) -> Any:
    if pa.types.is_list(type_):
        return {"type": "array", "items": ["null", _avro_type(type_.value_type, path)]}
    if pa.types.is_struct(type_):
        fields = [_avro_field(each, path) for each in type_]
        return {"type": "record", "name": path, "fields": fields}
    return {"int64": "long", "string": "string", "double": "double"}[str(type_)]


WRITE: dict[TableFormat, Callable[[pa.Table], bytes]] = {
    ORC: orc_file,
    ARROW: arrow_file,
    STREAM: arrow_stream,
    AVRO: avro_of,
}
FORMATS = pytest.mark.parametrize("table_format", WRITE)


def table(rows: int = 1, **types: pa.DataType) -> pa.Table:
    return pa.table({name: pa.nulls(rows, type_) for name, type_ in types.items()})


SMALL = table(3, a=pa.int64(), b=pa.string())


@FORMATS
def test_a_file_gives_its_columns_and_its_rows_where_they_are_free(
    table_format: TableFormat,
) -> None:
    data = WRITE[table_format](SMALL)
    found = look(data, table_format)
    assert shown(found) == {"a": "Nullable(Int64)", "b": "Nullable(String)"}
    assert found.row_count == (3 if table_format is ORC else None)
    assert found.size_bytes == len(data)
    assert found.coverage.files_read == 1
    full = read_all(source_of(table_format, x=data))
    assert (full.columns, full.row_count) == (found.columns, 3)


@FORMATS
def test_of_a_large_file_one_range_is_read(table_format: TableFormat) -> None:
    numbers = pa.array([each * 7919 % 1_000_003 * 1.1 for each in range(200_000)])
    data = WRITE[table_format](pa.table({"x": numbers}))
    assert len(data) > 4 * FIRST_BYTES
    source = source_of(table_format, x=data)
    found = introspect(source)
    assert shown(found) == {"x": "Nullable(Float64)"}
    assert isinstance(source.store, MemoryObjects)
    assert source.store.reads == [("x", FIRST_BYTES)]


@FORMATS
def test_of_a_large_schema_the_rest_is_read_as_well(table_format: TableFormat) -> None:
    names = [f"column_{number}_{'x' * 100}" for number in range(900)]
    data = WRITE[table_format](table(1, **dict.fromkeys(names, pa.int64())))
    if table_format is ORC:  # it is compressed to less
        data = orc_file(table(1, **dict.fromkeys(names, pa.int64())), compression="uncompressed")
    source = source_of(table_format, x=data)
    assert [column.name for column in introspect(source).columns] == names
    assert isinstance(source.store, MemoryObjects)
    assert len(source.store.reads) == 2
    assert sum(size for _, size in source.store.reads) <= len(data)


@FORMATS
def test_files_are_united_and_an_unchanged_source_is_known(table_format: TableFormat) -> None:
    write = WRITE[table_format]
    source = source_of(
        table_format, a=write(table(a=pa.int64())), b=write(table(2, a=pa.float64(), b=pa.string()))
    )
    found = introspect(source)
    assert shown(found) == {"a": "Nullable(Float64)", "b": "Nullable(String)"}
    again = introspect(replace(source, state=found.state))
    assert again.coverage.unchanged
    assert read_all(source).row_count == 3


@FORMATS
def test_folders_may_carry_columns(table_format: TableFormat) -> None:
    store = MemoryObjects({"t/day=2024-01-31/x": WRITE[table_format](SMALL)})
    found = introspect(Source(store=store, path="t/*/*", format=table_format))
    assert shown(found)["day"] == "Nullable(Date)"


@FORMATS
def test_an_empty_file_is_said_to_be_empty(table_format: TableFormat) -> None:
    with pytest.raises(EmptySourceError):
        look(b"", table_format)


@FORMATS
@pytest.mark.parametrize(
    ("data", "looks"),
    [
        (b"id,name\n1,a\n2,b\n", "is no "),
        (b"\0", "is no "),
        (b"PAR1\x15\x04" + b"\0" * 30 + b"PAR1", "looks like Parquet"),
        (b"SQLite format 3\0" + b"\0" * 100, "looks like an SQLite database"),
        (b"{}", "is no "),
    ],
)
def test_another_format_is_told(table_format: TableFormat, data: bytes, looks: str) -> None:
    with pytest.raises(FormatMismatchError, match=looks) as error:
        look(data, table_format)
    assert error.value.file == "x"


@FORMATS
def test_each_of_the_others_is_told(table_format: TableFormat) -> None:
    for other in set(WRITE) - {table_format}:
        with pytest.raises(FormatMismatchError) as error:
            look(WRITE[other](SMALL), table_format)
        told = f"{error.value.detail} {error.value.hint}"
        assert other.facts.title in told or other is STREAM


def test_a_stream_and_a_file_of_arrow_are_told_apart() -> None:
    with pytest.raises(FormatMismatchError) as error:
        look(arrow_stream(SMALL), ARROW)
    assert "format to ArrowStream" in error.value.hint
    with pytest.raises(FormatMismatchError) as error:
        look(arrow_file(SMALL), STREAM)
    assert "format to Arrow." in error.value.hint


@FORMATS
def test_a_compressed_file_is_told(table_format: TableFormat) -> None:
    with pytest.raises(FormatMismatchError, match="compressed with gzip") as error:
        look(gzip.compress(WRITE[table_format](SMALL)), table_format)
    assert "Decompress" in error.value.hint


@FORMATS
def test_every_cut_of_a_file_is_told(table_format: TableFormat) -> None:
    data = WRITE[table_format](SMALL)
    for size in range(1, len(data)):
        answer = outcome(data[:size], table_format)
        if isinstance(answer, JobError):
            assert answer.file == "x", size
            # of less nothing shows whose beginning it is
            assert size <= 16 or isinstance(answer, InvalidSourceError), size
            assert size <= 16 or re.search("truncated|corrupt", answer.detail), size
        else:
            # what is behind the schema is not looked at
            assert table_format in (STREAM, AVRO)
            assert [column.name for column in answer.columns] == ["a", "b"]


def outcome(data: bytes, table_format: TableFormat) -> Introspection | JobError:
    try:
        return look(data, table_format)
    except JobError as error:
        return error


@FORMATS
def test_a_full_read_finds_what_is_broken_behind_the_schema(table_format: TableFormat) -> None:
    rows = pa.table({"a": [*range(100)], "b": [str(number) * 20 for number in range(100)]})
    data = bytearray(WRITE[table_format](rows))
    at = len(data) // 2
    broken = bytes(data[:at]) if table_format in (STREAM, AVRO) else b""
    if not broken:
        data[3 + (8 if table_format is ARROW else 0) : at] = b"\xff" * (at - 3)
        broken = bytes(data)
    with pytest.raises(InvalidSourceError, match="corrupt"):
        read_all(source_of(table_format, x=broken))


@FORMATS
def test_twice_the_same_name_is_refused(table_format: TableFormat) -> None:
    if table_format is AVRO:
        field = {"name": "a", "type": "int"}
        data = _unchecked_avro({"type": "record", "name": "r", "fields": [field, field]})
    else:
        one = pa.array([1])
        data = WRITE[table_format](pa.Table.from_arrays([one, one], names=["a", "a"]))
    with pytest.raises(DuplicateColumnError, match='"a"'):
        look(data, table_format)


def _unchecked_avro(schema: Any) -> bytes:
    text = json.dumps(schema).encode()
    size = len(text) * 2
    length = bytes([size & 127 | 128, size >> 7]) if size > 127 else bytes([size])
    return b"Obj\x01\x02\x16avro.schema" + length + text + b"\0" + b"s" * 16


@FORMATS
@pytest.mark.parametrize(
    ("limit", "figure", "what"),
    [
        ("max_columns", 3, table(**{f"c{number}": pa.int64() for number in range(4)})),
        (
            "max_fields",
            3,
            table(x=pa.list_(pa.struct([(name, pa.int64()) for name in "abc"]))),
        ),
        ("max_nesting", 2, table(x=pa.list_(pa.list_(pa.list_(pa.int64()))))),
        ("max_name_length", 9, table(**{"x" * 10: pa.int64()})),
        ("max_name_length", 9, table(x=pa.struct([("y" * 10, pa.int64())]))),
        ("max_schema_bytes", 300, table(**{"x" * 400: pa.int64()})),
        ("max_footer_bytes", 50, table(**{"x" * 100: pa.int64()})),
    ],
)
def test_a_schema_beyond_a_limit_is_refused_by_name(
    table_format: TableFormat, limit: str, figure: int, what: pa.Table
) -> None:
    if limit == "max_footer_bytes" and table_format is AVRO:
        # its header is read at once unless it is longer than the first read
        what = table(**{f"x{number}" + "x" * 900: pa.int64() for number in range(90)})
    with pytest.raises(LimitExceededError, match=limit.upper()):
        look(WRITE[table_format](what), table_format, Limits(**{limit: figure}))


@FORMATS
def test_a_local_file_is_read_alike(table_format: TableFormat, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(WRITE[table_format](SMALL))
    source = Source(store=LocalObjects(tmp_path), path="*", format=table_format)
    assert shown(introspect(source)) == {"a": "Nullable(Int64)", "b": "Nullable(String)"}
    assert read_all(source).row_count == 3
