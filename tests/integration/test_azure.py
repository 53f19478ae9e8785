"""Sources and managed storage in Azure's Blob Storage, under Azure's own name and behind TLS."""

import asyncio
import gzip
import io
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from stocktake.errors import AccessDeniedError, SourceNotFoundError
from stocktake.readers import introspect, read_all, validate
from stocktake.readers.files.schemas import FIRST_BYTES
from stocktake.readers.parquet.reader import verify
from stocktake.readers.source import Introspection, Limits, Source, no_progress
from stocktake.schema.formats import TableFormat
from stocktake.storage.managed import ManagedStorage, storage_at
from stocktake.storage.places.guard import GuardPolicy, check
from stocktake.storage.stores.opening import Credential, ObjectStore, open_source
from tests.support.azurite import Azurite

pytestmark = pytest.mark.usefixtures("azures_name")

TEN = b"0123456789"


@pytest.fixture
def credential(azurite: Azurite) -> Credential:
    return Credential(access_key=azurite.account, access_secret=azurite.account_key)


@pytest.fixture
def container(azurite: Azurite) -> str:
    return azurite.container()


@pytest.fixture
def put(azurite: Azurite, container: str) -> Callable[[str, bytes], Any]:
    return azurite.client(container).put


@pytest.fixture
def opened(
    azurite: Azurite, container: str, credential: Credential
) -> Callable[[str], tuple[ObjectStore, str]]:
    def open_path(path: str) -> tuple[ObjectStore, str]:
        policy = GuardPolicy(trusted_endpoints=(azurite.endpoint,))
        location = check(azurite.url(container, path), policy)
        assert location.provider == "azure"
        return open_source(location, credential)

    return open_path


@pytest.fixture
def source(opened: Callable[[str], tuple[ObjectStore, str]]) -> Callable[..., Source]:
    def named(path: str, table_format: TableFormat, **options: Any) -> Source:
        store, key = opened(path)
        return Source(store=store, path=key, format=table_format, options=options)

    return named


Opened = Callable[[str], tuple[ObjectStore, str]]
Named = Callable[..., Source]
Put = Callable[[str, bytes], Any]


def a_parquet(rows: int = 3, columns: int = 2, **kwargs: Any) -> bytes:
    table = pa.table({f"c{n}": pa.array(range(rows), pa.int64()) for n in range(columns)})
    sink = io.BytesIO()
    pq.write_table(table, sink, **kwargs)
    return sink.getvalue()


def names(found: Introspection) -> list[str]:
    return [column.name for column in found.columns]


# --- the store ------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [None, 10, 7, 25])
@pytest.mark.parametrize(("length", "expected"), [(4, b"6789"), (10, TEN), (40, TEN), (0, b"")])
def test_the_end_is_read_whatever_size_was_listed(
    put: Put, opened: Opened, size: int | None, length: int, expected: bytes
) -> None:
    """Also one that was written again since, longer or shorter."""
    put("t/a.bin", TEN)
    chunk = opened("t/a.bin")[0].get_tail("t/a.bin", length, size_bytes=size)
    assert (chunk.data, chunk.info.size) == (expected, 10)


@pytest.mark.parametrize("size", [None, 0, 5])
def test_the_end_of_an_empty_object_is_empty(put: Put, opened: Opened, size: int | None) -> None:
    put("t/empty", b"")
    chunk = opened("t/empty")[0].get_tail("t/empty", 4, size_bytes=size)
    assert (chunk.data, chunk.info.size) == (b"", 0)


def test_what_is_not_there_or_not_allowed_is_told(
    opened: Opened, azurite: Azurite, container: str
) -> None:
    store, _ = opened("t/none")
    for read in (store.get, lambda path: store.get_tail(path, 8)):
        with pytest.raises(SourceNotFoundError):
            read("t/none")
    stranger = Credential(access_key=azurite.account, access_secret="c3RyYW5nZXI=")
    policy = GuardPolicy(trusted_endpoints=(azurite.endpoint,))
    location = check(azurite.url(container, "k"), policy)
    with pytest.raises(AccessDeniedError, match="Access was denied"):
        open_source(location, stranger)[0].get_tail("k", 8)


