"""Ports of this machine that a server can have."""

import socket
from typing import Final

from stocktake.errors import CommandError

#: Embedded servers listen here and nowhere else.
HOST: Final = "127.0.0.1"


def usable_port(port: int, *, or_another: bool = False) -> int:
    """Return the port if nothing listens there; 0 chooses one.

    Raises:
        CommandError: it is taken, and another one will not do.
    """
    try:
        return _bound(port)
    except OSError as exc:
        if or_another:
            return _bound(0)
        raise CommandError(
            f"Port {port} cannot be used ({exc.strerror}). Choose another one with --port, "
            "or --port 0 for any that is free."
        ) from exc


def port_of(address: str) -> str:
    """Return what follows the last colon of an address, such as ``http://127.0.0.1:5555``."""
    return address.rpartition(":")[2]


def is_taken(port: int) -> bool:
    """Return whether a server could not have the port."""
    try:
        _bound(port)
    except OSError:
        return True
    return False


def _bound(port: int) -> int:
    with socket.socket() as probe:
        # As servers do: connections that ended a moment ago (TIME_WAIT) hinder none of them.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((HOST, port))
        return int(probe.getsockname()[1])
