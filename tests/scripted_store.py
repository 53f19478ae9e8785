"""An S3-compatible endpoint whose answers a test decides: it hangs, or it answers, on command."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

_MISSING = b"<Error><Code>NoSuchKey</Code><Message>gone</Message></Error>"


class ScriptedStore:
    """Counts requests and lets none through until `release`; then everything is missing.

    A read of it is in flight for as long as the test wants, without a sleep anywhere.
    """

    def __init__(self) -> None:
        self._arrived = threading.Semaphore(0)
        self._released = threading.Event()
        store = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                store._arrived.release()
                store._released.wait(120)
                try:
                    self.send_response(404)
                    self.send_header("Content-Length", str(len(_MISSING)))
                    self.end_headers()
                    self.wfile.write(_MISSING)
                except OSError:
                    pass  # the reader was killed meanwhile, as tests do

            do_HEAD = do_GET  # noqa: N815 - the base class's name

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
