"""Read with the types that are stored, ClickHouse gives back what pyarrow reads in the file: the
second oracle of docs/types.md."""

import io
import os
import random
from collections.abc import Sequence
from datetime import datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stocktake.errors import SchemaConflictError
from stocktake.loading.batches import Rows
from stocktake.readers.parquet.reader import batches, read
from stocktake.readers.source import Limits, no_progress
from tests.support.clickhouse import plain_rows, reread_parquet
from tests.support.memory import MemoryObjects, files_source
from tests.support.parquet_schemas import under
from tests.unit.readers.test_parquet_kinds import COLUMNS

_DAY: Final = 86_400
_LEAVES: Final[dict[pa.DataType, Any]] = {
    pa.int8(): lambda rng: rng.choice([-128, 127, 0]),
    pa.uint8(): lambda rng: rng.choice([0, 255]),
    pa.int16(): lambda rng: rng.choice([-(2**15), 7]),
    pa.uint16(): lambda rng: rng.choice([2**16 - 1, 7]),
    pa.int32(): lambda rng: rng.choice([-(2**31), 2**31 - 1]),
    pa.uint32(): lambda rng: rng.choice([2**32 - 1, 0]),
    pa.int64(): lambda rng: rng.choice([-(2**63), 2**63 - 1, 1]),
    pa.uint64(): lambda rng: rng.choice([2**64 - 1, 1]),
    pa.float16(): lambda rng: rng.choice([1.5, -0.25]),
    pa.float32(): lambda rng: rng.choice([0.5, float("inf"), float("nan"), 1e-30]),
    pa.float64(): lambda rng: rng.choice([0.1, float("-inf"), -0.0, 1e308]),
    pa.bool_(): lambda rng: rng.random() < 0.5,
    pa.string(): lambda rng: rng.choice(["", "a\0b", "é😀", "007", "null"]),
    pa.large_string(): lambda rng: rng.choice(["", "x" * 300]),
    pa.binary(): lambda rng: rng.choice([b"", b"\xff\x00", b"a"]),
    pa.binary(3): lambda rng: rng.choice([b"\0\0\0", b"\xffab"]),
    pa.dictionary(pa.int8(), pa.string()): lambda rng: rng.choice(["a", "b"]),
    pa.decimal128(9, 2): lambda rng: rng.choice([Decimal("-9999999.99"), Decimal("0.01")]),
    pa.decimal128(38, 10): lambda rng: Decimal("1234567890123456789012345678.0123456789"),
    pa.decimal256(76, 5): lambda rng: Decimal("-" + "9" * 71 + ".12345"),
    pa.date32(): lambda rng: rng.choice([-20_000, 0, 100_000]),
    pa.timestamp("s"): lambda rng: rng.choice([-(10**9), 0, 4 * 10**9]),
    pa.timestamp("ms"): lambda rng: rng.choice([-1, 1, 4 * 10**12]),
    pa.timestamp("us", "Europe/Berlin"): lambda rng: rng.choice([-1, 1, 4 * 10**15]),
    pa.timestamp("ns"): lambda rng: rng.choice([-1, 1, 4 * 10**18]),
    pa.time32("ms"): lambda rng: rng.randrange(_DAY * 1_000),
    pa.time64("us"): lambda rng: rng.randrange(_DAY * 10**6),
    pa.time64("ns"): lambda rng: rng.randrange(_DAY * 10**9),
    pa.duration("us"): lambda rng: rng.choice([-1, 10**15]),
    pa.null(): lambda _: None,
}
_KEYS: Final = [pa.string(), pa.int64(), pa.date32()]


def drawn_type(rng: random.Random, depth: int = 0) -> pa.DataType:
    kind = rng.choice(["leaf", "leaf", "list", "struct", "map"]) if depth < 3 else "leaf"
    if kind == "leaf":
        return rng.choice([*_LEAVES])
    inner = [drawn_type(rng, depth + 1) for _ in range(rng.choice([1, 2]))]
    if kind == "list":
        return pa.list_(pa.field("element", inner[0], _may_be_null(rng, inner[0])))
    if kind == "map":
        value = pa.field("value", inner[0], _may_be_null(rng, inner[0]))
        return pa.map_(rng.choice(_KEYS), value)
    return pa.struct(
        [pa.field(f"f {at}", each, _may_be_null(rng, each)) for at, each in enumerate(inner)]
    )


def _may_be_null(rng: random.Random, kind: pa.DataType) -> bool:
    return pa.types.is_null(kind) or rng.random() < 0.6


