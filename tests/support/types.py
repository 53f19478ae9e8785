"""Types as hypothesis draws them."""

from hypothesis import strategies as st

from stocktake.schema.types import Field, Type, array_of, make_nullable, map_of, parse, tuple_of

LEAVES = st.sampled_from(
    [
        *(f"{sign}Int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)),
        "Float32",
        "Float64",
        "Decimal(18, 2)",
        "Decimal(76, 10)",
        "Bool",
        "String",
        "FixedString(4)",
        "Date",
        "Date32",
        "DateTime",
        "DateTime64(3, 'UTC')",
        "DateTime64(9)",
        "UUID",
        "JSON",
        "Enum8('a, (b' = 1, 'it\\'s' = 2)",
    ]
).map(parse)
SCALARS = LEAVES | LEAVES.map(make_nullable)
#: Names that a careless hand would take for a part of the type around them.
AWKWARD = st.sampled_from(
    ["two words", "a`, (b", "\\", "`", "a\nb", "true", "Table", "1", "é", "Nullable(Nothing)", ")"]
)
NAMES = st.sampled_from(["a", "b", "c"]) | AWKWARD


def nested(inner: st.SearchStrategy[Type]) -> st.SearchStrategy[Type]:
    """Types that hold these."""
    elements = st.dictionaries(NAMES, inner, min_size=1, max_size=3).map(
        lambda kinds: [Field(name, kind) for name, kind in kinds.items()]
    )
    return st.one_of(
        inner.map(array_of),
        inner.map(lambda value: map_of(parse("String"), value)),
        elements.map(tuple_of),
        elements.map(lambda fields: tuple_of(fields, nullable=True)),
    )


TYPES = st.recursive(SCALARS, nested, max_leaves=6)
