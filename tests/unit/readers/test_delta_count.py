"""Counting live files where it is asked for: hand-written logs, each with the answer by hand."""

import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stocktake.errors import InvalidSourceError, LimitExceededError
from stocktake.readers.delta import adds, replay
from stocktake.readers.source import Introspection, Limits
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
from tests.support.parquet_schemas import with_one_chunk_more, with_row_groups

ACTIONS = (protocol_action(), metadata_action(field_of("a", "long")))
UUID = "0b3c9f3e-4c0a-4d8e-8f6b-0123456789ab"

VECTOR = pa.struct(
    {
        "storageType": pa.string(),
        "pathOrInlineDv": pa.string(),
        "offset": pa.int32(),
        "sizeInBytes": pa.int32(),
        "cardinality": pa.int64(),
    }
)
ADD = {"path": pa.string(), "size": pa.int64(), "deletionVector": VECTOR}
STATS = {"stats": pa.string()}
PARSED = {"stats_parsed": pa.struct({"numRecords": pa.int64()})}


@pytest.fixture
def log(tmp_path: Path) -> HandWrittenLog:
    return HandWrittenLog(tmp_path)


def add(path: str, rows: int | None = 10, **more: Any) -> dict[str, Any]:
    stats = {} if rows is None else {"stats": json.dumps({"numRecords": rows})}
    return add_action(path, **stats, **more)


def vector(cardinality: int, offset: int | None = 1, path: str = "ab^-aqEH.-t@S}K{vb[*k^") -> Any:
    return {
        "storageType": "u",
        "pathOrInlineDv": path,
        "offset": offset,
        "sizeInBytes": 40,
        "cardinality": cardinality,
    }


