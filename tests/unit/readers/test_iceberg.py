"""What a read of an Iceberg table answers: which file it takes, and what that one says."""

import gzip
import json
from typing import Any

import pytest

from stocktake.errors import FormatMismatchError
from stocktake.readers import introspect
from stocktake.readers.source import Introspection, Limits, Source
from stocktake.schema.diff import Rename, diff
from stocktake.schema.formats import TableFormat
from stocktake.schema.warnings import WarningCode
from tests.support.iceberg_tables import (
    as_file,
    field_of,
    list_of,
    metadata_of,
    read_table,
    snapshot_of,
    struct_of,
    table,
)
from tests.support.memory import MemoryObjects

UUID = "5f1c4c5e-6f2f-4f4b-9d1c-0c7c4b1c0001"
ID, NOTE = field_of(1, "id", "long", required=True), field_of(2, "note", "string")


def named(column: str) -> bytes:
    """A metadata file that is told from others by its only column."""
    return as_file(metadata_of([field_of(1, column, "long")]))


def names(found: Introspection) -> list[str]:
    return [column.name for column in found.columns]


def test_columns_are_those_of_the_current_schema_in_its_order() -> None:
    metadata = metadata_of([NOTE], [NOTE, ID], [ID, NOTE], current_schema_id=1)
    found = read_table(table(metadata))
    assert [
        (each.name, each.clickhouse, each.nullable, each.field_id) for each in found.columns
    ] == [
        ("note", "Nullable(String)", True, 2),
        ("id", "Int64", False, 1),
    ]


def test_cold_read_is_one_listing_and_one_file_and_warm_one_is_a_listing() -> None:
    store = table(metadata_of([ID], current_snapshot_id=7, snapshots=[snapshot_of(7)]))
    store.put("t/metadata/snap-7.avro", b"Obj")
    store.put("t/data/part-0.parquet", b"PAR1")
    found = read_table(store)
    assert store.listed == ["t/metadata/"]
    assert [path for path, _ in store.reads] == ["t/metadata/v1.metadata.json"]
    assert (found.coverage.files_matched, found.coverage.files_read) == (2, 1)
    assert found.coverage.bytes_read == store.reads[0][1]

    store.reads.clear()
    state = json.loads(json.dumps(found.state))
    again = read_table(store, state=state)
    assert again.coverage.unchanged
    assert (store.listed, store.reads) == (["t/metadata/"] * 2, [])
    assert (again.columns, again.history) == ((), ())
    assert again.state == found.state
    told = [(each.source_version, each.row_count, each.size_bytes) for each in (found, again)]
    assert told == [("7", 30, 4000)] * 2
    assert found.file_count == again.file_count == 3


@pytest.mark.parametrize(
    "change",
    [
        lambda store: store.put("t/metadata/v2.metadata.json", named("b")),
        lambda store: store.put("t/metadata/v1.metadata.json", named("b")),
        lambda store: store.put("t/metadata/v1.gz.metadata.json", gzip.compress(named("b"))),
    ],
    ids=["another file", "the same name, other bytes", "the same number"],
)
def test_a_table_that_changed_is_read_afresh(change: Any) -> None:
    store = table(named("a"))
    state = read_table(store).state
    change(store)
    assert names(read_table(store, state=state)) == ["b"]


