"""From Arrow types, as pyarrow reads them out of a Parquet footer, to ClickHouse types.

One visitor; ClickHouse's own DESCRIBE of the same file says what is right, but for the
differences that docs/types.md lists.
"""

from collections.abc import Callable
from typing import Any, Final

import pyarrow as pa

from stocktake.errors import UnsupportedError
from stocktake.readers.limits import check_columns, check_names
from stocktake.readers.place import Place, check_elements, refuse_duplicates
from stocktake.readers.source import Limits
from stocktake.schema.columns import Column
from stocktake.schema.types import Field, Type, array_of, make_nullable, map_of, scalar, tuple_of

#: Texts and bytes of any length, which are one to ClickHouse.
TEXTS: Final = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_string_view,
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_binary_view,
)
_LISTS = (
    pa.types.is_list,
    pa.types.is_large_list,
    pa.types.is_fixed_size_list,
    pa.types.is_list_view,
    pa.types.is_large_list_view,
)

_STRING: Final = scalar("String")

#: Types without parameters, by pyarrow's name of them.
_PLAIN: Final = {
    "int8": scalar("Int8"),
    "int16": scalar("Int16"),
    "int32": scalar("Int32"),
    "int64": scalar("Int64"),
    "uint8": scalar("UInt8"),
    "uint16": scalar("UInt16"),
    "uint32": scalar("UInt32"),
    "uint64": scalar("UInt64"),
    "halffloat": scalar("Float32"),
    "float": scalar("Float32"),
    "double": scalar("Float64"),
    "bool": scalar("Bool"),
    "date32[day]": scalar("Date32"),
    "date64[ms]": scalar("Date32"),
    "duration[s]": scalar("Int64"),
    "duration[ms]": scalar("Int64"),
    "duration[us]": scalar("Int64"),
    "duration[ns]": scalar("Int64"),
    # It gives way to the type of another file (`files.union`).
    "null": scalar("Nothing"),
}

#: ClickHouse reads times and timestamps alike; it has no DateTime64 of seconds in Parquet.
_SCALES: Final = {"s": 3, "ms": 3, "us": 6, "ns": 9}

_EXTENSIONS: Final = {"arrow.uuid": scalar("UUID"), "arrow.json": scalar("JSON")}


def columns(schema: pa.Schema, limits: Limits) -> tuple[Column, ...]:
    """Return the columns of an Arrow schema, in its order.

    Args:
        schema: as pyarrow reads it from a footer, extension types enabled. A column without a
            name is left out, as ClickHouse does: no query can ask for it.
        limits: `max_columns`, `max_nesting` and `max_name_length` apply.

    Raises:
        LimitExceededError: too many columns, or one nested too deep.
        InvalidSourceError: a column's name has a NUL.
        DuplicateColumnError: two columns, or two fields of one struct, carry one name.
        UnsupportedError: a type that ClickHouse does not read, or a struct's field without a
            name.
    """
    check_columns(len(schema), limits)
    check_names([name for name in schema.names if name], limits, where="The schema")
    refuse_duplicates(schema.names)
    return tuple(
        Column.of(each.name, clickhouse_type(each, limits), nullable=each.nullable)
        for each in schema
        if each.name
    )


def clickhouse_type(column: pa.Field, limits: Limits | None = None) -> Type:
    """Return the ClickHouse type of one field, Nullable where the source allows nulls.

    Args:
        column: a field of any Arrow type that Parquet can hold.
        limits: `max_nesting` applies; the default when None.

    Raises:
        LimitExceededError, DuplicateColumnError, UnsupportedError: see `columns`.

    >>> str(clickhouse_type(pa.field("x", pa.list_(pa.int64()))))
    'Array(Nullable(Int64))'
    """
    place = Place(name=column.name, limits=limits or Limits())
    return _visit(column.type, column.nullable, place)


def _visit(arrow: pa.DataType, nullable: bool, place: Place) -> Type:
    # A dictionary is how values are packed, and no type of theirs. A logical type that nobody here
    # knows is read as what it is stored as.
    if isinstance(arrow, pa.DictionaryType):
        return _visit(arrow.value_type, nullable, place)
    if isinstance(arrow, pa.BaseExtensionType) and arrow.extension_name not in _EXTENSIONS:
        return _visit(arrow.storage_type, nullable, place)
    if pa.types.is_struct(arrow):
        return _struct(arrow, nullable, place)
    if pa.types.is_map(arrow):
        return _map(arrow, place)
    if any(is_list(arrow) for is_list in _LISTS):
        element = arrow.value_field
        return array_of(_visit(element.type, element.nullable, place.enter()))
    leaf = _leaf(arrow, place)
    return make_nullable(leaf) if nullable or place.in_optional else leaf


def _map(arrow: pa.MapType, place: Place) -> Type:
    inside = place.enter()
    # ClickHouse has no Map with nullable keys.
    key = _visit(arrow.key_type, False, inside)
    value = _visit(arrow.item_type, arrow.item_field.nullable, inside)
    return map_of(key, value)


def _struct(arrow: pa.StructType, nullable: bool, place: Place) -> Type:
    """Return a Tuple. ClickHouse pushes an optional struct's nulls down to its leaves, and says
    Nullable(Tuple) only where no leaf can have a null of its own."""
    fields = list(arrow)
    names = [field.name for field in fields]
    check_elements(names, place)
    optional = nullable or place.in_optional
    elements = [
        Field(
            field.name,
            _visit(field.type, field.nullable, place.enter(field.name, in_optional=optional)),
        )
        for field in fields
    ]
    alone = nullable and not place.in_optional and fields and all(map(_never_null, fields))
    return tuple_of(elements, nullable=bool(alone))


def _never_null(field: pa.Field) -> bool:
    if field.nullable or pa.types.is_map(field.type) or any(is_(field.type) for is_ in _LISTS):
        return False
    return not pa.types.is_struct(field.type) or all(map(_never_null, field.type))


def _leaf(arrow: pa.DataType, place: Place) -> Type:
    if (plain := _PLAIN.get(str(arrow))) is not None:
        return plain
    if any(is_text(arrow) for is_text in TEXTS):
        return _STRING
    for applies, make in _PARAMETRIC:
        if applies(arrow):
            return make(arrow)
    raise UnsupportedError(
        f'The column "{place.path}" has the Arrow type {arrow}, which has no ClickHouse type.',
        code="unsupported_type",
        hint="Cast the column to a plain type at the source.",
    )


def _datetime(arrow: Any) -> Type:
    return scalar("DateTime64", str(_SCALES[arrow.unit]), "'UTC'")


def _decimal(arrow: Any) -> Type:
    return scalar("Decimal", str(arrow.precision), str(arrow.scale))


_PARAMETRIC: Final[tuple[tuple[Callable[[Any], bool], Callable[[Any], Type]], ...]] = (
    (pa.types.is_timestamp, _datetime),
    (pa.types.is_time, _datetime),
    (pa.types.is_decimal, _decimal),
    (pa.types.is_fixed_size_binary, lambda arrow: scalar("FixedString", str(arrow.byte_width))),
    (
        lambda arrow: isinstance(arrow, pa.BaseExtensionType),
        lambda arrow: _EXTENSIONS[arrow.extension_name],
    ),
)
