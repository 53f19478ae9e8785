"""A child lets go of its parent's connections.

A child that takes the place of another is forked while the parent is connected to the broker. The
kernel closes a connection when the last of its copies is closed, and epoll tells of it until then,
by the number that it had in the parent. That number is the next connection's: the parent then
waits on the new one for what came on the old one, and takes no more jobs (seen with kombu 5.7,
which drops a silent connection and makes another).
"""

import os
import socket
import stat
from contextlib import closing
from pathlib import Path
from typing import Final

_STANDARD_STREAMS: Final = 3
#: A process's own descriptors, on Linux and on macOS.
_DESCRIPTORS: Final = Path("/dev/fd")


def let_go_of_connections() -> None:
    """Close every connection that this process holds; for a child, right after its fork.

    Its pipes stay, and sockets without an address, which connect processes of one family.

    Their numbers stay taken, by the null device: objects copied from the parent still have them,
    and would close whatever had got them since.
    """
    descriptors = [int(each.name) for each in _DESCRIPTORS.iterdir()]
    with open(os.devnull, "r+b", buffering=0) as null:
        for descriptor in descriptors:
            if descriptor >= _STANDARD_STREAMS and _is_connection(descriptor):
                os.dup2(null.fileno(), descriptor, inheritable=False)


def _is_connection(descriptor: int) -> bool:
    try:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            return False
        with closing(socket.socket(fileno=os.dup(descriptor))) as copy:
            return copy.family != socket.AF_UNIX or bool(copy.getpeername())
    except OSError:
        return False  # closed by now, as the descriptor of the listing is, or without a peer
