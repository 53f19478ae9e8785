"""The Arrow types of a managed table's columns, and what they become as loads add to them."""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import pyarrow as pa

from stocktake.errors import SchemaConflictError
from stocktake.schema.columns import Column, unwrap
from stocktake.schema.types import Node, parse

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


def arrow_type(clickhouse: str) -> pa.DataType:
    """Return the Arrow type with which a Delta table keeps a column of this ClickHouse type.

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
    """Return the schema with which an upload's rows are loaded: a type that exists wins.

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
    """Return the existing type, with the fields that an upload's struct adds to it.

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
