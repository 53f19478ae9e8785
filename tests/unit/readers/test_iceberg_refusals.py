"""What is wrong with an Iceberg table is told, with the file and what to do."""

import gzip
import io
import json
from typing import Any

import pytest

from stocktake.errors import (
    DuplicateColumnError,
    FormatMismatchError,
    InvalidSourceError,
    JobError,
    LimitExceededError,
    SourceChangedError,
    SourceNotFoundError,
    UnsupportedError,
)
from stocktake.readers.source import Limits
from stocktake.storage.stores.opening import Chunk
from tests.support.iceberg_tables import (
    as_file,
    field_of,
    list_of,
    map_of,
    metadata_of,
    read_table,
    snapshot_of,
    struct_of,
    table,
)
from tests.support.memory import MemoryObjects

ID = field_of(1, "id", "long")
FILE = "metadata/v1.metadata.json"
WHOLE = as_file(metadata_of([ID], current_snapshot_id=7, snapshots=[snapshot_of(7)]))


def refused(store: MemoryObjects, **options: Any) -> JobError:
    with pytest.raises(JobError) as caught:
        read_table(store, **options)
    assert not caught.value.retryable
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"t/data/a.parquet": b"PAR1"},
        {"t/metadata/snap-1.avro": b"Obj", "t/metadata/version-hint.text": b"1"},
        {"t/v1.metadata.json": WHOLE},
        {"t/metadata/old/v1.metadata.json": WHOLE},
        {"t2/metadata/v1.metadata.json": WHOLE},
    ],
)
def test_a_folder_without_metadata(files: dict[str, bytes]) -> None:
    error = refused(MemoryObjects(files))
    assert isinstance(error, SourceNotFoundError)
    assert "metadata" in error.detail
    assert "root folder" in error.hint


def test_the_root_of_a_delta_table() -> None:
    error = refused(MemoryObjects({"t/_delta_log/00000000000000000000.json": b"{}"}))
    assert isinstance(error, FormatMismatchError)
    assert "looks like a table of Delta" in error.detail


def test_a_file_that_an_option_names_and_that_is_not_there() -> None:
    error = refused(table(WHOLE), metadata_file="v9.metadata.json")
    assert isinstance(error, SourceNotFoundError)
    assert "metadata/v9.metadata.json" in error.detail


def test_a_metadata_file_of_a_view() -> None:
    error = refused(table({"view-uuid": "x", "format-version": 1, "schemas": []}))
    assert isinstance(error, FormatMismatchError)
    assert "view" in error.detail


def test_a_file_that_is_cut_off() -> None:
    for at in range(len(WHOLE)):
        error = refused(table(WHOLE[:at]))
        assert isinstance(error, InvalidSourceError), at
        assert error.file == FILE, at


@pytest.mark.parametrize(
    "data",
    [
        b"\0" * 100,
        b"[]",
        b"7",
        b'{"a":1} {}',
        b'{"a":1,}',
        b'{"schemas":[1,]}',
        b'{"schemas":[1 2]}',
        b'{"snapshots":[}',
        b"{1:2}",
        b'{"a" 1}',
        b'{"a":NaN}',
        b"\xff{}",
        b'{"a":' + b"[" * 200_000,
        b'{"a":' + b"9" * 5_000 + b"}",
        gzip.compress(WHOLE, mtime=0)[:-20],
        gzip.compress(WHOLE, mtime=0)[:40] + b"x" * 40,
    ],
)
def test_a_file_that_is_not_json(data: bytes) -> None:
    error = refused(table(data))
    assert isinstance(error, InvalidSourceError)
    assert (error.code, error.file) == ("invalid_source", FILE)


