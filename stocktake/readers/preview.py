"""The first rows of one file, as they stand in it: for somebody to look at, and not to be kept.

A text's values are its own texts, and no type is read into them; other values are Arrow's.
"""

import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
from pydantic_core import to_json

from stocktake.errors import InvalidSourceError, JobError, SourceNotFoundError
from stocktake.readers import introspect
from stocktake.readers.files.listing import list_files, relative_name
from stocktake.readers.files.partitions import HIVE_NULL, with_partitions
from stocktake.readers.limits import exceeded
from stocktake.readers.registry import offered
from stocktake.readers.source import BatchReader, DataFile, FileFinder, Limits, Progress, Source
from stocktake.readers.text.decoding import Text, stream_text
from stocktake.readers.text.records import RecordReader
from stocktake.readers.text.sampling import list_text_files, telling
from stocktake.schema.cells import Cell, cell
from stocktake.schema.columns import Column
from stocktake.storage.places.globs import escape, literal_prefix, matcher, naming

MOST_ROWS: Final = 50
MOST_COLUMNS: Final = 500
#: Of all rows as JSON. One row of the most columns, each cut, is less.
MOST_BYTES: Final = 1024**2
#: A person waits; a refresh may take longer.
MOST_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OneFile:
    """A source that is one file of a table.

    Attributes:
        source: whose path names that file alone.
        name: as messages and origins tell it.
        values: of the columns that stand in folders' names, or in a log, and not in the file.
        partitions: those of a log; None where folders' names tell them.
        known: the table's columns, for a file whose own cannot be told.
        names, has_deleted_rows: as of a `DataFile`.
    """

    source: Source
    name: str
    values: dict[str, Any] = field(default_factory=dict)
    partitions: tuple[Column, ...] | None = None
    known: tuple[Column, ...] = ()
    names: Mapping[str | int, str] = field(default_factory=dict)
    has_deleted_rows: bool = False


@dataclass(slots=True, kw_only=True)
class FirstRows:
    """What a preview shows.

    Attributes:
        columns: the first `MOST_COLUMNS` that the file has.
        omitted_columns: how many more it has.
        more: whether the file has more rows than these.
        fault: what is wrong with the row behind the last one.
    """

    columns: tuple[Column, ...]
    omitted_columns: int
    rows: list[list[Cell]] = field(default_factory=list)
    more: bool = False
    fault: JobError | None = None
    _bytes: int = 2

    def take(self, row: list[Cell]) -> bool:
        """Add a row; return whether there is room for another one."""
        size = len(to_json(row)) + 1
        if len(self.rows) >= MOST_ROWS or self._bytes + size > MOST_BYTES:
            self.more = True
            return False
        self.rows.append(row)
        self._bytes += size
        return True


def within(limits: Limits, progress: Progress) -> tuple[Limits, Progress]:
    """Return the limits of one preview, and what is told of it: after no more than `MOST_SECONDS`
    that raises, from this call on.

    Args:
        limits: of a sample.
    """
    limits = replace(limits, max_files=1, max_seconds=min(limits.max_seconds, MOST_SECONDS))
    return limits, partial(_tell, progress, limits, time.monotonic() + limits.max_seconds)


def one_file(source: Source, name: str | None, limits: Limits, progress: Progress) -> OneFile:
    """Return one of the files that a pattern names, or that a folder's log has: the newest where
    none is wanted.

    Args:
        name: as `relative_name` tells it; of a folder, below it.
        limits: of `within`, and so is `progress`.

    Raises:
        SourceNotFoundError: the table has no such file, or it is gone.
        UnsupportedError: the folder's log names a file elsewhere.
        JobError: the log's or the store's own.
    """
    if source.format.is_folder:
        find: FileFinder = offered(source.format, "data_file")
        return _of_folder(source, find(source, name, limits, progress))
    if name is None:
        files = list_files(source, limits).files
        # Newest first; one without bytes has no rows.
        key = next((file.path for file in files if file.size), files[0].path)
    else:
        key = _key(source, name)
    found = replace(source, path=escape(key), state=None)
    return OneFile(source=found, name=relative_name(source, key), values=_folder_values(key))


def _of_folder(source: Source, file: DataFile) -> OneFile:
    root, name = source.path.rstrip("/"), escape(file.name)
    types = {column.name: column for column in file.partitions}
    return OneFile(
        source=Source(
            store=source.store, path=f"{root}/{name}" if root else name, format=file.format
        ),
        name=file.name,
        values={
            each: _as_number(value, types[each])
            for each, value in file.values.items()
            if each in types
        },
        partitions=file.partitions,
        names=file.names,
        has_deleted_rows=file.has_deleted_rows,
    )


def _as_number(value: str | None, column: Column) -> int | str | None:
    """Return a value of a log as its column's type has it, where that is a whole number."""
    if value is None or not column.type.name.startswith(("Int", "UInt")):
        return value
    try:
        return int(value)
    except ValueError:
        return value


def _key(source: Source, name: str) -> str:
    folder, slash, _ = literal_prefix(source.path).rpartition("/")
    key = folder + slash + name
    climbs = any(part in ("", ".", "..") for part in name.split("/"))
    if climbs or not (matcher(source.path)(key) and naming(source.path)(key)):
        raise SourceNotFoundError(
            f'The URL pattern of the table names no file "{name}".',
            hint="Name a file as the table's columns tell it in `origin`: below the folders that "
            "the pattern begins with.",
        )
    return key


def _folder_values(key: str) -> dict[str, str | None]:
    pairs = (folder.partition("=") for folder in key.split("/")[:-1])
    values = {unquote(name): unquote(value) for name, equals, value in pairs if name and equals}
    return {name: None if value == HIVE_NULL else value for name, value in values.items()}


