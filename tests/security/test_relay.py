"""The relay leads to one endpoint each, and the store sees requests as everybody sends them."""

import socket
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from servers.certificates import Certificate, make_certificate
from stocktake.errors import JobError
from stocktake.storage.places.urls import parse
from stocktake.storage.stores.opening import open_source
from stocktake.storage.stores.protocol import Credential, ObjectStore
from stocktake.storage.stores.relay import proxy_url
from tests.support.hostile_store import FOUND, Answer, Hostile, hostile

KEYS = Credential(access_key="AK", access_secret="c2VjcmV0")
ODD_KEYS = [
    "a#b",
    "a;b",
    "a?b=1",
    "#",
    ";x=1?y#z",
    "a b+c%20d",
    "a:b@c",
    "http://elsewhere.example/x",
    "é/ü#ß",
    "a&b=c",
]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(autouse=True)
def trust(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.authority))


@pytest.fixture(params=["http", "https"])
def store(request: pytest.FixtureRequest, certificate: Certificate) -> Iterator[Hostile]:
    tls = certificate.context() if request.param == "https" else None
    with hostile(lambda _: FOUND, tls) as server:
        yield server


def opened(server: Hostile) -> ObjectStore:
    return open_source(parse(f"{server.endpoint}/bucket/k"), KEYS)[0]


@pytest.mark.parametrize("key", ODD_KEYS)
def test_requests_are_in_origin_form(store: Hostile, key: str) -> None:
    assert opened(store).get(key.replace("//", "/")).data == b"bytes"
    [(target, headers)] = store.seen
    assert target.startswith("/bucket/")
    assert not set("#;?") & set(target)
    assert headers["host"] == urlsplit(store.endpoint).netloc
    assert not [name for name in headers if name.startswith("proxy")]


def test_listing_is_in_origin_form(store: Hostile) -> None:
    empty: Answer = 200, b"<ListBucketResult></ListBucketResult>", {}
    store.answer = lambda target: empty if "list-type" in target else (404, b"", {})
    assert list(opened(store).list("a#b;c/d")) == []
    target, _ = store.seen[0]
    assert target.startswith("/bucket?")
    assert "prefix=a%23b%3Bc" in target


def test_a_store_that_is_not_there_is_not_reached(certificate: Certificate) -> None:
    """And is no redirect, though the client sees a proxy fail in both cases."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}", f"https://127.0.0.1:{port}", "https://no.invalid"):
        with pytest.raises(JobError) as caught:
            open_source(parse(f"{url}/bucket/k"), KEYS)[0].get("k")
        assert caught.value.code == "storage_unavailable"


def test_a_redirect_on_a_connection_that_was_used_before_is_refused(store: Hostile) -> None:
    """A plain one comes as a further request on it."""
    with hostile(lambda _: FOUND) as other:
        elsewhere = other.endpoint.replace("127.0.0.1", "localhost")
        for where in (f"{other.endpoint}/b/k", f"{elsewhere}/b/k", f"{other.endpoint}"):
            reader = opened(store)
            store.answer = lambda _: FOUND
            assert reader.get("k").data == b"bytes"
            store.answer = lambda _, where=where: _to(where)
            with pytest.raises(JobError) as caught:
                reader.get("k")
            assert caught.value.code == "url_refused"
        assert other.connections == 0


def _to(where: str) -> Answer:
    return 307, b"", {"Location": where}


def test_one_endpoints_client_is_not_led_to_anothers(certificate: Certificate) -> None:
    """Both are known to the process's relay; a store may name the other one."""
    with hostile(lambda _: FOUND, certificate.context()) as other:
        assert opened(other).get("k").data == b"bytes"
        before = other.connections
        luring = _to(f"{other.endpoint}/bucket/k")
        with (
            hostile(lambda _: luring, certificate.context()) as lying,
            pytest.raises(JobError) as caught,
        ):
            opened(lying).get("k")
        assert caught.value.code == "url_refused"
        assert other.connections == before


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"CONNECT {there} HTTP/1.1\r\n\r\n", b"HTTP/1.1 407"),
        (b"CONNECT {there} HTTP/1.1\r\nProxy-Authorization: Basic eDp5\r\n\r\n", b"HTTP/1.1 407"),
        (b"GET http://{there}/ HTTP/1.1\r\n\r\n", b"HTTP/1.1 421"),
        (b"GET / HTTP/1.1\r\nProxy-Authorization: {name}\r\n\r\n", b"HTTP/1.1 421"),
        (
            b"CONNECT {there} HTTP/1.1\r\nProxy-Authorization: {name}\r\n\r\n",
            b"HTTP/1.1 403",  # no tunnel to a plain endpoint
        ),
        (b"GET http://{there}:1/ HTTP/1.1\r\nProxy-Authorization: {name}\r\n\r\n", b"HTTP/1.1 421"),
        (b"GET http://[/ HTTP/1.1\r\nProxy-Authorization: {name}\r\n\r\n", b"HTTP/1.1 421"),
        (b"\x16\x03\x01 no request\r\n\r\n", b""),
        (b"GET / HTTP/9\r\n\r\n", b""),
        (b"x" * 300_000, b""),
    ],
)
def test_a_stranger_on_this_machine_is_led_nowhere(sent: bytes, answer: bytes) -> None:
    with hostile(lambda _: FOUND) as server:
        proxy = urlsplit(proxy_url(server.endpoint))
        name = b"Basic " + b64encode(f"{proxy.username}:{proxy.password}".encode())
        there = urlsplit(server.endpoint).netloc.encode()
        with socket.create_connection(("127.0.0.1", proxy.port or 0)) as stranger:
            stranger.settimeout(30)
            stranger.sendall(sent.replace(b"{there}", there).replace(b"{name}", name))
            try:
                assert stranger.recv(1000)[: len(answer) or 1] == answer
            except ConnectionResetError:
                assert answer == b""
        assert server.connections == 0


