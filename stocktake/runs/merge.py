"""Merge rows into a managed Delta table by a key: those that it has are updated, the others added.

A row is told by its key alone, so a file in which a key stands twice, or is missing, is refused
before anything is written: which of two rows is meant nobody could say.
"""

from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable

from stocktake.errors import SchemaConflictError


def require_key(key: Sequence[str], schema: pa.Schema, table: DeltaTable | None) -> None:
    """Refuse a key that the file's rows, or the table's, do not have.

    Args:
        schema: what the file's rows are cast to.

    Raises:
        SchemaConflictError: a column of the key is missing, or is a list, a map or a struct.
    """
    known = schema.names if table is None else [field.name for field in table.schema().fields]
    for name in key:
        if name not in schema.names or name not in known:
            where = "file" if name not in schema.names else "table"
            raise _refused(f"The {where} has no column {name!r}, which the key names.")
        if pa.types.is_nested(schema.field(name).type):
            raise _refused(f"Column {name!r} holds lists or objects, and cannot be a key.")


def check_keys(key: Sequence[str], batches: Iterable[pa.RecordBatch]) -> None:
    """Refuse rows without a key, or two of one. Holds the key's columns of the whole file.

    Args:
        batches: of the file's rows, all of which are cast on the way.

    Raises:
        SchemaConflictError: naming the key, or the row.
    """
    keys = pa.Table.from_batches([batch.select(list(key)) for batch in batches])
    for name in key:
        if missing := keys.column(name).null_count:
            row = pc.index(pc.is_null(keys.column(name)), True).as_py() + 1
            raise _refused(
                f"{missing:,} of the file's rows have no value in the key's column {name!r}; the "
                f"first is row {row:,}."
            )
    counted = keys.group_by(list(key)).aggregate([([], "count_all")])
    repeated = counted.filter(pc.greater(counted.column("count_all"), 1))
    if repeated.num_rows:
        first = repeated.slice(0, 1).to_pylist()[0]
        told = ", ".join(f"{name}={str(first[name])[:80]}" for name in key)
        raise _refused(f"The file has {first['count_all']:,} rows with the key {told}.")


def merge_rows(
    table: DeltaTable,
    rows: pa.RecordBatchReader,
    key: Sequence[str],
    properties: CommitProperties,
) -> None:
    """Commit the merge. A column that the rows lack keeps its value, and is null in a new row.

    Args:
        rows: of the table's types, each key once and none without.

    Raises:
        DeltaError: deltalake's own.
    """
    same = " AND ".join(f"t.{_quoted(name)} = s.{_quoted(name)}" for name in key)
    values = {_quoted(name): f"s.{_quoted(name)}" for name in rows.schema.names}
    merger = table.merge(
        rows, same, source_alias="s", target_alias="t", commit_properties=properties
    )
    merger.when_matched_update(values).when_not_matched_insert(values).execute()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _refused(detail: str) -> SchemaConflictError:
    return SchemaConflictError(detail, hint="Correct the file or the key, and upload it again.")
