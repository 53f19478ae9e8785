"""The rows of an upload as Arrow batches of given types, and which types a Delta table takes.

Texts go through the readers' own records, so that what was inferred is what is loaded; files that
carry their types through Arrow.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import pyarrow as pa

from stocktake.errors import SchemaConflictError
from stocktake.loading import casting
from stocktake.loading.values import Convert, MisfitError, converter, first_misfit, to_array
from stocktake.readers.arrow_types import clickhouse_type
from stocktake.readers.registry import offered
from stocktake.readers.source import BatchReader, Limits, Progress, Source
from stocktake.readers.text.decoding import Text, stream_text
from stocktake.readers.text.records import RecordReader, Records, Values
from stocktake.readers.text.sampling import list_text_files, telling
from stocktake.readers.text.values.csv_fields import infer_field
from stocktake.readers.text.values.json_values import infer_json
from stocktake.readers.text.values.kinds import NestingError, describe
from stocktake.schema.options import MONTH_FIRST


def arrow_batches(
    source: Source, schema: pa.Schema, limits: Limits, progress: Progress
) -> Iterator[pa.RecordBatch]:
    """Yield all rows of a source in batches of bounded size, in constant memory.

    Args:
        source: files of a format that may be uploaded.
        schema: the types to give them (`load_schema`); a column that a file lacks is null.

    Raises:
        SchemaConflictError: a value does not fit, naming column, file and line.
        JobError: the file breaks its format, or the store's own.
        ValueError: the format's reader gives no rows.
    """
    if source.format.facts.inferred:
        yield from _of_texts(source, schema, limits, progress)
        return
    batches: BatchReader = offered(source.format, "batches")
    for file, batch in batches(source, limits, progress):
        yield casting.cast_batch(batch, schema, file)


def _of_texts(
    source: Source, schema: pa.Schema, limits: Limits, progress: Progress
) -> Iterator[pa.RecordBatch]:
    records: RecordReader = offered(source.format, "records")
    is_csv = offered(source.format, "VALUES") is Values.FIELDS
    month_first = source.options.get("date_order") == MONTH_FIRST
    make = partial(converter, csv=is_csv, month_first=month_first)
    converts = {field.name: make(field.type) for field in schema}
    for text in _texts(source, limits, progress):
        for block in records(source, limits, text, schema.names):
            yield _batch(block, schema, converts, text.path, limits, is_csv=is_csv)


def _texts(source: Source, limits: Limits, progress: Progress) -> Iterator[Text]:
    # By path, so that the first fault is the same each time.
    files = sorted(list_text_files(source, limits).files, key=lambda file: file.path)
    for done, file in enumerate(files):
        text = stream_text(source, file, limits)
        tell = partial(progress, "load", done, len(files))
        yield Text(path=text.path, chunks=telling(text.chunks, tell), complete=True)


def _batch(
    block: Records,
    schema: pa.Schema,
    converts: Mapping[str, Convert],
    file: str,
    limits: Limits,
    *,
    is_csv: bool,
) -> pa.RecordBatch:
    arrays = []
    for field in schema:
        values = block.values.get(field.name)
        if values is None:
            arrays.append(pa.nulls(len(block.lines), field.type))
            continue
        convert = converts[field.name]
        try:
            arrays.append(to_array(values, convert, field.type))
        except MisfitError as exc:
            # A column is made at once; which value it was is looked for only now.
            position = first_misfit(values, convert, field.type) or 0
            found = _describe(values[position], limits, is_csv=is_csv)
            raise _conflict(field, file, block.lines[position], found) from exc
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _describe(value: Any, limits: Limits, *, is_csv: bool) -> str:
    try:
        kind = infer_field(value) if is_csv else infer_json(value, levels=limits.max_nesting)
    except NestingError:
        return "Array"
    return describe(kind)


def _conflict(field: pa.Field, file: str, line: int, found: str) -> SchemaConflictError:
    expected = clickhouse_type(field).bare
    return SchemaConflictError(
        f"{file}, line {line}: column {field.name!r} holds {found}, expected {expected}.",
        file=file,
    )
