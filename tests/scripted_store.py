"""An S3-compatible endpoint whose answers a test decides: it hangs, or it answers, on command."""

import hashlib
import threading
from contextlib import suppress
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

_MISSING = b"<Error><Code>NoSuchKey</Code><Message>gone</Message></Error>"


class ScriptedStore:
    """Counts requests and lets none through until `release`; what was not `put` is missing.

    A read of it is in flight for as long as the test wants, without a sleep anywhere. It answers
    with the object as it was when the request came in, however long the answer is held.
    """

    def __init__(self) -> None:
        self._arrived = threading.Semaphore(0)
        self._released = threading.Event()
        self._objects: dict[str, bytes] = {}
        store = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = store._objects.get(urlsplit(self.path).path)
                store._arrived.release()
                store._released.wait(120)
                with suppress(OSError):  # the reader was killed meanwhile, as tests do
                    self._answer(found)

            do_HEAD = do_GET  # noqa: N815 - the base class's name

            def _answer(self, found: bytes | None) -> None:
                if found is None:
                    self._send(404, _MISSING)
                    return
                first, last = _asked(self.headers.get("Range", ""), len(found))
                self._send(
                    206 if "Range" in self.headers else 200,
                    found[first : last + 1],
                    {
                        "Content-Range": f"bytes {first}-{last}/{len(found)}",
                        "ETag": f'"{hashlib.sha256(found).hexdigest()}"',
                        "Last-Modified": formatdate(0, usegmt=True),
                    },
                )

            def _send(
                self, status: int, body: bytes, headers: dict[str, str] | None = None
            ) -> None:
                self.send_response(status)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Silence: a killed reader is no news."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    @property
    def endpoint(self) -> str:
        """What `TRUSTED_ENDPOINTS` names."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def url(self, key: str) -> str:
        """A table's URL pattern in it."""
        return f"{self.endpoint}/bucket/{key}"

    def put(self, key: str, data: bytes) -> None:
        """Let an object be there from the next request on."""
        self._objects[f"/bucket/{key}"] = data

    def wait_for_request(self, timeout_seconds: float = 60) -> None:
        """Return when one more request has arrived, or fail."""
        assert self._arrived.acquire(timeout=timeout_seconds), "no request reached the store"

    def release(self) -> None:
        """Answer what waits, and all that comes."""
        self._released.set()

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


def _asked(header: str, size: int) -> tuple[int, int]:
    """The first and the last byte that a Range header asks for."""
    first, _, last = header.removeprefix("bytes=").partition("-")
    if not header:
        return 0, size - 1
    if not first:
        return max(0, size - int(last)), size - 1
    return int(first), min(int(last or size), size - 1)
