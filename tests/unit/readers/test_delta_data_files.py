"""One data file of a Delta table, found wherever its log names it: in commits, checkpoints and
sidecars."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stocktake.errors import InvalidSourceError, SourceNotFoundError
from stocktake.readers.delta.reader import data_file
from stocktake.readers.source import DataFile, Limits, Source, no_progress
from stocktake.schema.formats import TableFormat
from tests.support.delta_tables import (
    CountingFolder,
    HandWrittenLog,
    add_action,
    checkpoint_name,
    remove_action,
)
from tests.unit.readers.test_delta_count import ACTIONS, STATS, add, sidecar_table, write_adds


@pytest.fixture
def log(tmp_path: Path) -> HandWrittenLog:
    return HandWrittenLog(tmp_path)


def find(log: HandWrittenLog, name: str | None) -> DataFile:
    source = Source(store=CountingFolder(log.root), path="", format=TableFormat.DELTA)
    return data_file(source, name, Limits(), no_progress)


@pytest.mark.parametrize("manifest", ["json", "parquet"])
def test_files_of_sidecars_are_found_and_removed_ones_are_not(
    log: HandWrittenLog, manifest: str
) -> None:
    folder = log.folder / "_sidecars"
    write_adds(folder / "one.parquet", add("a", 1), add("b", 2), stats=STATS)
    write_adds(folder / "two.parquet", add("d%20d", 4), stats=STATS)
    sidecar_table(log, manifest, "one.parquet", "two.parquet")

    for name in ("a", "c", "d d", "d%20d", "inline"):
        assert find(log, name).name == name.replace("%20", " ")
    for name in ("b", "d", "one.parquet"):
        with pytest.raises(SourceNotFoundError):
            find(log, name)
    assert find(log, None).name == "c"


def test_the_newest_is_of_the_last_commit_that_added_one(log: HandWrittenLog) -> None:
    log.checkpoint(checkpoint_name(1), *ACTIONS, files=3)
    log.last_checkpoint({"version": 1, "size": 5})
    log.commit(2, add_action("late", modificationTime=9), add_action("later", modificationTime=10))
    log.commit(3, remove_action("later"))
    assert find(log, None).name == "late"
    log.commit(4, remove_action("late"))
    assert find(log, None).name not in ("late", "later")


@pytest.mark.parametrize("field", ["modificationTime", "partitionValues", "deletionVector"])
def test_a_time_that_python_does_not_reach_is_told_as_corrupt(
    log: HandWrittenLog, field: str
) -> None:
    endless = pa.array([2**62]).cast(pa.timestamp("us"))
    known = {"path": pa.array(["a"]), "modificationTime": pa.array([1])}
    adds = pa.StructArray.from_arrays(
        list((known | {field: endless}).values()), [*known | {field: 0}]
    )
    path = log.folder / "_sidecars" / "one.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table({"add": adds}), path)
    sidecar_table(log, "json", "one.parquet")
    log.commit(5, remove_action("c"))
    with pytest.raises(InvalidSourceError, match="its Parquet data is corrupt"):
        find(log, None)


def test_a_file_that_came_back_is_there(log: HandWrittenLog) -> None:
    log.commit(0, *ACTIONS, add_action("a"), add_action("b"))
    log.commit(1, remove_action("a"))
    with pytest.raises(SourceNotFoundError):
        find(log, "a")
    log.commit(2, add_action("a"), remove_action("b"))
    assert find(log, "a").name == "a"
    with pytest.raises(SourceNotFoundError):
        find(log, "b")
