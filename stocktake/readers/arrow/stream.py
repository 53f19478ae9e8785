"""Arrow streams: the first message is the schema, so one ranged read a file is all it takes."""

import struct
from collections.abc import Iterator
from typing import IO, Final

import pyarrow as pa

from stocktake.errors import FormatMismatchError, InvalidSourceError
from stocktake.readers.arrow.schema import check_length, of_message
from stocktake.readers.arrow.swelling import check_stream
from stocktake.readers.files.foreign import HEAD_BYTES, unlike
from stocktake.readers.files.rows import count, decoded
from stocktake.readers.files.schemas import FileSchema, Opened, fetch_head, read_schemas
from stocktake.readers.source import Introspection, Limits, Progress, Source
from stocktake.schema.formats import TableFormat

_LENGTH: Final = struct.Struct("<i")
#: Before the length since Arrow 0.15.
_CONTINUATION: Final = b"\xff\xff\xff\xff"


def read(source: Source, limits: Limits, progress: Progress) -> Introspection:
    """Read the schemas at the head of a source's streams and unite their columns.

    Args:
        source: a key or a glob of files, each of them one stream.
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
    """Yield all rows of all files, each batch with its file's name. A whole batch is in memory.

    Raises:
        LimitExceededError: a batch claims to swell too much.
        InvalidSourceError: a batch is corrupt, or the stream breaks off within one.
        JobError: the store's own.
    """
    return decoded(source, limits, progress, lambda local: _opened(local, limits))


def _opened(local: IO[bytes], limits: Limits) -> Iterator[pa.RecordBatch]:
    check_stream(local, limits)
    local.seek(0)
    with pa.ipc.open_stream(local) as stream:
        yield from stream


def _describe(file: Opened) -> FileSchema:
    head = file.chunk.data
    before = len(_CONTINUATION) if head.startswith(_CONTINUATION) else 0
    start = before + _LENGTH.size
    if len(head) < start:
        raise _refused(file)
    (length,) = _LENGTH.unpack_from(head, before)
    # Without the mark nothing else tells a stream from a file of another format.
    if not before and not 0 < length <= file.size - start:
        raise _refused(file)
    check_length(length, file.size - start, file, "schema")
    here = head[start : start + length]
    if missing := length - len(here):
        here += file.range(start + len(here), missing)
    try:
        return of_message(here, file)
    except InvalidSourceError as exc:
        if before:
            raise
        raise _refused(file) from exc


def _refused(file: Opened) -> FormatMismatchError:
    head, hint = file.chunk.data[:HEAD_BYTES], None
    if head.startswith(TableFormat.ARROW.facts.magic):
        hint = f"It is an Arrow file: set the table's format to {TableFormat.ARROW.value}."
    return unlike(TableFormat.ARROW_STREAM, file.name, head, hint=hint)
