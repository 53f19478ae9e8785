"""Whether a value fits a declared ClickHouse type, as ClickHouse reads CSV and JSON.

Reading is wider than inferring: ``1e5`` is inferred as a text in CSV, and fits a Float64.
"""

import json
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Any, Final

from stocktake.readers.text.values.csv_fields import parse_literal
from stocktake.readers.text.values.dates import (
    DATE,
    DATE32,
    DATETIMES,
    DATETIMES64,
    FAR_DATE,
    LATE_DATE,
    infer_text,
)
from stocktake.readers.text.values.json_values import EscapedObject, EscapedText, SpelledNumber
from stocktake.schema.numbers import DECIMALS, INTEGERS, decimal_digits
from stocktake.schema.types import Type

#: 256 bits have 78 digits; int() is quadratic in them, and refuses thousands.
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,90}")
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]{1,5})?")
_NOT_FINITE: Final = re.compile(r"[+-]?(?:inf(?:inity)?|nan)", re.IGNORECASE)
#: The years of Date, 1970 to 2149.
_COMPACT_DATE: Final = re.compile(r"(?:19[7-9]|20[0-9]|21[0-4])[0-9](?:0[1-9]|1[0-2])[0-3][0-9]")
_FRACTION: Final = re.compile(r"(?<=:[0-9]{2})\.[0-9]*+")
_TIMESTAMP: Final = re.compile(r"-?[0-9]{1,19}(?:\.[0-9]{1,9})?")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_BOOLS: Final = frozenset(
    spelled
    for word in ("true", "false", "t", "f", "yes", "no", "y", "n", "on", "off")
    for spelled in (word, word.upper(), word.capitalize())
) | {"1", "0", "enable", "disable", "enabled", "disabled"}

#: Whether a value fits: a `str` for CSV, any decoded JSON value for JSON.
Fits = Callable[[Any], bool]


def fits_csv(type_: Type) -> Fits:
    """Return the check of a CSV field's text, which is no null, against a type.

    >>> from stocktake.schema.types import scalar
    >>> fits_csv(scalar("Int8"))("127"), fits_csv(scalar("Int8"))("128")
    (True, False)
    """
    if type_.name in _CONTAINERS:
        check = _json_check(type_)
        # any JSON will do for a type that was given without its arguments
        decode = parse_literal if type_.fields else _any_literal
        return lambda text: check(_decoded(text, decode))
    return _text_check(type_)


def fits_json(type_: Type) -> Fits:
    """Return the check of a decoded JSON value against a type; null fits every type.

    >>> from stocktake.schema.types import parse
    >>> fits_json(parse("Array(Int64)"))([1, None]), fits_json(parse("Array(Int64)"))(["x"])
    (True, False)
    """
    return _json_check(type_)


# --- scalars ------------------------------------------------------------------------------


def _text_check(type_: Type) -> Callable[[str], bool]:
    if integer := INTEGERS.get(type_.name):
        allowed = integer.values
        return lambda text: _INTEGER.fullmatch(text) is not None and int(text) in allowed
    if type_.name in DECIMALS:
        return _decimal_check(type_)
    if type_.name == "FixedString" and type_.parameters:
        length = int(type_.parameters[0])
        return lambda text: len(text.encode()) <= length
    return _SCALARS.get(type_.name, _anything)


def _decimal_check(type_: Type) -> Callable[[str], bool]:
    """Check as ClickHouse reads: it cuts a fraction of more digits than the scale, but no integer
    part.
    """
    precision, scale = decimal_digits(type_)

    def check(text: str) -> bool:
        if not _NUMBER.fullmatch(text):
            return False
        try:
            value = Decimal(text)
        except InvalidOperation:
            return False
        # `adjusted` is one less than the digits before the point.
        return value.is_zero() or value.adjusted() < precision - scale

    return check


def _anything(_: Any) -> bool:
    return True


def _is_float(text: str) -> bool:
    return bool(_NUMBER.fullmatch(text) or _NOT_FINITE.fullmatch(text))


def _kind(text: str) -> str:
    return infer_text(text, short_years=True)


def _is_date(text: str) -> bool:
    return _kind(text) in (DATE, LATE_DATE) or _COMPACT_DATE.fullmatch(text) is not None


def _is_date32(text: str) -> bool:
    return _is_date(text) or _kind(text) in (DATE32, FAR_DATE)


