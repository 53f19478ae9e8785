"""The Delta reader against logs written by hand: round trips, checkpoints, warm reads."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stocktake.errors import InvalidSourceError
from stocktake.readers.source import Limits
from stocktake.schema.formats import TableFormat
from stocktake.storage.stores.opening import ObjectInfo
from tests.support.delta_tables import (
    CountingFolder,
    HandWrittenLog,
    add_action,
    checkpoint_name,
    field_of,
    metadata_action,
    protocol_action,
    read_table,
)

ID = field_of("id", "long")
NAME = field_of("name", "string")
V2_NAME = "{:020}.checkpoint.0b2d8f2e-7d8a-4b36-9a52-6a9c2b9f0a01.{}"


@pytest.fixture
def log(tmp_path: Path) -> HandWrittenLog:
    return HandWrittenLog(tmp_path)


@pytest.fixture(params=[True, False], ids=["near", "far"])
def store(tmp_path: Path, request: pytest.FixtureRequest) -> CountingFolder:
    """Of one that is far away, a listing is begun before it is known whether it is needed."""
    return CountingFolder(tmp_path, is_local=request.param)


@pytest.fixture
def far(tmp_path: Path) -> CountingFolder:
    return CountingFolder(tmp_path, is_local=False)


def names(introspection: Any) -> list[str]:
    return [column.name for column in introspection.columns]


def at_checkpoint(log: HandWrittenLog, version: int, *fields: dict[str, Any], **more: Any) -> None:
    """A table whose log begins at a checkpoint, as log cleanup leaves it."""
    actions = protocol_action(), metadata_action(*fields)
    log.checkpoint(checkpoint_name(version), *actions, **more)
    log.appends(version)
    log.last_checkpoint({"version": version, "size": 3})


class TestCold:
    def test_log_of_commits_gives_the_newest_schema(
        self, log: HandWrittenLog, store: CountingFolder
    ) -> None:
        log.create(ID)
        log.appends(1)
        log.commit(2, metadata_action(ID, NAME))
        log.appends(3)

        found = read_table(store)

        assert names(found) == ["id", "name"]
        assert found.source_version == 3
        assert found.coverage.files_matched == found.coverage.files_read == 4

    def test_table_below_a_folder_is_read_with_and_without_a_slash(self, tmp_path: Path) -> None:
        HandWrittenLog(tmp_path / "lake" / "orders").create(ID)
        for path in ("lake/orders", "lake/orders/"):
            assert names(read_table(CountingFolder(tmp_path), path)) == ["id"]

    def test_checkpoint_with_a_tail_takes_three_rounds(
        self, log: HandWrittenLog, store: CountingFolder
    ) -> None:
        at_checkpoint(log, 100, ID)
        log.commit(101, metadata_action(ID, NAME))
        log.appends(*range(102, 150))

        found = read_table(store)

        assert (names(found), found.source_version) == (["id", "name"], 149)
        assert store.rounds == (3 if store.is_local else 2)
        assert store.count("list") == 1

    def test_short_log_far_away_takes_two_rounds(
        self, log: HandWrittenLog, far: CountingFolder
    ) -> None:
        log.create(ID)
        log.appends(*range(1, 900))

        assert read_table(far).source_version == 899
        assert (far.rounds, far.count("list")) == (2, 1)

    def test_long_log_far_away_is_listed_from_its_hint(
        self, log: HandWrittenLog, far: CountingFolder
    ) -> None:
        log.create(ID)
        log.appends(*range(1, 1200))
        at_checkpoint(log, 1200, ID, NAME)
        log.appends(*range(1201, 1210))

        found = read_table(far)

        assert (names(found), found.source_version) == (["id", "name"], 1209)
        assert (far.rounds, far.count("list")) == (3, 2)
        assert found.coverage.files_matched == 11

    def test_no_second_page_is_asked_for_before_the_hint_is_read(
        self, log: HandWrittenLog, far: CountingFolder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        at_checkpoint(log, 2000, ID)
        log.appends(*range(2001, 4000))
        listed, names_of = list[int](), far.list

        def counted(prefix: str, *, start_after: str | None = None) -> Iterator[ObjectInfo]:
            listed.append(0)
            for info in names_of(prefix, start_after=start_after):
                listed[-1] += 1
                yield info

        monkeypatch.setattr(far, "list", counted)

        assert read_table(far).source_version == 3999
        assert listed[0] == 1000

    def test_listing_that_is_begun_for_nothing_breaks_no_limit(
        self, log: HandWrittenLog, far: CountingFolder
    ) -> None:
        log.create(ID)
        log.appends(*range(1, 30))
        at_checkpoint(log, 30, ID, NAME)

        found = read_table(far, limits=Limits(max_listed=10))

        assert (names(found), found.source_version) == (["id", "name"], 30)

    def test_checkpoint_that_cannot_be_read_gives_way_to_the_one_before(
        self, log: HandWrittenLog, far: CountingFolder
    ) -> None:
        at_checkpoint(log, 10, ID)
        log.appends(*range(11, 20))
        log.commit(20, metadata_action(ID, NAME))
        (log.folder / checkpoint_name(20)).write_bytes(b"PAR1 torn")

        found = read_table(far)

        assert (names(found), found.source_version) == (["id", "name"], 20)
        assert [warning.file for warning in found.warnings] == [f"_delta_log/{checkpoint_name(20)}"]

    def test_commit_of_the_checkpoint_itself_is_not_needed(
        self, log: HandWrittenLog, store: CountingFolder
    ) -> None:
        at_checkpoint(log, 10, ID)
        (log.folder / f"{10:020}.json").unlink()

        found = read_table(store)

        assert found.source_version == 10
        assert read_table(store, state=found.state).coverage.unchanged

    @pytest.mark.parametrize("row_group_size", [None, 10_000])
    def test_large_checkpoint_costs_what_a_small_one_costs(
        self, tmp_path: Path, row_group_size: int | None
    ) -> None:
        stores = {}
        for files in (100, 200_000):
            stores[files] = CountingFolder(tmp_path / str(files))
            log = HandWrittenLog(stores[files].root)
            at_checkpoint(log, 7, ID, files=files, row_group_size=row_group_size)
            log.appends(8)
            read_table(stores[files])

        small, large = stores[100], stores[200_000]
        assert (log.folder / checkpoint_name(7)).stat().st_size > 5_000_000
        assert large.rounds == 3
        assert len(large.calls) <= len(small.calls) + 1
        assert large.bytes_read < 600_000

    def test_footer_larger_than_the_first_request_is_fetched_whole(
        self, log: HandWrittenLog, store: CountingFolder
    ) -> None:
        at_checkpoint(log, 1, ID, files=4000, row_group_size=4)
        footer = (log.folder / checkpoint_name(1)).read_bytes()[-8:-4]
        assert int.from_bytes(footer, "little") > 256 * 1024

        assert names(read_table(store)) == ["id"]

    def test_multi_part_checkpoint_is_read_from_whichever_part_has_the_schema(
        self, log: HandWrittenLog, store: CountingFolder
    ) -> None:
        part = f"{5:020}.checkpoint.{{:010}}.{3:010}.parquet"
        log.checkpoint(part.format(1), files=10)
        log.checkpoint(part.format(2), metadata_action(ID), files=10)
        log.checkpoint(part.format(3), protocol_action(), files=10)
        log.appends(5, 6)
        log.last_checkpoint({"version": 5, "size": 32, "parts": 3})

        assert names(read_table(store)) == ["id"]
        assert store.rounds <= 3

    def test_multi_part_checkpoint_that_lacks_a_part_is_passed_over(
        self, log: HandWrittenLog, store: CountingFolder
    ) -> None:
        log.create(ID)
        log.appends(1, 2)
        log.checkpoint(f"{2:020}.checkpoint.{1:010}.{2:010}.parquet", metadata_action(NAME))
        log.last_checkpoint({"version": 2, "parts": 2})

        assert names(read_table(store)) == ["id"]

    @pytest.mark.parametrize("suffix", ["json", "parquet"])
    def test_v2_checkpoint_is_read_without_its_sidecars(
        self, log: HandWrittenLog, store: CountingFolder, suffix: str
    ) -> None:
        name = V2_NAME.format(4, suffix)
        actions = (
            protocol_action(3, 7, readerFeatures=["v2Checkpoint"], writerFeatures=["v2Checkpoint"]),
            metadata_action(ID, NAME),
        )
        if suffix == "json":
            sidecar = {"sidecar": {"path": "gone.parquet", "sizeInBytes": 1}}
            log.write(name, {"checkpointMetadata": {"version": 4}}, sidecar, *actions)
        else:
            log.checkpoint(name, *actions)
        log.appends(4, 5)
        log.last_checkpoint({"version": 4, "v2Checkpoint": {"path": name}})

        assert names(read_table(store)) == ["id", "name"]
        assert store.rounds <= 3

    def test_newer_checkpoint_than_the_hinted_one_is_taken(
        self, log: HandWrittenLog, store: CountingFolder
    ) -> None:
        at_checkpoint(log, 10, ID)
        log.appends(*range(11, 21))
        log.checkpoint(checkpoint_name(20), protocol_action(), metadata_action(ID, NAME))

        found = read_table(store)

        assert (names(found), found.source_version) == (["id", "name"], 20)

    @pytest.mark.parametrize("span", [(0, 2), (1, 2), (1, 3), (0, 9)])
    @pytest.mark.parametrize(
        "text",
        ["", "\n", "{}", '{"metaData":', json.dumps(add_action()), json.dumps(metadata_action(ID))],
        ids=["empty", "blank", "no action", "torn", "torn after a line", "another schema"],
    )
    def test_compacted_file_hides_no_commit(
        self, log: HandWrittenLog, store: CountingFolder, text: str, span: tuple[int, int]
    ) -> None:
        log.create(ID)
        log.commit(1, metadata_action(ID, NAME))
        log.appends(2, 3)
        first, last = span
        (log.folder / f"{first:020}.{last:020}.compacted.json").write_text(text)

        found = read_table(store)

        assert (names(found), found.source_version) == (["id", "name"], 3)
        assert read_table(store, counted=True).file_count == 2

    def test_commit_too_large_for_one_request_is_streamed(
        self, log: HandWrittenLog, store: CountingFolder
    ) -> None:
        stats = "x" * 90_000
        adds = (add_action(f"part-{i}.parquet", stats=stats) for i in range(100))
        log.commit(0, protocol_action(), *adds, metadata_action(ID, NAME))

        assert names(read_table(store)) == ["id", "name"]
        assert store.count("stream") == 1


class TestWarm:
    def test_unchanged_table_costs_one_listing(
        self, log: HandWrittenLog, store: CountingFolder
    ) -> None:
        at_checkpoint(log, 10, ID)
        log.appends(11, 12)
        first = read_table(store)

        again = read_table(store, state=json.loads(json.dumps(first.state)))

        assert [kind for kind, _ in store.calls] == ["list"]
        assert again.coverage.unchanged
        assert (again.columns, again.source_version) == ((), 12)
        assert again.state == first.state

    def test_new_commits_alone_are_read(self, log: HandWrittenLog, store: CountingFolder) -> None:
        log.create(ID)
        log.appends(*range(1, 20))
        state = read_table(store).state
        log.appends(20)
        log.commit(21, metadata_action(ID, NAME))

        found = read_table(store, state=state)

        assert (names(found), found.source_version) == (["id", "name"], 21)
        assert (store.count("list"), store.count("get"), store.rounds) == (1, 2, 2)
        assert not found.coverage.unchanged

    def test_commits_without_metadata_keep_the_known_schema(
        self, log: HandWrittenLog, store: CountingFolder
    ) -> None:
        log.create(ID, NAME)
        state = read_table(store).state
        log.appends(1)

        assert names(read_table(store, state=state)) == ["id", "name"]

    def test_dropped_and_recreated_table_is_read_afresh(
        self, log: HandWrittenLog, store: CountingFolder
    ) -> None:
        log.create(ID)
        log.appends(1)
        state = read_table(store).state
        log.create(NAME)
        log.commit(1, add_action("another.parquet"))

        found = read_table(store, state=state)

        assert (names(found), found.source_version) == (["name"], 1)

    def test_table_recreated_with_fewer_versions_is_read_afresh(
        self, log: HandWrittenLog, store: CountingFolder
    ) -> None:
        log.create(ID)
        log.appends(1, 2)
        state = read_table(store).state
        for version in (1, 2):
            (log.folder / f"{version:020}.json").unlink()
        log.create(NAME)

        assert names(read_table(store, state=state)) == ["name"]

    @pytest.mark.parametrize(
        "change",
        [
            {"reader_version": TableFormat.DELTA.facts.reader_version + 1},
            {"metadata": None},
            {"version": "x"},
            {"protocol": []},
        ],
    )
    def test_state_of_another_reader_is_ignored(
        self, log: HandWrittenLog, store: CountingFolder, change: dict[str, Any]
    ) -> None:
        log.create(ID)
        state = read_table(store).state

        found = read_table(store, state={**state, **change})

        assert names(found) == ["id"]
        assert not found.coverage.unchanged

    def test_far_behind_state_starts_at_the_newest_checkpoint(
        self, log: HandWrittenLog, store: CountingFolder
    ) -> None:
        log.create(ID)
        state = read_table(store).state
        log.appends(*range(1, 301))
        at_checkpoint(log, 300, ID, NAME)

        assert names(read_table(store, state=state)) == ["id", "name"]
        assert len(store.calls) < 10

    def test_gap_after_the_known_version_is_refused(
        self, log: HandWrittenLog, store: CountingFolder
    ) -> None:
        log.create(ID)
        state = read_table(store).state
        log.appends(2)

        with pytest.raises(InvalidSourceError, match="version 1 is missing"):
            read_table(store, state=state)


class TestRecovery:
    @pytest.mark.parametrize(
        "text",
        [
            "",
            "{",
            "[]",
            "null",
            "\x00\x01",
            '{"version": "x"}',
            '{"version": -1}',
            '{"version": 99}',
            '{"version": 1}',
            '{"version": 1, "parts": 1000000000000}',
            '{"version": 1, "v2Checkpoint": {"path": "../../x"}}',
            '{"version": 1, "v2Checkpoint": []}',
        ],
    )
    def test_useless_last_checkpoint_is_worked_around(
        self, log: HandWrittenLog, store: CountingFolder, text: str
    ) -> None:
        log.create(ID)
        log.appends(1, 2, 3)
        log.last_checkpoint(text)

        found = read_table(store)

        assert (names(found), found.source_version) == (["id"], 3)

    @pytest.mark.parametrize("keep", [0, 3, 100, -9])
    def test_truncated_checkpoint_gives_way_to_the_commits(
        self, log: HandWrittenLog, store: CountingFolder, keep: int
    ) -> None:
        log.create(ID)
        log.appends(1)
        at_checkpoint(log, 2, NAME)
        path = log.folder / checkpoint_name(2)
        path.write_bytes(path.read_bytes()[:keep])

        found = read_table(store)

        assert (names(found), found.source_version) == (["id"], 2)

    def test_truncated_checkpoint_gives_way_to_the_one_before(
        self, log: HandWrittenLog, store: CountingFolder
    ) -> None:
        at_checkpoint(log, 10, ID)
        log.appends(*range(11, 21))
        at_checkpoint(log, 20, NAME)
        (log.folder / checkpoint_name(20)).write_bytes(b"PAR1")

        found = read_table(store)

        assert (names(found), found.source_version) == (["id"], 20)

    def test_truncated_checkpoint_with_its_commits_gone_is_refused(
        self, log: HandWrittenLog, store: CountingFolder
    ) -> None:
        at_checkpoint(log, 20, NAME)
        (log.folder / checkpoint_name(20)).write_bytes(b"PAR1")

        with pytest.raises(InvalidSourceError, match=r"The checkpoint .* cannot be read"):
            read_table(store)

    def test_older_commits_never_stand_in_for_an_unreadable_head(
        self, log: HandWrittenLog, store: CountingFolder
    ) -> None:
        log.create(ID)
        log.appends(1)
        at_checkpoint(log, 2, NAME)
        (log.folder / f"{2:020}.json").unlink()
        (log.folder / checkpoint_name(2)).write_bytes(b"PAR1")

        with pytest.raises(InvalidSourceError):
            read_table(store)

    def test_corrupt_page_of_a_checkpoint_gives_way_to_the_commits(
        self, log: HandWrittenLog, store: CountingFolder
    ) -> None:
        log.create(ID)
        log.appends(1)
        at_checkpoint(log, 2, NAME)
        path = log.folder / checkpoint_name(2)
        data = bytearray(path.read_bytes())
        data[4:400] = b"\xff" * 396
        path.write_bytes(data)

        assert names(read_table(store)) == ["id"]

    def test_checkpoint_without_a_schema_gives_way_to_the_commits(
        self, log: HandWrittenLog, store: CountingFolder
    ) -> None:
        log.create(ID)
        log.checkpoint(checkpoint_name(1), protocol_action(), files=3)
        log.appends(1)

        assert names(read_table(store)) == ["id"]

    def test_corrupt_json_checkpoint_gives_way_to_the_commits(
        self, log: HandWrittenLog, store: CountingFolder
    ) -> None:
        log.create(ID)
        log.appends(1)
        name = V2_NAME.format(1, "json")
        log.write(name, '{"protocol":')
        log.last_checkpoint({"version": 1, "v2Checkpoint": {"path": name}})

        assert names(read_table(store)) == ["id"]
