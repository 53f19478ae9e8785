"""The version checksum file: it tells how much there is, and never what the log does not say."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from stocktake.errors import AccessDeniedError, ArchivedSourceError, InvalidSourceError
from stocktake.readers import introspect
from stocktake.readers.source import Introspection, Source
from stocktake.schema.formats import TableFormat
from stocktake.storage.stores.local import LocalObjects
from stocktake.storage.stores.opening import Chunk
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
UNKNOWN = (None, None, None)


@pytest.fixture
def log(tmp_path: Path) -> HandWrittenLog:
    return HandWrittenLog(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> CountingFolder:
    return CountingFolder(tmp_path)


def full(*fields: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A checksum file as Spark writes it."""
    return {
        "tableSizeBytes": 4096,
        "numFiles": 2,
        "protocol": protocol_action()["protocol"],
        "metadata": metadata_action(*(fields or (ID, NAME)))["metaData"],
        **more,
    }


def names(found: Introspection) -> list[str]:
    return [column.name for column in found.columns]


def counts(found: Introspection) -> tuple[int | None, int | None, int | None]:
    return found.file_count, found.size_bytes, found.row_count


def commit_info(transaction: object = None, timestamp: object = None) -> dict[str, Any]:
    info = {"txnId": transaction, "inCommitTimestamp": timestamp, "operation": "WRITE"}
    return {"commitInfo": {name: value for name, value in info.items() if value is not None}}


def test_counts_are_the_checksums_and_take_no_further_round(
    log: HandWrittenLog, store: CountingFolder
) -> None:
    log.checkpoint(checkpoint_name(10), protocol_action(), metadata_action(ID))
    log.appends(*range(10, 59))
    log.last_checkpoint({"version": 10})
    log.commit(59, metadata_action(ID, NAME))
    log.write(f"{59:020}.crc", full())

    found = read_table(store)

    assert (names(found), found.source_version) == (["id", "name"], 59)
    assert counts(found) == (2, 4096, None)
    assert store.rounds == 3


def test_listed_files_give_the_rows(log: HandWrittenLog, store: CountingFolder) -> None:
    log.create(ID)
    files = [
        {"stats": json.dumps({"numRecords": 10}), "deletionVector": {"cardinality": 3}},
        {"stats": json.dumps({"numRecords": 5})},
    ]
    log.write(f"{0:020}.crc", full(ID, allFiles=files))

    found = read_table(store)

    assert found.row_count == 12
    again = read_table(store, state=found.state)
    assert (again.coverage.unchanged, counts(again)) == (True, (2, 4096, 12))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "\x00",
        '{"protocol": 1, "metadata": {}}',
        '{"metadata": {}, "numFiles": 1}',
        '{"protocol": {}, "numFiles": 1}',
        '{"protocol": 0, "numFiles": 1}',
    ],
)
def test_corrupt_checksum_says_nothing(
    log: HandWrittenLog, store: CountingFolder, text: str
) -> None:
    log.create(ID)
    log.write(f"{0:020}.crc", text)
    found = read_table(store)
    assert (names(found), counts(found), found.warnings) == (["id"], UNKNOWN, ())


@pytest.mark.parametrize("version", [0, 2])
def test_checksum_of_another_version_is_not_used(
    log: HandWrittenLog, store: CountingFolder, version: int
) -> None:
    log.create(ID)
    log.appends(1)
    log.write(f"{version:020}.crc", full())
    found = read_table(store)
    assert (names(found), found.source_version, counts(found)) == (["id"], 1, UNKNOWN)


