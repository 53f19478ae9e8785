"""The rows of an Avro file as Arrow batches: fastavro decodes them, by a schema without logical
types, so that every value is a number, a text or bytes, and none is lost to a Python type."""

import json
import lzma
import struct
import zlib
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import islice
from typing import IO, Any, Final, cast

import fastavro
import pyarrow as pa
from fastavro.schema import SchemaParseException

from stocktake.errors import UnsupportedError
from stocktake.readers.avro.blocks import MAGIC, Plain
from stocktake.readers.avro.header import Header, IncompleteError, parse, schema_of
from stocktake.readers.avro.types import PRIMITIVES, columns
from stocktake.readers.source import Limits
from stocktake.schema.numbers import decimal_digits
from stocktake.schema.types import Type, scalar

_BATCH_ROWS: Final = 2_048
_READ_BYTES: Final = 1 << 20
#: What fastavro and the codecs below it raise on blocks that are broken.
_BROKEN: Final = (
    ArithmeticError, AttributeError, EOFError, LookupError, TypeError, lzma.LZMAError,
    SchemaParseException, struct.error, zlib.error,
)  # fmt: skip

_PLAIN: Final = {
    "Bool": pa.bool_(),
    "Int32": pa.int32(),
    "Int64": pa.int64(),
    "Float32": pa.float32(),
    "Float64": pa.float64(),
    "String": pa.string(),
    "Bytes": pa.binary(),
    "Enum8": pa.string(),
    "Enum16": pa.string(),
    "UUID": pa.string(),
    "Date32": pa.date32(),
    "Nothing": pa.null(),
}
#: Both are String to ClickHouse, and two types to Arrow, to Delta and to whoever looks at rows.
_PRIMITIVES: Final = {**PRIMITIVES, "bytes": scalar("Bytes")}
_UNITS: Final = {"3": "ms", "6": "us"}

Convert = Callable[[Any], Any]


def batches(local: IO[bytes], limits: Limits) -> Iterator[pa.RecordBatch]:
    """Yield the rows of one file.

    Args:
        local: the file.

    Raises:
        ValueError: it is corrupt.
        LimitExceededError: a block swells too much, or there are rows without end.
        UnsupportedError: an array may claim items without end.
    """
    header = _header(local)
    found = columns(schema_of(header.schema), limits, primitives=_PRIMITIVES)
    for column in found:
        _refuse_endless(column.type, column.name)
    kinds = [(column.name, *_arrow(column.type)) for column in found]
    ids = _field_ids(schema_of(header.schema))
    schema = pa.schema([pa.field(name, arrow, metadata=ids.get(name)) for name, arrow, _ in kinds])
    try:
        empty = all(_takes_no_bytes(column.type) for column in found)
        plain = Plain(header, _stripped(schema_of(header.schema)), local, limits, empty=empty)
        # fastavro asks it for nothing but `read`.
        records: Iterator[Any] = fastavro.reader(cast("IO[bytes]", plain))
        while some := list(islice(records, _BATCH_ROWS)):
            arrays = [
                pa.array([convert(row[name]) for row in some], arrow)
                for name, arrow, convert in kinds
            ]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)
    except _BROKEN as exc:
        raise ValueError(f"{type(exc).__name__}: {exc}") from exc


def _header(local: IO[bytes]) -> Header:
    data = b""
    while True:
        more = local.read(_READ_BYTES)
        data += more
        try:
            header = parse(data, len(MAGIC))
        except IncompleteError:
            if not more:
                raise
            continue
        local.seek(header.size)
        return header


def _field_ids(schema: Any) -> dict[str, dict[str, str]]:
    """Return what Iceberg says of its columns, by their names; of other files nothing."""
    fields = schema.get("fields", ()) if isinstance(schema, dict) else ()
    return {
        each["name"]: {"field-id": str(each["field-id"])} for each in fields if "field-id" in each
    }


def _stripped(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_stripped(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    # Defaults are not asked for where a file is read by its own schema.
    return {
        key: _stripped(value) if key in ("type", "fields", "items", "values") else value
        for key, value in schema.items()
        if key not in ("logicalType", "default")
    }


def _takes_no_bytes(type_: Type) -> bool:
    if type_.name == "Tuple" and not type_.nullable:
        return all(_takes_no_bytes(inner) for _, inner in type_.fields or ())
    return type_.name == "Nothing"


def _refuse_endless(type_: Type, name: str) -> None:
    """Refuse an array whose items take no bytes, so that it may claim any number of them."""
    for inner in type_.inner:
        if type_.name == "Array" and _takes_no_bytes(inner):
            raise UnsupportedError(
                f'The column "{name[:200]}" has arrays of nothing but nulls, of which a few bytes '
                "may claim any number: the file is not read in full.",
                code="unsupported_type",
                hint="Give the items of the array a type, or leave the column out.",
            )
        _refuse_endless(inner, name)


def _arrow(type_: Type) -> tuple[pa.DataType, Convert]:
    """Return the Arrow type of a column, and what makes its values of Avro's."""
    if (plain := _PLAIN.get(type_.name)) is not None:
        return plain, _same
    parameters, inner = type_.parameters or (), type_.inner
    match type_.name:
        case "FixedString":
            return pa.binary(int(parameters[0])), _same
        case "DateTime64":
            return pa.timestamp(_UNITS[parameters[0]], "UTC"), _same
        case "Decimal":
            precision, scale = decimal_digits(type_)
            return pa.decimal256(precision, scale), lambda raw: _decimal(raw, scale)
        case "Array":
            arrow, convert = _arrow(inner[0])
            return pa.list_(arrow), lambda many: _each(many, convert)
        case "Map":
            arrow, convert = _arrow(inner[1])
            return pa.map_(pa.string(), arrow), lambda many: _pairs(many, convert)
        case "Tuple":
            return _struct(type_)
    # A Variant: of what its values are, only their texts go into one column.
    return pa.string(), _spelled


def _struct(type_: Type) -> tuple[pa.DataType, Convert]:
    fields = [(name or "", *_arrow(inner)) for name, inner in type_.fields or ()]

    def convert(record: Any) -> Any:
        return record and {name: make(record[name]) for name, _, make in fields}

    return pa.struct([(name, arrow) for name, arrow, _ in fields]), convert


def _same(value: Any) -> Any:
    return value


def _decimal(raw: bytes | None, scale: int) -> Decimal | None:
    if raw is None:
        return None
    digits = str(abs(unscaled := int.from_bytes(raw, "big", signed=True)))
    # Not by arithmetic, which rounds to a context's digits.
    return Decimal((unscaled < 0, tuple(map(int, digits)), -scale))


def _each(values: list[Any] | None, convert: Convert) -> list[Any] | None:
    return None if values is None else [convert(value) for value in values]


def _pairs(values: dict[str, Any] | None, convert: Convert) -> list[tuple[str, Any]] | None:
    return None if values is None else [(key, convert(value)) for key, value in values.items()]


def _spelled(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, default=lambda raw: raw.decode("latin-1"))
