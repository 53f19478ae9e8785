"""From Arrow's own schema (Schema.fbs) to ClickHouse types, as its formats Arrow and ArrowStream
say them; docs/types.md lists the differences.

Not by way of `readers.arrow_types`, which says what ClickHouse makes of Parquet: of the same Arrow
types that has other times, durations and structs.
"""

import re
from collections.abc import Callable
from typing import Final
from zoneinfo import ZoneInfo

from stocktake.readers.arrow.flatbuffer import FlatbufferError, Table
from stocktake.readers.limits import check_columns, check_names
from stocktake.readers.place import Place, Spent, check_elements, refuse_duplicates
from stocktake.readers.source import Limits
from stocktake.schema.columns import Column
from stocktake.schema.types import (
    Field,
    Type,
    array_of,
    make_nullable,
    map_of,
    scalar,
    tuple_of,
    variant_of,
)

#: The fields of Schema.fbs's tables that are looked at, by their place in them.
_FIELDS: Final = 1
_NAME, _NULLABLE, _KIND, _TYPE, _DICTIONARY, _CHILDREN, _METADATA = 0, 1, 2, 3, 4, 5, 6
_KEY, _VALUE = 0, 1

#: `Type`'s members, by their numbers.
_KINDS: Final = (
    "None", "Null", "Int", "FloatingPoint", "Binary", "Utf8", "Bool", "Decimal", "Date", "Time",
    "Timestamp", "Interval", "List", "Struct", "Union", "FixedSizeBinary", "FixedSizeList", "Map",
    "Duration", "LargeBinary", "LargeUtf8", "LargeList", "RunEndEncoded", "BinaryView", "Utf8View",
    "ListView", "LargeListView",
)  # fmt: skip
_TEXTS: Final = ("Binary", "Utf8", "LargeBinary", "LargeUtf8", "BinaryView", "Utf8View")
#: ClickHouse reads no list views.
_LISTS: Final = ("List", "LargeList", "FixedSizeList")

#: Of `TimeUnit`: digits after the second, and ClickHouse's interval.
_UNITS: Final = ((0, "Second"), (3, "Millisecond"), (6, "Microsecond"), (9, "Nanosecond"))
_FLOATS: Final = ("Float32", "Float32", "Float64")
_BITS: Final = (8, 16, 32, 64)
_MAX_PRECISION: Final = 76
#: ClickHouse's own bound.
_MAX_FIXED_BYTES: Final = 0xFFFFFF

_EXTENSION_KEY: Final = "ARROW:extension:name"
_UUID: Final = "arrow.uuid"

#: An offset as ClickHouse takes one: whole quarters of an hour, up to fourteen hours.
_OFFSET: Final = re.compile(r"[+-](?:(?:0\d|1[0-3]):(?:00|15|30|45)|14:00)")


def columns(schema: Table, limits: Limits) -> tuple[Column, ...]:
    """Return the columns of an Arrow schema, in its order.

    Args:
        schema: a `Schema`. A column without a name is left out, as ClickHouse does: no query can
            ask for it.
        limits: of a schema's bounds all apply.

    Raises:
        FlatbufferError: an offset leads outside.
        LimitExceededError: there are too many fields, one is nested too deep, or texts are too
            long.
        InvalidSourceError: a column's name has a NUL.
        DuplicateColumnError: two columns, or two fields of one struct, carry one name.
        UnsupportedError: a type that ClickHouse does not read.
    """
    check_columns(count(schema), limits, where="The schema")
    fields, places = list(schema.tables(_FIELDS)), list[Place]()
    spent = Spent()
    for field in fields:
        places.append(Place(name=field.text(_NAME), limits=limits, spent=spent))
        # One by one: a forged schema may give all of them one name of megabytes.
        places[-1].spell(places[-1].name)
    names = [place.name for place in places]
    check_names([name for name in names if name], limits, where="The schema")
    refuse_duplicates(names)
    return tuple(
        Column.of(
            place.name,
            _column_type(field, place),
            nullable=bool(field.number(_NULLABLE, "?")),
        )
        for place, field in zip(places, fields, strict=True)
        if place.name
    )


def count(schema: Table) -> int:
    """Return how many fields there are, those without a name included."""
    return schema.length(_FIELDS)


def _column_type(field: Table, place: Place) -> Type:
    """Return a column's type. A dictionary of texts is a LowCardinality; one of numbers would be,
    too, but ClickHouse makes no such column unless a setting allows it."""
    type_ = _visit(field, place)
    packed = field.table(_DICTIONARY) is not None
    if packed and type_.bare.name in ("String", "FixedString"):
        bare = type_.bare
        return Type(bare.name, type_.nullable, low_cardinality=True, parameters=bare.parameters)
    return type_


