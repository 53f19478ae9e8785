"""One data file of an Iceberg table's current snapshot, found by its manifests.

A snapshot names one file that lists its manifests, and each of those lists data files; both kinds
are Avro. All of these paths are absolute, as the writer has them. So they are held against the
table's `location`, and opened below the root that the table is registered with, or not at all.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from stocktake.errors import InvalidSourceError, LimitExceededError, UnsupportedError
from stocktake.readers.files.data_files import elsewhere, is_below, no_such_file
from stocktake.readers.files.listing import list_files
from stocktake.readers.iceberg.metadata import TableMetadata
from stocktake.readers.limits import exceeded
from stocktake.readers.registry import offered
from stocktake.readers.source import BatchReader, DataFile, Limits, Progress, Source
from stocktake.schema.columns import Column
from stocktake.schema.formats import TableFormat
from stocktake.storage.places.globs import escape

#: A scheme with its slashes: one store has several, such as s3 and s3a.
_SCHEME: Final = re.compile(r"\A(?:[A-Za-z][A-Za-z0-9+.-]*:)?/*")
#: What a manifest lists (specification, "Manifest Lists"), and of an entry that its file is gone.
_LISTED: Final = ("manifest_path", "content", "sequence_number")
_DELETES: Final = 1
#: A snapshot's, all held at a time.
_MOST_MANIFESTS: Final = 100_000
_DELETED: Final = 2
_FORMATS: Final = {
    "PARQUET": TableFormat.PARQUET,
    "ORC": TableFormat.ORC,
    "AVRO": TableFormat.AVRO,
}


class _Manifest(NamedTuple):
    """A manifest, ordered by when it was written."""

    sequence: int
    path: str


class _Entry(NamedTuple):
    """A live data file, ordered by when it was written."""

    sequence: int
    path: str
    format: str


def data_file(
    source: Source,
    table: TableMetadata,
    columns: Sequence[Column],
    name: str | None,
    limits: Limits,
    progress: Progress,
) -> DataFile:
    """Return one of the data files of the current snapshot.

    Args:
        columns: of the table.
        name: below the table's root, or as a manifest has it; None for one of the newest manifest.
        limits: `max_metadata_bytes` bounds each manifest, `max_log_bytes` all of them.
        progress: told of each file; what it raises ends the search.

    Raises:
        SourceNotFoundError: there is no such file.
        UnsupportedError: `preview_unsupported`, the file or a manifest lies outside of the table's
            root, or the file is of a format that is not read.
        InvalidSourceError: a manifest is corrupt.
        LimitExceededError: a budget ran out.
    """
    if table.snapshot_id is None:
        raise no_such_file(None)
    if table.manifest_list is None:
        raise UnsupportedError(
            "The table's current snapshot names no list of manifests, as the first writers of "
            "Iceberg left it out.",
            code="preview_unsupported",
            hint="Write the table's metadata with a newer version of its writer.",
        )
    manifests = _Manifests(source, table.location, limits, progress)
    data, has_deletes = manifests.listed(table.manifest_list)
    found = _found(manifests, data, name)
    if found is None:
        raise no_such_file(name)
    if (format_ := _FORMATS.get(found.format.upper())) is None:
        raise UnsupportedError(
            f'The data file "{found.path[:200]}" is of the format {found.format[:40]!r}, of which '
            "no rows are shown.",
            code="preview_unsupported",
        )
    return DataFile(
        name=manifests.below(found.path),
        format=format_,
        names={each.field_id: each.name for each in columns if each.field_id is not None},
        has_deleted_rows=has_deletes,
    )


def _found(manifests: "_Manifests", data: list[_Manifest], name: str | None) -> _Entry | None:
    for manifest in sorted(data, reverse=True, key=lambda each: each.sequence):
        live = manifests.entries(manifest)
        if name is not None:
            live = (each for each in live if name in (each.path, manifests.name_of(each.path)))
        if found := max(live, default=None):
            return found
    return None


@dataclass
class _Manifests:
    """Reads the manifests of one table, and bounds what is read."""

    source: Source
    location: str
    limits: Limits
    progress: Progress
    _bytes: int = 0

    def below(self, path: str) -> str:
        """Return a path's name below the table's root.

        Raises:
            UnsupportedError: it is elsewhere.
        """
        if (name := self.name_of(path)) is None:
            raise elsewhere(path, TableFormat.ICEBERG.facts.title)
        return name

    def name_of(self, path: str) -> str | None:
        """Return a path's name below the table's root; None where it is elsewhere."""
        root = _without_scheme(self.location).rstrip("/")
        plain = _without_scheme(path)
        if not root or not plain.startswith(f"{root}/"):
            return None
        name = plain.removeprefix(f"{root}/")
        return name if is_below(name) else None

    def listed(self, path: str) -> tuple[list[_Manifest], bool]:
        """Return the manifests of data files, and whether there are any of deleted rows."""
        found, has_deletes = list[_Manifest](), False
        with _telling(path):
            for batch in self._batches(path):
                known = [each for each in _LISTED if each in batch.schema.names]
                for row in batch.select(known).to_pylist():
                    # Of the first version of the format all are of data.
                    if row.get("content") == _DELETES:
                        has_deletes = True
                    else:
                        sequence = int(row.get("sequence_number") or 0)
                        found.append(_Manifest(sequence, _text(row["manifest_path"])))
                    if len(found) > _MOST_MANIFESTS:
                        raise LimitExceededError(
                            f"The table has more than {_MOST_MANIFESTS:,} manifests.",
                            hint="Rewrite the table's manifests. No setting raises this.",
                        )
        return found, has_deletes

    def entries(self, manifest: _Manifest) -> Iterator[_Entry]:
        """Yield the live files of a manifest."""
        with _telling(manifest.path):
            for batch in self._batches(manifest.path):
                file = batch.column("data_file")
                live = pc.not_equal(batch.column("status"), _DELETED)
                told = (
                    _sequences(batch),
                    pc.struct_field(file, "file_path"),
                    pc.struct_field(file, "file_format"),
                )
                rows = (each.filter(live).to_pylist() for each in told)
                for sequence, *texts in zip(*rows, strict=True):
                    # What the manifest's own commit added takes its number.
                    number = manifest.sequence if sequence is None else int(sequence)
                    yield _Entry(number, *map(_text, texts))

    def _batches(self, path: str) -> Iterator[pa.RecordBatch]:
        name = self.below(path)
        root = self.source.path.rstrip("/")
        key = f"{root}/{escape(name)}" if root else escape(name)
        source = Source(store=self.source.store, path=key, format=TableFormat.AVRO)
        self._charge(list_files(source, self.limits).files[0].size, name)
        batches: BatchReader = offered(TableFormat.AVRO, "batches")
        for _, batch in batches(source, self.limits, self.progress):
            yield batch

    def _charge(self, size: int, name: str) -> None:
        self._bytes += size
        for limit, used in (("max_metadata_bytes", size), ("max_log_bytes", self._bytes)):
            if used > getattr(self.limits, limit):
                raise exceeded(
                    self.limits,
                    limit,
                    f"The table's manifests have {used:,} bytes or more",
                    advice="Rewrite the table's manifests, or name a file of a newer one",
                    file=name,
                )


def _sequences(batch: pa.RecordBatch) -> pa.Array:
    if "sequence_number" in batch.schema.names:
        return batch.column("sequence_number")
    return pa.nulls(batch.num_rows, pa.int64())


@contextmanager
def _telling(path: str) -> Iterator[None]:
    try:
        yield
    # OverflowError is an infinity, or a time that Python does not reach, in the place of a number.
    except (pa.ArrowException, KeyError, TypeError, ValueError, OverflowError) as exc:
        name = path.rpartition("/")[2][:200]
        raise InvalidSourceError(
            f'The file "{name}" is none of the manifests that Iceberg writes.', file=name
        ) from exc


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _without_scheme(path: str) -> str:
    return _SCHEME.sub("", path, count=1)
