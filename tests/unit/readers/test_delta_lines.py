"""The JSON of a log as others write it: indented, with nulls spelt out, incomplete, in vain."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stocktake.errors import InvalidSourceError, UnsupportedError
from stocktake.readers.delta.lines import objects
from stocktake.readers.source import Introspection
from tests.support.delta_tables import (
    CountingFolder,
    HandWrittenLog,
    add_action,
    field_of,
    metadata_action,
    protocol_action,
    read_table,
    remove_action,
)

ID, NAME = field_of("id", "long"), field_of("name", "string")
ACTIONS = (protocol_action(), metadata_action(ID, NAME))
NULLS = dict.fromkeys(
    ["add", "remove", "cdc", "txn", "protocol", "metaData", "commitInfo", "sidecar",
     "checkpointMetadata", "domainMetadata"]
)  # fmt: skip


@pytest.fixture
def log(tmp_path: Path) -> HandWrittenLog:
    return HandWrittenLog(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> CountingFolder:
    return CountingFolder(tmp_path)


def names(found: Introspection) -> list[str]:
    return [column.name for column in found.columns]


class TestNulls:
    def test_member_that_is_null_is_no_action(
        self, log: HandWrittenLog, store: CountingFolder
    ) -> None:
        log.commit(0, *({**NULLS, **each} for each in (*ACTIONS, add_action("x"), add_action("y"))))
        log.commit(1, {**NULLS, **remove_action("x")}, NULLS)
        found = read_table(store, counted=True)
        assert (found.source_version, names(found), found.file_count) == (1, ["id", "name"], 1)

    def test_null_in_a_json_checkpoint_is_no_action(
        self, log: HandWrittenLog, store: CountingFolder
    ) -> None:
        name = f"{3:020}.checkpoint.0b3c9f3e-4c0a-4d8e-8f6b-0123456789ab.json"
        log.write(name, *({**NULLS, **each} for each in (*ACTIONS, add_action("x"))))
        found = read_table(store, counted=True)
        assert (found.source_version, names(found), found.file_count) == (3, ["id", "name"], 1)

    def test_null_in_an_action_is_what_is_not_there(
        self, log: HandWrittenLog, store: CountingFolder
    ) -> None:
        [protocol], [metadata] = (each.values() for each in ACTIONS)
        log.commit(
            0,
            {"protocol": {**protocol, "readerFeatures": None, "writerFeatures": None}},
            {"metaData": {**metadata, "partitionColumns": None, "configuration": None}},
            add_action(stats=None, deletionVector=None, tags=None),
        )
        log.write(
            f"{0:020}.crc", {"protocol": None, "metadata": None, "numFiles": None, "allFiles": None}
        )
        log.last_checkpoint({"version": None, "parts": None, "v2Checkpoint": None})
        found = read_table(store, counted=True)
        assert (names(found), found.file_count, found.row_count) == (["id", "name"], 1, None)

    def test_null_in_a_field_is_what_is_not_there(
        self, log: HandWrittenLog, store: CountingFolder
    ) -> None:
        log.create({"name": "id", "type": "long", "nullable": None, "metadata": None})
        assert [each.clickhouse for each in read_table(store).columns] == ["Nullable(Int64)"]

    def test_commit_that_adds_and_removes_in_one_line_does_both(
        self, log: HandWrittenLog, store: CountingFolder
    ) -> None:
        log.commit(0, *ACTIONS, add_action("x"))
        log.commit(1, {**add_action("y"), **remove_action("x")})
        assert read_table(store, counted=True).file_count == 1


class TestSuperseded:
    """Databricks' streaming tables begin with a `metaData` that has no schema."""

    @pytest.mark.parametrize(
        "incomplete",
        [
            {"metaData": {"id": "a", "format": {"provider": "parquet"}, "partitionColumns": []}},
            {"metaData": {"schemaString": None}},
            {"metaData": {"schemaString": 5}},
            {"metaData": {"schemaString": "no JSON"}},
            {"metaData": {"schemaString": "{}", "partitionColumns": 5}},
            {"metaData": []},
            {"protocol": {}},
            {"protocol": {"minReaderVersion": None}},
            {"protocol": {"minReaderVersion": "x", "readerFeatures": 1}},
            {"protocol": {"minReaderVersion": 9}},
            {"protocol": []},
        ],
        ids=str,
    )
    @pytest.mark.parametrize("version", [0, 1])
    def test_incomplete_action_harms_nobody(
        self,
        log: HandWrittenLog,
        store: CountingFolder,
        incomplete: dict[str, Any],
        version: int,
    ) -> None:
        log.commit(0, *ACTIONS)
        log.appends(1)
        log.commit(version, incomplete)
        log.commit(2, *ACTIONS)
        log.appends(3)
        found = read_table(store)
        assert (found.source_version, names(found)) == (3, ["id", "name"])

    def test_it_is_the_newest_of_a_commit_too(
        self, log: HandWrittenLog, store: CountingFolder
    ) -> None:
        log.commit(0, {"metaData": {}}, {"protocol": {}}, *ACTIONS)
        assert names(read_table(store)) == ["id", "name"]

    def test_it_is_the_newest_after_the_known_version(
        self, log: HandWrittenLog, store: CountingFolder
    ) -> None:
        log.commit(0, *ACTIONS)
        state = json.loads(json.dumps(read_table(store).state))
        log.commit(1, {"metaData": {}})
        with pytest.raises(InvalidSourceError, match="without a schemaString"):
            read_table(store, state=state)
        log.commit(2, metadata_action(ID))
        assert names(read_table(store, state=state)) == ["id"]


