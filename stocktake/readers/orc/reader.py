"""ORC: the tail of a file has the schema and the number of rows, so one ranged read a file is all
it takes."""

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import IO, Final

import pyarrow as pa
from pyarrow import orc

from stocktake.errors import InvalidSourceError, UnsupportedError
from stocktake.readers.files.foreign import HEAD_BYTES, unlike
from stocktake.readers.files.rows import count, decoded
from stocktake.readers.files.schemas import (
    NAMELESS,
    FileSchema,
    Opened,
    fetch_tail,
    read_schemas,
)
from stocktake.readers.limits import exceeded
from stocktake.readers.orc.compression import KINDS, decompressed, readable
from stocktake.readers.orc.footer import (
    FooterError,
    OrcType,
    PostScript,
    orc_type,
    post_script,
    types_and_rows,
)
from stocktake.readers.orc.types import columns
from stocktake.readers.source import Introspection, Limits, Progress, Source
from stocktake.schema.formats import TableFormat

_MAGIC: Final = TableFormat.ORC.facts.magic
#: The file's last byte is the length of the postscript before it.
_LENGTH_BYTES: Final = 1
#: Lists and maps among them: the types of a schema that has as many fields as it may.
_MOST_TYPES: Final = 2
#: Of a type, beside what it holds; beyond them what nobody knows counts as if it were a type.
_FREE_FIELDS: Final = 100
#: What pyarrow calls columns of its own.
_RESERVED: Final = frozenset(
    {"__filename", "__fragment_index", "__batch_index", "__last_in_fragment"}
)
#: Of a schema that is remembered.
_KEPT_BYTES: Final = 32 * 1024
_BATCH_ROWS: Final = 8_192
#: What pyarrow says of a moment that its 64 bits of nanoseconds do not hold.
_TOO_FAR: Final = "out of range for nanosecond resolution"


def read(source: Source, limits: Limits, progress: Progress) -> Introspection:
    """Read the footers of a source's files and unite their columns.

    Args:
        source: a key or a glob of ORC files.
        limits: the sample's budget, `max_footer_bytes`, and those of a schema.

    Raises:
        JobError: see `read_schemas` and `types.columns`; FormatMismatchError, InvalidSourceError
            and UnsupportedError name the file.
    """
    return read_schemas(source, limits, progress, fetch=fetch_tail, describe=_describe)


def read_all(source: Source, limits: Limits, progress: Progress) -> Introspection:
    """Read as `read` does, and decode every value as well.

    Raises:
        JobError: what `read` and `batches` raise.
    """
    return count(read, batches, source, limits, progress)


def batches(
    source: Source, limits: Limits, progress: Progress
) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yield all rows of all files, each batch with its file's name, in constant memory.

    Raises:
        InvalidSourceError: a stripe is corrupt.
        UnsupportedError: a timestamp lies before 1677 or after 2262.
        JobError: the store's own.
    """
    return decoded(source, limits, progress, _opened)


def _opened(local: IO[bytes]) -> Iterator[pa.RecordBatch]:
    try:
        yield from _stripes(local)
    except pa.ArrowInvalid as exc:
        if _TOO_FAR not in str(exc):
            raise
        raise UnsupportedError(
            "A timestamp of the ORC file lies before 1677 or after 2262, where pyarrow, which "
            f"decodes it, does not reach: {exc}",
            hint="Write the column as a date or a string, or the file as Parquet.",
        ) from exc


def _stripes(local: IO[bytes]) -> Iterator[pa.RecordBatch]:
    file = orc.ORCFile(local)
    if not _RESERVED.isdisjoint(file.schema.names):
        yield from map(file.read_stripe, range(file.nstripes))
        return
    # Late: it loads more than all of pyarrow's readers.
    from pyarrow import dataset

    # Nobody knows how large a stripe is once it is decoded; these are so many rows of it.
    fragment = dataset.OrcFileFormat().make_fragment(local)
    yield from fragment.to_batches(batch_size=_BATCH_ROWS, use_threads=False)


def _describe(file: Opened) -> FileSchema:
    tail = file.chunk.data
    length = tail[-1]
    script = tail[-_LENGTH_BYTES - length : -_LENGTH_BYTES]
    whole = script.endswith(_MAGIC)
    # Hive 0.11 wrote no magic there.
    if not whole and not (head := file.range(0, HEAD_BYTES)).startswith(_MAGIC):
        raise unlike(TableFormat.ORC, file.name, head)
    try:
        found = post_script(script)
        footer = _footer(file, found, before=_LENGTH_BYTES + length)
        types, rows = types_and_rows(footer, _MOST_TYPES * file.limits.max_fields, file.size)
        kept = sum(map(len, types)) <= _KEPT_BYTES
        return replace((_remembered if kept else _schema)(types, file.limits), row_count=rows)
    except FooterError as exc:
        said = f"is corrupt: its footer cannot be read: {exc}."
        raise InvalidSourceError(
            f'The ORC file "{file.name}" '
            + (said if whole else "is truncated: it begins as one, but has no footer."),
            file=file.name,
        ) from exc


def _schema(stored: tuple[bytes, ...], limits: Limits) -> FileSchema:
    types, room = list[OrcType](), _MOST_TYPES * limits.max_fields
    for each in stored:
        types.append(orc_type(each, room))
        room -= max(len(types[-1].names), len(types[-1].subtypes), types[-1].fields - _FREE_FIELDS)
    named = columns(types, limits)
    nameless = len(named) < len(types[0].names)
    return FileSchema(columns=named, warnings=(NAMELESS,) if nameless else ())


#: Most files of a source have one schema.
_remembered = lru_cache(maxsize=64)(_schema)


def _footer(file: Opened, script: PostScript, *, before: int) -> bytes:
    """Return the footer, which ends `before` bytes before the file does, decompressed."""
    length = script.footer_length
    if not 0 < length <= file.size - before:
        raise FooterError(f"it claims {length:,} bytes of a file of {file.size:,}")
    _check_length(length, file)
    here = file.chunk.data[-before - length : -before]
    if missing := length - len(here):
        here = file.range(file.size - before - length, missing) + here
    if not script.compression:
        return here
    if script.compression >= len(KINDS):
        raise FooterError("it is compressed in no way that there is")
    if not readable(script.compression):
        raise UnsupportedError(
            f'The ORC file "{file.name}" is compressed with {KINDS[script.compression]}, which is '
            "not read.",
            hint="Write it with zlib, zstd, snappy or LZ4.",
            file=file.name,
        )
    pieces, size = [], 0
    for piece in decompressed(here, script.compression, script.block_size):
        size += len(piece)
        _check_length(size, file)
        pieces.append(piece)
    return b"".join(pieces)


def _check_length(size: int, file: Opened) -> None:
    if size > file.limits.max_footer_bytes:
        raise exceeded(
            file.limits,
            "max_footer_bytes",
            f'The footer of "{file.name}" has {size:,} bytes',
            advice="Write the file again with fewer stripes",
            file=file.name,
        )