def first_rows(file: OneFile, limits: Limits, progress: Progress) -> FirstRows:
    """Return the first rows of a file, of a format whose files may be uploaded. Of a text with a
    broken line these are the rows before it, in the table's columns.

    Args:
        limits: of `within`, and so is `progress`.

    Raises:
        JobError: the file breaks its format, a budget ran out, or the store's own.
    """
    is_text = file.source.format.facts.inferred
    try:
        of_file = introspect(file.source, limits, progress).columns
    except SourceNotFoundError as exc:
        # A bucket that is not there has a code of its own.
        if exc.code != SourceNotFoundError.default_code:
            raise
        raise _gone(file) from exc
    except InvalidSourceError:
        if not (is_text and file.known):
            raise
        of_file = file.known
    if (columns := file.partitions) is None:
        columns = of_file
    else:
        # In a folder that is a table no other folder's name tells of a column.
        columns = with_partitions(tuple(each for each in of_file if not each.partition), columns)
    found = FirstRows(columns=columns[:MOST_COLUMNS], omitted_columns=len(columns[MOST_COLUMNS:]))
    names = [column.name for column in found.columns]
    read = _texts if is_text else _batches
    ids = dict[str, int]()
    with closing(read(file.source, limits, progress, names, ids)) as rows:
        try:
            for row in rows:
                # What stands in a folder's name is in no row.
                if not found.take([cell(row.get(name, file.values.get(name))) for name in names]):
                    break
        except InvalidSourceError as exc:
            if not (is_text and found.rows):
                raise
            found.fault, found.more = exc, True
    found.columns = tuple(_named(column, file.names, ids) for column in found.columns)
    return found


def _gone(file: OneFile) -> SourceNotFoundError:
    if file.partitions is None:
        hint = "Name one as the table's columns tell it in `origin`, or none for the newest."
    else:
        hint = "The table's log names it all the same: restore the file, or write the table anew."
    return SourceNotFoundError(f'The table has no file "{file.name}".', hint=hint)


def _named(column: Column, names: Mapping[str | int, str], ids: Mapping[str, int]) -> Column:
    """Return a file's column as its table calls it."""
    name = names.get(column.name) or names.get(ids.get(column.name, -1))
    return column if name is None else replace(column, name=name)


def _tell(
    progress: Progress, limits: Limits, deadline: float, phase: str, done: int, total: int | None
) -> None:
    progress(phase, done, total)
    if time.monotonic() > deadline:
        raise exceeded(
            limits,
            "max_seconds",
            f"Reading the file's first rows took longer than {limits.max_seconds:g} seconds",
            advice="Write smaller files",
        )


def _texts(
    source: Source, limits: Limits, progress: Progress, names: list[str], _: dict[str, int]
) -> Generator[dict[str, Any]]:
    records: RecordReader = offered(source.format, "records")
    for file in list_text_files(source, limits).files:
        text = stream_text(source, file, limits)
        chunks = telling(text.chunks, partial(progress, "read", 0, 1))
        told = Text(path=text.path, chunks=chunks, complete=True)
        for block in records(source, limits, told, names):
            values = list(block.values.items())
            for at in range(len(block.lines)):
                yield {name: column[at] for name, column in values}


def _batches(
    source: Source, limits: Limits, progress: Progress, names: list[str], ids: dict[str, int]
) -> Generator[dict[str, Any]]:
    """Yield the rows, and note the ids that the file has for its columns."""
    _refuse_large(source, limits)
    batches: BatchReader = offered(source.format, "batches")
    for _, batch in batches(source, limits, progress):
        ids.update(_field_ids(batch.schema))
        present = set(batch.schema.names)
        known = [name for name in names if name in present]
        columns = {name: batch.column(name) for name in known}
        for at in range(batch.num_rows):
            yield {name: _value(column[at]) for name, column in columns.items()}


#: Of an id, which is an integer of 32 bits.
_ID_DIGITS: Final = 10
#: Where the files of an Iceberg table have a column's id (specification, appendix A): Parquet as
#: Arrow shows it, ORC, Avro.
_FIELD_ID: Final = (b"PARQUET:field_id", b"iceberg.id", b"field-id")


def _field_ids(schema: pa.Schema) -> Iterator[tuple[str, int]]:
    for each in schema:
        said = each.metadata or {}
        number = next((said[key] for key in _FIELD_ID if key in said), b"")
        if number.isdigit() and len(number) <= _ID_DIGITS:
            yield each.name, int(number)


def _refuse_large(source: Source, limits: Limits) -> None:
    """Refuse a file beyond the budget of a sample: all of it is brought to the worker."""
    for file in list_files(source, limits).files:
        if file.size > limits.max_bytes:
            raise exceeded(
                limits,
                "max_bytes",
                f"The file has {file.size:,} bytes, all of which its first rows take",
                advice="Write smaller files",
                file=relative_name(source, file.path),
            )


def _is_text(kind: pa.DataType) -> bool:
    texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(is_one(kind) for is_one in texts)


def _value(scalar: Any) -> Any:
    try:
        return scalar.as_py()
    # A moment that Python does not reach, or of nanoseconds; an unknown zone is a KeyError.
    except (ValueError, OverflowError, KeyError, pa.ArrowException):
        if _is_text(scalar.type):
            # Some writers mark as UTF-8 what is not.
            return pc.cast(scalar, pa.binary()).as_py().decode(errors="backslashreplace")
        try:
            return pc.cast(scalar, pa.string()).as_py()
        except pa.ArrowException:
            return f"({scalar.type} that cannot be shown)"
