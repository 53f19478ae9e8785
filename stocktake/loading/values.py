"""Values of text files, CSV fields and decoded JSON, made into what an Arrow column holds.

Whether a value fits is asked of `fits`, so that a load takes what a validation takes; but a bare
number never becomes a date here, since nothing says what it counts.
"""

import json
import re
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Context, Decimal, Inexact, InvalidOperation
from functools import partial
from typing import Any, Final

import pyarrow as pa

from stocktake.readers.arrow_types import clickhouse_type
from stocktake.readers.text.json.spelling import json_text
from stocktake.readers.text.values.checks import fits_csv, fits_json
from stocktake.readers.text.values.csv_fields import parse_literal
from stocktake.readers.text.values.parse_dates import instant

#: Makes the value of a column; raises `MisfitError`.
Convert = Callable[[Any], Any]

_TRUE: Final = frozenset({"true", "t", "yes", "y", "on", "1", "enable", "enabled"})
#: What surely fits, told by one match: these are most of the numbers that there are.
_SURE: Final = {
    pa.int64(): re.compile(r"[+-]?[0-9]{1,18}").fullmatch,
    pa.float64(): re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?").fullmatch,
}
#: The digits of ClickHouse's largest decimal. Rounding is trapped: a value that would lose digits
#: does not fit.
_EXACT: Final = Context(prec=76, traps=[Inexact, InvalidOperation])


class MisfitError(ValueError):
    """A value does not fit its column."""


def to_array(values: Sequence[Any], convert: Convert, arrow: pa.DataType) -> pa.Array:
    """Return a column of an Arrow batch.

    Raises:
        MisfitError: some value does not fit; `first_misfit` says which.
    """
    converted = [None if value is None else convert(value) for value in values]
    try:
        return pa.array(converted, arrow)
    except (pa.ArrowException, OverflowError) as exc:
        raise MisfitError(str(arrow)) from exc


def first_misfit(values: Sequence[Any], convert: Convert, arrow: pa.DataType) -> int | None:
    """Return the position of the first value that does not fit."""
    for position, value in enumerate(values):
        try:
            to_array([value], convert, arrow)
        except MisfitError:
            return position
    return None


def converter(arrow: pa.DataType, *, csv: bool, month_first: bool = False) -> Convert:
    """Return what makes a field's text (`csv`) or a decoded JSON value fit for an Arrow type.

    Args:
        month_first: whether 01/02/2024 is the second of January.

    >>> converter(pa.int64(), csv=True)("007"), converter(pa.list_(pa.int8()), csv=True)("[1]")
    (7, [1])
    """
    if not csv or not pa.types.is_nested(arrow):
        return _converter(arrow, csv=csv, month_first=month_first)
    # A container in a field is decoded first: what it holds are values as in JSON.
    inner = _converter(arrow, csv=False, month_first=month_first)
    return lambda text: inner(_literal(text))


def _literal(text: str) -> Any:
    try:
        # ClickHouse's notation has no double quote, and JSON no text without one.
        return json.loads(text) if '"' in text else parse_literal(text)
    except (ValueError, RecursionError) as exc:
        raise MisfitError("a text") from exc


def _converter(arrow: Any, *, csv: bool, month_first: bool) -> Convert:
    inside = partial(_converter, csv=False, month_first=month_first)
    if pa.types.is_list(arrow) or pa.types.is_large_list(arrow):
        return _to_list(inside(arrow.value_type))
    if pa.types.is_map(arrow):
        return _to_pairs(inside(arrow.item_type))
    if pa.types.is_struct(arrow):
        return _to_struct({field.name: inside(field.type) for field in arrow})
    return _scalar(arrow, csv=csv, month_first=month_first)


def _scalar(arrow: pa.DataType, *, csv: bool, month_first: bool) -> Convert:
    make = _maker(arrow)
    # Nothing to ask: a text takes any value as it is written.
    if make in (_to_text, _to_bytes):
        return make
    if month_first and make in (_to_instant, _to_date):
        make = partial(make, month_first=True)
    type_ = clickhouse_type(pa.field("value", arrow)).bare
    fits = fits_csv(type_) if csv else fits_json(type_)

    sure = _SURE.get(arrow) if csv else None

    def convert(value: Any) -> Any:
        plain = value.strip() if isinstance(value, str) else value
        if sure is not None and sure(plain):
            return make(plain)
        if not fits(plain):
            raise MisfitError(str(type_))
        try:
            return make(plain)
        except (ValueError, OverflowError, ArithmeticError) as exc:
            raise MisfitError(str(type_)) from exc

    return convert


def _maker(arrow: Any) -> Convert:
    # What Delta has no type for is a text (`arrow_type`).
    for applies, make in _MAKERS:
        if applies(arrow):
            return make
    if pa.types.is_decimal(arrow):
        return _to_decimal(arrow.scale)
    return _to_text


def _to_text(value: Any) -> str:
    text = value if isinstance(value, str) else json_text(value)
    # JSON can spell half of a surrogate pair, which UTF-8 cannot
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _to_bytes(value: Any) -> bytes:
    return _to_text(value).encode()


def _to_bool(value: Any) -> bool:
    return value.lower() in _TRUE if isinstance(value, str) else bool(value)


def _to_decimal(scale: int) -> Convert:
    """Return what refuses a fraction longer than the scale, which ClickHouse would cut."""
    step = Decimal(1).scaleb(-scale)
    return lambda value: Decimal(str(value)).quantize(step, context=_EXACT)


def _to_instant(value: Any, *, month_first: bool = False) -> datetime:
    if not isinstance(value, str):
        raise MisfitError("a number")
    return instant(value, month_first=month_first)


def _to_date(value: Any, *, month_first: bool = False) -> date:
    return _to_instant(value, month_first=month_first).date()


def _to_list(element: Convert) -> Convert:
    def convert(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise MisfitError("an array")
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
        return {
            name: None if (item := given.get(name)) is None else element(item)
            for name, element in fields.items()
        }

    return convert


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise MisfitError("an object")
    return value


_MAKERS: Final[tuple[tuple[Callable[[Any], bool], Convert], ...]] = (
    (pa.types.is_integer, int),
    (pa.types.is_floating, float),
    (pa.types.is_boolean, _to_bool),
    (pa.types.is_date, _to_date),
    (pa.types.is_timestamp, _to_instant),
    (pa.types.is_binary, _to_bytes),
)
