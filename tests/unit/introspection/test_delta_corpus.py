"""The Delta reader against tables of other writers and against deltalake."""

import os
from pathlib import Path

import pytest
from deltalake import DeltaTable

from tests.unit.introspection.delta_tables import CountingFolder, read_table

CORPUS = os.environ.get("STOCKTAKE_CORPUS")
TABLES = sorted(Path(CORPUS, "delta").iterdir()) if CORPUS else []

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