def without(name: str, **more: Any) -> dict[str, Any]:
    return metadata_of([ID], **{name: None}, **more)


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({}, "format-version"),
        ({"format-version": "2"}, "format-version"),
        ({"format-version": True}, "format-version"),
        ({"format-version": 0}, "format-version"),
        (without("current_schema_id"), "current-schema-id"),
        (metadata_of([ID], current_schema_id="0"), "current-schema-id"),
        (metadata_of([ID], current_schema_id=4), "holds the schemas 0"),
        (without("schemas"), "holds no schemas"),
        (metadata_of([ID], schemas=[]), "holds no schemas"),
        (metadata_of([ID], schemas={}), "holds no schemas"),
        (metadata_of([ID], schemas=[7]), "has no schema-id"),
        (metadata_of([ID], schemas=[{"fields": []}]), "has no schema-id"),
        (
            metadata_of([ID], schemas=[struct_of(ID) | {"schema-id": 0}] * 2),
            "two schemas of the id 0",
        ),
        (without("schemas", format_version=1), "neither a schema"),
        (metadata_of([ID], default_spec_id=5), "partition spec"),
        (metadata_of([ID], default_spec_id=[]), "partition spec"),
        (metadata_of([ID], partition_specs=7), "partition spec"),
        (metadata_of([ID], partition_specs=[{"spec-id": 0, "fields": 7}]), "partition spec"),
        (metadata_of([ID], partition_specs=[{"spec-id": 0, "fields": [7]}]), "partition spec"),
        (metadata_of([ID], current_snapshot_id="7"), "current-snapshot-id"),
        (metadata_of([ID], current_snapshot_id=2**63), "current-snapshot-id"),
        (metadata_of([ID], schemas=[{"schema-id": 0}]), "not a struct of named fields"),
        (metadata_of([{"id": 1, "type": "int"}]), "not a struct of named fields"),
        (metadata_of([field_of(1, "", "int")]), "cannot be stored"),
        (metadata_of([field_of(1, "a\0b", "int")]), "cannot be stored"),
        (metadata_of([{"name": "x", "type": "int"}]), "'x' has no proper id"),
        (metadata_of([field_of(-1, "x", "int")]), "'x' has no proper id"),
        (metadata_of([ID | {"required": 1}]), "'id' has no proper required"),
        (metadata_of([ID | {"required": "true"}]), "'id' has no proper required"),
        (
            metadata_of([field_of(1, "x", list_of(2, "int") | {"element-required": 0})]),
            "'x' has no proper element-required",
        ),
        (metadata_of([field_of(2**31, "x", "int")]), "'x' has no proper id"),
        (metadata_of([ID, field_of(1, "x", "int")]), "field id 1 is there twice"),
        (metadata_of([ID, field_of(2, "x", list_of(1, "int"))]), "field id 1 is there twice"),
        (metadata_of([field_of(5, "x", map_of(1, "int", struct_of(ID)))]), "id 1 is there twice"),
        (
            metadata_of([field_of(2, "x", {"type": "list", "element": "int"})]),
            "no proper element-id",
        ),
    ],
)
def test_metadata_that_contradicts_itself(metadata: dict[str, Any], said: str) -> None:
    error = refused(table(metadata))
    assert isinstance(error, InvalidSourceError)
    assert said in error.detail
    assert FILE in error.detail
    assert error.file == FILE


@pytest.mark.parametrize(
    "fields",
    [[ID, field_of(2, "id", "int")], [field_of(3, "x", struct_of(ID, field_of(2, "id", "int")))]],
)
def test_two_fields_of_one_name(fields: list[dict[str, Any]]) -> None:
    error = refused(table(metadata_of(fields)))
    assert isinstance(error, DuplicateColumnError)
    assert "'id'" in error.detail


def test_names_that_differ_in_case_are_two() -> None:
    assert len(read_table(table(metadata_of([ID, field_of(2, "ID", "int")]))).columns) == 2


@pytest.mark.parametrize("version", [4, 10**30])
def test_a_version_of_the_format_that_is_not_known(version: int) -> None:
    error = refused(table(metadata_of([ID], format_version=version)))
    assert isinstance(error, UnsupportedError)
    assert (error.code, error.file) == ("unsupported_reader_feature", FILE)
    assert "up to 3" in error.detail


@pytest.mark.parametrize(
    "kind",
    [
        *("interval", "", "decimal", "decimal(39, 2)", "decimal(0, 0)", "decimal(3, 4)"),
        *("fixed[0]", "fixed[99999999]", "fixed", "decimal(٣,1)", "geometry(", None, 7, []),
        {"type": "set"},
        {"type": "list", "element-id": 9},
    ],
)
def test_a_type_that_is_not_known(kind: Any) -> None:
    error = refused(table(metadata_of([field_of(1, "x", list_of(2, kind))])))
    assert isinstance(error, UnsupportedError)
    assert (error.code, error.file) == ("unsupported_type", FILE)
    assert "'x'" in error.detail


def test_messages_stay_short_whatever_the_file_says() -> None:
    long = "x" * 1000
    for metadata in (
        metadata_of([field_of(1, long, "interval" * 1000)]),
        metadata_of([field_of(1, long, list_of(1, "int"))]),
        metadata_of([field_of(1, long, "int"), field_of(2, long, "int")]),
        metadata_of([ID], default_spec_id=[long] * 100),
    ):
        assert len(refused(table(metadata)).detail) < 400


# --- limits -------------------------------------------------------------------------------


def test_a_file_that_is_too_large_is_not_read() -> None:
    store = table(WHOLE)
    with pytest.raises(LimitExceededError):
        read_table(store, limits=Limits(max_metadata_bytes=len(WHOLE) - 1))
    assert store.reads == []


