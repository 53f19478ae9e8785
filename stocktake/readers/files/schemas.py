"""Sources whose files carry their types: a few bytes of each file tell its columns."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Protocol

from stocktake.errors import EmptySourceError, JobError
from stocktake.readers.files.blame import alike, origins_of
from stocktake.readers.files.budget import Budget
from stocktake.readers.files.listing import refuse_rewritten, relative_name, rewritten
from stocktake.readers.files.partitions import hive_partitions, with_partitions
from stocktake.readers.files.state import TEXT, conclude, list_or_fetch, stored_columns, unchanged
from stocktake.readers.files.union import combine, mixed_parts, null_parts
from stocktake.readers.limits import check_columns
from stocktake.readers.source import Introspection, Limits, Progress, Source
from stocktake.schema.columns import Column
from stocktake.schema.types import Type
from stocktake.schema.warnings import ReadWarning, WarningCode
from stocktake.storage.stores.opening import Chunk, ObjectInfo

#: Most schemas are smaller; one that is larger takes a second read for the rest.
FIRST_BYTES: Final = 64 * 1024
#: Files between two reports of progress.
_ROUND: Final = 128


NAMELESS: Final = ReadWarning(
    code=WarningCode.NAMELESS_COLUMN,
    sentence="A column without a name is left out: no query can ask for it.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSchema:
    """What one file says of itself.

    Attributes:
        columns: files of one schema may share one tuple, which is then united once.
        row_count: None where the file does not tell.
        warnings: what else there is to say of it.
    """

    columns: tuple[Column, ...]
    row_count: int | None = None
    warnings: tuple[ReadWarning, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """One file of which the first bytes, or the last ones, are here.

    Attributes:
        chunk: what `Fetch` gave.
        name: for messages.
        budget: pays for what else is read.
    """

    source: Source
    chunk: Chunk
    name: str
    limits: Limits
    budget: Budget

    @property
    def size(self) -> int:
        """The file's bytes."""
        return self.chunk.info.size

    def range(self, start: int, length: int) -> bytes:
        """Read more of the same file.

        Raises:
            SourceChangedError: it is another one by now.
            JobError: the store's own.
        """
        more = self.source.store.get(self.chunk.info.path, start=start, length=length)
        self.budget.spend(more.cost_bytes)
        if more.info.etag != self.chunk.info.etag:
            raise rewritten(self.name)
        return more.data


class Fetch(Protocol):
    """Reads of a file the bytes that tell the schema of most, in one request."""

    def __call__(self, source: Source, path: str, size_bytes: int | None = None) -> Chunk: ...


class Describe(Protocol):
    """Tells what a file says of itself, reading more of it where it must."""

    def __call__(self, file: Opened) -> FileSchema: ...


def fetch_head(source: Source, path: str, size_bytes: int | None = None) -> Chunk:  # noqa: ARG001  # the shape of Fetch
    """Read a file's first bytes: a `Fetch`."""
    return source.store.get(path, length=FIRST_BYTES)


def fetch_tail(source: Source, path: str, size_bytes: int | None = None) -> Chunk:
    """Read a file's last bytes: a `Fetch`."""
    return source.store.get_tail(path, FIRST_BYTES, size_bytes=size_bytes)


