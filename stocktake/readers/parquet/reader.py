"""Parquet: the schema begins the footer, so two ranged reads a file are all it takes.

The footer's length is checked before anything is parsed: a file of 300 bytes can ask for 4 GB. Of
a footer only the schema and the number of rows are read: what row groups follow, tens of megabytes
in some files, tells of no column. Its key-value metadata follows those; of it GeoParquet's is
looked for in the tail that is here anyway. The Arrow schema that may stand there is not looked at,
and ClickHouse does not look at it either.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Final, NoReturn

from stocktake.errors import FormatMismatchError, InvalidSourceError, UnsupportedError
from stocktake.readers.files.foreign import HEAD_BYTES, hint_for, looks_like
from stocktake.readers.files.schemas import FileSchema, Opened, fetch_tail, read_schemas
from stocktake.readers.limits import exceeded
from stocktake.readers.parquet.footer import IncompleteError
from stocktake.readers.parquet.geometry import described, with_geometries
from stocktake.readers.parquet.pages import batches
from stocktake.readers.parquet.schema import (
    MAGIC,
    OVERHEAD,
    TRAILER,
    excess,
    file_schema,
    invalid,
)
from stocktake.readers.source import Introspection, Limits, Progress, Source
from stocktake.schema.types import scalar

#: Of a footer beyond the tail, what is read first, and at most: schemas are a few kilobytes.
_FIRST_BYTES: Final = 256 * 1024
_MAX_SCHEMA_BYTES: Final = 16 * 1024 * 1024
#: Parquet has no type of nulls: it stores them as INT32, and ClickHouse says so.
_NULLS: Final = scalar("Int32", nullable=True)

_ENCRYPTED: Final = b"PARE"


def read(source: Source, limits: Limits, progress: Progress) -> Introspection:
    """Read the footers of a source's files and unite their columns.

    Args:
        source: a key or a glob of Parquet files.
        limits: the sample's budget, `max_footer_bytes`, `max_columns`, `max_nesting`.
        progress: told after each round of files; what it raises ends the read.

    Raises:
        JobError: see `list_files` and `file_schema`; EmptySourceError, FormatMismatchError,
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


def _schema(file: Opened) -> FileSchema:
    """Return the columns and rows that a footer tells, of which the end is here."""
    length = _footer_length(file)
    for start in _beginnings(file, length):
        with suppress(IncompleteError):
            return _with_geometries(file_schema(start, file.name, file.limits), file, length)
    raise invalid(file.name, "it ends within its schema")


def _with_geometries(found: FileSchema, file: Opened, length: int) -> FileSchema:
    """Give the columns that GeoParquet's metadata tells of their types. Where it does not stand in
    the tail, behind row groups without end, it is not looked for."""
    geometries = described(file.chunk.data[-TRAILER.size - length : -TRAILER.size])
    if not geometries:
        return found
    return replace(found, columns=with_geometries(found.columns, geometries))


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
    if length == 0 or length + OVERHEAD > size:
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
    head = file.range(0, HEAD_BYTES)
    if head.startswith(MAGIC):
        raise InvalidSourceError(
            f'The Parquet file "{name}" is truncated: it begins as one, but has no footer.',
            file=name,
        )
    hint = None
    if found := looks_like(head):
        hint = f"It looks like {found}. {hint_for(head) or FormatMismatchError.default_hint}"
    raise FormatMismatchError("The provided file is not in Parquet format", hint=hint, file=name)
