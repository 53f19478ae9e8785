"""What no retry mends is told at once: pages, protocols, regions, rights."""

import asyncio
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from stocktake.errors import (
    JobError,
    ManagedStorageRefusedError,
    StorageUnavailableError,
    TerminalError,
    WrongRegionError,
)
from stocktake.readers import introspect
from stocktake.readers.source import Source
from stocktake.schema.formats import TableFormat
from stocktake.storage.managed import ManagedStorage, storage_at
from stocktake.storage.places.urls import parse
from stocktake.storage.stores import clients, store_errors
from stocktake.storage.stores.opening import ObjectStore, open_source
from stocktake.storage.stores.protocol import Credential
from tests.support.hostile_store import Answer, Asked, Hostile, hostile
from tests.support.odd_store import OddStore

KEYS = Credential(access_key="AK", access_secret="SK")
LOGIN = b"<!doctype html><html><head><title>Log in</title></head><body>Please</body></html>"
SLOPPY = b"<!DOCTYPE html><meta charset=utf-8><br><p>Console & more"
Read = Callable[[ObjectStore], object]
READS: dict[str, Read] = {
    "list": lambda store: list(store.list("t/")),
    "get": lambda store: store.get("t/k", length=9),
    "tail": lambda store: store.get_tail("t/k", 9),
    "head": lambda store: store.get("t/k", length=0),
    "stream": lambda store: list(store.stream("t/k")),
}
each_read = pytest.mark.parametrize("read", READS.values(), ids=READS)


@contextmanager
def served(answer: Callable[[str], Answer]) -> Iterator[tuple[ObjectStore, Hostile]]:
    with hostile(answer) as server:
        yield open_source(parse(f"{server.endpoint}/bucket/k"), KEYS)[0], server


# --- pages ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "page", [LOGIN, SLOPPY, b"", b"{}"], ids=["login", "sloppy", "empty", "json"]
)
@pytest.mark.parametrize("prefix", ["t/", "", "t/u/part-"])
def test_a_page_is_no_empty_listing(page: bytes, prefix: str) -> None:
    answer = 200, page, {"Content-Type": "text/html; charset=utf-8"}
    with (
        served(lambda _: answer) as (store, _),
        pytest.raises(TerminalError, match="no object store") as caught,
    ):
        list(store.list(prefix))
    assert caught.value.code == "not_a_store"


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        *(
            (kind, path)
            for kind in ("Parquet", "CSVWithNames", "JSONEachRow")
            for path in ("t/k", "t/*")
        ),
        ("Delta", "t/k"),
    ],
)
def test_a_table_behind_a_console_is_told(kind: str, path: str) -> None:
    answer = 200, LOGIN, {"Content-Type": "text/html"}
    with served(lambda _: answer) as (store, _), pytest.raises(TerminalError) as caught:
        introspect(Source(store=store, path=path, format=TableFormat(kind)))
    assert caught.value.code == "not_a_store"


def test_an_empty_listing_of_a_store_is_one_and_is_asked_about_once_more() -> None:
    with served(OddStore(objects={"u/k": b"x"})) as (store, server):
        assert list(store.list("t/")) == []
        assert len(server.seen) == 2


def test_a_page_that_somebody_keeps_in_a_store_is_an_object() -> None:
    odd = OddStore(objects={"t/k": LOGIN}, ranges=False)
    with served(odd) as (store, _):
        assert store.get("t/k", length=9).data == LOGIN[:9]


# --- protocols ------------------------------------------------------------------------------


