"""Values of text files, CSV fields and decoded JSON, made into what an Arrow column holds.

Whether a value fits is asked of `fits`, so that a load takes what a validation takes; but a bare
number never becomes a date here, since nothing says what it counts.
"""

import json
import re
import struct
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Context, Decimal, Inexact, InvalidOperation
from functools import partial
from typing import Any, Final

import pyarrow as pa

from stocktake.loading.conflicts import MisfitError
from stocktake.readers.arrow_types import clickhouse_type
from stocktake.readers.text.date_order import ColumnOrder
from stocktake.readers.text.json.spelling import SpelledFloat, json_text
from stocktake.readers.text.values.checks import fits_csv, fits_json
from stocktake.readers.text.values.csv_fields import parse_literal
from stocktake.readers.text.values.numbers import gives_back
from stocktake.readers.text.values.parse_dates import instant

#: Makes the value of a column; raises `MisfitError`.
Convert = Callable[[Any], Any]

_TRUE: Final = frozenset({"true", "t", "yes", "y", "on", "1", "enable", "enabled"})
#: What surely fits, told by one match: these are most of the numbers that there are.
_SURE: Final[dict[pa.DataType, tuple[Callable[[str], Any], Callable[[str], Any]]]] = {
    pa.int64(): (re.compile(r"[+-]?(?:0|[1-9][0-9]{0,17})").fullmatch, int),
    pa.float64(): (re.compile(r"[+-]?[0-9]{1,7}(?:\.[0-9]{1,8})?").fullmatch, float),
}
_LEADING_ZERO: Final = re.compile(r"[+-]?0[0-9]")
_NOT_FINITE: Final = re.compile(r"[+-]?(?:inf(?:inity)?|nan)", re.IGNORECASE)
#: A moment between two microseconds.
_NANOSECONDS: Final = re.compile(r"\.[0-9]{6}[0-9]*[1-9]")
#: The digits of ClickHouse's largest decimal. Rounding is trapped: a value that would lose digits
#: does not fit.
_EXACT: Final = Context(prec=76, traps=[Inexact, InvalidOperation])


def to_array(values: Sequence[Any], convert: Convert, arrow: pa.DataType) -> pa.Array:
    """Return a column of an Arrow batch.

    Raises:
        MisfitError: some value does not fit; `first_misfit` says which.
    """
    converted = [None if value is None else convert(value) for value in values]
    try:
        return pa.array(converted, arrow)
    except (pa.ArrowException, OverflowError) as exc:
        raise MisfitError from exc


def first_misfit(
    values: Sequence[Any], convert: Convert, arrow: pa.DataType
) -> tuple[int, MisfitError] | None:
    """Return the position of the first value that does not fit, and what is the matter with it."""
    for position, value in enumerate(values):
        try:
            to_array([value], convert, arrow)
        except MisfitError as exc:
            return position, exc
    return None


def converter(arrow: pa.DataType, *, csv: bool, date_order: str | None = None) -> Convert:
    """Return what makes a field's text (`csv`) or a decoded JSON value fit for an Arrow type.

    It remembers what the values told of the order of day and month, and is for one column.

    Args:
        date_order: what is known of that order, in the words of `options.date_order`.

    >>> converter(pa.int64(), csv=True)("+7"), converter(pa.list_(pa.int8()), csv=True)("[1]")
    (7, [1])
    """
    if not csv or not pa.types.is_nested(arrow):
        return _converter(arrow, csv=csv, date_order=date_order)
    # A container in a field is decoded first: what it holds are values as in JSON.
    inner = _converter(arrow, csv=False, date_order=date_order)
    return lambda text: inner(_literal(text))


def _literal(text: str) -> Any:
    try:
        # ClickHouse's notation has no double quote, and JSON no text without one.
        return json.loads(text) if '"' in text else parse_literal(text)
    except (ValueError, RecursionError) as exc:
        raise MisfitError from exc


def _converter(arrow: Any, *, csv: bool, date_order: str | None) -> Convert:
    inside = partial(_converter, csv=False, date_order=date_order)
    if pa.types.is_list(arrow) or pa.types.is_large_list(arrow):
        return _to_list(inside(arrow.value_type))
    if pa.types.is_map(arrow):
        return _to_pairs(inside(arrow.item_type))
    if pa.types.is_struct(arrow):
        return _to_struct({field.name: inside(field.type) for field in arrow})
    return _scalar(arrow, csv=csv, date_order=date_order)


def _scalar(arrow: pa.DataType, *, csv: bool, date_order: str | None) -> Convert:
    make = _maker(arrow, date_order)
    # Nothing to ask: a text takes any value as it is written.
    if make in (_to_text, _to_bytes):
        return make
    type_ = clickhouse_type(pa.field("value", arrow)).bare
    fits = fits_csv(type_) if csv else fits_json(type_)

    sure = _SURE.get(arrow) if csv else None

    def convert(value: Any) -> Any:
        plain = value.strip() if isinstance(value, str) else value
        if sure is not None and sure[0](plain):
            return sure[1](plain)
        if not fits(plain):
            raise MisfitError(value=value)
        try:
            return make(plain)
        except MisfitError as exc:
            raise MisfitError(exc.why, value=value) from exc
        except (ValueError, OverflowError, ArithmeticError) as exc:
            raise MisfitError(value=value) from exc

    return convert


