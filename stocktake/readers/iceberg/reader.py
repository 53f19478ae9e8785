"""Read an Iceberg table's schema, size and history off its newest metadata file.

Cold, two round trips: a listing of `metadata`, and the file. Warm, the listing alone. No catalog
says which file is the table's: it is the one of the highest number, or of `options.metadata_file`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Self

from stocktake.errors import JobError
from stocktake.readers.iceberg import data_files
from stocktake.readers.iceberg.blame import origins_of
from stocktake.readers.iceberg.files import Chosen, MetadataFolder, shown_name
from stocktake.readers.iceberg.metadata import Counts, EarlierSchema, TableMetadata, parse
from stocktake.readers.iceberg.types import columns_of
from stocktake.readers.limits import check_schema
from stocktake.readers.source import (
    DataFile,
    Introspection,
    Limits,
    Progress,
    Source,
    no_progress,
)
from stocktake.schema.columns import stored_size
from stocktake.schema.history import PastSchema
from stocktake.schema.warnings import ReadWarning, WarningCode, bounded

#: The table's option that names the metadata file to read.
FILE_OPTION: Final = "metadata_file"
#: Earlier schemas that are kept, the newest; all of them within `max_schema_bytes`.
_MOST_EARLIER: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """What is remembered of a read: which file it was, and what it said beside the columns.

    Attributes:
        option: the table's `metadata_file` then, by which the file was found.
    """

    option: str | None
    name: str
    etag: str
    size_bytes: int
    source_version: int | str | None
    counts: Counts
    warnings: tuple[ReadWarning, ...]

    @classmethod
    def of(cls, source: Source) -> Self | None:
        """Read the state of an earlier read; None for one of another reader, or a broken one."""
        state = source.state
        if state is None or state.get("reader_version") != source.format.facts.reader_version:
            return None
        try:
            return cls(
                option=state["option"],
                name=state["name"],
                etag=state["etag"],
                size_bytes=state["size_bytes"],
                source_version=state["source_version"],
                counts=Counts(**state["counts"]),
                warnings=tuple(map(ReadWarning.from_dict, state["warnings"])),
            )
        except (KeyError, TypeError, ValueError):
            return None

    def is_of(self, chosen: Chosen, option: str | None) -> bool:
        """Return whether that file, found in the same way, is the one that was read."""
        return (self.option, self.name, self.etag, self.size_bytes) == (
            option,
            chosen.name,
            chosen.info.etag,
            chosen.info.size,
        )

    def as_dict(self, source: Source) -> dict[str, Any]:
        """Return the JSON to hand back next time."""
        return {
            "reader_version": source.format.facts.reader_version,
            "option": self.option,
            "name": self.name,
            "etag": self.etag,
            "size_bytes": self.size_bytes,
            "source_version": self.source_version,
            "counts": {
                "rows": self.counts.rows,
                "size_bytes": self.counts.size_bytes,
                "files": self.counts.files,
            },
            "warnings": [each.as_dict() for each in self.warnings],
        }


def read(source: Source, limits: Limits, progress: Progress) -> Introspection:
    """Read the table at `source.path` (its root folder) just far enough to know its columns.

    Args:
        source: an Iceberg table; its `state` makes an unchanged table cost one listing, and
            without one the earlier schemas are told.
        limits: `max_metadata_bytes`, `max_listed`, `max_seconds`, `max_decompression_ratio` and
            those of a schema hold, all of them hard.
        progress: told how many files were listed, and of the read.

    Raises:
        SourceNotFoundError: the folder holds no metadata file, or not the one that is named.
        FormatMismatchError: it is another table's root, or a view's.
        InvalidSourceError: a corrupt file, or one that contradicts itself.
        UnsupportedError: `unsupported_reader_feature`, `unsupported_type`.
        DuplicateColumnError: two columns of one name.
        LimitExceededError: a budget ran out.
    """
    folder = MetadataFolder(source, limits, progress)
    option = source.options.get(FILE_OPTION) or None
    chosen = folder.named(option) if option else folder.newest()
    known = _State.of(source)
    if known is not None and known.is_of(chosen, option):
        return _introspection(source, folder, known, unchanged=True)
    file = shown_name(chosen.name)
    table = parse(folder.read(chosen), limits, file)
    columns = columns_of(table.schema, table.partition_ids, limits, file=file)
    history, left_out = ((), 0) if source.state else _history(table.earlier, limits, file)
    state = _State(
        option=option,
        name=chosen.name,
        etag=chosen.info.etag,
        size_bytes=chosen.info.size,
        source_version=_version(table, chosen),
        counts=table.counts,
        warnings=chosen.warnings,
    )
    found = _introspection(source, folder, state)
    said = bounded((*chosen.warnings, *_left_out(left_out, file)))
    return replace(
        found,
        columns=columns,
        history=history,
        warnings=said,
        origins=origins_of(table, columns),
    )


def data_file(source: Source, name: str | None, limits: Limits, progress: Progress) -> DataFile:
    """Return one of the files of the current snapshot: see `data_files.data_file`. Takes and raises
    what `read` does, too."""
    folder = MetadataFolder(source, limits, progress)
    option = source.options.get(FILE_OPTION) or None
    chosen = folder.named(option) if option else folder.newest()
    file = shown_name(chosen.name)
    table = parse(folder.read(chosen), limits, file)
    columns = columns_of(table.schema, table.partition_ids, limits, file=file)
    return data_files.data_file(source, table, columns, name, limits, progress)


def probe(source: Source, limits: Limits) -> Introspection | None:
    """Return the answer of the last read where the metadata file that a listing leads to is still
    that one; None where it is not, or nothing is remembered.

    Raises:
        JobError: the listing failed, or is longer than `max_listed`.
    """
    known = _State.of(source)
    if known is None:
        return None
    folder = MetadataFolder(source, limits, no_progress)
    option = source.options.get(FILE_OPTION) or None
    chosen = folder.named(option) if option else folder.newest()
    if not known.is_of(chosen, option):
        return None
    return _introspection(source, folder, known, unchanged=True)


def _introspection(
    source: Source, folder: MetadataFolder, state: _State, *, unchanged: bool = False
) -> Introspection:
    return Introspection(
        columns=(),
        source_version=state.source_version,
        row_count=state.counts.rows,
        size_bytes=state.counts.size_bytes,
        file_count=state.counts.files,
        state=state.as_dict(source),
        coverage=folder.coverage(unchanged=unchanged),
        warnings=state.warnings,
    )


def _version(table: TableMetadata, chosen: Chosen) -> int | str | None:
    """Return the current snapshot's id; of a table that nothing was written to, its file's number.

    A text, since most ids are beyond what a number in JSON holds where it is read as a double.
    """
    return chosen.number if table.snapshot_id is None else str(table.snapshot_id)


def _history(
    earlier: Sequence[EarlierSchema], limits: Limits, file: str
) -> tuple[tuple[PastSchema, ...], int]:
    """Return the newest of the earlier schemas, oldest first, and how many are left out: those
    before them, and those that would not be read as a table's current one."""
    past: list[PastSchema] = []
    size = 0
    for each in reversed(earlier[-_MOST_EARLIER:]):
        try:
            columns = columns_of(each.decoded(), (), limits, file=file)
            check_schema(columns, limits)
        except JobError:
            continue
        size += stored_size(columns)
        if size > limits.max_schema_bytes:
            break
        version = None if each.snapshot_id is None else str(each.snapshot_id)
        past.append(PastSchema(columns=columns, source_version=version))
    return tuple(reversed(past)), len(earlier) - len(past)


def _left_out(count: int, file: str) -> Iterator[ReadWarning]:
    if count:
        yield ReadWarning(
            code=WarningCode.HISTORY_LEFT_OUT,
            sentence=f"{count:,} earlier schemas that the file holds are not in the history: they "
            "are too many, too large, or have types that are not known.",
            file=file,
        )
