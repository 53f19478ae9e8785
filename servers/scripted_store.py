"""An S3-compatible endpoint whose answers a test decides: it hangs, fails, or has what was put."""

import hashlib
import re
import threading
from contextlib import suppress
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from servers.process import PATIENCE_SECONDS

_MISSING = b"<Error><Code>NoSuchKey</Code><Message>gone</Message></Error>"
_BUCKET = "/bucket/"
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class ScriptedStore:
    """Counts requests and lets none through until `release`; what was not `put` is missing.

    A read of it is in flight for as long as the test wants, without a sleep anywhere. It answers
    with the object as it was when the request came in, however long the answer is held.

    Attributes:
        status: what every request is refused with; None for none.
        refused: how many were.
    """

    def __init__(self) -> None:
        self.status: int | None = None
        self.refused = 0
        self._objects: dict[str, bytes] = {}
        self._arrived = threading.Semaphore(0)
        self._changed = threading.Condition()
        self._released = False
        self._passes = 0
        self._server = _Listener(("127.0.0.1", 0), _Handler)
        self._server.store = self
        self._server.daemon_threads = True

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    @property
    def endpoint(self) -> str:
        """What `TRUSTED_ENDPOINTS` names."""
        return f"http://127.0.0.1:{self.port}"

    def url(self, key: str) -> str:
        """Return a table's URL pattern in it."""
        return f"{self.endpoint}{_BUCKET}{key}"

    def put(self, key: str, data: bytes) -> None:
        """Let an object be there from the next request on; its ETag is that of its bytes."""
        self._objects[key] = data

    def wait_for_request(self, timeout_seconds: float = PATIENCE_SECONDS) -> None:
        """Return when one more request has arrived, or fail."""
        assert self._arrived.acquire(timeout=timeout_seconds), "no request reached the store"

    def hold(self) -> None:
        """Answer nothing from now on, until `release`; what arrived before does not count."""
        while self._arrived.acquire(blocking=False):
            pass
        with self._changed:
            self._released = False

    def let_through(self, count: int) -> None:
        """Answer so many requests of one reader, and return when the next one waits."""
        for _ in range(count):
            self.wait_for_request()
            with self._changed:
                self._passes += 1
                self._changed.notify()
        self.wait_for_request()

    def release(self) -> None:
        """Answer what waits, and all that comes."""
        with self._changed:
            self._released = True
            self._changed.notify_all()

    def answer(self, target: str, wanted: str | None) -> tuple[int, bytes, dict[str, str]]:
        """Return status, body and headers for a request, once it may have them.

        Args:
            target: a path, or the URL that a proxy is asked for.
            wanted: the Range header.
        """
        found = self._objects.get(urlsplit(target).path.removeprefix(_BUCKET))
        self._arrived.release()
        with self._changed:
            self._changed.wait_for(lambda: self._released or self._passes, 120)
            self._passes = max(0, self._passes - 1)
        if self.status is not None:
            self.refused += 1
            return self.status, b"", {}
        return (404, _MISSING, {}) if found is None else _part(found, wanted)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()
        self._server.shutdown()
        self._server.server_close()


class _Listener(ThreadingHTTPServer):
    # 128 threads of a reader connect at once. Beyond this many the kernel drops them, and who tries
    # again does so after one, two, four … seconds.
    request_queue_size = 256
    store: ScriptedStore


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Listener

    def do_GET(self) -> None:
        with suppress(OSError):  # the reader was killed meanwhile, as tests do
            self._send(*self.server.store.answer(self.path, self.headers.get("Range")))

    do_HEAD = do_GET  # noqa: N815 - the base class's name

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing: a killed reader is no news."""


def _part(data: bytes, wanted: str | None) -> tuple[int, bytes, dict[str, str]]:
    headers = {
        "ETag": f'"{hashlib.md5(data).hexdigest()}"',
        "Last-Modified": formatdate(usegmt=True),
    }
    if wanted is None:
        return 200, data, headers
    found = _RANGE.fullmatch(wanted)
    assert found is not None, wanted
    first, last = _bounds(found.group(1), found.group(2), len(data))
    headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
    return 206, data[first : last + 1], headers


def _bounds(first: str, last: str, size: int) -> tuple[int, int]:
    if not first:  # the last so many
        return max(0, size - int(last)), size - 1
    return int(first), min(int(last or size), size - 1)
