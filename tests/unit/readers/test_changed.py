"""A source whose files go or change between the listing and the read is listed again, once."""

import gzip
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from stocktake.errors import InvalidSourceError, SourceChangedError, SourceNotFoundError
from stocktake.readers import introspect, read_all, validate
from stocktake.readers.source import Source
from stocktake.schema.columns import Column
from stocktake.schema.formats import TableFormat
from stocktake.storage.stores.opening import Chunk, ObjectInfo
from tests.support.memory import MemoryObjects

Event = Callable[["Churning"], None]


class Churning(MemoryObjects):
    """A store in which something happens just before a file's bytes are read.

    Attributes:
        events: what happens before the first read, before the second one, and so on; of one
            file where there is a `path`.
    """

    def __init__(self, files: dict[str, bytes], *events: Event, path: str = "") -> None:
        super().__init__(files)
        self.events = list(events)
        self._path = path

    def get(self, path: str, *, start: int = 0, length: int | None = None) -> Chunk:
        if length != 0:
            self._happen(path)
        return super().get(path, start=start, length=length)

    def get_tail(self, path: str, length: int, *, size_bytes: int | None = None) -> Chunk:
        self._happen(path)
        return super().get_tail(path, length)

    def stream(self, path: str, *, chunk_bytes: int = 1 << 20) -> Iterator[bytes]:
        self._happen(path)
        data = super().get(path).data
        for at in range(0, len(data), chunk_bytes):
            yield data[at : at + chunk_bytes]

    def _happen(self, path: str) -> None:
        if self.events and self._path in path:
            self.events.pop(0)(self)

    def become(self, files: dict[str, bytes]) -> None:
        """Hold these files and no others, from one moment to the next: another thread may list."""
        new = MemoryObjects(files)
        self._files, self._infos = new._files, new._infos


def _parquet(*names: str, rows: int = 2) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({name: list(range(rows)) for name in names}), sink)
    return sink.getvalue()


def _csv(*names: str, rows: int = 2) -> bytes:
    lines = [",".join(names), *(",".join(str(n) for _ in names) for n in range(rows))]
    return ("\n".join(lines) + "\n").encode()


def _json(*names: str, rows: int = 2) -> bytes:
    return b"".join(json.dumps(dict.fromkeys(names, n)).encode() + b"\n" for n in range(rows))


def _packed(*names: str, rows: int = 2) -> bytes:
    return gzip.compress(_csv(*names, rows=rows))


Make = Callable[..., bytes]
KINDS = [
    pytest.param(TableFormat.PARQUET, _parquet, id="parquet"),
    pytest.param(TableFormat.CSV_WITH_NAMES, _csv, id="csv"),
    pytest.param(TableFormat.CSV_WITH_NAMES, _packed, id="csv.gz"),
    pytest.param(TableFormat.JSON_EACH_ROW, _json, id="json"),
]
READS = [introspect, read_all]
each_read = pytest.mark.parametrize("read", READS, ids=lambda read: read.__name__)


def _source(store: MemoryObjects, kind: TableFormat, path: str = "t/*") -> Source:
    return Source(store=store, path=path, format=kind)


def _names(found: Any) -> list[str]:
    return [column.name for column in found.columns]


@each_read
@pytest.mark.parametrize(("kind", "make"), KINDS)
def test_files_that_were_compacted_away(kind: TableFormat, make: Make, read: Any) -> None:
    before = {f"t/{n}": make("a") for n in range(5)}
    store = Churning(before, lambda s: s.become({"t/all": make("a", "b", rows=10)}))
    found = read(_source(store, kind))
    assert (_names(found), found.row_count) == (["a", "b"], 10)
    assert found.coverage.files_matched == 1
    assert len(store.listed) == (3 if (read, make) == (read_all, _parquet) else 2)


@each_read
@pytest.mark.parametrize(("kind", "make"), KINDS)
def test_a_file_that_was_overwritten(kind: TableFormat, make: Make, read: Any) -> None:
    """What is read is one version of it, and stands under that version's fingerprint."""
    store = Churning(
        {"t/0": make("a"), "t/1": make("a")},
        lambda s: s.put("t/0", make("a", "b", rows=9)),
        path="t/0",
    )
    found = read(_source(store, kind))
    assert (set(_names(found)), found.row_count) == ({"a", "b"}, 11)
    assert introspect(
        Source(store=store, path="t/*", format=kind, state=found.state)
    ).coverage.unchanged


