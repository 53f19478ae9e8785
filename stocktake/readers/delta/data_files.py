"""One data file of a Delta table's current version, found by its log."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from stocktake.readers.delta.actions import Metadata
from stocktake.readers.delta.listing import Listing
from stocktake.readers.delta.log import DeltaLog
from stocktake.readers.delta.numbers import whole_number
from stocktake.readers.delta.paths import canonical, lies_elsewhere
from stocktake.readers.delta.replay import Replay, replayed
from stocktake.readers.delta.types import columns_of
from stocktake.readers.files.data_files import elsewhere, is_below, no_such_file
from stocktake.readers.source import DataFile
from stocktake.schema.formats import TableFormat

_PHYSICAL: Final = "delta.columnMapping.physicalName"


class _Added(NamedTuple):
    """A live file, ordered by when it was written."""

    modified_at: int
    path: str
    partition_values: Mapping[str, str | None]
    has_vector: bool


def data_file(log: DeltaLog, listing: Listing, metadata: Metadata, name: str | None) -> DataFile:
    """Return one of the live files at the listing's head. Takes and raises what `replayed` does.

    Args:
        metadata: the table's schema.
        name: below the table's root, plain or as the log spells it; None for the newest.

    Raises:
        SourceNotFoundError: there is no such file.
        UnsupportedError: `preview_unsupported`, it lies outside of the table's root.
    """
    wanted = None if name is None else frozenset({name, canonical(name)})
    found = replayed(log, listing, lambda log: _Finding(log, wanted)).found
    if found is None:
        raise no_such_file(name)
    path = canonical(found.path)
    if lies_elsewhere(found.path) or not is_below(path):
        raise elsewhere(found.path, TableFormat.DELTA.facts.title)
    columns = columns_of(
        metadata.schema_string, metadata.partition_columns, log.limits, file=metadata.file
    )
    physical = _physical_names(metadata.schema_string)
    return DataFile(
        name=path,
        format=TableFormat.PARQUET,
        values=found.partition_values,
        # By the names that the log and the file have, as all of a file's columns.
        partitions=tuple(
            replace(column, name=physical.get(column.name, column.name))
            for column in columns
            if column.partition
        ),
        names={stored: name for name, stored in physical.items()},
        has_deleted_rows=found.has_vector,
    )


class _Finding(Replay):
    """The search for one live file.

    Args:
        wanted: the spellings of its path; None for the newest file.
    """

    columns: ClassVar = ("add.partitionValues", "add.modificationTime")

    def __init__(self, log: DeltaLog, wanted: frozenset[str] | None) -> None:
        super().__init__(log)
        self._wanted = wanted
        self.found: _Added | None = None

    @property
    def ended(self) -> bool:
        # Of commits the newest that adds a file has the newest one.
        return self.found is not None

    def keep(self, add: dict[str, Any]) -> _Added | None:
        return _added(add) if self._is_wanted(add["path"]) else None

    def take(self, live: list[_Added | None]) -> None:
        self._take_newest([each for each in live if each])

    def take_batch(self, live: pa.StructArray) -> None:
        if self._wanted is not None:
            paths = pc.struct_field(live, "path").to_pylist()
            live = live.filter(pa.array([self._is_wanted(path) for path in paths], pa.bool_()))
        elif "modificationTime" in live.type.names and len(live):
            # Of a batch of thousands one is decoded.
            times = pc.fill_null(pc.struct_field(live, "modificationTime"), 0)
            live = live.filter(pc.equal(times, pc.max(times)))
        self._take_newest(list(map(_added, live.to_pylist())))

    def _is_wanted(self, path: str) -> bool:
        return self._wanted is None or path in self._wanted or canonical(path) in self._wanted

    def _take_newest(self, live: list[_Added]) -> None:
        known = [] if self.found is None else [self.found]
        self.found = max((*known, *live), key=lambda each: each[:2], default=None)


def _added(add: Mapping[str, Any]) -> _Added:
    values = add.get("partitionValues")
    if isinstance(values, Mapping):
        values = list(values.items())
    # A map of a Parquet file comes as pairs; what is neither is none.
    values = values if isinstance(values, list) else []
    pairs = [each for each in values if isinstance(each, tuple)]
    vector = add.get("deletionVector") or {}
    return _Added(
        modified_at=whole_number(add.get("modificationTime")) or 0,
        path=add["path"],
        partition_values={name: None if value is None else str(value) for name, value in pairs},
        has_vector=isinstance(vector, dict) and vector.get("storageType") is not None,
    )


def _physical_names(schema_string: str) -> dict[str, str]:
    """Return the names that columns have in files, by the table's; of a table without column
    mapping there are none."""
    return {
        field["name"]: stored
        for field in json.loads(schema_string)["fields"]
        if isinstance(stored := (field.get("metadata") or {}).get(_PHYSICAL), str)
    }