def write_adds(path: Path, *adds: dict[str, Any], stats: dict[str, Any], **more: Any) -> None:
    """Some add actions in a Parquet file of a checkpoint, beside rows of other actions."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kinds = {"add": pa.struct({**ADD, **stats}), **{name: kind for name, (kind, _) in more.items()}}
    rows = [{"add": each["add"]} for each in adds]
    rows += [{name: value} for name, (_, values) in more.items() for value in values]
    pq.write_table(pa.Table.from_pylist(rows, schema=pa.schema(kinds)), path)


def parquet_of(**columns: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def counts(log: HandWrittenLog, **limits: int) -> tuple[int | None, int | None, int | None]:
    found = counted(log, **limits)
    return found.file_count, found.size_bytes, found.row_count


def counted(log: HandWrittenLog, **limits: int) -> Introspection:
    return read_table(CountingFolder(log.root), limits=Limits(**limits), counted=True)


def test_counts_are_not_taken_unless_asked_for(log: HandWrittenLog) -> None:
    log.commit(0, *ACTIONS, add("x"))
    found = read_table(CountingFolder(log.root))
    assert (found.file_count, found.size_bytes, found.row_count) == (None, None, None)


def test_removed_files_are_not_counted_and_added_again_are(log: HandWrittenLog) -> None:
    log.commit(0, *ACTIONS, add("x", 1), add("y", 2), add("z", 4))
    log.commit(1, remove_action("x"), remove_action("y"))
    log.commit(2, add("x", 8))
    assert counts(log) == (2, 200, 12)


def test_file_that_is_added_twice_counts_as_the_newer_says(log: HandWrittenLog) -> None:
    log.commit(0, *ACTIONS, add("x", 1))
    log.commit(1, add("x", 8, size=50))
    assert counts(log) == (1, 50, 8)


def test_deletion_vector_takes_its_rows_away(log: HandWrittenLog) -> None:
    log.commit(0, *ACTIONS, add("x", 10), add("y", 10))
    log.commit(1, remove_action("x"), add("x", 10, deletionVector=vector(3)))
    log.commit(
        2,
        remove_action("x", deletionVector=vector(3)),
        add("x", 10, deletionVector=vector(4, offset=9)),
    )
    assert counts(log) == (2, 200, 16)


def test_file_is_told_by_its_vector_too(log: HandWrittenLog) -> None:
    """The remove of one state of a file leaves the other alone."""
    log.commit(0, *ACTIONS, add("x", 10, deletionVector=vector(3)))
    log.commit(1, remove_action("x"), remove_action("x", deletionVector=vector(3, offset=None)))
    assert counts(log) == (1, 100, 7)


def test_encoded_and_plain_spelling_name_one_file(log: HandWrittenLog) -> None:
    log.commit(0, *ACTIONS, add("day=1%202/x"), add("y"))
    log.commit(1, remove_action("day=1 2/x"))
    assert counts(log) == (1, 100, 10)


@pytest.mark.parametrize("stats", ["{}", "no json", '{"numRecords": "3"}', "[]", None])
def test_rows_are_unknown_where_one_file_does_not_tell(
    log: HandWrittenLog, stats: str | None
) -> None:
    log.commit(0, *ACTIONS, add("x"), add_action("y", stats=stats))
    assert counts(log) == (2, 200, None)


@pytest.mark.parametrize("kind", ["stats", "parsed"])
def test_checkpoint_is_counted_but_for_what_came_after(log: HandWrittenLog, kind: str) -> None:
    def one(path: str, rows: int, **more: Any) -> dict[str, Any]:
        told = {"stats": json.dumps({"minValues": {"numRecords": 99}, "numRecords": rows})}
        return add_action(
            path, **(told if kind == "stats" else {"stats_parsed": {"numRecords": rows}}), **more
        )

    log.commit(0, *ACTIONS)
    log.checkpoint(checkpoint_name(5), *ACTIONS)
    actions = pq.read_table(log.folder / checkpoint_name(5))
    write_adds(
        log.folder / checkpoint_name(5),
        one("x", 1),
        one("y%201", 2),
        one("z", 10, deletionVector=vector(3)),
        one("w", 20, deletionVector=vector(5)),
        stats=STATS if kind == "stats" else PARSED,
        metaData=(actions.schema.field("metaData").type, actions["metaData"].to_pylist()),
        protocol=(actions.schema.field("protocol").type, actions["protocol"].to_pylist()),
    )
    log.commit(6, remove_action("y 1"), remove_action("x", deletionVector=vector(1)))
    log.commit(7, remove_action("z", deletionVector=vector(3)), add("z", 10))
    log.last_checkpoint({"version": 5, "size": 6})
    # x 1, w 20 - 5, z 10
    assert counts(log) == (3, 300, 26)


def sidecar_table(log: HandWrittenLog, manifest: str, *sidecars: str) -> None:
    v2 = protocol_action(3, 7, readerFeatures=["v2Checkpoint"], writerFeatures=["v2Checkpoint"])
    metadata = metadata_action(field_of("a", "long"))
    name = f"{3:020}.checkpoint.{UUID}.{manifest}"
    listed = [{"path": each, "sizeInBytes": 1, "modificationTime": 1} for each in sidecars]
    if manifest == "json":
        log.write(name, v2, metadata, *({"sidecar": each} for each in listed), add("inline", 100))
    else:
        log.checkpoint(name, v2, metadata)
        actions = pq.read_table(log.folder / name)
        kind = pa.struct({"path": pa.string(), "sizeInBytes": pa.int64()})
        write_adds(
            log.folder / name,
            add("inline", 100),
            stats=STATS,
            metaData=(actions.schema.field("metaData").type, actions["metaData"].to_pylist()),
            protocol=(actions.schema.field("protocol").type, actions["protocol"].to_pylist()),
            sidecar=(kind, listed),
        )
    log.last_checkpoint({"version": 3, "size": 9, "v2Checkpoint": {"path": name}})
    log.commit(4, remove_action("b"), add("c", 7))


@pytest.mark.parametrize("manifest", ["json", "parquet"])
def test_sidecars_are_counted(log: HandWrittenLog, manifest: str) -> None:
    folder = log.folder / "_sidecars"
    write_adds(folder / "one.parquet", add("a", 1), add("b", 2), stats=STATS)
    write_adds(folder / "two two.parquet", add("d", 4), stats=STATS)
    sidecar_table(log, manifest, "one.parquet", "two%20two.parquet")
    assert counts(log) == (4, 400, 112)


def test_sidecars_of_a_store_far_away_are_read_at_once(log: HandWrittenLog) -> None:
    rounds = list[int]()
    for count in (1, 8):
        sidecars = [f"{number}.parquet" for number in range(count)]
        for number, name in enumerate(sidecars):
            write_adds(log.folder / "_sidecars" / name, add(f"f{number}", number), stats=STATS)
        sidecar_table(log, "json", *sidecars)
        far = CountingFolder(log.folder.parent, is_local=False)

        found = read_table(far, counted=True)

        assert (found.file_count, found.row_count) == (count + 2, sum(range(count)) + 107)
        rounds.append(far.rounds)
    assert rounds[0] == rounds[1]


@pytest.mark.parametrize("manifest", ["json", "parquet"])
@pytest.mark.parametrize(
    "name", ["../x.parquet", "a/x.parquet", "s3://other/x.parquet", "%2e%2e/x.parquet", ".."]
)
def test_sidecar_outside_its_folder_is_refused(
    log: HandWrittenLog, manifest: str, name: str
) -> None:
    sidecar_table(log, manifest, name)
    with pytest.raises(InvalidSourceError, match="sidecar"):
        counts(log)


def test_sidecar_that_is_gone_is_said(log: HandWrittenLog) -> None:
    sidecar_table(log, "json", "one.parquet")
    with pytest.raises(InvalidSourceError, match="is listed but not there"):
        counts(log)


def test_v2_checkpoint_of_the_classic_name_is_counted_with_its_sidecars(
    log: HandWrittenLog,
) -> None:
    write_adds(log.folder / "_sidecars" / "one.parquet", add("a", 1), add("b", 2), stats=STATS)
    sidecar_table(log, "parquet", "one.parquet")
    (log.folder / f"{3:020}.checkpoint.{UUID}.parquet").rename(log.folder / checkpoint_name(3))
    log.last_checkpoint({"version": 3, "size": 9})
    assert counts(log) == (3, 300, 108)


def test_checkpoint_without_counts_leaves_rows_unknown(log: HandWrittenLog) -> None:
    log.checkpoint(checkpoint_name(5), *ACTIONS, files=3)
    log.last_checkpoint({"version": 5, "size": 5})
    # the fixture's sizes are 0, 1, 2 and its statistics no JSON
    assert counts(log) == (3, 3, None)


def test_row_group_that_a_checkpoint_names_many_times_is_refused(log: HandWrittenLog) -> None:
    path = log.folder / checkpoint_name(1)
    adds = [add(f"{at * 2_654_435_761 % 2**64:x}") for at in range(3_000)]
    log.checkpoint(checkpoint_name(1), *ACTIONS)
    actions = pq.read_table(path)
    kept = {
        kind: (actions.schema.field(kind).type, actions[kind].to_pylist())
        for kind in ("protocol", "metaData")
    }
    write_adds(path, *adds, stats=STATS, **kept)
    assert counts(log)[0] == 3_000
    whole = path.read_bytes()
    path.write_bytes(with_row_groups(whole, [0] * 20, rows=20 * pq.read_metadata(path).num_rows))
    with pytest.raises(InvalidSourceError, match="its row groups overlap"):
        counts(log)


def test_sidecars_without_end_are_refused_while_they_are_listed(
    log: HandWrittenLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adds, "MAX_SIDECARS", 3)
    write_adds(log.folder / "_sidecars" / "one.parquet", add("a", 1), stats=STATS)
    sidecar_table(log, "parquet", *["one.parquet"] * 3)
    assert counts(log)[0] is not None
    sidecar_table(log, "parquet", *["one.parquet"] * 4)
    with pytest.raises(LimitExceededError, match="lists more than 3 sidecars"):
        counts(log)


def test_forged_footer_does_not_end_the_process(log: HandWrittenLog) -> None:
    """pyarrow's own look at a chunk that no column of the schema has is a C++ exception."""
    path = log.folder / "_sidecars" / "one.parquet"
    write_adds(path, add("a", 1), stats=STATS)
    path.write_bytes(with_one_chunk_more(path.read_bytes()))
    sidecar_table(log, "json", "one.parquet")
    assert counts(log) == (3, 300, 108)