class TestDisagreement:
    """Whatever it says that the log does not is not believed, and said."""

    @pytest.mark.parametrize("where", ["head", "before", "checkpoint"])
    @pytest.mark.parametrize(
        "wrong",
        [
            {"metadata": metadata_action(field_of("wrong", "string"))["metaData"]},
            {"metadata": metadata_action(ID, NAME, partitions=["id"])["metaData"]},
            {"protocol": protocol_action(3, 7, readerFeatures=["zig"])["protocol"]},
            {"protocol": protocol_action(2, 5)["protocol"]},
        ],
        ids=["schema", "partitions", "features", "version"],
    )
    def test_schema_is_the_logs_wherever_that_has_it(
        self, log: HandWrittenLog, store: CountingFolder, wrong: dict[str, Any], where: str
    ) -> None:
        log.create(ID)
        log.appends(1, 2)
        log.commit(2 if where == "head" else 1, metadata_action(ID, NAME))
        if where == "checkpoint":
            log.checkpoint(checkpoint_name(1), protocol_action(), metadata_action(ID, NAME))
            log.last_checkpoint({"version": 1})
        log.write(f"{2:020}.crc", full(**wrong))

        found = read_table(store)

        assert (names(found), counts(found)) == (["id", "name"], UNKNOWN)
        [warning] = found.warnings
        assert (warning.code, warning.file) == ("checksum_disbelieved", f"_delta_log/{2:020}.crc")
        again = read_table(store, state=json.loads(json.dumps(found.state)))
        assert (again.coverage.unchanged, again.warnings) == (True, found.warnings)

    @pytest.mark.parametrize(
        ("commit", "told", "believed"),
        [
            (commit_info("a"), {"txnId": "a"}, True),
            (commit_info("a"), {"txnId": "b"}, False),
            (commit_info("a", 5), {"txnId": "a", "inCommitTimestampOpt": 6}, True),
            (commit_info(timestamp=5), {"inCommitTimestampOpt": 5}, True),
            (commit_info(timestamp=5), {"txnId": "a", "inCommitTimestampOpt": 6}, False),
            (commit_info("a"), {}, True),
            (add_action(), {"txnId": "b"}, True),
        ],
    )
    def test_it_is_of_the_transaction_that_wrote_the_version(
        self,
        log: HandWrittenLog,
        store: CountingFolder,
        commit: dict[str, Any],
        told: dict[str, Any],
        believed: bool,
    ) -> None:
        """A version that was taken back and written anew, with the same schema."""
        log.create(ID)
        log.commit(1, commit)
        log.write(f"{1:020}.crc", full(ID, **told))
        found = read_table(store)
        assert counts(found) == ((2, 4096, None) if believed else UNKNOWN)
        said = [each.code.value for each in found.warnings]
        assert said == ([] if believed else ["checksum_disbelieved"])

    @pytest.mark.parametrize(
        ("transaction", "older", "believed"),
        [(None, False, True), (None, True, False), ("a", True, True)],
    )
    def test_it_is_no_older_than_its_commit_unless_both_have_one_transaction(
        self, log: HandWrittenLog, transaction: str | None, older: bool, believed: bool
    ) -> None:
        commit = log.commit(0, protocol_action(), metadata_action(ID), commit_info(transaction))
        checksum = log.write(f"{0:020}.crc", full(ID, txnId=transaction))
        written = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
        os.utime(commit, (written, written))
        os.utime(checksum, (written + (-60 if older else 1),) * 2)
        source = Source(store=LocalObjects(log.root), path="", format=TableFormat.DELTA)
        found = introspect(source)
        assert counts(found) == ((2, 4096, None) if believed else UNKNOWN)
        # A copy has other times than what it was made of: that is nothing to warn of.
        assert found.warnings == ()

    def test_it_is_looked_at_again_with_each_new_version(
        self, log: HandWrittenLog, store: CountingFolder
    ) -> None:
        log.create(ID)
        state = read_table(store).state
        log.appends(1)
        log.write(f"{1:020}.crc", full(ID, NAME))
        found = read_table(store, state=state)
        assert (names(found), counts(found)) == (["id"], UNKNOWN)
        assert found.warnings


BEYOND = [10**30, 2**63, -1, 1e999, float("nan"), 1.5, "12", True, [], {}]


