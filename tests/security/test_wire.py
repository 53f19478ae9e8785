"""What a web process takes from a connection: how much, for how long, and how broken."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psutil
import pytest
import uvicorn

from api.wire.protocol import MAX_HEAD_BYTES, MAX_HEADERS, BoundedProtocol, EdgeLimits
from servers.process import PATIENCE_SECONDS
from servers.service import Web
from stocktake.db.models import Upload
from tests.security.conftest import StartWeb
from tests.security.raw import Raw
from tests.support.stack import opened, wait_until

MIB = 1024 * 1024
#: What the two machines' buffers may hold of what was sent to a server that had stopped reading.
IN_FLIGHT_BYTES = 16 * MIB
#: What it may throw away beside that, where it takes no more than 128 MiB a second.
THROWN_AWAY_BYTES = 1024 * MIB


@pytest.fixture(scope="module")
def web(start_web: StartWeb) -> Web:
    """A server that waits for a head for one second, and takes what it refused for half of one."""
    return start_web(
        REQUEST_HEAD_SECONDS="1", REQUEST_LINGER_SECONDS="0.5", MAX_UPLOAD_BYTES=str(MIB)
    )


@pytest.fixture(scope="module")
def keyed(web: Web, add_key: Callable[[Web], tuple[int, str]]) -> tuple[str, bytes]:
    """The path of a project, and a header with its key."""
    project_id, key = add_key(web)
    return f"/api/projects/{project_id}", f"Authorization: Bearer {key}\r\n".encode()


@pytest.fixture
def raw(web: Web) -> Iterator[Raw]:
    """A connection."""
    with Raw(web.port) as connection:
        yield connection


def _post(path: str, *headers: bytes) -> bytes:
    lines = b"".join(header if header.endswith(b"\r\n") else header + b"\r\n" for header in headers)
    return f"POST {path} HTTP/1.1\r\nHost: x\r\n".encode() + lines + b"\r\n"


def _resident_bytes(web: Web) -> int:
    return int(psutil.Process(web.pid).memory_info().rss)


# --- the head -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "begin",
    [b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: ", b"GET /", b"x", b"GET / HTTP/1.1\r\nx"],
)
def test_a_head_without_end_is_refused_and_not_held(web: Web, raw: Raw, begin: bytes) -> None:
    before = _resident_bytes(web)
    raw.send(begin).pour(b"a" * 65536, 200 * MIB)
    assert raw.sent_bytes < IN_FLIGHT_BYTES
    assert _resident_bytes(web) - before < IN_FLIGHT_BYTES


def test_a_long_head_is_told_so(raw: Raw) -> None:
    raw.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * MAX_HEAD_BYTES)
    answer = raw.answer()
    assert (answer.status, answer.json()["code"]) == (431, "head_too_large")
    assert answer.headers["connection"] == "close"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert raw.closed()


def test_a_head_below_the_limit_is_read(raw: Raw) -> None:
    head = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: "
    raw.send(head + b"a" * (MAX_HEAD_BYTES - len(head) - 10) + b"\r\n\r\n")
    assert raw.answer().status == 200


@pytest.mark.parametrize(("count", "status"), [(MAX_HEADERS, 200), (MAX_HEADERS + 1, 431)])
def test_headers_are_counted(raw: Raw, count: int, status: int) -> None:
    headers = b"".join(b"X-%d: 1\r\n" % number for number in range(count - 1))
    raw.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n")
    assert raw.answer().status == status


def test_a_head_that_trickles_in_is_cut_off(raw: Raw) -> None:
    """A byte now and then, for far longer than the second that a head may take."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    pause = threading.Event()
    raw.send(b"GET /healthz HTTP/1.1\r\n")
    while time.monotonic() < give_up_at:
        try:
            raw.send(b"X")
        except OSError:
            break
        pause.wait(0.2)
    assert time.monotonic() < give_up_at


def test_a_head_that_stops_is_told_so(raw: Raw) -> None:
    raw.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
    answer = raw.answer()
    assert (answer.status, answer.json()["code"]) == (408, "request_timeout")
    assert raw.closed()


def test_a_second_head_that_stops_is_told_so(raw: Raw) -> None:
    raw.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert raw.answer().status == 200
    raw.send(b"GET /healthz HTT")
    assert raw.answer().status == 408