@contextmanager
def speaking(says: bytes) -> Iterator[int]:
    """A port that says the same to whoever asks, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    if connection.recv(65536):
                        connection.sendall(says)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
    thread.join()


GO = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
NGINX = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Length: 80\r\nConnection: close\r\n\r\n"
    + b"<html><center>The plain HTTP request was sent to HTTPS port</center></html>".ljust(80)
)
ALERT = b"\x15\x03\x01\x00\x02\x02\x46"


@pytest.mark.parametrize("says", [GO, NGINX, ALERT], ids=["go", "nginx", "alert"])
@pytest.mark.parametrize("read", [READS["list"], READS["get"]], ids=["list", "get"])
def test_plain_http_to_a_port_of_tls_is_told(says: bytes, read: Read) -> None:
    with speaking(says) as port:
        store = open_source(parse(f"http://127.0.0.1:{port}/bucket/k"), KEYS)[0]
        with pytest.raises(JobError, match="TLS") as caught:
            read(store)
    assert (caught.value.code, caught.value.retryable) == ("wrong_protocol", False)
    assert "https://" in caught.value.hint


@each_read
def test_tls_to_a_port_of_plain_http_is_told(read: Read) -> None:
    with hostile(OddStore(objects={"t/k": b"x"})) as server:
        url = f"https://127.0.0.1:{server.server_port}/bucket/k"
        with pytest.raises(JobError, match="does not speak TLS") as caught:
            read(open_source(parse(url), KEYS)[0])
    assert "http://" in caught.value.hint


# --- regions --------------------------------------------------------------------------------


def _only_in(region: str, told: str | None) -> Callable[[str], Answer]:
    """A store that believes no signature for another region."""
    odd = OddStore(objects={"t/k": b"0123456789"})

    def answer(target: str) -> Answer:
        assert isinstance(target, Asked)
        [signed] = re.findall(r"Credential=AK/\d+/([^/]+)/", target.headers["authorization"])
        if signed == region:
            return odd(target)
        named = f"<Region>{told}</Region>" if told else ""
        code = "<Code>AuthorizationHeaderMalformed</Code>"
        return 400, f"<Error>{code}<Message>secret</Message>{named}</Error>".encode(), {}

    return answer


@each_read
@pytest.mark.parametrize("region", ["garage", "eu-west-1"])
def test_the_region_that_the_store_names_is_used(read: Read, region: str) -> None:
    answer = _only_in(region, region)
    with served(answer) as (store, server):
        assert read(store)
        asked = len(server.seen)
        assert read(store)
        assert len(server.seen) < 2 * asked  # it is remembered


@each_read
def test_a_region_that_does_not_help_is_named(read: Read) -> None:
    answer = _only_in("nowhere", "eu-south-2")
    with (
        served(answer) as (store, _),
        pytest.raises(WrongRegionError, match='"eu-south-2"') as caught,
    ):
        read(store)
    assert "eu-south-2" in caught.value.hint
    assert caught.value.code == "wrong_region"


def test_a_region_that_is_not_named_is_told_as_such() -> None:
    answer = _only_in("nowhere", None)
    with served(answer) as (store, _), pytest.raises(WrongRegionError) as caught:
        store.get("t/k")
    assert caught.value.region is None


@pytest.mark.parametrize(
    ("url", "host", "endpoint"),
    [
        ("https://b.s3.us-east-1.amazonaws.com/k", "b.s3.eu-west-3.amazonaws.com", None),
        ("https://b.s3.amazonaws.com/k", "b.s3.eu-west-3.amazonaws.com", None),
        (
            "https://s3.us-east-1.amazonaws.com/b/k",
            "s3.eu-west-3.amazonaws.com",
            "https://s3.eu-west-3.amazonaws.com",
        ),
    ],
)
def test_a_bucket_of_amazons_is_asked_at_its_own_regions_host(
    url: str, host: str, endpoint: str | None
) -> None:
    moved = clients.in_region(parse(url), "eu-west-3")
    assert moved is not None
    assert (moved.host, moved.endpoint, moved.region) == (host, endpoint, "eu-west-3")
    assert (moved.bucket, moved.key) == ("b", "k")


@pytest.mark.parametrize("region", ["evil.example", "a/b", "eu-west-1.evil", "", "EU"])
def test_a_region_that_is_none_leads_nowhere(region: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "discover_region", lambda location: None)
    assert clients.in_region(parse("https://b.s3.us-east-1.amazonaws.com/k"), region) is None


@pytest.mark.parametrize("host", ["b.s3-fips.us-east-1", "b.s3.dualstack.us-east-1"])
def test_a_host_that_was_chosen_for_more_than_its_region_is_kept(host: str) -> None:
    assert clients.in_region(parse(f"https://{host}.amazonaws.com/k"), "eu-west-3") is None


# --- managed storage ------------------------------------------------------------------------

REFUSALS = [
    (403, "AccessDenied"),
    (403, ""),
    (501, "NotImplemented"),
    (501, ""),
    (401, ""),
    (404, "NoSuchBucket"),
    (405, "MethodNotAllowed"),
    (400, "AuthorizationHeaderMalformed"),
]


def _managed(endpoint: str) -> ManagedStorage:
    return storage_at("s3://bucket/kept", access_key="AK", access_secret="SK", endpoint=endpoint)


@pytest.mark.parametrize(("status", "code"), REFUSALS)
def test_an_upload_that_is_refused_is_told_and_one_that_failed_may_be_sent_again(
    status: int, code: str
) -> None:
    body = f"<Error><Code>{code}</Code></Error>".encode() if code else b""

    async def upload(endpoint: str) -> None:
        sink = _managed(endpoint).open_upload("uploads/1/u")
        await sink.write(b"data")
        await sink.finish()

    with (
        hostile(lambda _: (status, body, {})) as server,
        pytest.raises(ManagedStorageRefusedError, match=rf"answered {status}") as caught,
    ):
        asyncio.run(upload(server.endpoint))
    assert not caught.value.retryable
    with hostile(lambda _: (503, b"", {})) as server, pytest.raises(StorageUnavailableError):
        asyncio.run(upload(server.endpoint))


@pytest.mark.parametrize(("status", "code"), REFUSALS)
def test_a_commit_that_is_refused_is_told(status: int, code: str) -> None:
    """By what deltalake makes of the answer."""
    body = f"<Error><Code>{code}</Code></Error>".encode() if code else b""
    with hostile(lambda _: (status, body, {})) as server:
        uri, options = _managed(server.endpoint).delta_root(1, "t")
        with pytest.raises(OSError, match="status code") as caught:
            write_deltalake(uri, pa.table({"a": [1]}), storage_options=options)
    error = store_errors.from_managed(caught.value)
    assert isinstance(error, ManagedStorageRefusedError), caught.value
    assert str(status) in error.detail