@each_read
@pytest.mark.parametrize(("kind", "make"), KINDS)
def test_what_changes_again_and_again_is_tried_later(
    kind: TableFormat, make: Make, read: Any
) -> None:
    def compact(name: str) -> Event:
        return lambda s: s.become({f"t/{name}{n}": make("a") for n in range(3)})

    store = Churning({"t/0": make("a")}, *map(compact, "uvwxyz"))
    with pytest.raises(SourceChangedError) as caught:
        read(_source(store, kind))
    assert (caught.value.code, caught.value.retryable) == ("source_changed", True)
    assert len(store.listed) == 2


@each_read
@pytest.mark.parametrize(("kind", "make"), KINDS)
def test_an_overwrite_that_has_removed_and_not_yet_written(
    kind: TableFormat, make: Make, read: Any
) -> None:
    store = Churning({"t/0": make("a")}, lambda s: s.become({}))
    with pytest.raises(SourceChangedError):
        read(_source(store, kind))


@pytest.mark.parametrize(("kind", "make"), KINDS)
def test_one_file_that_is_gone_is_not_found_and_one_that_came_back_is_read(
    kind: TableFormat, make: Make
) -> None:
    known = introspect(_source(MemoryObjects({"t/0": make("a")}), kind, "t/0")).state
    for after, names in (({}, None), ({"t/0": make("a", "b")}, ["a", "b"])):
        store = Churning({"t/0": make("x")}, lambda s, after=after: s.become(after))
        source = Source(store=store, path="t/0", format=kind, state=known)
        if names is None:
            with pytest.raises(SourceNotFoundError):
                introspect(source)
        else:
            assert set(_names(introspect(source))) == set(names)


def test_a_pattern_that_matches_nothing_is_not_found_at_once() -> None:
    store = MemoryObjects({"u/0": b"a\n1\n"})
    with pytest.raises(SourceNotFoundError) as caught:
        introspect(_source(store, TableFormat.PARQUET))
    assert "glob" in caught.value.hint
    assert store.listed == ["t/"]


@pytest.mark.parametrize(("kind", "make"), KINDS[1:])
def test_validation_reads_the_files_that_are_there_now(kind: TableFormat, make: Make) -> None:
    columns = (Column.of("a", "Int64"),)
    store = Churning(
        {f"t/{n}": make("a") for n in range(3)}, lambda s: s.become({"t/all": make("a", rows=6)})
    )
    assert validate(_source(store, kind), columns).row_count == 6
    store = Churning(
        {"t/0": make("a"), "t/1": make("a")},
        lambda s: s.put("t/0", make("a", rows=50)),
        path="t/0",
    )
    assert validate(_source(store, kind), columns).row_count == 52
    store = Churning({"t/0": make("a")}, lambda s: s.become({}))
    with pytest.raises(SourceChangedError):
        validate(_source(store, kind), columns)


# --- Delta ----------------------------------------------------------------------------------


def _log(folder: Path) -> dict[str, bytes]:
    files = folder.glob("_delta_log/**/*")
    return {f"t/{f.relative_to(folder)}": f.read_bytes() for f in files if f.is_file()}


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """A table's log as it grew, was cleaned up behind its checkpoint, and another table's."""
    folder = tmp_path_factory.mktemp("grown")
    logs = {}
    for number in range(4):
        write_deltalake(folder, pa.table({"a": [number]}), mode="append")
    logs["grown"] = _log(folder)
    write_deltalake(folder, pa.table({"a": [1], "b": [1]}), mode="append", schema_mode="merge")
    DeltaTable(folder).create_checkpoint()
    whole = _log(folder)
    logs["cleaned"] = {
        path: data for path, data in whole.items() if f"{4:020}" in path or "_last" in path
    }
    logs["checkpointed"] = whole
    other = tmp_path_factory.mktemp("other")
    for number in range(5):
        write_deltalake(other, pa.table({"z": [number], "y": ["y" * 50]}), mode="append")
    logs["made anew"] = _log(other)
    DeltaTable(other).create_checkpoint()
    logs["made anew, checkpointed"] = _log(other)
    return logs


