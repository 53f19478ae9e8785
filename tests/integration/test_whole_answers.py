"""Stores that cannot give a part of an object as it is asked for are read all the same."""

import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stocktake.errors import UnsupportedError
from stocktake.readers import introspect, read_all, validate
from stocktake.readers.source import Limits, Source
from stocktake.schema.formats import TableFormat
from stocktake.storage.places.urls import parse
from stocktake.storage.stores import parts
from stocktake.storage.stores.opening import ObjectStore, open_source
from stocktake.storage.stores.protocol import Credential
from tests.support.hostile_store import Hostile, hostile
from tests.support.odd_store import OddStore, error

KEYS = Credential(access_key="AK", access_secret="SK")
BYTES = bytes(range(256)) * 20


@contextmanager
def served(odd: OddStore) -> Iterator[tuple[ObjectStore, Hostile]]:
    with hostile(odd) as server:
        yield open_source(parse(f"{server.endpoint}/bucket/k"), KEYS)[0], server


def a_parquet(rows: int = 5, columns: int = 2, row_group_size: int = 1000) -> bytes:
    table = pa.table({f"c{n}": pa.array(range(rows), pa.int64()) for n in range(columns)})
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=row_group_size)
    return sink.getvalue()


ODD = {
    "no ranges": OddStore(objects={"k": BYTES}, ranges=False),
    "unpacks": OddStore(objects={"k": gzip.compress(BYTES, mtime=0)}, packed={"k"}),
    "no suffix: 416": OddStore(objects={"k": BYTES}, no_suffix=error(416, "InvalidRange")),
    "no suffix: 400": OddStore(objects={"k": BYTES}, no_suffix=error(400, "InvalidArgument")),
    "no suffix: 501": OddStore(objects={"k": BYTES}, no_suffix=error(501, "NotImplemented")),
    "no suffix: bare 501": OddStore(objects={"k": BYTES}, no_suffix=error(501)),
}


@pytest.mark.parametrize("name", ODD)
def test_each_part_is_the_one_that_was_asked_for(name: str) -> None:
    odd = ODD[name]
    data = odd.objects["k"]
    with served(odd) as (store, _):
        for start, length in ((0, None), (0, 7), (9, 70), (len(data) - 5, 99), (3, None)):
            end = None if length is None else start + length
            assert store.get("k", start=start, length=length).data == data[start:end]
        assert store.get("k", start=len(data), length=9).data == b""
        for length in (1, 100, len(data), len(data) + 9):
            for known in (None, len(data), 3, len(data) + 1):
                chunk = store.get_tail("k", length, size_bytes=known)
                assert (chunk.data, chunk.info.size) == (data[-length:], len(data))
        assert store.get("k", length=0).info.size == len(data)
        assert b"".join(store.stream("k")) == data


def test_what_was_read_in_vain_is_counted() -> None:
    with served(OddStore(objects={"k": BYTES}, ranges=False)) as (store, _):
        assert store.get("k", length=100).cost_bytes == 100
        assert store.get("k", start=1000, length=100).cost_bytes == 1100
        assert store.get_tail("k", 100).cost_bytes == len(BYTES)


def test_a_store_that_has_shown_to_have_no_ranges_is_asked_once_for_each_part() -> None:
    with served(OddStore(objects={"k": BYTES}, ranges=False)) as (store, server):
        store.get("k", length=100)
        before = len(server.seen)
        for _ in range(5):
            store.get("k", start=10, length=100)
        assert len(server.seen) == before + 5


@pytest.mark.parametrize("single", [True, False])
@pytest.mark.parametrize("row_groups", [1, 2000])
def test_parquet(single: bool, row_groups: int) -> None:
    data = a_parquet(rows=2000, columns=5, row_group_size=2000 // row_groups)
    for odd in (
        OddStore(ranges=False),
        OddStore(no_suffix=error(501)),
        OddStore(packed={"t/a.parquet"}),
    ):
        odd.objects["t/a.parquet"] = gzip.compress(data) if odd.packed else data
        path = "t/a.parquet" if single else "t/*.parquet"
        with served(odd) as (store, _):
            source = Source(store=store, path=path, format=TableFormat.PARQUET)
            if odd.packed:
                with pytest.raises(Exception, match="not in Parquet format"):
                    introspect(source)
                continue
            assert introspect(source).row_count == 2000
            assert read_all(source).row_count == 2000


def test_the_bytes_that_were_read_in_vain_end_a_sample() -> None:
    data = a_parquet(rows=5_000, columns=3)
    assert len(data) > 50_000
    odd = OddStore(objects={f"t/{n}.parquet": data for n in range(200)}, ranges=False)
    with served(odd) as (store, _):
        source = Source(store=store, path="t/*.parquet", format=TableFormat.PARQUET)
        found = introspect(source, Limits(max_bytes=1 << 20))
    assert found.coverage.truncated
    assert found.coverage.files_read < 200
    assert len(data) * found.coverage.files_read == found.coverage.bytes_read


def test_a_file_that_is_too_large_to_read_in_vain_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "MOST_SKIPPED_BYTES", 1000)
    with served(OddStore(objects={"k": BYTES}, ranges=False)) as (store, _):
        assert store.get("k", start=1000, length=5).data == BYTES[1000:1005]
        for read in (lambda: store.get("k", start=1001, length=5), lambda: store.get_tail("k", 9)):
            with pytest.raises(UnsupportedError, match="has no ranges") as caught:
                read()
            assert caught.value.code == "ranges_unsupported"


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_texts_that_are_stored_packed(suffix: str) -> None:
    rows = b"id,name\n" + b"".join(b"%d,x\n" % n for n in range(1000))
    odd = OddStore(objects={f"t/{n}{suffix}": gzip.compress(rows) for n in range(3)})
    odd.packed = set(odd.objects)
    with served(odd) as (store, _):
        source = Source(store=store, path="t/*", format=TableFormat.CSV_WITH_NAMES)
        found = introspect(source)
        assert found.row_count == 3000
        assert validate(source, found.columns).row_count == 3000


def test_an_answer_without_a_length_is_told() -> None:
    def endless(target: str) -> tuple[int, bytes, dict[str, str]]:
        return 200, b"bytes", {"Transfer-Encoding": "chunked", "ETag": '"x"'}

    with hostile(endless) as server:
        store = open_source(parse(f"{server.endpoint}/bucket/k"), KEYS)[0]
        for read in (
            store.get,
            lambda key: store.get_tail(key, 3),
            lambda key: list(store.stream(key)),
        ):
            with pytest.raises(UnsupportedError, match="how long") as caught:
                read("k")
            assert caught.value.code == "ranges_unsupported"
