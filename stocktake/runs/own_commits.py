"""Commits to a managed table's log that deltalake does not make as they are wanted here.

Its restore, and its change of a table's properties, ask the store with the interpreter's lock held:
the relay that leads to the store could not run, nor the heartbeat. Its compaction mixes the batches
of the files, and so the order of rows. A commit of ours is one object that is made where there is
none, as deltalake's are.
"""

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
from deltalake import DeltaTable

from stocktake.errors import CommitConflictError
from stocktake.loading.partitions import spelled_partitions
from stocktake.runs.managed_table import ManagedTable
from stocktake.runs.table_log import JOB, TRANSACTION_VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveFile:
    """A file that the table is made of, as its log tells it.

    Attributes:
        path: as the log spells it.
        modified_at: milliseconds since 1970; loads go by it for the order of files.
        partition: the values of the partition columns, as the log spells them.
    """

    path: str
    size_bytes: int
    modified_at: int
    rows: int
    null_counts: dict[str, Any]
    partition: dict[str, str | None] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Where it is below the table's root: a log's paths are encoded (Delta protocol, "Add File
        and Remove File"); deltalake's merge has folders of partition values."""
        return unquote(self.path)

    def removal(self, *, changes_data: bool) -> dict[str, Any]:
        """Return the action that takes the file out of the table."""
        told = {
            "path": self.path,
            "dataChange": changes_data,
            "deletionTimestamp": _now_ms(),
            "extendedFileMetadata": True,
            "partitionValues": self.partition,
            "size": self.size_bytes,
        }
        return {"remove": told}

    def addition(self) -> dict[str, Any]:
        """Return the action that takes the file into the table again."""
        # Of the statistics only what counts: the bounds are for skipping files, and no file is
        # skipped for want of them.
        stats = json.dumps({"numRecords": self.rows, "nullCount": self.null_counts})
        return addition(
            self.path,
            self.size_bytes,
            self.modified_at,
            stats,
            changes_data=True,
            partition=self.partition,
        )


def live_files(table: DeltaTable) -> dict[str, LiveFile]:
    """Return the files of a table, by their paths."""
    names = ("path", "size_bytes", "modification_time", "num_records", "null_count")
    actions = table.get_add_actions()
    columns = [actions.column(name).to_pylist() for name in names]
    partitions = partitions_of(actions)
    return {
        path: LiveFile(
            path=path,
            size_bytes=size,
            modified_at=modified,
            rows=rows,
            null_counts=_without_nones(nulls),
            partition=partition,
        )
        for path, size, modified, rows, nulls, partition in zip(*columns, partitions, strict=True)
    }


def partitions_of(actions: Any) -> list[dict[str, str | None]]:
    """Return the partition values of each file that deltalake tells of."""
    if "partition" not in actions.schema.names:
        return [{} for _ in range(actions.num_rows)]
    return spelled_partitions(pa.chunked_array(actions.column("partition")).combine_chunks())


def addition(
    path: str,
    size_bytes: int,
    modified_at: int,
    stats: str | None,
    *,
    changes_data: bool,
    partition: Mapping[str, str | None],
) -> dict[str, Any]:
    """Return the action that takes a file into the table."""
    told = {
        "path": path,
        "partitionValues": dict(partition),
        "size": size_bytes,
        "modificationTime": modified_at,
        "dataChange": changes_data,
        "stats": stats,
    }
    return {"add": told}


def metadata(table: DeltaTable, *, schema: str, configuration: dict[str, str]) -> dict[str, Any]:
    """Return the action that gives a table other columns or properties.

    Args:
        schema: as Delta's log has it.
    """
    kept = table.metadata()
    told = {
        "id": str(kept.id),
        "format": {"provider": "parquet", "options": {}},
        "schemaString": schema,
        "partitionColumns": kept.partition_columns,
        "configuration": configuration,
        "createdTime": kept.created_time,
    }
    return {"metaData": told}


def transaction(name: str, version: int = TRANSACTION_VERSION) -> dict[str, Any]:
    """Return the action by which an application transaction is known."""
    return {"txn": {"appId": name, "version": version, "lastUpdated": _now_ms()}}


def commit(
    managed: ManagedTable,
    read_version: int,
    operation: str,
    parameters: dict[str, str],
    actions: Iterable[dict[str, Any]],
) -> None:
    """Make the version after `read_version`.

    Raises:
        CommitConflictError: somebody else has made it.
        StorageUnavailableError: managed storage failed; whether it was made is not known.
    """
    told = {
        "timestamp": _now_ms(),
        "operation": operation,
        "operationParameters": parameters,
        "readVersion": read_version,
        "engineInfo": "stocktake",
        JOB: str(managed.attempt.claim.job_id),
    }
    lines = [json.dumps(each, separators=(",", ":")) for each in ({"commitInfo": told}, *actions)]
    text, version = "\n".join(lines).encode(), read_version + 1
    made = managed.attempt.process.storage.create(managed.commit_key(version), text)
    # Of a first try the answer may be lost, and the store's client then finds it made: by us.
    if not made and managed.commit_text(version) != text:
        raise CommitConflictError("Another writer took the table's next version.")


def _without_nones(counts: dict[str, Any] | None) -> dict[str, Any]:
    """Return what is known: Arrow makes a null of each column that the statistics leave out."""
    found = {}
    for name, count in (counts or {}).items():
        known = _without_nones(count) if isinstance(count, dict) else count
        if known not in (None, {}):
            found[name] = known
    return found


def _now_ms() -> int:
    return int(time.time() * 1000)