def _is_datetime(text: str) -> bool:
    if _kind(text) in _READ_AS_DATETIME or _TIMESTAMP.fullmatch(text):
        return True
    # ClickHouse reads a fraction, and drops it
    return _kind(_FRACTION.sub("", text, count=1)) in DATETIMES


def _is_datetime64(text: str) -> bool:
    return _TIMESTAMP.fullmatch(text) is not None or _kind(text) in _READ_AS_DATETIME64


_READ_AS_DATETIME: Final = DATETIMES | {DATE}
_READ_AS_DATETIME64: Final = DATETIMES | DATETIMES64 | {DATE, LATE_DATE, DATE32}
_SCALARS: Final[MappingProxyType[str, Callable[[str], bool]]] = MappingProxyType(
    {
        "Float32": _is_float,
        "Float64": _is_float,
        "Bool": _BOOLS.__contains__,
        "Date": _is_date,
        "Date32": _is_date32,
        "DateTime": _is_datetime,
        "DateTime32": _is_datetime,
        "DateTime64": _is_datetime64,
        "UUID": lambda text: _UUID.fullmatch(text) is not None,
    }
)


# --- containers and JSON ------------------------------------------------------------------

_CONTAINERS: Final = frozenset({"Array", "Map", "Tuple", "JSON"})
_UNREADABLE: Final = object()
#: What ClickHouse makes of no true or false, though it reads 1 and 0.
_TIMES: Final = frozenset({"Date", "Date32", "DateTime", "DateTime32", "DateTime64"})
_NO_BOOLS: Final = DECIMALS | _TIMES


def _any_literal(text: str) -> Any:
    return json.loads(text) if '"' in text else parse_literal(text)


def _decoded(text: str, decode: Callable[[str], Any]) -> Any:
    try:
        return decode(text)
    except (ValueError, RecursionError):
        return _UNREADABLE


def _json_check(type_: Type) -> Fits:
    check = _json_check_of(type_)
    return lambda value: value is None or check(value)


def _json_check_of(type_: Type) -> Fits:
    if type_.name == "Array":
        return _array_check(type_)
    if type_.name == "Map":
        return _map_check(type_)
    if type_.name in ("Tuple", "JSON"):
        return _tuple_check(type_)
    if integer := INTEGERS.get(type_.name):
        allowed, spelled = integer.values, _text_check(type_)
        return lambda value: (
            value in allowed
            if isinstance(value, int)
            else isinstance(value, str) and spelled(value)
        )
    if type_.name == "Bool":
        return lambda value: isinstance(value, int) and value in (0, 1)
    return _scalar_check(type_)


def _scalar_check(type_: Type) -> Fits:
    check = _text_check(type_)
    if check is _anything:
        # ClickHouse reads numbers, arrays and objects into a String as they are written
        return _anything

    is_float = check is _is_float
    is_time = type_.name in _TIMES
    takes_bools = type_.name not in _NO_BOOLS

    def scalar(value: Any) -> bool:
        if is_float and isinstance(value, (float, int)):
            return True
        if isinstance(value, bool):
            return takes_bools and check(str(int(value)))
        if isinstance(value, float):
            return check(repr(value))
        if isinstance(value, int):
            return check(str(value))
        if isinstance(value, EscapedText) and is_time:
            return False
        return isinstance(value, str) and (
            check(value) or (is_float and isinstance(value, SpelledNumber))
        )

    return scalar


def _array_check(type_: Type) -> Fits:
    element = _json_check(type_.inner[0]) if type_.fields else _anything
    return lambda value: isinstance(value, list) and all(map(element, value))


def _map_check(type_: Type) -> Fits:
    element = _json_check(type_.inner[1]) if type_.fields else _anything
    return lambda value: isinstance(value, dict) and all(map(element, value.values()))


def _tuple_check(type_: Type) -> Fits:
    """Check a tuple as ClickHouse reads it: unnamed keys are skipped, missing ones are defaults."""
    known = {
        each.name: _json_check(each.type) for each in type_.fields or () if each.name is not None
    }
    return lambda value: (
        isinstance(value, dict)
        and (type(value) is not EscapedObject or known.keys().isdisjoint(value.escaped))
        and all(known[key](inner) for key, inner in value.items() if key in known)
    )
