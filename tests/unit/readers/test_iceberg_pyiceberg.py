"""Tables as pyiceberg writes them are read as pyiceberg, and as ClickHouse, read them."""

import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyiceberg import types as of
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import BucketTransform, IdentityTransform

from stocktake.readers import introspect
from stocktake.readers.source import Introspection, Source
from stocktake.schema.diff import diff
from stocktake.schema.formats import TableFormat
from stocktake.schema.history import PastSchema
from stocktake.storage.stores.opening import LocalObjects
from tests.support.iceberg_tables import read_table, table
from tests.support.iceberg_writer import (
    ODD,
    PLAIN,
    columns_of,
    create,
    metadata_with,
    schemas,
    warehouse,
)
from tests.support.oracle import ask


@dataclass(frozen=True)
class Written:
    """A table of pyiceberg's, and where it lies."""

    table: Any
    root: Path

    def read(self, state: dict[str, Any] | None = None) -> Introspection:
        store = LocalObjects(self.root.parent)
        path, kind = self.root.name, TableFormat.ICEBERG
        return introspect(Source(store=store, path=path, format=kind, state=state))


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[SqlCatalog]:
    with warehouse(tmp_path) as opened:
        yield opened


@pytest.fixture
def written(catalog: SqlCatalog, tmp_path: Path) -> Callable[..., Written]:
    def write(*fields: of.NestedField, **more: Any) -> Written:
        return Written(create(catalog, *fields, **more), tmp_path / "n" / "t")

    return write


def shown(found: Introspection | PastSchema) -> list[tuple[str, str, bool, int | None]]:
    return [(each.name, each.clickhouse, each.nullable, each.field_id) for each in found.columns]


def agree(found: Introspection, theirs: Any) -> None:
    """All that pyiceberg says of the table, it says of it too."""
    assert shown(found) == columns_of(theirs.schema())
    snapshot = theirs.current_snapshot()
    if snapshot is None:
        assert (found.row_count, found.size_bytes, found.file_count) == (0, 0, 0)
        return
    assert found.source_version == str(snapshot.snapshot_id)
    files = [task.file for task in theirs.scan().plan_files()]
    assert (found.row_count, found.size_bytes, found.file_count) == (
        sum(file.record_count for file in files),
        sum(file.file_size_in_bytes for file in files),
        len(files),
    )


ID = of.NestedField(1, "id", of.IntegerType(), required=True)
NOTE = of.NestedField(2, "note", of.StringType())
INNER = of.StructType(of.NestedField(4, "a", of.LongType()), of.NestedField(5, "b", of.DateType()))
DEEP = of.NestedField(3, "deep", of.ListType(6, INNER, element_required=False))


def rows(theirs: Any, *some: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(some), schema=theirs.schema().as_arrow())


def test_a_schema_that_evolves_is_followed_and_its_history_told(
    written: Callable[..., Written],
) -> None:
    made = written(ID, NOTE, DEEP)
    agree(made.read(), made.table)
    made.table.append(rows(made.table, {"id": 1, "note": "x", "deep": [{"a": 1}]}))
    first = str(made.table.current_snapshot().snapshot_id)
    before = made.read()
    agree(before, made.table)

    with made.table.update_schema() as update:
        update.rename_column("id", "ident")
        update.rename_column(("deep", "element", "a"), "aa")
    renamed = made.read(before.state)
    agree(renamed, made.table)
    change = diff(before.columns, renamed.columns)
    assert [(each.old, each.new) for each in change.renamed] == [("id", "ident")]
    assert (change.added, change.removed) == ((), ())

    with made.table.update_schema() as update:
        update.add_column("extra", of.TimestamptzType())
        update.move_first("extra")
        update.update_column("ident", of.LongType())
        update.delete_column("note")
    made.table.append(rows(made.table, {"ident": 2, "extra": None, "deep": None}))
    evolved = made.read(renamed.state)
    agree(evolved, made.table)
    change = diff(renamed.columns, evolved.columns)
    assert [each.name for each in change.added] == ["extra"]
    assert [each.name for each in change.removed] == ["note"]
    assert [each.new.clickhouse for each in change.changed] == ["Int64"]
    assert change.renamed == ()

    fresh = made.read()
    assert [(past.columns, past.source_version) for past in fresh.history] == [
        (before.columns, first),
        (renamed.columns, None),
    ]
    assert made.read(evolved.state).coverage.unchanged


def test_partitions_that_evolve_are_followed(written: Callable[..., Written]) -> None:
    spec = PartitionSpec(PartitionField(2, 1000, IdentityTransform(), "note"))
    made = written(ID, NOTE, partition_spec=spec)
    made.table.append(rows(made.table, {"id": 1, "note": "x"}, {"id": 2, "note": "y"}))
    found = made.read()
    agree(found, made.table)
    assert [each.name for each in found.columns if each.partition] == ["note"]

    with made.table.update_spec() as update:
        update.remove_field("note")
        update.add_field("id", BucketTransform(4))
    assert [each.name for each in made.read().columns if each.partition] == []
    with made.table.update_spec() as update:
        update.add_identity("id")
    assert [each.name for each in made.read().columns if each.partition] == ["id"]


def test_rows_that_were_deleted_by_writing_files_anew_do_not_count(
    written: Callable[..., Written],
) -> None:
    made = written(ID, NOTE)
    made.table.append(rows(made.table, *({"id": number, "note": "x"} for number in range(9))))
    made.table.delete("id > 5")
    found = made.read()
    agree(found, made.table)
    assert found.row_count == 6


