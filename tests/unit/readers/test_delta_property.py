"""Random histories of a Delta table, written by deltalake and read by both."""

import json
import tempfile
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable, TableFeatures, write_deltalake
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stocktake.readers.source import Introspection
from tests.support.delta_tables import CountingFolder, read_table

KINDS = {
    "Nullable(Int64)": pa.int64(),
    "Nullable(Float64)": pa.float64(),
    "Nullable(String)": pa.string(),
    "Array(Nullable(Int32))": pa.list_(pa.int32()),
    "Tuple(x Nullable(Bool))": pa.struct({"x": pa.bool_()}),
}
#: Of the features that deltalake can write, those that raise the reader's or the writer's version.
UPGRADES = {
    "ChangeDataFeed": TableFeatures.ChangeDataFeed,
    "DeletionVectors": TableFeatures.DeletionVectors,
    "TimestampWithoutTimezone": TableFeatures.TimestampWithoutTimezone,
}
Schema = dict[str, str]

STEPS = st.lists(
    st.one_of(
        st.just("append"),
        st.just("checkpoint"),
        st.just("read"),
        st.sampled_from(sorted(UPGRADES)).map(lambda name: f"upgrade {name}"),
        st.just("delete"),
        st.sampled_from(sorted(KINDS)).map(lambda kind: f"add {kind}"),
        st.sampled_from(sorted(KINDS)).map(lambda kind: f"replace {kind}"),
    ),
    max_size=8,
)


def rows_of(schema: Schema) -> pa.Table:
    arrow = pa.schema([(name, KINDS[kind]) for name, kind in schema.items()])
    return pa.Table.from_pylist([dict.fromkeys(schema)], schema=arrow)


def take(step: str, root: Path, schema: Schema) -> Schema:
    """Change the table, and give the schema that it then has."""
    verb, _, kind = step.partition(" ")
    if verb == "checkpoint":
        DeltaTable(root).create_checkpoint()
    elif verb == "upgrade":
        upgrade = UPGRADES[kind]
        DeltaTable(root).alter.add_feature(upgrade, allow_protocol_versions_increase=True)
    elif verb == "delete":
        DeltaTable(root).delete()
    elif verb == "append":
        write_deltalake(root, rows_of(schema), mode="append")
    elif verb == "add":
        schema = {**schema, f"c{len(schema)}": kind}
        write_deltalake(root, rows_of(schema), mode="append", schema_mode="merge")
    elif verb == "replace":
        schema = {"r": kind}
        write_deltalake(root, rows_of(schema), mode="overwrite", schema_mode="overwrite")
    return schema


def agree(found: Introspection, table: DeltaTable, schema: Schema) -> None:
    assert found.source_version == table.version()
    assert {column.name: column.clickhouse for column in found.columns} == schema
    assert [column.name for column in found.columns] == [
        field.name for field in table.schema().fields
    ]


def agree_on_counts(found: Introspection, table: DeltaTable) -> None:
    files = pa.table(table.get_add_actions(flatten=True))
    sizes, rows = files["size_bytes"].to_pylist(), files["num_records"].to_pylist()
    assert (found.file_count, found.size_bytes, found.row_count) == (
        len(sizes), sum(sizes), sum(rows)
    )  # fmt: skip


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS)
def test_any_history_reads_as_deltalake_reads_it_cold_and_warm(steps: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        schema = {"c0": "Nullable(Int64)"}
        write_deltalake(root, rows_of(schema))
        store = CountingFolder(root)
        state = read_table(store).state
        for step in steps:
            before, version = state, DeltaTable(root).version()
            schema = take(step, root, schema)
            table = DeltaTable(root)
            cold = read_table(store)
            agree(cold, table, schema)
            agree_on_counts(read_table(store, counted=True), table)
            if step == "read":
                state = cold.state
            warm = read_table(store, state=json.loads(json.dumps(before)))
            if before["version"] == version == table.version():
                assert warm.coverage.unchanged
            elif not warm.coverage.unchanged:
                agree(warm, table, schema)
            assert warm.source_version == table.version()
