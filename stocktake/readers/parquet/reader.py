"""Parquet: the schema begins the footer, so two ranged reads a file are all it takes.

The footer's length is checked before anything is parsed: a file of 300 bytes can ask for 4 GB. Of
a footer only the schema and the number of rows are read: what row groups follow, tens of megabytes
in some files, tells of no column. Its key-value metadata follows those; the Arrow schema that may
be there is not looked at, and ClickHouse does not look at it either.
"""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import IO, Final, NoReturn

import pyarrow as pa
import pyarrow.parquet as pq

from stocktake.errors import (
    EmptySourceError,
    FormatMismatchError,
    InvalidSourceError,
    StorageUnavailableError,
    UnsupportedError,
)
from stocktake.readers.files.budget import Budget
from stocktake.readers.files.listing import (
    Listing,
    all_of,
    list_files,
    refuse_rewritten,
    relative_name,
    rewritten,
)
from stocktake.readers.files.partitions import hive_partitions, with_partitions
from stocktake.readers.files.state import conclude, list_or_fetch, stored_columns, unchanged
from stocktake.readers.files.union import combine, null_parts
from stocktake.readers.limits import check_columns, exceeded
from stocktake.readers.parquet.annotations import readable
from stocktake.readers.parquet.footer import IncompleteError, schema_range
from stocktake.readers.parquet.schema import (
    MAGIC,
    MAX_ELEMENTS,
    TRAILER,
    columns_and_rows,
    excess,
    first_line,
    invalid,
)
from stocktake.readers.source import Introspection, Limits, Progress, Source
from stocktake.schema.columns import Column
from stocktake.schema.types import scalar
from stocktake.schema.warnings import ReadWarning
from stocktake.storage.stores.opening import Chunk, ObjectInfo

#: Most footers are smaller; one that is larger takes a second read for the rest.
TAIL_BYTES: Final = 64 * 1024
#: Files between two reports of progress.
_ROUND: Final = 128
#: Of a footer beyond the tail, what is read first, and at most: schemas are a few kilobytes.
_FIRST_BYTES: Final = 256 * 1024
_MAX_SCHEMA_BYTES: Final = 16 * 1024 * 1024
#: Of a column chunk at once, and of all columns in one batch.
_BUFFER_BYTES: Final = 1 << 20
_BATCH_ROWS: Final = 8_192
_BATCH_CELLS: Final = 1 << 20

#: Parquet has no type of nulls: it stores them as INT32, and ClickHouse says so.
_NULLS: Final = scalar("Int32", nullable=True)

_ENCRYPTED: Final = b"PARE"
#: The magic comes once more at the file's start.
_OVERHEAD: Final = TRAILER.size + len(MAGIC)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Footer:
    file: ObjectInfo
    columns: tuple[Column, ...]
    row_count: int


def read(source: Source, limits: Limits, progress: Progress) -> Introspection:
    """Read the footers of a source's files and unite their columns.

    Args:
        source: a key or a glob of Parquet files.
        limits: the sample's budget, `max_footer_bytes`, `max_columns`, `max_nesting`.
        progress: told after each round of files; what it raises ends the read.

    Raises:
        JobError: see `list_files` and `columns_and_rows`; EmptySourceError, FormatMismatchError,
            InvalidSourceError and UnsupportedError name the file.
    """
    progress("list", 0, None)
    listing, tail = list_or_fetch(source, limits, partial(_tail, source))
    if (answer := unchanged(source, listing, limits)) is not None:
        return answer
    budget = Budget(limits)
    footers = _footers(source, listing, limits, budget, progress, fetched=tail)
    rows = None if budget.truncated else sum(footer.row_count for footer in footers)
    distinct = _distinct(footers)
    columns = _united(source, listing, distinct, limits, truncated=budget.truncated)
    return conclude(
        source,
        listing,
        columns,
        budget=budget,
        limits=limits,
        row_count=rows,
        warnings=_warnings(source, distinct, columns),
        untyped=_NULLS,
    )


def _warnings(
    source: Source, footers: list[_Footer], columns: tuple[Column, ...]
) -> Iterator[ReadWarning]:
    yield from null_parts(
        ((relative_name(source, each.file.path), each.columns) for each in footers), columns
    )


def read_all(source: Source, limits: Limits, progress: Progress) -> Introspection:
    """Read as `read` does, and decode every value as well. Raises what `read` and `verify`
    raise."""
    found = read(replace(source, state=None), limits, progress)
    verify(source, limits, progress)
    return found


