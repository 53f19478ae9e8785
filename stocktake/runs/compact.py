"""Put a managed table's small files together, row after row in the order of its loads.

Each group of files is a commit of its own, so that what a time limit or a kill ends has got on. A
file that was written and not committed is one that no commit knows: a vacuum removes it.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import pyarrow as pa
from deltalake import DeltaTable

from stocktake.errors import CommitConflictError
from stocktake.loading.data_files import DataFiles, data_files
from stocktake.loading.stored_rows import stored_rows
from stocktake.runs.managed_table import ManagedTable
from stocktake.runs.own_commits import LiveFile, addition, commit, live_files

#: Files below it are put together into ones of about this size: so little is rewritten for it
#: after a small load.
TARGET_BYTES: Final = 128 * 1024**2
#: So often a commit is tried behind loads that were faster and left its files alone.
_TRIES: Final = 5


def compact(managed: ManagedTable, table: DeltaTable, *, target_bytes: int = TARGET_BYTES) -> int:
    """Put small files together; how many there were.

    Raises:
        CommitConflictError: a load took the place of the files, or changed the columns; what was
            committed before stays.
    """
    groups = list(_groups(list(live_files(table).values()), target_bytes))
    for group in groups:
        _compact(managed, table, group)
    return sum(map(len, groups))


def _groups(files: Sequence[LiveFile], target_bytes: int) -> Iterator[list[LiveFile]]:
    """Yield runs of small files of one partition, the oldest first, each about as large as one file
    may be."""
    partitions: dict[tuple[str | None, ...], list[LiveFile]] = {}
    for file in files:
        partitions.setdefault(tuple(file.partition.values()), []).append(file)
    for each in partitions.values():
        yield from _runs(each, target_bytes)


def _runs(files: Sequence[LiveFile], target_bytes: int) -> Iterator[list[LiveFile]]:
    group: list[LiveFile] = []
    size = 0
    # By name within a load, whose files are numbered.
    for file in sorted(files, key=lambda each: (each.modified_at, each.path)):
        if file.size_bytes >= target_bytes:
            continue
        if group and size + file.size_bytes > target_bytes:
            if len(group) > 1:
                yield group
            group, size = [], 0
        group.append(file)
        size += file.size_bytes
    if len(group) > 1:
        yield group


def _compact(managed: ManagedTable, table: DeltaTable, group: Sequence[LiveFile]) -> None:
    storage = managed.attempt.process.storage
    partition = group[0].partition
    schema = pa.schema(
        [each for each in pa.schema(table.schema().to_arrow()) if each.name not in partition]
    )
    rows = stored_rows(
        storage.store(),
        [(storage.path(f"{managed.key}/{file.name}"), {}) for file in group],
        schema,
        managed.attempt.limits,
        managed.attempt.progress,
    )
    with data_files(storage, managed.key, schema, rows) as files:
        try:
            _commit(managed, table, group, files)
        except CommitConflictError:
            files.remove()
            raise


def _commit(
    managed: ManagedTable, table: DeltaTable, group: Sequence[LiveFile], files: DataFiles
) -> None:
    # As old as the newest of them: in the order of a table's files, this one takes their place.
    modified_at = max(file.modified_at for file in group)
    actions = [
        *(file.removal(changes_data=False) for file in group),
        *(
            addition(
                each.path,
                each.size,
                modified_at,
                each.stats,
                changes_data=False,
                partition=group[0].partition,
            )
            for each in files.adds
        ),
    ]
    schema = table.schema().to_json()
    for tried in range(1, _TRIES + 1):
        try:
            commit(managed, table.version(), "OPTIMIZE", {"targetSize": str(TARGET_BYTES)}, actions)
        except CommitConflictError:
            table.update_incremental()
            gone = {file.path for file in group} - live_files(table).keys()
            if gone or table.schema().to_json() != schema or tried == _TRIES:
                raise
        else:
            table.update_incremental()
            return
