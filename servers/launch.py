"""Run a server so that it ends with the process that asked for it.

Run as ``python -I -S launch.py PARENT_PID SIGNAL USER COMMAND...``: sets the parent-death signal,
takes the wanted user and becomes the command. It is a program of its own, and no ``preexec_fn``,
because Python code between fork and exec deadlocks where the parent has threads.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1
CLONE_NEWUSER = 0x10000000
NOBODY = 65534


def enter_user_namespace() -> None:
    """Be uid 65534 inside a new user namespace, where files of root belong to that uid.

    PostgreSQL refuses to run as root, and this needs neither a system user nor a chown.
    """
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "user namespaces are not allowed on this machine")
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{NOBODY} 0 1"),
        ("gid_map", f"{NOBODY} 0 1"),
    ):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)


def become_nobody() -> None:
    """Be the real uid 65534; the folders that the command writes must belong to it."""
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


def die_with_parent(parent: int, signal_number: int) -> None:
    """Ask the kernel for ``signal_number`` when the parent ends; Linux only, else a no-op.

    Called last: a change of credentials clears the request.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal_number)
    if os.getppid() != parent and os.getppid() != 0:  # it ended before the request was made
        sys.exit("the parent is gone")


def main(arguments: list[str]) -> None:
    """Become the command, as the wanted user and bound to the parent."""
    parent, signal_number, user, *command = arguments
    {"same": lambda: None, "namespace": enter_user_namespace, "nobody": become_nobody}[user]()
    die_with_parent(int(parent), int(signal_number))
    os.execv(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
