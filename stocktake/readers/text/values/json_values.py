"""What a JSON value is, and whether a kind can hold it."""

from collections.abc import Callable
from typing import Any, Final

from stocktake.readers.text.values.dates import STRING, TIMES, infer_text, join_times
from stocktake.readers.text.values.dynamic import is_given_back
from stocktake.readers.text.values.kinds import (
    DYNAMIC,
    TEXTS,
    Array,
    Kind,
    Mixed,
    NestingError,
    Tuple,
    join_json,
    untold,
)
from stocktake.readers.text.values.numbers import (
    BOOL,
    FLOAT64,
    INT128,
    INT256,
    INTEGER_KINDS,
    gives_back,
    integer_kind,
    integer_range,
)


class SpelledNumber(str):
    """A number that no number's type gives back; ClickHouse reads into a String what is written."""

    __slots__ = ()


class EscapedText(str):
    """A text that is spelled with escapes, which ClickHouse does not read into a date."""

    __slots__ = ()


class EscapedObject(dict[str, Any]):
    r"""An object in a row with a key such as ``"\u00e9"``, which ClickHouse does not find in a
    Tuple: of such escapes it undoes those in the row's own keys alone.

    Args:
        values: by key.
        escaped: the keys that are spelled so.
    """

    __slots__ = ("escaped",)

    def __init__(self, values: dict[str, Any], escaped: frozenset[str]) -> None:
        super().__init__(values)
        self.escaped = escaped


def decode_float(text: str) -> float | SpelledNumber:
    """Return what a number with a fraction or an exponent is decoded to.

    >>> decode_float("1.10"), decode_float("1e400")
    (1.1, '1e400')
    """
    if len(text) > _SHORT_FLOAT or "e" in text or "E" in text:
        number = float(text)
        return number if repr(number) == text or gives_back(text) else SpelledNumber(text)
    return float(text)


#: Characters of a number that a Float64 gives back whatever its digits are.
_SHORT_FLOAT: Final = 16


def infer_json(
    value: Any, *, levels: int, mixed: Mixed = untold, keys: tuple[str, ...] = ()
) -> Kind:
    """Return the kind of a decoded JSON value.

    Args:
        levels: how deep arrays and objects may nest in it.
        mixed: told of the elements of an array that only a text holds.
        keys: those that lead to the value, for it.

    Raises:
        NestingError: it is nested more deeply.
    """
    if value is None:
        return None
    if isinstance(value, str):
        return infer_text(value) if type(value) is str else STRING
    if isinstance(value, bool):
        return BOOL
    if isinstance(value, int):
        kind = integer_kind(value)
        # ClickHouse takes what is beyond 64 bits for a text, in JSON alone.
        return STRING if kind in (INT128, INT256) else kind
    if isinstance(value, float):
        return FLOAT64
    if levels <= 0:
        raise NestingError
    if isinstance(value, list):
        return Array(element=_join_elements(value, levels - 1, mixed, keys))
    # No Tuple has an element without a name, nor gives back what stands at an escaped one; the
    # values are kept in the text.
    if "" in value:
        mixed((*keys, ""), None, None)
        return STRING
    if type(value) is not dict:
        mixed(keys, None, None)
        return STRING
    return Tuple(
        fields={
            key: infer_json(inner, levels=levels - 1, mixed=mixed, keys=(*keys, key))
            for key, inner in value.items()
        }
    )


def _join_elements(values: list[Any], levels: int, mixed: Mixed, keys: tuple[str, ...]) -> Kind:
    if set(map(type, values)) == {float}:
        return FLOAT64
    kind: Kind = None
    can_be_dynamic: bool | None = None
    for value in values:
        if holds(kind, value):
            continue
        found = infer_json(value, levels=levels, mixed=mixed, keys=keys)
        if kind != DYNAMIC and _is_mixed(kind, found) and can_be_dynamic is None:
            can_be_dynamic = is_given_back(values)
        # Those behind it are looked at all the same: they may be nested too deeply.
        is_dynamic = kind == DYNAMIC or (can_be_dynamic and _is_mixed(kind, found))
        kind = DYNAMIC if is_dynamic else join_json(kind, found, mixed, keys)
    return kind


def _is_mixed(a: Kind, b: Kind) -> bool:
    """Return whether both in one array are Dynamic: a number beside a text, or beside an object."""
    if isinstance(a, str) and isinstance(b, str):
        return (a in TEXTS) != (b in TEXTS) and BOOL not in (a, b)
    return a is not None and b is not None and type(a) is not type(b)


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


def _holds_integers(kind: str) -> Callable[[Any], bool]:
    low, high = integer_range(kind)
    # By `type` and not `isinstance`: a bool is an int to Python, and a column of its own here.
    return lambda value: type(value) is int and low <= value <= high


def _holds_times(kind: str) -> Callable[[Any], bool]:
    return lambda value: (
        type(value) is str and (own := infer_text(value)) in TIMES and join_times(kind, own) == kind
    )


_HOLDS: Final[dict[str, Callable[[Any], bool]]] = {
    STRING: lambda value: type(value) is str,
    BOOL: lambda value: type(value) is bool,
    FLOAT64: lambda value: type(value) is float,
    DYNAMIC: lambda _: False,
    **{kind: _holds_integers(kind) for kind in INTEGER_KINDS - {INT128, INT256}},
    # Of negative ones and of those that only UInt64 holds; what is beyond them is a text.
    INT128: lambda value: type(value) is int and -(2**63) <= value < 2**64,
    INT256: lambda _: False,
    **{kind: _holds_times(kind) for kind in TIMES},
}
