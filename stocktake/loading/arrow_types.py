"""The Arrow types of a managed table's columns, and what they become as loads add to them."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import pyarrow as pa

from stocktake.errors import SchemaConflictError
from stocktake.schema.columns import Column
from stocktake.schema.numbers import DECIMALS, decimal_digits
from stocktake.schema.types import GEOMETRIES, Type

ArrowTypes = Mapping[str, pa.DataType]


#: Delta keeps microseconds in UTC.
_TIMESTAMP: Final = pa.timestamp("us", "UTC")


#: Of a decimal (Delta protocol, "Primitive Types").
_MAX_PRECISION: Final = 38


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
        **dict.fromkeys(("DateTime", "DateTime32", "DateTime64"), _TIMESTAMP),
        "FixedString": pa.binary(),
        # as well-known binary, which it comes as
        **dict.fromkeys(GEOMETRIES, pa.binary()),
    }
)


def arrow_type(type_: Type) -> pa.DataType:
    """Return the Arrow type with which a Delta table keeps a column of this type.

    What Delta has no type for (UUID, JSON, Dynamic, decimals above 38 digits) is a text.

    >>> from stocktake.schema.types import array_of, scalar
    >>> arrow_type(array_of(scalar("UInt64", nullable=True)))
    ListType(list<element: decimal128(20, 0)>)
    """
    if (plain := _PLAIN.get(type_.name)) is not None:
        return plain
    if type_.name in DECIMALS:
        precision, scale = decimal_digits(type_)
        return pa.decimal128(precision, scale) if precision <= _MAX_PRECISION else pa.string()
    inner = type_.inner
    if type_.name == "Array" and inner:
        return pa.list_(pa.field("element", arrow_type(inner[0])))
    if type_.name == "Map" and inner:
        return pa.map_(arrow_type(inner[0]), arrow_type(inner[1]))
    # A struct of Delta's has a name for each field.
    if type_.name == "Tuple" and inner and all(each.name for each in type_.fields or ()):
        return pa.struct([pa.field(name, arrow_type(each)) for name, each in type_.fields or ()])
    return pa.string()


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
        wanted = arrow_type(column.type)
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

    >>> merged(pa.struct([("a", pa.int8())]), pa.struct([("a", pa.int64()), ("b", pa.string())]))
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
    # The files that are there keep their type: the upload's values have to fit it.
    return known
