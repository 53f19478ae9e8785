"""From values to types: what ClickHouse would infer for a text, a JSON value, a CSV field.

A `Kind` is a type under way: a ClickHouse scalar's name, one of the three containers, or None
where only nulls were seen. ClickHouse's own inference is the specification; docs/types.md lists
the differences.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, Final

from stocktake.introspection.moments import DATE, DATETIME, DATETIME64, STRING, infer_text

INT64: Final = "Int64"
UINT64: Final = "UInt64"
FLOAT64: Final = "Float64"
BOOL: Final = "Bool"
DYNAMIC: Final = "Dynamic"

_NUMBERS: Final = (BOOL, INT64, UINT64, FLOAT64)
_TIMES: Final = (DATE, DATETIME, DATETIME64)
_TEXTS: Final = frozenset({STRING, *_TIMES})
_PLAIN_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: Words that ClickHouse quotes when it prints a Tuple's element names.
_QUOTED_WORDS: Final = frozenset({"all", "distinct", "from", "null", "select", "table"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Array:
    """A list; its element is None while only empty ones were seen."""

    element: "Kind"


@dataclass(frozen=True, slots=True, kw_only=True)
class Map:
    """A CSV field such as ``{'a':1}``: text to one kind of value."""

    value: "Kind"


@dataclass(slots=True, kw_only=True)
class Tuple:
    """A JSON object. It grows in place, so that a new key costs no copy of all those before it.

    Attributes:
        count: of its fields, those of the objects in them included.
    """

    fields: "dict[str, Kind]"
    count: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        self.count = len(self.fields) + sum(map(count_fields, self.fields.values()))


Kind = str | Array | Map | Tuple | None


class KindConflictError(ValueError):
    """No type holds both: an array against a number, an object against a text."""

    def __init__(self, a: Kind, b: Kind) -> None:
        super().__init__(f"{describe(a)} against {describe(b)}")


class NestingError(ValueError):
    """A value is nested more deeply than the caller allows."""


def count_fields(kind: Kind) -> int:
    """How many fields the objects in a kind have in all.

    >>> count_fields(Array(element=Tuple(fields={"a": None, "b": Tuple(fields={"c": None})})))
    3
    """
    while isinstance(kind, Array | Map):
        kind = kind.element if isinstance(kind, Array) else kind.value
    return kind.count if isinstance(kind, Tuple) else 0


# --- joining and printing -----------------------------------------------------------------


def join(a: Kind, b: Kind, *, json_rules: bool, nested: bool = False) -> Kind:
    """The narrowest kind that holds both.

    Args:
        a: what was joined so far; the objects in it take in the fields of b's.
        json_rules: JSON's true and 1 make Int64; CSV's make String.
        nested: whether a and b are elements of a container.

    Raises:
        KindConflictError: there is none.

    >>> join("Int64", "Float64", json_rules=False), join("Bool", "Int64", json_rules=True)
    ('Float64', 'Int64')
    """
    if a is None or b is None:
        return b if a is None else a
    if isinstance(a, str) and isinstance(b, str):
        if a == b:
            return a
        joined = _join_scalars(a, b, json_rules=json_rules)
        if nested and not json_rules and joined == STRING and not {a, b} <= _TEXTS:
            raise KindConflictError(a, b)
        return joined
    if isinstance(a, Array) and isinstance(b, Array):
        return Array(element=join(a.element, b.element, json_rules=json_rules, nested=True))
    if isinstance(a, Map) and isinstance(b, Map):
        return Map(value=join(a.value, b.value, json_rules=json_rules, nested=True))
    if isinstance(a, Tuple) and isinstance(b, Tuple):
        return _join_tuples(a, b)
    if DYNAMIC in (a, b):
        return DYNAMIC
    raise KindConflictError(a, b)


def _join_scalars(a: str, b: str, *, json_rules: bool) -> str:
    if a in _NUMBERS and b in _NUMBERS and (json_rules or BOOL not in (a, b)):
        return max(a, b, key=_NUMBERS.index)
    if a in _TIMES and b in _TIMES:
        return max(a, b, key=_TIMES.index)
    return STRING


def _join_tuples(a: Tuple, b: Tuple) -> Tuple:
    fields = a.fields
    for name, kind in b.fields.items():
        before = fields.get(name)
        more = -count_fields(before) if name in fields else 1
        fields[name] = joined = join(before, kind, json_rules=True)
        a.count += more + count_fields(joined)
    return a


def render(kind: Kind, *, unknown: str = STRING) -> str:
    """The ClickHouse type, every scalar and every Tuple nullable.

    Args:
        unknown: the type of what was always null.

    >>> render(Tuple(fields={"b": Array(element=None), "a": "Int64"}))
    'Nullable(Tuple(a Nullable(Int64), b Array(Nullable(String))))'
    """
    if isinstance(kind, Array):
        return f"Array({render(kind.element, unknown=unknown)})"
    if isinstance(kind, Map):
        return f"Map(String, {render(kind.value, unknown=unknown)})"
    if isinstance(kind, Tuple) and kind.fields:
        # ClickHouse sorts the elements by name
        inside = ", ".join(
            f"{_element_name(name)} {render(kind.fields[name], unknown=unknown)}"
            for name in sorted(kind.fields)
        )
        return f"Nullable(Tuple({inside}))"
    if kind == DYNAMIC:
        return DYNAMIC
    return f"Nullable({kind})" if isinstance(kind, str) else f"Nullable({unknown})"


def _element_name(name: str) -> str:
    if _PLAIN_NAME.fullmatch(name) and name.lower() not in _QUOTED_WORDS:
        return name
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"


def describe(kind: Kind) -> str:
    """The kind in one short word, for messages."""
    if kind is None:
        return "null"
    return kind if isinstance(kind, str) else type(kind).__name__


# --- CSV fields ---------------------------------------------------------------------------

_INTEGER: Final = re.compile(r"[+-]?[0-9]++")
_FLOAT: Final = re.compile(r"[+-]?(?:[0-9]++\.[0-9]*+|\.[0-9]++|(?i:inf(?:inity)?|nan))")
_TEXT: Final = re.compile(r"'((?:[^'\\]++|\\.)*+)'")
_NULL: Final = re.compile(r"\b(?:(NULL)|null)\b")
#: The longest field that is tried as an array: a longer one costs more than its type is worth.
_LONGEST_LITERAL: Final = 1 << 20
INT64_RANGE: Final = range(-(2**63), 2**63)
UINT64_RANGE: Final = range(2**64)


def infer_field(field: str) -> Kind:
    """The kind of a CSV field without quotes that is no null."""
    if _INTEGER.fullmatch(field):
        # nothing above 20 digits fits, and int() refuses thousands of them, zeros as well
        digits = field.lstrip("+-").lstrip("0") or "0"
        if len(digits) > 20:
            return FLOAT64
        return _integer(-int(digits) if field[0] == "-" else int(digits), FLOAT64)
    if _FLOAT.fullmatch(field):
        return FLOAT64
    return BOOL if field in ("true", "false") else infer_text(field)


def infer_quoted(text: str, *, levels: int) -> Kind:
    """The kind of a quoted CSV field: never a number, but a date, an array or a map may be.

    Args:
        levels: how deep arrays and maps may nest in it.

    Raises:
        NestingError: it is nested more deeply.
    """
    stripped = text.strip()
    if stripped[:1] in ("[", "{") and len(stripped) <= _LONGEST_LITERAL:
        return _infer_literal(stripped, levels)
    return infer_text(text)


def _infer_literal(text: str, levels: int) -> Kind:
    """ClickHouse's own notation, ``['a', 'b']`` or ``{'a': 1}``; what is not is a text."""
    try:
        return _container(parse_literal(text), levels)
    except NestingError:
        raise
    except ValueError:
        return STRING
    except RecursionError:
        # too deep for the parser, which cannot say whether it is whole
        if sum(map(text.count, "[{")) == sum(map(text.count, "]}")):
            raise NestingError from None
        return STRING


