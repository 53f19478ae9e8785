"""Arrow types become what ClickHouse's DESCRIBE says of the same Parquet file."""

import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stocktake.errors import (
    DuplicateColumnError,
    InvalidSourceError,
    LimitExceededError,
    UnsupportedError,
)
from stocktake.readers.arrow_types import clickhouse_type, columns
from stocktake.readers.source import Limits
from stocktake.schema.types import scalar
from stocktake.schema.widening import settled
from tests.support.clickhouse import describe_parquet

LONG = pa.int64()
REQUIRED = pa.field("a", LONG, nullable=False)

#: The Arrow type, and what a nullable column of it is.
TABLE: list[tuple[pa.DataType, str]] = [
    (pa.int8(), "Nullable(Int8)"),
    (pa.int16(), "Nullable(Int16)"),
    (pa.int32(), "Nullable(Int32)"),
    (pa.int64(), "Nullable(Int64)"),
    (pa.uint8(), "Nullable(UInt8)"),
    (pa.uint16(), "Nullable(UInt16)"),
    (pa.uint32(), "Nullable(UInt32)"),
    (pa.uint64(), "Nullable(UInt64)"),
    (pa.float16(), "Nullable(Float32)"),
    (pa.float32(), "Nullable(Float32)"),
    (pa.float64(), "Nullable(Float64)"),
    (pa.bool_(), "Nullable(Bool)"),
    (pa.decimal32(5, 2), "Nullable(Decimal(5, 2))"),
    (pa.decimal64(12, 2), "Nullable(Decimal(12, 2))"),
    (pa.decimal128(38, 9), "Nullable(Decimal(38, 9))"),
    (pa.decimal256(76, 10), "Nullable(Decimal(76, 10))"),
    (pa.string(), "Nullable(String)"),
    (pa.large_string(), "Nullable(String)"),
    (pa.string_view(), "Nullable(String)"),
    (pa.binary(), "Nullable(String)"),
    (pa.large_binary(), "Nullable(String)"),
    (pa.binary_view(), "Nullable(String)"),
    (pa.dictionary(pa.int32(), pa.string()), "Nullable(String)"),
    (pa.dictionary(pa.int8(), LONG), "Nullable(Int64)"),
    (pa.binary(5), "Nullable(FixedString(5))"),
    (pa.uuid(), "Nullable(UUID)"),
    (pa.json_(), "Nullable(JSON)"),
    (pa.opaque(LONG, "type", "vendor"), "Nullable(Int64)"),
    (pa.date32(), "Nullable(Date32)"),
    (pa.date64(), "Nullable(Date32)"),
    (pa.timestamp("s"), "Nullable(DateTime64(3, 'UTC'))"),
    (pa.timestamp("ms"), "Nullable(DateTime64(3, 'UTC'))"),
    (pa.timestamp("us"), "Nullable(DateTime64(6, 'UTC'))"),
    (pa.timestamp("us", "Europe/Berlin"), "Nullable(DateTime64(6, 'UTC'))"),
    (pa.timestamp("ns"), "Nullable(DateTime64(9, 'UTC'))"),
    (pa.time32("s"), "Nullable(DateTime64(3, 'UTC'))"),
    (pa.time32("ms"), "Nullable(DateTime64(3, 'UTC'))"),
    (pa.time64("us"), "Nullable(DateTime64(6, 'UTC'))"),
    (pa.time64("ns"), "Nullable(DateTime64(9, 'UTC'))"),
    (pa.duration("s"), "Nullable(Int64)"),
    (pa.duration("ns"), "Nullable(Int64)"),
    (pa.null(), "Nullable(Nothing)"),
    (pa.list_(LONG), "Array(Nullable(Int64))"),
    (pa.list_(pa.field("element", LONG, nullable=False)), "Array(Int64)"),
    (pa.large_list(LONG), "Array(Nullable(Int64))"),
    (pa.list_(LONG, 3), "Array(Nullable(Int64))"),
    (pa.list_view(LONG), "Array(Nullable(Int64))"),
    (pa.list_(pa.list_(LONG)), "Array(Array(Nullable(Int64)))"),
    (pa.map_(pa.string(), LONG), "Map(String, Nullable(Int64))"),
    (pa.map_(pa.string(), pa.field("value", LONG, nullable=False)), "Map(String, Int64)"),
    (pa.map_(pa.date32(), pa.list_(LONG)), "Map(Date32, Array(Nullable(Int64)))"),
    (pa.struct({"a": LONG, "b": pa.string()}), "Tuple(a Nullable(Int64), b Nullable(String))"),
    (pa.struct([REQUIRED]), "Nullable(Tuple(a Nullable(Int64)))"),
    (pa.struct([REQUIRED, ("b", LONG)]), "Tuple(a Nullable(Int64), b Nullable(Int64))"),
    (pa.struct({"s": pa.struct([REQUIRED])}), "Tuple(s Tuple(a Nullable(Int64)))"),
    (pa.list_(pa.struct([REQUIRED])), "Array(Nullable(Tuple(a Nullable(Int64))))"),
    (pa.struct({"l": pa.list_(LONG)}), "Tuple(l Array(Nullable(Int64)))"),
    (
        pa.struct({"two words": LONG, "Table": LONG}),
        ("Tuple(`two words` Nullable(Int64), `Table` Nullable(Int64))"),
    ),
]


