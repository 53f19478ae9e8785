"""V2 checkpoints, whose data files stand in sidecars, on a real S3-compatible store: what is read,
and how many requests that takes."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from benchmarks.delay_proxy import DelayProxy
from servers.seaweedfs import SeaweedFS
from stocktake.errors import InvalidSourceError
from stocktake.readers import introspect
from stocktake.readers.source import Introspection, Source
from stocktake.schema.formats import TableFormat
from stocktake.storage.places.guard import GuardPolicy, check
from stocktake.storage.places.urls import Location
from stocktake.storage.stores.clients import build_client
from stocktake.storage.stores.opening import Credential, open_source
from tests.support.delta_tables import HandWrittenLog
from tests.unit.readers.test_delta_count import STATS, add, sidecar_table, write_adds

#: Listed percent-encoded, as the protocol has paths; a store's key is the name itself.
SIDECARS = {"one.parquet": "one.parquet", "two%20two.parquet": "two two.parquet"}
MANIFESTS = pytest.mark.parametrize("manifest", ["json", "parquet"])
#: Of a schema alone: the hint and the listing, the manifest and the commit behind it.
SCHEMA_REQUESTS = 4


@pytest.fixture(scope="module")
def proxy(s3: SeaweedFS) -> Iterator[DelayProxy]:
    """Counts what is asked of the store."""
    port = urlsplit(s3.endpoint).port
    assert port
    with DelayProxy(port, 0) as proxy:
        yield proxy


class Stored:
    """A table in a bucket of its own, read through the proxy that counts."""

    def __init__(self, s3: SeaweedFS, proxy: DelayProxy, root: Path) -> None:
        self._keys = Credential(access_key=s3.access_key, access_secret=s3.secret_key)
        self._proxy = proxy
        bucket = s3.bucket()
        client = build_client(
            self._location(f"{s3.endpoint}/{bucket}/t/"), self._keys, public=False, allow_http=True
        )
        for path in root.rglob("*"):
            if path.is_file():
                client.put(f"t/{path.relative_to(root).as_posix()}", path.read_bytes())
        self._through = self._location(f"{proxy.endpoint}/{bucket}/t/")

    def _location(self, url: str) -> Location:
        endpoint = url.removesuffix("/t/").rpartition("/")[0]
        return check(url, GuardPolicy(trusted_endpoints=(endpoint,)))

    def read(self, *, counted: bool = False) -> tuple[Introspection, int]:
        """What is read, and how many requests it took."""
        self._proxy.traffic()
        store, path = open_source(self._through, self._keys)
        options = {"delta_count": True} if counted else {}
        found = introspect(
            Source(store=store, path=path, format=TableFormat.DELTA, options=options)
        )
        return found, self._proxy.traffic().requests


def table(folder: Path, manifest: str) -> HandWrittenLog:
    log = HandWrittenLog(folder)
    sidecars = log.folder / "_sidecars"
    write_adds(sidecars / "one.parquet", add("a", 1), add("b", 2), stats=STATS)
    write_adds(sidecars / "two two.parquet", add("d", 4), stats=STATS)
    sidecar_table(log, manifest, *SIDECARS)
    return log


@MANIFESTS
def test_schema_is_read_without_the_sidecars(
    s3: SeaweedFS, proxy: DelayProxy, tmp_path: Path, manifest: str
) -> None:
    table(tmp_path, manifest)
    found, requests = Stored(s3, proxy, tmp_path).read()
    assert ([each.name for each in found.columns], found.source_version) == (["a"], 4)
    assert requests == SCHEMA_REQUESTS


@MANIFESTS
def test_each_sidecar_is_fetched_once_where_files_are_counted(
    s3: SeaweedFS, proxy: DelayProxy, tmp_path: Path, manifest: str
) -> None:
    table(tmp_path, manifest)
    found, requests = Stored(s3, proxy, tmp_path).read(counted=True)
    assert (found.file_count, found.row_count, found.size_bytes) == (4, 112, 400)
    # the commit and the manifest once more, for what they say of files
    assert requests == SCHEMA_REQUESTS + 2 + len(SIDECARS)


def test_what_many_sidecars_add_is_all_counted(
    s3: SeaweedFS, proxy: DelayProxy, tmp_path: Path
) -> None:
    log = HandWrittenLog(tmp_path)
    names = [f"{number}.parquet" for number in range(50)]
    for number, name in enumerate(names):
        adds = (add(f"{number}-{each}", each) for each in range(20))
        write_adds(log.folder / "_sidecars" / name, *adds, stats=STATS)
    sidecar_table(log, "json", *names)

    found, _ = Stored(s3, proxy, tmp_path).read(counted=True)

    assert (found.file_count, found.row_count) == (1002, 50 * sum(range(20)) + 107)


@MANIFESTS
def test_sidecar_that_is_gone_is_said(
    s3: SeaweedFS, proxy: DelayProxy, tmp_path: Path, manifest: str
) -> None:
    log = table(tmp_path, manifest)
    (log.folder / "_sidecars" / "one.parquet").unlink()
    stored = Stored(s3, proxy, tmp_path)
    assert [each.name for each in stored.read()[0].columns] == ["a"]
    with pytest.raises(InvalidSourceError, match="is listed but not there"):
        stored.read(counted=True)
