"""`maintain_table`: compact a managed Delta table, remove what is past its retention, and count.

One kind and not three: the steps want the same table, at the same time, one after another, and one
count at the end. Each step may be struck by a kill anywhere and done again: a compaction is one
commit or none, a file that is gone already is no error, and a log that was cleaned has nothing to
clean. Loads go on meanwhile; where one of the two has to give way, its job is tried again.
"""

import asyncio
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from deltalake import DeltaTable

from stocktake.db.clock import now
from stocktake.db.models import Table
from stocktake.errors import SourceNotFoundError
from stocktake.jobs import leases
from stocktake.runs.attempt import Attempt
from stocktake.runs.compact import compact
from stocktake.runs.managed_table import (
    ManagedTable,
    Stored,
    locked_managed,
    mapped,
    require_managed,
    store_managed,
)
from stocktake.runs.own_commits import commit, metadata
from stocktake.storage.managed import ManagedStorage
from stocktake.storage.stores.exclusive import require_exclusive_put

#: A file of the log with its version, and whether it is a checkpoint.
_LOG_FILE: Final = re.compile(r"/(\d{20})\.(checkpoint\.parquet$)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What this attempt did."""

    files_compacted: int
    files_removed: int


def run(attempt: Attempt) -> None:
    """Maintain the claim's table and end the job.

    Raises:
        SourceNotFoundError: nothing was loaded into the table yet.
        SupersededError: the table is deleted, or is no managed Delta table any more.
        CommitConflictError: a load was faster; what was done stays.
        StorageUnavailableError: managed storage failed; a second run does the rest.
        StaleAttemptError: the lease was lost; the figures were not written.
    """
    require_managed(attempt)
    require_exclusive_put(attempt.process.storage)
    managed = ManagedTable.of(attempt)
    with mapped():
        done = maintain(managed)
    found = managed.introspect()
    version = int(found.source_version or 0)
    size_bytes = managed.listed_bytes()
    with attempt.process.database.write() as session:
        table = locked_managed(session, attempt)
        # Listed just now: this is the count that the next ones go on from.
        stored = Stored(since=table.stored_version, version=version, size_bytes=size_bytes)
        store_managed(session, table, attempt, found, stored)
        table.loads_since_upkeep = 0
        table.maintained_at = now()
        leases.succeed(session, attempt.claim, _result(table, done))


def maintain(managed: ManagedTable) -> Done:
    """Compact the table, vacuum it and clean its log; its figures are the caller's to write.

    Raises:
        SourceNotFoundError: nothing was loaded into it yet.
        CommitConflictError: a load was faster; what was done stays.
        StorageUnavailableError: managed storage failed.
    """
    table = managed.open()
    if table is None:
        raise SourceNotFoundError(
            "Nothing was loaded into the table yet.",
            hint="Upload a file with target=delta.",
        )
    tell = managed.attempt.progress
    _keep_properties(managed, table)
    tell("compact", 0, None)
    compacted = compact(managed, table)
    tell("vacuum", 0, None)
    removed = _vacuum(table, days=managed.attempt.process.settings.retain_replaced_days)
    tell("clean_log", 0, None)
    # A log is cleaned up to a checkpoint. deltalake makes one each hundred commits.
    table.create_checkpoint()
    table.cleanup_metadata()
    _shorten_log(managed, table.version())
    return Done(files_compacted=compacted, files_removed=removed)


def _keep_properties(managed: ManagedTable, table: DeltaTable) -> None:
    """Set what the settings say now: a table of an older release, or of other settings, has less.

    A load that runs meanwhile finds the table's metadata changed, and is tried again.
    """
    has, wanted = table.metadata().configuration, managed.properties
    if all(has.get(name) == value for name, value in wanted.items()):
        return
    told = metadata(table, schema=table.schema().to_json(), configuration=has | wanted)
    parameters = {"properties": json.dumps(wanted)}
    commit(managed, table.version(), "SET TBLPROPERTIES", parameters, [told])
    table.update_incremental()


def _vacuum(table: DeltaTable, *, days: int) -> int:
    """Remove files that were replaced so long ago, and those of that age that no commit ever knew,
    which killed loads left; how many.

    A file that a load is writing now is younger than any retention.
    """
    return len(table.vacuum(retention_hours=24 * days, dry_run=False, full=True))


def _shorten_log(managed: ManagedTable, head: int) -> None:
    """Leave as many commits in the log as the settings say, and those back to a checkpoint.

    Of a folder alone: deltalake 1.6 lists it whole, each file with its status, four times a load. A
    bucket is asked for what follows the newest checkpoint.
    """
    storage, most = managed.attempt.process.storage, managed.attempt.process.settings.retain_commits
    if storage.root.provider != "file" or not most:
        return
    named = [(key, _LOG_FILE.search(key)) for key, _ in storage.objects(managed.log_key)]
    known = [(int(match[1]), match[2], key) for key, match in named if match]
    oldest = max((at for at, kind, _ in known if kind and at <= head - most), default=0)
    # The oldest first: whoever reads the log meanwhile, or after a kill, finds no gap in it.
    gone = sorted((at, key) for at, _, key in known if at < oldest)
    asyncio.run(_remove(storage, [key for _, key in gone]))


async def _remove(storage: ManagedStorage, keys: Sequence[str]) -> None:
    for key in keys:
        await storage.remove(key)


def _result(table: Table, done: Done) -> dict[str, Any]:
    return {
        "source_version": table.source_version,
        "row_count": table.row_count,
        "file_count": table.file_count,
        "size_bytes": table.size_bytes,
        "stored_bytes": table.stored_bytes,
        "files_compacted": done.files_compacted,
        "files_removed": done.files_removed,
    }
