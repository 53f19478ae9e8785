"""From values to types: what ClickHouse would infer for a text, a JSON value, a CSV field.

A `Kind` is a type under way: a ClickHouse scalar's name, one of the three containers, or None
where only nulls were seen. ClickHouse's own inference is the specification; docs/types.md lists
the differences.
"""

import re
from dataclasses import dataclass, field
from typing import Final

from stocktake.readers.text.values.dates import DATE, DATETIME, DATETIME64, STRING

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
    """Return how many fields the objects in a kind have in all.

    >>> count_fields(Array(element=Tuple(fields={"a": None, "b": Tuple(fields={"c": None})})))
    3
    """
    while isinstance(kind, Array | Map):
        kind = kind.element if isinstance(kind, Array) else kind.value
    return kind.count if isinstance(kind, Tuple) else 0


def join(a: Kind, b: Kind, *, json_rules: bool, nested: bool = False) -> Kind:
    """Return the narrowest kind that holds both.

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
    """Return the ClickHouse type, every scalar and every Tuple nullable.

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
    """Return the kind in one short word, for messages."""
    if kind is None:
        return "null"
    return kind if isinstance(kind, str) else type(kind).__name__


INT64_RANGE: Final = range(-(2**63), 2**63)


UINT64_RANGE: Final = range(2**64)


def _integer(value: int, beyond: str) -> str:
    if value in INT64_RANGE:
        return INT64
    return UINT64 if value in UINT64_RANGE else beyond
