"""A column's type as a value: a small frozen tree, and its text as ClickHouse writes it.

Everything works on the tree. `parse` and `str` are its only ways from and to a text; Arrow and
Delta have theirs beside the readers and in `loading`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final, NamedTuple

#: Types that hold named elements, and all that hold other types.
_NAMED: Final = frozenset({"Tuple", "Nested"})
_NESTING: Final = frozenset({"Array", "Map", *_NAMED})
#: How many types those hold whose elements have no names.
_COUNTS: Final = {"Array": 1, "Map": 2}
#: Geometry: a Point is two numbers, the others are arrays of points, the last is any of them.
GEOMETRIES: Final = frozenset(
    {"Point", "MultiPoint", "Ring", "LineString", "MultiLineString", "Polygon", "MultiPolygon"}
    | {"Geometry"}
)
#: Types that ClickHouse does not let stand inside Nullable, or that we never wrap ourselves:
#: a Tuple may be nullable where the source says so, not because one of its files lacks it.
_NEVER_WRAPPED: Final = frozenset({*_NESTING, *GEOMETRIES, "Dynamic", "Variant"})

#: Names that ClickHouse quotes though they are identifiers, in any letter case (asked of 26.9).
_QUOTED: Final = frozenset(
    {"all", "distinct", "false", "from", "inf", "infinity", "nan", "null", "select", "table"}
    | {"top", "true", "values"}
)
_ESCAPES: Final = {
    "\\": "\\", "`": "`", "\n": "n", "\t": "t", "\r": "r", "\b": "b", "\f": "f", "\0": "0",
}  # fmt: skip
_ESCAPED: Final = str.maketrans({plain: f"\\{letter}" for plain, letter in _ESCAPES.items()})
_UNESCAPED: Final = {letter: plain for plain, letter in _ESCAPES.items()}

#: Longer texts are parsed each time, so that what is remembered stays small.
_LONGEST_KEPT: Final = 100

_LABEL: Final = r"(`(?:[^`\\]++|\\.)*+`|[A-Za-z_]\w*+)"
#: An element as nearly all are: its name, a plain type, and what ends it.
_PLAIN_ELEMENT: Final = re.compile(rf"{_LABEL} (?:Nullable\((\w++)\)|(\w++))([,)]) ?", re.DOTALL)
_ELEMENT_NAME: Final = re.compile(rf"{_LABEL} (?=\S)", re.DOTALL)
#: Parameters in which no quote hides a comma or a parenthesis.
_PLAIN_PARAMETERS: Final = re.compile(r"((?:[^()'`]++|'[^'\\,()]*+')*+)\)")
_WORD: Final = re.compile(r"\w++")
_BLANKS: Final = re.compile(r"\s*+")
#: A quote that nothing closes takes in all that follows: it is not looked for again behind it.
_TOKEN: Final = re.compile(
    r"[^(),'`]++|'(?:[^'\\]++|\\.)*+(?:'|\\?\Z)|`(?:[^`\\]++|\\.)*+(?:`|\\?\Z)|[(),]", re.DOTALL
)
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)


class Field(NamedTuple):
    """What a type holds: an element of a Tuple by its name, or one without a name.

    Attributes:
        name: as the source spells it, never quoted; None for what an Array or a Map holds.
        type: its own type.
    """

    name: str | None
    type: "Type"


@dataclass(frozen=True, slots=True)
class Type:
    """One type.

    Attributes:
        name: ClickHouse's word, such as ``Int64`` or ``Tuple``; a whole text that was not
            understood.
        nullable: whether it stands in ``Nullable(…)``.
        low_cardinality: whether it stands in ``LowCardinality(…)``.
        parameters: of a type that holds no others, as written: ``18``, ``'UTC'``; None where
            there are no parentheses.
        fields: an Array's element, a Map's key and value, a Tuple's elements; None where there are
            no parentheses, as in the ``Array`` that a user sets.
    """

    name: str
    nullable: bool = False
    low_cardinality: bool = False
    parameters: tuple[str, ...] | None = None
    fields: tuple[Field, ...] | None = None
    _text: str | None = field(default=None, init=False, repr=False, compare=False)

    def __str__(self) -> str:
        """Return the type's text, as ClickHouse prints it.

        >>> str(tuple_of([Field("a", scalar("Int64")), Field("two words", scalar("Date"))]))
        'Tuple(a Int64, `two words` Date)'
        """
        if self._text is None:
            object.__setattr__(self, "_text", _rendered(self))
        return self._text or ""

    @property
    def bare(self) -> "Type":
        """Return the type without its outer Nullable and LowCardinality."""
        if not (self.nullable or self.low_cardinality):
            return self
        return replace(self, nullable=False, low_cardinality=False)

    @property
    def inner(self) -> tuple["Type", ...]:
        """Return the types that it holds."""
        return tuple(each.type for each in self.fields or ())


@lru_cache(maxsize=4_096)
def scalar(name: str, *parameters: str, nullable: bool = False) -> Type:
    """Return a type that holds no other one; the same object each time.

    >>> str(scalar("Decimal", "18", "2", nullable=True))
    'Nullable(Decimal(18, 2))'
    """
    return Type(name, nullable, parameters=parameters or None)


def array_of(element: Type) -> Type:
    """Make an Array, which is never nullable."""
    return Type("Array", fields=(Field(None, element),))


def map_of(key: Type, value: Type) -> Type:
    """Make a Map, which is never nullable."""
    return Type("Map", fields=(Field(None, key), Field(None, value)))


def tuple_of(elements: Iterable[Field], *, nullable: bool = False) -> Type:
    """Make a Tuple of elements in their order; all have a name, or none has."""
    return Type("Tuple", nullable, fields=tuple(elements))


def variant_of(alternatives: Iterable[Type]) -> Type:
    """Make a Variant, which is never nullable, for it holds nulls; each type once, by its text.

    >>> str(variant_of([scalar("String", nullable=True), scalar("Int32"), scalar("String")]))
    'Variant(Int32, String)'
    """
    return scalar("Variant", *sorted({str(each.bare) for each in alternatives}))


def make_nullable(type_: Type) -> Type:
    """Wrap a type in Nullable, unless it is wrapped or cannot be (Array, Map, Tuple …).

    >>> str(make_nullable(scalar("Int64"))), str(make_nullable(array_of(scalar("Int64"))))
    ('Nullable(Int64)', 'Array(Int64)')
    """
    if type_.nullable or type_.name in _NEVER_WRAPPED:
        return type_
    if type_.low_cardinality:
        return replace(type_, nullable=True)
    # Shared, as all scalars are: most comparisons of types then end at `is`.
    return scalar(type_.name, *type_.parameters or (), nullable=True)


# --- to a text ----------------------------------------------------------------------------


def element_name(name: str) -> str:
    """Return the name of a Tuple's element as ClickHouse prints it, in backquotes where it must.

    >>> element_name("plain"), element_name("two words"), element_name("Table")
    ('plain', '`two words`', '`Table`')
    """
    if name.isascii() and name.isidentifier() and name.lower() not in _QUOTED:
        return name
    return f"`{name.translate(_ESCAPED)}`"


def _rendered(type_: Type) -> str:
    text = type_.name
    if type_.fields is not None:
        inside = [
            inner._text or _rendered(inner)
            if name is None
            else f"{element_name(name)} {inner._text or _rendered(inner)}"
            for name, inner in type_.fields
        ]
        text += f"({', '.join(inside)})"
    elif type_.parameters is not None:
        text += f"({', '.join(type_.parameters)})"
    if type_.nullable:
        text = f"Nullable({text})"
    # ClickHouse has LowCardinality(Nullable(x)), and never the other way round.
    if type_.low_cardinality:
        text = f"LowCardinality({text})"
    if type_.fields is None:
        # there are few of them, and they are shared
        object.__setattr__(type_, "_text", text)
    return text


# --- from a text --------------------------------------------------------------------------


class _OpaqueError(ValueError):
    """The text is no type that we know how to take apart."""


def parse(clickhouse: str) -> Type:
    """Parse a type's text; one that is not understood becomes a type of that name.

    What ClickHouse prints comes back exactly: ``str(parse(text)) == text``.

    >>> parse("Nullable(Decimal(18, 2))").parameters
    ('18', '2')
    """
    if len(clickhouse) <= _LONGEST_KEPT:
        return _remembered(clickhouse)
    return _parse(clickhouse)


def _parse(clickhouse: str) -> Type:
    text = clickhouse.strip()
    try:
        type_, end = _type_at(text, 0)
    except _OpaqueError:
        return Type(text)
    return type_ if end == len(text) else Type(text)


_remembered = lru_cache(maxsize=4_096)(_parse)


def _type_at(text: str, at: int) -> tuple[Type, int]:
    """Return the type that begins there, and where it ends, with the blanks behind it."""
    word = _WORD.match(text, at)
    if word is None:
        raise _OpaqueError
    name, end = word[0], word.end()
    if not text.startswith("(", end):
        return scalar(name), _after_blanks(text, end)
    if name in ("Nullable", "LowCardinality"):
        inner, end = _type_at(text, _after_blanks(text, end + 1))
        if not text.startswith(")", end):
            raise _OpaqueError
        return _wrapped(name, inner), _after_blanks(text, end + 1)
    if name in _NESTING:
        fields, end = _fields_at(text, _after_blanks(text, end + 1), named=name in _NAMED)
        if name in _COUNTS and len(fields) != _COUNTS[name]:
            raise _OpaqueError
        return Type(name, fields=fields), _after_blanks(text, end)
    parameters, end = _parameters_at(text, end + 1)
    # `scalar` knows no empty parentheses, and they must come back when it is printed.
    type_ = scalar(name, *parameters) if parameters else Type(name, parameters=())
    return type_, _after_blanks(text, end)


def _wrapped(wrapper: str, inner: Type) -> Type:
    if wrapper == "LowCardinality":
        return replace(inner, low_cardinality=True)
    # The shared object, where the type is one that `scalar` can make.
    if inner.fields is None and inner.parameters != () and not inner.low_cardinality:
        return scalar(inner.name, *inner.parameters or (), nullable=True)
    return replace(inner, nullable=True)


def _after_blanks(text: str, at: int) -> int:
    blanks = _BLANKS.match(text, at)
    return blanks.end() if blanks else at


def _fields_at(text: str, at: int, *, named: bool) -> tuple[tuple[Field, ...], int]:
    """Return what stands in parentheses, up to behind the closing one."""
    fields: list[Field] = []
    if text.startswith(")", at):
        return (), at + 1
    while True:
        if named and (plain := _PLAIN_ELEMENT.match(text, at)):
            label, wrapped, bare, last = plain.groups()
            type_ = scalar(wrapped, nullable=True) if wrapped else scalar(bare)
            fields.append(Field(_unquoted(label), type_))
            # the blank behind the closing parenthesis is not ours
            at = plain.end() if last == "," else plain.start(4) + 1
        else:
            label_at = _ELEMENT_NAME.match(text, at) if named else None
            name = _unquoted(label_at[1]) if label_at else None
            type_, at = _type_at(text, label_at.end() if label_at else at)
            fields.append(Field(name, type_))
            last = text[at : at + 1]
            at += 1
        if last == ")":
            return tuple(fields), at
        if last != ",":
            raise _OpaqueError
        if text.startswith(" ", at):
            at = _after_blanks(text, at)


def _parameters_at(text: str, at: int) -> tuple[tuple[str, ...], int]:
    """Return the parameters as they are written, up to behind the closing parenthesis."""
    if plain := _PLAIN_PARAMETERS.match(text, at):
        return tuple(map(str.strip, plain[1].split(","))) if plain[1] else (), plain.end()
    parameters: list[str] = []
    depth, begin = 0, at
    for token in _TOKEN.finditer(text, at):
        match token[0]:
            case "(":
                depth += 1
            case ")" if depth:
                depth -= 1
            case "," if not depth:
                parameters.append(text[begin : token.start()].strip())
                begin = token.end()
            case ")":
                parameters.append(text[begin : token.start()].strip())
                return tuple(parameters), token.end()
    raise _OpaqueError


def _unquoted(label: str) -> str:
    if not label.startswith("`"):
        return label
    if "\\" not in label:
        return label[1:-1]
    return _ESCAPE.sub(lambda found: _UNESCAPED.get(found[1], found[1]), label[1:-1])