def test_a_body_is_passed_on_whole_and_the_next_request_as_well(tmp_path: object) -> None:
    from stocktake.storage.stores.clients import build_client

    taken: list[tuple[str, bytes]] = []
    with _Taking(taken) as server:
        client = build_client(
            parse(f"{server.endpoint}/bucket/k"), KEYS, public=False, allow_http=True
        )
        for size in (0, 1, 3_000_000):
            client.put(f"k#{size}", b"x" * size, use_multipart=False)
    assert [(path, len(body)) for path, body in taken] == [
        ("/bucket/k%230", 0),
        ("/bucket/k%231", 1),
        ("/bucket/k%233000000", 3_000_000),
    ]


def test_a_forked_child_has_a_relay_of_its_own() -> None:
    """The parent's has no thread there."""
    code = """
import os
from tests.support.hostile_store import FOUND, hostile
from stocktake.storage.stores.opening import open_source
from stocktake.storage.stores.protocol import Credential
from stocktake.storage.places.urls import parse
keys = Credential(access_key="AK", access_secret="SK")
with hostile(lambda _: FOUND) as server:
    def read():
        return open_source(parse(f"{server.endpoint}/bucket/{os.getpid()}"), keys)[0].get("k").data
    from stocktake.storage.stores.relay import proxy_url
    parents = proxy_url(server.endpoint)
    child = os.fork()
    if child == 0:
        os._exit(0 if proxy_url(server.endpoint) != parents and read() == b"bytes" else 3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert read() == b"bytes"
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b""), done.stderr.decode()


class _Taking:
    """A store that takes what it is sent."""

    def __init__(self, taken: list[tuple[str, bytes]]) -> None:
        self._context = hostile(lambda _: (200, b"", {"ETag": '"x"'}))
        self._taken = taken

    def __enter__(self) -> Hostile:
        server = self._context.__enter__()
        taken = self._taken

        class Handler(server.RequestHandlerClass):  # type: ignore[name-defined, misc]
            def do_PUT(self) -> None:  # noqa: N802 - the name is http.server's
                length = int(self.headers["Content-Length"])
                taken.append((self.path, self.rfile.read(length)))
                self.do_GET()

        server.RequestHandlerClass = Handler
        return server

    def __exit__(self, *error: object) -> None:
        self._context.__exit__(None, None, None)
