"""RemoteObjects and managed storage on a real S3-compatible store, and against hostile ones."""

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from servers.process import PATIENCE_SECONDS
from servers.seaweedfs import SeaweedFS
from stocktake.errors import (
    AccessDeniedError,
    CredentialUnavailableError,
    JobError,
    SourceNotFoundError,
    StorageThrottledError,
    StorageUnavailableError,
    UrlRefusedError,
    ValidationError,
)
from stocktake.schema.formats import TableFormat
from stocktake.states import JobKind
from stocktake.storage.managed import ManagedStorage, storage_at
from stocktake.storage.places.guard import GuardPolicy, check
from stocktake.storage.places.urls import Location, parse
from stocktake.storage.stores import clients, remote
from stocktake.storage.stores.clients import build_client
from stocktake.storage.stores.opening import Credential, ObjectStore, open_source, open_store
from tests.support.hostile_store import FOUND, Hostile, hostile

KEYS = ("t/a/x", "t/a.csv", "t/part-1", "t/part-10", "t/part-2/x", "t/z", "u")
ODD = "t/odd/ü %+=&x.csv"


@pytest.fixture(scope="module")
def credential(s3: SeaweedFS) -> Credential:
    return Credential(access_key=s3.access_key, access_secret=s3.secret_key)


@pytest.fixture(scope="module", autouse=True)
def trust(s3: SeaweedFS) -> Iterator[None]:
    """The store's certificate is good for what this process builds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(s3.certificate.authority))
        yield


@pytest.fixture(scope="module", params=["http", "https"])
def endpoint(request: pytest.FixtureRequest, s3: SeaweedFS) -> str:
    return s3.endpoint if request.param == "http" else s3.tls_endpoint


@pytest.fixture(scope="module")
def location(s3: SeaweedFS, endpoint: str, credential: Credential) -> Location:
    url = f"{endpoint}/{s3.bucket()}/t/**"
    found = check(url, GuardPolicy(trusted_endpoints=(endpoint,)))
    client = build_client(found, credential, public=False, allow_http=found.scheme == "http")
    for key in (*KEYS, ODD):
        client.put(key, b"0123456789")
    client.put("empty", b"")
    return found


@pytest.fixture
def store(location: Location, credential: Credential) -> ObjectStore:
    return open_source(location, credential)[0]


@pytest.mark.parametrize(("idle_seconds", "kept"), [(3600, clients._IDLE_CONNECTIONS), (1, 0)])
def test_a_read_in_many_threads_leaves_few_connections_and_these_not_for_long(
    location: Location,
    credential: Credential,
    idle_seconds: int,
    kept: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clients, "_IDLE_SECONDS", idle_seconds)
    monkeypatch.setattr(remote, "_kept_client", remote._kept_client.__wrapped__)
    store = open_source(location, credential)[0]
    client = build_client(location, credential, public=False, allow_http=True)
    client.put("t/large", bytes(3 << 20))
    before = connections_to(location)
    reads = 2 * clients._IDLE_CONNECTIONS
    together = threading.Barrier(reads, timeout=PATIENCE_SECONDS)

    def read(_: int) -> None:
        chunks = store.stream("t/large")
        next(chunks)
        together.wait()  # each of them holds a connection now
        for _chunk in chunks:
            pass

    store.map(read, range(reads))
    client.delete("t/large")
    # Of itself it closes none before 90 s.
    give_up_at = time.monotonic() + 60
    while len(connections_to(location) - before) > kept and time.monotonic() < give_up_at:
        threading.Event().wait(0.05)
    assert bool(kept) <= len(connections_to(location) - before) <= kept


def connections_to(location: Location) -> set[int]:
    """Those of this process to the store, by their own ports."""
    found = psutil.Process().net_connections("tcp")
    return {each.laddr.port for each in found if each.raddr and each.raddr.port == location.port}


@pytest.mark.parametrize(
    ("start", "length", "expected"),
    [
        (0, None, b"0123456789"),
        (0, 10, b"0123456789"),
        (2, 3, b"234"),
        (8, 10, b"89"),
        (7, None, b"789"),
        (10, 5, b""),
        (20, None, b""),
        (3, 0, b""),
    ],
)
def test_get_cuts_at_the_end_of_the_object(
    store: ObjectStore, start: int, length: int | None, expected: bytes
) -> None:
    chunk = store.get("t/z", start=start, length=length)
    assert (chunk.data, chunk.info.size, chunk.info.path) == (expected, 10, "t/z")
    assert chunk.info.etag


def test_tail_is_all_where_there_is_less(store: ObjectStore) -> None:
    assert store.get_tail("t/z", 4).data == b"6789"
    assert store.get_tail("t/z", 40).data == b"0123456789"
    assert store.get_tail("empty", 4).data == b""
    assert store.get("empty", length=4).data == b""


def test_stream_gives_the_whole_object(store: ObjectStore) -> None:
    assert b"".join(store.stream("t/z", chunk_bytes=4)) == b"0123456789"
    assert b"".join(store.stream("empty")) == b""


def test_key_with_odd_characters_is_listed_and_read(store: ObjectStore) -> None:
    assert [info.path for info in store.list("t/odd/ü")] == [ODD]
    assert store.get(ODD).data == b"0123456789"


def test_listing_has_sizes_and_the_etags_of_reads(store: ObjectStore) -> None:
    (listed,) = store.list("t/z")
    assert listed == store.get("t/z").info


@pytest.mark.parametrize(
    ("prefix", "start_after", "expected"),
    [
        ("t/part-1", None, ["t/part-1", "t/part-10"]),
        ("t/part-", None, ["t/part-1", "t/part-10", "t/part-2/x"]),
        ("t/part-", "t/part-1", ["t/part-10", "t/part-2/x"]),
        ("t/a/", None, ["t/a/x"]),
        ("t/", "t/part-2/x", ["t/z"]),
        ("u", None, ["u"]),
        ("absent/", None, []),
    ],
)
def test_listing_is_by_character_and_in_order(
    store: ObjectStore, prefix: str, start_after: str | None, expected: list[str]
) -> None:
    assert [info.path for info in store.list(prefix, start_after=start_after)] == expected


def test_map_answers_in_order_from_many_threads(store: ObjectStore) -> None:
    answers = store.map(lambda key: store.get(key).data, KEYS * 10)
    assert answers == [b"0123456789"] * len(KEYS) * 10


def test_map_raises_the_error_of_an_item(store: ObjectStore) -> None:
    with pytest.raises(SourceNotFoundError):
        store.map(store.get, [*KEYS, "absent", *KEYS])


def test_map_starts_nothing_after_an_error_and_waits_for_what_runs(store: ObjectStore) -> None:
    running = threading.Barrier(2)
    release, done = threading.Event(), threading.Event()

    def work(item: str) -> None:
        if item == "slow":
            running.wait()
            release.wait()
            done.set()
        elif item == "fails":
            running.wait()
            release.set()
            raise SourceNotFoundError

    with pytest.raises(SourceNotFoundError):
        store.map(work, ["slow", "fails"])
    assert done.is_set()


@pytest.mark.parametrize(
    ("key", "secret", "code"),
    [("nobody", "wrong", "invalid_access_key"), (None, "wrong", "access_denied")],
)
def test_wrong_keys_are_denied(
    location: Location, credential: Credential, key: str | None, secret: str, code: str
) -> None:
    wrong = Credential(access_key=key or credential.access_key, access_secret=secret)
    denied = open_source(location, wrong)[0]
    for read in (lambda: denied.get("t/z"), lambda: list(denied.list("t/"))):
        with pytest.raises(AccessDeniedError) as caught:
            read()
        assert caught.value.code == code


def test_absent_object_and_bucket_are_told_apart(
    endpoint: str, store: ObjectStore, credential: Credential
) -> None:
    with pytest.raises(SourceNotFoundError) as absent:
        store.get("absent")
    assert absent.value.code == "source_not_found"
    nowhere = open_source(parse(f"{endpoint}/no-such-bucket/k"), credential)[0]
    for read in (lambda: nowhere.get("k"), lambda: list(nowhere.list("k"))):
        with pytest.raises(SourceNotFoundError) as caught:
            read()
        assert caught.value.code == "bucket_not_found"


def test_source_without_credential_is_not_opened_unless_public(location: Location) -> None:
    with pytest.raises(CredentialUnavailableError):
        open_source(location)[0].get("t/z")
    with pytest.raises(AccessDeniedError):
        open_source(location, public=True)[0].get("t/z")


# --- stores that lie -----------------------------------------------------------------------


def opened(server: Hostile, *, public: bool = False, host: str = "127.0.0.1") -> ObjectStore:
    location = parse(f"http://{host}:{server.server_port}/bucket/k")
    keys = Credential(access_key="AK", access_secret="SK")
    return open_store(location, keys, public=public, allow_http=True)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("target", ["http://127.0.0.1:{port}/x", "http://localhost:{port}/x"])
def test_redirect_is_not_followed_and_not_retried(status: int, target: str) -> None:
    with hostile(lambda _: FOUND) as canary:
        elsewhere = target.format(port=canary.server_port)
        with hostile(lambda _: (status, b"", {"Location": elsewhere})) as server:
            store = opened(server)
            for read in (lambda: store.get("k"), lambda: list(store.list("k/"))):
                with pytest.raises(UrlRefusedError):
                    read()
        assert canary.seen == []


def test_redirect_to_https_is_refused_as_well() -> None:
    with hostile(lambda _: FOUND) as canary:
        elsewhere = f"https://127.0.0.1:{canary.server_port}/x"
        answer = (302, b"", {"Location": elsewhere})
        with hostile(lambda _: answer) as server, pytest.raises(UrlRefusedError):
            opened(server).get("k")
        assert canary.seen == []


def test_environment_does_not_bring_redirects_back(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROXY_EXCLUDES", "NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1,localhost")
    with hostile(lambda _: FOUND) as canary:
        answer = (302, b"", {"Location": canary.endpoint})
        with hostile(lambda _: answer) as server, pytest.raises(UrlRefusedError):
            opened(server).get("k")
        assert canary.seen == []


def test_ambient_credentials_and_endpoints_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with hostile(lambda _: FOUND) as canary, hostile(lambda _: FOUND) as server:
        for name, value in {
            "AWS_SESSION_TOKEN": "ambient-token",
            "AWS_ACCESS_KEY_ID": "ambient-key",
            "AWS_SECRET_ACCESS_KEY": "ambient-secret",
            "AWS_ENDPOINT_URL": canary.endpoint,
            "AWS_ENDPOINT_URL_S3": canary.endpoint,
            "AWS_PROXY_URL": canary.endpoint,
            "AWS_SKIP_SIGNATURE": "true",
            "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true",
            "AWS_S3_EXPRESS": "true",
            "AWS_REQUEST_PAYER": "true",
            "HTTP_PROXY": canary.endpoint,
        }.items():
            monkeypatch.setenv(name, value)
        assert opened(server).get("k").data == b"bytes"
        assert opened(server, public=True).get("k").data == b"bytes"
        assert canary.seen == []
        (_, signed), (_, unsigned) = server.seen
    assert "Credential=AK/" in signed["authorization"]
    assert "authorization" not in unsigned
    assert "ambient" not in str(server.seen)
    assert not {"x-amz-security-token", "x-amz-request-payer"} & {*signed, *unsigned}


def test_ambient_azure_credentials_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with hostile(lambda _: FOUND) as canary, hostile(lambda _: FOUND) as server:
        for name, value in {
            "AZURE_STORAGE_TOKEN": "ambient-token",
            "AZURE_STORAGE_SAS_TOKEN": "sig=ambient-sas",
            "AZURE_STORAGE_ENDPOINT": canary.endpoint,
            "AZURE_STORAGE_USE_EMULATOR": "true",
            "AZURE_SKIP_SIGNATURE": "true",
            "AZURE_CREDENTIAL_TYPE": "managed_identity",
        }.items():
            monkeypatch.setenv(name, value)
        location = Location(
            provider="azure",
            scheme="http",
            host="127.0.0.1",
            port=server.server_port,
            endpoint=server.endpoint,
            bucket="container",
            key="k",
            account="acct",
        )
        keys = Credential(access_key="acct", access_secret="a2V5")
        assert open_store(location, keys, public=False, allow_http=True).get("k").data == b"bytes"
        assert open_store(location, keys, public=True, allow_http=True).get("k").data == b"bytes"
        assert canary.seen == []
        (_, signed), (_, unsigned) = server.seen
    assert signed["authorization"].startswith("SharedKey acct:")
    assert "authorization" not in unsigned
    assert "ambient" not in str(server.seen)


def test_plain_http_is_refused_without_leave() -> None:
    with hostile(lambda _: FOUND) as server:
        location = parse(f"{server.endpoint}/bucket/k")
        keys = Credential(access_key="AK", access_secret="SK")
        with pytest.raises(JobError):
            open_store(location, keys, public=False, allow_http=False).get("k")
        assert [headers for _, headers in server.seen if "authorization" in headers] == []


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [(503, "SlowDown", StorageThrottledError), (500, "Internal", StorageUnavailableError)],
)
def test_transient_answer_is_retried_a_little_and_then_raised(
    status: int, code: str, error: type[JobError]
) -> None:
    body = f"<Error><Code>{code}</Code></Error>".encode()
    with hostile(lambda _: (status, body, {})) as server:
        with pytest.raises(error):
            opened(server).get("k")
        assert len(server.seen) == 3


def test_store_that_is_down_is_unavailable() -> None:
    with hostile(lambda _: FOUND) as server:
        store = opened(server)
    with pytest.raises(StorageUnavailableError):
        store.get("k")


def test_opening_a_store_starts_no_thread() -> None:
    script = (
        "import os; from stocktake.storage.stores.opening import *;"
        "from stocktake.storage.places.urls import parse;"
        "store = open_store(parse('https://b.s3.amazonaws.com/k'),"
        " Credential(access_key='a', access_secret='b'), public=False, allow_http=False);"
        "print(len(os.listdir('/proc/self/task')))"
    )
    assert run(script) == "1"


def test_worker_loads_every_reader_before_it_forks_and_starts_no_thread_by_that() -> None:
    script = (
        "import os, sys; from workers import lifecycle;"
        "import pyarrow, deltalake;"  # numpy's own threads are here before
        "before = len(os.listdir('/proc/self/task'));"
        "lifecycle._load_readers();"
        f"wanted = {{*{[each.facts.reader for each in TableFormat]}}};"
        f"wanted |= {{*{[f'stocktake.runs.{kind}' for kind in JobKind]}}};"
        "wanted |= {'stocktake.readers.delta.count', 'obstore'};"
        "print(sorted(wanted - set(sys.modules)), len(os.listdir('/proc/self/task')) - before)"
    )
    assert run(script) == "[] 0"


# --- managed storage -----------------------------------------------------------------------


def run(script: str) -> str:
    answer = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=os.environ
    )
    return answer.stdout.strip()


@pytest.fixture(params=["folder", "bucket", "bucket over TLS"])
def managed(request: pytest.FixtureRequest, tmp_path: Path) -> ManagedStorage:
    if request.param == "folder":
        return storage_at(str(tmp_path / "managed ü 1"))
    s3: SeaweedFS = request.getfixturevalue("s3")
    return storage_at(
        f"s3://{s3.bucket()}/prefix",
        access_key=s3.access_key,
        access_secret=s3.secret_key,
        endpoint=s3.tls_endpoint if request.param.endswith("TLS") else s3.endpoint,
        region=s3.region,
    )


def listed(managed: ManagedStorage) -> list[str]:
    return [info.path for info in managed.store().list(managed.path("uploads/"))]


@pytest.mark.parametrize("pieces", [0, 1, 20])
def test_upload_is_stored_whole_and_read_back(managed: ManagedStorage, pieces: int) -> None:
    key = managed.upload_key(1, "0190")
    piece = os.urandom(1 << 20)

    async def upload() -> int:
        sink = managed.open_upload(key)
        for _ in range(pieces):
            await sink.write(piece)
        assert listed(managed) == []  # nothing is visible before the end
        return await sink.finish()

    assert asyncio.run(upload()) == pieces << 20
    assert managed.store().get(managed.path(key)).data == piece * pieces
    asyncio.run(managed.remove(key))
    asyncio.run(managed.remove(key))
    assert listed(managed) == []


def test_aborted_upload_leaves_nothing(managed: ManagedStorage) -> None:
    async def upload() -> None:
        sink = managed.open_upload(managed.upload_key(1, "0190"))
        for _ in range(10):
            await sink.write(bytes(1 << 20))
        await sink.abort()
        await sink.abort()

    asyncio.run(upload())
    assert listed(managed) == []


def test_managed_url_is_refused_to_customers(managed: ManagedStorage) -> None:
    root, expected = managed.root, managed.location("uploads/1/0190")
    url = managed.url_pattern("uploads/1/0190")
    if root.provider == "file":
        # what is shown names no path of this machine, and nothing opens it
        with pytest.raises(ValidationError, match="must use https"):
            check(url, GuardPolicy())
        url = f"file://{expected.key}"
    policy = GuardPolicy(
        allowed_schemes=frozenset({"https", "file"}),
        trusted_endpoints=(root.endpoint,) if root.endpoint else (),
        local_roots=(Path("/"),),
    )
    found = check(url, policy)
    assert (found.endpoint, found.bucket, found.key) == (
        expected.endpoint,
        expected.bucket,
        expected.key,
    )
    with pytest.raises(ValidationError, match="URL pattern"):
        check(url, replace(policy, managed_location=root))


def test_managed_delta_table_is_written_and_read_back(managed: ManagedStorage) -> None:
    import pyarrow as pa
    from deltalake import write_deltalake

    uri, options = managed.delta_root(1, "0190")
    for value in (1, 2):
        write_deltalake(uri, pa.table({"id": [value]}), mode="append", storage_options=options)
    log = managed.path(managed.delta_key(1, "0190")) + "/_delta_log/"
    commits = [i.path for i in managed.store().list(log) if i.path.endswith(".json")]
    assert commits == [f"{log}{n:020}.json" for n in (0, 1)]


def test_the_upload_sink_loads_no_reader() -> None:
    script = (
        "import sys, stocktake.storage.managed, stocktake.storage.stores.remote;"
        "print([m for m in ('pyarrow', 'deltalake', 'pandas') if m in sys.modules])"
    )
    assert run(script) == "[]"
