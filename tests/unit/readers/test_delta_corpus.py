"""The Delta reader against tables of other writers and against deltalake."""

import os
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from tests.support.delta_tables import CountingFolder, read_table

CORPUS = os.environ.get("STOCKTAKE_CORPUS")
TABLES = sorted(Path(CORPUS, "delta").iterdir()) if CORPUS else []

#: Rows that deletion vectors take away, which `DeltaTable.count` of deltalake 1.6 does not.
DELETED_ROWS = {"table_with_deletion_logs": 2}

pytestmark = pytest.mark.skipif(
    not TABLES, reason="set STOCKTAKE_CORPUS to a folder with delta/ to read tables of others"
)


@pytest.mark.parametrize("table", TABLES, ids=lambda path: path.name)
def test_table_of_another_writer_reads_as_deltalake_reads_it(table: Path) -> None:
    store = CountingFolder(table)
    found = read_table(store)
    reference = DeltaTable(table)

    assert found.source_version == reference.version()
    fields = reference.schema().fields
    assert [column.name for column in found.columns] == [field.name for field in fields]
    assert [column.nullable for column in found.columns] == [field.nullable for field in fields]
    partitions = [column.name for column in found.columns if column.partition]
    assert sorted(partitions) == sorted(reference.metadata().partition_columns)
    assert store.rounds <= 4

    counted = read_table(store, counted=True)
    files = pa.table(reference.get_add_actions(flatten=True))
    assert counted.file_count == files.num_rows
    assert counted.size_bytes == sum(files["size_bytes"].to_pylist())
    has_rows = "num_records" in files.column_names and not files["num_records"].null_count
    rows = reference.count() - DELETED_ROWS.get(table.name, 0)
    assert counted.row_count == (rows if has_rows else None)

    again = read_table(store, state=found.state)
    assert again.coverage.unchanged
    assert store.rounds == 1


def test_types_of_the_deletion_vector_table_are_the_ones_of_its_readme() -> None:
    table = next(path for path in TABLES if path.name == "table_with_deletion_logs")
    found = read_table(CountingFolder(table))
    assert {column.name: column.clickhouse for column in found.columns} == {
        "address": "Nullable(String)",
        "age": "Nullable(Float64)",
        "company": "Nullable(String)",
        "id": "Nullable(Int64)",
        "name": "Nullable(String)",
        "nbr": "Nullable(Int64)",
        "phone_number": "Nullable(String)",
    }
    # deltalake counts 98 rows in the table: 100 in its one file, 2 of them deleted.
    assert found.row_count == 98
