"""A local folder as an object store: plain file I/O, regular files only, nothing outside it."""

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from stocktake.errors import (
    AccessDeniedError,
    SourceNotFoundError,
    StorageUnavailableError,
    UrlRefusedError,
)
from stocktake.storage.protocol import Answer, Chunk, Item, ObjectInfo

_ABSENT = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL}
)


class LocalObjects:
    """The files below one folder, by their path relative to it.

    A symlink is followed only where it ends inside the root; a listing does not descend into a
    symlinked folder, so it ends. FIFOs, sockets and devices are refused unopened: reading one
    may block for ever.

    Args:
        root: the folder; it need not exist yet, and is then an empty store.
    """

    def __init__(self, root: Path) -> None:
        self._root = os.path.realpath(root)
        # A log has thousands of files in one folder, and resolving it for each was half of the
        # time that reading 20,000 commits took.
        self._real_folder = cache(self._resolved)

    def get(self, path: str, *, start: int = 0, length: int | None = None) -> Chunk:
        """Bytes `start .. start + length` of one file; to the end when `length` is None."""
        with _mapped(path):
            descriptor, info = self._open(path)
            try:
                left = max(info.size - start, 0)
                size = left if length is None else min(length, left)
                return Chunk(data=_read(descriptor, size, start), info=info)
            finally:
                os.close(descriptor)

    def get_tail(self, path: str, length: int, *, size_bytes: int | None = None) -> Chunk:
        """The last `length` bytes of one file, or all where there are fewer."""
        with _mapped(path):
            descriptor, info = self._open(path)
            try:
                size = min(length, info.size)
                return Chunk(data=_read(descriptor, size, info.size - size), info=info)
            finally:
                os.close(descriptor)

    def stream(self, path: str, *, chunk_bytes: int = 1 << 20) -> Iterator[bytes]:
        """The whole file in chunks of at most `chunk_bytes`."""
        with _mapped(path), open(self._open(path)[0], "rb", buffering=0) as file:
            while chunk := file.read(chunk_bytes):
                yield chunk

    def list(self, prefix: str, *, start_after: str | None = None) -> Iterator[ObjectInfo]:
        """Files whose path begins with `prefix`, in ascending order of the whole path."""
        folder = prefix[: prefix.rfind("/") + 1]
        with _mapped(prefix):
            real = self._real(folder)
            yield from self._walk(real, folder, prefix, start_after or "")

    def map(self, function: Callable[[Item], Answer], items: Iterable[Item]) -> Sequence[Answer]:
        """Call `function` on each item, one after the other: a disk gains nothing by threads."""
        return [function(item) for item in items]

    def _real(self, path: str) -> str:
        _require_inside(path)
        return self._resolved(path)

    def _located(self, path: str) -> tuple[str, os.stat_result]:
        """Where a path leads, and what is there."""
        _require_inside(path)
        folder, _, name = path.rpartition("/")
        if name not in ("", "."):
            real = f"{self._real_folder(folder)}/{name}"
            status = os.lstat(real)
            if not stat.S_ISLNK(status.st_mode):
                return real, status
        real = self._resolved(path)
        return real, os.lstat(real)

    def _resolved(self, path: str) -> str:
        real = os.path.realpath(os.path.join(self._root, path))
        if real != self._root and not real.startswith(self._root.rstrip("/") + "/"):
            raise UrlRefusedError("A link in the source leads outside its folder.", file=path)
        return real

    def _open(self, path: str) -> tuple[int, ObjectInfo]:
        """A descriptor, which the caller closes, and what is behind it. Plain system calls: a
        file object for each of thousands of commits costs more than their reading."""
        real, status = self._located(path)
        _require_regular(status, path)
        # Between the check and here the name may have been swapped: never follow, never wait.
        descriptor = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            status = os.fstat(descriptor)
            _require_regular(status, path)
            return descriptor, _info(path, status)
        except BaseException:
            os.close(descriptor)
            raise

    def _walk(self, real: str, folder: str, prefix: str, start_after: str) -> Iterator[ObjectInfo]:
        for key, status in self._entries(real, folder, prefix, start_after):
            if stat.S_ISDIR(status.st_mode):
                inside = os.path.join(real, key[len(folder) : -1])
                yield from self._walk(inside, key, prefix, start_after)
            elif stat.S_ISREG(status.st_mode):
                yield _info(key, status)

    def _entries(
        self, real: str, folder: str, prefix: str, start_after: str
    ) -> Sequence[tuple[str, os.stat_result]]:
        """What the folder holds that may matter, folders with a slash, in the order of keys."""
        first = ""
        if start_after.startswith(folder):
            first = start_after[len(folder) :].split("/", 1)[0]
        names = _names(real)
        # A log of 100,000 commits is listed from near its end: drop the rest before any stat.
        if first:
            # "a/b" comes after "a-b", so a folder may be wanted whose name alone comes before
            folders = {first[:end] for end in range(1, len(first)) if first[end] < "/"}
            names = [*filter(first.__le__, names), *folders.intersection(names if folders else ())]
        # A name that is no UTF-8 has no key that any store or JSON could carry.
        names = [n for n in names if n.isascii() or _is_text(n)]
        found = ((folder + name, self._status(real, name)) for name in names)
        keyed = (
            (key + "/" if stat.S_ISDIR(status.st_mode) else key, status)
            for key, status in found
            if status is not None
        )
        return sorted(
            (entry for entry in keyed if _wanted(entry[0], prefix, start_after)),
            key=lambda entry: entry[0],
        )

    def _status(self, real: str, name: str) -> os.stat_result | None:
        path = f"{real}/{name}"
        try:
            status = os.lstat(path)
            if not stat.S_ISLNK(status.st_mode):
                return status
            target = os.path.realpath(path)
            inside = target.startswith(self._root.rstrip("/") + "/")
            status = os.lstat(target)
        except FileNotFoundError:  # removed since it was listed, or a dangling link
            return None
        return status if inside and stat.S_ISREG(status.st_mode) else None