def test_corrupt_checkpoint_is_made_up_for_by_the_commits(log: HandWrittenLog) -> None:
    log.commit(0, *ACTIONS, add("x", 1))
    log.commit(1, add("y", 2))
    log.checkpoint(checkpoint_name(1), *ACTIONS, files=500)
    path = log.folder / checkpoint_name(1)
    data = bytearray(path.read_bytes())
    data[300:-2000] = b"\xff" * len(data[300:-2000])
    path.write_bytes(bytes(data))
    log.commit(2, add("z", 4))
    log.last_checkpoint({"version": 1, "size": 502})
    assert counts(log) == (3, 300, 7)


@pytest.mark.parametrize(
    "data",
    [
        parquet_of(a=[1]),
        parquet_of(protocol=[1], metaData=["x"], add=["y"]),
        parquet_of(add=pa.array([], pa.struct({"path": pa.string()}))),
        parquet_of(add=[{"path": "q", "size": 1}]),
    ],
    ids=["another table", "other types", "no rows", "adds alone"],
)
def test_checkpoint_without_a_schema_does_not_count(log: HandWrittenLog, data: bytes) -> None:
    log.commit(0, *ACTIONS, add("x", 1))
    log.commit(1, add("y", 2))
    (log.folder / checkpoint_name(1)).write_bytes(data)
    log.commit(2, add("z", 4))
    log.last_checkpoint({"version": 1, "size": 1})
    assert counts(log) == (3, 300, 7)
    assert [each.code for each in counted(log).warnings] == ["checkpoint_passed_over"]


