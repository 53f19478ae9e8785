"""Load an upload's rows into a managed Delta table, once, in constant memory.

The job's id and the upload's go into the commit as application transactions, so that a job that
runs twice appends once. Rows are cast to the table's own types while they stream: one that does
not fit raises before the commit, and the table is as it was.
"""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from operator import itemgetter
from typing import Final

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Schema, Transaction
from deltalake.exceptions import CommitFailedError

from stocktake.errors import CommitConflictError, SchemaConflictError
from stocktake.loading.batches import Rows
from stocktake.loading.conflicts import ColumnConflictError, shortened
from stocktake.loading.data_files import DataFiles, data_files
from stocktake.loading.evolution import ArrowTypes, changed, load_schema, set_type, widened
from stocktake.loading.stored_rows import stored_rows
from stocktake.readers import arrow_types
from stocktake.readers.arrow_types import clickhouse_type
from stocktake.readers.limits import check_schema, check_size
from stocktake.readers.source import Introspection, Source
from stocktake.runs.attempt import Attempt
from stocktake.runs.managed_table import ManagedTable, mapped
from stocktake.runs.merge import check_keys, merge_rows, require_key
from stocktake.runs.table_log import (
    JOB,
    TRANSACTION_VERSION,
    UPLOAD,
    job_transaction,
    upload_transaction,
)
from stocktake.schema.columns import Column
from stocktake.schema.types import Type
from stocktake.schema.widening import widen