@pytest.mark.parametrize("version", [1, 2])
def test_each_version_of_the_format_that_it_writes(
    written: Callable[..., Written], version: int
) -> None:
    made = written(ID, NOTE, DEEP, version=version)
    agree(made.read(), made.table)


# --- ClickHouse ---------------------------------------------------------------------------

ROW = {
    "whole": 1,
    "at": time(1, 2, 3, 500_000),
    "when": datetime(2026, 1, 2, 3, 4, 5, 678, UTC),
    "day": date(1890, 1, 1),
    "price": Decimal("1.25"),
    "key": UUID(int=7).bytes,
    "four": b"abcd",
    "deep": [{"a": 1, "b": None}],
    "map": [("k", None)],
}
COLUMNS = (
    of.NestedField(1, "whole", of.LongType(), required=True),
    of.NestedField(2, "at", of.TimeType()),
    of.NestedField(3, "when", of.TimestamptzType()),
    of.NestedField(4, "day", of.DateType()),
    of.NestedField(5, "price", of.DecimalType(10, 2)),
    of.NestedField(6, "key", of.UUIDType()),
    of.NestedField(7, "four", of.FixedType(4)),
    of.NestedField(8, "deep", of.ListType(20, INNER, element_required=False)),
    of.NestedField(9, "map", of.MapType(30, of.StringType(), 31, of.LongType(), False)),
)


@pytest.mark.chdb
def test_clickhouse_describes_the_table_alike_and_reads_it_by_our_types(
    written: Callable[..., Written],
) -> None:
    made = written(*COLUMNS)
    made.table.append(rows(made.table, ROW, {"whole": 2}))
    found = made.read()
    agree(found, made.table)
    [file] = (task.file.file_path for task in made.table.scan().plan_files())
    structure = ", ".join(f"`{each.name}` {each.clickhouse}" for each in found.columns)
    escaped = structure.replace("'", "\\'")
    described, read = ask(
        [
            f"DESCRIBE TABLE icebergLocal('{made.root}') SETTINGS print_pretty_type_names=0",
            f"SELECT * FROM file('{file.removeprefix('file://')}', Parquet, '{escaped}') "
            "ORDER BY whole",
        ]
    )
    assert described is not None
    theirs = [(name, kind) for name, kind, *_ in described]
    # docs/types.md: as an Int64 ClickHouse reads whole seconds
    assert ("at", "Nullable(Int64)") in theirs
    ours = [(each.name, each.clickhouse) for each in found.columns]
    assert [each for each in theirs if each[0] != "at"] == [
        each for each in ours if each[0] != "at"
    ]
    assert read == [
        [
            1,
            "1970-01-01 01:02:03.500000",
            "2026-01-02 03:04:05.000678",
            "1890-01-01",
            1.25,
            str(UUID(int=7)),
            "abcd",
            [{"a": 1, "b": None}],
            {"k": None},
        ],
        [2, None, None, None, None, None, None, [], {}],
    ]


# --- drawn schemas and histories ----------------------------------------------------------

drawn = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@drawn
@given(schema=schemas(PLAIN | ODD))
def test_any_schema_is_read_as_pyiceberg_has_it(schema: Schema) -> None:
    found = read_table(table(metadata_with(schema)))
    assert shown(found) == columns_of(schema)


STEPS = st.lists(
    st.one_of(
        st.just("append"),
        st.just("delete rows"),
        st.tuples(st.sampled_from(["add", "drop", "rename", "first", "wider"]), st.integers(0, 9)),
    ),
    min_size=1,
    max_size=6,
)
WIDER = {of.IntegerType(): of.LongType(), of.FloatType(): of.DoubleType()}


def take(step: str | tuple[str, int], theirs: Any, number: int) -> None:
    """Change the table; what cannot be is left out."""
    if step == "append":
        theirs.append(rows(theirs, dict.fromkeys(theirs.schema().column_names) | {"key": number}))
    elif step == "delete rows":
        if theirs.current_snapshot() is not None:
            theirs.delete("key < 2")
    else:
        verb, which = step
        others = [each for each in theirs.schema().fields if each.name != "key"]
        if verb == "add" or not others:
            kind = [of.IntegerType(), of.FloatType(), of.StringType(), INNER][which % 4]
            with theirs.update_schema() as update:
                update.add_column(f"c{number}", kind)
            return
        field = others[which % len(others)]
        with theirs.update_schema(allow_incompatible_changes=True) as update:
            match verb:
                case "drop":
                    update.delete_column(field.name)
                case "rename":
                    update.rename_column(field.name, f"r{number}")
                case "first":
                    update.move_first(field.name)
                case "wider" if field.field_type in WIDER:
                    update.update_column(field.name, WIDER[field.field_type])


@pytest.mark.filterwarnings("ignore:Delete operation did not match any records:UserWarning")
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(steps=STEPS)
def test_any_history_is_read_as_pyiceberg_reads_it_cold_and_warm(steps: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder, warehouse(Path(folder)) as opened:
        key = of.NestedField(1, "key", of.LongType())
        made = Written(create(opened, key, NOTE), Path(folder) / "n" / "t")
        state = made.read().state
        for number, step in enumerate(steps):
            where = made.table.metadata_location
            take(step, made.table, number)
            cold = made.read()
            agree(cold, made.table)
            warm = made.read(json.loads(json.dumps(state)))
            assert warm.coverage.unchanged is (where == made.table.metadata_location)
            assert warm.source_version == cold.source_version
            state = warm.state
        made_since = [columns_of(each) for each in made.table.schemas().values()]
        told = [shown(each) for each in (*cold.history, cold)]
        assert told[: len(made_since)] == made_since
