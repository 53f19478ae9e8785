"""The reader of Lines, which workers import. `stocktake/readers/registry.py` says what one offers.

A reader takes its bytes from `source.store`, keeps to `limits`, and raises the errors of
`stocktake/errors.py`: anything else ends a job as `internal`.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import IO

import pyarrow as pa

from stocktake.readers.files.budget import Budget
from stocktake.readers.files.listing import list_files
from stocktake.readers.files.rows import decoded
from stocktake.readers.files.state import conclude, unchanged
from stocktake.readers.source import Introspection, Limits, Progress, Source
from stocktake.schema.columns import Column


def read(source: Source, limits: Limits, progress: Progress) -> Introspection:
    """List the files; that they have one column is known without opening them."""
    progress("list", 0, None)
    listing = list_files(source, limits)
    if known := unchanged(source, listing, limits):
        return known
    columns = (Column.of(_name(source), "Nullable(String)"),)
    return conclude(source, listing, columns, budget=Budget(limits), limits=limits, row_count=None)


def read_all(source: Source, limits: Limits, progress: Progress) -> Introspection:
    """Read as `read` does, and count the rows."""
    rows = sum(batch.num_rows for _, batch in batches(source, limits, progress))
    return replace(read(replace(source, state=None), limits, progress), row_count=rows)


def batches(
    source: Source, limits: Limits, progress: Progress
) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yield the rows, a megabyte of them in a batch, with their file's name."""
    return decoded(source, limits, progress, lambda local: _batches(local, _name(source)))


def _batches(local: IO[bytes], name: str) -> Iterator[pa.RecordBatch]:
    while lines := local.readlines(1 << 20):
        texts = [line.decode("utf-8", "replace").rstrip("\r\n") for line in lines]
        yield pa.record_batch([pa.array(texts, pa.string())], names=[name])


def _name(source: Source) -> str:
    return str(source.options.get("lines_column") or "line")
