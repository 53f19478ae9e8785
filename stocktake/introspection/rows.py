"""The rows of an upload as Arrow batches of given types, and which types a Delta table takes.

CSV and JSON go through the readers' own records, so that what was inferred is what is loaded;
Parquet through pyarrow.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, Final

import pyarrow as pa

from stocktake.errors import SchemaConflictError
from stocktake.introspection import Limits, Progress, Source, casting, csv, json, parquet
from stocktake.introspection.arrow import clickhouse_type
from stocktake.introspection.inference import (
    KindConflictError,
    NestingError,
    describe,
    infer_field,
    infer_json,
)
from stocktake.introspection.records import Records
from stocktake.introspection.sampling import list_text_files, telling
from stocktake.introspection.text import Text, stream_text
from stocktake.introspection.values import Convert, MisfitError, converter, first_misfit, to_array
from stocktake.schema.columns import Column, unwrap
from stocktake.schema.types import Node, parse
from stocktake.states import TableFormat

ArrowTypes = Mapping[str, pa.DataType]

#: Delta keeps microseconds in UTC.
_TIMESTAMP: Final = pa.timestamp("us", "UTC")
_MAX_PRECISION: Final = 38
_ESCAPES: Final = MappingProxyType({"n": "\n", "t": "\t", "0": "\0"})
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_PLAIN: Final = MappingProxyType(
    {
        "Int8": pa.int8(),
        "Int16": pa.int16(),
        "Int32": pa.int32(),
        "Int64": pa.int64(),
        # Delta has no unsigned integers: the next larger type that holds them all
        "UInt8": pa.int16(),
        "UInt16": pa.int32(),
        "UInt32": pa.int64(),
        "UInt64": pa.decimal128(20, 0),
        "Float32": pa.float32(),
        "Float64": pa.float64(),
        "Bool": pa.bool_(),
        "Date": pa.date32(),
        "Date32": pa.date32(),
        "FixedString": pa.binary(),
    }
)


# --- types --------------------------------------------------------------------------------


def arrow_type(clickhouse: str) -> pa.DataType:
    """The Arrow type with which a Delta table keeps a column of this ClickHouse type.

    What Delta has no type for (UUID, JSON, Dynamic, decimals above 38 digits) is a text.

    >>> arrow_type("Array(Nullable(UInt64))")
    ListType(list<element: decimal128(20, 0)>)
    """
    return _arrow(parse(unwrap(clickhouse)))


def _arrow(node: Node) -> pa.DataType:
    if node.name in ("Nullable", "LowCardinality") and node.args:
        return _arrow(node.args[0])
    if (plain := _PLAIN.get(node.name)) is not None:
        return plain
    if node.name.startswith("DateTime"):
        return _TIMESTAMP
    if node.name.startswith("Decimal"):
        return _decimal(node)
    args = node.args or ()
    if node.name == "Array" and args:
        return pa.list_(pa.field("element", _arrow(args[0])))
    if node.name == "Map" and len(args) > 1:
        return pa.map_(_arrow(args[0]), _arrow(args[1]))
    if node.name == "Tuple" and args and all(arg.label for arg in args):
        return pa.struct([pa.field(_field_name(arg.label or ""), _arrow(arg)) for arg in args])
    return pa.string()


def _decimal(node: Node) -> pa.DataType:
    numbers = [int(arg.name) for arg in node.args or () if arg.name.isdigit()]
    precision, scale = ([*numbers, 0] if numbers else [10, 0])[:2]
    return pa.decimal128(precision, scale) if precision <= _MAX_PRECISION else pa.string()


def _field_name(label: str) -> str:
    if not label.startswith("`"):
        return label
    return _ESCAPE.sub(lambda match: _ESCAPES.get(match[1], match[1]), label[1:-1])


def load_schema(columns: Sequence[Column], existing: ArrowTypes) -> pa.Schema:
    """The schema with which an upload's rows are loaded: a type that exists wins.

    Args:
        columns: the upload's.
        existing: the Delta table's; none where it is new or replaced.

    Raises:
        SchemaConflictError: two columns differ in the case of their letters only, which Delta
            takes for one name.
    """
    _refuse_same_names([*existing, *(column.name for column in columns)])
    fields = []
    for column in columns:
        wanted = arrow_type(column.clickhouse)
        known = existing.get(column.name)
        fields.append(pa.field(column.name, wanted if known is None else merged(known, wanted)))
    return pa.schema(fields)


def _refuse_same_names(names: list[str]) -> None:
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.lower(), name)
        if other != name:
            raise SchemaConflictError(
                f"The columns {other!r} and {name!r} are one name to Delta, which ignores case.",
                hint="Rename one of them.",
            )


def merged(known: Any, wanted: Any) -> pa.DataType:
    """The existing type, with the fields that an upload's struct adds to it.

    >>> merged(pa.struct([("a", pa.int8())]), arrow_type("Tuple(a Int64, b String)"))
    StructType(struct<a: int8, b: string>)
    """
    if pa.types.is_struct(known) and pa.types.is_struct(wanted):
        news = {field.name: field for field in wanted}
        fields = [
            field.with_type(merged(field.type, news.pop(field.name).type))
            if field.name in news
            else field
            for field in known
        ]
        return pa.struct([*fields, *news.values()])
    if pa.types.is_list(known) and pa.types.is_list(wanted):
        element = known.value_field
        return pa.list_(element.with_type(merged(element.type, wanted.value_type)))
    if pa.types.is_map(known) and pa.types.is_map(wanted):
        return pa.map_(known.key_type, merged(known.item_type, wanted.item_type))
    return known


# --- batches ------------------------------------------------------------------------------


def arrow_batches(
    source: Source, schema: pa.Schema, limits: Limits, progress: Progress
) -> Iterator[pa.RecordBatch]:
    """All rows of a source in batches of bounded size, in constant memory.

    Args:
        source: CSV, JSON or Parquet files.
        schema: the types to give them (`load_schema`); a column that a file lacks is null.

    Raises:
        SchemaConflictError: a value does not fit, naming column, file and line.
        JobError: the file breaks its format, or the store's own.
    """
    if source.format is TableFormat.PARQUET:
        for file, batch in parquet.batches(source, limits, progress):
            yield casting.cast_batch(batch, schema, file)
        return
    is_csv = source.format is not TableFormat.JSON_EACH_ROW
    converts = {field.name: converter(field.type, csv=is_csv) for field in schema}
    records = csv.records if is_csv else json.records
    for text in _texts(source, limits, progress):
        for block in records(source, limits, text, schema.names):
            yield _batch(block, schema, converts, text.path, limits, is_csv=is_csv)


def _texts(source: Source, limits: Limits, progress: Progress) -> Iterator[Text]:
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
            position = first_misfit(values, convert, field.type) or 0
            found = _describe(values[position], limits, is_csv=is_csv)
            raise _conflict(field, file, block.lines[position], found) from exc
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _describe(value: Any, limits: Limits, *, is_csv: bool) -> str:
    try:
        kind = infer_field(value) if is_csv else infer_json(value, levels=limits.max_nesting)
    except (KindConflictError, NestingError):
        return "Array"
    return describe(kind)


def _conflict(field: pa.Field, file: str, line: int, found: str) -> SchemaConflictError:
    expected = unwrap(clickhouse_type(field))
    return SchemaConflictError(
        f"{file}, line {line}: column {field.name!r} holds {found}, expected {expected}.",
        file=file,
    )
