"""`restore_table`: take a managed Delta table back to an earlier version, once.

The rows that are there then are those of that version; the log goes on, so that a restore can be
undone by another one. The job's id is in the commit, as a load's is (ADR 4).
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from stocktake.errors import SourceNotFoundError
from stocktake.jobs import leases
from stocktake.jobs.arguments import RestoreArguments
from stocktake.runs.attempt import Attempt
from stocktake.runs.managed_table import (
    ManagedTable,
    Stored,
    locked_managed,
    mapped,
    require_managed,
    store_managed,
)
from stocktake.runs.marks import marks_behind
from stocktake.runs.own_commits import commit, live_files, metadata, transaction
from stocktake.runs.refresh_schema import result_of
from stocktake.runs.table_log import (
    RESTORE,
    Commit,
    Log,
    gone,
    job_transaction,
    require_kept,
    target,
)
from stocktake.storage.stores.exclusive import require_exclusive_put

#: Whatever a vacuum may remove at this moment is older than the retention: a version that lost its
#: files nearly so long ago is not gone back to, or they might go from under it.
_MARGIN_SECONDS: Final = 3600.0
_DAY_SECONDS: Final = 86_400.0


def run(attempt: Attempt) -> None:
    """Restore the claim's table and end the job.

    Raises:
        RestoreRefusedError: the version is too old, or rows were loaded since it was asked for.
        SupersededError: the table is deleted, or is no managed Delta table any more.
        CommitConflictError: another writer was faster; nothing was restored.
        StorageUnavailableError: managed storage failed; a second run finds out what was done.
        StaleAttemptError: the lease was lost; what was restored was not written down.
    """
    require_managed(attempt)
    require_exclusive_put(attempt.process.storage)
    managed = ManagedTable.of(attempt)
    with mapped():
        version = _restore(managed, RestoreArguments.of(attempt.claim.arguments))
    found = managed.introspect()
    size_bytes = managed.listed_bytes()
    with attempt.process.database.write() as session:
        table = locked_managed(session, attempt)
        at, since = int(found.source_version or 0), table.stored_version
        stored = Stored(since=since, version=at, size_bytes=size_bytes)
        change = store_managed(session, table, attempt, found, stored)
        table.loads_since_upkeep += 1
        result = result_of(session, table, found, change) | {"restored_version": version}
        leases.succeed(session, attempt.claim, result)


def _restore(managed: ManagedTable, wanted: RestoreArguments) -> int | None:
    """Go back, unless an attempt before did so; the version, as far as the log still tells."""
    table = managed.open()
    if table is None:
        raise SourceNotFoundError("Nothing was loaded into the table yet.")
    log, head, claim = _log_of(managed), table.version(), managed.attempt.claim
    if table.transaction_version(job_transaction(claim.job_id)) is not None:
        return _restored_by(log, head, str(claim.job_id))
    days = managed.attempt.process.settings.retain_replaced_days
    version = target(log, head, wanted)
    require_kept(log(version + 1), version, seconds=days * _DAY_SECONDS - _MARGIN_SECONDS)
    _commit(managed, table, version)
    return version


def _log_of(managed: ManagedTable) -> Log:
    @cache
    def at(version: int) -> Commit | None:
        try:
            return Commit.of(version, managed.commit(version))
        except SourceNotFoundError:
            return None

    return at


def _restored_by(log: Log, head: int, job: str) -> int | None:
    for version in range(head, -1, -1):
        found = log(version)
        if found is None or found.job == job:
            return None if found is None else found.restored
    return None


def _commit(managed: ManagedTable, table: DeltaTable, version: int) -> None:
    """Make the table what it was, in its next version.

    Raises:
        CommitConflictError: somebody else has made that version.
        RestoreRefusedError: a file of the old version is gone.
    """
    try:
        older = DeltaTable(managed.uri, version=version, storage_options=managed.options)
    except DeltaError as exc:
        # That the log does not reach back so far is told in words only.
        if "log segment" not in str(exc):
            raise
        raise gone(version) from exc
    wanted, present = live_files(older), live_files(table)
    back = [file for path, file in wanted.items() if path not in present]
    _require_there(managed, [file.name for file in back], version)
    actions = [
        transaction(job_transaction(managed.attempt.claim.job_id)),
        *(transaction(*mark) for mark in marks_behind(managed.attempt, table, older).items()),
        *_metadata(older, table),
        *(file.removal(changes_data=True) for path, file in present.items() if path not in wanted),
        *(file.addition() for file in back),
    ]
    commit(managed, table.version(), RESTORE, {"version": str(version)}, actions)


def _require_there(managed: ManagedTable, paths: Sequence[str], version: int) -> None:
    storage = managed.attempt.process.storage
    store = storage.store()
    keys = [storage.path(f"{managed.key}/{path}") for path in paths]
    try:
        store.map(lambda key: store.get(key, length=0), keys)
    except SourceNotFoundError as exc:
        raise gone(version) from exc


def _metadata(older: DeltaTable, table: DeltaTable) -> list[dict[str, Any]]:
    """Return the action that takes the columns back, where they differ; what the settings have made
    of the table since stays."""
    schema = older.schema().to_json()
    if schema == table.schema().to_json():
        return []
    return [metadata(table, schema=schema, configuration=table.metadata().configuration)]
