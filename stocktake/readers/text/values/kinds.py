"""From values to types: what ClickHouse would infer for a text, a JSON value, a CSV field.

A `Kind` is a type under way: the word for a scalar, one of the three containers, or None where
only nulls were seen; `type_of` makes a type of it. ClickHouse's own inference is the specification;
docs/types.md lists the differences.
"""

from dataclasses import dataclass, field
from typing import Final

from stocktake.readers.text.values.dates import DATE, DATETIME, DATETIME64, STRING
from stocktake.schema.types import Field, Type, array_of, map_of, scalar, tuple_of

INT64: Final = "Int64"


UINT64: Final = "UInt64"


FLOAT64: Final = "Float64"


BOOL: Final = "Bool"


DYNAMIC: Final = "Dynamic"


_NUMBERS: Final = (BOOL, INT64, UINT64, FLOAT64)


_TIMES: Final = (DATE, DATETIME, DATETIME64)


_TEXTS: Final = frozenset({STRING, *_TIMES})


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
        # In a CSV a list of numbers and texts is no list: the whole field is a text, which the
        # caller makes of this.
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


#: What each scalar is as a column's type.
_TYPES: Final = {
    **{name: scalar(name, nullable=True) for name in (*_NUMBERS, STRING, DATE, DATETIME)},
    DATETIME64: scalar("DateTime64", "9", nullable=True),
    DYNAMIC: scalar(DYNAMIC),
}
#: What was always null until the files are united: `widen` gives way to the other.
UNKNOWN: Final = scalar("Nothing", nullable=True)
_KEY: Final = scalar("String")


def type_of(kind: Kind) -> Type:
    """Return the ClickHouse type, every scalar and every Tuple nullable; `UNKNOWN` for what was
    always null.

    >>> str(type_of(Tuple(fields={"b": Array(element=None), "a": "Int64"})))
    'Nullable(Tuple(a Nullable(Int64), b Array(Nullable(Nothing))))'
    """
    if isinstance(kind, str):
        return _TYPES[kind]
    if isinstance(kind, Array):
        return array_of(type_of(kind.element))
    if isinstance(kind, Map):
        return map_of(_KEY, type_of(kind.value))
    if kind is None or not kind.fields:
        return UNKNOWN
    # ClickHouse sorts the elements by name
    elements = (Field(name, type_of(kind.fields[name])) for name in sorted(kind.fields))
    return tuple_of(elements, nullable=True)


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
