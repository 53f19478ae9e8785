"""A `STOCKTAKE_URL` that leads elsewhere is told as that, and never as a wrong key."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from servers.certificates import make_certificate
from servers.process import free_ports
from stocktake.client import (
    Client,
    ConfigurationError,
    Retries,
    UnexpectedAnswerError,
    UnreachableError,
)
from tests.support.commands import stocktake


@contextmanager
def answering(
    status: int = 200,
    body: bytes = b"",
    kind: str = "text/html",
    *,
    leads: str = "",
    tls: Path | None = None,
) -> Iterator[str]:
    """A server that says the same to everybody; its URL, in plain HTTP."""

    class Answer(BaseHTTPRequestHandler):
        server_version, sys_version = "nginx", ""

        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            if leads:
                self.send_header("Location", leads)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        if tls:
            server.socket = (
                make_certificate(tls, "127.0.0.1")
                .context()
                .wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
            )
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def ask(url: str) -> None:
    with Client(url, "stk_x", retries=Retries(attempts=1)) as client:
        list(client.tables.list())


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, b"<html>Welcome</html>", "text/html"),
        (401, b"<html>Log in</html>", "text/html"),
        (403, b'{"detail": "Forbidden"}', "application/json"),
        (404, b"<html>Not found</html>", "text/html"),
        (404, b'{"detail": "Not Found"}', "application/json"),
        (404, b"404 page not found", "text/plain"),
        (404, b'{"code": "NotFound", "error": "No such route"}', "application/json"),
        (200, b'{"ok": true}', "application/json"),
        (200, b"[]", "application/json"),
    ],
)
def test_another_server_is_told_with_what_it_answered(status: int, body: bytes, kind: str) -> None:
    with answering(status, body, kind) as url, pytest.raises(UnexpectedAnswerError) as told:
        ask(url)
    what = "a page of HTML" if kind == "text/html" else kind
    assert told.value.detail.startswith(f"{url} (nginx")
    assert f"answered {status} with {what}, as no Stocktake does." in told.value.detail
    assert "STOCKTAKE_URL" in str(told.value.hint)


def test_a_redirect_is_told_with_where_it_leads() -> None:
    with (
        answering(301, leads="https://stocktake.example/") as url,
        pytest.raises(UnexpectedAnswerError, match=r"leads to https://stocktake\.example/"),
    ):
        ask(url)


def test_a_server_of_the_other_protocol_is_told(tmp_path: Path) -> None:
    with answering() as url, pytest.raises(UnreachableError) as told:
        ask(url.replace("http:", "https:"))
    assert "begins with http://" in str(told.value.hint)
    with answering(tls=tmp_path) as url, pytest.raises(UnreachableError) as told:
        ask(url)
    assert "begins with https://" in str(told.value.hint)


def test_a_certificate_that_is_not_believed_is_told(tmp_path: Path) -> None:
    with answering(tls=tmp_path) as url, pytest.raises(UnreachableError) as told:
        ask(url.replace("http:", "https:"))
    assert told.value.detail.startswith("The certificate of https://127.0.0.1:")
    assert "SSL_CERT_FILE" in str(told.value.hint)


def test_nobody_is_told_with_where_nobody_was() -> None:
    [port] = free_ports(1)
    with pytest.raises(UnreachableError, match=f"No answer came from http://127.0.0.1:{port}"):
        ask(f"http://127.0.0.1:{port}")


def test_a_password_in_the_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigurationError, match="leave out what stands before the @") as told:
        ask("https://ops:hunter2@stocktake.example")
    assert "hunter2" not in str(told.value)


def test_the_command_line_says_the_same(tmp_path: Path) -> None:
    with answering(401, b"<html>Log in</html>") as url:
        done = stocktake(
            "tables", "list", folder=tmp_path, settings={"API_KEY": "stk_x", "URL": url}
        )
    assert done.returncode == 1
    assert f"{url} (nginx" in done.stderr
    assert "API key" not in done.stderr
    assert "Traceback" not in done.stderr
    with answering(200, b'{"ok": true}', "application/json") as url:
        settings = {"API_KEY": "stk_x", "URL": url}
        done = stocktake("tables", "list", folder=tmp_path, settings=settings)
    assert f"{url} answered with no list of Stocktake's" in done.stderr
