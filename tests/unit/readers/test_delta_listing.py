"""Listings that are out of order, hold what is not the log's, or speak of impossible versions."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from stocktake.errors import (
    AccessDeniedError,
    ArchivedSourceError,
    InvalidSourceError,
    StorageUnavailableError,
)
from stocktake.storage.stores.opening import Chunk, ObjectInfo
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

ID, NAME = field_of("id", "long"), field_of("name", "string")
ACTIONS = (protocol_action(), metadata_action(ID, NAME))


@pytest.fixture
def log(tmp_path: Path) -> HandWrittenLog:
    return HandWrittenLog(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> CountingFolder:
    return CountingFolder(tmp_path)


def read(store: CountingFolder, path: str = "") -> tuple[int | str | None, list[str]]:
    found = read_table(store, path)
    return found.source_version, [column.name for column in found.columns]


@dataclass
class Unordered(CountingFolder):
    """A store that lists in an order of its own, as Storj's gateway does.

    Attributes:
        order: what it sorts by.
        cursor: whether it takes `start_after` for a place in that order.
    """

    order: Callable[[str], object] = str
    cursor: bool = False
    ordered: bool = False

    def list(self, prefix: str, *, start_after: str | None = None) -> Iterator[ObjectInfo]:
        found = list(super().list(prefix, start_after=None if self.cursor else start_after))
        found.sort(key=lambda info: self.order(info.path))
        if self.cursor and start_after:
            at = self.order(start_after)
            return (
                info for info in found if self.order(info.path) > at and info.path > start_after
            )
        return iter(found)


def shuffled(key: str) -> str:
    return hashlib.md5(key.encode()).hexdigest()


ORDERS = {
    "sorted": str,
    "late": lambda key: (key.endswith("5.json"), key),
    "reversed": lambda key: tuple(-ord(letter) for letter in key),
    "shuffled": shuffled,
}


class TestOrder:
    @pytest.mark.parametrize("order", sorted(ORDERS))
    @pytest.mark.parametrize("checkpointed", [True, False])
    def test_newest_version_is_found_in_any_order(
        self, log: HandWrittenLog, order: str, checkpointed: bool
    ) -> None:
        log.create(ID)
        log.appends(1, 2, 3, 4)
        log.commit(5, metadata_action(ID, NAME))
        (log.folder / "_sidecars").mkdir()
        (log.folder / "_sidecars" / "a.parquet").write_bytes(b"")
        if checkpointed:
            log.checkpoint(checkpoint_name(2), protocol_action(), metadata_action(ID))
            log.last_checkpoint({"version": 2})
        store = Unordered(log.root, order=ORDERS[order])
        found = read_table(store)
        assert [each.name for each in found.columns] == ["id", "name"]
        assert found.source_version == 5
        assert found.coverage.files_matched == (5 if checkpointed else 6)

        log.commit(6, metadata_action(ID))
        assert read_table(store, state=found.state).source_version == 6

    def test_order_of_its_own_is_listed_from_its_start(self, log: HandWrittenLog) -> None:
        """Where a listing begins is then no place among the versions."""
        log.create(ID)
        log.appends(*range(1, 40))
        log.checkpoint(checkpoint_name(20), protocol_action(), metadata_action(ID))
        log.last_checkpoint({"version": 20})
        store = Unordered(log.root, order=shuffled, cursor=True)
        assert read(store) == (39, ["id"])

    def test_known_order_is_left_at_the_end_of_the_versions(
        self, log: HandWrittenLog, store: CountingFolder
    ) -> None:
        log.create(ID)
        (log.folder / "_sidecars").mkdir()
        for number in range(50):
            (log.folder / "_sidecars" / f"{number}.parquet").write_bytes(b"")
        seen = []

        class Lazy(CountingFolder):
            def list(self, prefix: str, *, start_after: str | None = None) -> Iterator[ObjectInfo]:
                for info in super().list(prefix, start_after=start_after):
                    seen.append(info.path)
                    yield info

        read(Lazy(log.root))
        assert len(seen) == 2

    def test_sidecars_of_a_store_without_order_are_no_log_files(self, log: HandWrittenLog) -> None:
        log.create(ID)
        (log.folder / "_sidecars").mkdir()
        for number in range(5):
            (log.folder / "_sidecars" / f"{number}.parquet").write_bytes(b"")
        assert read_table(Unordered(log.root)).coverage.files_matched == 1


class TestWhatIsNotTheLogs:
    @pytest.mark.parametrize("root", ["", "lake/orders", "_delta_log", "a/_delta_log/b"])
    @pytest.mark.parametrize(
        "inside", ["_delta_log", "_delta_log/_delta_log", "0/_delta_log", "00"]
    )
    def test_log_in_a_log_is_none(self, tmp_path: Path, root: str, inside: str) -> None:
        """As a recursive copy of a log into itself leaves it."""
        log = HandWrittenLog(tmp_path / root)
        log.commit(0, *ACTIONS)
        log.appends(1)
        (log.folder / inside).mkdir(parents=True)
        stale = protocol_action(), metadata_action(field_of("stale", "long"))
        for version in range(4):
            log.commit(version, *ACTIONS if not version else (add_action(),))
            log.write(f"{inside}/{version:020}.json", *stale)
        log.checkpoint(f"{inside}/{checkpoint_name(9)}", *stale)
        log.write(f"{inside}/{3:020}.crc", {"numFiles": 7, "tableSizeBytes": 7})
        assert read(CountingFolder(tmp_path), root) == (3, ["id", "name"])
        assert read(Unordered(tmp_path), root) == (3, ["id", "name"])
        found = read_table(CountingFolder(tmp_path), root, counted=True)
        assert found.size_bytes == 100


class TestVersions:
    @pytest.mark.parametrize("version", [2**63, 10**20 - 1])
    @pytest.mark.parametrize("suffix", ["json", "checkpoint.parquet"])
    @pytest.mark.parametrize("alone", [True, False])
    def test_version_beyond_deltas_is_refused_with_its_file(
        self, log: HandWrittenLog, store: CountingFolder, version: int, suffix: str, alone: bool
    ) -> None:
        if not alone:
            log.commit(0, *ACTIONS)
        name = f"{version:020}.{suffix}"
        if suffix == "json":
            log.write(name, *ACTIONS)
        else:
            log.checkpoint(name, *ACTIONS)
        with pytest.raises(InvalidSourceError, match=f"{version:020}") as caught:
            read_table(store)
        assert caught.value.file == f"_delta_log/{name}"

    def test_last_version_of_deltas_is_one(
        self, log: HandWrittenLog, store: CountingFolder
    ) -> None:
        log.checkpoint(checkpoint_name(2**63 - 1), *ACTIONS)
        assert read(store) == (2**63 - 1, ["id", "name"])

    @pytest.mark.parametrize("suffix", ["crc", f"{2**63:020}.compacted.json"])
    def test_file_that_nobody_needs_makes_no_version(
        self, log: HandWrittenLog, store: CountingFolder, suffix: str
    ) -> None:
        log.commit(0, *ACTIONS)
        log.write(f"{2**63:020}.{suffix}", *ACTIONS)
        assert read(store) == (0, ["id", "name"])

    @pytest.mark.parametrize(
        "claimed",
        ["1e999", "-1e999", "NaN", "1.5", "9223372036854775808", "9" * 4000, "9" * 5000, "true",
         '"Infinity"', '"1.5"', "{}", "[4]"],
    )  # fmt: skip
    @pytest.mark.parametrize("name", ["version", "parts", "size"])
    def test_hint_with_an_impossible_number_is_worked_around(
        self, log: HandWrittenLog, store: CountingFolder, name: str, claimed: str
    ) -> None:
        log.create(ID)
        log.appends(1, 2, 3)
        log.commit(4, metadata_action(ID, NAME))
        log.checkpoint(checkpoint_name(2), protocol_action(), metadata_action(ID))
        fields = {"version": "2", "size": "3"} | {name: claimed}
        log.last_checkpoint("{" + ",".join(f'"{key}":{each}' for key, each in fields.items()) + "}")
        assert read(store) == (4, ["id", "name"])

    @pytest.mark.parametrize("version", ["2", "2.0", '"2"'])
    def test_hint_is_read_as_others_read_it(
        self, log: HandWrittenLog, store: CountingFolder, version: str
    ) -> None:
        log.checkpoint(checkpoint_name(2), *ACTIONS)
        log.last_checkpoint(f'{{"version":{version}}}')
        assert read(store) == (2, ["id", "name"])
        assert store.count("list") == 1

    def test_hint_of_very_many_parts_is_no_reason_to_ask_for_them(
        self, log: HandWrittenLog, store: CountingFolder
    ) -> None:
        log.commit(0, *ACTIONS)
        log.last_checkpoint({"version": 0, "parts": 10_000})
        assert read(store) == (0, ["id", "name"])
        assert len(store.calls) < 10


class TestHintThatMayNotBeRead:
    """Where a key is not there, some stores say 403: that only a lister may know."""

    @pytest.mark.parametrize("error", [AccessDeniedError, ArchivedSourceError])
    def test_log_is_listed_without_it(self, log: HandWrittenLog, error: type[Exception]) -> None:
        @dataclass
        class Scoped(CountingFolder):
            def get(self, path: str, *, start: int = 0, length: int | None = None) -> Chunk:
                if path.endswith("_last_checkpoint"):
                    raise error
                return super().get(path, start=start, length=length)

        log.commit(0, *ACTIONS)
        log.appends(1, 2)
        assert read(Scoped(log.root)) == (2, ["id", "name"])

    def test_checkpoint_that_it_names_in_vain_is_passed_over(self, log: HandWrittenLog) -> None:
        @dataclass
        class Scoped(CountingFolder):
            def get_tail(self, path: str, length: int, *, size_bytes: int | None = None) -> Chunk:
                if not (self.root / path).exists():
                    raise AccessDeniedError
                return super().get_tail(path, length, size_bytes=size_bytes)

        log.commit(0, *ACTIONS)
        log.appends(1, 2)
        log.last_checkpoint({"version": 1})
        assert read(Scoped(log.root)) == (2, ["id", "name"])

    def test_store_that_is_away_is_no_missing_hint(self, log: HandWrittenLog) -> None:
        class Away(CountingFolder):
            def get(self, path: str, *, start: int = 0, length: int | None = None) -> Chunk:
                raise StorageUnavailableError("x")

        log.commit(0, *ACTIONS)
        with pytest.raises(StorageUnavailableError):
            read(Away(log.root))
