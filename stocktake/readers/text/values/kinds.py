"""From values to types: what ClickHouse would infer for a text, a JSON value, a CSV field.

A `Kind` is a type under way: the word for a scalar, one of the three containers, or None where
only nulls were seen; `type_of` makes a type of it. ClickHouse's own inference is the specification;
docs/types.md lists the differences.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from stocktake.readers.text.values.dates import DATETIME64, STRING, TIMES, Order, join_times
from stocktake.readers.text.values.numbers import BOOL, NUMBER_KINDS, NUMBER_TYPES, join_numbers
from stocktake.schema.types import Field, Type, array_of, map_of, scalar, tuple_of

DYNAMIC: Final = "Dynamic"
#: What is a text in the source.
TEXTS: Final = frozenset({STRING, *TIMES})


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


#: Told of the keys that lead to a value, from the column's down, and of two kinds there that only a
#: text holds both.
Mixed = Callable[[tuple[str, ...], Kind, Kind], None]


def untold(_keys: tuple[str, ...], _a: Kind, _b: Kind) -> None:
    """Do nothing: nobody wants to know."""


def join_json(a: Kind, b: Kind, mixed: Mixed = untold, keys: tuple[str, ...] = ()) -> Kind:
    """Return the narrowest kind that holds both: true and 1 make integers, and what has nothing in
    common makes String, into which ClickHouse reads any value as it is written.

    Args:
        a: what was joined so far; the objects in it take in the fields of b's.
        mixed: told where such a String comes to be.
        keys: where the two stand, for it.

    >>> join_json("Bool", "Int64"), join_json(Array(element=None), "Int64")
    ('Int64', 'String')
    """
    if a is None or b is None:
        return b if a is None else a
    if isinstance(a, str) and isinstance(b, str):
        joined = a if a == b else _join_scalars(a, b)
        if joined == STRING and not {a, b} <= TEXTS:
            mixed(keys, a, b)
        return joined
    if isinstance(a, Array) and isinstance(b, Array):
        return Array(element=join_json(a.element, b.element, mixed, keys))
    if isinstance(a, Tuple) and isinstance(b, Tuple):
        return _join_tuples(a, b, mixed, keys)
    # A Dynamic too: what it would make of the other's values is not known any more.
    mixed(keys, a, b)
    return STRING


def _join_tuples(a: Tuple, b: Tuple, mixed: Mixed, keys: tuple[str, ...]) -> Tuple:
    fields = a.fields
    for name, kind in b.fields.items():
        before = fields.get(name)
        more = -count_fields(before) if name in fields else 1
        fields[name] = joined = join_json(before, kind, mixed, (*keys, name))
        a.count += more + count_fields(joined)
    return a


def join_csv(a: Kind, b: Kind, *, nested: bool = False) -> Kind:
    """Return the narrowest kind that holds the fields of both: true and 1 make String.

    Args:
        nested: whether a and b are elements of a container.

    Raises:
        KindConflictError: there is none.

    >>> join_csv("Int64", "Float64"), join_csv("Bool", "Int64")
    ('Float64', 'String')
    """
    if a is None or b is None:
        return b if a is None else a
    if isinstance(a, str) and isinstance(b, str):
        if a == b:
            return a
        joined = STRING if BOOL in (a, b) else _join_scalars(a, b)
        # A list of numbers and texts is no list: the whole field is a text, which the caller makes
        # of this.
        if nested and joined == STRING and not {a, b} <= TEXTS:
            raise KindConflictError(a, b)
        return joined
    if isinstance(a, Array) and isinstance(b, Array):
        return Array(element=join_csv(a.element, b.element, nested=True))
    if isinstance(a, Map) and isinstance(b, Map):
        return Map(value=join_csv(a.value, b.value, nested=True))
    raise KindConflictError(a, b)


def _join_scalars(a: str, b: str) -> str:
    if a in NUMBER_KINDS and b in NUMBER_KINDS:
        return join_numbers(a, b)
    return join_times(a, b) if a in TIMES and b in TIMES else STRING


#: What each scalar is as a column's type.
_TYPES: Final = {
    STRING: scalar(STRING, nullable=True),
    DYNAMIC: scalar(DYNAMIC),
    **{kind: scalar(type_, nullable=True) for kind, type_ in NUMBER_TYPES.items()},
    **{
        kind: scalar("DateTime64", "9", nullable=True)
        if time.type == DATETIME64
        else scalar(time.type, nullable=True)
        for kind, time in TIMES.items()
    },
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
    if not isinstance(kind, str):
        return type(kind).__name__
    order = TIMES[kind].order if kind in TIMES else Order.NOTHING
    told = f", {order}" if order in (Order.DAY_FIRST, Order.MONTH_FIRST) else ""
    return f"{_TYPES[kind].bare}{told}"
