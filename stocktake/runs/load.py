"""Load an upload's rows into a managed Delta table, once, in constant memory.

The job's id and the upload's go into the commit as application transactions, so that a job that
runs twice appends once. Rows are cast to the table's own types while they stream: one that does
not fit raises before the commit, and the table is as it was.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Schema, Transaction
from deltalake.exceptions import (
    CommitFailedError,
    DeltaError,
    DeltaProtocolError,
    SchemaMismatchError,
    TableNotFoundError,
)

from stocktake.errors import (
    CommitConflictError,
    SchemaConflictError,
    UnsupportedError,
)
from stocktake.loading.arrow_types import ArrowTypes, load_schema
from stocktake.loading.batches import arrow_batches
from stocktake.loading.data_files import DataFiles, data_files
from stocktake.readers import arrow_types, introspect
from stocktake.readers.limits import check_schema, check_size
from stocktake.readers.source import Introspection, Source
from stocktake.runs.attempt import Attempt
from stocktake.schema.columns import Column
from stocktake.schema.formats import MANAGED
from stocktake.storage.managed import ManagedStorage
from stocktake.storage.places.globs import escape
from stocktake.storage.stores import store_errors

#: Whether an id was committed is all that is asked. The protocol's version numbers the commits of
#: one id, of which there is one here (Delta protocol, "Transaction Identifiers").
_TRANSACTION_VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Load:
    """One upload on its way into one managed table."""

    attempt: Attempt
    source: Source
    columns: Sequence[Column]
    uri: str
    options: dict[str, str]
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

    @property
    def storage(self) -> ManagedStorage:
        return self.attempt.process.storage

    @property
    def folder(self) -> str:
        claim = self.attempt.claim
        return self.storage.delta_key(claim.project_id, str(claim.table_id))

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
    claim = attempt.claim
    uri, options = attempt.process.storage.delta_root(claim.project_id, str(claim.table_id))
    load = _Load(
        attempt=attempt,
        source=source,
        columns=columns,
        uri=uri,
        options=options,
        replaces=replaces,
    )
    with _mapped():
        # Looked for again at each attempt: the one before may have committed and died before it
        # could say so (ADR 4).
        table = _existing(load)
        if table is None or not _applied(table, load.transactions):
            _write(load, table)
    return _introspect(load)


def _existing(load: _Load) -> DeltaTable | None:
    # Not by `is_deltatable`, which asks the store with the interpreter's lock held: neither the
    # heartbeat nor the relay that leads to the store could run meanwhile.
    try:
        return DeltaTable(load.uri, storage_options=load.options)
    except TableNotFoundError:
        return None


def _applied(table: DeltaTable, transactions: Sequence[str]) -> bool:
    return any(table.transaction_version(name) is not None for name in transactions)


def _write(load: _Load, table: DeltaTable | None) -> None:
    """Write all rows, and only then tell the log of them."""
    schema = load.schema(table)
    with data_files(load.storage, load.folder, schema, load.batches(schema)) as files:
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
    table = DeltaTable.create(load.uri, schema, mode="ignore", storage_options=load.options)
    if table.version() > 0:
        raise CommitConflictError("Another writer made the table meanwhile.")
    return table


def _commit(load: _Load, table: DeltaTable, schema: pa.Schema, files: DataFiles) -> None:
    marks = [Transaction(name, _TRANSACTION_VERSION) for name in load.transactions]
    properties = CommitProperties(app_transactions=marks, custom_metadata=load.origin)
    if load.replaces:
        table.create_write_transaction(
            [*files.adds], "overwrite", schema, commit_properties=properties
        )
        return
    _grow(load, table, schema)
    table.create_write_transaction(
        [*files.adds], "append", table.schema(), commit_properties=properties
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


@contextmanager
def _mapped() -> Iterator[None]:
    """Map deltalake's errors to ours. An unknown one is tried again: what is done is done once; but
    not where the store says no, which it would say again."""
    try:
        yield
    except CommitFailedError as exc:
        raise CommitConflictError("Another writer took the table's next version.") from exc
    except SchemaMismatchError as exc:
        raise SchemaConflictError("The upload's columns do not fit the managed table.") from exc
    except DeltaProtocolError as exc:
        raise UnsupportedError(
            "The managed Delta table asks for a feature that the writer does not have."
        ) from exc
    except (DeltaError, OSError) as exc:
        raise store_errors.from_managed(exc) from exc


def _introspect(load: _Load) -> Introspection:
    path = escape(load.storage.path(load.folder))
    source = Source(store=load.storage.store(), path=path, format=MANAGED)
    found = introspect(source, load.attempt.limits, load.attempt.progress)
    rows = _count_rows(load, int(found.source_version or 0))
    return replace(found, row_count=rows, state=found.state | {"row_count": rows})


def _count_rows(load: _Load, version: int) -> int:
    """Count exactly: every file of a managed table was written here, with its number of rows."""
    with _mapped():
        # At the version that was read above: somebody else's commit since is not in these columns.
        table = DeltaTable(load.uri, version=version, storage_options=load.options)
        counts = table.get_add_actions(flatten=True).column("num_records").to_pylist()
    return sum(int(count) for count in counts)