def _maker(arrow: Any, date_order: str | None) -> Convert:
    if pa.types.is_date(arrow):
        return partial(_to_date, order=ColumnOrder(date_order))
    if pa.types.is_timestamp(arrow):
        return partial(_to_instant, order=ColumnOrder(date_order))
    # What Delta has no type for is a text (`arrow_type`).
    for applies, make in _MAKERS:
        if applies(arrow):
            return make
    if pa.types.is_decimal(arrow):
        return _to_decimal(arrow.scale)
    return _to_text


def _to_text(value: Any) -> str:
    text = value if isinstance(value, str) else json_text(value)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as exc:
            # JSON can spell half of a surrogate pair, which UTF-8 cannot.
            raise MisfitError("half of a surrogate pair is no character", value=value) from exc
    return text


def json_only(convert: Convert) -> Convert:
    """Return the same for a column of JSON kept as texts, which takes no text that is none."""

    def converted(value: Any) -> Any:
        text = convert(value)
        if not is_json(text):
            raise MisfitError("it is no JSON", value=value)
        return text

    return converted


def is_json(text: str) -> bool:
    """Return whether a text is JSON, by the letter of it.

    >>> is_json('{"a": 1.10}'), is_json("NaN"), is_json("[1")
    (True, False, False)
    """
    try:
        json.loads(text, parse_constant=_refuse, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return False
    return True


def _to_bytes(value: Any) -> bytes:
    return _to_text(value).encode()


def _to_integer(value: Any) -> int:
    if isinstance(value, str) and _LEADING_ZERO.match(value):
        raise MisfitError("an integer has no zeros before it")
    return int(value)


def _to_float(bits: int) -> Convert:
    """Return what refuses a number that the float would not give back."""

    def convert(value: Any) -> float:
        number = float(value)
        if isinstance(value, str):
            kept = bool(_NOT_FINITE.fullmatch(value)) or gives_back(value)
        else:
            kept = not isinstance(value, int) or int(number) == value
        # A text's fraction is that of the double next to it; 32 bits have to hold that one.
        if not kept or (bits == 32 and not _is_short(number)):
            raise MisfitError(f"{bits} bits do not hold it exactly")
        return number

    return convert


def _is_short(number: float) -> bool:
    return number != number or struct.unpack("f", struct.pack("f", number))[0] == number


def _to_bool(value: Any) -> bool:
    return value.lower() in _TRUE if isinstance(value, str) else bool(value)


def _to_decimal(scale: int) -> Convert:
    """Return what refuses a fraction longer than the scale, which ClickHouse would cut."""
    step = Decimal(1).scaleb(-scale)
    return lambda value: Decimal(_spelled(value)).quantize(step, context=_EXACT)


def _spelled(value: Any) -> str:
    return value.text if isinstance(value, SpelledFloat) else str(value)


def _to_instant(value: Any, *, order: ColumnOrder) -> datetime:
    if not isinstance(value, str):
        raise MisfitError("nothing says what the number counts")
    if _NANOSECONDS.search(value):
        raise MisfitError("Delta keeps microseconds")
    if not order.agrees(value):
        raise MisfitError(
            "other values, or options.date_order, have day and month in another order"
        )
    return instant(value, month_first=order.month_first)


def _to_date(value: Any, *, order: ColumnOrder) -> date:
    return _to_instant(value, order=order).date()


def _to_list(element: Convert) -> Convert:
    def convert(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise MisfitError(value=value)
        return [None if item is None else element(item) for item in value]

    return convert


def _to_pairs(element: Convert) -> Convert:
    def convert(value: Any) -> list[tuple[str, Any]]:
        pairs = _object(value).items()
        return [(_to_text(key), None if item is None else element(item)) for key, item in pairs]

    return convert


def _to_struct(fields: dict[str, Convert]) -> Convert:
    def convert(value: Any) -> dict[str, Any]:
        given = _object(value)
        made: dict[str, Any] = {}
        for name, item in given.items():
            if item is not None:
                try:
                    made[name] = fields.get(name, _refuse)(item)
                except MisfitError as exc:
                    raise exc.within(name) from exc
        return made

    return convert


def _refuse(value: Any) -> Any:
    raise MisfitError("the column has no such field", value=value)


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise MisfitError(value=value)
    return value


_MAKERS: Final[tuple[tuple[Callable[[Any], bool], Convert], ...]] = (
    (pa.types.is_integer, _to_integer),
    (pa.types.is_float64, _to_float(64)),
    (pa.types.is_float32, _to_float(32)),
    (pa.types.is_boolean, _to_bool),
    (pa.types.is_binary, _to_bytes),
)
