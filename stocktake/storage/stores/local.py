"""A local folder as an object store: plain file I/O, regular files only, nothing outside it."""

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache, lru_cache
from pathlib import Path

from stocktake.errors import (
    AccessDeniedError,
    SourceNotFoundError,
    StorageUnavailableError,
    UrlRefusedError,
)
from stocktake.storage.stores.beneath import Folder, LeadsOutsideError
from stocktake.storage.stores.protocol import Answer, Chunk, Item, ObjectInfo

_ABSENT = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL}
)
#: Kept open, of those that were looked into last.
_OPEN_FOLDERS = 64
_OUTSIDE = "A link in the source leads outside its folder."
_WITHIN = "Put the files themselves into the folder: what lies elsewhere is not read."


class LocalObjects:
    """The files below one folder, by their path relative to it.

    All is looked up by descriptor, so that what is swapped for a link after it was checked leads
    nowhere. A link is followed only where it ends inside the folder; a listing does not descend
    into a linked folder, so it ends. FIFOs, sockets and devices are refused unopened: reading one
    may block for ever. What the operator mounts below the folder belongs to it.

    Args:
        root: the folder; it need not exist yet, and is then an empty store.
        beneath: a folder above it that the operator named; between the two no link is followed.
            None where the root is the operator's own.
        only: the one name in the root that may be read: a file, or a folder which links must not
            lead out of. It is no link. Empty for all of the root.
        resolved: whether the root has no links in it.
    """

    def __init__(
        self,
        root: Path,
        *,
        beneath: Path | None = None,
        only: str = "",
        resolved: bool = False,
    ) -> None:
        # One that was resolved before must not be so again: it may be a link by now.
        self._root = str(root) if beneath or resolved else os.path.realpath(root)
        self._beneath = str(beneath) if beneath else None
        self._only = only
        # A log has thousands of files in one folder.
        self._opened = lru_cache(maxsize=_OPEN_FOLDERS)(_opener(self._root, self._beneath, only))

    @property
    def ordered(self) -> bool:
        """It sorts what a folder holds."""
        return True

    @property
    def is_local(self) -> bool:
        """It is nothing else."""
        return True

    def get(self, path: str, *, start: int = 0, length: int | None = None) -> Chunk:
        """Return bytes `start .. start + length` of one file; to the end when `length` is None."""
        with _mapped(path):
            descriptor, info = self._open(path)
            try:
                left = max(info.size - start, 0)
                size = left if length is None else min(length, left)
                return Chunk(data=_read(descriptor, size, start), info=info)
            finally:
                os.close(descriptor)

    def get_tail(self, path: str, length: int, *, size_bytes: int | None = None) -> Chunk:
        """Return the last `length` bytes of one file, or all where there are fewer."""
        with _mapped(path):
            descriptor, info = self._open(path)
            try:
                size = min(length, info.size)
                return Chunk(data=_read(descriptor, size, info.size - size), info=info)
            finally:
                os.close(descriptor)

    def stream(self, path: str, *, chunk_bytes: int = 1 << 20) -> Iterator[bytes]:
        """Yield the whole file in chunks of at most `chunk_bytes`."""
        with _mapped(path), open(self._open(path)[0], "rb", buffering=0) as file:
            while chunk := file.read(chunk_bytes):
                yield chunk

    def list(self, prefix: str, *, start_after: str | None = None) -> Iterator[ObjectInfo]:
        """Yield files whose path begins with `prefix`, in ascending order of the whole path."""
        above = prefix[: prefix.rfind("/") + 1]
        with _mapped(prefix):
            _require_inside(above)
            try:
                folder = self._opened(above)
            except (FileNotFoundError, NotADirectoryError):
                return
            yield from self._walk(folder, above, prefix, start_after or "")

    def map(self, function: Callable[[Item], Answer], items: Iterable[Item]) -> Sequence[Answer]:
        """Call `function` on each item, one after the other: a disk gains nothing by threads."""
        return [function(item) for item in items]

    def _located(self, path: str) -> tuple[Folder, str, os.stat_result]:
        """Return the folder that a path leads to, the name in it, and what is there."""
        _require_inside(path)
        above, _, name = path.rpartition("/")
        if name in ("", "."):
            raise _absent(path)
        folder = self._opened(above)
        if self._only and not above and name != self._only:
            raise LeadsOutsideError
        status = folder.status(name)
        if stat.S_ISLNK(status.st_mode):
            folder, name = self._followed(path)
            status = folder.status(name)
        return folder, name, status

    def _followed(self, path: str) -> tuple[Folder, str]:
        if not self._only:
            return self._opened("").find(path)
        first, _, rest = path.partition("/")
        if not rest:  # it was none when it was checked
            raise LeadsOutsideError
        return self._opened(first).find(rest)

    def _open(self, path: str) -> tuple[int, ObjectInfo]:
        """Return a descriptor, which the caller closes, and what is behind it. Plain system calls:
        a file object for each of thousands of commits costs more than their reading."""
        folder, name, status = self._located(path)
        _require_regular(status, path)
        descriptor = folder.open(name)
        try:
            # Between the two the name may have been given to another file.
            status = os.fstat(descriptor)
            _require_regular(status, path)
            return descriptor, _info(path, status)
        except BaseException:
            os.close(descriptor)
            raise

    def _walk(
        self, folder: Folder, above: str, prefix: str, start_after: str
    ) -> Iterator[ObjectInfo]:
        for key, status in self._entries(folder, above, prefix, start_after):
            if stat.S_ISREG(status.st_mode):
                yield _info(key, status)
            elif stat.S_ISDIR(status.st_mode):
                try:
                    inside = folder.child(key[len(above) : -1])
                except (FileNotFoundError, NotADirectoryError):
                    continue  # gone, or swapped for a link, since it was listed
                yield from self._walk(inside, key, prefix, start_after)

    def _entries(
        self, folder: Folder, above: str, prefix: str, start_after: str
    ) -> Sequence[tuple[str, os.stat_result]]:
        """Return what the folder holds that may matter, folders with a slash, in the order
        of keys."""
        first = ""
        if start_after.startswith(above):
            first = start_after[len(above) :].split("/", 1)[0]
        names = [self._only] if self._only and not above else folder.names()
        # A log of 100,000 commits is listed from near its end: drop the rest before any stat.
        if first:
            # "a/b" comes after "a-b", so a folder may be wanted whose name alone comes before
            folders = {first[:end] for end in range(1, len(first)) if first[end] < "/"}
            names = [*filter(first.__le__, names), *folders.intersection(names if folders else ())]
        # A name that is no UTF-8 has no key that any store or JSON could carry.
        names = [n for n in names if n.isascii() or _is_text(n)]
        found = ((above + name, self._status(folder, name, above + name)) for name in names)
        keyed = (
            (key + "/" if stat.S_ISDIR(status.st_mode) else key, status)
            for key, status in found
            if status is not None
        )
        return sorted(
            (entry for entry in keyed if _wanted(entry[0], prefix, start_after)),
            key=lambda entry: entry[0],
        )

    def _status(self, folder: Folder, name: str, key: str) -> os.stat_result | None:
        """Return what a listing shows of a name: nothing of a link but a file inside."""
        try:
            status = folder.status(name)
            if not stat.S_ISLNK(status.st_mode):
                return status
            holder, end = self._followed(key)
            status = holder.status(end)
        except (OSError, LeadsOutsideError) as exc:
            if isinstance(exc, OSError) and exc.errno not in _ABSENT:
                raise
            return None  # removed since it was listed, or a link that leads nowhere
        return status if stat.S_ISREG(status.st_mode) else None