class TestClaims:
    @pytest.mark.parametrize("claimed", BEYOND, ids=str)
    @pytest.mark.parametrize("name", ["tableSizeBytes", "numFiles"])
    def test_count_that_is_none_makes_the_file_corrupt(
        self, log: HandWrittenLog, store: CountingFolder, name: str, claimed: object
    ) -> None:
        log.create(ID)
        log.write(f"{0:020}.crc", full(ID, **{name: claimed}))
        found = read_table(store)
        assert (names(found), counts(found)) == (["id"], UNKNOWN)

    def test_most_that_a_count_can_be_is_one(
        self, log: HandWrittenLog, store: CountingFolder
    ) -> None:
        log.create(ID)
        log.write(f"{0:020}.crc", full(ID, tableSizeBytes=2**63 - 1, numFiles=3.0))
        assert counts(read_table(store)) == (3, 2**63 - 1, None)

    @pytest.mark.parametrize("claimed", [*BEYOND, None, 2**62], ids=str)
    def test_rows_that_are_none_leave_them_unknown(
        self, log: HandWrittenLog, store: CountingFolder, claimed: object
    ) -> None:
        log.create(ID)
        files = [{"path": "a", "stats": json.dumps({"numRecords": claimed})}] * 2
        log.write(f"{0:020}.crc", full(ID, allFiles=files))
        assert counts(read_table(store)) == (2, 4096, None)

    @pytest.mark.parametrize("claimed", [*BEYOND, None, 11], ids=str)
    def test_deleted_rows_that_are_none_leave_them_unknown(
        self, log: HandWrittenLog, store: CountingFolder, claimed: object
    ) -> None:
        log.create(ID)
        one = {
            "path": "a",
            "stats": '{"numRecords": 10}',
            "deletionVector": {"cardinality": claimed},
        }
        log.write(f"{0:020}.crc", full(ID, numFiles=1, allFiles=[one]))
        assert counts(read_table(store)) == (1, 4096, None)


class TestRescue:
    """Where the checkpoint is damaged and the commits before it are gone, the file is all that is
    left of the schema."""

    def torn(self, log: HandWrittenLog, **told: Any) -> None:
        log.checkpoint(checkpoint_name(5), protocol_action(), metadata_action(ID))
        (log.folder / checkpoint_name(5)).write_bytes(b"PAR1")
        log.appends(5, 6)
        log.commit(7, add_action("x"))
        log.last_checkpoint({"version": 5})
        log.write(f"{7:020}.crc", full(ID, NAME, **told))

    def test_it_gives_the_schema_that_nothing_speaks_against(
        self, log: HandWrittenLog, store: CountingFolder
    ) -> None:
        self.torn(log)
        found = read_table(store)
        assert (names(found), found.source_version) == (["id", "name"], 7)
        assert counts(found) == (2, 4096, None)

    @pytest.mark.parametrize("wrong", [{"metadata": None}, {"protocol": None}, {"txnId": "b"}])
    def test_it_does_not_where_it_is_not_whole_or_of_another_writing(
        self, log: HandWrittenLog, store: CountingFolder, wrong: dict[str, Any]
    ) -> None:
        self.torn(log, **wrong)
        log.commit(7, add_action("x"), commit_info("a"))
        with pytest.raises(InvalidSourceError, match=r"The checkpoint .* cannot be read"):
            read_table(store)

    def test_it_does_not_where_a_commit_that_is_left_says_otherwise(
        self, log: HandWrittenLog, store: CountingFolder
    ) -> None:
        self.torn(log)
        log.commit(6, metadata_action(ID))
        with pytest.raises(InvalidSourceError, match=r"The checkpoint .* cannot be read"):
            read_table(store)

    def test_it_closes_no_gap(self, log: HandWrittenLog, store: CountingFolder) -> None:
        log.create(ID)
        log.appends(2)
        log.write(f"{2:020}.crc", full(ID))
        with pytest.raises(InvalidSourceError, match="version 1 is missing"):
            read_table(store)


@pytest.mark.parametrize("error", [AccessDeniedError, ArchivedSourceError])
def test_checksum_that_may_not_be_read_says_nothing(tmp_path: Path, error: type[Exception]) -> None:
    class Denying(CountingFolder):
        def get(self, path: str, *, start: int = 0, length: int | None = None) -> Chunk:
            if path.endswith(".crc"):
                raise error
            return super().get(path, start=start, length=length)

    log = HandWrittenLog(tmp_path)
    log.create(ID)
    log.write(f"{0:020}.crc", full(ID))
    found = read_table(Denying(tmp_path))
    assert (names(found), counts(found)) == (["id"], UNKNOWN)


def test_checksum_of_many_megabytes_is_not_read(log: HandWrittenLog, store: CountingFolder) -> None:
    log.create(ID)
    log.write(f"{0:020}.crc", full(ID, padding="x" * 9_000_000))
    assert counts(read_table(store)) == UNKNOWN
    assert store.bytes_read < 10_000