_OBJECTS: Final = frozenset({"Map", "JSON", "Tuple"})
#: The bytes of data files up to which a table's rows are written anew to widen a column.
_MOST_REWRITTEN_BYTES: Final = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class _Load:
    """One upload on its way into one managed table."""

    attempt: Attempt
    source: Source
    columns: Sequence[Column]
    managed: ManagedTable
    replaces: bool
    key: tuple[str, ...]
    overrides: Mapping[str, Type]
    declared: Collection[str]
    month_first: Collection[str]

    @property
    def transactions(self) -> tuple[str, str]:
        claim = self.attempt.claim
        return job_transaction(claim.job_id), upload_transaction(claim.upload_id)

    @property
    def origin(self) -> dict[str, str]:
        """What the log says of each commit of the load, for whoever reads the history."""
        claim = self.attempt.claim
        return {JOB: str(claim.job_id), UPLOAD: str(claim.upload_id)}

    def known(self, table: DeltaTable | None) -> pa.Schema:
        """Return the types that bind the load."""
        # A load that replaces takes its own types: those of the rows that go bind nobody.
        if table is None or self.replaces:
            return pa.schema([])
        return pa.schema(table.schema().to_arrow())

    def schema(
        self, table: DeltaTable | None, given: ArrowTypes, *, wide: bool = False
    ) -> pa.Schema:
        """Return what the rows are cast to.

        Args:
            given: the types that the upload has of itself.
            wide: whether columns of the table may take wider types, for which its rows are
                written anew.
        """
        known = {field.name: field.type for field in self.known(table)}
        self._refuse_stranger(known, table)
        own = load_schema(self.columns, {}, given)
        schema = load_schema(self.columns, known, given)
        may_change = table is not None and known and _may_be_rewritten(table)
        empty = columns_without_values(table) if table is not None and may_change else frozenset()
        for index, field in enumerate(schema):
            name, type_ = field.name, field.type
            is_open = name not in known or name in empty
            if is_open:
                type_ = own.field(name).type
            elif wide and may_change:
                type_ = widened(known[name], own.field(name).type)
            if name in self.overrides:
                before = None if is_open else known[name]
                type_ = self._overridden(name, type_, before, may_change=bool(may_change))
            schema = schema.set(index, field.with_type(type_))
        # With what the table has already: an append merges the two.
        self._check_bounds(known | {field.name: field.type for field in schema})
        return schema

    def _overridden(
        self, name: str, type_: pa.DataType, before: pa.DataType | None, *, may_change: bool
    ) -> pa.DataType:
        """Return the type that a user has set, where the rows that are there can take it.

        Args:
            type_: what the column would have without.
            before: the table's; None where no row has a value.
            may_change: whether the table's rows may be written anew.

        Raises:
            SchemaConflictError: they cannot take it, and it was sent with this upload.
        """
        wanted = set_type(self.overrides[name], type_)
        if before is None or wanted in (before, type_):
            return wanted
        to_text = pa.types.is_string(wanted) and not pa.types.is_nested(before)
        if may_change and (to_text or widened(before, wanted) == wanted):
            return wanted
        if name in self.declared:
            raise SchemaConflictError(
                f"Column {name!r} is {shortened(clickhouse_type(pa.field(name, before)).bare)} in "
                f"the table, and its rows cannot become {shortened(self.overrides[name].bare)}.",
                hint="Leave its type out of `columns`, or upload the file to another table.",
            )
        return type_

    def _check_bounds(self, types: ArrowTypes) -> None:
        """Refuse rows after which the table could not be read: a commit cannot be undone."""
        merged, limits = pa.schema(list(types.items())), self.attempt.limits
        check_schema(arrow_types.columns(merged, limits), limits)
        text = Schema.from_arrow(merged).to_json()
        check_size(len(text), limits, what="The managed table's schema")

    def _refuse_stranger(self, known: Collection[str], table: DeltaTable | None) -> None:
        """Refuse rows of another kind altogether: an append cannot be undone."""
        ours = {name.lower() for name in known}
        if ours and not any(column.name.lower() in ours for column in self.columns):
            raise SchemaConflictError(
                f"None of the file's columns ({_some(column.name for column in self.columns)}) is "
                f"in the table ({_some(known)}).",
                hint=f"Upload it to a table of its own, or {_replacing(table)}.",
            )

    def hint(self, table: DeltaTable | None, column: str, given: ArrowTypes) -> str:
        """Return what would take a value that a column of the table does not."""
        known = self.known(table)
        if table is None or column not in known.names:
            return "Convert the column at its source, or set its type to string."
        wanted = load_schema(self.columns, {}, given).field(column)
        both = widen(clickhouse_type(known.field(column)), clickhouse_type(wanted)).bare
        return (
            f"Convert the column at its source. A column of type {shortened(both)} would take the "
            f"values of both: {_replacing(table)}."
        )

    def rows(self) -> Rows:
        """Begin to read the upload."""
        attempt, dates = self.attempt, self.month_first
        return Rows.of(self.source, attempt.limits, attempt.progress, month_first=dates)

    def cast(self, rows: Rows, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """Yield rows of the upload in these types."""
        json = [
            field.name
            for field in schema
            if pa.types.is_string(field.type)
            and field.name in self.overrides
            and self.overrides[field.name].name in _OBJECTS
        ]
        return rows.batches(schema, json=json)

    def stored(self, table: DeltaTable, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """Yield the rows that the table has, the oldest first."""
        actions = table.get_add_actions()
        paths, ages = (actions.column(n).to_pylist() for n in ("path", "modification_time"))
        storage = self.attempt.process.storage
        ordered = [path for _, path in sorted(zip(ages, paths, strict=True), key=itemgetter(0))]
        return stored_rows(
            storage.store(),
            [storage.path(f"{self.managed.key}/{path}") for path in ordered],
            schema,
            self.attempt.limits,
            self.attempt.progress,
        )


def _replacing(table: DeltaTable | None) -> str:
    """Say what `mode=replace` does to a table."""
    rows = 0 if table is None else sum(table.get_add_actions().column("num_records").to_pylist())
    return f"mode=replace takes the file's types, and removes the {rows:,} rows that the table has"


def _may_be_rewritten(table: DeltaTable) -> bool:
    sizes = table.get_add_actions().column("size_bytes").to_pylist()
    size_bytes = sum(map(int, sizes))
    return not table.metadata().partition_columns and size_bytes <= _MOST_REWRITTEN_BYTES


def columns_without_values(table: DeltaTable) -> frozenset[str]:
    """Return the columns of texts in which no row has one: they take the type of the first that
    comes. A file of a header alone makes such columns, and values that are all empty do."""
    texts = {field.name for field in pa.schema(table.schema().to_arrow()) if _is_text(field)}
    actions = table.get_add_actions()
    files = zip(
        *(actions.column(n).to_pylist() for n in ("num_records", "null_count")), strict=True
    )
    for rows, nulls in files:
        texts = {name for name in texts if (nulls or {}).get(name) == rows}
    return frozenset(texts)


def _is_text(field: pa.Field) -> bool:
    return bool(pa.types.is_string(field.type))


def _some(names: Iterable[str]) -> str:
    shown = list(islice(names, 6))
    return ", ".join(shown[:5]) + (", …" if len(shown) > 5 else "")


def load_rows(
    attempt: Attempt,
    source: Source,
    upload: Introspection,
    *,
    replaces: bool,
    key: tuple[str, ...] = (),
    overrides: Mapping[str, Type],
    declared: Collection[str] = (),
) -> Introspection:
    """Append the upload's rows to the claim's managed table, replace its rows by them, or merge.

    Args:
        source: the upload.
        upload: what it is of itself, read from all of it.
        replaces: whether the rows that the table has go.
        key: the columns by which rows are merged; none for an append.
        overrides: the types that a user has set, by column.
        declared: the columns of which they were sent with this upload.

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
        attempt=attempt,
        source=source,
        columns=upload.columns,
        month_first=upload.month_first,
        managed=managed,
        replaces=replaces,
        key=key,
        overrides=overrides,
        declared=declared,
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
    rows = load.rows()
    schema = load.schema(table, rows.types)
    if load.key:
        require_key(load.key, schema, table)
        if table is not None:
            _merge(load, table, schema)
            return
        check_keys(load.key, load.cast(load.rows(), schema))
    try:
        _write_as(load, table, rows, schema)
    except ColumnConflictError as exc:
        wider = load.schema(table, rows.types, wide=True)
        if wider == schema:
            exc.hint = load.hint(table, exc.column, rows.types)
            raise
        try:
            _write_as(load, table, load.rows(), wider)
        except ColumnConflictError as second:
            second.hint = load.hint(table, second.column, rows.types)
            raise


def _merge(load: _Load, table: DeltaTable, schema: pa.Schema) -> None:
    known = load.known(table)
    # A merge writes no rows anew for the sake of a type: those of the table hold.
    for index, field in enumerate(schema):
        if field.name in known.names:
            schema = schema.set(index, known.field(field.name))
    rows = load.rows()
    try:
        check_keys(load.key, load.cast(rows, schema))
    except ColumnConflictError as exc:
        exc.hint = load.hint(table, exc.column, rows.types)
        raise
    _grow(load, table, schema)
    reader = pa.RecordBatchReader.from_batches(schema, load.cast(load.rows(), schema))
    merge_rows(table, reader, load.key, _properties(load, replaces=True))


def _write_as(load: _Load, table: DeltaTable | None, rows: Rows, schema: pa.Schema) -> None:
    """Write all rows, and only then tell the log of them.

    Where a column takes another type than the table's, those that are there are written anew, and
    the commit replaces all files: deltalake knows no column whose files differ in its type.
    """
    known = load.known(table)
    if rewrites := table is not None and bool(changed(known, schema)):
        schema = pa.schema(
            [
                *(schema.field(each.name) if each.name in schema.names else each for each in known),
                *(field for field in schema if field.name not in known.names),
            ]
        )
    given = load.cast(rows, schema)
    if table is not None and rewrites:
        given = chain(load.stored(table, schema), given)
    with data_files(load.attempt.process.storage, load.managed.key, schema, given) as files:
        try:
            replaces = load.replaces or rewrites
            _commit(load, table or _create(load, schema), schema, files, replaces=replaces)
        except (CommitFailedError, CommitConflictError):
            # Of a first try the answer may be lost, and deltalake then meets its own commit.
            after = load.managed.open()
            if after is None or not _applied(after, load.transactions):
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


def _commit(
    load: _Load, table: DeltaTable, schema: pa.Schema, files: DataFiles, *, replaces: bool
) -> None:
    properties = _properties(load, replaces=replaces)
    if replaces:
        table.create_write_transaction(
            [*files.adds], "overwrite", schema, commit_properties=properties
        )
        return
    _grow(load, table, schema)
    table.create_write_transaction(
        [*files.adds], "append", table.schema(), commit_properties=properties
    )


def _properties(load: _Load, *, replaces: bool) -> CommitProperties:
    # With the time, from which on the log keeps them for as long as the table's property says.
    made_at = int(time.time() * 1000)
    marks = [Transaction(name, TRANSACTION_VERSION, made_at) for name in load.transactions]
    # deltalake 1.6 commits a replacement behind a compaction that it has not seen: the compacted
    # rows would stay beside the new ones. Without its own retries it finds the version taken, and
    # the job tries again as a whole.
    retries = 0 if replaces else None
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
