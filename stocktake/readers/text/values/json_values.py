"""What a JSON value is, and whether a kind can hold it."""

from collections.abc import Callable
from typing import Any, Final

from stocktake.readers.text.values.dates import DATE, DATETIME, DATETIME64, STRING, infer_text
from stocktake.readers.text.values.kinds import (
    _TEXTS,
    _TIMES,
    BOOL,
    DYNAMIC,
    FLOAT64,
    INT64,
    UINT64,
    Array,
    Kind,
    NestingError,
    Tuple,
    _integer,
    join,
)


class HugeInteger(str):
    """An integer of so many digits that Python will not make a number of it."""

    __slots__ = ()


def infer_json(value: Any, *, levels: int) -> Kind:
    """Return the kind of a decoded JSON value.

    Args:
        levels: how deep arrays and objects may nest in it.

    Raises:
        KindConflictError: two elements of an array cannot be told by one type.
        NestingError: it is nested more deeply.
    """
    if value is None:
        return None
    if isinstance(value, str):
        return STRING if isinstance(value, HugeInteger) else infer_text(value)
    if isinstance(value, bool):
        return BOOL
    if isinstance(value, int):
        return _integer(value, STRING)
    if isinstance(value, float):
        return FLOAT64
    if levels <= 0:
        raise NestingError
    if isinstance(value, list):
        return Array(element=_join_elements(value, levels - 1))
    return Tuple(fields={key: infer_json(v, levels=levels - 1) for key, v in value.items()})


def _join_elements(values: list[Any], levels: int) -> Kind:
    if set(map(type, values)) == {float}:
        return FLOAT64
    kind: Kind = None
    for value in values:
        if not holds(kind, value):
            kind = _join_element(kind, infer_json(value, levels=levels))
    return kind


def _join_element(a: Kind, b: Kind) -> Kind:
    """Within one array a number beside a text, or beside an object, is Dynamic."""
    if isinstance(a, str) and isinstance(b, str):
        mixed = (a in _TEXTS) != (b in _TEXTS) and BOOL not in (a, b)
        return DYNAMIC if mixed or DYNAMIC in (a, b) else join(a, b, json_rules=True)
    if a is None or b is None or type(a) is type(b):
        return join(a, b, json_rules=True)
    return DYNAMIC


def holds(kind: Kind, value: Any) -> bool:
    """Return whether joining the value's kind would certainly leave `kind` as it is; a cheap check
    that may say no too often."""
    if value is None:
        return True
    if isinstance(kind, str):
        return _HOLDS[kind](value)
    if isinstance(kind, Tuple) and type(value) is dict:
        fields = kind.fields
        return all(k in fields and holds(fields[k], v) for k, v in value.items())
    if isinstance(kind, Array) and type(value) is list:
        return all(holds(kind.element, element) for element in value)
    return False


#: By `type` and not `isinstance`: a bool is an int to Python, and a column of its own here.
_HOLDS: Final[dict[str, Callable[[Any], bool]]] = {
    STRING: lambda value: type(value) is str,
    BOOL: lambda value: type(value) is bool,
    INT64: lambda value: type(value) is int and -(2**63) <= value < 2**63,
    UINT64: lambda value: type(value) is int and -(2**63) <= value < 2**64,
    FLOAT64: lambda value: type(value) is float,
    DATE: lambda value: type(value) is str and infer_text(value) == DATE,
    DATETIME: lambda value: type(value) is str and infer_text(value) in (DATE, DATETIME),
    DATETIME64: lambda value: type(value) is str and infer_text(value) in _TIMES,
    DYNAMIC: lambda _: False,
}