def drawn_value(rng: random.Random, kind: Any, nullable: bool) -> Any:
    if nullable and rng.random() < 0.3:
        return None
    if kind in _LEAVES:
        return _LEAVES[kind](rng)
    if pa.types.is_struct(kind):
        return {field.name: drawn_value(rng, field.type, field.nullable) for field in kind}
    count = rng.choice([0, 1, 3])
    if pa.types.is_map(kind):
        keys = {drawn_value(rng, kind.key_type, False) for _ in range(count)}
        value = kind.item_field
        return [(key, drawn_value(rng, value.type, value.nullable)) for key in sorted(keys)]
    element = kind.value_field
    return [drawn_value(rng, element.type, element.nullable) for _ in range(count)]


def drawn_table(rng: random.Random) -> pa.Table:
    kinds = [drawn_type(rng) for _ in range(rng.choice([1, 4]))]
    fields = [pa.field(f"c{at}", each, _may_be_null(rng, each)) for at, each in enumerate(kinds)]
    rows = rng.choice([1, 5])
    columns = [
        pa.array([drawn_value(rng, field.type, field.nullable) for _ in range(rows)], field.type)
        for field in fields
    ]
    return pa.table(columns, schema=pa.schema(fields))


def test_what_is_drawn_comes_back(tmp_path: Path) -> None:
    rng = random.Random(16)
    tables = [pa.table({"x": pa.array([make(rng), None], kind)}) for kind, make in _LEAVES.items()]
    tables += [drawn_table(rng) for _ in range(100)]
    files = []
    for table in tables:
        sink = io.BytesIO()
        pq.write_table(
            table,
            sink,
            version=rng.choice(["1.0", "2.6"]) if can_be_old(table.schema) else "2.6",
            compression=rng.choice(["none", "snappy", "zstd", "gzip", "lz4", "brotli"]),
            data_page_version=rng.choice(["1.0", "2.0"]),
            store_schema=rng.random() < 0.5,
            # ClickHouse 26.9 reads a dictionary's texts wrongly where a struct around them is null,
            # by its own types as well.
            use_dictionary="struct" not in str(table.schema),
            row_group_size=rng.choice([2, 1000]),
        )
        files.append(sink.getvalue())
    check(files, tmp_path)


def can_be_old(schema: pa.Schema) -> bool:
    """Whether the first version of the format holds it without loss: it has no nanoseconds, and no
    unsigned integers of 32 bits."""
    return not any(word in str(schema) for word in ("[ns", "uint32"))


def check(files: Sequence[bytes], folder: Path) -> None:
    """Hold what ClickHouse reads with our columns against what pyarrow reads."""
    cases, expected = [], []
    for at, data in enumerate(files):
        path = folder / f"{at}.parquet"
        path.write_bytes(data)
        source = files_source(MemoryObjects({path.name: data}))
        cases.append((path, read(source, Limits(), no_progress).columns))
        found = [batch for _, batch in batches(source, Limits(), no_progress)]
        expected.append(plain_rows(pa.Table.from_batches(found)))
    for (path, columns), said, back in zip(cases, expected, reread_parquet(cases), strict=True):
        shown = ", ".join(f"{column.name} {column.clickhouse}" for column in columns)
        assert back == said, f"{path.name}: {shown}"


LISTS: Final = pa.table({"x": pa.array([[1, None], [], None], pa.list_(pa.int32()))})
TEXTS: Final = pa.table(
    {"x": pa.array([["a", "b"], [], None], pa.list_(pa.field("e", pa.string(), nullable=False)))}
)
PAIR: Final = pa.struct([("key", pa.string()), ("value", pa.int32())])
PAIRS: Final = pa.array(
    [[{"key": "k", "value": 1}, {"key": "l", "value": None}], [], None],
    pa.list_(pa.field("element", PAIR, nullable=False)),
)


@pytest.mark.parametrize(
    ("table", "kind"),
    [
        (LISTS, "list"),
        (LISTS, "list_of_tuples"),
        (LISTS, "list_of_array_groups"),
        (TEXTS, "map_without_values"),
        (pa.table({"x": PAIRS}), "map_of_optional_keys"),
        (pa.table({"x": PAIRS}), "map_of_optional_keys_by_parquet_mr"),
    ],
)
def test_pages_under_an_odd_schema_come_back(table: pa.Table, kind: str, tmp_path: Path) -> None:
    check([under(table, COLUMNS[kind])], tmp_path)


