"""Rows as Parquet files: their order and size, what the log says of them, what errors leave."""

import datetime as dt
import math
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from stocktake.loading import data_files as module
from stocktake.loading.data_files import data_files
from stocktake.storage.managed import storage_at
from tests.support import loaded

UTC_US = pa.timestamp("us", "UTC")
FOLDER = "delta/1/table"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row groups of 1,000 rows, and files of some kilobytes."""
    monkeypatch.setattr(module, "_GROUP_ROWS", 1_000)
    monkeypatch.setattr(module, "_FILE_BYTES", 10_000)
    monkeypatch.setattr(module, "_WRITE_BYTES", 1)


def write(folder: Path, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> str:
    """A Delta table of the batches; its root."""
    root = str(folder / FOLDER)
    with data_files(storage_at(str(folder)), FOLDER, schema, batches) as files:
        table = DeltaTable.create(root, schema)
        table.create_write_transaction(files.adds, "append", table.schema())
    return root


def stats(folder: Path, arrow: pa.DataType, values: list[Any]) -> dict[str, Any]:
    schema = pa.schema([("x", arrow)])
    batch = pa.RecordBatch.from_arrays([pa.array(values, arrow)], schema=schema)
    [add] = loaded.adds(write(folder, schema, iter([batch])))
    found: dict[str, Any] = add["stats"]
    return found


@pytest.mark.chdb
def test_many_batches_stand_in_their_order_for_every_reader(tmp_path: Path, small: None) -> None:
    schema = pa.schema([("id", pa.int64()), ("s", pa.string())])

    def batches() -> Iterator[pa.RecordBatch]:
        for start in range(0, 20_000, 100):
            ids = range(start, start + 100)
            yield pa.record_batch([list(ids), [f"{n:>20}" for n in ids]], schema=schema)

    root = write(tmp_path, schema, batches())

    expected = list(range(20_000))
    assert [row["id"] for row in loaded.with_deltalake(root)] == expected
    assert [row[0] for row in loaded.with_duckdb(root)] == expected
    assert [int(row[0]) for row in loaded.with_clickhouse(root, "id") or []] == expected
    adds = loaded.adds(root)
    assert len(adds) > 5
    assert all(add["stats"]["numRecords"] <= 2_000 for add in adds)
    assert [add["stats"]["minValues"]["id"] for add in adds] == sorted(
        add["stats"]["minValues"]["id"] for add in adds
    )


@pytest.mark.parametrize(
    ("arrow", "values", "least", "most"),
    [
        (pa.int64(), [3, None, -1], -1, 3),
        (pa.float64(), [1.5, -2.0], -2.0, 1.5),
        (pa.string(), ["b", "a"], "a", "b"),
        (pa.string(), ["x" * 40], "x" * 32, "x" * 32 + "\U0010ffff"),
        (pa.date32(), [dt.date(1850, 1, 1), dt.date(2400, 1, 1)], "1850-01-01", "2400-01-01"),
        (
            UTC_US,
            [dt.datetime(2024, 1, 1, 0, 0, 0, 1, dt.UTC)],
            "2024-01-01T00:00:00.000001Z",
            "2024-01-01T00:00:00.000001Z",
        ),
        (pa.decimal128(10, 2), [Decimal("1.50"), Decimal("-0.01")], -0.01, 1.5),
    ],
)
def test_the_log_has_the_bounds_of_a_column(
    tmp_path: Path, arrow: pa.DataType, values: list[Any], least: Any, most: Any
) -> None:
    found = stats(tmp_path, arrow, values)

    assert (found["minValues"]["x"], found["maxValues"]["x"]) == (least, most)
    assert found["nullCount"]["x"] == values.count(None)


@pytest.mark.parametrize(
    ("arrow", "values"),
    [
        (pa.float64(), [1.5, math.nan]),
        (pa.float64(), [1.5, math.inf]),
        (pa.string(), ["x" * 32 + "\U0010ffff" * 2]),
        (pa.decimal128(38, 0), [Decimal(10**37 + 1)]),
        (pa.bool_(), [True]),
        (pa.binary(), [b"\xff"]),
        (pa.list_(pa.int64()), [[1]]),
        (pa.string(), [None]),
    ],
)
def test_a_bound_that_is_not_sure_is_left_out(
    tmp_path: Path, arrow: pa.DataType, values: list[Any]
) -> None:
    found = stats(tmp_path, arrow, values)

    assert found["minValues"] == found["maxValues"] == {}
    assert found["numRecords"] == 1 if None in values else len(values)


def test_fields_of_structs_have_bounds_of_their_own(tmp_path: Path) -> None:
    arrow = pa.struct([("a.b", pa.int64()), ("c", pa.struct([("d", pa.string())]))])
    found = stats(tmp_path, arrow, [{"a.b": 1, "c": None}, None])

    assert found["minValues"] == {"x": {"a.b": 1}}
    assert found["nullCount"] == {"x": {"a.b": 1, "c": {"d": 2}}}


def test_of_many_columns_only_the_first_are_told_and_those_without_a_value(tmp_path: Path) -> None:
    schema = pa.schema([(f"c{n}", pa.int64()) for n in range(40)])
    arrays = [pa.array([None if n == 39 else n], pa.int64()) for n in range(40)]
    batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
    [add] = loaded.adds(write(tmp_path, schema, iter([batch])))

    assert list(add["stats"]["minValues"]) == [f"c{n}" for n in range(32)]
    assert list(add["stats"]["nullCount"]) == [f"c{n}" for n in [*range(32), 39]]


def test_an_error_in_the_rows_leaves_no_file(tmp_path: Path, small: None) -> None:
    schema = pa.schema([("id", pa.int64())])

    def batches() -> Iterator[pa.RecordBatch]:
        for _ in range(30):
            yield pa.record_batch([list(range(1_000))], schema=schema)
        raise ArithmeticError("a value")

    with pytest.raises(ArithmeticError, match="a value"):
        write(tmp_path, schema, batches())

    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_file_may_be_read_by_others_as_the_log_may(tmp_path: Path) -> None:
    schema = pa.schema([("id", pa.int64())])
    root = write(tmp_path, schema, iter([pa.record_batch([[1]], schema=schema)]))
    [path] = Path(root).glob("part-*")

    assert path.stat().st_mode & 0o777 == 0o644
    assert pq.ParquetFile(path).schema_arrow == schema