def _require_inside(path: str) -> None:
    if "\0" in path or path.startswith("/") or (".." in path and ".." in path.split("/")):
        raise UrlRefusedError("A path in the source leads outside its folder.", file=path)


def _read(descriptor: int, size: int, start: int) -> bytes:
    """Bytes of a file from `start` on; fewer where it ends before."""
    data = os.pread(descriptor, size, start) if size else b""
    if len(data) == size or not data:
        return data
    # one call gives 2 GiB at most
    pieces = [data]
    while data and (size := size - len(data)):
        start += len(data)
        data = os.pread(descriptor, size, start)
        pieces.append(data)
    return b"".join(pieces)


def _names(real: str) -> Sequence[str]:
    try:
        return os.listdir(real)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _wanted(key: str, prefix: str, start_after: str) -> bool:
    if key.endswith("/"):
        under = key.startswith(prefix) or prefix.startswith(key)
        return under and (key > start_after or start_after.startswith(key))
    return key.startswith(prefix) and key > start_after


def _require_regular(status: os.stat_result, path: str) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise SourceNotFoundError(file=path)
    if not stat.S_ISREG(status.st_mode):
        raise UrlRefusedError("The source is a pipe, socket or device, not a file.", file=path)


def _info(path: str, status: os.stat_result) -> ObjectInfo:
    return ObjectInfo(
        path=path,
        size=status.st_size,
        etag=f"{status.st_mtime_ns:x}-{status.st_size:x}-{status.st_ino:x}",
        modified_at=datetime.fromtimestamp(status.st_mtime, UTC),
    )


@contextmanager
def _mapped(path: str) -> Iterator[None]:
    try:
        yield
    except PermissionError as exc:
        raise AccessDeniedError(file=path) from exc
    except OSError as exc:
        if exc.errno in _ABSENT:
            raise SourceNotFoundError(file=path) from exc
        raise StorageUnavailableError(
            f"The local disk failed to read the file ({errno.errorcode.get(exc.errno or 0, '?')}).",
            file=path,
        ) from exc
