"""The proxy does to a connection what it says, and counts it."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest

from servers.process import HOST, PATIENCE_SECONDS
from servers.proxy import Cut, Proxy
from tests.support.stack import wait_until


class Echo:
    """Answers each line with the same line, and keeps what it was sent."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self._listener = socket.create_server((HOST, 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):  # it may be closed already
            self._listener.shutdown(socket.SHUT_RDWR)  # ends the accept() of the thread
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rwb", buffering=0) as lines:
            try:
                for line in lines:
                    self.received.append(line)
                    lines.write(line)
            except OSError:
                pass


class Client:
    """One connection through the proxy."""

    def __init__(self, proxy: Proxy) -> None:
        self.socket = socket.create_connection((HOST, proxy.port), timeout=PATIENCE_SECONDS)
        self.lines = self.socket.makefile("rb")

    def ask(self, line: bytes) -> bytes:
        self.socket.sendall(line)
        return self.lines.readline()

    def close(self) -> None:
        self.lines.close()
        self.socket.close()


@pytest.fixture
def echo() -> Iterator[Echo]:
    with closing(Echo()) as server:
        yield server


@pytest.fixture
def proxy(echo: Echo) -> Iterator[Proxy]:
    with Proxy(echo.port) as running:
        yield running


@pytest.fixture
def client(proxy: Proxy) -> Iterator[Client]:
    with closing(Client(proxy)) as connected:
        yield connected


def test_bytes_pass_while_nothing_is_asked_of_it(proxy: Proxy, client: Client) -> None:
    assert client.ask(b"hello\n") == b"hello\n"
    counts = proxy.counts
    assert (counts.connections, counts.delivered_bytes) == (1, 12)
    assert (counts.swallowed_bytes, counts.delayed, counts.cut) == (0, 0, 0)


def test_a_client_of_a_server_that_is_gone_is_hung_up_on(echo: Echo, proxy: Proxy) -> None:
    echo.close()
    with closing(Client(proxy)) as client:
        assert client.socket.recv(1) == b""


def test_a_server_that_hangs_up_is_passed_on(proxy: Proxy, client: Client) -> None:
    client.socket.sendall(b"last\n")
    client.socket.shutdown(socket.SHUT_WR)
    assert client.lines.read() == b"last\n"


def test_a_black_hole_swallows_and_keeps_connections_open(
    echo: Echo, proxy: Proxy, client: Client
) -> None:
    assert client.ask(b"before\n") == b"before\n"
    proxy.black_hole()
    with closing(Client(proxy)) as late:
        for each in (client, late):
            each.socket.settimeout(0.2)
            with pytest.raises(TimeoutError):
                each.ask(b"lost\n")
        wait_until(lambda: proxy.counts.swallowed_bytes == 10, "both lines in the hole")
    assert echo.received == [b"before\n"]


def test_after_a_black_hole_new_connections_work_and_old_ones_stay_silent(
    echo: Echo, proxy: Proxy, client: Client
) -> None:
    # A connection is one of the proxy's from its first answer on, not from `connect`.
    assert client.ask(b"before\n") == b"before\n"
    proxy.black_hole()
    client.socket.sendall(b"lost\n")
    wait_until(lambda: proxy.counts.swallowed_bytes == 5, "the line in the hole")
    proxy.heal()
    with closing(Client(proxy)) as fresh:
        assert fresh.ask(b"found\n") == b"found\n"
    client.socket.settimeout(0.2)
    with pytest.raises(TimeoutError):
        client.ask(b"lost too\n")
    assert echo.received == [b"before\n", b"found\n"]


def test_a_reset_ends_all_connections_and_no_later_one(proxy: Proxy, client: Client) -> None:
    client.ask(b"hello\n")
    proxy.reset()
    with pytest.raises(ConnectionResetError):
        client.socket.recv(1)
    with closing(Client(proxy)) as again:
        assert again.ask(b"hello\n") == b"hello\n"
    assert proxy.counts.cut == 1


@pytest.mark.parametrize("executed", [True, False])
def test_a_cut_meets_one_request_and_the_server_has_it_or_not(
    echo: Echo, proxy: Proxy, client: Client, executed: bool
) -> None:
    proxy.cut(Cut(after=b"insert", at=b"commit", executed=executed))
    with closing(Client(proxy)) as other:
        assert other.ask(b"commit\n") == b"commit\n"  # it inserted nothing
        client.ask(b"insert\n")
        with pytest.raises(ConnectionResetError):
            client.ask(b"commit 2\n")
        proxy.wait_for_cut()
        assert (b"commit 2\n" in echo.received) is executed
        assert other.ask(b"insert and commit\n") == b"insert and commit\n"  # only once
    assert proxy.counts.cut == 1


def test_an_answer_is_cut_after_so_many_bytes(proxy: Proxy, client: Client) -> None:
    proxy.answer_bytes = 8
    assert client.ask(b"1234\n") == b"1234\n"
    client.socket.sendall(b"5678\n")
    assert client.socket.recv(5, socket.MSG_WAITALL) == b"567"
    with pytest.raises(ConnectionResetError):
        client.socket.recv(1)
    assert proxy.counts.cut == 1


def test_a_late_request_is_delivered_late(proxy: Proxy, client: Client) -> None:
    proxy.latency_seconds = 0.3
    asked_at = time.monotonic()
    assert client.ask(b"hello\n") == b"hello\n"
    assert time.monotonic() - asked_at >= 0.29
    assert proxy.counts.delayed == 1


def test_answers_drip(proxy: Proxy, client: Client) -> None:
    proxy.answer_pace = 5
    asked_at = time.monotonic()
    assert client.ask(b"hello\n") == b"hello\n"
    assert time.monotonic() - asked_at >= 0.99  # five pauses
    client.socket.sendall(b"again\n")
    assert client.lines.read(1) == b"a"
    proxy.heal()
    assert client.lines.readline() == b"gain\n"
