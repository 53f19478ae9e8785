"""All rows of sources whose files carry their types: decoded, held to be whole, and counted."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import IO

import pyarrow as pa

from stocktake.errors import InvalidSourceError, JobError
from stocktake.readers.files.listing import list_files, relative_name
from stocktake.readers.files.spooled import spooled
from stocktake.readers.source import BatchReader, Introspection, Limits, Progress, Reader, Source


def count(
    read: Reader, batches: BatchReader, source: Source, limits: Limits, progress: Progress
) -> Introspection:
    """Return what `read` finds, with the number of rows that `batches` gives.

    Raises:
        JobError: what the two raise.
    """
    found = read(replace(source, state=None), limits, progress)
    rows = sum(batch.num_rows for _, batch in batches(source, limits, progress))
    return replace(found, row_count=rows, state=found.state | {"row_count": rows})


def decoded(
    source: Source,
    limits: Limits,
    progress: Progress,
    opened: Callable[[IO[bytes]], Iterator[pa.RecordBatch]],
) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yield all rows of all files, each batch with its file's name.

    Args:
        opened: gives the rows of one file, which lies on the worker's disk.

    Raises:
        InvalidSourceError: a batch is corrupt.
        JobError: the store's own.
    """
    files = [file for file in list_files(source, limits).files if file.size > 0]
    for done, file in enumerate(files):
        name = relative_name(source, file.path)
        tell = partial(progress, "read", done, len(files))
        with spooled(source, file, tell) as local:
            for batch in _whole(opened(local), source, name):
                tell()
                yield name, batch


def _whole(
    batches: Iterator[pa.RecordBatch], source: Source, name: str
) -> Iterator[pa.RecordBatch]:
    rows = 0
    try:
        for batch in batches:
            # Offsets and lengths that lie would be followed as they stand.
            batch.validate(full=True)
            rows += batch.num_rows
            yield batch
    except JobError as error:
        # What bounds a block knows no file.
        error.file = error.file or name
        raise
    except (pa.ArrowException, OSError, ValueError, EOFError) as exc:
        said = (str(exc) or type(exc).__name__).splitlines()[0][:200]
        raise InvalidSourceError(
            f'The {source.format.facts.title} file "{name}" is corrupt after row {rows:,}: {said}',
            file=name,
        ) from exc