def read_schemas(
    source: Source,
    limits: Limits,
    progress: Progress,
    *,
    fetch: Fetch,
    describe: Describe,
    untyped: Type = TEXT,
) -> Introspection:
    """Read the schemas of as many files as the budget allows, newest first, and unite their
    columns.

    Args:
        source: a key or a glob.
        progress: told after each round of files; what it raises ends the read.
        untyped: what a column is that holds only nulls in each file.

    Raises:
        JobError: see `list_files`; what `describe` raises; EmptySourceError.
    """
    progress("list", 0, None)
    listing, first = list_or_fetch(source, limits, partial(fetch, source))
    if (answer := unchanged(source, listing, limits)) is not None:
        return answer
    files = [file for file in listing.files if file.size > 0]
    if not files:
        raise EmptySourceError(file=relative_name(source, listing.files[0].path))
    budget = Budget(limits)
    found: list[tuple[ObjectInfo, FileSchema]] = []
    read_one = partial(_read_one, source, limits, budget, fetch, describe, first)
    for some in _rounds(files):
        if budget.truncated:
            break
        progress("read", len(found), len(files))
        found += [each for each in source.store.map(read_one, some) if each is not None]
    progress("read", len(found), len(files))
    distinct = _distinct(found)
    partitions = hive_partitions((file.path for file in listing.files), limits)
    columns = _united(source, partitions, distinct, limits, truncated=budget.truncated)
    groups = alike((file, schema.columns) for file, schema in found)
    return conclude(
        source,
        listing,
        columns,
        budget=budget,
        limits=limits,
        row_count=None if budget.truncated else _total([each for _, each in found]),
        warnings=_warnings(source, distinct, columns),
        untyped=untyped,
        origins=origins_of(source, groups, partitions, sampled=budget.truncated),
    )


def _warnings(
    source: Source, found: Sequence[tuple[ObjectInfo, FileSchema]], columns: tuple[Column, ...]
) -> Iterator[ReadWarning]:
    named = [(relative_name(source, file.path), schema) for file, schema in found]
    for name, schema in named:
        yield from (replace(warning, file=name) for warning in schema.warnings)
    per_file = [(name, schema.columns) for name, schema in named]
    yield from null_parts(per_file, columns)
    yield from mixed_parts(per_file, columns)


def _rounds(files: Sequence[ObjectInfo]) -> Iterator[Sequence[ObjectInfo]]:
    for start in range(0, len(files), _ROUND):
        yield files[start : start + _ROUND]


def _read_one(
    source: Source,
    limits: Limits,
    budget: Budget,
    fetch: Fetch,
    describe: Describe,
    first: Chunk | None,
    file: ObjectInfo,
) -> tuple[ObjectInfo, FileSchema] | None:
    """Return one file's schema, off what was fetched already or a new read; None where the budget
    has run out."""
    if not budget.admit():
        return None
    name = relative_name(source, file.path)
    chunk = first or fetch(source, file.path, file.size)
    refuse_rewritten(source, file, chunk.info)
    budget.spend(chunk.cost_bytes, files=1)
    opened = Opened(source=source, chunk=chunk, name=name, limits=limits, budget=budget)
    try:
        return file, describe(opened)
    except JobError as error:
        # A bound of the schema alone, as `check_fields` holds it, knows no file.
        error.file = error.file or name
        raise


def _distinct(
    found: Sequence[tuple[ObjectInfo, FileSchema]],
) -> list[tuple[ObjectInfo, FileSchema]]:
    """Leave out what says nothing new: files that share one tuple of columns."""
    first: dict[int, tuple[ObjectInfo, FileSchema]] = {}
    for each in found:
        first.setdefault(id(each[1].columns), each)
    return [*first.values()]


def _united(
    source: Source,
    partitions: tuple[Column, ...],
    found: Sequence[tuple[ObjectInfo, FileSchema]],
    limits: Limits,
    *,
    truncated: bool,
) -> tuple[Column, ...]:
    per_file = [(file, with_partitions(schema.columns, partitions)) for file, schema in found]
    columns = combine(per_file, previous=stored_columns(source), truncated=truncated)
    if all(column.partition for column in columns):
        raise EmptySourceError(
            "The provided file has no columns, or none that has a name.",
            hint="Write it with at least one column, then refresh again.",
            file=relative_name(source, found[0][0].path),
        )
    check_columns(len(columns), limits)
    return columns


def _total(schemas: Sequence[FileSchema]) -> int | None:
    counts = [schema.row_count for schema in schemas]
    if any(count is None for count in counts):
        return None
    return sum(count or 0 for count in counts)
