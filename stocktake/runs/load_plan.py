"""What the rows of an upload become in a managed Delta table: their types, or why they do not fit.

Nothing is written here: a load and a dry run of one hand in what is to be done with the rows.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from operator import attrgetter
from typing import Final

import pyarrow as pa
from deltalake import DeltaTable, Schema

from stocktake.errors import SchemaConflictError
from stocktake.loading.batches import Rows
from stocktake.loading.conflicts import ColumnConflictError, shortened
from stocktake.loading.evolution import ArrowTypes, changed, load_schema, set_type, widened
from stocktake.loading.partitions import checked, require_partitions, require_types
from stocktake.loading.stored_rows import stored_rows
from stocktake.readers import arrow_types
from stocktake.readers.arrow_types import clickhouse_type
from stocktake.readers.limits import check_schema, check_size
from stocktake.readers.source import Source
from stocktake.runs.attempt import Attempt
from stocktake.runs.managed_table import ManagedTable
from stocktake.runs.merge import check_keys, require_key
from stocktake.runs.own_commits import LiveFile, live_files
from stocktake.schema.columns import Column
from stocktake.schema.types import Type
from stocktake.schema.widening import widen

#: Takes all rows in the types that fit them, and whether they stand in the place of all files: the
#: table's own rows come first then, written anew under wider types.
Write = Callable[[pa.Schema, bool, Iterator[pa.RecordBatch]], None]
_OBJECTS: Final = frozenset({"Map", "JSON", "Tuple"})
#: The bytes of data files up to which a table's rows are written anew to widen a column.
_MOST_REWRITTEN_BYTES: Final = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One upload on its way into one managed table."""

    attempt: Attempt
    source: Source
    columns: Sequence[Column]
    managed: ManagedTable
    replaces: bool
    key: tuple[str, ...]
    partition_by: tuple[str, ...]
    overrides: Mapping[str, Type]
    declared: Collection[str]
    month_first: Collection[str]

    def partitions(self, table: DeltaTable | None) -> tuple[str, ...]:
        """Return the table's partition columns, or those that it is to be made with.

        Raises:
            SchemaConflictError: others were sent than it has.
        """
        if table is None:
            return self.partition_by
        known = tuple(table.metadata().partition_columns)
        if self.partition_by and set(self.partition_by) != set(known):
            told = f"by {', '.join(map(repr, known))}" if known else "by no column"
            raise SchemaConflictError(
                f"The table is partitioned {told}; partition_by asks for "
                f"{', '.join(map(repr, self.partition_by))}.",
                hint="Leave `partition_by` out, or upload the file to another table: what a table "
                "is partitioned by is said when it is made.",
            )
        return known

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
        # Their values are in the log, and every file's is of one type.
        fixed = () if table is None or self.replaces else self.partitions(table)
        for index, field in enumerate(schema):
            name, type_ = field.name, field.type
            is_open = name not in known or (name in empty and name not in fixed)
            if is_open:
                type_ = own.field(name).type
            elif wide and may_change and name not in fixed:
                type_ = widened(known[name], own.field(name).type)
            if name in self.overrides:
                before = None if is_open else known[name]
                changes = bool(may_change) and name not in fixed
                type_ = self._overridden(name, type_, before, may_change=changes)
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
        storage = self.attempt.process.storage
        ordered = sorted(live_files(table).values(), key=attrgetter("modified_at"))
        return stored_rows(
            storage.store(),
            [
                (storage.path(f"{self.managed.key}/{each.name}"), _partitions_in(schema, each))
                for each in ordered
            ],
            schema,
            self.attempt.limits,
            self.attempt.progress,
        )


def _partitions_in(schema: pa.Schema, file: LiveFile) -> dict[str, str | None]:
    return {name: value for name, value in file.partition.items() if name in schema.names}


def _replacing(table: DeltaTable | None) -> str:
    """Say what `mode=replace` does to a table."""
    rows = 0 if table is None else sum(table.get_add_actions().column("num_records").to_pylist())
    gone = "1 row" if rows == 1 else f"{rows:,} rows"
    return f"mode=replace takes the file's types, and removes the {gone} that the table has"


def _may_be_rewritten(table: DeltaTable) -> bool:
    sizes = table.get_add_actions().column("size_bytes").to_pylist()
    return sum(map(int, sizes)) <= _MOST_REWRITTEN_BYTES


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


def fit(load: Load, table: DeltaTable | None, write: Write) -> None:
    """Find the types that all rows of the upload fit, and have them written.

    `write` is called once or, where a row did not fit and wider types are allowed, twice; it tells
    nobody of the rows before it has taken the last of them.

    Args:
        table: None where it is not there yet.

    Raises:
        SchemaConflictError: a row does not fit; the first one is named.
        JobError: the upload breaks its format, or the store's own.
    """
    rows = load.rows()
    schema = load.schema(table, rows.types)
    if table is None or load.replaces:
        require_partitions(load.partitions(table), schema)
    else:
        require_types(load.partitions(table), schema)
    if load.key:
        require_key(load.key, schema, table)
        if table is not None:
            _fit_merge(load, table, schema, write)
            return
        check_keys(load.key, load.cast(load.rows(), schema))
    try:
        _fit_as(load, table, rows, schema, write)
    except ColumnConflictError as exc:
        wider = load.schema(table, rows.types, wide=True)
        if wider == schema:
            exc.hint = load.hint(table, exc.column, rows.types)
            raise
        try:
            _fit_as(load, table, load.rows(), wider, write)
        except ColumnConflictError as second:
            second.hint = load.hint(table, second.column, rows.types)
            raise


def behind(known: pa.Schema, schema: pa.Schema) -> pa.Schema:
    """Return a table's columns behind a load: in the table's order, then those that are new.

    Args:
        known: the table's columns that bind the load.
        schema: what the load's rows are cast to.
    """
    # Once: pyarrow makes them anew each time that it is asked, and there may be ten thousand.
    names, known_names = set(schema.names), set(known.names)
    return pa.schema(
        [
            *(schema.field(each.name) if each.name in names else each for each in known),
            *(field for field in schema if field.name not in known_names),
        ]
    )


def _fit_merge(load: Load, table: DeltaTable, schema: pa.Schema, write: Write) -> None:
    known = load.known(table)
    # A merge writes no rows anew for the sake of a type: those of the table hold.
    names = set(known.names)
    for index, field in enumerate(schema):
        if field.name in names:
            schema = schema.set(index, known.field(field.name))
    rows = load.rows()
    try:
        check_keys(load.key, load.cast(rows, schema))
    except ColumnConflictError as exc:
        exc.hint = load.hint(table, exc.column, rows.types)
        raise
    write(schema, False, checked(load.cast(load.rows(), schema), load.partitions(table)))


def _fit_as(
    load: Load, table: DeltaTable | None, rows: Rows, schema: pa.Schema, write: Write
) -> None:
    """Hand all rows over; where a column takes another type than the table's, those that are there,
    too: deltalake knows no column whose files differ in its type."""
    known = load.known(table)
    if rewrites := table is not None and bool(changed(known, schema)):
        schema = behind(known, schema)
    given = checked(load.cast(rows, schema), load.partitions(table))
    if table is not None and rewrites:
        given = chain(load.stored(table, schema), given)
    write(schema, load.replaces or rewrites, given)
