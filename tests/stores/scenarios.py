"""What is asked of every store: each function is one row of the matrix in docs/stores.md.

A scenario gets a bucket of its own and asserts what the reader must make of it. It raises
`NotOfferedError` where the store has no such thing.
"""

import gzip
import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from servers.proxy import Proxy
from stocktake.errors import (
    AccessDeniedError,
    ArchivedSourceError,
    SourceNotFoundError,
    StorageThrottledError,
    StorageTimeoutError,
    StorageUnavailableError,
    TerminalError,
    TransientError,
    ValidationError,
)
from stocktake.readers import introspect
from stocktake.readers.source import Introspection, Source
from stocktake.schema.formats import TableFormat
from stocktake.storage.stores.opening import Credential
from stocktake.storage.stores.protocol import ObjectStore
from tests.stores.tested import NotOfferedError, Place

CSV: Final = b"id,note\n1,one\n2,two\n"
COLUMNS: Final = ["id", "note"]
#: Each would be another key, or none, if it were encoded once too often or too seldom.
ODD_KEYS: Final = (
    "a b.csv",
    "a+b.csv",
    "a%20b.csv",
    "50%.csv",
    "a#b.csv",
    "a;b.csv",
    "a&b=c.csv",
    "a,b@c.csv",
    "a!b'(c).csv",
    "a~b.csv",
    "a:b.csv",
    "ü.csv",
    "日本 語.csv",
    "2024-01-01 00%3A00/x.csv",
    "a$b^c.csv",
    # what is a wildcard elsewhere, or here
    "daily[1].csv",
    "[a-z].csv",
    "a*b.csv",
    "a{b,c}.csv",
    "{1..3}.csv",
    "a?b.csv",
    # one letter to the reader, two keys to a store
    "\u00e9.csv",
    "e\u0301.csv",
)


def names(found: Introspection) -> list[str]:
    return [column.name for column in found.columns]


def parquet(*columns: str, rows: int = 10) -> bytes:
    """A file with these columns of integers."""
    sink = io.BytesIO()
    pq.write_table(pa.table({column: list(range(rows)) for column in columns}), sink)
    return sink.getvalue()


# --- formats ------------------------------------------------------------------------------


def delta_with_checkpoint(place: Place) -> None:
    with TemporaryDirectory() as folder:
        for value in range(4):
            write_deltalake(
                folder,
                pa.table({"id": [value], f"c{value}": [value]}),
                mode="append",
                schema_mode="merge",
            )
            if value == 2:
                DeltaTable(folder).create_checkpoint()
        for file in Path(folder).rglob("*"):
            if file.is_file() and not file.name.startswith("."):
                place.put(f"orders/{file.relative_to(folder)}", file.read_bytes())
    place.delete("orders/_delta_log/00000000000000000000.json")  # as its own clean-up does
    found = place.read("orders", "Delta")
    assert (found.source_version, sorted(names(found))) == (3, ["c0", "c1", "c2", "c3", "id"])


def parquet_that_evolves(place: Place) -> None:
    for number in range(25):
        columns = [f"c{each:02}" for each in range(number + 1)]
        place.put(f"orders/part-{number:02}.parquet", parquet(*columns))
    found = place.read("orders/*.parquet", "Parquet")
    assert sorted(names(found)) == [f"c{each:02}" for each in range(25)]
    assert (found.row_count, found.coverage.files_read) == (250, 25)


def csv_in_gzip(place: Place) -> None:
    place.put("orders.csv.gz", gzip.compress(CSV))
    found = place.read("orders.csv.gz")
    assert names(found) == COLUMNS


def many_objects(place: Place) -> None:
    """More than one page of a listing, whose last key alone has the second column."""
    keys = [f"orders/{number:04}.jsonl" for number in range(1500)]
    with ThreadPoolExecutor(8) as writers:
        list(writers.map(lambda key: place.put(key, b'{"id": 1}\n'), keys))
    place.put("orders-not/x.jsonl", b'{"stranger": 1}\n')
    found = place.read("orders/*.jsonl", "JSONEachRow")
    assert (found.coverage.files_matched, names(found)) == (1500, ["id"])


