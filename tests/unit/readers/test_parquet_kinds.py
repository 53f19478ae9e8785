"""Schemas that other writers left behind, spelt out element by element: what pyarrow does not
write, it still meets. ClickHouse's DESCRIBE of the same file stands beside each."""

from pathlib import Path
from typing import Any, Final

import pytest

from stocktake.errors import JobError
from stocktake.readers.parquet.reader import read
from stocktake.readers.source import Limits, no_progress
from tests.support.clickhouse import describe_parquet
from tests.support.memory import MemoryObjects, files_source

# physical types, repetitions and converted types of parquet.thrift
BOOLEAN, INT32, INT64, INT96, FLOAT, DOUBLE, BYTES, FIXED = range(8)
REQUIRED, OPTIONAL, REPEATED = range(3)
UTF8, MAP, MAP_KEY_VALUE, LIST, ENUM, DECIMAL, DATE, TIME_MILLIS, TIME_MICROS = range(9)
TIMESTAMP_MILLIS, TIMESTAMP_MICROS, UINT_8, UINT_16, UINT_32, UINT_64 = range(9, 15)
INT_8, INT_16, INT_32, INT_64, JSON, BSON, INTERVAL = range(15, 22)

Element = dict[int, Any]


def varint(number: int) -> bytes:
    written = bytearray()
    while number > 127:
        written.append(number & 127 | 128)
        number >>= 7
    return bytes([*written, number])


def compact(value: Any) -> tuple[int, bytes]:
    """Thrift's compact protocol: the kind of a value, and its bytes."""
    match value:
        case bool():
            return (1 if value else 2), b""
        case int():
            return 5, varint(value << 1 ^ value >> 31)
        case str():
            return 8, varint(len(value.encode())) + value.encode()
        case bytes():  # one byte as it is
            return 3, value
        case dict():
            return 12, struct(value)
    raise TypeError(value)


def struct(fields: dict[int, Any]) -> bytes:
    written, last = b"", 0
    for field_id, value in fields.items():
        kind, data = compact(value)
        step = field_id - last
        header = bytes([step << 4 | kind]) if step < 16 else bytes([kind]) + varint(field_id << 1)
        written += header + data
        last = field_id
    return written + b"\0"


def leaf(
    name: str,
    physical: int,
    converted: int | None = None,
    logical: Element | None = None,
    *,
    repetition: int = OPTIONAL,
    length: int | None = None,
    scale: int | None = None,
    precision: int | None = None,
) -> Element:
    said = {
        1: physical,
        2: length,
        3: repetition,
        4: name,
        6: converted,
        7: scale,
        8: precision,
        10: logical,
    }
    return {key: value for key, value in said.items() if value is not None}


def group(
    name: str, *children: list[Element] | Element, converted: int | None = None,
    repetition: int = OPTIONAL, logical: Element | None = None,
) -> list[Element]:  # fmt: skip
    said = {3: repetition, 4: name, 5: len(children), 6: converted, 10: logical}
    flat = [one for each in children for one in (each if isinstance(each, list) else [each])]
    return [{key: value for key, value in said.items() if value is not None}, *flat]


def parquet_file(*columns: list[Element] | Element, after: bytes = b"") -> bytes:
    flat = [one for each in columns for one in (each if isinstance(each, list) else [each])]
    elements = [{4: "schema", 5: len(columns)}, *flat]
    assert len(elements) < 128
    listed = bytes([0xFC, len(elements)]) + b"".join(map(struct, elements))
    footer = b"\x15\x02\x19" + listed + b"\x16\0\x19\x0c\0" + after
    return b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1"


def entries(*, name: str, converted: int | None, value: bool = True) -> list[Element]:
    key = leaf("key", BYTES, UTF8, repetition=REQUIRED)
    values = [leaf("value", INT32)] if value else []
    return group(name, key, *values, converted=converted, repetition=REPEATED)


