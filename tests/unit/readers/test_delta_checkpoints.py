"""Damaged, incomplete and odd checkpoints: what is whole beside them is read, and nothing else."""

from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stocktake.errors import InvalidSourceError, SourceNotFoundError
from stocktake.readers.delta.checkpoint import OpenCheckpoint
from stocktake.readers.delta.listing import Listing
from stocktake.readers.delta.log import DeltaLog
from stocktake.readers.source import Limits, no_progress
from stocktake.storage.stores.protocol import ObjectInfo
from tests.support.delta_tables import (
    CountingFolder,
    HandWrittenLog,
    add_action,
    checkpoint_name,
    field_of,
    metadata_action,
    protocol_action,
    read_table,
    remove_action,
)

ID, NAME = field_of("id", "long"), field_of("name", "string")
ACTIONS = (protocol_action(), metadata_action(ID, NAME))
UUIDS = ("0b3c9f3e-4c0a-4d8e-8f6b-0123456789ab", "f0000000-4c0a-4d8e-8f6b-0123456789ab")


@pytest.fixture
def log(tmp_path: Path) -> HandWrittenLog:
    return HandWrittenLog(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> CountingFolder:
    return CountingFolder(tmp_path)


def part(version: int, number: int, of: int) -> str:
    return f"{version:020}.checkpoint.{number:010}.{of:010}.parquet"


def uuid_name(version: int, number: int = 0, suffix: str = "parquet") -> str:
    return f"{version:020}.checkpoint.{UUIDS[number]}.{suffix}"


def write(log: HandWrittenLog, *checkpoint: str) -> None:
    """A whole checkpoint of one file or of some parts."""
    for at, name in enumerate(checkpoint):
        if name.endswith(".json"):
            log.write(name, *ACTIONS)
        else:
            log.checkpoint(name, *(ACTIONS if at == 0 else ()), files=2)


def read(store: CountingFolder) -> tuple[int | str | None, list[str]]:
    found = read_table(store)
    return found.source_version, [column.name for column in found.columns]


CLASSIC = (checkpoint_name(2),)
PARTS = (part(2, 1, 2), part(2, 2, 2))
KINDS = {
    "classic": CLASSIC,
    "parts": PARTS,
    "other parts": tuple(part(2, number, 3) for number in (1, 2, 3)),
    "uuid": (uuid_name(2),),
    "uuid json": (uuid_name(2, 1, "json"),),
}
DAMAGES = {
    "empty": lambda data: b"",
    "torn": lambda data: data[: len(data) // 2],
    "no trailer": lambda data: b"PAR1" * 10,
    "zeros": lambda data: bytes(len(data)),
}


@pytest.mark.parametrize("damage", sorted(DAMAGES))
@pytest.mark.parametrize(("torn", "whole"), [*permutations(sorted(KINDS), 2)])
@pytest.mark.parametrize("hinted", [True, False])
def test_whole_checkpoint_of_a_version_stands_in_for_a_damaged_one(
    log: HandWrittenLog, store: CountingFolder, torn: str, whole: str, damage: str, hinted: bool
) -> None:
    """The commits before are gone, as log cleanup leaves it."""
    write(log, *KINDS[torn])
    write(log, *KINDS[whole])
    for name in KINDS[torn]:
        path = log.folder / name
        path.write_bytes(DAMAGES[damage](path.read_bytes()))
    log.appends(3, 4)
    if hinted:
        parts = len(KINDS[torn])
        log.last_checkpoint({"version": 2, **({"parts": parts} if parts > 1 else {})})
    found = read_table(store)
    assert (found.source_version, [each.name for each in found.columns]) == (4, ["id", "name"])
    assert read_table(store, counted=True).source_version == 4
    # The whole one need not be the last that was tried.
    for warning in found.warnings:
        assert warning.code == "checkpoint_passed_over"
        assert warning.file in {f"_delta_log/{name}" for name in KINDS[torn]}


def test_damaged_checkpoint_is_said(log: HandWrittenLog, store: CountingFolder) -> None:
    log.commit(0, *ACTIONS)
    log.appends(1, 2)
    (log.folder / checkpoint_name(1)).write_bytes(b"PAR1")
    found = read_table(store)
    [warning] = found.warnings
    assert warning.code == "checkpoint_passed_over"
    assert warning.file == f"_delta_log/{checkpoint_name(1)}"
    again = read_table(store, state=found.state)
    assert (again.coverage.unchanged, again.warnings) == (True, found.warnings)


@pytest.mark.parametrize(
    "left",
    [
        (part(6, 1, 2),),
        (part(6, 2, 2),),
        (part(6, 1, 3), part(6, 3, 3)),
        (part(6, 1, 2), part(6, 3, 2)),
        (part(6, 0, 2), part(6, 1, 2)),
        (part(6, 1, 3), part(6, 2, 2)),
        (part(10**19, 1, 2),),
    ],
    ids=str,
)
def test_parts_of_an_incomplete_checkpoint_make_no_version(
    log: HandWrittenLog, store: CountingFolder, left: tuple[str, ...]
) -> None:
    log.commit(0, *ACTIONS)
    log.appends(1, 2, 3, 4)
    for name in left:
        log.checkpoint(name, protocol_action(), metadata_action(field_of("stray", "long")))
    assert read(store) == (4, ["id", "name"])
    log.last_checkpoint({"version": 6, "parts": 2})
    assert read(store) == (4, ["id", "name"])


def test_incomplete_checkpoint_alone_is_no_log(log: HandWrittenLog, store: CountingFolder) -> None:
    log.checkpoint(part(6, 1, 2), *ACTIONS)
    with pytest.raises(SourceNotFoundError, match="no Delta log"):
        read_table(store)


def test_damaged_checkpoint_of_one_file_beyond_the_commits_is_never_passed_over(
    log: HandWrittenLog, store: CountingFolder
) -> None:
    """Its version was there: an older one would be stale."""
    log.commit(0, *ACTIONS)
    (log.folder / checkpoint_name(2)).write_bytes(b"")
    with pytest.raises(InvalidSourceError):
        read_table(store)


class TestLacking:
    @pytest.mark.parametrize("lacking", ["protocol", "metaData", "both"])
    @pytest.mark.parametrize("name", [checkpoint_name(3), uuid_name(3), uuid_name(3, 0, "json")])
    def test_action_that_a_later_commit_has_is_not_missed(
        self, log: HandWrittenLog, store: CountingFolder, lacking: str, name: str
    ) -> None:
        there = [each for each in ACTIONS if lacking not in each and lacking != "both"]
        if name.endswith("json"):
            log.write(name, *there)
        else:
            log.checkpoint(name, *there, files=2)
        log.commit(4, *ACTIONS)
        assert read(store) == (4, ["id", "name"])

    @pytest.mark.parametrize("lacking", ["protocol", "metaData"])
    def test_action_that_is_nowhere_is_said_with_the_file(
        self, log: HandWrittenLog, store: CountingFolder, lacking: str
    ) -> None:
        log.checkpoint(checkpoint_name(3), *(each for each in ACTIONS if lacking not in each))
        log.appends(4)
        with pytest.raises(
            InvalidSourceError, match=f"no {lacking} action up to version 4"
        ) as raised:
            read_table(store)
        assert raised.value.file == f"_delta_log/{checkpoint_name(3)}"
        assert raised.value.file in raised.value.detail

    def test_incomplete_action_that_was_superseded_harms_nobody(
        self, log: HandWrittenLog, store: CountingFolder
    ) -> None:
        incomplete = ({"metaData": {"id": "a"}}, {"protocol": {"minWriterVersion": 2}})
        log.write(uuid_name(3, 0, "json"), *incomplete)
        log.commit(4, *ACTIONS)
        assert read(store) == (4, ["id", "name"])

    def test_incomplete_action_of_a_checkpoint_gives_way_to_the_commits(
        self, log: HandWrittenLog, store: CountingFolder
    ) -> None:
        log.commit(0, *ACTIONS)
        log.appends(1)
        log.write(uuid_name(1, 0, "json"), protocol_action(), {"metaData": {"id": "a"}})
        assert read(store) == (1, ["id", "name"])

    def test_incomplete_action_of_a_commit_is_told_at_once(
        self, log: HandWrittenLog, store: CountingFolder
    ) -> None:
        """No other checkpoint mends it, so none is tried."""
        log.commit(0, *ACTIONS)
        log.appends(*range(1, 30))
        for version in range(2, 20):
            log.checkpoint(checkpoint_name(version), *ACTIONS)
        log.commit(29, {"metaData": {}})
        with pytest.raises(InvalidSourceError, match="without a schemaString") as caught:
            read_table(store)
        assert caught.value.file == f"_delta_log/{29:020}.json"
        assert store.count("tail") == 1


def as_held(kind: pa.DataType, text: pa.DataType) -> pa.DataType:
    """A type with its texts held in another way."""
    if pa.types.is_struct(kind):
        return pa.struct([each.with_type(as_held(each.type, text)) for each in kind])
    if pa.types.is_list(kind):
        return pa.list_(as_held(kind.value_type, text))
    return text if pa.types.is_string(kind) else kind


HELD = [pa.binary(), pa.large_string(), pa.large_binary(), pa.string_view(), pa.binary_view()]


@pytest.mark.parametrize("text", HELD, ids=str)
@pytest.mark.parametrize("store_schema", [True, False])
def test_texts_are_read_however_they_are_held(
    log: HandWrittenLog, store: CountingFolder, text: pa.DataType, store_schema: bool
) -> None:
    """Some writers leave the mark of UTF-8 out; some say in Arrow's schema that they are views."""
    add = pa.struct(
        {
            "path": pa.string(),
            "size": pa.int64(),
            "stats": pa.string(),
            "deletionVector": pa.struct(
                {
                    "storageType": pa.string(),
                    "pathOrInlineDv": pa.string(),
                    "offset": pa.int32(),
                    "cardinality": pa.int64(),
                }
            ),
        }
    )
    plain = pa.schema(
        {
            "metaData": pa.struct(
                {"schemaString": pa.string(), "partitionColumns": pa.list_(pa.string())}
            ),
            "protocol": pa.struct(
                {"minReaderVersion": pa.int32(), "readerFeatures": pa.list_(pa.string())}
            ),
            "add": add,
        }
    )
    metadata = metadata_action(ID, NAME, partitions=["id"])["metaData"]
    vector = {"storageType": "u", "pathOrInlineDv": "x" * 20, "offset": 1, "cardinality": 3}
    rows: list[dict[str, Any]] = [
        {"protocol": {"minReaderVersion": 3, "readerFeatures": ["deletionVectors"]}},
        {"metaData": {key: metadata[key] for key in ("schemaString", "partitionColumns")}},
        *(
            add_action(path, stats='{"numRecords": 10}', deletionVector=vector)
            for path in ("a", "b%201", "s3://elsewhere/c")
        ),
    ]
    held = pa.schema([each.with_type(as_held(each.type, text)) for each in plain])
    table = pa.Table.from_pylist(rows, schema=plain)
    columns = [_cast(table[name], held.field(name).type) for name in held.names]
    pq.write_table(
        pa.Table.from_arrays(columns, schema=held),
        log.folder / checkpoint_name(3),
        store_schema=store_schema,
    )
    log.commit(4, remove_action("b 1", deletionVector=vector), remove_action("a"))

    found = read_table(store, counted=True)

    assert [(each.name, each.partition) for each in found.columns] == [
        ("id", True),
        ("name", False),
    ]
    assert (found.file_count, found.size_bytes, found.row_count) == (2, 200, 14)
    assert "1 of the table's 2 files" in found.warnings[0].sentence


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.Array:
    if pa.types.is_struct(kind):
        [chunk] = column.chunks
        fields = [_cast(pa.chunked_array([field]), each.type)
                  for field, each in zip(chunk.flatten(), kind, strict=True)]  # fmt: skip
        return pa.StructArray.from_arrays(fields, fields=list(kind), mask=chunk.is_null())
    if pa.types.is_list(kind):
        [chunk] = column.chunks
        values = _cast(pa.chunked_array([chunk.values]), kind.value_type)
        return pa.ListArray.from_arrays(chunk.offsets, values, mask=chunk.is_null())
    return column.cast(kind).combine_chunks()


def test_text_that_is_not_utf8_is_said(log: HandWrittenLog, store: CountingFolder) -> None:
    kinds = {"metaData": pa.struct({"schemaString": pa.binary()})}
    rows = [{"metaData": {"schemaString": b"\xff"}}]
    table = pa.Table.from_pylist(rows, schema=pa.schema(kinds))
    pq.write_table(table, log.folder / checkpoint_name(3))
    with pytest.raises(InvalidSourceError, match="its Parquet data is corrupt"):
        read_table(store)


def test_each_part_of_a_checkpoint_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A forged one of 20,000 parts took minutes, in which nothing of it was read."""
    parts = 300
    listing = Listing()
    for part in range(1, parts + 1):
        name = f"{1:020}.checkpoint.{part:010}.{parts:010}.parquet"
        at = datetime(2026, 11, 2, tzinfo=UTC)
        listing.add(ObjectInfo(path=name, size=1, etag="e", modified_at=at), name)
    [checkpoint] = listing.checkpoints()
    compared = 0

    def equal(self: object, other: object) -> bool:
        nonlocal compared
        compared += 1
        return self is other

    monkeypatch.setattr(ObjectInfo, "__eq__", equal)
    log = DeltaLog(CountingFolder(Path()), "", Limits(), no_progress)
    opened = OpenCheckpoint.of(log, checkpoint, {})
    assert (len(opened.reads()), compared) == (parts, 0)
