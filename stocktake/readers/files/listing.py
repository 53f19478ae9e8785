"""The files of a source: listed once, with a fingerprint that tells whether anything changed."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from stocktake.errors import SourceChangedError, SourceNotFoundError
from stocktake.readers.limits import exceeded
from stocktake.readers.source import Limits, Source
from stocktake.storage.places.globs import is_glob, literal, literal_prefix, matcher
from stocktake.storage.stores.opening import ObjectInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The files of a source, newest first, then by path.

    Attributes:
        files: at least one.
        fingerprint: changes when a file is added, removed or rewritten.
    """

    files: tuple[ObjectInfo, ...]
    fingerprint: str

    @property
    def size_bytes(self) -> int:
        """The bytes of all files, as stored."""
        return sum(file.size for file in self.files)

    @property
    def source_version(self) -> str:
        """A fingerprint that is short enough to show."""
        return self.fingerprint[:16]


def list_files(source: Source, limits: Limits) -> Listing:
    """List the files that `source.path`, a pattern, names.

    Args:
        source: where to look; only the pattern's literal beginning is listed. A key is asked
            for, not listed: to list takes another right, and stores spell ETags differently there.
        limits: `max_listed` bounds the objects that the store returns.

    Raises:
        SourceNotFoundError: nothing matches.
        LimitExceededError: the listing, or the pattern's braces, are too long.
        JobError: the store's own.
    """
    if not is_glob(source.path):
        return _listing([source.store.get(literal(source.path), length=0).info])
    found = _matches(source, limits)
    if not found:
        raise SourceNotFoundError
    return _listing(found)


def _listing(found: list[ObjectInfo]) -> Listing:
    found.sort(key=lambda file: (-file.modified_at.timestamp(), file.path))
    return Listing(files=tuple(found), fingerprint=_fingerprint(found))


def relative_name(source: Source, path: str) -> str:
    """Return a file's name for messages: what the pattern's literal folders leave of its key."""
    folder, slash, _ = literal_prefix(source.path).rpartition("/")
    return path.removeprefix(folder + slash)


def refuse_rewritten(source: Source, listed: ObjectInfo, read: ObjectInfo) -> None:
    """Refuse what was read of another version of a file than the one that was listed.

    Its columns would stand under the listed version's fingerprint, and stay once that version is
    back. A listing may spell an ETag as no other answer does, so of a glob's files only the size
    is compared.

    Raises:
        SourceChangedError: the file was rewritten meanwhile.
    """
    listed_as, read_as = (
        (listed.size, read.size) if is_glob(source.path) else (listed.etag, read.etag)
    )
    if listed_as != read_as:
        raise rewritten(relative_name(source, read.path))


def rewritten(name: str) -> SourceChangedError:
    """Return the error of a read that met two versions of one file; the next read meets one."""
    return SourceChangedError(
        f'The file "{name}" was rewritten while it was being read.', file=name
    )


def all_of(source: Source, file: ObjectInfo, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the chunks of a whole file.

    Raises:
        SourceChangedError: at their end, where they are not as many bytes as were listed.
    """
    size = 0
    for chunk in chunks:
        size += len(chunk)
        yield chunk
    if size != file.size:
        raise rewritten(relative_name(source, file.path))


def _matches(source: Source, limits: Limits) -> list[ObjectInfo]:
    matches = matcher(source.path)
    found = []
    for count, file in enumerate(source.store.list(literal_prefix(source.path)), start=1):
        if count > limits.max_listed:
            raise exceeded(
                limits,
                "max_listed",
                f"The URL pattern lists {count:,} objects or more",
                advice="Narrow the URL pattern (only what stands before its first wildcard "
                "narrows the listing)",
            )
        # A key that ends in a slash is the mark of a folder, as consoles make it.
        if not file.path.endswith("/") and matches(file.path):
            found.append(file)
    return found


def _fingerprint(files: Iterable[ObjectInfo]) -> str:
    digest = hashlib.sha256()
    for file in sorted(files, key=lambda file: file.path):
        digest.update(f"{file.path}\0{file.size}\0{file.etag}\0".encode())
    return digest.hexdigest()
