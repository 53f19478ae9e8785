"""The Arrow types of a managed table's columns."""

from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Final

import pyarrow as pa

from stocktake.schema.numbers import DECIMALS, DELTA_DIGITS, decimal_digits
from stocktake.schema.types import GEOMETRIES, Type

#: Delta keeps microseconds in UTC.
_TIMESTAMP: Final = pa.timestamp("us", "UTC")
_BYTES: Final[tuple[Callable[[Any], bool], ...]] = (
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_binary_view,
)
#: What may become a list of Delta's.
LISTS: Final[tuple[Callable[[Any], bool], ...]] = (
    pa.types.is_list,
    pa.types.is_large_list,
    pa.types.is_fixed_size_list,
)
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


def arrow_type(type_: Type, given: Any = None) -> pa.DataType:
    """Return the Arrow type with which a Delta table keeps a column of this type.

    What Delta has no type for (UUID, JSON, Dynamic, decimals above 38 digits) is a text.

    Args:
        given: the Arrow type that the file has, if it has one: ClickHouse's String is one for texts
            and for bytes, which Delta tells apart.

    >>> from stocktake.schema.types import array_of, scalar
    >>> arrow_type(array_of(scalar("UInt64", nullable=True)))
    ListType(list<element: decimal128(20, 0)>)
    >>> arrow_type(scalar("String"), pa.large_binary())
    DataType(binary)
    """
    if given is not None and pa.types.is_null(given):
        return pa.string()  # open, as all columns without a value (docs/loads.md)
    if (plain := _PLAIN.get(type_.name)) is not None:
        return plain
    if type_.name in DECIMALS:
        precision, scale = decimal_digits(type_)
        return pa.decimal128(precision, scale) if precision <= DELTA_DIGITS else pa.string()
    inner, held = type_.inner, _held(given)
    if type_.name == "Array" and inner:
        return pa.list_(pa.field("element", arrow_type(inner[0], held.get("element"))))
    if type_.name == "Map" and inner:
        key, value = inner
        return pa.map_(arrow_type(key, held.get("key")), arrow_type(value, held.get("value")))
    # A struct of Delta's has a name for each field.
    if type_.name == "Tuple" and inner and all(each.name for each in type_.fields or ()):
        fields = type_.fields or ()
        return pa.struct([(name, arrow_type(each, held.get(name))) for name, each in fields])
    is_bytes = type_.name == "String" and given is not None and _is_bytes(given)
    return pa.binary() if is_bytes else pa.string()


def _is_bytes(arrow: Any) -> bool:
    if isinstance(arrow, pa.DictionaryType):
        return _is_bytes(arrow.value_type)
    return any(is_bytes(arrow) for is_bytes in _BYTES)


def _held(arrow: Any) -> dict[Any, Any]:
    """Return what an Arrow type holds, by the names that `arrow_type` asks for."""
    if arrow is None:
        return {}
    if pa.types.is_struct(arrow):
        return {field.name: field.type for field in arrow}
    if pa.types.is_map(arrow):
        return {"key": arrow.key_type, "value": arrow.item_type}
    if any(is_list(arrow) for is_list in LISTS):
        element = arrow.value_type
        # maps as some writers leave them: lists of pairs
        pair = [field.type for field in element] if pa.types.is_struct(element) else []
        return {"element": element} | (dict(zip(("key", "value"), pair, strict=False)))
    return {}
