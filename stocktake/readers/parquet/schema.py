"""From a footer's first bytes to columns, with what makes a schema too much or none at all."""

import struct
from dataclasses import replace
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from stocktake.errors import InvalidSourceError, JobError, LimitExceededError
from stocktake.readers import arrow_types
from stocktake.readers.files.schemas import NAMELESS, FileSchema
from stocktake.readers.limits import check_size
from stocktake.readers.parquet.annotations import readable
from stocktake.readers.parquet.footer import IncompleteError, footer_of, row_count, schema_range
from stocktake.readers.parquet.geometry import marked, with_geometries
from stocktake.readers.source import Limits
from stocktake.schema.formats import TableFormat

MAGIC: Final = TableFormat.PARQUET.facts.magic
#: Length of the footer, then the magic.
TRAILER: Final = struct.Struct("<I4s")
#: The magic comes once more at the file's start.
OVERHEAD: Final = TRAILER.size + len(MAGIC)
#: Columns in one footer, far above what real files hold. pyarrow takes some 15 µs and 1.4 KB for
#: each, before it says how many there are.
MAX_ELEMENTS: Final = 200_000

#: Bytes of all schemas that a process keeps, whose columns take some forty times as much, and
#: the bytes that tell most schemas from each other: among them is how many columns they have.
_KEPT_BYTES: Final = 1024 * 1024
_KEY_BYTES: Final = 128


def file_schema(footer: bytes, name: str, limits: Limits) -> FileSchema:
    """Return the columns of a file and its number of rows.

    Args:
        footer: its first bytes, as many as are here.
        name: of the file, for messages.
        limits: of a schema's bounds all apply.

    Raises:
        IncompleteError: the footer goes on past what is here.
        InvalidSourceError, LimitExceededError, DuplicateColumnError, UnsupportedError: naming
            the file.
    """
    try:
        end, found = _schemas.find(footer, limits) or _schemas.read(footer, limits)
        return replace(found, row_count=row_count(footer, end))
    # It is a ValueError, too; the caller reads on and asks again.
    except IncompleteError:
        raise
    except JobError as error:
        error.file = name
        raise
    # a name that is no UTF-8 is a ValueError
    except (pa.ArrowException, OSError, ValueError) as exc:
        _refuse_excess(exc, len(footer), name)
        raise invalid(name, first_line(exc)) from exc


class _Schemas:
    """The schemas read of late, by the bytes that they begin a footer with. Most files of a source
    share one, and making columns of it takes longer than all the rest of a file's reading."""

    def __init__(self) -> None:
        self._known: dict[tuple[bytes, Limits], tuple[bytes, FileSchema]] = {}
        self._size = 0

    def find(self, footer: bytes, limits: Limits) -> tuple[int, FileSchema] | None:
        """Return where the schema of this footer ends and its columns, where one begins as
        it does."""
        start, found = self._known.get((footer[:_KEY_BYTES], limits), (b"", None))
        return (len(start), found) if found and footer.startswith(start) else None

    def read(self, footer: bytes, limits: Limits) -> tuple[int, FileSchema]:
        """Return the same of one that is not known yet."""
        start, end = schema_range(footer)
        check_size(end - start, limits, what="The schema in the footer")
        found = _file_schema(footer[start:end], limits)
        if found.columns and end <= _KEPT_BYTES:
            self._size += end
            if self._size > _KEPT_BYTES:
                self._known.clear()
                self._size = end
            self._known[footer[:_KEY_BYTES], limits] = (footer[:end], found)
        return end, found


def _file_schema(schema: bytes, limits: Limits) -> FileSchema:
    arrow, stored = open_footer(footer_of(readable(schema)))
    columns = arrow_types.columns(arrow, limits)
    if geometries := marked(schema, stored):
        columns = with_geometries(columns, geometries)
    return FileSchema(columns=columns, warnings=(NAMELESS,) if "" in arrow.names else ())


_schemas = _Schemas()


def open_footer(footer: bytes) -> tuple[pa.Schema, pq.ParquetSchema]:
    """Hand pyarrow a file that is nothing but its footer, and return what it makes of the schema,
    in Arrow's types and in Parquet's."""
    buffer = pa.BufferReader(MAGIC + footer + TRAILER.pack(len(footer), MAGIC))
    size = len(footer)
    with pq.ParquetFile(
        buffer,
        thrift_string_size_limit=size,
        thrift_container_size_limit=min(size, MAX_ELEMENTS),
        arrow_extensions_enabled=True,
    ) as file:
        schema = file.schema_arrow
        schema.names  # noqa: B018  # decodes them: one that is no UTF-8 shows here
        return schema, file.schema


def _refuse_excess(exc: BaseException, size: int, name: str) -> None:
    """Tell a schema that is too much from one that is broken; pyarrow has one type for both."""
    if "too deeply nested" in str(exc):
        raise excess(name, "is nested deeper than its reader goes") from exc
    # a smaller footer cannot list so many: what it claims is nonsense
    if "Exceeded size limit" in str(exc) and size > MAX_ELEMENTS:
        raise excess(name, f"lists more than {MAX_ELEMENTS:,} columns") from exc


def excess(name: str, said: str) -> LimitExceededError:
    """Return the error for a schema that no setting allows."""
    return LimitExceededError(
        f'The footer of "{name}" {said}.',
        hint="No setting raises this: write the file flatter, or with fewer columns.",
        file=name,
    )


def invalid(name: str, why: str) -> InvalidSourceError:
    """Return the error for a footer that no schema can be read from."""
    return InvalidSourceError(
        f'The footer of the Parquet file "{name}" cannot be read: {why}', file=name
    )


def first_line(exc: BaseException) -> str:
    """Return what pyarrow says, without its backtrace."""
    return (str(exc) or type(exc).__name__).splitlines()[0][:200]
