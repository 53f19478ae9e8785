"""A store that lies: each of its answers is what a test's function says."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, bytes, dict[str, str]]
FOUND: Answer = (200, b"bytes", {"ETag": '"x"', "Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT"})


class Asked(str):
    """A request's target, with the rest of the request.

    Attributes:
        method: GET or HEAD.
        headers: by their names in lower case.
    """

    __slots__ = ("headers", "method")

    method: str
    headers: dict[str, str]


class Hostile(ThreadingHTTPServer):
    """A store that answers each request with `answer`, and remembers the requests.

    Attributes:
        connections: how many were made, whatever was said on them.
        seen: each request's target and headers.
        bodies: of its POSTs.
    """

    #: For the threads of a reader, all of which connect at once (`servers.scripted_store`).
    request_queue_size = 256

    def __init__(self, answer: Callable[[str], Answer], tls: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.connections = 0
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.bodies: list[bytes] = []
        self._tls = tls

    @property
    def endpoint(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.server_port}"

    def get_request(self) -> tuple[socket.socket, Any]:
        """The next connection. One whose handshake fails is over, as the base class has it."""
        connection, address = super().get_request()
        self.connections += 1
        if self._tls:
            connection = self._tls.wrap_socket(connection, server_side=True)
        return connection, address


class _Handler(BaseHTTPRequestHandler):
    server: Hostile
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        asked = Asked(self.path)
        asked.method, asked.headers = self.command, {k.lower(): v for k, v in self.headers.items()}
        self.server.seen.append((self.path, asked.headers))
        status, body, headers = self.server.answer(asked)
        self.send_response(status)
        if "Transfer-Encoding" in headers:
            body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        else:
            self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            with suppress(OSError):  # the reader has what it wanted
                self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - the name is http.server's

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.do_GET()

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def do_DELETE(self) -> None:
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def hostile(
    answer: Callable[[str], Answer], tls: ssl.SSLContext | None = None
) -> Iterator[Hostile]:
    """A running one, which speaks TLS where it is given a context."""
    with Hostile(answer, tls) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
