"""Sources of many files: list them once, tell whether anything changed, unite their columns."""

import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Final
from urllib.parse import unquote

from stocktake.errors import SourceChangedError, SourceNotFoundError
from stocktake.introspection import (
    READER_VERSION,
    Coverage,
    Introspection,
    Limits,
    Source,
)
from stocktake.introspection.excess import check_columns, check_names, exceeded
from stocktake.schema.columns import Column
from stocktake.schema.types import make_nullable, widen
from stocktake.storage.globs import is_glob, literal, literal_prefix, matcher
from stocktake.storage.objects import Chunk, ObjectInfo

#: What Hive, Spark and others write in the path for a null.
HIVE_NULL: Final = "__HIVE_DEFAULT_PARTITION__"

_INTEGER = re.compile(r"-?\d{1,18}")


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


def list_or_fetch(
    source: Source, limits: Limits, fetch: Callable[[str], Chunk]
) -> tuple[Listing, Chunk | None]:
    """The source's files; and of a single one that is read for the first time what `fetch` gives
    for it. Its answer tells of the file what a listing would, so that a round trip is saved."""
    if is_glob(source.path) or _usable_state(source):
        return list_files(source, limits), None
    chunk = fetch(literal(source.path))
    return _listing([chunk.info]), chunk


def _listing(found: list[ObjectInfo]) -> Listing:
    found.sort(key=lambda file: (-file.modified_at.timestamp(), file.path))
    return Listing(files=tuple(found), fingerprint=_fingerprint(found))


def relative_name(source: Source, path: str) -> str:
    """A file's name for messages: what the pattern's literal folders leave of its key."""
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
    """The error of a read that met two versions of one file; the next read meets one."""
    return SourceChangedError(
        f'The file "{name}" was rewritten while it was being read.', file=name
    )