def parse_literal(text: str) -> Any:
    """The value that ClickHouse's notation stands for.

    Raises:
        ValueError: the text is not in that notation.
        RecursionError: it is nested too deeply.

    >>> parse_literal("{'a': [1, NULL]}")
    {'a': [1, None]}
    """
    if '"' in text:
        raise ValueError("ClickHouse writes its texts in single quotes")
    return json.loads("".join(_as_json(text)))


def _as_json(text: str) -> Iterator[str]:
    """The same in JSON. A quote that nothing closes ends it at once: to look for one that is
    closed behind it would read the rest again for each."""
    at = 0
    while (quote := text.find("'", at)) >= 0:
        match = _TEXT.match(text, quote)
        if match is None:
            raise ValueError("a quote is not closed")
        yield _NULL.sub(_null, text[at:quote])
        yield json.dumps(match[1])
        at = match.end()
    yield _NULL.sub(_null, text[at:])


def _null(match: re.Match[str]) -> str:
    return "null" if match[1] else "?"


def _container(value: Any, levels: int) -> Kind:
    if isinstance(value, list | dict) and levels <= 0:
        raise NestingError
    if isinstance(value, list):
        return Array(element=_join_strictly(value, levels - 1))
    if isinstance(value, dict):
        return Map(value=_join_strictly(value.values(), levels - 1))
    if isinstance(value, int) and _integer(value, STRING) == STRING:
        raise KindConflictError(UINT64, STRING)
    return infer_json(value, levels=0)


def _join_strictly(values: Iterable[Any], levels: int) -> Kind:
    kinds = (_container(value, levels) for value in values)
    return reduce(lambda a, b: join(a, b, json_rules=False, nested=True), kinds, None)


def _integer(value: int, beyond: str) -> str:
    if value in INT64_RANGE:
        return INT64
    return UINT64 if value in UINT64_RANGE else beyond


# --- JSON values --------------------------------------------------------------------------


class HugeInteger(str):
    """An integer of so many digits that Python will not make a number of it."""

    __slots__ = ()


def infer_json(value: Any, *, levels: int) -> Kind:
    """The kind of a decoded JSON value.

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
    """Whether joining the value's kind would certainly leave `kind` as it is; a cheap check
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
