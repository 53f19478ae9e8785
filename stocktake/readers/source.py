"""What a reader is asked and what it answers: a source, the limits of one read, what was found."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from stocktake.limits import Limits as Limits  # noqa: PLC0414 - a part of the readers' protocol
from stocktake.schema.columns import Column
from stocktake.schema.formats import TableFormat
from stocktake.schema.history import PastSchema
from stocktake.schema.origin import Origins
from stocktake.schema.warnings import ReadWarning
from stocktake.storage.stores.opening import ObjectStore

if TYPE_CHECKING:
    import pyarrow as pa


#: ``progress(phase, files_done, files_total)``; called now and then while a source is read.
Progress = Callable[[str, int, int | None], None]


def no_progress(phase: str, files_done: int, files_total: int | None) -> None:
    """Report to nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What to read.

    Attributes:
        store: where the bytes are, rooted at a bucket or at a local folder.
        path: below the root, in the language of `stocktake.storage.places.globs`: the root folder
            of a Delta or an Iceberg table, or the pattern of the files.
        format: the table's declared format.
        options: the table's options, already validated (`csv_delimiter` and so on).
        state: the `Introspection.state` of the last successful read, or None to read afresh.
    """

    store: ObjectStore
    path: str
    format: TableFormat
    options: dict[str, Any] = field(default_factory=dict)
    state: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """A promise: what was read, so that nobody takes a sample for the whole.

    Attributes:
        files_matched: files of the source (for Delta: log files listed; for Iceberg: files beside
            the metadata).
        files_read: files from which at least one byte was read.
        bytes_read: bytes read, before decompression.
        truncated: whether a budget ended the read before everything that matters was seen.
        unchanged: whether the source is the one of the last read, so nothing was opened.
    """

    files_matched: int = 0
    files_read: int = 0
    bytes_read: int = 0
    truncated: bool = False
    unchanged: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return the job result's ``coverage`` object."""
        return {
            "files_matched": self.files_matched,
            "files_read": self.files_read,
            "bytes_read": self.bytes_read,
            "truncated": self.truncated,
            "unchanged": self.unchanged,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Introspection:
    """What a source turned out to be.

    Attributes:
        columns: in the source's order; empty when `coverage.unchanged` (keep the stored ones).
        source_version: the Delta version, the id of the Iceberg snapshot, or a short fingerprint
            of the listing.
        row_count: the exact number of rows where the source gives it for free, else None.
        size_bytes: the bytes of the live data where the source gives it for free, else None.
        file_count: the number of live data files where the source gives it for free, else None.
        state: JSON to hand back as `Source.state` next time; opaque outside the readers.
        coverage: what was read.
        warnings: what there is to say of the source all the same; see `bounded`.
        history: what the columns were before, oldest first, where the source still tells; of a
            read that had no state to go by.
        month_first: of a text, the columns of dates that have the month first, as all of their
            values that were read tell.
        origins: where the columns come from, as far as the source tells; None where it was not
            asked, as of an unchanged one.
    """

    columns: tuple[Column, ...]
    source_version: int | str | None
    row_count: int | None
    size_bytes: int | None
    state: dict[str, Any]
    coverage: Coverage
    file_count: int | None = None
    warnings: tuple[ReadWarning, ...] = ()
    history: tuple[PastSchema, ...] = ()
    month_first: frozenset[str] = frozenset()
    origins: Origins | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """One of the files that a table's current version is made of, where a folder is the table.

    Attributes:
        name: below the table's root, not encoded.
        format: of the file.
        values: of the columns that stand in the log and not in the file, by their names there.
        partitions: those columns, by the same names.
        names: what the table calls a column, by its name in the file or by its field's id; what
            is not here is called as in the file.
        has_deleted_rows: whether rows of it may be deleted that stand in it all the same.
    """

    name: str
    format: TableFormat
    values: Mapping[str, str | None] = field(default_factory=dict)
    partitions: tuple[Column, ...] = ()
    names: Mapping[str | int, str] = field(default_factory=dict)
    has_deleted_rows: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnCheck:
    """Whether one column's type holds over all of the data.

    Attributes:
        name: the column.
        valid: whether every value fits its type.
        file: the file of the first value that does not, else None.
        line: its line, counted from 1, else None.
        found: what stood there, as a type or a short description, never the value itself.
    """

    name: str
    valid: bool
    file: str | None = None
    line: int | None = None
    found: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """The outcome of reading all of a text source.

    Attributes:
        checks: one for each column that was handed in, in that order.
        row_count: exact.
        size_bytes: the bytes of the files, as stored.
        state: the source state that was read, to compare with the refresh it follows.
    """

    checks: tuple[ColumnCheck, ...]
    row_count: int
    size_bytes: int
    state: dict[str, Any]


class Reader(Protocol):
    """What each format's reader offers as `read`, and as `read_all` where files are uploaded."""

    def __call__(self, source: Source, limits: Limits, progress: Progress) -> Introspection: ...


class BatchReader(Protocol):
    """What the reader of a format offers as `batches` whose uploaded files carry their types: all
    rows, each batch of them with its file's name."""

    def __call__(
        self, source: Source, limits: Limits, progress: Progress
    ) -> "Iterator[tuple[str, pa.RecordBatch]]": ...


class FileFinder(Protocol):
    """What the reader of a format offers as `data_file` whose table is a folder: one of the files
    of its current version, the newest where none is named."""

    def __call__(
        self, source: Source, name: str | None, limits: Limits, progress: Progress
    ) -> DataFile: ...


class Validator(Protocol):
    """What the reader of a format offers as `validate` whose types are inferred."""

    def __call__(
        self, source: Source, columns: tuple[Column, ...], limits: Limits, progress: Progress
    ) -> Validation: ...