# --- the formats ----------------------------------------------------------------------------


def test_one_parquet_file(put: Put, source: Named) -> None:
    put("one.parquet", a_parquet(rows=7))
    found = introspect(source("one.parquet", TableFormat.PARQUET))
    assert (names(found), found.row_count) == (["c0", "c1"], 7)


def test_parquet_files_of_a_growing_schema_are_read_and_counted(put: Put, source: Named) -> None:
    for number in range(1, 26):
        put(f"p/part-{number:02}.parquet", a_parquet(rows=number, columns=number))
    named = source("p/*.parquet", TableFormat.PARQUET)
    for found in (introspect(named), read_all(named)):
        assert (len(found.columns), found.row_count) == (25, sum(range(1, 26)))
    assert verify(named, Limits(), no_progress) == sum(range(1, 26))


def test_a_footer_that_is_larger_than_the_tail(put: Put, source: Named) -> None:
    data = a_parquet(rows=3000, columns=60, row_group_size=30)
    assert int.from_bytes(data[-8:-4], "little") > 2 * FIRST_BYTES
    put("wide.parquet", data)
    found = introspect(source("wide.parquet", TableFormat.PARQUET))
    assert (len(found.columns), found.row_count) == (60, 3000)


@pytest.mark.parametrize(("checkpoints", "hinted"), [(0, True), (1, True), (1, False), (2, True)])
def test_a_delta_table_with_checkpoints(
    azurite: Azurite,
    container: str,
    source: Named,
    credential: Credential,
    checkpoints: int,
    hinted: bool,
) -> None:
    managed = _managed(azurite, container)
    uri, options = managed.delta_root(1, "t")
    for number in range(4):
        rows = pa.table({"id": [number], f"c{number}": ["x"]})
        write_deltalake(uri, rows, mode="append", schema_mode="merge", storage_options=options)
        if number < checkpoints + 1 and checkpoints:
            DeltaTable(uri, storage_options=options).create_checkpoint()
    root = managed.location(managed.delta_key(1, "t")).key
    if checkpoints and not hinted:
        azurite.client(container).delete(f"{root}/_delta_log/_last_checkpoint")
    found = introspect(source(root, TableFormat.DELTA))
    assert found.source_version == 3
    assert names(found) == ["id", *(f"c{number}" for number in range(4))]
    counted = introspect(source(root, TableFormat.DELTA, delta_count=True))
    assert (counted.row_count, counted.file_count) == (4, 4)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_texts(put: Put, source: Named, pack: Callable[[bytes], bytes]) -> None:
    for number in range(3):
        put(f"csv/{number}.csv", pack(f"id,name\n{number},x\n".encode()))
        put(f"json/{number}.json", pack(f'{{"id": {number}, "name": "x"}}\n'.encode()))
    for path, kind in (
        ("csv/*", TableFormat.CSV_WITH_NAMES),
        ("json/*", TableFormat.JSON_EACH_ROW),
    ):
        named = source(path, kind)
        found = introspect(named)
        assert (names(found), found.row_count) == (["id", "name"], 3)
        assert validate(named, found.columns).row_count == 3


# --- managed storage ------------------------------------------------------------------------


def _managed(azurite: Azurite, container: str) -> ManagedStorage:
    return storage_at(
        azurite.url(container, "kept"),
        access_key=azurite.account,
        access_secret=azurite.account_key,
    )


def test_an_upload_is_kept_and_read_back(azurite: Azurite, container: str) -> None:
    managed = _managed(azurite, container)
    key = managed.upload_key(1, "u")
    data = a_parquet(rows=400_000, columns=8, compression="none", use_dictionary=False)
    assert len(data) > 16 << 20

    async def upload() -> int:
        sink = managed.open_upload(key)
        for at in range(0, len(data), 1 << 20):
            await sink.write(data[at : at + (1 << 20)])
        return await sink.finish()

    assert asyncio.run(upload()) == len(data)
    named = Source(store=managed.store(), path=managed.path(key), format=TableFormat.PARQUET)
    assert named.store.get(named.path, length=0).info.size == len(data)
    assert read_all(named).row_count == 400_000
