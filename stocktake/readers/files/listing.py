"""The files of a source: listed once, with a fingerprint that tells whether anything changed."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from stocktake.errors import OnlyHiddenFilesError, SourceChangedError, SourceNotFoundError
from stocktake.readers.limits import exceeded
from stocktake.readers.source import Limits, Source
from stocktake.schema.warnings import ReadWarning, WarningCode
from stocktake.storage.places.globs import is_glob, literal, literal_prefix, matcher, naming
from stocktake.storage.stores.opening import ObjectInfo

#: Names that a sentence shows of many, and characters of each.
_SHOWN: Final = 3
_SHOWN_LENGTH: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The files of a source, newest first, then by path.

    Attributes:
        files: at least one.
        fingerprint: changes when a file is added, removed or rewritten.
        hidden: the paths that match as well and were passed over; see `globs.naming`.
    """

    files: tuple[ObjectInfo, ...]
    fingerprint: str
    hidden: tuple[str, ...] = ()

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
        OnlyHiddenFilesError: nothing but hidden files does.
        LimitExceededError: the listing, or the pattern's braces, are too long.
        JobError: the store's own.
    """
    if not is_glob(source.path):
        return listing_of([source.store.get(literal(source.path), length=0).info])
    names = naming(source.path)
    found, hidden = [], []
    for file in _matches(source, limits):
        if names(file.path):
            found.append(file)
        else:
            hidden.append(file.path)
    if not (found or hidden):
        raise _no_match(source)
    if not found:
        raise OnlyHiddenFilesError(
            f"The URL pattern matches no file but {_some(source, hidden)}, hidden by names or "
            'folders that begin with "_" or ".".',
            paths=hidden,
        )
    return listing_of(found, hidden)


def _no_match(source: Source) -> SourceNotFoundError:
    if source.store.is_local:
        return SourceNotFoundError("No file matches the URL pattern")
    return SourceNotFoundError()


def listing_of(found: list[ObjectInfo], hidden: Iterable[str] = ()) -> Listing:
    """Return files in their order, with their fingerprint."""
    found.sort(key=lambda file: (-file.modified_at.timestamp(), file.path))
    return Listing(
        files=tuple(found), fingerprint=_fingerprint(found), hidden=tuple(sorted(hidden))
    )


def warnings_of(source: Source, listing: Listing) -> Iterator[ReadWarning]:
    """Yield what a listing has to say: which of the files that match are not read."""
    if listing.hidden:
        yield ReadWarning(
            code=WarningCode.HIDDEN_FILES,
            sentence=f"Passed over {_some(source, listing.hidden)}, hidden by names or folders "
            'that begin with "_" or ".".',
        )
    if empty := [file.path for file in listing.files if not file.size]:
        yield ReadWarning(
            code=WarningCode.EMPTY_FILES,
            sentence=f"Passed over {_some(source, empty)} of no bytes.",
        )


def _some(source: Source, paths: Sequence[str]) -> str:
    """Return how many files these are, and the first few names."""
    names = [f'"{relative_name(source, path)[:_SHOWN_LENGTH]}"' for path in paths[:_SHOWN]]
    more = ["…"] if len(paths) > _SHOWN else []
    files = "1 file" if len(paths) == 1 else f"{len(paths):,} files"
    return f"{files} ({', '.join(names + more)})"


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


def _matches(source: Source, limits: Limits) -> Iterator[ObjectInfo]:
    matches = matcher(source.path)
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
            yield file


def _fingerprint(files: Iterable[ObjectInfo]) -> str:
    digest = hashlib.sha256()
    for file in sorted(files, key=lambda file: file.path):
        digest.update(f"{file.path}\0{file.size}\0{file.etag}\0".encode())
    return digest.hexdigest()
