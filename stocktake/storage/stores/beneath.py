"""Folders by descriptor: a name below one is looked up step by step and never leads out of it.

What a path meant when it was checked may be swapped for a link before it is opened. So nothing is
opened by a path: each step is one name in an open folder, which the kernel does not follow, and a
link is read and walked here. The kernel's own way, `openat2` with RESOLVE_BENEATH, refuses links
with an absolute target inside of the folder, which are allowed here, and is not everywhere.
"""

import errno
import os
import stat
from collections import deque
from typing import Self

#: As the kernel has it.
_MOST_LINKS = 40
#: Enough for looking names up in it; macOS has no such flag, and opens it for reading.
_LOOK_ONLY = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
_STAY = os.O_NOFOLLOW | os.O_CLOEXEC


class LeadsOutsideError(Exception):
    """A link, or a path with ``..``, leads out of the folder."""


class Folder:
    """An open folder, which is closed when nobody holds it any more.

    Args:
        descriptor: of the folder; it is the object's own from now on.
        path: where it was, links resolved: a link may spell a target inside of it in full.

    Raises (every method):
        OSError: as the system says.
    """

    def __init__(self, descriptor: int, path: str) -> None:
        self._descriptor = descriptor
        self._path = path

    def __del__(self) -> None:
        os.close(self._descriptor)

    @classmethod
    def at(cls, path: str, beneath: str | None = None) -> Self:
        """Open a folder.

        Args:
            path: absolute, links resolved. A link that came to be in it is not followed.
            beneath: the folder above it that is the operator's, or None where all of it is.

        Raises:
            LeadsOutsideError: it is not below the other.
        """
        start = path if beneath is None else beneath
        folder = cls(os.open(start, _LOOK_ONLY | os.O_NOFOLLOW), start)
        for name in _parts(_below(start, path)):
            folder = folder.child(name)
        return folder

    def child(self, name: str) -> Self:
        """Return the folder of this name, which is no link."""
        descriptor = os.open(name, _LOOK_ONLY | os.O_NOFOLLOW, dir_fd=self._descriptor)
        return type(self)(descriptor, f"{self._path.rstrip('/')}/{name}")

    def status(self, name: str) -> os.stat_result:
        """Return what the name is; a link is itself."""
        return os.stat(name, dir_fd=self._descriptor, follow_symlinks=False)

    def open(self, name: str) -> int:
        """Return a descriptor of the file of this name. It waits for no pipe, and follows
        no link."""
        return os.open(name, os.O_RDONLY | os.O_NONBLOCK | _STAY, dir_fd=self._descriptor)

    def names(self) -> list[str]:
        """Return what is in it, in no order."""
        readable = os.open(".", os.O_RDONLY | os.O_DIRECTORY | _STAY, dir_fd=self._descriptor)
        try:
            return os.listdir(readable)
        finally:
            os.close(readable)

    def folder(self, path: str) -> Self:
        """Return the folder that a path leads to, links inside of this one followed.

        Raises:
            LeadsOutsideError: it leads out of this one.
        """
        holder, name = self.find(path)
        return holder if name == "." else holder.child(name)

    def find(self, path: str) -> tuple[Self, str]:
        """Return the folder that a path ends in, and the name in it, which was no link: ``.`` where
        the path ends at the folder itself.

        Raises:
            LeadsOutsideError: it leads out of this one.
        """
        try:
            return self._walk(path)
        except LeadsOutsideError:
            # A detour above the folder, or a target spelt by another name of it, may end inside.
            # Whatever this finds is walked by descriptor once more.
            real = os.path.realpath(f"{self._path}/{path}")
            return self._walk(_below(self._path, real))

    def _walk(self, path: str) -> tuple[Self, str]:
        # The way down is kept as descriptors: ".." goes back along it, and not to whatever folder
        # somebody has meanwhile put above this one.
        passed, left, links = [self], deque(_parts(path)), 0
        while left:
            name = left.popleft()
            if name == "..":
                passed.pop()
                if not passed:
                    raise LeadsOutsideError
            elif stat.S_ISLNK(passed[-1].status(name).st_mode):
                links += 1
                if links > _MOST_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
                target = os.readlink(name, dir_fd=passed[-1]._descriptor)
                if target.startswith("/"):  # from the root that may be read, or nowhere
                    target = _below(self._path, target)
                    del passed[1:]
                left.extendleft(reversed(_parts(target)))
            elif left:
                passed.append(passed[-1].child(name))
            else:
                return passed[-1], name
        return passed[-1], "."


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _below(folder: str, path: str) -> str:
    """Return what is left of an absolute path that begins with the folder's."""
    if path != folder and not path.startswith(folder.rstrip("/") + "/"):
        raise LeadsOutsideError
    return path[len(folder) :]