@pytest.mark.parametrize(
    "broken", [{"reader_version": 0}, {"name": 7}, {"counts": {"x": 1}}, {"warnings": [{}]}]
)
def test_a_state_that_is_not_ours_is_read_afresh(broken: dict[str, Any]) -> None:
    store = table(named("a"))
    assert names(read_table(store, state=read_table(store).state | broken)) == ["a"]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        # by number, not by text, and whatever was written last
        (["v10.metadata.json", "v9.metadata.json"], "v10.metadata.json"),
        ([f"00010-{UUID}.metadata.json", f"00009-{UUID}.metadata.json"], f"00010-{UUID}.metadata"),
        (["v2.gz.metadata.json", "v1.metadata.json"], "v2.gz.metadata.json"),
        (["v2.metadata.json.gz", "v1.metadata.json"], "v2.metadata.json.gz"),
        ([f"00002-{UUID}.gz.metadata.json", "v1.metadata.json"], "00002"),
        # of one number the newest
        ([f"00001-{UUID}.metadata.json", "00001-0.metadata.json"], "00001-0.metadata.json"),
        # what a writer left of a commit has no number
        (["v1.metadata.json", f"{UUID}.metadata.json"], "v1.metadata.json"),
        (["metadata.json", "a.metadata.json"], "a.metadata.json"),
        # a number that no database holds is none
        (["v1.metadata.json", f"v{'9' * 30}.metadata.json"], "v1.metadata.json"),
        # what is no metadata file, and what lies deeper
        (["v1.metadata.json", ".v2.metadata.json.crc", "version-hint.text"], "v1.metadata.json"),
        (["v1.metadata.json", "old/v2.metadata.json"], "v1.metadata.json"),
        (["a.metadata.json", "_b.metadata.json", ".c.metadata.json"], "a.metadata.json"),
    ],
)
def test_the_file_of_the_highest_number_is_read(files: list[str], expected: str) -> None:
    store = MemoryObjects()
    for name in files:
        data = named(name)
        store.put(f"t/metadata/{name}", gzip.compress(data) if "gz" in name else data)
    [found] = names(read_table(store))
    assert found.startswith(expected)


def test_a_file_that_is_compressed_is_known_by_its_bytes() -> None:
    packed = table(gzip.compress(named("a")), "v1.metadata.json")
    plain = table(named("a"), "v1.gz.metadata.json")
    assert names(read_table(packed)) == names(read_table(plain)) == ["a"]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["v1", "v2"], None),
        (["v2", "v1"], "v2.metadata.json, of the highest number, was read, though v1"),
        (["v1", "00001-0"], "2 metadata files have one number, and the newest of them, 00001-0"),
    ],
)
def test_a_doubt_about_the_file_is_said(files: list[str], said: str | None) -> None:
    store = MemoryObjects({f"t/metadata/{name}.metadata.json": named(name) for name in files})
    found = read_table(store)
    assert [each.code for each in found.warnings] == [WarningCode.METADATA_UNSURE] * bool(said)
    for warning in found.warnings:
        assert warning.sentence.startswith(said)
        assert warning.file == f"metadata/{names(found)[0]}.metadata.json"
    assert read_table(store, state=found.state).warnings == found.warnings


def test_an_option_names_the_file() -> None:
    store = MemoryObjects(
        {f"t/metadata/v{number}.metadata.json": named(f"c{number}") for number in (1, 2)}
    )
    found = read_table(store, metadata_file="v1.metadata.json")
    assert (names(found), store.listed, found.warnings) == (["c1"], [], ())
    again = read_table(store, state=found.state, metadata_file="v1.metadata.json")
    assert again.coverage.unchanged
    assert names(read_table(store, state=found.state)) == ["c2"]
    assert names(read_table(store, state=found.state, metadata_file=None)) == ["c2"]


@pytest.mark.parametrize(
    ("more", "version"),
    [
        ({"current_snapshot_id": 2**62 + 1}, str(2**62 + 1)),
        ({"current_snapshot_id": -1}, 1),
        ({"current_snapshot_id": None}, 1),
        # a snapshot that expired is still the version
        ({"current_snapshot_id": 8}, "8"),
    ],
)
def test_the_version_is_the_snapshot_or_else_the_files_number(
    more: dict[str, Any], version: int | str
) -> None:
    assert read_table(table(metadata_of([ID], **more))).source_version == version


def test_a_table_that_nothing_was_written_to_has_no_rows() -> None:
    found = read_table(table(metadata_of([ID]), "x.metadata.json"))
    assert (found.source_version, found.row_count, found.size_bytes, found.file_count) == (
        None,
        0,
        0,
        0,
    )


