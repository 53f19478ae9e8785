"""The rows that a managed table has, to be written anew under wider types."""

from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa

from stocktake.loading import casting
from stocktake.loading.partitions import with_partitions
from stocktake.readers.registry import offered
from stocktake.readers.source import BatchReader, Limits, Progress, Source
from stocktake.schema.formats import TableFormat
from stocktake.storage.places.globs import escape
from stocktake.storage.stores.protocol import ObjectStore


def stored_rows(
    store: ObjectStore,
    files: Sequence[tuple[str, Mapping[str, str | None]]],
    schema: pa.Schema,
    limits: Limits,
    progress: Progress,
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of data files, one file after the other, in constant memory.

    Args:
        files: their paths in `store`, and the values of their partition columns that the rows are
            to have.
        schema: the types to give them; a column that a file lacks is null.

    Raises:
        ColumnConflictError: a value does not fit, naming column, file and row.
        JobError: the store's own.
    """
    batches: BatchReader = offered(TableFormat.PARQUET, "batches")
    for path, values in files:
        own = pa.schema([field for field in schema if field.name not in values])
        source = Source(store=store, path=escape(path), format=TableFormat.PARQUET)
        for file, batch in batches(source, limits, progress):
            yield with_partitions(casting.cast_batch(batch, own, file), schema, values)
