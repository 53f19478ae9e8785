"""Schemas that other writers left behind. ClickHouse's DESCRIBE of the same file stands beside
each."""

from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stocktake.errors import JobError
from stocktake.readers.parquet.annotations import readable
from stocktake.readers.parquet.reader import read
from stocktake.readers.source import Limits, no_progress
from tests.support.clickhouse import describe_parquet
from tests.support.memory import MemoryObjects, files_source
from tests.support.parquet_schemas import (
    BSON,
    BYTES,
    DATE,
    DECIMAL,
    ENUM,
    FIXED,
    INT32,
    INT64,
    INT96,
    INT_16,
    INTERVAL,
    JSON,
    LIST,
    MAP,
    MAP_KEY_VALUE,
    OPTIONAL,
    REPEATED,
    REQUIRED,
    TIME_MICROS,
    TIME_MILLIS,
    TIMESTAMP_MICROS,
    TIMESTAMP_MILLIS,
    UINT_8,
    UINT_32,
    UINT_64,
    UTF8,
    Element,
    elements,
    group,
    leaf,
    parquet_file,
)


def entries(*, name: str, converted: int | None, value: bool = True) -> list[Element]:
    key = leaf("key", BYTES, UTF8, repetition=REQUIRED)
    values = [leaf("value", INT32)] if value else []
    return group(name, key, *values, converted=converted, repetition=REPEATED)


def pairs(
    key: list[Element] | Element, *, name: str = "key_value", converted: int | None = None
) -> list[Element]:
    return group(name, key, leaf("value", INT32), converted=converted, repetition=REPEATED)


def map_pairs(key: Element) -> list[Element]:
    return pairs(key, name="map", converted=MAP_KEY_VALUE)


