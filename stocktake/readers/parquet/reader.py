"""Parquet: the schema begins the footer, so two ranged reads a file are all it takes.

The footer's length is checked before anything is parsed: a file of 300 bytes can ask for 4 GB. Of
a footer only the schema and the number of rows are read: what row groups follow, tens of megabytes
in some files, tells of no column. Its key-value metadata follows those; the Arrow schema that may
be there is not looked at, and ClickHouse does not look at it either.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import IO, Final, NoReturn

import pyarrow as pa
import pyarrow.parquet as pq

from stocktake.errors import FormatMismatchError, InvalidSourceError, UnsupportedError
from stocktake.readers.files.listing import list_files, relative_name
from stocktake.readers.files.schemas import FileSchema, Opened, fetch_tail, read_schemas
from stocktake.readers.files.spooled import spooled
from stocktake.readers.limits import exceeded
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
from stocktake.schema.types import scalar

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
    return read_schemas(
        source, limits, progress, fetch=fetch_tail, describe=_schema, untyped=_NULLS
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
        with spooled(source, file, tell) as local:
            _make_readable(local, name)
            for batch in _decoded(local, file.size, name):
                tell()
                yield name, batch


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


def _schema(file: Opened) -> FileSchema:
    """Return the columns and rows that a footer tells, of which the end is here."""
    length = _footer_length(file)
    for start in _beginnings(file, length):
        with suppress(IncompleteError):
            columns, rows = columns_and_rows(start, file.name, file.limits)
            return FileSchema(columns=columns, row_count=rows)
    raise invalid(file.name, "it ends within its schema")


def _beginnings(file: Opened, length: int) -> Iterator[bytes]:
    """Yield a footer's first bytes: all of it where the tail holds that, else more with each step.

    Raises:
        LimitExceededError: that was not enough.
    """
    tail, end = file.chunk.data, file.size - TRAILER.size
    tail_start, footer_start = file.size - len(tail), end - length
    here = tail[max(footer_start - tail_start, 0) : end - tail_start]
    if footer_start >= tail_start:
        yield here
        return
    before = b""
    for size in (_FIRST_BYTES, _MAX_SCHEMA_BYTES):
        start = footer_start + len(before)
        before += file.range(start, min(footer_start + size, tail_start) - start)
        if footer_start + size >= tail_start:
            yield before + here
            return
        # Without the tail: until the last step there is a hole between the two.
        yield before
    raise excess(file.name, f"has a schema of more than {_MAX_SCHEMA_BYTES:,} bytes")


def _footer_length(file: Opened) -> int:
    """Return the length that the trailer claims, if the file and the limit allow it."""
    size, name, limits = file.size, file.name, file.limits
    # A file that is shorter than a trailer has no magic.
    length, magic = TRAILER.unpack(file.chunk.data[-TRAILER.size :].rjust(TRAILER.size, b"\0"))
    if magic == _ENCRYPTED:
        raise UnsupportedError(
            f'The footer of "{name}" is encrypted.',
            code="encrypted_parquet",
            hint="Write the files with a plaintext footer, or without encryption.",
            file=name,
        )
    if magic != MAGIC:
        _refuse_format(file)
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


def _refuse_format(file: Opened) -> NoReturn:
    """Tell a Parquet file that was cut off from a file of another format."""
    name = file.name
    if file.range(0, len(MAGIC)) == MAGIC:
        raise InvalidSourceError(
            f'The Parquet file "{name}" is truncated: it begins as one, but has no footer.',
            file=name,
        )
    raise FormatMismatchError("The provided file is not in Parquet format", file=name)
