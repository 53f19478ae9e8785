"""Load an upload's rows into a managed Delta table, once, in constant memory.

The job's id and the upload's go into the commit as application transactions, and what the client
sent (`runs.marks`), so that what runs twice appends once. Rows are cast to the table's own types
while they stream: one that does not fit raises before the commit, and the table is as it was.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Schema, Transaction
from deltalake.exceptions import CommitFailedError

from stocktake.errors import CommitConflictError
from stocktake.loading.data_files import DataFiles, data_files
from stocktake.readers.source import Introspection
from stocktake.runs.load_plan import Load, fit
from stocktake.runs.managed_table import mapped
from stocktake.runs.marks import REPEATED, is_loaded, is_repeated, marks_behind, marks_of, take_over
from stocktake.runs.merge import merge_rows
from stocktake.runs.table_log import JOB, UPLOAD


def load_rows(load: Load) -> Introspection:
    """Append the upload's rows to the claim's managed table, replace its rows by them, or merge.

    Returns:
        what the managed table is now, with its exact row count.

    Raises:
        SchemaConflictError: a value does not fit the table's type; nothing was committed.
        CommitConflictError: another writer was faster; nothing was committed.
        StorageUnavailableError: managed storage failed; a second run finds out what was done.
        ManagedStorageRefusedError: managed storage will not take them.
    """
    with mapped():
        # Looked for again at each attempt: the one before may have committed and died before it
        # could say so (ADR 4).
        table = load.managed.open()
        if table is not None and is_repeated(load.attempt, table):
            take_over(load.managed, table)
            found = load.managed.introspect()
            return replace(found, warnings=(REPEATED, *found.warnings))
        if table is None or not is_loaded(table, load.attempt.claim):
            fit(load, table, partial(_keep, load, table))
    return load.managed.introspect()


def _origin(load: Load) -> dict[str, str]:
    """Return what the log says of each commit of the load, for whoever reads the history."""
    claim = load.attempt.claim
    return {JOB: str(claim.job_id), UPLOAD: str(claim.upload_id)}


def _keep(
    load: Load,
    table: DeltaTable | None,
    schema: pa.Schema,
    replaces: bool,
    given: Iterator[pa.RecordBatch],
) -> None:
    """Write all rows, and only then tell the log of them."""
    if load.key and table is not None:
        _grow(load, table, schema)
        reader = pa.RecordBatchReader.from_batches(schema, given)
        merge_rows(table, reader, load.key, _properties(load, replaces=True))
        return
    storage, by = load.attempt.process.storage, load.partitions(table)
    with data_files(storage, load.managed.key, schema, given, by) as files:
        try:
            _commit(load, table or _create(load, schema), schema, files, replaces=replaces)
        except (CommitFailedError, CommitConflictError):
            # Of a first try the answer may be lost, and deltalake then meets its own commit.
            after = load.managed.open()
            if after is None or not is_loaded(after, load.attempt.claim):
                files.remove()
            raise


def _create(load: Load, schema: pa.Schema) -> DeltaTable:
    """Return an empty table, now that all rows are known to fit it.

    The rows come in a commit of their own: deltalake compares application transactions with
    those of commits since a version, and before the first commit there is none.

    Raises:
        CommitConflictError: there is one by now, which another run of this job may have made, with
            its rows.
    """
    managed = load.managed
    table = DeltaTable.create(
        managed.uri,
        schema,
        mode="ignore",
        partition_by=[*load.partition_by],
        configuration=managed.properties,
        storage_options=managed.options,
    )
    if table.version() > 0:
        raise CommitConflictError("Another writer made the table meanwhile.")
    return table


def _commit(
    load: Load, table: DeltaTable, schema: pa.Schema, files: DataFiles, *, replaces: bool
) -> None:
    undone = marks_behind(load.attempt, table) if load.replaces else {}
    properties = _properties(load, replaces=replaces, undone=undone)
    by = table.metadata().partition_columns
    if replaces:
        table.create_write_transaction(
            [*files.adds], "overwrite", schema, by, commit_properties=properties
        )
        return
    _grow(load, table, schema)
    table.create_write_transaction(
        [*files.adds], "append", table.schema(), by, commit_properties=properties
    )


def _properties(
    load: Load, *, replaces: bool, undone: Mapping[str, int] = MappingProxyType({})
) -> CommitProperties:
    # With the time, from which on the log keeps them for as long as the table's property says.
    made_at = int(time.time() * 1000)
    versions = {**undone, **marks_of(load.attempt.claim)}
    marks = [Transaction(*mark, made_at) for mark in versions.items()]
    # deltalake 1.6 commits a replacement behind a compaction that it has not seen: the compacted
    # rows would stay beside the new ones. Without its own retries it finds the version taken, and
    # the job tries again as a whole.
    retries = 0 if replaces else None
    return CommitProperties(
        app_transactions=marks, custom_metadata=_origin(load), max_commit_retries=retries
    )


def _grow(load: Load, table: DeltaTable, schema: pa.Schema) -> None:
    """Give the table the columns, and the fields in them, that the rows bring.

    In a commit of its own: deltalake changes no schema together with rows that it did not write
    itself. An attempt that ends between the two leaves columns without a value, which the next one
    finds.
    """
    known = {field.name: field.type for field in pa.schema(table.schema().to_arrow())}
    brought = [field for field in schema if field.type != known.get(field.name)]
    if brought:
        table.alter.add_columns(
            Schema.from_arrow(pa.schema(brought)).fields,
            commit_properties=CommitProperties(custom_metadata=_origin(load)),
        )
