"""ClickHouse type strings: parse, widen; the types that users may set; the names on the wire."""

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from stocktake.schema.columns import database_field

_LABEL = re.compile(r"(`(?:[^`\\]++|\\.)*+`|[A-Za-z_]\w*+) (?=\S)", re.DOTALL)
#: A quote that nothing closes takes in all that follows: it is not looked for again behind it.
_TOKEN = re.compile(
    r"[^(),'`]++|'(?:[^'\\]++|\\.)*+(?:'|\\?\Z)|`(?:[^`\\]++|\\.)*+(?:`|\\?\Z)|[(),]", re.DOTALL
)
_UNESCAPED = re.compile(r"\\(.)", re.DOTALL)
_INTEGER = re.compile(r"^(U?)Int(\d+)$")
_MAX_PRECISION: Final = 76
#: Decimal digits that hold every integer of so many bits.
_DIGITS: Final = {8: 3, 16: 5, 32: 10, 64: 20, 128: 39, 256: 78}
_DECIMALS: Final = {"Decimal32": 9, "Decimal64": 18, "Decimal128": 38, "Decimal256": 76}
#: Types that ClickHouse does not let stand inside Nullable, or that we never wrap ourselves:
#: a Tuple may be nullable where the source says so, not because one of its files lacks it.
_BARE: Final = frozenset({"Array", "Map", "Tuple", "Dynamic", "Variant", "Nullable"})
#: Names that ClickHouse quotes though they are identifiers, in any letter case (asked of 26.9).
_QUOTED: Final = frozenset(
    {"all", "distinct", "false", "from", "inf", "infinity", "nan", "null", "select", "table"}
    | {"top", "true", "values"}
)
#: Characters of two types whose common one is remembered.
_LONGEST_KEPT: Final = 500
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ESCAPES: Final = str.maketrans({"\\": r"\\", "`": r"\`", "\n": r"\n", "\t": r"\t", "\0": r"\0"})
_WRAPPERS: Final = frozenset({"Nullable", "LowCardinality"})
_NESTING: Final = frozenset({"Array", "Map", "Tuple", "Nested"})
_TEXT: Final = frozenset({"String", "FixedString", "Enum8", "Enum16"})

_OVERRIDES: Final = MappingProxyType(
    {
        "integer": "Nullable(Int64)",
        "float": "Nullable(Float64)",
        "decimal": "Nullable(Decimal)",
        "string": "Nullable(String)",
        "datetime": "Nullable(DateTime64)",
        "date": "Nullable(Date)",
        "boolean": "Nullable(Bool)",
        "array": "Nullable(Array)",
        "json": "Nullable(Map)",
    }
)

