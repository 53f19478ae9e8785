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
from stocktake.readers.text.values.dates import DATE, DATETIME, DATETIME64, infer_text
from stocktake.readers.text.values.json_values import HugeInteger
from stocktake.schema.types import Node, parse

_INTEGER_TYPE: Final = re.compile(r"(U?)Int(8|16|32|64|128|256)")
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,90}")
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]{1,5})?")
_NOT_FINITE: Final = re.compile(r"[+-]?(?:inf(?:inity)?|nan)", re.IGNORECASE)
_PLAIN_DATE: Final = re.compile(r"(?:19|2[01])[0-9]{2}[-/][0-9]{1,2}[-/][0-9]{1,2}")
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


def fits_csv(clickhouse: str) -> Fits:
    """Return the check of a CSV field's text, which is no null, against a type.

    >>> fits_csv("Nullable(Int8)")("127"), fits_csv("Nullable(Int8)")("128")
    (True, False)
    """
    node = _bare(parse(clickhouse))
    if node.name in _CONTAINERS:
        check = _json_check(node)
        # any JSON will do for a type that was given without its arguments
        decode = parse_literal if node.args else _any_literal
        return lambda text: check(_decoded(text, decode))
    return _text_check(node)


def fits_json(clickhouse: str) -> Fits:
    """Return the check of a decoded JSON value against a type; null fits every type.

    >>> fits_json("Array(Nullable(Int64))")([1, None]), fits_json("Array(Int64)")(["x"])
    (True, False)
    """
    return _json_check(parse(clickhouse))


def _bare(node: Node) -> Node:
    while node.name in ("Nullable", "LowCardinality") and node.args:
        node = node.args[0]
    return node


# --- scalars ------------------------------------------------------------------------------


def _text_check(node: Node) -> Callable[[str], bool]:
    if match := _INTEGER_TYPE.fullmatch(node.name):
        allowed = _integers(match)
        return lambda text: _INTEGER.fullmatch(text) is not None and int(text) in allowed
    if node.name.startswith("Decimal"):
        return _decimal_check(node)
    if node.name == "FixedString" and node.args:
        length = int(node.args[0].name)
        return lambda text: len(text.encode()) <= length
    return _SCALARS.get(node.name, _anything)


def _integers(match: re.Match[str]) -> range:
    bits = int(match[2])
    return range(2**bits) if match[1] else range(-(2 ** (bits - 1)), 2 ** (bits - 1))


def _decimal_check(node: Node) -> Callable[[str], bool]:
    """Check as ClickHouse reads: it cuts a fraction of more digits than the scale, but no integer
    part.
    """
    numbers = [int(arg.name) for arg in node.args or () if arg.name.isdigit()]
    sized = {"Decimal32": 9, "Decimal64": 18, "Decimal128": 38, "Decimal256": 76}
    if node.name in sized:
        numbers.insert(0, sized[node.name])
    precision, scale = ([*numbers, 0] if numbers else [10, 0])[:2]

    def check(text: str) -> bool:
        if not _NUMBER.fullmatch(text):
            return False
        try:
            value = Decimal(text)
        except InvalidOperation:
            return False
        return value.is_zero() or value.adjusted() < precision - scale

    return check


def _anything(_: Any) -> bool:
    return True


def _is_float(text: str) -> bool:
    return bool(_NUMBER.fullmatch(text) or _NOT_FINITE.fullmatch(text))


def _is_date(text: str) -> bool:
    return infer_text(text) == DATE or _COMPACT_DATE.fullmatch(text) is not None


def _is_date32(text: str) -> bool:
    return _is_date(text) or (
        _PLAIN_DATE.fullmatch(text) is not None and infer_text(text) == DATETIME64
    )


def _is_datetime(text: str) -> bool:
    if infer_text(text) in (DATE, DATETIME) or _TIMESTAMP.fullmatch(text):
        return True
    # ClickHouse reads a fraction, and drops it
    return infer_text(_FRACTION.sub("", text, count=1)) == DATETIME


def _is_datetime64(text: str) -> bool:
    return _TIMESTAMP.fullmatch(text) is not None or infer_text(text) in (
        DATE,
        DATETIME,
        DATETIME64,
    )


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


def _any_literal(text: str) -> Any:
    return json.loads(text) if '"' in text else parse_literal(text)


def _decoded(text: str, decode: Callable[[str], Any]) -> Any:
    try:
        return decode(text)
    except (ValueError, RecursionError):
        return _UNREADABLE


def _json_check(node: Node) -> Fits:
    check = _json_check_of(_bare(node))
    return lambda value: value is None or check(value)


def _json_check_of(node: Node) -> Fits:
    if node.name == "Array":
        return _array_check(node)
    if node.name == "Map":
        return _map_check(node)
    if node.name in ("Tuple", "JSON"):
        return _tuple_check(node)
    if match := _INTEGER_TYPE.fullmatch(node.name):
        allowed, spelled = _integers(match), _text_check(node)
        return lambda value: (
            value in allowed
            if isinstance(value, int)
            else isinstance(value, str) and spelled(value)
        )
    if node.name == "Bool":
        return lambda value: isinstance(value, int) and value in (0, 1)
    return _scalar_check(node)


def _scalar_check(node: Node) -> Fits:
    check = _text_check(node)
    if check is _anything:
        # ClickHouse reads numbers, arrays and objects into a String as they are written
        return _anything

    is_float = check is _is_float

    def scalar(value: Any) -> bool:
        if is_float and isinstance(value, (float, int)):
            return True
        if isinstance(value, bool):
            return check(str(int(value))) and not node.name.startswith(("Date", "Decimal"))
        if isinstance(value, float):
            return check(repr(value))
        if isinstance(value, int):
            return check(str(value))
        return isinstance(value, str) and (check(value) or isinstance(value, HugeInteger))

    return scalar


def _array_check(node: Node) -> Fits:
    element = _json_check(node.args[0]) if node.args else _anything
    return lambda value: isinstance(value, list) and all(map(element, value))


def _map_check(node: Node) -> Fits:
    element = _json_check(node.args[1]) if node.args and len(node.args) > 1 else _anything
    return lambda value: isinstance(value, dict) and all(map(element, value.values()))


def _tuple_check(node: Node) -> Fits:
    """Check a tuple as ClickHouse reads it: unnamed keys are skipped, missing ones are defaults."""
    known = {
        arg.label.strip("`").replace("\\`", "`").replace("\\\\", "\\"): _json_check(arg)
        for arg in node.args or ()
        if arg.label
    }
    return lambda value: (
        isinstance(value, dict)
        and all(known[key](inner) for key, inner in value.items() if key in known)
    )
