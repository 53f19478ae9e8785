"""From the bytes of an Arrow schema to columns, with what makes it too much or none at all."""

from collections.abc import Callable
from functools import lru_cache
from typing import Final

from stocktake.errors import InvalidSourceError
from stocktake.readers.arrow import types
from stocktake.readers.arrow.flatbuffer import FlatbufferError, Table
from stocktake.readers.files.schemas import NAMELESS, FileSchema, Opened
from stocktake.readers.limits import exceeded
from stocktake.readers.source import Limits

#: Of a `Footer` (File.fbs) and of a `Message` (Message.fbs), by their place in it.
_FOOTER_SCHEMA = 1
_HEADER_KIND, _HEADER = 1, 2
_SCHEMA_KIND = 1
#: Of a schema that is remembered.
_KEPT_BYTES: Final = 32 * 1024


def of_footer(footer: bytes, file: Opened) -> FileSchema:
    """Return the columns that a file's footer tells. The number of rows stands in each batch.

    Raises:
        InvalidSourceError, LimitExceededError, DuplicateColumnError, UnsupportedError
    """
    try:
        return _known(_footer_schema, footer, file)
    except FlatbufferError as exc:
        raise invalid(file, f"its footer cannot be read: {exc}") from exc


def of_message(message: bytes, file: Opened) -> FileSchema:
    """Return the columns that a stream's first message tells. Raises what `of_footer` raises."""
    try:
        return _known(_message_schema, message, file)
    except FlatbufferError as exc:
        raise invalid(file, f"its schema cannot be read: {exc}") from exc


def _known(read: Callable[[bytes, Limits], FileSchema], data: bytes, file: Opened) -> FileSchema:
    """Return what was made of the same bytes before: most files of a source have one schema."""
    return (_remembered if len(data) <= _KEPT_BYTES else _made)(read, data, file.limits)


def _made(read: Callable[[bytes, Limits], FileSchema], data: bytes, limits: Limits) -> FileSchema:
    return read(data, limits)


_remembered = lru_cache(maxsize=64)(_made)


def _footer_schema(footer: bytes, limits: Limits) -> FileSchema:
    return _columns(Table.root(footer).table(_FOOTER_SCHEMA), limits)


def _message_schema(message: bytes, limits: Limits) -> FileSchema:
    table = Table.root(message)
    if table.number(_HEADER_KIND, "B") != _SCHEMA_KIND:
        raise FlatbufferError("its first message is no schema")
    return _columns(table.table(_HEADER), limits)


def _columns(schema: Table | None, limits: Limits) -> FileSchema:
    if schema is None:
        raise FlatbufferError("it is left out")
    columns = types.columns(schema, limits)
    nameless = len(columns) < types.count(schema)
    return FileSchema(columns=columns, warnings=(NAMELESS,) if nameless else ())


def invalid(file: Opened, why: str) -> InvalidSourceError:
    """Return the error for a file that is no whole Arrow file or stream."""
    return InvalidSourceError(f'The Arrow file "{file.name}" is corrupt: {why}.', file=file.name)


def check_length(length: int, room: int, file: Opened, what: str) -> None:
    """Check the length that a file claims for its footer or its schema.

    Args:
        room: the bytes that there are for it.

    Raises:
        InvalidSourceError: there are fewer.
        LimitExceededError: it is more than `max_footer_bytes`.
    """
    if not 0 < length <= room:
        raise invalid(file, f"its {what} claims {length:,} bytes of a file of {file.size:,}")
    if length > file.limits.max_footer_bytes:
        raise exceeded(
            file.limits,
            "max_footer_bytes",
            f'The {what} of "{file.name}" has {length:,} bytes',
            advice="Write the file again with fewer batches, or without metadata",
            file=file.name,
        )