def verify(source: Source, limits: Limits, progress: Progress) -> int:
    """Decode every value of every file; the number of rows.

    Raises:
        InvalidSourceError: a page is corrupt, or the rows are not as many as the footer says.
        JobError: the store's own.
    """
    return sum(batch.num_rows for _, batch in batches(source, limits, progress))


def batches(
    source: Source, limits: Limits, progress: Progress
) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yield all rows of all files, each with its file's name, in constant memory.

    A file is put on the worker's disk first: one request instead of one for each column chunk. A
    map whose keys are optional comes as a list of its pairs.

    Raises:
        InvalidSourceError, JobError: as `verify` does.
    """
    files = [file for file in list_files(source, limits).files if file.size > 0]
    for done, file in enumerate(files):
        name = relative_name(source, file.path)
        tell = partial(progress, "read", done, len(files))
        with _spooled(source, file, tell) as local:
            _make_readable(local, name)
            for batch in _decoded(local, file.size, name):
                tell()
                yield name, batch


@contextmanager
def _spooled(source: Source, file: ObjectInfo, tell: Callable[[], None]) -> Iterator[IO[bytes]]:
    with tempfile.TemporaryFile() as local:
        for chunk in all_of(source, file, source.store.stream(file.path)):
            tell()
            try:
                # The write alone: an error of the store goes on as it is.
                local.write(chunk)
            except OSError as exc:
                raise StorageUnavailableError(
                    "The worker's temporary folder has no room for the file. Free some space "
                    "there; the job tries again by itself."
                ) from exc
        local.seek(0)
        yield local


def _make_readable(local: IO[bytes], name: str) -> None:
    """Put the footer's schema as pyarrow takes it, where it has to be: `annotations`. The pages that
    it describes are the same."""
    end = local.seek(0, os.SEEK_END)
    local.seek(max(end - TRAILER.size, 0))
    length, magic = TRAILER.unpack(local.read().rjust(TRAILER.size, b"\0"))
    # What is no Parquet, or lies about its length, pyarrow tells.
    if magic != MAGIC or length + _OVERHEAD > end:
        return
    start = end - TRAILER.size - length
    local.seek(start)
    footer = local.read(length)
    with suppress(ValueError):
        first, last = schema_range(footer)
        schema = footer[first:last]
        if (changed := readable(schema, of_pages=True)) is not schema:
            footer = footer[:first] + changed + footer[last:]
            local.seek(start)
            local.write(footer + TRAILER.pack(len(footer), MAGIC))
            local.truncate()


def _decoded(local: IO[bytes], size: int, name: str) -> Iterator[pa.RecordBatch]:
    rows = 0
    try:
        # Nothing in a footer is longer than its file: without the two limits one of 300 bytes may
        # ask for gigabytes. Each column chunk is read in pieces and not as a whole.
        with pq.ParquetFile(
            local,
            buffer_size=_BUFFER_BYTES,
            pre_buffer=False,
            thrift_string_size_limit=size,
            thrift_container_size_limit=min(size, MAX_ELEMENTS),
            arrow_extensions_enabled=True,
        ) as file:
            for batch in file.iter_batches(_batch_rows(len(file.schema_arrow))):
                rows += batch.num_rows
                yield batch
            claimed = file.metadata.num_rows
    except (pa.ArrowException, OSError, ValueError) as exc:
        raise InvalidSourceError(
            f'The Parquet file "{name}" is corrupt after row {rows:,}: {first_line(exc)}',
            file=name,
        ) from exc
    if rows != claimed:
        raise InvalidSourceError(
            f'The Parquet file "{name}" is corrupt: it has {rows:,} rows, its footer claims '
            f"{claimed:,}.",
            file=name,
        )


def _batch_rows(columns: int) -> int:
    return max(1, min(_BATCH_ROWS, _BATCH_CELLS // max(1, columns)))


def _footers(
    source: Source,
    listing: Listing,
    limits: Limits,
    budget: Budget,
    progress: Progress,
    fetched: Chunk | None,
) -> list[_Footer]:
    """Read as many footers as the budget allows, newest first."""
    files = [file for file in listing.files if file.size > 0]
    if not files:
        raise EmptySourceError(file=relative_name(source, listing.files[0].path))
    footers: list[_Footer] = []
    for some in _rounds(files):
        if budget.truncated:
            break
        progress("read", len(footers), len(files))
        read_one = partial(_footer, source, limits, budget, fetched)
        footers += [footer for footer in source.store.map(read_one, some) if footer is not None]
    progress("read", len(footers), len(files))
    return footers


def _rounds(files: Sequence[ObjectInfo]) -> Iterator[Sequence[ObjectInfo]]:
    for start in range(0, len(files), _ROUND):
        yield files[start : start + _ROUND]


def _distinct(footers: list[_Footer]) -> list[_Footer]:
    """Leave out what says nothing new: files of one schema have one tuple of columns
    (`_Schemas`)."""
    first: dict[int, _Footer] = {}
    for footer in footers:
        first.setdefault(id(footer.columns), footer)
    return [*first.values()]


def _united(
    source: Source, listing: Listing, footers: list[_Footer], limits: Limits, *, truncated: bool
) -> tuple[Column, ...]:
    partitions = hive_partitions((file.path for file in listing.files), limits)
    per_file = [(footer.file, with_partitions(footer.columns, partitions)) for footer in footers]
    columns = combine(per_file, previous=stored_columns(source), truncated=truncated)
    check_columns(len(columns), limits)
    return columns


def _footer(
    source: Source, limits: Limits, budget: Budget, fetched: Chunk | None, file: ObjectInfo
) -> _Footer | None:
    """Return one file's footer, off the tail that was fetched or a new one; None where the budget
    has run out."""
    if not budget.admit():
        return None
    name = relative_name(source, file.path)
    tail = fetched or _tail(source, file.path, file.size)
    refuse_rewritten(source, file, tail.info)
    budget.spend(tail.cost_bytes, files=1)
    length = _footer_length(source, tail, name, limits)
    for start in _beginnings(source, tail, length, budget, name):
        with suppress(IncompleteError):
            columns, rows = columns_and_rows(start, name, limits)
            return _Footer(file=file, columns=columns, row_count=rows)
    raise invalid(name, "it ends within its schema")


def _beginnings(
    source: Source, tail: Chunk, length: int, budget: Budget, name: str
) -> Iterator[bytes]:
    """Yield a footer's first bytes: all of it where the tail holds that, else more with each step.

    Raises:
        LimitExceededError: that was not enough.
    """
    end = tail.info.size - TRAILER.size
    tail_start, footer_start = tail.info.size - len(tail.data), end - length
    here = tail.data[max(footer_start - tail_start, 0) : end - tail_start]
    if footer_start >= tail_start:
        yield here
        return
    before = b""
    for size in (_FIRST_BYTES, _MAX_SCHEMA_BYTES):
        start = footer_start + len(before)
        more = source.store.get(
            tail.info.path, start=start, length=min(footer_start + size, tail_start) - start
        )
        budget.spend(more.cost_bytes)
        if more.info.etag != tail.info.etag:
            raise rewritten(name)
        before += more.data
        if footer_start + size >= tail_start:
            yield before + here
            return
        # Without the tail: until the last step there is a hole between the two.
        yield before
    raise excess(name, f"has a schema of more than {_MAX_SCHEMA_BYTES:,} bytes")


def _tail(source: Source, path: str, size_bytes: int | None = None) -> Chunk:
    return source.store.get_tail(path, TAIL_BYTES, size_bytes=size_bytes)


def _footer_length(source: Source, tail: Chunk, name: str, limits: Limits) -> int:
    """Return the length that the trailer claims, if the file and the limit allow it."""
    size = tail.info.size
    # A file that is shorter than a trailer has no magic.
    length, magic = TRAILER.unpack(tail.data[-TRAILER.size :].rjust(TRAILER.size, b"\0"))
    if magic == _ENCRYPTED:
        raise UnsupportedError(
            f'The footer of "{name}" is encrypted.',
            code="encrypted_parquet",
            hint="Write the files with a plaintext footer, or without encryption.",
            file=name,
        )
    if magic != MAGIC:
        _refuse_format(source, tail, name)
    if length == 0 or length + _OVERHEAD > size:
        raise InvalidSourceError(
            f'The Parquet file "{name}" is corrupt: its footer claims {length:,} bytes '
            f"of a file of {size:,}.",
            file=name,
        )
    if length > limits.max_footer_bytes:
        raise exceeded(
            limits,
            "max_footer_bytes",
            f'The footer of "{name}" has {length:,} bytes',
            advice="Write the file again with fewer row groups",
            file=name,
        )
    return int(length)


def _refuse_format(source: Source, tail: Chunk, name: str) -> NoReturn:
    """Tell a Parquet file that was cut off from a file of another format."""
    head = source.store.get(tail.info.path, length=len(MAGIC))
    if head.data == MAGIC:
        raise InvalidSourceError(
            f'The Parquet file "{name}" is truncated: it begins as one, but has no footer.',
            file=name,
        )
    raise FormatMismatchError("The provided file is not in Parquet format", file=name)
