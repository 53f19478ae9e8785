"""Arrow files: the footer has the schema, so one ranged read a file is all it takes."""

import os
import struct
from collections.abc import Iterator
from typing import IO, Final, NoReturn

import pyarrow as pa

from stocktake.errors import InvalidSourceError, UnsupportedError
from stocktake.readers.arrow.schema import check_length, of_footer
from stocktake.readers.arrow.swelling import check_file
from stocktake.readers.files.foreign import HEAD_BYTES, unlike
from stocktake.readers.files.rows import count, decoded
from stocktake.readers.files.schemas import FileSchema, Opened, fetch_tail, read_schemas
from stocktake.readers.source import Introspection, Limits, Progress, Source
from stocktake.schema.formats import TableFormat

MAGIC: Final = TableFormat.ARROW.facts.magic
#: The footer's length and the magic, which comes once more at the start, filled up to eight bytes.
_TRAILER: Final = struct.Struct("<i6s")
_LEADER_BYTES: Final = 8
_FEATHER_1: Final = b"FEA1"
#: What a stream begins with.
_CONTINUATION: Final = b"\xff\xff\xff\xff"


def read(source: Source, limits: Limits, progress: Progress) -> Introspection:
    """Read the footers of a source's files and unite their columns.

    Args:
        source: a key or a glob of Arrow files.
        limits: the sample's budget, `max_footer_bytes`, and those of a schema.

    Raises:
        JobError: see `read_schemas` and `types.columns`; FormatMismatchError and
            InvalidSourceError name the file.
    """
    return read_schemas(source, limits, progress, fetch=fetch_tail, describe=_describe)


def read_all(source: Source, limits: Limits, progress: Progress) -> Introspection:
    """Read as `read` does, and decode every value as well; the number of rows is then known.

    Raises:
        JobError: what `read` and `batches` raise.
    """
    return count(read, batches, source, limits, progress)


def batches(
    source: Source, limits: Limits, progress: Progress
) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yield all rows of all files, each batch with its file's name. A whole batch is in memory.

    Raises:
        LimitExceededError: a batch claims to swell too much.
        InvalidSourceError: a batch is corrupt.
        JobError: the store's own.
    """
    return decoded(source, limits, progress, lambda local: _opened(local, limits))


def _opened(local: IO[bytes], limits: Limits) -> Iterator[pa.RecordBatch]:
    end = local.seek(-_TRAILER.size, os.SEEK_END)
    length, _ = _TRAILER.unpack(local.read())
    if 0 < length <= end:
        local.seek(end - length)
        check_file(local, local.read(length), limits)
    local.seek(0)
    with pa.ipc.open_file(local) as file:
        for index in range(file.num_record_batches):
            yield file.get_batch(index)


def _describe(file: Opened) -> FileSchema:
    tail = file.chunk.data
    # A file that is shorter than a trailer has no magic.
    length, magic = _TRAILER.unpack(tail[-_TRAILER.size :].rjust(_TRAILER.size, b"\0"))
    if magic != MAGIC:
        _refuse_format(file)
    check_length(length, file.size - _TRAILER.size - _LEADER_BYTES, file, "footer")
    here = tail[-_TRAILER.size - length : -_TRAILER.size]
    if missing := length - len(here):
        here = file.range(file.size - _TRAILER.size - length, missing) + here
    return of_footer(here, file)


def _refuse_format(file: Opened) -> NoReturn:
    """Tell an Arrow file that was cut off from a stream, and from a file of another format."""
    head = file.range(0, HEAD_BYTES)
    if head.startswith(MAGIC):
        raise InvalidSourceError(
            f'The Arrow file "{file.name}" is truncated: it begins as one, but has no footer.',
            file=file.name,
        )
    if head.startswith(_FEATHER_1):
        raise UnsupportedError(
            f'"{file.name}" is a Feather file of version 1, a format that Arrow has given up.',
            hint="Write it again as Feather of version 2, which is Arrow's file format.",
            file=file.name,
        )
    hint = None
    if head.startswith(_CONTINUATION):
        hint = f"It may be a stream: set the table's format to {TableFormat.ARROW_STREAM.value}."
    raise unlike(TableFormat.ARROW, file.name, head, hint=hint)
