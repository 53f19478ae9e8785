"""The partition columns of a managed table: which there may be, and their values as its log spells
them (Delta protocol, "Partition Value Serialization").

The files stand beside each other and not in folders of these values: where a file's values are, the
log says, and what a path cannot hold needs no escaping.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from stocktake.errors import SchemaConflictError, did_you_mean
from stocktake.loading.conflicts import shortened

#: The values of a file's partition columns, in their order; None is null.
Key = tuple[str | None, ...]
#: Of one load, which are as many files.
MOST_PARTITIONS: Final = 1_000


def require_partitions(names: Sequence[str], schema: pa.Schema) -> None:
    """Refuse columns that a table cannot be partitioned by.

    Args:
        names: of the partition columns.
        schema: what the rows are cast to.

    Raises:
        SchemaConflictError: the rows lack one or have no other column, or its values cannot be
            spelled so that every reader has the same ones.
    """
    for name in names:
        if name not in schema.names:
            raise _refused(
                f"The file has no column {name!r}, by which the table is partitioned; "
                + did_you_mean(name, schema.names)
            )
    require_types(names, schema)
    if names and len(names) == len(schema):
        raise _refused("A table has to have a column that it is not partitioned by.")


def require_types(names: Sequence[str], schema: pa.Schema) -> None:
    """Refuse types that no partition column has, of those that a schema has.

    Raises:
        SchemaConflictError: naming the first.
    """
    for field in schema:
        if field.name in names and not any(is_one(field.type) for is_one in _TYPES):
            # deltalake 1.6 reads a decimal of -0.01 as `0.-1`; floats have no one spelling.
            raise _refused(
                f"Column {field.name!r} is {shortened(field.type)}, and a table cannot be "
                "partitioned by it: texts, integers, booleans, dates and timestamps can be."
            )


#: What all readers read alike.
_TYPES: Final = (
    pa.types.is_string,
    pa.types.is_integer,
    pa.types.is_boolean,
    pa.types.is_date,
    pa.types.is_timestamp,
)


def checked(batches: Iterable[pa.RecordBatch], names: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Let rows through whose values partitions keep.

    Raises:
        SchemaConflictError: an empty text, which is null to Delta; or too many partitions.
    """
    seen: set[Any] = set()
    rows = 0
    for batch in batches:
        held = [name for name in names if name in batch.schema.names]
        for name in held:
            _refuse_empty(name, batch.column(name), rows)
        if held:
            found = pa.Table.from_batches([batch.select(held)]).group_by(held).aggregate([])
            seen.update(zip(*(_spelled(found.column(name)) for name in held), strict=True))
        if len(seen) > MOST_PARTITIONS:
            raise _refused(
                f"The file has more than {MOST_PARTITIONS:,} partitions: values of "
                f"{', '.join(map(repr, held))}. Each would be a file of its own."
            )
        rows += batch.num_rows
        yield batch


def _refuse_empty(name: str, column: Any, rows_before: int) -> None:
    if not pa.types.is_string(column.type):
        return
    at = pc.index(column, "").as_py()
    if at >= 0:
        raise _refused(
            f"Row {rows_before + at + 1:,} of the file has an empty text in the column {name!r}, "
            "by which the table is partitioned, and Delta keeps it as null there."
        )


def split(rows: pa.Table, names: Sequence[str]) -> Iterator[tuple[Key, pa.Table]]:
    """Yield the rows of each partition, in their order, without the partition columns.

    Args:
        names: of the partition columns; one that the rows lack is null.
    """
    if not names:
        yield (), rows
        return
    held = [name for name in names if name in rows.schema.names]
    others = rows.drop_columns(held).combine_chunks()
    if not held:
        yield (None,) * len(names), others
        return
    # By numbers, for a column may have any name.
    columns = {str(number): rows.column(name) for number, name in enumerate(held)}
    numbered = pa.table(columns | {"row": pa.array(range(rows.num_rows), pa.int64())})
    grouped = numbered.group_by(list(columns), use_threads=False).aggregate([("row", "list")])
    spelled = {name: _spelled(grouped.column(str(number))) for number, name in enumerate(held)}
    for at, positions in enumerate(grouped.column("row_list")):
        key = tuple(spelled[name][at] if name in spelled else None for name in names)
        yield key, others.take(positions.values)


def values_of(names: Sequence[str], key: Key) -> dict[str, str | None]:
    """Return a file's `partitionValues`."""
    return dict(zip(names, key, strict=True))


def spelled_partitions(partitions: Any) -> list[dict[str, str | None]]:
    """Return each file's partition values as the log spells them.

    Args:
        partitions: an array of structs, of which each is a file's, with the table's types.
    """
    names = [field.name for field in partitions.type]
    columns = [_spelled(each) for each in partitions.flatten()]
    return [dict(zip(names, key, strict=True)) for key in zip(*columns, strict=True)]


def with_partitions(
    batch: pa.RecordBatch, schema: pa.Schema, values: Mapping[str, str | None]
) -> pa.RecordBatch:
    """Return rows of a data file with its partition columns, which the file has not.

    Args:
        batch: in the schema's types, but for these columns.
    """
    arrays = [
        pa.array([values[field.name]], pa.string())
        .cast(field.type)
        .take(pa.array([0] * batch.num_rows, pa.int32()))
        if field.name in values
        else batch.column(field.name)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _spelled(column: Any) -> list[str | None]:
    texts: list[str | None] = column.cast(pa.string()).to_pylist()
    if pa.types.is_timestamp(column.type):
        # ISO 8601, in UTC: the other spelling says no zone, and some readers take their own.
        return [None if text is None else text.replace(" ", "T") for text in texts]
    return texts


def _refused(detail: str) -> SchemaConflictError:
    return SchemaConflictError(
        detail, hint="Correct the file or `partition_by`, and send it again."
    )