def test_silence_is_hung_up_on(raw: Raw) -> None:
    assert raw.closed()


def test_an_idle_connection_is_hung_up_on(raw: Raw) -> None:
    raw.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert raw.answer().status == 200
    assert raw.closed()


# --- what is no request, or two -----------------------------------------------------------


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
        b"Content-Length: 5\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\na",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 1\r\n\r\na",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: a\rb\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX Y: a\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
        b"GET /healthz\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nhost: y\r\n\r\n",
        b"GET /healthz HTTP/1.0\r\nHost: x\r\nHost: x\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a\r\n"
        b"Authorization: Bearer b\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT metadata:80 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused_once_and_ends_the_connection(
    raw: Raw, request_bytes: bytes
) -> None:
    """The smuggled second request is never answered."""
    raw.send(request_bytes + b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    answer = raw.answer()
    assert (answer.status, answer.json()["code"]) == (400, "parse_error")
    assert raw.closed()


@pytest.mark.parametrize("upgrade", [b"websocket", b"h2c"])
def test_no_other_protocol_is_spoken(raw: Raw, upgrade: bytes) -> None:
    raw.send(
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: " + upgrade + b"\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    assert raw.answer().status == 200


def test_requests_that_come_at_once_are_answered_in_order(
    raw: Raw, keyed: tuple[str, bytes]
) -> None:
    path, key = keyed
    raw.send(
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
        + _post(f"{path}/schedules/", key, b"Content-Length: 2")
        + b"{}GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    )
    assert [raw.answer().status for _ in range(3)] == [200, 400, 200]


# --- the body -----------------------------------------------------------------------------


@pytest.mark.parametrize("key", [b"", b"Authorization: Bearer stk_wrong"])
@pytest.mark.parametrize("route", ["file", "upload_file"])
def test_a_strangers_gigabytes_are_refused_before_they_are_read(
    web: Web, raw: Raw, keyed: tuple[str, bytes], route: str, key: bytes
) -> None:
    raw.send(
        _post(
            f"{keyed[0]}/warehouse_tables/{route}/",
            b"Content-Type: multipart/form-data; boundary=x",
            b"Content-Length: %d" % (10 * 1024**3),
            *([key] if key else []),
        )
    )
    assert raw.answer().status == 401
    memory = _resident_bytes(web)
    raw.pour(b"a" * 65536, 10 * 1024**3)
    assert raw.sent_bytes < THROWN_AWAY_BYTES
    assert _resident_bytes(web) - memory < IN_FLIGHT_BYTES


def test_a_refused_body_may_still_come_and_the_connection_goes_on(
    raw: Raw, keyed: tuple[str, bytes]
) -> None:
    """A client that sends head and body apart does not lose its connection by a wrong key."""
    for _ in range(2):
        raw.send(_post(f"{keyed[0]}/schedules/", b"Content-Length: 10000"))
        assert raw.answer().status == 401
        raw.send(b" " * 10_000)
    raw.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert raw.answer().status == 200


def test_a_refused_body_that_does_not_come_ends_the_connection(
    raw: Raw, keyed: tuple[str, bytes]
) -> None:
    raw.send(_post(f"{keyed[0]}/schedules/", b"Content-Length: 10000"))
    assert raw.answer().status == 401
    assert raw.closed()


def test_a_stranger_who_waits_to_be_asked_is_never_asked(
    raw: Raw, keyed: tuple[str, bytes]
) -> None:
    raw.send(
        _post(
            f"{keyed[0]}/warehouse_tables/file/",
            b"Content-Type: multipart/form-data; boundary=x",
            b"Content-Length: 1000000",
            b"Expect: 100-continue",
        )
    )
    assert raw.answer().status == 401  # and not 100


def test_a_body_without_end_is_refused_at_the_limit(raw: Raw, keyed: tuple[str, bytes]) -> None:
    """10 GB in chunks, to a route that takes 1 MiB of JSON."""
    path, key = keyed
    raw.send(
        _post(
            f"{path}/warehouse_tables/",
            key,
            b"Content-Type: application/json",
            b"Transfer-Encoding: chunked",
        )
    )
    raw.pour(b"10000\r\n" + b" " * 65536 + b"\r\n", 10 * 1024**3)
    assert raw.sent_bytes < THROWN_AWAY_BYTES
    assert raw.answer().status == 413


@pytest.mark.parametrize("route", ["file", "upload_file"])
def test_an_upload_without_end_is_refused_at_the_limit(
    web: Web, raw: Raw, keyed: tuple[str, bytes], route: str
) -> None:
    path, key = keyed
    part = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
    raw.send(
        _post(
            f"{path}/warehouse_tables/{route}/",
            key,
            b"Content-Type: multipart/form-data; boundary=x",
            b"Transfer-Encoding: chunked",
        )
        + b"%x\r\n" % len(part)
        + part
        + b"\r\n"
    )
    raw.pour(b"10000\r\n" + b"a" * 65536 + b"\r\n", 10 * 1024**3)
    assert raw.sent_bytes < THROWN_AWAY_BYTES
    answer = raw.answer()
    assert (answer.status, answer.json()["attr"]) == (400, "file")
    _require_nothing_stored(web)


def _require_nothing_stored(web: Web) -> None:
    def states() -> set[str]:
        with opened(web.settings["DATABASE_URL"]) as database, database.read() as session:
            return {state for (state,) in session.query(Upload.state)}

    wait_until(lambda: states() == {"removed"}, "the end of every upload")
    folder = web.folder / "data"
    assert [file for file in folder.rglob("*") if file.is_file() and file.stat().st_size] == []


def test_ten_thousand_parts_are_refused(raw: Raw, keyed: tuple[str, bytes]) -> None:
    path, key = keyed
    part = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n'
    body = part * 10_000 + b"--x--\r\n"
    raw.send(
        _post(
            f"{path}/warehouse_tables/file/",
            key,
            b"Content-Type: multipart/form-data; boundary=x",
            b"Content-Length: %d" % len(body),
        )
    )
    raw.pour(body, len(body))
    answer = raw.answer()
    assert (answer.status, answer.json()["code"]) == (400, "parse_error")


@pytest.mark.parametrize(
    ("route", "content_type"),
    [
        ("warehouse_tables/", b"application/json"),
        ("warehouse_tables/file/", b"multipart/form-data; boundary=x"),
    ],
)
def test_a_body_that_stops_is_cut_off(
    web: Web, raw: Raw, keyed: tuple[str, bytes], route: str, content_type: bytes
) -> None:
    path, key = keyed
    head = _post(
        f"{path}/{route}", key, b"Content-Type: " + content_type, b"Content-Length: 100000"
    )
    raw.send(head + b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nabc')
    answer = raw.answer()
    assert (answer.status, answer.json()["code"]) == (408, "request_timeout")
    assert raw.closed()
    if b"multipart" in content_type:
        _require_nothing_stored(web)


def test_a_slow_body_above_the_least_rate_is_read(raw: Raw, keyed: tuple[str, bytes]) -> None:
    """For longer than the time after which a slower one is cut off."""
    path, key = keyed
    pieces, piece = 35, b" " * 4096  # twenty times the rate, for a client that is held up
    length = pieces * len(piece) + 2
    raw.send(_post(f"{path}/schedules/", key, b"Content-Length: %d" % length))
    pause = threading.Event()
    for _ in range(pieces):
        raw.send(piece)
        pause.wait(0.2)
    answer = raw.send(b"{}").answer()
    assert (answer.status, answer.json()["attr"]) == (400, "name")


# --- beside the body's data ---------------------------------------------------------------

#: What may come beside the data of a chunked body, begun and without an end.
FRAMING = pytest.mark.parametrize(
    "begin",
    [b"0\r\nX-A: ", b"0\r\nX", b"1;", b"1;a=", b'1;a="', b"000"],
    ids=["trailer", "trailer-name", "extension", "extension-value", "quoted", "size"],
)
CHUNKED = b"Transfer-Encoding: chunked"


@FRAMING
def test_framing_without_end_is_told_so(raw: Raw, keyed: tuple[str, bytes], begin: bytes) -> None:
    path, key = keyed
    raw.send(_post(f"{path}/schedules/", key, CHUNKED) + begin)
    raw.send(b"0" * (2 * MAX_HEAD_BYTES + 1))  # of which half may have come with the head
    answer = raw.answer()
    assert (answer.status, answer.json()["code"]) == (431, "head_too_large")
    assert raw.closed()


@FRAMING
def test_a_strangers_framing_without_end_is_hung_up_on(
    web: Web, raw: Raw, keyed: tuple[str, bytes], begin: bytes
) -> None:
    """And costs the server next to nothing."""
    memory = _resident_bytes(web)
    raw.send(_post(f"{keyed[0]}/schedules/", CHUNKED))
    assert raw.answer().status == 401
    raw.send(begin).pour(b"0" * 65536, 200 * MIB)
    assert raw.sent_bytes < IN_FLIGHT_BYTES
    assert _resident_bytes(web) - memory < IN_FLIGHT_BYTES
    with Raw(web.port) as other:
        assert other.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").answer().status == 200


def test_framing_is_weighed_against_the_data_that_it_frames(
    raw: Raw, keyed: tuple[str, bytes]
) -> None:
    """A byte of data for each kilobyte beside it; and what came before gives no credit."""
    path, key = keyed
    raw.send(_post(f"{path}/schedules/", key, CHUNKED))
    raw.send(b"8000\r\n" + b" " * 0x8000 + b"\r\n")
    # More than the server takes at once, 256 KiB, and less than 16 times the data above.
    raw.send((b"1;" + b"a" * 1000 + b"\r\n \r\n") * 400)
    assert raw.answer().status == 431


def test_a_body_in_the_smallest_chunks_is_read_and_so_is_a_small_trailer(
    raw: Raw, keyed: tuple[str, bytes]
) -> None:
    path, key = keyed
    body = b"1\r\n \r\n" * MAX_HEAD_BYTES + b"2\r\n{}\r\n0\r\nX-Sum: 1\r\n\r\n"
    for _ in range(2):
        answer = raw.send(_post(f"{path}/schedules/", key, CHUNKED) + body).answer()
        assert (answer.status, answer.json()["attr"]) == (400, "name")


def test_requests_that_come_at_once_are_not_taken_for_one_long_head(raw: Raw) -> None:
    get = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 10_000 + b"\r\n\r\n"
    raw.send(get * 10)
    assert [raw.answer().status for _ in range(10)] == [200] * 10


def test_requests_that_follow_a_body_at_once_are_not_taken_for_its_framing(
    raw: Raw, keyed: tuple[str, bytes]
) -> None:
    path, key = keyed
    raw.send(_post(f"{path}/schedules/", key, CHUNKED, b"Expect: 100-continue"))
    assert raw.answer().status == 100  # the server is past the head
    get = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 10_000 + b"\r\n\r\n"
    raw.send(
        b"2\r\n{}\r\n0\r\n\r\n" + get * 10 + _post(f"{path}/schedules/", key, CHUNKED) + b"2\r\n"
    )
    raw.send(b"{}\r\n0\r\n\r\n")
    assert [raw.answer().status for _ in range(12)] == [400, *[200] * 10, 400]


def test_a_trailer_is_no_header() -> None:
    """Nor is one that may be there once only, which would be refused in a head."""

    async def echo(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["more_body"]:
            pass
        await _say(send, b"\n".join(b"%s: %s" % header for header in scope["headers"]))

    class Patient(BoundedProtocol):
        limits = EdgeLimits(head_seconds=10, body_bytes_per_second=0, connections=10)

    with _served(echo, Patient) as port, Raw(port) as raw:
        raw.send(_post("/", b"Authorization: Bearer one", CHUNKED) + b"2\r\nhi\r\n0\r\n")
        raw.send(b"Authorization: Bearer two\r\nHost: y\r\nIdempotency-Key: z\r\n\r\n")
        assert raw.answer().body.splitlines() == [
            b"host: x",
            b"authorization: Bearer one",
            b"transfer-encoding: chunked",
        ]


# --- the server as a whole ----------------------------------------------------------------


GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def test_connections_are_limited() -> None:
    """Those with a request under way; each of them is answered."""
    asked, gate = threading.Semaphore(0), threading.Event()

    async def patient(_scope: Any, _receive: Any, send: Any) -> None:
        asked.release()
        await asyncio.to_thread(gate.wait, PATIENCE_SECONDS)
        await _say(send, b"done")

    class Few(BoundedProtocol):
        limits = EdgeLimits(head_seconds=10, body_bytes_per_second=0, connections=4)

    with _served(patient, Few) as port, ExitStack() as opened_here:
        held = [opened_here.enter_context(Raw(port)).send(GET) for _ in range(4)]
        for _ in held:
            assert asked.acquire(timeout=PATIENCE_SECONDS)
        with Raw(port) as one_more:
            answer = one_more.send(GET).answer()
            assert (answer.status, answer.json()["code"]) == (503, "service_unavailable")
            assert answer.headers["retry-after"]
            assert one_more.closed()
        gate.set()
        assert [each.answer().status for each in held] == [200] * 4


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nHos", GET])
def test_a_connection_that_asks_nothing_gives_its_place_to_one_that_does(
    start_web: StartWeb, said: bytes
) -> None:
    """However many connect, with nothing to ask or when they were answered, others are served."""
    small = start_web(MAX_CONNECTIONS="4", REQUEST_HEAD_SECONDS="60", KEEP_ALIVE_SECONDS="60")
    with ExitStack() as opened_here:
        for _ in range(12):
            held = opened_here.enter_context(Raw(small.port)).send(said)
            if said == GET:
                held.answer()
        with Raw(small.port) as one_more:
            one_more.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert one_more.answer().status == 200


def test_a_connection_that_takes_no_answer_gives_its_place_to_one_that_asks() -> None:
    async def app(scope: Any, _receive: Any, send: Any) -> None:
        if scope["path"] == "/":
            await _say(send, b"done")
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(1000):  # what is sent to nobody does not wait
            await send({"type": "http.response.body", "body": b"a" * 65536, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    class Few(BoundedProtocol):
        limits = EdgeLimits(head_seconds=10, body_bytes_per_second=0, connections=2)

    def is_served() -> bool:
        with Raw(port) as one_more:
            return one_more.send(GET).answer().status == 200

    with _served(app, Few) as port, Raw(port) as first, Raw(port) as second:
        for slow in (first, second):
            slow.send(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
            assert not slow.silent(PATIENCE_SECONDS)
        wait_until(is_served, "an answer beside those that nobody takes")


async def _say(send: Any, body: bytes) -> None:
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": body})


def test_who_does_not_take_an_answer_is_cut_off() -> None:
    """An answer without end, of which nobody reads anything, ends."""
    ended = threading.Event()

    async def endless(scope: Any, receive: Any, send: Any) -> None:
        async def pour() -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            while True:
                await send({"type": "http.response.body", "body": b"a" * 65536, "more_body": True})
                await asyncio.sleep(0)  # what is sent to nobody does not wait

        assert (await receive())["type"] == "http.request"
        pouring = asyncio.create_task(pour())
        assert (await receive())["type"] == "http.disconnect"
        pouring.cancel()
        ended.set()

    class Impatient(BoundedProtocol):
        limits = EdgeLimits(
            head_seconds=10, body_bytes_per_second=0, connections=10, write_seconds=0.2
        )

    with _served(endless, Impatient) as port, Raw(port) as reader:
        reader.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert ended.wait(PATIENCE_SECONDS)


@contextmanager
def _served(app: Any, protocol: type[BoundedProtocol]) -> Iterator[int]:
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, http=protocol, lifespan="off", log_config=None))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    yield listening.getsockname()[1]
    server.should_exit = True
    thread.join()
    listening.close()


def test_a_proxy_is_answered_when_the_body_is_in(web: Web, raw: Raw) -> None:
    """One written in Go gives up on the body with the answer, and cuts its client off."""
    path = "/api/projects/1/schedules/"
    raw.send(_post(path, b"Via: 1.1 Caddy", b"Content-Length: 4", b"Authorization: Bearer no"))
    assert raw.silent()
    raw.send(b"true")
    assert raw.answer().status == 401


@pytest.mark.parametrize("expects", [b"Expect: 100-continue", b"X-Nothing: 0"])
def test_a_body_that_never_comes_holds_the_answer_up_for_a_moment(raw: Raw, expects: bytes) -> None:
    head = (b"X-Forwarded-For: 192.0.2.1", b"Content-Length: 4", b"Authorization: Bearer no")
    raw.send(_post("/api/projects/1/schedules/", expects, *head))
    assert raw.answer().status == 401
