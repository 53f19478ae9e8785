"""The rows of an upload as Arrow batches of given types, and which types a Delta table takes.

Texts go through the readers' own records, so that what was inferred is what is loaded; files that
carry their types through Arrow.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from typing import Any, Self

import pyarrow as pa

from stocktake.loading import casting
from stocktake.loading.conflicts import MisfitError, conflict
from stocktake.loading.sure_columns import sure_array
from stocktake.loading.values import Convert, converter, first_misfit, json_only, to_array
from stocktake.readers.registry import offered
from stocktake.readers.source import BatchReader, Limits, Progress, Source
from stocktake.readers.text.decoding import Text, stream_text
from stocktake.readers.text.records import RecordReader, Records, Values
from stocktake.readers.text.sampling import list_text_files, telling
from stocktake.readers.text.values.csv_fields import infer_field
from stocktake.readers.text.values.json_values import infer_json
from stocktake.readers.text.values.kinds import NestingError, describe
from stocktake.schema.options import MONTH_FIRST


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The rows of an upload, before they are given the types of a table.

    Attributes:
        types: those that the file has of itself, by column; none for texts.
        month_first: the columns of a text whose dates have the month first.
    """

    source: Source
    limits: Limits
    progress: Progress
    types: Mapping[str, pa.DataType]
    month_first: Collection[str]
    _batches: Iterator[tuple[str, pa.RecordBatch]]

    @classmethod
    def of(
        cls,
        source: Source,
        limits: Limits,
        progress: Progress,
        *,
        month_first: Collection[str] = (),
    ) -> Self:
        """Begin to read a source of a format that may be uploaded.

        Args:
            month_first: as a read of all of it has found (`Introspection.month_first`).

        Raises:
            JobError: the file breaks its format, or the store's own.
            ValueError: the format's reader gives no rows.
        """
        batches: Iterator[tuple[str, pa.RecordBatch]] = iter(())
        types: dict[str, pa.DataType] = {}
        if not source.format.facts.inferred:
            read: BatchReader = offered(source.format, "batches")
            batches = read(source, limits, progress)
            first = list(islice(batches, 1))
            types = {field.name: field.type for _, batch in first for field in batch.schema}
            batches = chain(first, batches)
        return cls(
            source=source,
            limits=limits,
            progress=progress,
            types=types,
            month_first=month_first,
            _batches=batches,
        )

    def batches(self, schema: pa.Schema, *, json: Collection[str] = ()) -> Iterator[pa.RecordBatch]:
        """Yield all rows in batches of bounded size, in constant memory; once.

        Args:
            schema: the types to give them (`load_schema`); a column that a file lacks is null.
            json: the columns of texts that are to be JSON.

        Raises:
            ColumnConflictError: a value does not fit, naming column, file and line.
            JobError: the file breaks its format, or the store's own.
        """
        if self.source.format.facts.inferred:
            yield from self._of_texts(schema, json)
            return
        rows: Counter[str] = Counter()
        for file, batch in self._batches:
            cast = casting.cast_batch(batch, schema, file, first_row=1 + rows[file])
            casting.require_json(cast, json, file, first_row=1 + rows[file])
            yield cast
            rows[file] += batch.num_rows

    def _of_texts(self, schema: pa.Schema, json: Collection[str]) -> Iterator[pa.RecordBatch]:
        records: RecordReader = offered(self.source.format, "records")
        is_csv = offered(self.source.format, "VALUES") is Values.FIELDS
        converts = {
            field.name: converter(field.type, csv=is_csv, date_order=self._order(field.name))
            for field in schema
        }
        converts |= {name: json_only(converts[name]) for name in json if name in converts}
        for text in _texts(self.source, self.limits, self.progress):
            for block in records(self.source, self.limits, text, schema.names):
                yield _batch(block, schema, converts, json, text.path, self.limits, is_csv=is_csv)

    def _order(self, name: str) -> str | None:
        option: str | None = self.source.options.get("date_order")
        return option or (MONTH_FIRST if name in self.month_first else None)


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
    json: Collection[str],
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
        if field.name not in json:
            sure = sure_array(values, field.type, csv=is_csv)
            if sure is not None:
                arrays.append(sure)
                continue
        convert = converts[field.name]
        try:
            arrays.append(to_array(values, convert, field.type))
        except MisfitError as exc:
            # A column is made at once; which value it was is looked for only now.
            position, misfit = first_misfit(values, convert, field.type) or (0, exc)
            if misfit.value is None:
                misfit.value = values[position]
            misfit.found = _describe(misfit.value, limits, is_csv=is_csv)
            place = f"line {block.lines[position]}"
            raise conflict(field, misfit, file=file, place=place) from exc
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _describe(value: Any, limits: Limits, *, is_csv: bool) -> str:
    try:
        if is_csv and isinstance(value, str):
            return describe(infer_field(value))
        # also what a field's text was decoded to
        kind = infer_json(value, levels=limits.max_nesting)
    except NestingError:
        return "Array"
    return describe(kind)
