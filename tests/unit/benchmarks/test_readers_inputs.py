"""The inputs of the readers' benchmark are what they say, and the proxy knows where answers end."""

from pathlib import Path

import pytest

from benchmarks import inputs_delta, inputs_iceberg
from benchmarks.delay_proxy import body_length
from benchmarks.inputs import INPUTS, Input, made
from benchmarks.peers import Chdb, Place
from stocktake.readers import introspect
from stocktake.readers.source import Introspection, Source
from stocktake.schema.formats import TableFormat
from stocktake.storage.stores.opening import LocalObjects


def read(folder: Path) -> Introspection:
    return introspect(Source(store=LocalObjects(folder), path="", format=TableFormat.DELTA))


def test_a_log_has_as_many_commits_as_it_was_asked_for(tmp_path: Path) -> None:
    inputs_delta.commits(tmp_path, 5)
    found = read(tmp_path)
    assert (found.source_version, len(found.columns)) == (4, 10)


def test_a_checkpointed_log_is_read_from_its_checkpoint(tmp_path: Path) -> None:
    inputs_delta.checkpointed(tmp_path, 8, [2, 5])
    (tmp_path / "_delta_log" / f"{0:020}.json").unlink()
    assert read(tmp_path).source_version == 7


@pytest.mark.parametrize("make", [inputs_delta.many_files, inputs_delta.many_files_in_sidecars])
def test_checkpoints_of_many_files_are_whole(make: object, tmp_path: Path) -> None:
    from deltalake import DeltaTable

    make(tmp_path, 20)  # type: ignore[operator]
    assert read(tmp_path).source_version == 1_050
    assert len(DeltaTable(str(tmp_path)).file_uris()) == 70


def test_iceberg_metadata_has_as_many_snapshots_as_it_was_asked_for(tmp_path: Path) -> None:
    inputs_iceberg.committed(tmp_path, 5, kept=2)
    source = Source(store=LocalObjects(tmp_path), path="", format=TableFormat.ICEBERG)
    found = introspect(source)
    assert (found.source_version, len(found.columns)) == (str(10**18 + 4), 50)
    assert found.coverage.files_matched == 5 + 5 + 2 + 1  # lists, manifests, metadata, the hint


def test_an_input_that_failed_half_way_is_made_again(tmp_path: Path) -> None:
    attempts = []

    def make(folder: Path) -> None:
        (folder / "part").touch()
        attempts.append(sorted(path.name for path in folder.iterdir()))
        if len(attempts) == 1:
            raise OSError("the disk is full")

    each = Input(name="one", what="one", format="csv", make=make)
    with pytest.raises(OSError, match="full"):
        made(tmp_path, each)
    assert [path.name for path in made(tmp_path, each).iterdir()] == ["part"]
    made(tmp_path, each)
    assert attempts == [["part"], ["part"]]


def test_names_of_inputs_are_distinct_since_they_are_folders() -> None:
    assert len({each.name for each in INPUTS}) == len(INPUTS)


def test_a_question_survives_its_line() -> None:
    place = Place(format="csv", path="b/*.csv", endpoint="http://h:1", key="k", secret="s")
    assert Place.parse(place.line()) == place
    assert place.many


@pytest.mark.parametrize(
    ("method", "head", "length"),
    [
        (b"GET", b"HTTP/1.1 206 Partial Content\r\nContent-Length: 12\r\n\r\n", 12),
        (b"GET", b"HTTP/1.1 200 OK\r\ncontent-length:7\r\n\r\n", 7),
        (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n", 0),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 12\r\n\r\n", 0),
        (b"GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", None),
        (b"GET", b"HTTP/1.1 200 OK\r\n\r\n", 0),
    ],
)
def test_length_of_an_answers_body(method: bytes, head: bytes, length: int | None) -> None:
    assert body_length(method, head) == length


def test_the_rival_unites_the_files_of_a_glob_and_remembers_only_what_is_unchanged() -> None:
    rival = Chdb.__new__(Chdb)
    fresh = Place(format="parquet", path="/d/*.parquet")
    again = Place(format="csv", path="/d/a.csv", unchanged=True)
    assert "schema_inference_mode='union'" in rival._settings(fresh)
    assert "use_cache_for_file=0" in rival._settings(fresh)
    assert "use_cache_for_s3=1" in rival._settings(again)
    assert "union" not in rival._settings(again)