@pytest.mark.parametrize("count", [False, True])
@pytest.mark.parametrize("reads_before", [0, 1, 2])
@pytest.mark.parametrize(
    ("before", "after", "names"),
    [
        ("grown", "cleaned", ["a", "b"]),
        ("grown", "made anew", ["z", "y"]),
        ("grown", "made anew, checkpointed", ["z", "y"]),
        ("checkpointed", "made anew", ["z", "y"]),
        ("checkpointed", "made anew, checkpointed", ["z", "y"]),
    ],
)
def test_a_delta_log_that_is_cleaned_or_made_anew_meanwhile(
    logs: dict[str, dict[str, bytes]],
    before: str,
    after: str,
    names: list[str],
    reads_before: int,
    count: bool,
) -> None:
    """Whichever read it happens before, the columns are those of one table."""
    nothing: list[Event] = [lambda s: None] * reads_before
    store = Churning(logs[before], *nothing, lambda s: s.become(logs[after]))
    options = {"delta_count": True} if count else {}
    source = Source(store=store, path="t", format=TableFormat.DELTA, options=options)
    found = introspect(source)
    old = ["a"] if before == "grown" else ["a", "b"]
    assert _names(found) in (names, old)
    if store.events:
        assert _names(found) == old
    if count:
        assert found.row_count == (5 if "b" in names or _names(found) != ["a"] else 4)


class Listed(MemoryObjects):
    """A store whose files come and go while it is listed.

    Attributes:
        missed: the names that each listing has not in it, first one first; the later ones are
            whole.
    """

    def __init__(self, files: dict[str, bytes], *missed: set[str]) -> None:
        super().__init__(files)
        self.missed = list(missed)

    def list(self, prefix: str, *, start_after: str | None = None) -> Iterator[ObjectInfo]:
        missed = self.missed.pop(0) if self.missed else set()
        for info in super().list(prefix, start_after=start_after):
            if info.path.rpartition("/")[2] not in missed:
                yield info


def _commits(*versions: int) -> set[str]:
    return {f"{version:020}.json" for version in versions}


@pytest.mark.parametrize("is_local", [True, False])
@pytest.mark.parametrize(
    ("log", "missed", "names"),
    [
        ("grown", _commits(2), ["a"]),
        ("grown", _commits(0), ["a"]),
        ("grown", _commits(0, 1, 2), ["a"]),
        ("cleaned", {f"{4:020}.checkpoint.parquet"}, ["a", "b"]),
        ("checkpointed", {f"{4:020}.checkpoint.parquet", *_commits(1, 3)}, ["a", "b"]),
    ],
)
def test_a_gap_that_the_listing_alone_has(
    logs: dict[str, dict[str, bytes]],
    log: str,
    missed: set[str],
    names: list[str],
    is_local: bool,
) -> None:
    """A listing passes by where a commit is written a moment later, and sees the one behind it."""
    # a local log is listed by its hint first
    store = Listed(logs[log], *[missed] * (2 if is_local and log != "grown" else 1))
    store.is_local = is_local
    found = introspect(Source(store=store, path="t", format=TableFormat.DELTA))
    assert (_names(found), store.missed) == (names, [])


def test_a_gap_that_stays_is_the_logs_own(logs: dict[str, dict[str, bytes]]) -> None:
    """What is written behind the gap meanwhile does not mend it."""
    files = {path: data for path, data in logs["grown"].items() if f"{1:020}" not in path}
    store = Listed(files, _commits(3), set())
    with pytest.raises(InvalidSourceError, match="version 1 is missing"):
        introspect(Source(store=store, path="t", format=TableFormat.DELTA))
    assert len(store.listed) == 2


def test_a_listing_with_a_gap_twice_is_tried_later(logs: dict[str, dict[str, bytes]]) -> None:
    store = Listed(logs["grown"], _commits(1), _commits(2), _commits(1), _commits(2))
    with pytest.raises(SourceChangedError):
        introspect(Source(store=store, path="t", format=TableFormat.DELTA))


def test_a_delta_log_that_goes_away_twice_is_tried_later(
    logs: dict[str, dict[str, bytes]],
) -> None:
    # No two of them hold one version of any file, so that no two reads that overlap can agree.
    states = [
        {path: data + b"\n" * number for path, data in logs["grown"].items()}
        for number in range(1, 60)
    ]
    store = Churning(logs["grown"], *(lambda s, log=log: s.become(log) for log in states))
    with pytest.raises(SourceChangedError):
        introspect(Source(store=store, path="t", format=TableFormat.DELTA))