def random_type(rng: random.Random, depth: int = 0) -> pa.DataType:
    kind = rng.choice(["leaf", "struct", "struct", "list", "map"]) if depth < 4 else "leaf"
    if kind == "leaf":
        return rng.choice([LONG, pa.string(), pa.timestamp("us")])
    if kind == "list":
        return pa.list_(pa.field("element", random_type(rng, depth + 1), rng.random() < 0.5))
    if kind == "map":
        value = pa.field("value", random_type(rng, depth + 1), rng.random() < 0.5)
        return pa.map_(pa.string(), value)
    width = rng.choice([1, 1, 2])
    return pa.struct(
        [pa.field(f"f{at}", random_type(rng, depth + 1), rng.random() < 0.4) for at in range(width)]
    )


@pytest.mark.parametrize(("arrow", "clickhouse"), TABLE, ids=lambda value: str(value)[:40])
def test_nullable_column_is(arrow: pa.DataType, clickhouse: str) -> None:
    assert str(clickhouse_type(pa.field("x", arrow))) == clickhouse


def written(schema: pa.Schema, path: Path, **options: object) -> pa.Schema:
    """The schema as it comes back out of a file."""
    pq.write_table(schema.empty_table(), path, **options)
    return pq.ParquetFile(path).schema_arrow


def ours(schema: pa.Schema) -> dict[str, str]:
    nulls = scalar("Int32", nullable=True)
    return {each.name: str(settled(each.type, nulls)) for each in columns(schema, Limits())}


def test_clickhouse_says_the_same_of_every_type(tmp_path: Path) -> None:
    rng = random.Random(1)
    nested = [random_type(rng) for _ in range(150)]
    nullable = [pa.field(f"x{n}", arrow) for n, (arrow, _) in enumerate(TABLE)]
    required = [f.with_nullable(False) for f in nullable if f.type != pa.null()]
    schemas = [
        pa.schema(nullable),
        pa.schema(required),
        pa.schema([pa.field(f"n{n}", arrow) for n, arrow in enumerate(nested)]),
        pa.schema([pa.field(f"r{n}", arrow, nullable=False) for n, arrow in enumerate(nested)]),
    ]
    paths = [tmp_path / f"{n}.parquet" for n in range(len(schemas) + 2)]
    read = [written(schema, path) for schema, path in zip(schemas, paths, strict=False)]
    read.append(written(schemas[0], paths[-2], store_schema=False))
    int96 = pa.schema({"t": pa.timestamp("ns"), "l": pa.list_(pa.timestamp("ns"))})
    read.append(written(int96, paths[-1], use_deprecated_int96_timestamps=True))
    for schema, theirs in zip(read, describe_parquet(paths), strict=True):
        assert ours(schema) == theirs


def test_required_column_is_not_nullable() -> None:
    (column,) = columns(pa.schema([REQUIRED]), Limits())
    assert (column.clickhouse, column.nullable) == ("Int64", False)


def test_optional_list_is_marked_nullable() -> None:
    (column,) = columns(pa.schema({"x": pa.list_(LONG)}), Limits())
    assert (column.clickhouse, column.nullable) == ("Array(Nullable(Int64))", True)
    assert column.hogql == "StringArrayDatabaseField"


def test_name_that_cannot_be_stored_is_refused() -> None:
    with pytest.raises(InvalidSourceError, match=r"named 'a\\x00b', which cannot"):
        columns(pa.schema([("a\0b", LONG)]), Limits())


def test_names_that_come_twice_are_refused_by_name() -> None:
    schema = pa.schema([("a", LONG), ("b", LONG), ("a", LONG)])
    with pytest.raises(DuplicateColumnError, match='named "a"'):
        columns(schema, Limits())


def test_names_that_come_twice_in_a_struct_are_refused_by_name() -> None:
    schema = pa.schema({"s": pa.struct([("a", LONG), ("a", LONG)])})
    with pytest.raises(DuplicateColumnError, match=r'named "s\.a"'):
        columns(schema, Limits())


def test_names_that_differ_by_case_are_two_columns() -> None:
    assert len(columns(pa.schema({"a": LONG, "A": LONG}), Limits())) == 2


def test_too_many_columns_are_refused() -> None:
    with pytest.raises(
        LimitExceededError, match="2 columns; STOCKTAKE_INFERENCE_MAX_COLUMNS allows 1"
    ):
        columns(pa.schema({"a": LONG, "b": LONG}), Limits(max_columns=1))


@pytest.mark.parametrize(
    "wrap",
    [pa.list_, lambda inner: pa.struct({"f": inner}), lambda inner: pa.map_(LONG, inner)],
    ids=["list", "struct", "map"],
)
def test_nesting_ends_at_the_limit(wrap: object) -> None:
    arrow = LONG
    for _ in range(3):
        arrow = wrap(arrow)  # type: ignore[operator]
    columns(pa.schema({"x": arrow}), Limits(max_nesting=3))
    with pytest.raises(LimitExceededError, match='"x" is nested deeper than 2'):
        columns(pa.schema({"x": arrow}), Limits(max_nesting=2))


def test_type_that_parquet_cannot_hold_is_refused_by_its_place() -> None:
    schema = pa.schema({"s": pa.struct({"i": pa.month_day_nano_interval()})})
    with pytest.raises(UnsupportedError, match=r'"s\.i".*month_day_nano_interval') as caught:
        columns(schema, Limits())
    assert caught.value.code == "unsupported_type"


def test_schemas_that_arrow_takes_for_equal_are_told_apart() -> None:
    found = []
    for nullable in (True, False):
        kind = pa.map_(pa.string(), pa.field("value", pa.uuid(), nullable=nullable))
        found.append(ours(pa.schema({"x": kind}))["x"])
    assert found == ["Map(String, Nullable(UUID))", "Map(String, UUID)"]