def all_of(source: Source, file: ObjectInfo, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The chunks of a whole file.

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
        if not file.path.endswith("/") and matches(file.path):
            found.append(file)
    return found


def _fingerprint(files: Iterable[ObjectInfo]) -> str:
    digest = hashlib.sha256()
    for file in sorted(files, key=lambda file: file.path):
        digest.update(f"{file.path}\0{file.size}\0{file.etag}\0".encode())
    return digest.hexdigest()


class Budget:
    """What one sample may still spend. Safe to share between the threads of `store.map`.

    Args:
        limits: `max_files`, `max_bytes` and `max_seconds` apply.
        clock: seconds, monotonic.
    """

    def __init__(self, limits: Limits, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._deadline = clock() + limits.max_seconds
        self._lock = threading.Lock()
        self._admitted = 0
        self.files_read = 0
        self.bytes_read = 0
        self.truncated = False

    def admit(self) -> bool:
        """Whether one more file may be opened. The first always may; the first refusal ends
        the sample for good."""
        with self._lock:
            spent = self._admitted and (
                self._admitted >= self._limits.max_files
                or self.bytes_read >= self._limits.max_bytes
                or self._clock() >= self._deadline
            )
            self.truncated = self.truncated or bool(spent)
            self._admitted += not self.truncated
            return not self.truncated

    @property
    def bytes_left(self) -> int:
        """Bytes until `max_bytes`; never below zero."""
        return max(self._limits.max_bytes - self.bytes_read, 0)

    def spend(self, size_bytes: int, *, files: int = 0) -> None:
        """Count bytes that were read, and files that were opened for them."""
        with self._lock:
            self.bytes_read += size_bytes
            self.files_read += files

    def cut(self) -> None:
        """Note that something was left unread."""
        self.truncated = True

    def coverage(self, listing: Listing) -> Coverage:
        """What was read so far."""
        return Coverage(
            files_matched=len(listing.files),
            files_read=self.files_read,
            bytes_read=self.bytes_read,
            truncated=self.truncated,
        )


def unchanged(source: Source, listing: Listing, limits: Limits) -> Introspection | None:
    """The answer of the last read, where it still holds; None to read.

    A state counts only if this reader wrote it, for the same format, options and files; one of
    a sample only under the budget it was taken with.
    """
    state = _usable_state(source)
    if state is None or state["fingerprint"] != listing.fingerprint:
        return None
    if state["truncated"] and state["budget"] != _budget_key(limits):
        return None
    return Introspection(
        columns=(),
        source_version=listing.source_version,
        row_count=state["row_count"],
        size_bytes=listing.size_bytes,
        file_count=len(listing.files),
        state=state,
        coverage=Coverage(
            files_matched=len(listing.files),
            truncated=state["truncated"],
            unchanged=True,
        ),
    )


def stored_columns(source: Source) -> tuple[Column, ...]:
    """The columns that the last read found; none where its state does not count."""
    state = _usable_state(source)
    return tuple(Column.from_dict(stored) for stored in state["columns"]) if state else ()


def _usable_state(source: Source) -> dict[str, Any] | None:
    state = source.state
    if not state or any(state.get(key) != value for key, value in _identity(source).items()):
        return None
    return state


def _identity(source: Source) -> dict[str, Any]:
    return {
        "reader_version": READER_VERSION,
        "kind": f"files/{source.format}",
        "options": source.options,
    }


def _budget_key(limits: Limits) -> list[float]:
    return [limits.max_files, limits.max_bytes, limits.max_seconds]


def conclude(
    source: Source,
    listing: Listing,
    columns: tuple[Column, ...],
    *,
    budget: Budget,
    limits: Limits,
    row_count: int | None,
) -> Introspection:
    """Put a read of files into words, with the state that `unchanged` understands next time."""
    return Introspection(
        columns=columns,
        source_version=listing.source_version,
        row_count=row_count,
        size_bytes=listing.size_bytes,
        file_count=len(listing.files),
        state=_identity(source)
        | {
            "fingerprint": listing.fingerprint,
            "columns": [column.as_dict() for column in columns],
            "row_count": row_count,
            "truncated": budget.truncated,
            "budget": _budget_key(limits),
        },
        coverage=budget.coverage(listing),
    )


@dataclass(slots=True)
class _Union:
    column: Column
    seen: int = 1
    nullable: bool = field(init=False)

    def __post_init__(self) -> None:
        self.nullable = self.column.nullable

    def add(self, column: Column) -> None:
        self.seen += 1
        self.nullable = self.nullable or column.nullable
        if column.clickhouse != self.column.clickhouse:
            self.column = Column.of(
                column.name,
                widen(self.column.clickhouse, column.clickhouse),
                field_id=self.column.field_id,
                partition=self.column.partition,
            )

    def result(self, parts: int) -> Column:
        if self.seen < parts:
            optional = make_nullable(self.column.clickhouse)
            return replace(self.column, clickhouse=optional, nullable=True)
        return replace(self.column, nullable=self.nullable)


def combine(
    per_file: Sequence[tuple[ObjectInfo, tuple[Column, ...]]],
    *,
    previous: tuple[Column, ...] = (),
    truncated: bool = False,
) -> tuple[Column, ...]:
    """Unite the columns of several files by name.

    Args:
        per_file: what each file holds, newest first.
        previous: the columns of the last read (`stored_columns`); they decide the order.
        truncated: whether files were left unread; `previous` then also counts as a file, so
            that a sample adds and widens but never removes.

    Returns:
        The stored order first, then the newest file's, then the others'. A column that some
        file lacks is nullable, unless its type cannot be (Array, Map, Tuple).
    """
    parts = [columns for _, columns in per_file]
    if truncated and previous:
        parts.append(previous)
    union: dict[str, _Union] = {}
    for columns in parts:
        for column in columns:
            if column.name in union:
                union[column.name].add(column)
            else:
                union[column.name] = _Union(column)
    order = dict.fromkeys([*(column.name for column in previous), *union])
    return tuple(union[name].result(len(parts)) for name in order if name in union)


def hive_partitions(paths: Iterable[str], limits: Limits | None = None) -> tuple[Column, ...]:
    """The columns that ``key=value/`` folders carry: Int64 or Date where every value reads as
    that, else String; always nullable, since a folder for null may come any day.

    Args:
        limits: `max_columns` and `max_name_length` apply; the default when None.

    Raises:
        LimitExceededError: a name is too long, or there are too many.
        InvalidSourceError: one cannot be stored.

    >>> [(c.name, c.clickhouse) for c in hive_partitions(["t/day=2024-01-31/n=7/a.csv"])]
    [('day', 'Nullable(Date)'), ('n', 'Nullable(Int64)')]
    """
    values: dict[str, set[str]] = {}
    for path in paths:
        for folder in path.split("/")[:-1]:
            key, equals, value = folder.partition("=")
            if key and equals:
                values.setdefault(unquote(key), set()).add(unquote(value))
        check_columns(len(values), limits or Limits(), where="The path of the files")
    check_names(list(values), limits or Limits(), where="The path of the files")
    return tuple(
        Column.of(key, f"Nullable({_partition_type(found - {HIVE_NULL})})", partition=True)
        for key, found in values.items()
    )


def _partition_type(values: set[str]) -> str:
    if values and all(_INTEGER.fullmatch(value) for value in values):
        return "Int64"
    return "Date" if values and all(map(_is_date, values)) else "String"


def _is_date(value: str) -> bool:
    try:
        return date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


def with_partitions(
    columns: tuple[Column, ...], partitions: tuple[Column, ...]
) -> tuple[Column, ...]:
    """Append the partitions that no file has as a column; the file's own wins."""
    names = {column.name for column in columns}
    return columns + tuple(column for column in partitions if column.name not in names)
