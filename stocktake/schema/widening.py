"""Which type holds the values of two, and whether a type only grew.

Kinds of values within one text are joined in `readers.text.values.kinds`, by ClickHouse's rules.
"""

from dataclasses import replace
from functools import lru_cache
from typing import Final

from stocktake.schema.numbers import DECIMALS, FLOATS, INTEGERS, Integer, decimal_digits
from stocktake.schema.types import GEOMETRIES, Field, Type, make_nullable, scalar

_MAX_PRECISION: Final = 76
_MAX_BITS: Final = 256
#: Decimal digits that hold every integer of so many bits.
_DIGITS: Final = {8: 3, 16: 5, 32: 10, 64: 20, 128: 39, 256: 78}
_TEXTS: Final = frozenset({"String", "FixedString", "Enum8", "Enum16"})
_DATES: Final = frozenset({"Date", "Date32"})
_TIMES: Final = _DATES | {"DateTime", "DateTime32", "DateTime64"}
_NOTHING: Final = "Nothing"
_STRING: Final = scalar("String")
_GEOMETRY: Final = scalar("Geometry")


def widen(a: Type, b: Type) -> Type:
    """Return the narrowest type that holds the values of both; Nullable where either is.

    Integers grow, integer and float make Float64, decimals grow to 76 digits, a date with a
    date-time is a date-time; Array, Map and Tuple go element by element; all else is String.

    >>> str(widen(scalar("Int32"), scalar("Int64", nullable=True)))
    'Nullable(Int64)'
    >>> str(widen(scalar("UInt32"), scalar("Int32"))), str(widen(scalar("Int64"), scalar("Bool")))
    ('Int64', 'String')
    """
    if a is b or a == b:
        return a
    joined = _joined(a, b)
    if joined is None:
        joined = _STRING
    nullable = a.nullable or b.nullable or (_NOTHING in (a.name, b.name))
    if not nullable:
        return joined
    # a nullable Tuple stays one, though we never make one
    if joined.name == "Tuple" and any(one.nullable and one.name != _NOTHING for one in (a, b)):
        return replace(joined, nullable=True)
    return make_nullable(joined)


def settled(type_: Type, untyped: Type) -> Type:
    """Put a type in the place of each Nothing, at any depth; the same object where there is none.

    Nothing is what held only nulls while the files of a source are united: `widen` has it give
    way.

    >>> str(settled(scalar("Nothing", nullable=True), scalar("Int32", nullable=True)))
    'Nullable(Int32)'
    """
    if type_.fields is None:
        if type_.name != _NOTHING:
            return type_
        return untyped if type_.nullable else untyped.bare
    inner = [settled(each, untyped) for _, each in type_.fields]
    if all(new is old for new, (_, old) in zip(inner, type_.fields, strict=True)):
        return type_
    names = (name for name, _ in type_.fields)
    return replace(type_, fields=tuple(map(Field, names, inner)))


def is_widening(old: Type, new: Type) -> bool:
    """Return whether every value and every reader of `old` still fits `new`.

    It is `widen` without its last resort, for a number that turns into text breaks whoever adds it
    up. A Tuple may have got elements, and may have them in another order.

    >>> is_widening(scalar("Int32"), scalar("Int64")), is_widening(scalar("Int64"), _STRING)
    (True, False)
    """
    if old is new or old == new:
        return True
    # What held only nulls may become an Array or a Map, which nothing makes nullable.
    if old.nullable and not new.nullable and (old.name != _NOTHING or new.fields is None):
        return False
    if old.name == _NOTHING:
        return new.nullable or bool(new.fields)
    if old.fields is None or new.fields is None or old.name != new.name:
        joined = _joined(old.bare, new.bare)
        return joined is not None and joined == new.bare
    return _fields_widen(old.fields, new.fields)


def _fields_widen(old: tuple[Field, ...], new: tuple[Field, ...]) -> bool:
    if _all_named(old) and _all_named(new):
        known = {each.name: each.type for each in new}
        return all(name in known and is_widening(type_, known[name]) for name, type_ in old)
    return _alike(old, new) and all(
        is_widening(before.type, after.type) for before, after in zip(old, new, strict=True)
    )


def _joined(a: Type, b: Type) -> Type | None:
    """Join two types without their wrappers; None where only String is left."""
    if a.fields is None and b.fields is None:
        return _joined_scalars(a.bare, b.bare)
    return _joined_nesting(a.bare, b.bare)