def odd_keys(place: Place) -> None:
    for key in ODD_KEYS:
        place.put(f"odd/{key}", CSV)
    wrong = {}
    for key in ODD_KEYS:
        try:
            found = names(place.read(f"odd/{quote(key)}"))
        except Exception as error:  # noqa: BLE001 - each key is told apart
            wrong[key] = repr(error)
        else:
            if found != COLUMNS:
                wrong[key] = repr(found)
    assert wrong == {}
    store, _ = place.open("odd/*.csv")
    listed = {info.path for info in store.list("odd/")}
    unlisted = listed ^ {f"odd/{key}" for key in ODD_KEYS}
    assert unlisted == set(), unlisted


# --- a source that changes under the reader -----------------------------------------------


class Meddled:
    """A store in which something happens before the reader's first read of an object."""

    def __init__(self, store: ObjectStore, meddle: Callable[[], None]) -> None:
        self._store = store
        self._meddle: Callable[[], None] | None = meddle

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        return method if name in ("list", "map") else self._first(method)

    def _first(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def read(*args: Any, **kwargs: Any) -> Any:
            meddle, self._meddle = self._meddle, None
            if meddle is not None:
                meddle()
            return method(*args, **kwargs)

        return read


def _read_meddled(place: Place, pattern: str, meddle: Callable[[], None]) -> Introspection:
    happened = []

    def note() -> None:
        meddle()
        happened.append(True)

    store, path = place.open(pattern)
    source = Source(store=Meddled(store, note), path=path, format=TableFormat.PARQUET)
    try:
        return introspect(source)
    finally:
        assert happened


def overwrite_during_a_read(place: Place) -> None:
    """The old columns, or the new, or to be tried again; never some of both."""
    old, new = parquet("a", "b", rows=10), parquet("c", rows=5000)
    place.put("orders.parquet", old)
    try:
        found = _read_meddled(place, "orders.parquet", lambda: place.put("orders.parquet", new))
    except TransientError:
        pass
    else:
        assert (names(found), found.row_count) in ((["a", "b"], 10), (["c"], 5000))
    assert names(place.read("orders.parquet", "Parquet")) == ["c"]


def vacuum_during_a_read(place: Place) -> None:
    """What was listed and is gone is no error: it is the table's past."""
    for number in range(5):
        place.put(f"orders/{number}.parquet", parquet("id", f"c{number}"))

    def compact() -> None:
        place.put("orders/9.parquet", parquet("id", "c9"))
        for number in range(5):
            place.delete(f"orders/{number}.parquet")

    found = _read_meddled(place, "orders/*.parquet", compact)
    assert names(found) == ["id", "c9"]


# --- a store or a network that fails ------------------------------------------------------


def _canned(status: int, body: bytes) -> bytes:
    return b"HTTP/1.1 %d Told\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n%b" % (
        status,
        len(body),
        body,
    )


def _through_proxy(place: Place, prepare: Callable[[Proxy], None], error: type[Exception]) -> None:
    """Read through a fault, which must be told, and again when it is over."""
    place.put("orders.csv", CSV + b"3,three\n" * 3000)
    with Proxy(place.store.port) as proxy:
        prepare(proxy)
        with pytest.raises(error):
            place.read("orders.csv", port=proxy.port)
        counts = proxy.counts
        assert counts.cut or counts.replaced or counts.swallowed_bytes
        proxy.heal()
        proxy.reset()
        assert names(place.read("orders.csv", port=proxy.port)) == COLUMNS


def throttled(place: Place) -> None:
    if place.store.speaks_tls:
        raise NotOfferedError("behind TLS, where the proxy cannot answer in its place")

    def prepare(proxy: Proxy) -> None:
        proxy.answer_instead = _canned(*place.store.throttled)

    _through_proxy(place, prepare, StorageThrottledError)


def truncated_body(place: Place) -> None:
    def prepare(proxy: Proxy) -> None:
        proxy.answer_bytes, proxy.cut_in_order = 8000, True

    _through_proxy(place, prepare, StorageUnavailableError)


def reset_body(place: Place) -> None:
    def prepare(proxy: Proxy) -> None:
        proxy.answer_bytes = 8000

    _through_proxy(place, prepare, StorageUnavailableError)


def hanging_body(place: Place) -> None:
    _through_proxy(place, lambda proxy: proxy.black_hole(), StorageTimeoutError)


def slow_body(place: Place) -> None:
    """Slow is not dead: what still comes is waited for."""
    place.put("orders.csv", CSV)
    with Proxy(place.store.port) as proxy:
        proxy.answer_pace = 4000
        assert names(place.read("orders.csv", port=proxy.port)) == COLUMNS


# --- who may, and who may not -------------------------------------------------------------


def _changed(place: Place, **changed: str) -> Credential:
    return replace(place.store.credential, **changed)


def wrong_key(place: Place) -> None:
    place.put("orders.csv", CSV)
    with pytest.raises(AccessDeniedError):
        place.read("orders.csv", credential=_changed(place, access_key="AKIANOBODY"))


def wrong_secret(place: Place) -> None:
    place.put("orders.csv", CSV)
    with pytest.raises(AccessDeniedError):
        place.read("orders.csv", credential=_changed(place, access_secret="bm90IGl0"))


def wrong_bucket(place: Place) -> None:
    other = Place(store=place.store, bucket=f"{place.bucket}-not")
    with pytest.raises(SourceNotFoundError) as caught:
        other.read("orders/*.csv")
    assert caught.value.code == "bucket_not_found"


def wrong_region(place: Place) -> None:
    """Most stores have one region and do not look; one that looks is understood."""
    place.put("orders.csv", CSV)
    try:
        said = str(names(place.read("orders.csv", region="ap-south-9")))
    except TerminalError as error:
        said = error.code
    assert said in ("wrong_region", str(COLUMNS))


def wrong_clock(place: Place) -> None:
    if place.store.speaks_tls:
        raise NotOfferedError("behind TLS, where the proxy cannot answer in its place")
    place.put("orders.csv", CSV)
    body = b"<Error><Code>RequestTimeTooSkewed</Code><Message>Too late</Message></Error>"
    with Proxy(place.store.port) as proxy:
        proxy.answer_instead = _canned(403, body)
        with pytest.raises(AccessDeniedError) as caught:
            place.read("orders.csv", port=proxy.port)
    assert "clock" in caught.value.hint


def list_without_get(place: Place) -> None:
    place.put("orders/1.csv", CSV)
    keys = place.store.reader(place.bucket, lists=True, gets=False)
    with pytest.raises(AccessDeniedError) as caught:
        place.read("orders/*.csv", credential=keys)
    assert caught.value.file == "orders/1.csv"


def get_without_list(place: Place) -> None:
    place.put("orders/1.csv", CSV)
    keys = place.store.reader(place.bucket, lists=False, gets=True)
    with pytest.raises(AccessDeniedError) as caught:
        place.read("orders/*.csv", credential=keys)
    assert "bucket" in caught.value.detail
    assert names(place.read("orders/1.csv", credential=keys)) == COLUMNS


def public(place: Place) -> None:
    place.store.publish(place.bucket)
    place.put("orders/1.csv", CSV)
    assert names(place.read("orders/*.csv", public=True)) == COLUMNS


def presigned(place: Place) -> None:
    """A signature in a URL pattern would be stored and shown with it: it is refused."""
    with pytest.raises(ValidationError, match="signature"):
        place.read("orders.csv?X-Amz-Signature=abc&X-Amz-Expires=60")


def versioned(place: Place) -> None:
    place.store.keep_versions(place.bucket)
    place.put("orders/1.csv", b"old\n1\n")
    place.put("orders/1.csv", CSV)
    place.put("orders/2.csv", b"gone\n1\n")
    place.delete("orders/2.csv")
    found = place.read("orders/*.csv")
    assert (names(found), found.coverage.files_matched) == (COLUMNS, 1)


def archived(place: Place) -> None:
    place.put("orders/1.csv", CSV)
    place.store.archive(place.bucket, "orders/1.csv")
    with pytest.raises(ArchivedSourceError):
        place.read("orders/*.csv")


#: By the words that the matrix has for them, in its order.
READING: Final[dict[str, Callable[[Place], None]]] = {
    "Delta with a checkpoint": delta_with_checkpoint,
    "25 Parquet files, a column more in each": parquet_that_evolves,
    "CSV in gzip": csv_in_gzip,
    "1,500 objects": many_objects,
    "23 odd keys": odd_keys,
    "overwritten during a read": overwrite_during_a_read,
    "vacuumed during a read": vacuum_during_a_read,
    "asked to slow down": throttled,
    "truncated body": truncated_body,
    "reset body": reset_body,
    "hanging body": hanging_body,
    "slow body": slow_body,
    "wrong key": wrong_key,
    "wrong secret": wrong_secret,
    "wrong bucket": wrong_bucket,
    "wrong region": wrong_region,
    "wrong clock": wrong_clock,
    "list without get": list_without_get,
    "get without list": get_without_list,
    "public": public,
    "presigned URL": presigned,
    "versioned": versioned,
    "archived": archived,
}