COLUMNS: Final[dict[str, list[Element] | Element]] = {
    # old and plain
    "int96": leaf("x", INT96),
    "enum": leaf("x", BYTES, ENUM),
    "bson": leaf("x", BYTES, BSON),
    "json": leaf("x", BYTES, JSON),
    "interval": leaf("x", FIXED, INTERVAL, length=12),
    "uint8": leaf("x", INT32, UINT_8),
    "uint32": leaf("x", INT32, UINT_32),
    "uint64": leaf("x", INT64, UINT_64),
    "int16": leaf("x", INT32, INT_16),
    "time_millis": leaf("x", INT32, TIME_MILLIS),
    "time_micros": leaf("x", INT64, TIME_MICROS),
    "timestamp_millis": leaf("x", INT64, TIMESTAMP_MILLIS),
    "timestamp_micros": leaf("x", INT64, TIMESTAMP_MICROS),
    "bytes": leaf("x", BYTES),
    # decimals of every physical type
    "decimal_int32": leaf("x", INT32, DECIMAL, scale=2, precision=9),
    "decimal_int64": leaf("x", INT64, DECIMAL, scale=4, precision=18),
    "decimal_fixed": leaf("x", FIXED, DECIMAL, length=16, scale=10, precision=38),
    "decimal_fixed_256": leaf("x", FIXED, DECIMAL, length=32, scale=10, precision=76),
    "decimal_bytes": leaf("x", BYTES, DECIMAL, scale=3, precision=20),
    "decimal_logical": leaf("x", INT32, logical={5: {1: 1, 2: 5}}),
    # logical types
    "float16": leaf("x", FIXED, logical={15: {}}, length=2),
    "uuid": leaf("x", FIXED, logical={14: {}}, length=16),
    "null": leaf("x", INT32, logical={11: {}}),
    "timestamp_nanos": leaf("x", INT64, logical={8: {1: True, 2: {3: {}}}}),
    "timestamp_local": leaf("x", INT64, logical={8: {1: False, 2: {2: {}}}}),
    "geometry": leaf("x", BYTES, logical={17: {1: "OGC:CRS84"}}),
    "geography": leaf("x", BYTES, logical={18: {}}),
    "logical_from_the_future": leaf("x", INT64, logical={99: {}}),
    # lists, as they were written before there was one way
    "list": group("x", group("list", leaf("element", INT32), repetition=REPEATED), converted=LIST),
    "list_of_two_levels": group("x", leaf("array", INT32, repetition=REPEATED), converted=LIST),
    "list_of_tuples": group(
        "x", group("x_tuple", leaf("a", INT32), repetition=REPEATED), converted=LIST
    ),
    "list_of_array_groups": group(
        "x", group("array", leaf("a", INT32), repetition=REPEATED), converted=LIST
    ),
    "list_of_pairs": group(
        "x", group("bag", leaf("a", INT32), leaf("b", BYTES), repetition=REPEATED), converted=LIST
    ),
    "repeated_primitive": leaf("x", INT32, repetition=REPEATED),
    "repeated_group": group("x", leaf("a", INT32), repetition=REPEATED),
    # maps
    "map": group("x", entries(name="key_value", converted=None), converted=MAP),
    "map_of_parquet_mr": group("x", entries(name="map", converted=MAP_KEY_VALUE), converted=MAP),
    "map_marked_inside_out": group(
        "x", entries(name="map", converted=None), converted=MAP_KEY_VALUE
    ),
    "map_without_values": group(
        "x", entries(name="key_value", converted=None, value=False), converted=MAP
    ),
    "nested_map": group(
        "x",
        group(
            "key_value",
            leaf("key", BYTES, UTF8, repetition=REQUIRED),
            group("value", entries(name="key_value", converted=None), converted=MAP),
            repetition=REPEATED,
        ),
        converted=MAP,
    ),
    # groups
    "variant": group(
        "x",
        leaf("metadata", BYTES, repetition=REQUIRED),
        leaf("value", BYTES, repetition=REQUIRED),
        logical={16: {1: b"\1"}},
    ),
    "group_without_fields": group("x"),
    "name_with_a_dot": leaf("a.b", INT32),
}

#: What ClickHouse does not read without being told the type; the last one not even then.
DIFFERENT: Final = {
    "geometry": "x Geometry",
    "geography": "x Geometry",
    "logical_from_the_future": "x Nullable(Int64)",
}


def ours(data: bytes) -> str:
    try:
        found = read(files_source(MemoryObjects({"x.parquet": data})), Limits(), no_progress)
    except JobError as error:
        return f"{type(error).__name__}: {error.detail}"
    return ", ".join(f"{column.name} {column.clickhouse}" for column in found.columns)


def test_schemas_of_other_writers_read_as_clickhouse_reads_them(tmp_path: Path) -> None:
    files = {tmp_path / f"{kind}.parquet": parquet_file(each) for kind, each in COLUMNS.items()}
    for path, data in files.items():
        path.write_bytes(data)
    for path, theirs in zip(files, describe_parquet(files), strict=True):
        spelt = theirs and ", ".join(f"{name} {kind}" for name, kind in theirs.items())
        expected = DIFFERENT.get(path.stem, spelt)
        assert ours(files[path]) == expected, path.stem
        assert expected != spelt or path.stem not in DIFFERENT, f"{path.stem} no longer differs"


def test_column_without_a_name_is_left_out(tmp_path: Path) -> None:
    data = parquet_file(leaf("", INT32), leaf("a", INT32))
    (tmp_path / "x.parquet").write_bytes(data)
    assert ours(data) == "a Nullable(Int32)"
    assert describe_parquet([tmp_path / "x.parquet"]) == [{"a": "Nullable(Int32)"}]


def test_field_without_a_name_is_refused() -> None:
    assert ours(parquet_file(group("x", leaf("", INT32)))).startswith("UnsupportedError: The col")


def test_signature_after_a_plaintext_footer_is_passed_over() -> None:
    """A file of encrypted columns whose footer is not: a nonce and a tag follow it."""
    assert ours(parquet_file(leaf("a", INT32), after=bytes(range(28)))) == "a Nullable(Int32)"


def test_field_of_a_later_footer_version_is_passed_over() -> None:
    assert ours(parquet_file(leaf("a", INT32) | {20: {1: "new"}})) == "a Nullable(Int32)"


@pytest.mark.parametrize(
    "column",
    [
        {1: 9, 3: OPTIONAL, 4: "x"},  # no such physical type
        {1: INT32, 3: OPTIONAL, 4: "x", 5: 7},  # children that are not there
        leaf("x", FIXED, length=-1),
        leaf("x", BYTES, DECIMAL, scale=9, precision=2),
        leaf("x", INT64, UTF8),
    ],
)
def test_schema_that_contradicts_itself_ends_in_a_typed_error(column: Element) -> None:
    assert ours(parquet_file(column)).startswith(("InvalidSourceError: ", "UnsupportedError: "))