@lru_cache(maxsize=4_096)
def _joined_scalars(a: Type, b: Type) -> Type | None:
    if a == b or b.name == _NOTHING:
        return a
    if a.name == _NOTHING:
        return b
    if {a.name, b.name} <= _TEXTS:
        return _STRING
    if {a.name, b.name} <= GEOMETRIES:
        return _GEOMETRY
    return _joined_numbers(a, b) or _joined_times(a, b)


def _joined_nesting(a: Type, b: Type) -> Type | None:
    if b.name == _NOTHING:
        return a
    if a.name == _NOTHING:
        return b
    if a.name != b.name or a.fields is None or b.fields is None:
        return None
    if _all_named(a.fields) and _all_named(b.fields):
        return replace(a, fields=_united(a.fields, b.fields))
    if not _alike(a.fields, b.fields):
        return None
    pairs = zip(a.fields, b.fields, strict=True)
    return replace(
        a, fields=tuple(Field(one.name, widen(one.type, other.type)) for one, other in pairs)
    )


def _all_named(fields: tuple[Field, ...]) -> bool:
    return bool(fields) and all(each.name is not None for each in fields)


def _alike(a: tuple[Field, ...], b: tuple[Field, ...]) -> bool:
    return [each.name for each in a] == [each.name for each in b]


def _united(a: tuple[Field, ...], b: tuple[Field, ...]) -> tuple[Field, ...]:
    """Join elements by name, a's first; one that the other lacks is nullable."""
    others = dict(b)
    names = {each.name for each in a}
    both = [
        Field(name, widen(type_, others[name]) if name in others else make_nullable(type_))
        for name, type_ in a
    ]
    news = [Field(name, make_nullable(type_)) for name, type_ in b if name not in names]
    return (*both, *news)


def _joined_numbers(a: Type, b: Type) -> Type | None:
    if not all(one.name in INTEGERS or one.name in FLOATS | DECIMALS for one in (a, b)):
        return None
    if a.name in FLOATS or b.name in FLOATS:
        return scalar("Float64")
    if a.name in INTEGERS and b.name in INTEGERS:
        return _joined_integers(INTEGERS[a.name], INTEGERS[b.name])
    return _joined_decimals(a, b)


def _joined_integers(a: Integer, b: Integer) -> Type | None:
    if a.signed == b.signed:
        return scalar(f"{'' if a.signed else 'U'}Int{max(a.bits, b.bits)}")
    signed, unsigned = (a, b) if a.signed else (b, a)
    # Twice the bits hold what had no sign.
    bits = max(2 * unsigned.bits, signed.bits)
    return scalar(f"Int{bits}") if bits <= _MAX_BITS else None


def _joined_decimals(a: Type, b: Type) -> Type | None:
    precision_a, scale_a = _digits(a)
    precision_b, scale_b = _digits(b)
    scale = max(scale_a, scale_b)
    precision = max(precision_a - scale_a, precision_b - scale_b) + scale
    return scalar("Decimal", str(precision), str(scale)) if precision <= _MAX_PRECISION else None


def _digits(type_: Type) -> tuple[int, int]:
    """Return precision and scale; an integer is a decimal of scale 0."""
    if (integer := INTEGERS.get(type_.name)) is not None:
        return _DIGITS[integer.bits], 0
    return decimal_digits(type_)


def _joined_times(a: Type, b: Type) -> Type | None:
    """Join dates and date-times: the larger scale, and the time zone where both name the same."""
    names = {a.name, b.name}
    if not names <= _TIMES:
        return None
    if names <= _DATES:
        return scalar("Date32")
    zones = {zone for one in (a, b) if (zone := _zone(one)) is not None}
    zone = zones.pop() if len(zones) == 1 else ""
    parameters = [zone] if zone else []
    # DateTime ends at 2106 and begins at 1970; Date32 reaches further both ways
    if "DateTime64" in names or "Date32" in names:
        return scalar("DateTime64", str(max(_scale(a), _scale(b))), *parameters)
    return scalar("DateTime", *parameters)


def _scale(type_: Type) -> int:
    if type_.name != "DateTime64":
        return 0
    # ClickHouse takes a bare DateTime64 for one of milliseconds.
    return next((int(each) for each in type_.parameters or () if each.isdecimal()), 3)


def _zone(type_: Type) -> str | None:
    """Return the quoted time zone, an empty string for none, None for a date."""
    if type_.name in _DATES:
        return None
    return next((each for each in type_.parameters or () if each.startswith("'")), "")