@pytest.mark.parametrize(
    ("version", "summary", "expected"),
    [
        (2, {}, (30, 4000, 3)),
        (2, {"total_position_deletes": "1"}, (30, 4000, 3)),
        (2, {"total_position_deletes": "1", "total_delete_files": "1"}, (None, 4000, 3)),
        (3, {"total_equality_deletes": "1", "total_delete_files": None}, (None, 4000, 3)),
        (2, {"total_delete_files": None}, (30, 4000, 3)),
        (2, {"total_delete_files": None, "total_position_deletes": None}, (None, 4000, 3)),
        (1, {"total_delete_files": None, "total_position_deletes": None}, (30, 4000, 3)),
        (2, {"total_records": None, "total_files_size": "x"}, (None, None, 3)),
        (2, {"total_records": str(2**63), "total_data_files": "9" * 5000}, (None, 4000, None)),
        (2, {"total_records": "-1", "total_data_files": "٣"}, (None, 4000, None)),
    ],
)
def test_counts_are_told_where_they_are_exact(
    version: int, summary: dict[str, Any], expected: tuple[int | None, ...]
) -> None:
    snapshots = [snapshot_of(6), snapshot_of(7, **summary)]
    metadata = metadata_of([ID], format_version=version, current_snapshot_id=7, snapshots=snapshots)
    found = read_table(table(metadata))
    assert (found.row_count, found.size_bytes, found.file_count) == expected


@pytest.mark.parametrize("snapshots", [None, [], {}, [7, {"snapshot-id": 7}, {"summary": []}]])
def test_counts_of_a_snapshot_that_is_not_there_are_unknown(snapshots: Any) -> None:
    found = read_table(table(metadata_of([ID], current_snapshot_id=7, snapshots=snapshots)))
    assert (found.row_count, found.size_bytes, found.file_count) == (None, None, None)


def test_columns_that_are_taken_as_they_are_for_partitions_are_marked() -> None:
    spec = [
        {"source-id": 2, "field-id": 1000, "name": "note", "transform": "identity"},
        {"source-id": 1, "field-id": 1001, "name": "id_bucket", "transform": "bucket[4]"},
        {"source-id": 9, "field-id": 1002, "name": "gone", "transform": "identity"},
        {"source-id": 1, "field-id": 1003, "name": "never", "transform": "void"},
    ]
    older = {"spec-id": 0, "fields": [{"source-id": 1, "transform": "identity"}]}
    specs = [older, {"spec-id": 3, "fields": spec}]
    found = read_table(table(metadata_of([ID, NOTE], partition_specs=specs, default_spec_id=3)))
    assert [(each.name, each.partition) for each in found.columns] == [
        ("id", False),
        ("note", True),
    ]


def test_the_first_version_of_the_format_is_read() -> None:
    """With neither a list of schemas nor one of specs, which came later."""
    metadata = metadata_of(
        [],
        format_version=1,
        schema=struct_of(ID, NOTE),
        partition_spec=[{"source-id": 1, "field-id": 1000, "name": "id", "transform": "identity"}],
        **dict.fromkeys(("schemas", "current_schema_id", "partition_specs", "default_spec_id")),
    )
    found = read_table(table(metadata))
    assert [(each.name, each.partition) for each in found.columns] == [
        ("id", True),
        ("note", False),
    ]
    assert found.history == ()


def test_a_rename_is_one_by_the_fields_id() -> None:
    renamed = field_of(1, "ident", "long", required=True)
    store = table(metadata_of([ID, NOTE]))
    before = read_table(store).columns
    store.put("t/metadata/v2.metadata.json", as_file(metadata_of([ID, NOTE], [NOTE, renamed])))
    change = diff(before, read_table(store).columns)
    assert change.renamed == (Rename(old="id", new="ident"),)
    assert (change.added, change.removed, change.reordered) == ((), (), True)


# --- the history --------------------------------------------------------------------------


def past(found: Introspection) -> list[tuple[list[str], int | str | None]]:
    return [
        ([column.name for column in each.columns], each.source_version) for each in found.history
    ]


def test_the_first_read_tells_the_earlier_schemas_and_their_first_snapshots() -> None:
    a, b, c = ([field_of(1, name, "long")] for name in "abc")
    snapshots = [snapshot_of(5), snapshot_of(6), snapshot_of(7, schema=2), snapshot_of(8, schema=2)]
    metadata = metadata_of(a, b, c, current_snapshot_id=8, snapshots=snapshots)
    found = read_table(table(metadata))
    assert past(found) == [(["a"], "5"), (["b"], None)]
    assert names(found) == ["c"]