#: As Presto, Hive and Flink write it; the format wants it required.
KEY: Final = leaf("key", BYTES, UTF8)

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
    # a reader that does not know the logical type goes by the converted one
    **{
        f"logical_{kind}_beside_{column[1]}_{column[6]}": column | {10: logical}
        for kind, logical in [
            ("from_the_future", {99: {}}),
            ("of_nothing", {}),
            ("of_nulls", {11: {}}),
            ("of_another_kind", {6: True}),
        ]
        for column in [
            leaf("x", FIXED, DECIMAL, length=4, scale=2, precision=9),
            leaf("x", INT64, DECIMAL, scale=2, precision=9) | {9: 1},
            leaf("x", INT32, DATE),
            leaf("x", INT64, TIMESTAMP_MILLIS),
            leaf("x", INT32, UINT_8),
            leaf("x", BYTES, UTF8),
        ]
    },
    "list_beside_a_logical_type_from_the_future": group(
        "x",
        group("list", leaf("element", INT32), repetition=REPEATED),
        converted=LIST,
        logical={99: {}},
    ),
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
    # what pyarrow refuses, or reads otherwise
    "map_of_optional_keys": group("x", pairs(KEY), converted=MAP),
    "map_of_optional_keys_by_parquet_mr": group("x", map_pairs(KEY), converted=MAP),
    "map_of_optional_keys_by_its_logical_type": group("x", pairs(KEY), logical={2: {}}),
    "map_of_optional_keys_marked_inside_out": group("x", pairs(KEY), converted=MAP_KEY_VALUE),
    "map_of_optional_keys_without_values": group(
        "x", group("key_value", KEY, repetition=REPEATED), converted=MAP
    ),
    "required_map_of_optional_keys": group("x", pairs(KEY), converted=MAP, repetition=REQUIRED),
    "map_of_optional_structs": group(
        "x", pairs(group("key", leaf("a", INT32), leaf("b", BYTES, UTF8))), converted=MAP
    ),
    "map_of_optional_structs_of_required_fields": group(
        "x",
        pairs(
            group(
                "key",
                leaf("a", INT32, repetition=REQUIRED),
                group("b", leaf("c", INT32, repetition=REQUIRED), repetition=REQUIRED),
            )
        ),
        converted=MAP,
    ),
    "map_of_lists": group(
        "x",
        pairs(group("key", group("list", leaf("e", INT32), repetition=REPEATED), converted=LIST)),
        converted=MAP,
    ),
    "map_of_repeated_keys": group(
        "x", pairs(leaf("key", BYTES, UTF8, repetition=REPEATED)), converted=MAP
    ),
    "map_of_null_keys": group("x", pairs(leaf("key", INT32, logical={11: {}})), converted=MAP),
    "map_of_decimals": group(
        "x", pairs(leaf("key", INT32, DECIMAL, scale=2, precision=9)), converted=MAP
    ),
    "map_in_a_map": group(
        "x",
        group("key_value", KEY, group("value", pairs(KEY), converted=MAP), repetition=REPEATED),
        converted=MAP,
    ),
    "map_in_a_list": group(
        "x",
        group("list", group("element", pairs(KEY), converted=MAP), repetition=REPEATED),
        converted=LIST,
    ),
    "map_in_a_list_of_two_levels": group(
        "x", group("array", pairs(KEY), converted=MAP, repetition=REPEATED), converted=LIST
    ),
    "map_in_a_struct": group("x", group("m", pairs(KEY), converted=MAP), leaf("a", INT32)),
    "map_of_three": group(
        "x",
        group("key_value", KEY, leaf("value", INT32), leaf("z", INT32), repetition=REPEATED),
        converted=MAP,
    ),
    "map_of_one_pair": group("x", group("key_value", KEY, leaf("value", INT32)), converted=MAP),
    "map_of_a_leaf": group("x", leaf("key_value", INT32, repetition=REPEATED), converted=MAP),
    "map_of_two_groups": group("x", pairs(KEY), pairs(KEY, name="other"), converted=MAP),
    "repeated_map": group("x", pairs(KEY), converted=MAP, repetition=REPEATED),
    "group_like_a_map": group("x", pairs(KEY)),
    "repeated_list": group(
        "x",
        group("list", leaf("element", INT32), repetition=REPEATED),
        converted=LIST,
        repetition=REPEATED,
    ),
    "list_that_does_not_repeat": group("x", group("list", leaf("element", INT32)), converted=LIST),
    "list_of_two_children": group(
        "x", leaf("a", INT32, repetition=REPEATED), leaf("b", INT32), converted=LIST
    ),
    "list_of_repeated_elements": group(
        "x",
        group("list", leaf("element", INT32, repetition=REPEATED), repetition=REPEATED),
        converted=LIST,
    ),
    "list_of_lists_of_two_levels": group(
        "x",
        group(
            "array", leaf("array", INT32, repetition=REPEATED), converted=LIST, repetition=REPEATED
        ),
        converted=LIST,
    ),
    "list_in_a_list_of_two_levels": group(
        "x",
        group(
            "array",
            group("list", leaf("element", INT32), repetition=REPEATED),
            converted=LIST,
            repetition=REPEATED,
        ),
        converted=LIST,
    ),
    "pairs_of_structs_in_a_list_of_two_levels": group(
        "x",
        group(
            "array",
            group("list", leaf("a", INT32), leaf("b", INT32), repetition=REPEATED),
            converted=LIST,
            repetition=REPEATED,
        ),
        converted=LIST,
    ),
    "lists_of_two_levels_in_each_other": group(
        "x",
        group(
            "array",
            group(
                "array",
                leaf("array", INT32, repetition=REPEATED),
                converted=LIST,
                repetition=REPEATED,
            ),
            converted=LIST,
            repetition=REPEATED,
        ),
        converted=LIST,
    ),
    "list_by_shape_alone": group("x", group("list", leaf("element", INT32), repetition=REPEATED)),
    "list_of_pairs_of_a_map": group("x", map_pairs(KEY), converted=LIST),
    "repeated_group_of_two": group(
        "x", leaf("a", INT32), leaf("b", BYTES, UTF8), repetition=REPEATED
    ),
    "repeated_in_repeated": group(
        "x", group("y", leaf("a", INT32), repetition=REPEATED), repetition=REPEATED
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
    # Fields of a kind that they never are, which readers pass over.
    "children_that_are_a_text": group(
        "x",
        group("array", leaf("a", INT32) | {5: "2"}, repetition=REPEATED),
        converted=LIST,
    ),
    "annotation_that_is_a_text": [
        {3: OPTIONAL, 4: "x", 5: 1, 6: "3"},
        *group("list", leaf("element", INT32), repetition=REPEATED),
    ],
    "logical_type_that_is_a_number": [
        {3: OPTIONAL, 4: "x", 5: 1, 6: LIST, 10: 3},
        *group("list", leaf("element", INT32), repetition=REPEATED),
    ],
    "repetition_that_is_a_struct": group(
        "x", {1: INT32, 3: {1: 1}, 4: "y", 5: {1: 2}}, leaf("z", INT32)
    ),
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


@pytest.mark.parametrize(
    "kind",
    [
        *("uuid", "list", "map", "map_of_parquet_mr", "nested_map", "variant", "repeated_group"),
        *("decimal_logical", "timestamp_nanos", "float16", "json", "logical_from_the_future"),
    ],
)
def test_a_schema_that_is_right_is_left_as_it_is(kind: str) -> None:
    schema = elements(COLUMNS[kind], leaf("y", INT32))
    assert readable(schema) is schema
    assert readable(schema, of_pages=True) is schema


KINDS: Final = st.sampled_from(sorted(COLUMNS))


@given(st.data())
def test_a_schema_that_is_damaged_is_left_or_put_right(data: st.DataObject) -> None:
    schema = bytearray(elements(*(COLUMNS[kind] for kind in data.draw(st.sets(KINDS, min_size=1)))))
    for at in data.draw(st.lists(st.integers(0, len(schema) - 1), min_size=1, max_size=4)):
        schema[at] = data.draw(st.integers(0, 255))
    readable(bytes(schema))
    readable(bytes(schema), of_pages=True)