_WIRE: Final = MappingProxyType({"StringArray": "array", "StringJSON": "json"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One node of a parsed type.

    Attributes:
        name: ``Int64``, ``Tuple``, or a literal argument such as ``18`` or ``'UTC'``.
        args: the arguments in parentheses; None where there are no parentheses.
        label: the name of a Tuple's element, as written, or None.
    """

    name: str
    args: tuple["Node", ...] | None = None
    label: str | None = None


_STRING: Final = Node(name="String")


def parse(clickhouse: str) -> Node:
    """Parse a type string; what is not understood becomes one opaque node.

    >>> parse("Decimal(18, 2)").args[1].name
    '2'
    """
    tokens = _TOKEN.findall(clickhouse)
    try:
        node, end = _node(tokens, 0, labelled=False)
    except _OpaqueError:
        return Node(name=clickhouse.strip())
    return node if end == len(tokens) else Node(name=clickhouse.strip())


class _OpaqueError(ValueError):
    """The parentheses of a type do not match."""


def _node(tokens: list[str], at: int, *, labelled: bool) -> tuple[Node, int]:
    """Return the node that begins at a token, each of which is looked at once, and where it
    ends."""
    start = at
    while at < len(tokens) and tokens[at] not in ("(", ",", ")"):
        at += 1
    label, name = _label("".join(tokens[start:at]).strip(), labelled=labelled)
    if at == len(tokens) or tokens[at] != "(":
        return Node(name=name, label=label), at
    args: list[Node] = []
    while tokens[at] != ")":
        arg, at = _node(tokens, at + 1, labelled=name in ("Tuple", "Nested"))
        if at == len(tokens):
            raise _OpaqueError
        if tokens[at] == "," or arg.name or arg.args is not None:
            args.append(arg)
    at += 1
    while at < len(tokens) and not tokens[at].strip():
        at += 1
    if at < len(tokens) and tokens[at] not in (",", ")"):
        raise _OpaqueError
    return Node(name=name, args=tuple(args), label=label), at


def _label(text: str, *, labelled: bool) -> tuple[str | None, str]:
    match = _LABEL.match(text) if labelled else None
    return (match[1], text[match.end() :].strip()) if match else (None, text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How much there is in one type.

    Attributes:
        fields: the elements of all its Tuples.
        depth: how many arrays, maps and Tuples are in each other.
        longest: the name of an element that no other is longer than; empty where there is none.
    """

    fields: int = 0
    depth: int = 0
    longest: str = ""


def extent(clickhouse: str) -> Extent:
    """Return how much there is in a type.

    >>> extent("Array(Tuple(a Int8, `b c` Map(String, String)))")
    Extent(fields=2, depth=3, longest='b c')
    """
    fields, depth, longest = 0, 0, ""
    level = [parse(clickhouse)] if "(" in clickhouse else []
    while level:
        fields += sum(node.label is not None for node in level)
        longest = max((longest, *map(_name_of, level)), key=len)
        # what wraps a type, such as Nullable, is on the level of what it wraps
        while any(node.name in _WRAPPERS and node.args for node in level):
            level = [each for node in level for each in _unwrapped(node)]
        level = [node for node in level if node.args]
        depth += any(node.name in _NESTING for node in level)
        level = [arg for node in level for arg in node.args or ()]
    return Extent(fields=fields, depth=depth, longest=longest)


def _unwrapped(node: Node) -> tuple[Node, ...]:
    return node.args or () if node.name in _WRAPPERS else (node,)


def _name_of(node: Node) -> str:
    label = node.label or ""
    return _UNESCAPED.sub(r"\1", label[1:-1]) if label.startswith("`") else label


def render(node: Node) -> str:
    """Return the type string of a node, spaced as ClickHouse spaces it.

    >>> render(parse("Tuple(a Int64,b Nullable( String ))"))
    'Tuple(a Int64, b Nullable(String))'
    """
    label = f"{node.label} " if node.label else ""
    args = "" if node.args is None else f"({', '.join(map(render, node.args))})"
    return f"{label}{node.name}{args}"


def tuple_label(name: str) -> str:
    """Return the name of a Tuple's element as ClickHouse prints it, in backquotes where it must.

    >>> tuple_label("plain"), tuple_label("two words"), tuple_label("Table")
    ('plain', '`two words`', '`Table`')
    """
    if _IDENTIFIER.fullmatch(name) and name.lower() not in _QUOTED:
        return name
    return f"`{name.translate(_ESCAPES)}`"


def make_nullable(clickhouse: str) -> str:
    """Wrap a type in Nullable, unless it is wrapped or cannot be (Array, Map, Tuple …).

    >>> make_nullable("Int64"), make_nullable("Array(Int64)"), make_nullable("Nullable(Date)")
    ('Nullable(Int64)', 'Array(Int64)', 'Nullable(Date)')
    """
    return render(_nullable(parse(clickhouse)))


def _nullable(node: Node) -> Node:
    if node.name in _BARE:
        return node
    if node.name == "LowCardinality" and node.args:
        return replace(node, args=(_nullable(node.args[0]),))
    return Node(name="Nullable", args=(replace(node, label=None),), label=node.label)


def widen(a: str, b: str) -> str:
    """Return the narrowest type that holds the values of both; Nullable where either is.

    Integers grow, integer and float make Float64, decimals grow to 76 digits, a date with a
    date-time is a date-time; Array, Map and Tuple go element by element; all else is String.

    >>> widen("Int32", "Nullable(Int64)"), widen("UInt32", "Int32"), widen("Int64", "Bool")
    ('Nullable(Int64)', 'Int64', 'String')
    """
    if a == b:
        return a
    # a cache of types as large as a schema may be would be larger than what may be held
    return (_widen if len(a) + len(b) <= _LONGEST_KEPT else _widened)(a, b)


def _widened(a: str, b: str) -> str:
    joined = _join(parse(a), parse(b), strict=False)
    return render(joined if joined is not None else _STRING)


_widen = lru_cache(maxsize=16_384)(_widened)


def is_widening(old: str, new: str) -> bool:
    """Return whether every value and every reader of `old` still fits `new`: the table of `widen`
    without its last resort, for a number that turns into text breaks whoever adds it up.

    >>> is_widening("Int32", "Int64"), is_widening("Int64", "String")
    (True, False)
    """
    joined = _join(parse(old), parse(new), strict=True)
    return joined is not None and render(joined) == render(parse(new))


def _join(a: Node, b: Node, *, strict: bool) -> Node | None:
    """Return the common type, keeping a's label; None where only String is left and `strict`."""
    inner_a, wrapped_a = _unwrap(a)
    inner_b, wrapped_b = _unwrap(b)
    joined = _join_inner(inner_a, inner_b, strict=strict)
    if joined is None:
        if strict:
            return None
        joined = _STRING
    if "Nothing" in (inner_a.name, inner_b.name) and joined.name not in _BARE:
        wrapped_a = True
    if not (wrapped_a or wrapped_b):
        return replace(joined, label=a.label)
    # a nullable Tuple stays one, though we never make one
    if joined.name == "Tuple":
        return Node(name="Nullable", args=(joined,), label=a.label)
    return replace(_nullable(joined), label=a.label)


def _unwrap(node: Node) -> tuple[Node, bool]:
    """Return the node without Nullable and LowCardinality, and whether Nullable was there."""
    nullable = False
    while node.name in ("Nullable", "LowCardinality") and node.args:
        nullable = nullable or node.name == "Nullable"
        node = node.args[0]
    return replace(node, label=None), nullable


def _join_inner(a: Node, b: Node, *, strict: bool) -> Node | None:
    if a == b or b.name == "Nothing":
        return a
    if a.name == "Nothing":
        return b
    if a.name == b.name == "Array" and a.args and b.args:
        return _join_args(a, b, strict=strict)
    if a.name == b.name == "Map" and a.args and b.args:
        return _join_args(a, b, strict=strict)
    if a.name == b.name == "Tuple" and a.args and b.args:
        return _join_tuples(a, b, strict=strict)
    if {a.name, b.name} <= _TEXT:
        return _STRING
    return _join_numbers(a, b) or _join_times(a, b)


def _join_args(a: Node, b: Node, *, strict: bool) -> Node | None:
    pairs = zip(a.args or (), b.args or (), strict=True)
    joined = [_join(left, right, strict=strict) for left, right in pairs]
    known = tuple(node for node in joined if node is not None)
    return replace(a, args=known) if len(known) == len(joined) else None


def _join_tuples(a: Node, b: Node, *, strict: bool) -> Node | None:
    """Join named elements by name, a's first; others by position."""
    left, right = a.args or (), b.args or ()
    if any(node.label is None for node in (*left, *right)):
        same = len(left) == len(right) and all(
            one.label == other.label for one, other in zip(left, right, strict=True)
        )
        return _join_args(a, b, strict=strict) if same else None
    others = {node.label: node for node in right}
    names = {node.label for node in left}
    joined = [
        _join(node, others[node.label], strict=strict) if node.label in others else _nullable(node)
        for node in left
    ]
    joined += [_nullable(node) for node in right if node.label not in names]
    known = tuple(node for node in joined if node is not None)
    return Node(name="Tuple", args=known) if len(known) == len(joined) else None


def _join_numbers(a: Node, b: Node) -> Node | None:
    if not (_is_number(a) and _is_number(b)):
        return None
    if "Float" in (a.name[:5], b.name[:5]):
        return Node(name="Float64")
    one, other = _INTEGER.match(a.name), _INTEGER.match(b.name)
    if one and other:
        return _join_integers(one, other)
    return _join_decimals(a, b)


def _is_number(node: Node) -> bool:
    return bool(_INTEGER.match(node.name)) or node.name.startswith(("Float", "Decimal"))


def _join_integers(a: re.Match[str], b: re.Match[str]) -> Node | None:
    bits_a, bits_b = int(a[2]), int(b[2])
    if a[1] == b[1]:
        return Node(name=f"{a[1]}Int{max(bits_a, bits_b)}")
    unsigned, signed = (bits_a, bits_b) if a[1] else (bits_b, bits_a)
    bits = max(2 * unsigned, signed)
    return Node(name=f"Int{bits}") if bits <= max(_DIGITS) else None


def _join_decimals(a: Node, b: Node) -> Node | None:
    precision_a, scale_a = _decimal(a)
    precision_b, scale_b = _decimal(b)
    scale = max(scale_a, scale_b)
    precision = max(precision_a - scale_a, precision_b - scale_b) + scale
    if precision > _MAX_PRECISION:
        return None
    return Node(name="Decimal", args=(Node(name=str(precision)), Node(name=str(scale))))


def _decimal(node: Node) -> tuple[int, int]:
    """Return precision and scale; an integer is a decimal of scale 0, a bare Decimal is (10, 0)."""
    if match := _INTEGER.match(node.name):
        return _DIGITS[int(match[2])], 0
    numbers = [int(arg.name) for arg in node.args or () if arg.name.isdigit()]
    if node.name in _DECIMALS:
        return _DECIMALS[node.name], numbers[0] if numbers else 0
    precision, scale = ([*numbers, 0] if numbers else [10, 0])[:2]
    return precision, scale


def _join_times(a: Node, b: Node) -> Node | None:
    """Join dates and date-times: the larger scale, and the time zone where both name the same."""
    names = {a.name, b.name}
    if names <= {"Date", "Date32"}:
        return Node(name="Date32")
    if not all(name.startswith(("Date", "DateTime")) for name in names):
        return None
    zones = {zone for node in (a, b) if (zone := _zone(node)) is not None}
    zone = zones.pop() if len(zones) == 1 else ""
    arguments = [Node(name=zone)] if zone else []
    # DateTime ends at 2106 and begins at 1970; Date32 reaches further both ways
    if "DateTime64" in names or "Date32" in names:
        arguments.insert(0, Node(name=str(max(_scale(a), _scale(b)))))
        return Node(name="DateTime64", args=tuple(arguments))
    return Node(name="DateTime", args=tuple(arguments) or None)


def _scale(node: Node) -> int:
    if node.name != "DateTime64":
        return 0
    return int(node.args[0].name) if node.args else 3


def _zone(node: Node) -> str | None:
    """Return the quoted time zone, an empty string for none, None for a date."""
    if not node.name.startswith("DateTime"):
        return None
    return next((arg.name for arg in node.args or () if arg.name.startswith("'")), "")


def override_type(name: str) -> tuple[str, str] | None:
    """Return the ClickHouse type and the class that ``update_schema`` stores for a name.

    Args:
        name: ``integer``, ``float``, … in any letter case.

    >>> override_type("Float")
    ('Nullable(Float64)', 'FloatDatabaseField')
    """
    clickhouse = _OVERRIDES.get(name.lower())
    return (clickhouse, database_field(clickhouse)) if clickhouse else None


def wire_type(hogql: str) -> str:
    """Return the ``type`` of a column on the wire, from its stored class.

    >>> wire_type("StringJSONDatabaseField"), wire_type("DateTimeDatabaseField")
    ('json', 'datetime')
    """
    word = hogql.removesuffix("DatabaseField")
    return _WIRE.get(word, word.lower())