def test_the_schema_that_was_gone_back_to_is_in_the_history() -> None:
    a, b, c = ([field_of(1, name, "long")] for name in "abc")
    found = read_table(table(metadata_of(a, b, c, current_schema_id=1)))
    assert [each for each, _ in past(found)] == [["a"], ["b"], ["c"]]
    assert names(found) == ["b"]


def test_later_reads_tell_no_history() -> None:
    store = table(metadata_of([ID]))
    state = read_table(store).state
    store.put("t/metadata/v2.metadata.json", as_file(metadata_of([ID], [ID, NOTE])))
    assert read_table(store, state=state).history == ()


def test_the_history_is_bounded_and_what_is_left_out_is_said() -> None:
    schemas = [[field_of(1, f"c{number}", "long")] for number in range(103)]
    found = read_table(table(metadata_of(*schemas)))
    assert [each for each, _ in past(found)] == [[f"c{number}"] for number in range(2, 102)]
    [warning] = found.warnings
    assert warning.code is WarningCode.HISTORY_LEFT_OUT
    assert warning.sentence.startswith("2 earlier schemas ")

    small = read_table(table(metadata_of(*schemas)), limits=Limits(max_schema_bytes=1024))
    assert 0 < len(small.history) < 10
    assert small.history[-1] == found.history[-1]


def test_an_earlier_schema_that_cannot_be_read_does_not_stand_in_the_way() -> None:
    odd = [field_of(1, "x", "interval")]
    twice = [ID, field_of(1, "again", "long")]
    found = read_table(table(metadata_of(odd, twice, [NOTE], [ID])))
    assert past(found) == [(["note"], None)]
    assert found.warnings[0].sentence.startswith("2 earlier schemas ")


# --- other formats ------------------------------------------------------------------------


def test_a_field_of_any_name_inside_of_snapshots_is_no_member_of_the_table() -> None:
    decoy = snapshot_of(7) | {"current-schema-id": 9, "schemas": [], "format-version": 9}
    text = json.dumps(metadata_of([ID], snapshots=[decoy], current_snapshot_id=7), indent=2)
    found = read_table(table(text.encode()))
    assert (names(found), found.row_count) == (["id"], 30)


@pytest.mark.parametrize("path", ["t", "t/", "t/**"])
@pytest.mark.parametrize("table_format", [TableFormat.CSV_WITH_NAMES, TableFormat.JSON_EACH_ROW])
def test_an_iceberg_table_that_is_declared_another_format_is_told(
    path: str, table_format: TableFormat
) -> None:
    store = table(metadata_of([ID]))
    store.put("t/metadata/0-m0.avro", b"Obj")
    source = Source(store=store, path=path, format=table_format)
    with pytest.raises(FormatMismatchError, match="looks like a table of Iceberg"):
        introspect(source)


@pytest.mark.parametrize(
    ("file", "path"),
    [
        ("t/metadata/report.json", "t/**"),
        ("t/metadata/report.metadata.json", "t/**"),
        ("t/metadata/v1.metadata.json", "t/metadata/*.json"),
        ("t/metadata/v1.metadata.json", "t/metadata/v1.metadata.json"),
        ("t/v1.metadata.json", "t/**"),
    ],
)
def test_a_folder_called_metadata_is_no_proof_of_an_iceberg_table(file: str, path: str) -> None:
    store = MemoryObjects({file: b'{"a":1}\n'})
    assert names(introspect(Source(store=store, path=path, format=TableFormat.JSON_EACH_ROW))) == [
        "a"
    ]


def test_list_of_structs_has_ids_of_its_own() -> None:
    inner = struct_of(field_of(5, "a", "int"), field_of(6, "b", "string", required=True))
    found = read_table(table(metadata_of([field_of(1, "x", list_of(4, inner))])))
    assert found.columns[0].clickhouse == "Array(Tuple(a Nullable(Int32), b Nullable(String)))"