def test_maps_with_optional_keys_are_loaded_as_maps() -> None:
    data = under(pa.table({"x": PAIRS}), COLUMNS["map_of_optional_keys"])
    target = pa.schema({"x": pa.map_(pa.string(), pa.int64())})
    source = files_source(MemoryObjects({"x.parquet": data}))
    found = pa.Table.from_batches(list(Rows.of(source, Limits(), no_progress).batches(target)))
    assert found.to_pylist() == [{"x": [("k", 1), ("l", None)]}, {"x": []}, {"x": None}]


def test_a_null_as_a_key_is_refused_by_a_load() -> None:
    null = pa.array([[{"key": None, "value": 1}]], PAIRS.type)
    data = under(pa.table({"x": null}), COLUMNS["map_of_optional_keys"])
    source = files_source(MemoryObjects({"x.parquet": data}))
    target = pa.schema({"x": pa.map_(pa.string(), pa.int64())})
    with pytest.raises(SchemaConflictError, match=r"row 1: column .x. .*: a key is null"):
        list(Rows.of(source, Limits(), no_progress).batches(target))


def test_a_file_without_types_comes_back_by_those_of_another(tmp_path: Path) -> None:
    """But where ClickHouse cannot: it makes no list, struct, map or UUID of an INT32."""
    kinds = [pa.bool_(), pa.uint8(), pa.float32(), pa.string(), pa.date32(), pa.timestamp("us")]
    kinds += [pa.time64("us"), pa.decimal128(20, 3)]
    typed = written(pa.table([pa.nulls(2, kind) for kind in kinds], [*"abcdefgh"]))
    null = written(pa.table([pa.nulls(2)] * len(kinds), [*"abcdefgh"]))
    source = files_source(MemoryObjects({"typed": typed, "null": null}))
    columns = read(source, Limits(), no_progress).columns
    (tmp_path / "null").write_bytes(null)
    (rows,) = reread_parquet([(tmp_path / "null", columns)])
    assert rows == [dict.fromkeys("abcdefgh")] * 2


def written(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


CORPUS: Final = os.environ.get("STOCKTAKE_CORPUS")


@pytest.mark.skipif(not CORPUS, reason="STOCKTAKE_CORPUS names no folder of files by others")
def test_files_of_others_come_back(tmp_path: Path) -> None:
    # ClickHouse takes INT96 for nanoseconds, and reads the year 9999 only as FixedString(12).
    beyond = "int96_from_spark.parquet"
    paths = sorted(Path(CORPUS or "", "parquet").glob("*.parquet"))
    paths = [path for path in paths if path.name != beyond]
    assert len(paths) >= 10
    check([path.read_bytes() for path in paths], tmp_path)


DUCKDB: Final = (
    "1::HUGEINT",
    "uuid()",
    "INTERVAL 1 DAY",
    "'101'::BIT",
    "'a'::ENUM('a', 'b')",
    "TIME '01:02:03'",
    "TIMETZ '01:02:03+02'",
    "TIMESTAMP_NS '2024-01-01 00:00:00.123456789'",
    "TIMESTAMPTZ '2024-01-01'",
    "DATE '1500-01-01'",
    "1.5::DECIMAL(38, 5)",
    "MAP {'a': 1, 'b': NULL}",
    "{'a': 1, 'b': [1, NULL]}",
    "'\\xff'::BLOB",
    "NULL",
    "255::UTINYINT",
)


def test_what_other_writers_write_comes_back(tmp_path: Path) -> None:
    files = []
    for value in DUCKDB:
        path = tmp_path / "duckdb"
        duckdb.sql(f"COPY (SELECT {value} AS x UNION ALL SELECT NULL) TO '{path}' (FORMAT parquet)")
        files.append(path.read_bytes())
    for dtype, value in POLARS.items():
        sink = io.BytesIO()
        pl.DataFrame({"x": pl.Series([value, None], dtype=dtype)}).write_parquet(sink)
        files.append(sink.getvalue())
    check(files, tmp_path)


POLARS: Final[Any] = {
    pl.Categorical(): "a",
    pl.Enum(["a"]): "a",
    pl.Duration("us"): timedelta(days=1),
    pl.Time(): time(1, 2, 3),
    pl.Null(): None,
    pl.Array(pl.Int64, 2): [1, 2],
    pl.Decimal(20, 3): Decimal("1.5"),
    pl.UInt64(): 2**64 - 1,
    pl.Binary(): b"\xff",
    pl.Datetime("ns"): datetime(2024, 1, 1),  # noqa: DTZ001 - without a zone
    pl.List(pl.Struct({"a": pl.String()})): [{"a": "x"}],
}
