"""What the Delta reader refuses, and the words in which it does."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stocktake.errors import (
    AccessDeniedError,
    InvalidSourceError,
    LimitExceededError,
    SourceNotFoundError,
    UnsupportedError,
)
from stocktake.readers.source import Limits
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

ID = field_of("id", "long")


@pytest.fixture
def log(tmp_path: Path) -> HandWrittenLog:
    return HandWrittenLog(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> CountingFolder:
    return CountingFolder(tmp_path)


def test_folder_without_a_log_is_not_found(store: CountingFolder) -> None:
    (store.root / "part-0.parquet").write_bytes(b"PAR1")
    with pytest.raises(SourceNotFoundError, match="no Delta log"):
        read_table(store)


def test_log_without_commits_is_not_found(log: HandWrittenLog, store: CountingFolder) -> None:
    log.last_checkpoint({"version": 3})
    (log.folder / ".00000000000000000000.json.tmp").write_text("{}")
    with pytest.raises(SourceNotFoundError, match="no Delta log"):
        read_table(store)


def test_missing_bucket_is_told_from_a_missing_hint(tmp_path: Path) -> None:
    class NoBucket(CountingFolder):
        def get(self, path: str, *, start: int = 0, length: int | None = None) -> Chunk:
            raise SourceNotFoundError("No such bucket", code="bucket_not_found")

    with pytest.raises(SourceNotFoundError) as caught:
        read_table(NoBucket(tmp_path))
    assert caught.value.code == "bucket_not_found"


@pytest.mark.parametrize("code", ["access_denied", "invalid_access_key"])
def test_table_that_may_not_be_listed_is_denied(tmp_path: Path, code: str) -> None:
    class Denied(CountingFolder):
        def get(self, path: str, *, start: int = 0, length: int | None = None) -> Chunk:
            raise AccessDeniedError(code=code)

        def list(self, prefix: str, *, start_after: str | None = None) -> Iterator[ObjectInfo]:
            self.calls.append(("list", prefix))
            raise AccessDeniedError(code=code)

    store = Denied(tmp_path)
    with pytest.raises(AccessDeniedError) as caught:
        read_table(store)
    assert caught.value.code == code
    # A key that no store knows is none of a hint that may be missing.
    assert store.count("list") == (code == "access_denied")


@pytest.mark.parametrize(
    ("present", "said"),
    [
        ([0, 1, 3], "version 2 is missing"),
        ([0, 5, 6], "versions 1 to 4 are missing"),
        ([4, 5], "versions 0 to 3 are missing"),
    ],
)
def test_gap_names_the_missing_versions(
    log: HandWrittenLog, store: CountingFolder, present: list[int], said: str
) -> None:
    for version in present:
        log.commit(version, protocol_action(), metadata_action(ID))
    with pytest.raises(InvalidSourceError, match=said):
        read_table(store)


def test_gap_after_a_checkpoint_is_refused(log: HandWrittenLog, store: CountingFolder) -> None:
    log.checkpoint(checkpoint_name(10), protocol_action(), metadata_action(ID))
    log.appends(10, 11, 13)
    log.last_checkpoint({"version": 10})
    with pytest.raises(InvalidSourceError, match="version 12 is missing"):
        read_table(store)


def test_compacted_log_does_not_hide_a_gap(log: HandWrittenLog, store: CountingFolder) -> None:
    log.create(ID)
    log.appends(1, 3)
    log.write(f"{1:020}.{3:020}.compacted.json", add_action())
    with pytest.raises(InvalidSourceError, match="version 2 is missing"):
        read_table(store)


@pytest.mark.parametrize(
    ("actions", "missing"),
    [
        ([add_action()], "metaData"),
        ([protocol_action()], "metaData"),
        ([metadata_action(ID)], "protocol"),
    ],
)
def test_log_without_its_first_actions_is_refused(
    log: HandWrittenLog, store: CountingFolder, actions: list[dict[str, Any]], missing: str
) -> None:
    log.commit(0, *actions)
    with pytest.raises(InvalidSourceError, match=f"no {missing} action up to version 0"):
        read_table(store)


@pytest.mark.parametrize(
    "line",
    [
        '{"add":{"path":"a"}',
        '{"add":{"path":"a"}}}',
        "not json",
        '"metaData"',
        "[1]",
        '{"add": 1}',
        '{"add": {"size": 1}}',
        '{"add": []}',
        '{"remove": {"path": 1}}',
        '{"add": {"path": "a", "size": NaN}}',
        '{"add":\n{"path": "a"}',
        '{"add": {"path": "a"}} {"add": {"path": "b"}',
        "[" * 100_000,
        '{"add":' * 100_000,
        "\x00",
    ],
)
def test_corrupt_line_is_refused_though_it_says_nothing_of_the_schema(
    log: HandWrittenLog, store: CountingFolder, line: str
) -> None:
    log.create(ID)
    log.commit(1, add_action(), line)
    log.commit(2, metadata_action(ID))
    with pytest.raises(InvalidSourceError) as caught:
        read_table(store)
    assert caught.value.file == f"_delta_log/{1:020}.json"


def test_line_that_is_not_utf8_is_refused(log: HandWrittenLog, store: CountingFolder) -> None:
    log.create(ID).write_bytes(b'{"add": {"path": "\xff"}}')
    with pytest.raises(InvalidSourceError, match="not JSON"):
        read_table(store)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"metaData": {}}', "without a schemaString"),
        ('{"metaData": []}', "without a schemaString"),
        ('{"metaData": {"schemaString": 1}}', "a schemaString that is no text"),
        ('{"metaData": {"schemaString": "{}", "partitionColumns": "day"}}', "partitionColumns"),
        ('{"metaData": {"schemaString": "{}", "partitionColumns": [1]}}', "partitionColumns"),
        ('{"protocol": {}}', "without a minReaderVersion"),
        ('{"protocol": {"minReaderVersion": 0}}', "the minReaderVersion 0"),
        ('{"protocol": {"minReaderVersion": -1}}', "the minReaderVersion -1"),
        ('{"protocol": {"minReaderVersion": 1.5}}', "the minReaderVersion 1.5"),
        ('{"protocol": {"minReaderVersion": true}}', "the minReaderVersion True"),
        ('{"protocol": {"minReaderVersion": 1e999}}', "the minReaderVersion inf"),
        ('{"protocol": {"minReaderVersion": "1.0"}}', "the minReaderVersion '1.0'"),
        ('{"protocol": {"minReaderVersion": "' + "1" * 9_000 + '"}}', "'1{39}…"),
        ('{"protocol": {"minReaderVersion": 9223372036854775808}}', "9223372036854775808"),
        ('{"protocol": {"minReaderVersion": 1, "readerFeatures": {}}}', "readerFeatures"),
        ('{"protocol": {"minReaderVersion": 1, "writerFeatures": [[]]}}', "writerFeatures"),
    ],
)
def test_incomplete_action_is_refused_where_it_is_the_newest(
    log: HandWrittenLog, store: CountingFolder, line: str, said: str
) -> None:
    log.create(ID)
    log.commit(1, add_action(), line)
    with pytest.raises(InvalidSourceError, match=said) as caught:
        read_table(store)
    assert caught.value.file == f"_delta_log/{1:020}.json"
    assert caught.value.file in caught.value.detail
    assert len(caught.value.detail) < 300

    log.commit(2, protocol_action(), metadata_action(ID))
    assert read_table(store).source_version == 2


@pytest.mark.parametrize(
    "path",
    [
        "day=2024-01-01 10:00:00/a.parquet",
        "a%20b/..c.parquet",
        "x..y/z.parquet",
        "p=a%2F..%2Fb/a.parquet",
        "p=a%0Ab/a.parquet",
        "p=a%00b/a.parquet",
        "p=s3%3A%2F%2Fb%2Fk/a.parquet",
        "n" * 70_000,
    ],
    ids=lambda path: path[:20],
)
def test_odd_names_below_the_table_are_read(
    log: HandWrittenLog, store: CountingFolder, path: str
) -> None:
    log.create(ID)
    vector = {"storageType": "u", "pathOrInlineDv": "ab" + "../" * 6 + "zz", "cardinality": 0}
    log.commit(1, add_action(path, deletionVector=vector))
    found = read_table(store, counted=True)
    assert (found.source_version, found.file_count, found.warnings) == (1, 1, ())


class TestFeatures:
    def refusal(self, log: HandWrittenLog, store: CountingFolder, **protocol: Any) -> str:
        log.create(ID, **protocol)
        with pytest.raises(UnsupportedError) as caught:
            read_table(store)
        assert caught.value.code == "unsupported_reader_feature"
        return caught.value.detail

    def test_unknown_reader_features_are_listed(
        self, log: HandWrittenLog, store: CountingFolder
    ) -> None:
        features = ["deletionVectors", "zig", "zag"]
        detail = self.refusal(log, store, reader=3, readerFeatures=features)
        assert "zag, zig" in detail
        assert "deletionVectors" not in detail

    def test_newer_reader_version_is_refused(
        self, log: HandWrittenLog, store: CountingFolder
    ) -> None:
        assert "reader version 4" in self.refusal(log, store, reader=4)

    @pytest.mark.parametrize("feature", ["catalogManaged", "catalogOwned-preview"])
    def test_catalog_managed_table_is_refused(
        self, log: HandWrittenLog, store: CountingFolder, feature: str
    ) -> None:
        detail = self.refusal(log, store, reader=3, readerFeatures=[feature])
        assert "managed by a catalog" in detail

    @pytest.mark.parametrize("reader", [1, 3])
    @pytest.mark.parametrize("feature", ["coordinatedCommits", "coordinatedCommits-preview"])
    def test_table_with_coordinated_commits_is_refused(
        self, log: HandWrittenLog, store: CountingFolder, feature: str, reader: int
    ) -> None:
        """Its newest commits may be in `_commits/`, whose order only it knows."""
        detail = self.refusal(
            log, store, reader=reader, writer=7, writerFeatures=["inCommitTimestamp", feature]
        )
        assert f"a coordinator ({feature})" in detail

    def test_many_and_long_features_make_a_short_sentence(
        self, log: HandWrittenLog, store: CountingFolder
    ) -> None:
        features = [f"{n:04}" + "x" * 500 for n in range(1000)]
        detail = self.refusal(log, store, reader=3, readerFeatures=features)
        assert "and 990 more" in detail
        assert len(detail) < 1000

    def test_unknown_feature_added_by_a_later_commit_is_seen(
        self, log: HandWrittenLog, store: CountingFolder
    ) -> None:
        log.create(ID)
        state = read_table(store).state
        log.commit(1, protocol_action(3, 7, readerFeatures=["zig"], writerFeatures=["zig"]))
        with pytest.raises(UnsupportedError, match="zig"):
            read_table(store, state=state)

    def test_unknown_writer_features_are_none_of_a_readers_business(
        self, log: HandWrittenLog, store: CountingFolder
    ) -> None:
        log.create(ID, reader=1, writer=7, writerFeatures=["zig", "rowTracking", "clustering"])
        assert read_table(store).source_version == 0

    @pytest.mark.parametrize(
        "feature",
        [
            "columnMapping",
            "deletionVectors",
            "timestampNtz",
            "typeWidening",
            "typeWidening-preview",
            "v2Checkpoint",
            "vacuumProtocolCheck",
            "variantShredding-preview",
            "variantType",
            "variantType-preview",
        ],
    )
    def test_feature_that_leaves_the_schema_readable_is_read(
        self, log: HandWrittenLog, store: CountingFolder, feature: str
    ) -> None:
        log.create(ID, reader=3, writer=7, readerFeatures=[feature], writerFeatures=[feature])
        assert read_table(store).source_version == 0

    def test_features_of_writers_leave_the_schema_readable(
        self, log: HandWrittenLog, store: CountingFolder
    ) -> None:
        """Those of the protocol that a reader need not know, all at once."""
        features = [
            *("appendOnly", "invariants", "checkConstraints", "changeDataFeed", "generatedColumns"),
            *(
                "identityColumns",
                "domainMetadata",
                "rowTracking",
                "clustering",
                "allowColumnDefaults",
            ),
            *("allowColumnDefaults", "icebergCompatV1", "icebergCompatV2", "inCommitTimestamp"),
            "checkpointProtection",
        ]
        log.create(ID, reader=1, writer=7, writerFeatures=features)
        log.commit(
            1,
            {"commitInfo": {"inCommitTimestamp": 1_700_000_000_000, "operation": "WRITE"}},
            {"domainMetadata": {"domain": "delta.clustering", "configuration": "{}"}},
            {"txn": {"appId": "x", "version": 1}},
            add_action("x", baseRowId=0, defaultRowCommitVersion=1, clusteringProvider="liquid"),
            {"action of tomorrow": {"path": "../elsewhere"}},
        )
        assert read_table(store).source_version == 1

    @pytest.mark.parametrize(
        "name",
        [
            f"_staged_commits/{2:020}.0b3c9f3e-4c0a-4d8e-8f6b-0123456789ab.json",
            f"{2:020}.0b3c9f3e-4c0a-4d8e-8f6b-0123456789ab.json",
            f"{2:020}.json.tmp",
            f".{2:020}.json.crc",
            f"{2:019}.json",
            f"{2:020}.checkpoint.parquet.tmp",
            "_commits/00000000000000000002.json",
        ],
    )
    def test_what_is_no_commit_makes_no_version(
        self, log: HandWrittenLog, store: CountingFolder, name: str
    ) -> None:
        """Staged commits of a catalog, and what engines that died left behind."""
        log.create(ID)
        log.appends(1)
        (log.folder / name).parent.mkdir(exist_ok=True)
        log.write(name, metadata_action(field_of("staged", "long")))
        found = read_table(store)
        assert (found.source_version, [one.name for one in found.columns]) == (1, ["id"])


class TestLimits:
    def refusal(self, store: CountingFolder, **limits: Any) -> str:
        with pytest.raises(LimitExceededError) as caught:
            read_table(store, limits=Limits(**limits))
        return caught.value.detail

    def test_listing_past_the_budget(self, log: HandWrittenLog, store: CountingFolder) -> None:
        log.create(ID)
        log.appends(1, 2, 3)
        assert "4 files or more; STOCKTAKE_INFERENCE_MAX_LISTED allows 3" in self.refusal(
            store, max_listed=3
        )
        assert read_table(store, limits=Limits(max_listed=4)).source_version == 3

    def test_bytes_past_the_budget_are_never_fetched(
        self, log: HandWrittenLog, store: CountingFolder
    ) -> None:
        log.create(ID)
        log.commit(1, add_action(stats="x" * 10_000))
        detail = self.refusal(store, max_log_bytes=5_000)
        assert "MAX_LOG_BYTES allows 5,000" in detail
        assert store.bytes_read == 0

    def test_seconds_past_the_budget(self, log: HandWrittenLog, store: CountingFolder) -> None:
        log.create(ID)
        assert "STOCKTAKE_INFERENCE_MAX_SECONDS" in self.refusal(store, max_seconds=-1.0)

    def test_line_past_the_budget(self, log: HandWrittenLog, store: CountingFolder) -> None:
        log.create(ID)
        log.commit(1, add_action(stats="x" * 10_000))
        assert "MAX_LINE_BYTES allows 9,000" in self.refusal(store, max_line_bytes=9_000)

    def test_endless_line_of_a_large_commit(
        self, log: HandWrittenLog, store: CountingFolder
    ) -> None:
        log.commit(0, json.dumps("x" * 9_000_000))
        assert "MAX_LINE_BYTES allows 100,000" in self.refusal(store, max_line_bytes=100_000)

    def test_footer_past_the_budget(self, log: HandWrittenLog, store: CountingFolder) -> None:
        path = log.checkpoint(checkpoint_name(5), protocol_action(), metadata_action(ID))
        log.appends(5)
        assert "MAX_FOOTER_BYTES allows 100" in self.refusal(store, max_footer_bytes=100)
        forged = path.read_bytes()[:-8] + (2_000_000_000).to_bytes(4, "little") + b"PAR1"
        path.write_bytes(forged)
        with pytest.raises(InvalidSourceError, match="does not end with a Parquet footer"):
            read_table(store)
