"""The rows of whole Parquet files, in constant memory.

What a page says is pyarrow's to decode. What it does not decode, though the file is whole, is told
apart from what is corrupt.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import IO, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from stocktake.errors import InvalidSourceError, TerminalError, UnsupportedError
from stocktake.readers.files.listing import list_files, relative_name
from stocktake.readers.files.spooled import spooled
from stocktake.readers.parquet.annotations import readable
from stocktake.readers.parquet.footer import Footer, footer_of, overlap, schema_range
from stocktake.readers.parquet.schema import (
    MAGIC,
    MAX_ELEMENTS,
    OVERHEAD,
    TRAILER,
    first_line,
    open_footer,
)
from stocktake.readers.source import Limits, Progress, Source

#: Of a column chunk at once, and of all columns in one batch.
_BUFFER_BYTES: Final = 1 << 20
_BATCH_ROWS: Final = 8_192
_BATCH_CELLS: Final = 1 << 20


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
            _make_readable(local)
            _refuse_repetition(local, file.size, name)
            for batch in _decoded(local, file.size, name):
                tell()
                yield name, batch


def _make_readable(local: IO[bytes]) -> None:
    """Put the footer's schema as pyarrow takes it, where it has to be: `annotations`. It describes
    the same pages."""
    start, footer = _footer(local)
    with suppress(ValueError):
        first, last = schema_range(footer)
        schema = footer[first:last]
        if (changed := readable(schema, of_pages=True)) is not schema:
            footer = footer[:first] + changed + footer[last:]
            local.seek(start)
            local.write(footer + TRAILER.pack(len(footer), MAGIC))
            local.truncate()


def _refuse_repetition(local: IO[bytes], size: int, name: str) -> None:
    """Refuse a file whose row groups share bytes."""
    _, footer = _footer(local)
    # what is no footer pyarrow tells
    with suppress(ValueError):
        if overlap(Footer(footer).chunk_sizes(), size):
            raise InvalidSourceError(
                f'The Parquet file "{name}" is corrupt: its row groups overlap.', file=name
            )


def _footer(local: IO[bytes]) -> tuple[int, bytes]:
    """Return where the footer begins, and it; none where there is no such thing, which pyarrow
    tells."""
    end = local.seek(0, os.SEEK_END)
    local.seek(max(end - TRAILER.size, 0))
    length, magic = TRAILER.unpack(local.read().rjust(TRAILER.size, b"\0"))
    if magic != MAGIC or length + OVERHEAD > end:
        return end, b""
    start = end - TRAILER.size - length
    local.seek(start)
    return start, local.read(length)


def _decoded(local: IO[bytes], size: int, name: str) -> Iterator[pa.RecordBatch]:
    rows = 0
    try:
        with _opened(local, size) as file:
            for batch in file.iter_batches(_batch_rows(len(file.schema_arrow))):
                rows += batch.num_rows
                yield batch
            claimed = file.metadata.num_rows
    except (pa.ArrowException, OSError, ValueError) as exc:
        raise _error(exc, local, size, name, rows) from exc
    if rows != claimed:
        raise InvalidSourceError(
            f'The Parquet file "{name}" is corrupt: it has {rows:,} rows, its footer claims '
            f"{claimed:,}.",
            file=name,
        )


def _opened(local: IO[bytes], size: int) -> pq.ParquetFile:
    # Nothing in a footer is longer than its file: without the two limits one of 300 bytes may ask
    # for gigabytes. Each column chunk is read in pieces and not as a whole.
    return pq.ParquetFile(
        local,
        buffer_size=_BUFFER_BYTES,
        pre_buffer=False,
        thrift_string_size_limit=size,
        thrift_container_size_limit=min(size, MAX_ELEMENTS),
        arrow_extensions_enabled=True,
    )


def _batch_rows(columns: int) -> int:
    return max(1, min(_BATCH_ROWS, _BATCH_CELLS // max(1, columns)))


def _error(exc: BaseException, local: IO[bytes], size: int, name: str, rows: int) -> TerminalError:
    """Tell what pyarrow cannot decode from what nobody can."""
    said = first_line(exc)
    if "decrypt" in said:
        return UnsupportedError(
            f'{_column(exc, local, size)} of "{name}" is encrypted.',
            code="encrypted_parquet",
            hint="Write the file without encryption.",
            file=name,
        )
    if "compression" in said and ("not supported" in said or "Unsupported" in said):
        return UnsupportedError(
            f'{_column(exc, local, size)} of "{name}" has a compression that cannot be read: '
            f"{said}",
            code="unsupported_compression",
            hint="Write the file with Snappy, Zstandard, gzip, LZ4_RAW or Brotli.",
            file=name,
        )
    if isinstance(exc, pa.ArrowNotImplementedError):
        return UnsupportedError(
            f'{_column(exc, local, size)} of "{name}" has values of a type that cannot be read '
            f"in full: {said}",
            code="unsupported_type",
            hint="Cast the column to a plain type at the source.",
            file=name,
        )
    return InvalidSourceError(
        f'The Parquet file "{name}" is corrupt after row {rows:,}: {said}', file=name
    )


def _column(error: BaseException, local: IO[bytes], size: int) -> str:
    """Return which column raises this, as a sentence begins with it: each is tried alone."""
    with suppress(pa.ArrowException, OSError, ValueError):
        with _opened(local, size) as file:
            paths = [file.schema.column(at).path for at in range(len(file.schema))]
        for path in paths:
            if _raises(error, local, size, path):
                return f'The column "{path[:200]}"'
    # It is not even opened where the writer's own schema names a type that pyarrow lacks: integers
    # of more than 64 bits (Polars), for which Parquet has bytes.
    with suppress(pa.ArrowException, OSError, ValueError):
        wide = [field.name for field in _stored_as(local) if _has_bytes(field.type)]
        names = [f'"{each[:200]}"' for each in wide[:3]]
        return f"The column {' or '.join(names)}" if names else "A column"
    return "A column"


def _raises(error: BaseException, local: IO[bytes], size: int, path: str) -> bool:
    try:
        with _opened(local, size) as file:
            for _ in file.iter_batches(_BATCH_ROWS, columns=[path]):
                pass
    except (pa.ArrowException, OSError, ValueError) as exc:
        return first_line(exc) == first_line(error)
    return False


def _stored_as(local: IO[bytes]) -> pa.Schema:
    """Return the schema by Parquet's types alone."""
    _, footer = _footer(local)
    first, last = schema_range(footer)
    return open_footer(footer_of(readable(footer[first:last])))[0]


def _has_bytes(arrow: Any) -> bool:
    if pa.types.is_fixed_size_binary(arrow):
        return True
    return any(_has_bytes(arrow.field(at).type) for at in range(arrow.num_fields))
