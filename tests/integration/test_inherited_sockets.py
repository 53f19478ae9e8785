"""What a forked child keeps of its parent's sockets."""

import os
import socket
import stat
from pathlib import Path

from servers.process import HOST
from workers.process.inherited_sockets import let_go_of_connections


def test_a_child_keeps_what_connects_it_with_its_parent_and_nothing_else(tmp_path: Path) -> None:
    with (
        socket.create_server((HOST, 0)) as listener,
        socket.create_connection(listener.getsockname()) as internet,
        socket.socket(socket.AF_UNIX) as named,
        socket.socket(socket.AF_UNIX) as unix,
    ):
        named.bind(str(tmp_path / "broker"))
        named.listen()
        unix.connect(str(tmp_path / "broker"))
        mine, its = socket.socketpair()
        with mine, its:
            child = os.fork()
            if child == 0:
                let_go_of_connections()
                left = [each for each in (internet, unix) if _is_socket(each)]
                its.sendall(f"{len(left)} left".encode())
                os._exit(0)
            os.waitpid(child, 0)
            assert mine.recv(100) == b"0 left"
            internet.sendall(b"the parent's copy works")
            unix.sendall(b"and so does this one")


def _is_socket(each: socket.socket) -> bool:
    return stat.S_ISSOCK(os.fstat(each.fileno()).st_mode)