def _visit(field: Table, place: Place) -> Type:
    nullable = bool(field.number(_NULLABLE, "?"))
    number = field.number(_KIND, "B")
    kind = _KINDS[number] if number < len(_KINDS) else f"number {number}"
    if kind == "Struct":
        return _struct(field, place, nullable=nullable)
    if kind in _LISTS:
        return array_of(_visit(_child(field), place.enter()))
    if kind == "Map":
        return _map(field, place)
    if kind == "Union":
        return variant_of([_visit(each, place.enter()) for each in field.tables(_CHILDREN)])
    leaf = _leaf(field, kind, place)
    return make_nullable(leaf) if nullable or kind == "Null" else leaf


def _child(field: Table) -> Table:
    children = field.length(_CHILDREN)
    if children != 1:
        raise FlatbufferError(f"a list or a map of {children:,} types")
    return next(field.tables(_CHILDREN))


def _struct(field: Table, place: Place, *, nullable: bool) -> Type:
    elements = []
    for each in field.tables(_CHILDREN):
        name = each.text(_NAME)
        elements.append(Field(name, _visit(each, place.enter(name))))
    check_elements([name or "" for name, _ in elements], place)
    return tuple_of(elements, nullable=nullable)


def _map(field: Table, place: Place) -> Type:
    entries = list(_child(field).tables(_CHILDREN)) if _child(field).length(_CHILDREN) == 2 else []
    if not entries:
        raise FlatbufferError("a map without key and value")
    inside = place.enter()
    key, value = (_visit(each, inside) for each in entries)
    # ClickHouse has no Map with nullable keys.
    return map_of(key.bare, value)


def _leaf(field: Table, kind: str, place: Place) -> Type:
    if kind in _TEXTS:
        return scalar("String")
    if kind in ("Null", "Bool"):
        return scalar("Nothing" if kind == "Null" else "Bool")
    details = field.table(_TYPE)
    make = _MAKERS.get(kind)
    if details is None or make is None:
        raise place.unsupported(f"{kind} of Arrow")
    if kind == "FixedSizeBinary" and _extension(field, place) == _UUID:
        return scalar("UUID")
    made = make(details, place)
    if made is None:
        raise place.unsupported(f"{kind} of Arrow, of a width, precision or zone that it has not")
    return made


def _extension(field: Table, place: Place) -> str:
    for each in field.tables(_METADATA):
        key = each.text(_KEY)
        # A forged schema may have one vector of a million keys, and refer to it from each field.
        place.spell(key, " ")
        if key == _EXTENSION_KEY:
            return each.text(_VALUE)
    return ""


def _int(details: Table, _: Place) -> Type | None:
    bits, signed = details.number(0, "i"), details.number(1, "?")
    return scalar(f"{'' if signed else 'U'}Int{bits}") if bits in _BITS else None


def _float(details: Table, _: Place) -> Type | None:
    precision = details.number(0, "h")
    return scalar(_FLOATS[precision]) if 0 <= precision < len(_FLOATS) else None


def _decimal(details: Table, _: Place) -> Type | None:
    precision, scale = details.number(0, "i"), details.number(1, "i")
    if not (0 < precision <= _MAX_PRECISION and 0 <= scale <= precision):
        return None
    return scalar("Decimal", str(precision), str(scale))


def _date(details: Table, _: Place) -> Type:
    return scalar("DateTime" if details.number(0, "h", 1) else "Date32")


def _unit(details: Table, default: int) -> tuple[int, str]:
    unit = details.number(0, "h", default)
    if not 0 <= unit < len(_UNITS):
        raise FlatbufferError(f"a time unit of number {unit}")
    return _UNITS[unit]


def _time(details: Table, _: Place) -> Type:
    return scalar("Time64", str(_unit(details, 1)[0]))


def _timestamp(details: Table, place: Place) -> Type | None:
    digits, zone = str(_unit(details, 0)[0]), details.text(1)
    if not zone:
        return scalar("DateTime64", digits)
    place.spell(zone)
    if _OFFSET.fullmatch(zone):
        return scalar("DateTime64", digits, f"'Fixed/UTC{zone}:00'")
    return scalar("DateTime64", digits, f"'{zone}'") if _is_zone(zone) else None


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # the name may be of a folder, or of no file at all
        return False
    return True


def _duration(details: Table, _: Place) -> Type:
    return scalar(f"Interval{_unit(details, 1)[1]}")


def _fixed(details: Table, _: Place) -> Type | None:
    width = details.number(0, "i")
    return scalar("FixedString", str(width)) if 0 < width <= _MAX_FIXED_BYTES else None


_MAKERS: Final[dict[str, Callable[[Table, Place], Type | None]]] = {
    "Int": _int,
    "FloatingPoint": _float,
    "Decimal": _decimal,
    "Date": _date,
    "Time": _time,
    "Timestamp": _timestamp,
    "Duration": _duration,
    "FixedSizeBinary": _fixed,
}
