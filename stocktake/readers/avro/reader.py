"""Avro: the header has the schema, so one ranged read a file is all it takes.

How many rows there are stands in each block; they are counted by who reads all of them.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Final

import pyarrow as pa

from stocktake.errors import InvalidSourceError, LimitExceededError
from stocktake.readers.avro import rows
from stocktake.readers.avro.header import Header, HeaderError, IncompleteError, parse, schema_of
from stocktake.readers.avro.types import SchemaError, columns
from stocktake.readers.files.foreign import HEAD_BYTES, unlike
from stocktake.readers.files.rows import count, decoded
from stocktake.readers.files.schemas import (
    FIRST_BYTES,
    FileSchema,
    Opened,
    fetch_head,
    read_schemas,
)
from stocktake.readers.limits import check_size, exceeded
from stocktake.readers.source import Introspection, Limits, Progress, Source
from stocktake.schema.formats import TableFormat

_MAGIC: Final = TableFormat.AVRO.facts.magic
#: Of a schema that is remembered.
_KEPT_BYTES: Final = 32 * 1024


def read(source: Source, limits: Limits, progress: Progress) -> Introspection:
    """Read the headers of a source's files and unite their columns.

    Args:
        source: a key or a glob of Avro container files.
        limits: the sample's budget, `max_footer_bytes`, and those of a schema.

    Raises:
        JobError: see `read_schemas` and `types.columns`; FormatMismatchError and
            InvalidSourceError name the file.
    """
    return read_schemas(source, limits, progress, fetch=fetch_head, describe=_describe)


def read_all(source: Source, limits: Limits, progress: Progress) -> Introspection:
    """Read as `read` does, and decode every value as well; the number of rows is then known.

    Raises:
        JobError: what `read` and `batches` raise.
    """
    return count(read, batches, source, limits, progress)


def batches(
    source: Source, limits: Limits, progress: Progress
) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yield all rows of all files, each batch with its file's name. A whole block is in memory.

    Raises:
        InvalidSourceError: a block is corrupt.
        LimitExceededError: a block swells too much, or there are rows without bytes and end.
        JobError: the store's own.
    """
    return decoded(source, limits, progress, lambda local: rows.batches(local, limits))


def _describe(file: Opened) -> FileSchema:
    if not file.chunk.data.startswith(_MAGIC):
        raise unlike(TableFormat.AVRO, file.name, file.chunk.data[:HEAD_BYTES])
    try:
        header = _header(file)
        check_size(len(header.schema), file.limits, what="The schema in the header")
        kept = len(header.schema) <= _KEPT_BYTES
        return (_remembered if kept else _schema)(header.schema, file.limits)
    except RecursionError as exc:
        raise LimitExceededError(
            f'The schema of "{file.name}" is nested deeper than its reader goes.',
            hint="No setting raises this: write the file flatter.",
            file=file.name,
        ) from exc
    except (HeaderError, SchemaError) as exc:
        raise InvalidSourceError(
            f'The Avro file "{file.name}" is corrupt: {exc}.', file=file.name
        ) from exc


def _schema(stored: bytes, limits: Limits) -> FileSchema:
    return FileSchema(columns=columns(schema_of(stored), limits))


#: Most files of a source have one schema. Few are kept: one that names a record in each of a
#: hundred fields is short, and becomes megabytes.
_remembered = lru_cache(maxsize=8)(_schema)


def _header(file: Opened) -> Header:
    """Return the header, reading on where it is longer than what is here."""
    here = file.chunk.data
    while True:
        try:
            return parse(here, len(_MAGIC))
        except IncompleteError as exc:
            # The sync mark ends it, and a file of no rows.
            if exc.needed > file.size:
                raise
            _check_length(exc.needed, file)
            # With what follows; and twice as much at least, for a header of a million short keys
            # asks for each of them.
            end = min(max(exc.needed + FIRST_BYTES, 2 * len(here)), file.size)
            here += file.range(len(here), end - len(here))


def _check_length(size: int, file: Opened) -> None:
    if size > file.limits.max_footer_bytes:
        raise exceeded(
            file.limits,
            "max_footer_bytes",
            f'The header of "{file.name}" has {size:,} bytes or more',
            advice="Write the file again without metadata",
            file=file.name,
        )
