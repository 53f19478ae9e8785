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
from deltalake import CommitProperties, DeltaTable, Schema, Transaction, write_deltalake

from stocktake.errors import SchemaConflictError
from stocktake.loading.arrow_types import ArrowTypes, load_schema
from stocktake.loading.batches import arrow_batches
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

    def batches(self, schema: pa.Schema) -> "_Batches":
        limits, progress = self.attempt.limits, self.attempt.progress
        return _Batches(arrow_batches(self.source, schema, limits, progress))


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
        table = managed.open() or _create(load)
        if not _applied(table, load.transactions):
            _write(load, table)
    return managed.introspect()


def _create(load: _Load) -> DeltaTable:
    """Return an empty table, once all rows are known to fit it.

    The rows come in a commit of their own: deltalake compares application transactions with
    those of commits since a version, and before the first commit there is none.
    """
    schema = load.schema(None)
    for _ in load.batches(schema):
        pass
    # Ignored where it is there by now: another run of this job may have been faster, and its table
    # will do.
    managed = load.managed
    return DeltaTable.create(
        managed.uri,
        schema,
        mode="ignore",
        configuration=managed.properties,
        storage_options=managed.options,
    )


def _applied(table: DeltaTable, transactions: Sequence[str]) -> bool:
    return any(table.transaction_version(name) is not None for name in transactions)


def _write(load: _Load, table: DeltaTable) -> None:
    schema = load.schema(table)
    batches = load.batches(schema)
    properties = _properties(load)
    reader = pa.RecordBatchReader.from_batches(schema, batches)
    try:
        if load.replaces:
            write_deltalake(
                table,
                reader,
                mode="overwrite",
                schema_mode="overwrite",
                commit_properties=properties,
            )
        else:
            write_deltalake(
                table, reader, mode="append", schema_mode="merge", commit_properties=properties
            )
    except BaseException as exc:
        # What a batch raises comes back as an error of the engine's own that only quotes it.
        if batches.error is not None:
            raise batches.error from exc
        raise


def _properties(load: _Load) -> CommitProperties:
    # With the time, from which on the log keeps them for as long as the table's property says.
    made_at = int(time.time() * 1000)
    marks = [Transaction(name, _TRANSACTION_VERSION, made_at) for name in load.transactions]
    # deltalake 1.6 commits a replacement behind a compaction that it has not seen: the compacted
    # rows would stay beside the new ones. Without its own retries it finds the version taken, and
    # the job tries again as a whole.
    return CommitProperties(app_transactions=marks, max_commit_retries=0 if load.replaces else None)


class _Batches(Iterator[pa.RecordBatch]):
    """The batches of an upload, remembering the error that ended them."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self.error: BaseException | None = None

    def __next__(self) -> pa.RecordBatch:
        try:
            return next(self._batches)
        except StopIteration:
            raise
        except BaseException as exc:
            self.error = exc
            raise
