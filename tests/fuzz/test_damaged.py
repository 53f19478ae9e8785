"""Damaged sources end in a typed error or in the columns that another engine sees, in time."""

import gzip
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stocktake.schema.formats import TableFormat
from tests.fuzz import seeds
from tests.fuzz.children import (
    SECONDS_FOR_ALL,
    Answer,
    agree,
    agree_or_differ,
    asked,
    fuzzed,
    read,
    request_of,
)
from tests.fuzz.mutations import Edit, applied, edits
from tests.fuzz.watched import Watched

pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(SECONDS_FOR_ALL)]

DAMAGED_LOGS = st.sampled_from(range(3)).flatmap(
    lambda log: st.tuples(
        st.just(log),
        st.dictionaries(
            st.sampled_from(sorted(seeds.delta_logs()[log])),
            st.one_of(edits(), st.none(), st.sampled_from(sorted(seeds.delta_logs()[log]))),
            min_size=1,
            max_size=2,
        ),
    )
)


def damaged_log(log: int, damage: dict[str, list[Edit] | str | None]) -> seeds.Files:
    """A log with files changed, lost (None) or overwritten by another one."""
    files = dict(seeds.delta_logs()[log])
    for name, what in damage.items():
        if what is None:
            del files[name]
        elif isinstance(what, str):
            files[name] = seeds.delta_logs()[log][what]
        else:
            files[name] = applied(files[name], what)
    return files


@fuzzed
@given(drawn=DAMAGED_LOGS)
def test_damaged_delta_log(
    ours: Watched, deltalake: Watched, drawn: tuple[int, dict[str, Any]]
) -> None:
    request = request_of(damaged_log(*drawn), TableFormat.DELTA, "")
    found = read(ours, request)
    if "error" not in found:
        theirs = asked(deltalake, request)
        agree(found, theirs, request)
        assert found["version"] == theirs.get("version", found["version"])


def _is_optional(name: str) -> bool:
    return not re.fullmatch(r"_delta_log/[0-9]{20}\.json", name)


OPTIONAL = sorted(filter(_is_optional, seeds.delta_log_with_all_that_is_optional()))
#: What a cut upload leaves. Other damage may leave a checkpoint whole that says something else.
_TORN = edits("end", most=1)


@fuzzed
@given(
    damage=st.fixed_dictionaries(
        {},
        optional={
            name: st.none() | st.just([])
            | (_TORN if name.endswith(".parquet") else edits() | st.sampled_from(OPTIONAL))
            for name in OPTIONAL
        },
    )
)  # fmt: skip
def test_files_that_nobody_needs_change_no_answer(
    ours: Watched, damage: dict[str, list[Edit] | str | None]
) -> None:
    whole = seeds.delta_log_with_all_that_is_optional()
    files = dict(whole)
    for name, what in damage.items():
        if what is None:
            del files[name]
        elif isinstance(what, str):
            files[name] = whole[what]
        else:
            files[name] = applied(files[name], what) if what else b""
    found = read(ours, request_of(files, TableFormat.DELTA, ""))
    assert found["version"] == 5, found
    assert [name for name, _ in found["columns"]] == ["id", "note", "deep"]


@pytest.mark.chdb
@fuzzed
@given(file=st.sampled_from(range(6)), changes=edits("flip flip flip cut repeat insert"))
def test_damaged_parquet_footer(
    ours: Watched, clickhouse: Watched, file: int, changes: list[Edit]
) -> None:
    whole = seeds.parquet_files()[file]
    length = int.from_bytes(whole[-8:-4], "little")
    footer = applied(whole[-8 - length : -8], changes)
    data = whole[: -8 - length] + footer + len(footer).to_bytes(4, "little") + b"PAR1"
    request = request_of({"x.parquet": data}, TableFormat.PARQUET, "x.parquet")
    found = read(ours, request)
    if "error" not in found:
        agree(_bare(found), _bare(asked(clickhouse, request)), request)


def _bare(answer: Answer) -> Answer:
    """Without Nullable: Arrow takes a repetition that does not exist for required, ClickHouse
    for optional."""
    if "error" in answer:
        return answer
    bare = [
        [name, clickhouse.replace("Nullable(", "").replace(")", "")]
        for name, clickhouse in answer["columns"]
    ]
    return {"columns": bare}


@fuzzed
@given(file=st.sampled_from(seeds.ICEBERG), changes=edits(), packed=st.booleans())
def test_damaged_iceberg_metadata(
    ours: Watched, pyiceberg: Watched, file: bytes, changes: list[Edit], packed: bool
) -> None:
    data = applied(file, changes)
    request = request_of({"t/metadata/v1.metadata.json": data}, TableFormat.ICEBERG, "t")
    found = read(ours, request)
    if "error" not in found:
        theirs = asked(pyiceberg, request)
        agree(found, theirs, request)
        if version := theirs.get("version"):
            assert found["version"] == str(version)
    if packed:
        damaged = applied(gzip.compress(file, mtime=0), changes)
        name = "t/metadata/00001-0.gz.metadata.json"
        read(ours, request_of({name: damaged}, TableFormat.ICEBERG, "t"))


#: Ends in a blank, or inside of quotes, without a line end; UTF-16; a map without a value, an
#: array without an element; a blank beyond ASCII in the header.
_READ_OTHERWISE = re.compile(
    rb" \Z|\A(?:\xff\xfe|\xfe\xff)|:\s*[,}]|\[\s*,"
    rb"|\A[^\n]*(?:\xa0|\x85|\xe2\x80|\xe2\x81|\xe3\x80|\xef\xbb|\xe1\x9a)"
)


def alike(data: bytes, answer: Answer) -> Answer:
    """The answer without what docs/types.md says is different on purpose."""
    cut = data.count(b'"') % 2 == 1
    if "error" in answer or cut or _READ_OTHERWISE.search(data):
        return {"error": "nothing to compare"}
    columns = answer["columns"]
    # a column without a name is left out there and has one here
    named = [each for at, each in enumerate(columns, start=1) if each[0] != f"c{at}"]
    if not _is_text(data):  # only our names are
        return {"columns": [clickhouse for _, clickhouse in named]}
    return {"columns": [[name.replace("\r\n", "\n"), kind] for name, kind in named]}


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


@pytest.mark.chdb
@fuzzed
@given(file=st.sampled_from(seeds.CSV), changes=edits())
def test_damaged_csv(ours: Watched, clickhouse: Watched, file: bytes, changes: list[Edit]) -> None:
    data = applied(file, changes)
    request = request_of({"x": data}, TableFormat.CSV_WITH_NAMES)
    found = read(ours, request)
    if "error" not in found:
        theirs = alike(data, asked(clickhouse, request))
        if _is_text(data):
            agree_or_differ(clickhouse, alike(data, found), theirs, request)


@pytest.mark.chdb
@fuzzed
@given(file=st.sampled_from(seeds.JSON), changes=edits())
def test_damaged_json(ours: Watched, clickhouse: Watched, file: bytes, changes: list[Edit]) -> None:
    data = applied(file, changes)
    request = request_of({"x": data}, TableFormat.JSON_EACH_ROW)
    found = read(ours, request)
    if "error" not in found and _is_text(data):
        agree_or_differ(clickhouse, found, asked(clickhouse, request), request)