@pytest.mark.parametrize("limits", [Limits(), Limits(max_decompression_ratio=10**9)])
def test_a_file_that_swells_is_given_up_on_in_time(limits: Limits) -> None:
    sink = io.BytesIO()
    with gzip.GzipFile(fileobj=sink, mode="wb") as packed:
        for _ in range(200):
            packed.write(b" " * 1024**2)
    with pytest.raises(LimitExceededError) as caught:
        read_table(table(sink.getvalue(), "v1.gz.metadata.json"), limits=limits)
    assert caught.value.file == "metadata/v1.gz.metadata.json"


class Rewritten(MemoryObjects):
    """A store whose file grows when it is about to be read."""

    def get(self, path: str, *, start: int = 0, length: int | None = None) -> Chunk:
        if length != 0:
            self.put(path, WHOLE + b" " * len(self.reads))
            self.reads.append((path, 0))
        return super().get(path, start=start, length=length)


def test_a_file_that_is_rewritten_while_it_is_read_is_read_again() -> None:
    store = Rewritten({"t/metadata/v1.metadata.json": WHOLE[:-1] + b" }"})
    with pytest.raises(SourceChangedError) as caught:
        read_table(store)
    assert caught.value.file == FILE
    assert store.listed == ["t/metadata/"] * 2


def test_a_file_that_goes_away_is_looked_for_once_more() -> None:
    class Moving(MemoryObjects):
        def get(self, path: str, *, start: int = 0, length: int | None = None) -> Chunk:
            if path.endswith("v1.metadata.json"):
                self.remove(path)
                self.put("t/metadata/v2.metadata.json", WHOLE)
            return super().get(path, start=start, length=length)

    found = read_table(Moving({"t/metadata/v1.metadata.json": WHOLE}))
    assert found.source_version == "7"


def test_a_value_that_would_take_much_memory_is_not_decoded() -> None:
    """Decoded it would be thirty times as large."""
    import tracemalloc

    many = json.dumps(metadata_of([ID]))[:-1]
    for bomb in (
        f'{many},"x":{{"y":[{"{}," * 4_000_000}0]}}}}',
        f'{many},"x":[[{"[]," * 4_000_000}0]]}}',
        f'{many},"x":"{"y" * 5_000_000}"}}',
    ):
        tracemalloc.start()
        try:
            error = refused(table(bomb.encode()))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert isinstance(error, LimitExceededError)
        assert error.file == FILE
        assert peak < 200 * 1024**2


@pytest.mark.parametrize("key", ["schemas", "partition-specs", "partition-spec"])
def test_parts_in_any_number_are_refused(key: str) -> None:
    parts = [{"schema-id": number, "spec-id": number} for number in range(10_001)]
    error = refused(table(metadata_of([ID]) | {key: parts}))
    assert isinstance(error, LimitExceededError)
    assert "10,000" in error.detail


@pytest.mark.parametrize("length", [*range(4080, 4100), 65_530, 65_536, 100_000])
def test_values_of_any_length_are_read_whole(length: int) -> None:
    metadata = metadata_of([ID], current_snapshot_id=7, snapshots=[snapshot_of(7)])
    text = json.dumps({"x": "y" * length, "z": int("1" * 4200)} | metadata)
    assert read_table(table(text.encode())).row_count == 30


def test_a_snapshot_is_found_wherever_the_file_says_which_it_is() -> None:
    metadata = metadata_of([ID], snapshots=[snapshot_of(6, total_records="5"), snapshot_of(7)])
    for members in (
        {"current-snapshot-id": 6} | metadata | {"current-snapshot-id": 6},
        {key: each for key, each in metadata.items() if key != "current-snapshot-id"}
        | {"current-snapshot-id": 6},
    ):
        assert read_table(table(members)).row_count == 5


def test_many_snapshots_take_no_memory_of_their_own() -> None:
    """Each is decoded and let go: what is in memory is the file's text, twice."""
    import tracemalloc

    snapshots = [json.dumps(snapshot_of(number)) for number in range(20_000)]
    metadata = json.dumps(metadata_of([ID], current_snapshot_id=19_999, snapshots=["HERE"]))
    data = metadata.replace('"HERE"', ",".join(snapshots)).encode()
    store = table(data)
    tracemalloc.start()
    try:
        found = read_table(store)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.row_count == 30
    assert peak < 4 * len(data)


def test_totals_that_are_no_numbers_are_not_held() -> None:
    """Where the file tells only at its end which snapshot is the current one, all are."""
    import tracemalloc

    large = snapshot_of(7) | {"summary": {"total-records": [[]] * 1_000}}
    metadata = metadata_of([ID], current_snapshot_id=8, snapshots=[])
    del metadata["current-snapshot-id"]
    snapshots = [large | {"snapshot-id": number} for number in range(1_000)]
    data = as_file(metadata | {"snapshots": snapshots, "current-snapshot-id": 8})
    store = table(data)
    tracemalloc.start()
    try:
        found = read_table(store)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.row_count is None
    assert peak < 4 * len(data)