class TestNumbers:
    @pytest.mark.parametrize("spelt", ["1", "1.0", "1e0", '"1"', '" 1"'])
    def test_reader_version_is_read_as_others_read_it(
        self, log: HandWrittenLog, store: CountingFolder, spelt: str
    ) -> None:
        log.commit(0, f'{{"protocol":{{"minReaderVersion":{spelt}}}}}', metadata_action(ID))
        assert read_table(store).source_version == 0

    @pytest.mark.parametrize("spelt", ["4", "4.0", '"4"', "9223372036854775807"])
    def test_newer_reader_version_is_unsupported_however_it_is_spelt(
        self, log: HandWrittenLog, store: CountingFolder, spelt: str
    ) -> None:
        log.commit(0, f'{{"protocol":{{"minReaderVersion":{spelt}}}}}', metadata_action(ID))
        with pytest.raises(UnsupportedError, match="reader version"):
            read_table(store)

    @pytest.mark.parametrize(
        "claimed", ["1e999", "NaN", "-1", "1.5", '"9"', "true", "null", "[]", str(2**63), "9" * 99]
    )
    def test_claims_of_an_add_are_bounded(
        self, log: HandWrittenLog, store: CountingFolder, claimed: str
    ) -> None:
        stats = json.dumps(f'{{"numRecords":{claimed}}}')
        size = "null" if claimed == "NaN" else claimed
        log.commit(0, *ACTIONS, f'{{"add":{{"path":"x","size":{size},"stats":{stats}}}}}')
        found = read_table(store, counted=True)
        assert (found.file_count, found.size_bytes, found.row_count) == (1, None, None)

    def test_sum_beyond_what_a_count_is_is_unknown(
        self, log: HandWrittenLog, store: CountingFolder
    ) -> None:
        most = {"size": 2**62, "stats": json.dumps({"numRecords": 2**62})}
        log.commit(0, *ACTIONS, add_action("x", **most))
        found = read_table(store, counted=True)
        assert (found.size_bytes, found.row_count) == (2**62, 2**62)
        log.commit(1, add_action("y", **most))
        found = read_table(store, counted=True)
        assert (found.file_count, found.size_bytes, found.row_count) == (2, None, None)

    @pytest.mark.parametrize("claimed", [2**63, 1e999, -1, True, "7", 1.5, [], None])
    def test_field_id_is_a_number_or_none(
        self, log: HandWrittenLog, store: CountingFolder, claimed: object
    ) -> None:
        log.create(field_of("id", "long", **{"delta.columnMapping.id": claimed}))
        assert read_table(store).columns[0].field_id is None


