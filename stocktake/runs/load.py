"""Load an upload's rows into a managed Delta table, once, in constant memory.

The job's id and the upload's go into the commit as application transactions, so that a job that
runs twice appends once. Rows are cast to the table's own types while they stream: one that does
not fit raises before the commit, and the table is as it was.
"""

import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Schema, Transaction
from deltalake.exceptions import CommitFailedError

from stocktake.errors import CommitConflictError, SchemaConflictError
from stocktake.loading.arrow_types import ArrowTypes, load_schema
from stocktake.loading.batches import arrow_batches
from stocktake.loading.data_files import DataFiles, data_files
from stocktake.readers import arrow_types
from stocktake.readers.limits import check_schema, check_size
from stocktake.readers.source import Introspection, Source
from stocktake.runs.attempt import Attempt
from stocktake.runs.managed_table import ManagedTable, mapped
from stocktake.schema.columns import Column

#: Whether an id was committed is all that is asked. The protocol's version numbers the commits of
#: one id, of which there is one here (Delta protocol, "Transaction Identifiers").
_TRANSACTION_VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Load:
    """One upload on its way into one managed table."""

    attempt: Attempt
    source: Source
    columns: Sequence[Column]
    managed: ManagedTable
    replaces: bool

    @property
    def transactions(self) -> tuple[str, str]:
        claim = self.attempt.claim
        return f"stocktake-job:{claim.job_id}", f"stocktake-upload:{claim.upload_id}"

    @property
    def origin(self) -> dict[str, str]:
        """What the log says of each commit of the load, for whoever reads the history."""
        claim = self.attempt.claim
        return {"stocktakeJob": str(claim.job_id), "stocktakeUpload": str(claim.upload_id)}

    def schema(self, table: DeltaTable | None) -> pa.Schema:
        """Return what the rows are cast to."""
        # A load that replaces takes its own types: those of the rows that go bind nobody.
        fields = () if table is None or self.replaces else pa.schema(table.schema().to_arrow())
        known = {field.name: field.type for field in fields}
        self._refuse_stranger(known)
        schema = load_schema(self.columns, known)
        # With what the table has already: an append merges the two.
        self._check_bounds(known | {field.name: field.type for field in schema})
        return schema

    def _check_bounds(self, types: ArrowTypes) -> None:
        """Refuse rows after which the table could not be read: a commit cannot be undone."""
        merged, limits = pa.schema(list(types.items())), self.attempt.limits
        check_schema(arrow_types.columns(merged, limits), limits)
        text = Schema.from_arrow(merged).to_json()
        check_size(len(text), limits, what="The managed table's schema")

    def _refuse_stranger(self, known: Collection[str]) -> None:
        """Refuse rows of another kind altogether: an append cannot be undone."""
        ours = {name.lower() for name in known}
        if ours and not any(column.name.lower() in ours for column in self.columns):
            raise SchemaConflictError(
                f"None of the file's columns ({_some(column.name for column in self.columns)}) is "
                f"in the table ({_some(known)}).",
                hint="Upload it to a table of its own, or with mode=replace.",
            )

    def batches(self, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        limits, progress = self.attempt.limits, self.attempt.progress
        return arrow_batches(self.source, schema, limits, progress)


def _some(names: Iterable[str]) -> str:
    shown = list(islice(names, 6))
    return ", ".join(shown[:5]) + (", …" if len(shown) > 5 else "")


def load_rows(
    attempt: Attempt, source: Source, columns: Sequence[Column], *, replaces: bool
) -> Introspection:
    """Append the upload's rows to the claim's managed table, or replace its rows by them.

    Args:
        source: the upload.
        columns: the upload's own, read from all of it.
        replaces: whether the rows that the table has go.

    Returns:
        what the managed table is now, with its exact row count.

    Raises:
        SchemaConflictError: a value does not fit the table's type; nothing was committed.
        CommitConflictError: another writer was faster; nothing was committed.
        StorageUnavailableError: managed storage failed; a second run finds out what was done.
        ManagedStorageRefusedError: managed storage will not take them.
    """
    managed = ManagedTable.of(attempt)
    load = _Load(
        attempt=attempt, source=source, columns=columns, managed=managed, replaces=replaces
    )
    with mapped():
        # Looked for again at each attempt: the one before may have committed and died before it
        # could say so (ADR 4).
        table = managed.open()
        if table is None or not _applied(table, load.transactions):
            _write(load, table)
    return managed.introspect()


def _applied(table: DeltaTable, transactions: Sequence[str]) -> bool:
    return any(table.transaction_version(name) is not None for name in transactions)


def _write(load: _Load, table: DeltaTable | None) -> None:
    """Write all rows, and only then tell the log of them."""
    schema = load.schema(table)
    storage = load.attempt.process.storage
    with data_files(storage, load.managed.key, schema, load.batches(schema)) as files:
        try:
            _commit(load, table or _create(load, schema), schema, files)
        except (CommitFailedError, CommitConflictError):
            files.remove()
            raise


def _create(load: _Load, schema: pa.Schema) -> DeltaTable:
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
        configuration=managed.properties,
        storage_options=managed.options,
    )
    if table.version() > 0:
        raise CommitConflictError("Another writer made the table meanwhile.")
    return table


def _commit(load: _Load, table: DeltaTable, schema: pa.Schema, files: DataFiles) -> None:
    properties = _properties(load)
    if load.replaces:
        table.create_write_transaction(
            [*files.adds], "overwrite", schema, commit_properties=properties
        )
        return
    _grow(load, table, schema)
    table.create_write_transaction(
        [*files.adds], "append", table.schema(), commit_properties=properties
    )


def _properties(load: _Load) -> CommitProperties:
    # With the time, from which on the log keeps them for as long as the table's property says.
    made_at = int(time.time() * 1000)
    marks = [Transaction(name, _TRANSACTION_VERSION, made_at) for name in load.transactions]
    # deltalake 1.6 commits a replacement behind a compaction that it has not seen: the compacted
    # rows would stay beside the new ones. Without its own retries it finds the version taken, and
    # the job tries again as a whole.
    retries = 0 if load.replaces else None
    return CommitProperties(
        app_transactions=marks, custom_metadata=load.origin, max_commit_retries=retries
    )


def _grow(load: _Load, table: DeltaTable, schema: pa.Schema) -> None:
    """Give the table the columns, and the fields in them, that the rows bring.

    In a commit of its own: deltalake changes no schema together with rows that it did not write
    itself. An attempt that ends between the two leaves columns without a value, which the next one
    finds.
    """
    known = pa.schema(table.schema().to_arrow())
    brought = [
        field
        for field in schema
        if field.name not in known.names or field.type != known.field(field.name).type
    ]
    if brought:
        table.alter.add_columns(
            Schema.from_arrow(pa.schema(brought)).fields,
            commit_properties=CommitProperties(custom_metadata=load.origin),
        )
