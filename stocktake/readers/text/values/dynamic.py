"""Which JSON values ClickHouse gives back out of a Dynamic, as an array of mixed values is.

Its inference runs anew on each value that it puts there, with all that it loses elsewhere, and no
type of ours can correct it. What is not surely given back stands in a String.
"""

import re
from collections.abc import Iterable
from math import copysign
from typing import Any, Final

_MONTHS: Final = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_DAYS: Final = "mon|tue|wed|thu|fri|sat|sun"
#: Whatever its best-effort parser may make a date of, in any order; no number, and no address.
_LIKE_MOMENT: Final = re.compile(
    rf"(?=[^0-9]*[0-9])(?=[0-9.]*[^0-9.])"
    rf"(?:[0-9 \t\r\n:/.,+TZ-]|(?i:utc|gmt|ms[kd]|[ap]m|(?:{_MONTHS}|{_DAYS})[a-z]*))++"
)
_LONGEST_MOMENT: Final = 100
#: The last integer that is sure to be a double as well.
_EXACT: Final = 2**53
#: A key that ClickHouse has a use of its own for, and one that no Tuple has.
_NO_KEYS: Final = ("null", "")

#: What a value is, so far as it matters beside others in an array: a word, or of an array what its
#: elements are; of an object what its values are, by key.
_Class = str | list["_Class"] | dict[str, "_Class"]
_NULL: Final = "null"
_INTEGER: Final = "integer"
_LONG: Final = "long integer"
_NUMBER: Final = "number"
_TEXT: Final = "text"
_MIXED: Final = "mixed"
_NUMBERS: Final = frozenset({_INTEGER, _LONG, _NUMBER})


class _LostError(ValueError):
    """ClickHouse makes something else of a value, or fails to read it."""


def is_given_back(values: Iterable[Any]) -> bool:
    """Return whether all elements of an array of mixed values are what they were.

    >>> is_given_back([1, "a", {"b": [1.5]}]), is_given_back([1, {"b": "2024-01-31"}])
    (True, False)
    """
    try:
        for value in values:
            _class(value)
    # What is nested so deeply is refused anyway.
    except (_LostError, RecursionError):
        return False
    return True


def _class(value: Any) -> _Class:
    if isinstance(value, list):
        return [_joined(map(_class, value))]
    if isinstance(value, dict):
        # Of an empty one it fails to make a Tuple, beside some others; another than a dict is
        # spelled with escapes.
        if not value or type(value) is not dict or any(key in value for key in _NO_KEYS):
            raise _LostError
        return {key: _class(inner) for key, inner in value.items()}
    return _scalar(value)


def _scalar(value: Any) -> str:
    if value is None:
        return _NULL
    if isinstance(value, int):
        return _INTEGER if -_EXACT <= value <= _EXACT else _LONG
    if isinstance(value, float):
        # Of an integer it loses the sign, and both are decoded alike.
        if value == 0 and copysign(1, value) < 0:
            raise _LostError
        return _NUMBER
    # What is more than a text is spelled in a way that gets lost.
    if type(value) is not str or (
        len(value) <= _LONGEST_MOMENT and _LIKE_MOMENT.fullmatch(value) is not None
    ):
        raise _LostError
    return _TEXT


def _joined(classes: Iterable[_Class]) -> _Class:
    found: _Class | None = None
    for each in classes:
        found = each if found is None else _join(found, each)
    return _NULL if found is None else found


def _join(a: _Class, b: _Class, *, in_object: bool = False) -> _Class:
    """Return what two elements of an array are together.

    Args:
        in_object: whether they are values of one key, which ClickHouse reads by one type.
    """
    if a == b:
        return a
    if _NULL in (a, b):
        other = b if a == _NULL else a
        # There it becomes an object of nulls or of empty texts.
        if isinstance(other, dict):
            raise _LostError
        return other
    if isinstance(a, list) and isinstance(b, list):
        return [_join(a[0], b[0], in_object=in_object)]
    if isinstance(a, dict) and isinstance(b, dict):
        both = {key: _join(a[key], b[key], in_object=True) for key in a.keys() & b.keys()}
        return a | b | both
    if isinstance(a, str) and isinstance(b, str) and {a, b} <= _NUMBERS:
        if {a, b} == {_LONG, _NUMBER}:
            raise _LostError
        return _LONG if _LONG in (a, b) else _NUMBER
    if in_object:
        raise _LostError
    return _MIXED