def parsed(text: str) -> list[dict[str, Any]]:
    return [value for _, value in objects(text.encode().split(b"\n"), "x.json")]


INDENTS = st.sampled_from([None, 0, 1, 2, "\t"])
LEAVES = st.one_of(st.text('"\\{}[]\n ax', max_size=6), st.integers(), st.booleans(), st.none())
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text('"\\{a', max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from(["add", "{", "]", '"', "\\"]), VALUES, max_size=3)


class TestIndented:
    """The protocol asks for one object a line; others take any that follow each other."""

    @given(
        st.lists(
            st.tuples(OBJECTS, INDENTS, st.sampled_from(["\n", "\n\n", " \n", "\r\n", " ", ""]))
        )
    )
    def test_objects_are_read_however_they_are_laid_out(
        self, laid_out: list[tuple[dict[str, Any], Any, str]]
    ) -> None:
        text = "".join(json.dumps(value, indent=indent) + end for value, indent, end in laid_out)
        assert parsed(text) == [value for value, _, _ in laid_out]

    @pytest.mark.parametrize("indent", [0, 1, 4, "\t"])
    def test_commits_and_their_counts_are_read(
        self, log: HandWrittenLog, store: CountingFolder, indent: Any
    ) -> None:
        for version, actions in enumerate(([*ACTIONS, add_action("x")], [add_action("y")])):
            (log.folder / f"{version:020}.json").write_text(
                "\n".join(json.dumps(each, indent=indent) for each in actions)
            )
        found = read_table(store, counted=True)
        assert (found.source_version, names(found), found.file_count) == (1, ["id", "name"], 2)

    def test_large_commit_is_read_as_it_streams(
        self, log: HandWrittenLog, store: CountingFolder
    ) -> None:
        adds = [add_action(f"{n}", stats="x" * 90_000) for n in range(100)]
        text = "\n".join(json.dumps(each, indent=1) for each in (*ACTIONS, *adds))
        (log.folder / f"{0:020}.json").write_text(text)
        assert read_table(store, counted=True).file_count == 100
        assert store.count("stream") == 2

    @pytest.mark.parametrize(
        ("text", "line"),
        [
            ('{"a": 1}\n{\n"b": 2\n', 2),
            ('{\n"a": [1\n}\n{"b": 2}', 1),
            ('{"a": 1}\n\n}\n', 3),
            ('{"a": 1} {"b"\n: }', 1),
            ('{\n"a": "\n"}', 1),
            ('{\n"a": 1}}', 1),
            ("[\n1\n]", 1),
            ("{}\n5", 2),
            ('{"a": "\\\n"}', 1),
        ],
    )
    def test_what_is_none_is_told_by_its_first_line(self, text: str, line: int) -> None:
        with pytest.raises(InvalidSourceError, match=f"x.json has line {line} that is not"):
            parsed(text)

    @pytest.mark.parametrize("line", ['{"a": "' + '\\"' * 500_000, '"' * 999_999, "{" * 999_999])
    def test_unclosed_texts_take_no_more_than_one_pass(self, line: str) -> None:
        """A matcher that began anew at each quote would never end: the test's own limit says."""
        with pytest.raises(InvalidSourceError):
            parsed(line)

    def test_object_over_very_many_lines_is_bounded(self) -> None:
        with pytest.raises(InvalidSourceError, match="line 1 that is not JSON"):
            parsed('{"a": [\n' + ("1" * 1000 + ",\n") * 20_000 + "1]}")