def _opener(root: str, beneath: str | None, only: str) -> Callable[[str], Folder]:
    """Return what opens the folder of a path. Not a method: a store that nobody holds must go at
    once.
    """
    top = cache(lambda: Folder.at(root, beneath))
    confined = cache(lambda: top().child(only) if only else top())

    def opened(path: str) -> Folder:
        first, _, rest = path.partition("/")
        if not path:
            return top()
        if only and first != only:
            raise LeadsOutsideError
        return confined().folder(rest if only else path)

    return opened


def _require_inside(path: str) -> None:
    if "\0" in path or path.startswith("/") or (".." in path and ".." in path.split("/")):
        raise UrlRefusedError(
            "A path in the source leads outside its folder.", hint=_WITHIN, file=path
        )


def _read(descriptor: int, size: int, start: int) -> bytes:
    """Return bytes of a file from `start` on; fewer where it ends before."""
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
        raise _absent(path)
    if not stat.S_ISREG(status.st_mode):
        raise UrlRefusedError(
            "The source is a pipe, socket or device, not a file.",
            hint="Put a file in its place, or narrow the URL pattern so that it leaves it out.",
            file=path,
        )


def _info(path: str, status: os.stat_result) -> ObjectInfo:
    return ObjectInfo(
        path=path,
        size=status.st_size,
        # A file that takes another's name has an inode of its own, though the clock may not have
        # ticked.
        etag=f"{status.st_mtime_ns:x}-{status.st_size:x}-{status.st_ino:x}",
        modified_at=datetime.fromtimestamp(status.st_mtime, UTC),
    )


def _absent(path: str) -> SourceNotFoundError:
    return SourceNotFoundError("There is no such file", file=path)


@contextmanager
def _mapped(path: str) -> Iterator[None]:
    try:
        yield
    except LeadsOutsideError as exc:
        raise UrlRefusedError(_OUTSIDE, hint=_WITHIN, file=path) from exc
    except UnicodeEncodeError as exc:  # half a surrogate pair: no file's name
        raise _absent(path) from exc
    except PermissionError as exc:
        raise AccessDeniedError(
            "This file or folder may not be read",
            hint="Let the user that reads it, a worker's, read the file and enter the folders "
            "above it, then refresh again.",
            file=path,
        ) from exc
    except OSError as exc:
        if exc.errno in _ABSENT:
            raise _absent(path) from exc
        raise StorageUnavailableError(
            f"The local disk failed to read the file ({errno.errorcode.get(exc.errno or 0, '?')}).",
            file=path,
        ) from exc
