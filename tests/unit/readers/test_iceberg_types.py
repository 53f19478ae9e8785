"""Iceberg's types as ClickHouse has them, column by column."""

import json
from typing import Any

import pytest

from tests.support.iceberg_tables import (
    field_of,
    list_of,
    map_of,
    metadata_of,
    read_table,
    struct_of,
    table,
)
from tests.support.oracle import ask

PAIR = struct_of(field_of(20, "a", "int"), field_of(21, "two words", "string"))
HALF = struct_of(field_of(20, "a", "int"), field_of(21, "b", "string", required=True))
#: What ClickHouse says too.
ALIKE = [
    ("boolean", "Bool"),
    ("int", "Int32"),
    ("long", "Int64"),
    ("float", "Float32"),
    ("double", "Float64"),
    ("decimal(9,2)", "Decimal(9, 2)"),
    ("decimal(38, 10)", "Decimal(38, 10)"),
    ("date", "Date32"),
    ("timestamp", "DateTime64(6)"),
    ("timestamptz", "DateTime64(6, 'UTC')"),
    ("timestamp_ns", "DateTime64(9)"),
    ("timestamptz_ns", "DateTime64(9, 'UTC')"),
    ("string", "String"),
    ("binary", "String"),
    ("uuid", "UUID"),
    ("fixed[16]", "FixedString(16)"),
    (list_of(10, "long"), "Array(Nullable(Int64))"),
    (list_of(10, "long", required=True), "Array(Int64)"),
    (map_of(10, "string", "long"), "Map(String, Nullable(Int64))"),
    (map_of(10, "int", "date", required=True), "Map(Int32, Date32)"),
    (PAIR, "Tuple(a Nullable(Int32), `two words` Nullable(String))"),
    (list_of(10, PAIR), "Array(Tuple(a Nullable(Int32), `two words` Nullable(String)))"),
    (
        map_of(10, "string", list_of(12, PAIR)),
        "Map(String, Array(Tuple(a Nullable(Int32), `two words` Nullable(String))))",
    ),
]
SOME, ALL = "Tuple(a Nullable(Int32), b String)", "Tuple(a Nullable(Int32), b Nullable(String))"
#: What ClickHouse has otherwise (a text), or fails on (None); docs/types.md says why.
DIFFERENT = [
    ("time", "DateTime64(6, 'UTC')", "Int64"),
    ("unknown", "Nothing", None),
    ("variant", "String", None),
    ("geometry", "String", None),
    ("geometry(srid:4326)", "String", None),
    ("geography(OGC:CRS84, vincenty)", "String", None),
]


def wrapped(clickhouse: str, *, required: bool) -> str:
    nested = clickhouse.startswith(("Array", "Map", "Tuple"))
    return clickhouse if required or nested else f"Nullable({clickhouse})"


def ours(kind: Any, *, required: bool) -> Any:
    [column] = read_table(table(metadata_of([field_of(1, "x", kind, required=required)]))).columns
    assert column.nullable is not required
    return column


@pytest.mark.parametrize("required", [False, True])
@pytest.mark.parametrize(
    ("kind", "clickhouse"),
    [*ALIKE, *(each[:2] for each in DIFFERENT)],
    ids=lambda value: json.dumps(value)[:30],
)
def test_type(kind: Any, clickhouse: str, *, required: bool) -> None:
    assert ours(kind, required=required).clickhouse == wrapped(clickhouse, required=required)


@pytest.mark.parametrize("kind", ["STRING", "Decimal(9, 2)", "Geometry(SRID:4326)"])
def test_letter_case_makes_no_difference(kind: str) -> None:
    assert ours(kind, required=True).clickhouse == ours(kind.lower(), required=True).clickhouse


@pytest.mark.parametrize(
    ("kind", "required", "clickhouse"),
    [
        (HALF, True, SOME),
        (HALF, False, ALL),
        (list_of(10, HALF), True, f"Array({ALL})"),
        (list_of(10, HALF, required=True), False, f"Array({SOME})"),
        (struct_of(field_of(11, "o", HALF, required=True)), False, f"Tuple(o {ALL})"),
        (struct_of(field_of(11, "o", HALF, required=True)), True, f"Tuple(o {SOME})"),
    ],
)
def test_in_a_struct_that_may_be_null_all_may(kind: Any, required: bool, clickhouse: str) -> None:
    assert ours(kind, required=required).clickhouse == clickhouse


def test_a_variant_is_read_as_json() -> None:
    assert ours("variant", required=False).hogql == "StringJSONDatabaseField"


def test_what_is_not_said_to_be_required_may_be_null() -> None:
    fields = [{"id": 1, "name": "x", "type": {"type": "list", "element-id": 2, "element": "int"}}]
    [column] = read_table(table(metadata_of(fields))).columns
    assert (column.clickhouse, column.nullable) == ("Array(Nullable(Int32))", True)


@pytest.fixture(scope="module")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str | None]:
    """What ClickHouse describes for each type, by its JSON and whether it is required."""
    folder = tmp_path_factory.mktemp("clickhouse")
    kinds = [(kind, required) for kind, *_ in [*ALIKE, *DIFFERENT] for required in (False, True)]
    queries = []
    for number, (kind, required) in enumerate(kinds):
        root = folder / f"t{number}"
        (root / "metadata").mkdir(parents=True)
        metadata = metadata_of([field_of(1, "x", kind, required=required)], location=str(root))
        (root / "metadata" / "v1.metadata.json").write_text(json.dumps(metadata))
        queries.append(f"DESCRIBE TABLE icebergLocal('{root}') SETTINGS print_pretty_type_names=0")
    answers = ask(queries)
    return {
        json.dumps(kind): None if answer is None else answer[0][1]
        for kind, answer in zip(kinds, answers, strict=True)
    }


@pytest.mark.chdb
@pytest.mark.parametrize("required", [False, True])
@pytest.mark.parametrize(("kind", "expected"), ALIKE, ids=lambda value: json.dumps(value)[:30])
def test_clickhouse_says_the_same(
    clickhouse: dict[str, str | None], kind: Any, expected: str, *, required: bool
) -> None:
    assert clickhouse[json.dumps((kind, required))] == wrapped(expected, required=required)


@pytest.mark.chdb
@pytest.mark.parametrize(("kind", "_ours", "theirs"), DIFFERENT)
def test_known_difference_from_clickhouse_still_stands(
    clickhouse: dict[str, str | None], kind: str, _ours: str, theirs: str | None
) -> None:
    assert clickhouse[json.dumps((kind, True))] == theirs
