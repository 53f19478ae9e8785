"""Why a store was not reached, as the clients meet it on real sockets."""

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from stocktake.errors import StorageUnavailableError
from stocktake.storage.places.guard import GuardPolicy, recheck
from stocktake.storage.stores.opening import open_source
from stocktake.storage.stores.unreachable import unreachable_error


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that nobody listens at, and nobody else takes meanwhile."""
    with socket.socket() as kept:
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.bind(("127.0.0.1", 0))
        yield int(kept.getsockname()[1])


def _error(endpoint: str, *, trusted: bool = True) -> StorageUnavailableError:
    policy = GuardPolicy(
        allowed_schemes=frozenset({"https"}),
        trusted_endpoints=(endpoint,) if trusted else (),
        local_roots=(),
    )
    store, path = open_source(recheck(f"{endpoint}/bucket/x", policy), None, public=True)
    with pytest.raises(StorageUnavailableError) as raised:
        store.get(path)
    return raised.value


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_port_that_nobody_listens_at_refuses(scheme: str, closed_port: int) -> None:
    error = _error(f"{scheme}://127.0.0.1:{closed_port}")
    assert str(error) == "The store at 127.0.0.1 could not be reached: it refused the connection."
    assert "host and port" in error.hint


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_name_that_nobody_has_is_told_as_such(scheme: str) -> None:
    error = _error(f"{scheme}://store.invalid")  # RFC 6761: there never is one
    assert str(error).startswith("The store at store.invalid could not be reached: its name is not")
    assert "DNS" in error.hint


def _hang_up(server: socket.socket) -> None:
    with suppress(OSError):  # the end of the server
        while True:
            connection, _ = server.accept()
            connection.close()


def test_what_a_port_was_once_is_forgotten(closed_port: int) -> None:
    """A store that is back, and then hangs up, did not refuse the connection."""
    endpoint = f"http://127.0.0.1:{closed_port}"
    assert "refused" in str(_error(endpoint))
    with socket.create_server(("127.0.0.1", closed_port)) as server:
        server.settimeout(30)
        closer = threading.Thread(target=_hang_up, args=(server,), daemon=True)
        closer.start()
        assert "refused" not in str(_error(endpoint))


@pytest.mark.parametrize(
    ("met", "why"),
    [
        ("https://s/b/k: Connect, TimeoutError()", "it took no connection in time"),
        ("https://s/b/k: tcp connect error, NetworkUnreachable", "no route leads there"),
        ("https://s/b/k: OSError(113, 'No route to host')", "no route leads there"),
        (
            "https://s/b/k: dns error, No address associated with hostname",
            "its name is not known (DNS)",
        ),
    ],
)
def test_each_cause_has_its_words(met: str, why: str) -> None:
    assert str(unreachable_error(met)) == f"The store at s could not be reached: {why}."


def test_a_key_that_reads_like_a_cause_is_none() -> None:
    error = unreachable_error("https://s/b/ConnectionRefused: HttpError")
    assert str(error) == "The store at s could not be reached."