def test_counts_of_the_checksum_file_are_taken_as_they_are(log: HandWrittenLog) -> None:
    log.commit(0, *ACTIONS, add("x", 1))
    log.commit(1, add("y", 2))
    every = {"tableSizeBytes": 70, "numFiles": 1, "allFiles": [{"stats": '{"numRecords": 9}'}]}
    log.write(f"{1:020}.crc", every)
    assert counts(log) == (1, 70, 9)


def test_unchanged_table_keeps_its_counts_for_one_request(log: HandWrittenLog) -> None:
    log.commit(0, *ACTIONS, add("x", None))
    store = CountingFolder(log.root)
    first = read_table(store, counted=True)
    again = read_table(store, counted=True, state=first.state)
    assert again.coverage.unchanged
    assert (again.file_count, again.size_bytes, again.row_count) == (1, 100, None)
    assert len(store.calls) == 1

    log.commit(1, add("y", 2))
    assert read_table(store, counted=True, state=first.state).file_count == 2


def test_state_without_counts_is_no_reason_to_go_without(log: HandWrittenLog) -> None:
    log.commit(0, *ACTIONS, add("x", 3))
    store = CountingFolder(log.root)
    state = read_table(store).state
    found = read_table(store, counted=True, state=state)
    assert (found.file_count, found.row_count) == (1, 3)


def test_more_files_than_can_be_held_are_refused(
    log: HandWrittenLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "MAX_TAIL_FILES", 3)
    log.commit(0, *ACTIONS, add("x"), add("y"))
    log.commit(1, remove_action("x"))
    assert counts(log) == (1, 100, 10)
    log.commit(2, add("z"))
    with pytest.raises(LimitExceededError, match="more than 3 files after its newest checkpoint"):
        counts(log)


def test_bytes_of_the_count_are_bounded_with_those_of_the_schema(log: HandWrittenLog) -> None:
    log.checkpoint(checkpoint_name(5), *ACTIONS, files=20_000)
    log.last_checkpoint({"version": 5, "size": 5})
    read_table(CountingFolder(log.root), limits=Limits(max_log_bytes=500_000))
    with pytest.raises(LimitExceededError, match="MAX_LOG_BYTES"):
        counts(log, max_log_bytes=500_000)


AWAY = ("s3://elsewhere/a", "file:///other/b", "/other/c", "../d", "e/%2e%2e/%2e%2e/f", "c:\\g")
INSIDE = ("day=1/a", "p=a%2F..%2Fb/c", "time=10:00/d", "x..y/e", "%2E/f")


def listing_of(log: HandWrittenLog, where: str, adds: list[dict[str, Any]]) -> None:
    """A table whose files are told by a commit, a checkpoint, a sidecar or a checksum file."""
    if where in ("commit", "checksum"):
        log.commit(0, *ACTIONS, *adds)
    if where == "checksum":
        files = [each["add"] for each in adds]
        claimed = {"numFiles": len(files), "tableSizeBytes": 100 * len(files), "allFiles": files}
        log.write(f"{0:020}.crc", claimed)
    if where == "checkpoint":
        log.checkpoint(checkpoint_name(3), *ACTIONS)
        actions = pq.read_table(log.folder / checkpoint_name(3))
        kinds = {name: actions.schema.field(name).type for name in ("metaData", "protocol")}
        more = {name: (kind, actions[name].to_pylist()) for name, kind in kinds.items()}
        write_adds(log.folder / checkpoint_name(3), *adds, stats=STATS, **more)
    if where == "sidecar":
        write_adds(log.folder / "_sidecars" / "one.parquet", *adds, stats=STATS)
        sidecar = {"sidecar": {"path": "one.parquet", "sizeInBytes": 1}}
        log.write(f"{3:020}.checkpoint.{UUID}.json", *ACTIONS, sidecar)


@pytest.mark.parametrize("where", ["commit", "checkpoint", "sidecar", "checksum"])
class TestElsewhere:
    """Absolute paths, as shallow clones and converted tables have them: the log's word is taken."""

    def test_files_are_counted_and_said(self, log: HandWrittenLog, where: str) -> None:
        vectors = [
            add(
                "v",
                10,
                deletionVector={**vector(3), "storageType": "p", "pathOrInlineDv": "s3://x/v"},
            ),
            add("w", 10, deletionVector=vector(2)),
        ]
        listing_of(log, where, [*(add(path, 10) for path in (*AWAY, *INSIDE)), *vectors])
        found = counted(log)
        assert (found.file_count, found.row_count) == (13, 125)
        assert found.size_bytes == 1300
        [warning] = found.warnings
        assert warning.code == "files_elsewhere"
        assert warning.sentence.startswith("7 of the table's 13 files have absolute paths")
        again = read_table(CountingFolder(log.root), counted=True, state=found.state)
        assert (again.coverage.unchanged, again.warnings) == (True, found.warnings)

    @pytest.mark.parametrize("path", AWAY)
    def test_one_file_alone_is_said(self, log: HandWrittenLog, where: str, path: str) -> None:
        listing_of(log, where, [add(path), add("y")])
        assert "1 of the table's 2 files" in counted(log).warnings[0].sentence

    def test_nothing_is_said_of_a_schema_alone(self, log: HandWrittenLog, where: str) -> None:
        listing_of(log, where, [add(AWAY[0])])
        store = CountingFolder(log.root)
        found = read_table(store)
        assert ([each.name for each in found.columns], found.warnings) == (["a"], ())
        assert not [path for _, path in store.calls if "_delta_log" not in path]

    def test_nothing_is_said_of_files_that_are_inside(
        self, log: HandWrittenLog, where: str
    ) -> None:
        listing_of(log, where, [add(path) for path in INSIDE])
        assert counted(log).warnings == ()

    @pytest.mark.parametrize("most", [2**62, 2**63 - 1])
    def test_sums_beyond_what_a_count_is_are_unknown(
        self, log: HandWrittenLog, where: str, most: int
    ) -> None:
        """Arrow's begin anew below zero."""
        listing_of(log, where, [add(path, most, size=most) for path in ("x", "y", "z")])
        found = counted(log)
        assert (found.file_count, found.size_bytes, found.row_count) == (3, None, None)

    def test_more_deleted_rows_than_there_are_leave_them_unknown(
        self, log: HandWrittenLog, where: str
    ) -> None:
        listing_of(log, where, [add("x", 10, deletionVector=vector(11)), add("y", 50)])
        assert counted(log).row_count is None

    def test_statistics_that_one_file_spells_otherwise_are_read(
        self, log: HandWrittenLog, where: str
    ) -> None:
        odd = add_action("y", stats='{\n"numRecords": 5.0,\n"minValues": {"numRecords": "x"}}')
        listing_of(log, where, [add("x", 10), odd])
        assert counted(log).row_count == 15


@pytest.mark.parametrize("where", ["commit", "checkpoint", "sidecar"])
@pytest.mark.parametrize(
    ("added", "removed"),
    [
        ("file:/t/x", "/t/x"),
        ("/t/x", "file:///t/x"),
        ("file:///t/x%20y", "file:/t/x y"),
        ("s3://b/x%20y", "s3://b/x y"),
    ],
)
def test_one_file_is_removed_however_its_absolute_path_is_spelt(
    log: HandWrittenLog, where: str, added: str, removed: str
) -> None:
    listing_of(log, where, [add(added), add("y")])
    log.commit(1 if where == "commit" else 4, remove_action(removed))
    assert counts(log) == (1, 100, 10)


@pytest.mark.parametrize(
    "name",
    ["s3://b/t/_delta_log/_sidecars/one.parquet", "file:///t/_delta_log/_sidecars/one.parquet"],
)
def test_sidecar_by_its_whole_uri_is_the_one_of_the_tables_own_folder(
    log: HandWrittenLog, name: str
) -> None:
    """The protocol has them nowhere else, and allows that spelling."""
    write_adds(log.folder / "_sidecars" / "one.parquet", add("a", 1), add("b", 2), stats=STATS)
    sidecar_table(log, "json", name)
    assert counts(log) == (3, 300, 108)


@pytest.mark.parametrize(
    "name", ["s3://b/t/_delta_log/_sidecars/../x", "s3://b/_sidecars/x", "/_delta_log/_sidecars/"]
)
def test_sidecar_by_a_uri_that_leads_elsewhere_is_refused(log: HandWrittenLog, name: str) -> None:
    sidecar_table(log, "json", name)
    with pytest.raises(InvalidSourceError, match="sidecar"):
        counts(log)
