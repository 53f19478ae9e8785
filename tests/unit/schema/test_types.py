"""Type strings: parsing, widening, and the names that clients see."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stocktake.schema.types import (
    is_widening,
    make_nullable,
    override_type,
    parse,
    render,
    tuple_label,
    widen,
    wire_type,
)

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
)
NULLABLE = st.one_of(LEAVES, LEAVES.map(lambda leaf: f"Nullable({leaf})"))
NAMES = st.sampled_from(["a", "b", "`two words`", "`a\\`, (b`"])


def nested(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    tuples = st.dictionaries(NAMES, inner, min_size=1, max_size=3).map(
        lambda fields: "Tuple(" + ", ".join(f"{name} {kind}" for name, kind in fields.items()) + ")"
    )
    return st.one_of(
        inner.map(lambda kind: f"Array({kind})"),
        inner.map(lambda kind: f"Map(String, {kind})"),
        tuples,
        tuples.map(lambda kind: f"Nullable({kind})"),
    )


TYPES = st.recursive(NULLABLE, nested, max_leaves=6)


@given(TYPES)
def test_what_was_parsed_is_printed_the_same(clickhouse: str) -> None:
    assert render(parse(clickhouse)) == clickhouse


def test_quotes_hide_commas_and_parentheses() -> None:
    node = parse("Tuple(`a, (b` Enum8('x, y' = 1, ')' = 2), c DateTime64(6, 'UTC'))")
    assert [arg.label for arg in node.args or ()] == ["`a, (b`", "c"]
    assert len((node.args or ())[0].args or ()) == 2


@pytest.mark.parametrize("broken", ["", "Array(", "Tuple(a", "'", ")", "Nullable()"])
def test_type_that_makes_no_sense_still_parses_and_widens(broken: str) -> None:
    parse(broken)
    assert widen(broken, "Int8").removeprefix("Nullable(").rstrip(")") in ("String", "Int8")


@pytest.mark.parametrize(
    ("a", "b", "wider"),
    [
        ("Int32", "Int64", "Int64"),
        ("UInt8", "UInt32", "UInt32"),
        ("UInt8", "Int8", "Int16"),
        ("UInt32", "Int64", "Int64"),
        ("UInt64", "Int8", "Int128"),
        ("UInt256", "Int8", "String"),
        ("Int64", "Float32", "Float64"),
        ("Float32", "Float64", "Float64"),
        ("Nullable(Int32)", "Int64", "Nullable(Int64)"),
        ("Int64", "Bool", "String"),
        ("Int64", "Nullable(String)", "Nullable(String)"),
        ("Decimal(10, 2)", "Decimal(12, 6)", "Decimal(14, 6)"),
        ("Decimal(10, 2)", "Int32", "Decimal(12, 2)"),
        ("Decimal32(2)", "Decimal(9, 2)", "Decimal(9, 2)"),
        ("Decimal(76, 0)", "Decimal(76, 76)", "String"),
        ("Decimal(10, 2)", "Float32", "Float64"),
        ("Date", "Date32", "Date32"),
        ("Date", "DateTime", "DateTime"),
        ("Date32", "DateTime", "DateTime64(0)"),
        ("Date", "DateTime64(9)", "DateTime64(9)"),
        ("DateTime64(3, 'UTC')", "DateTime64(6, 'UTC')", "DateTime64(6, 'UTC')"),
        ("DateTime64(3, 'UTC')", "DateTime64(6)", "DateTime64(6)"),
        ("DateTime('UTC')", "Date", "DateTime('UTC')"),
        ("Date", "Int32", "String"),
        ("FixedString(4)", "FixedString(8)", "String"),
        ("LowCardinality(Nullable(String))", "String", "Nullable(String)"),
        ("Nothing", "Int8", "Nullable(Int8)"),
        ("Nullable(Nothing)", "Array(Int8)", "Array(Int8)"),
        ("Array(Int8)", "Array(Nullable(Float32))", "Array(Nullable(Float64))"),
        ("Array(Int8)", "Array(Bool)", "Array(String)"),
        ("Array(Int8)", "Nullable(Int8)", "Nullable(String)"),
        ("Map(String, Int8)", "Map(String, Int16)", "Map(String, Int16)"),
        ("Tuple(a Int8)", "Tuple(a Int16)", "Tuple(a Int16)"),
        (
            "Tuple(a Int8, b Int8)",
            "Tuple(c Int8, b Date)",
            "Tuple(a Nullable(Int8), b String, c Nullable(Int8))",
        ),
        ("Nullable(Tuple(a Int8))", "Tuple(a Int16)", "Nullable(Tuple(a Int16))"),
        ("Tuple(Int8, Int8)", "Tuple(Int16, Int8)", "Tuple(Int16, Int8)"),
        ("Tuple(Int8)", "Tuple(Int8, Int8)", "String"),
        ("Tuple(a Int8)", "Map(String, Int8)", "String"),
        ("JSON", "Tuple(a Int8)", "String"),
    ],
)
def test_two_types_widen_to(a: str, b: str, wider: str) -> None:
    assert widen(a, b) == wider


@given(TYPES)
def test_type_widened_by_itself_stays(clickhouse: str) -> None:
    assert widen(clickhouse, clickhouse) == clickhouse
    assert is_widening(clickhouse, clickhouse)


@given(NULLABLE, NULLABLE)
def test_widening_does_not_depend_on_the_order(a: str, b: str) -> None:
    assert widen(a, b) == widen(b, a)


@given(TYPES, TYPES)
def test_widening_again_changes_nothing(a: str, b: str) -> None:
    wider = widen(a, b)
    assert widen(wider, a) == widen(wider, b) == wider


@given(TYPES)
def test_nullable_is_put_on_once(clickhouse: str) -> None:
    once = make_nullable(clickhouse)
    assert make_nullable(once) == once
    assert not once.startswith(("Nullable(Array", "Nullable(Map"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Int32", "Nullable(Int32)"),
        ("Int32", "Float64"),
        ("Date", "DateTime"),
        ("FixedString(4)", "String"),
        ("Array(Int8)", "Array(Int64)"),
        ("Tuple(a Int8)", "Tuple(a Int8, b Nullable(Int8))"),
        ("Nullable(Nothing)", "Nullable(Int64)"),
    ],
)
def test_old_values_fit_the_new_type_but_not_the_other_way(old: str, new: str) -> None:
    assert is_widening(old, new)
    assert not is_widening(new, old)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Int64", "String"),
        ("Array(Int64)", "Array(String)"),
        ("Tuple(a Int8)", "Tuple(a String)"),
        ("Bool", "Int64"),
        ("Array(Int8)", "String"),
    ],
)
def test_change_that_readers_notice_is_no_widening(old: str, new: str) -> None:
    assert not is_widening(old, new)


@pytest.mark.parametrize(
    ("name", "clickhouse", "hogql"),
    [
        ("integer", "Nullable(Int64)", "IntegerDatabaseField"),
        ("FLOAT", "Nullable(Float64)", "FloatDatabaseField"),
        ("Decimal", "Nullable(Decimal)", "DecimalDatabaseField"),
        ("string", "Nullable(String)", "StringDatabaseField"),
        ("DateTime", "Nullable(DateTime64)", "DateTimeDatabaseField"),
        ("date", "Nullable(Date)", "DateDatabaseField"),
        ("boolean", "Nullable(Bool)", "BooleanDatabaseField"),
        ("array", "Nullable(Array)", "StringArrayDatabaseField"),
        ("json", "Nullable(Map)", "StringJSONDatabaseField"),
    ],
)
def test_user_may_set(name: str, clickhouse: str, hogql: str) -> None:
    assert override_type(name) == (clickhouse, hogql)


@pytest.mark.parametrize("name", ["uuid", "unknown", "another_type", "", "Nullable(Int64)"])
def test_user_may_not_set(name: str) -> None:
    assert override_type(name) is None


@pytest.mark.parametrize(
    ("word", "wire"),
    [
        ("String", "string"),
        ("Integer", "integer"),
        ("Float", "float"),
        ("Decimal", "decimal"),
        ("Boolean", "boolean"),
        ("Date", "date"),
        ("DateTime", "datetime"),
        ("UUID", "uuid"),
        ("StringArray", "array"),
        ("StringJSON", "json"),
        ("Unknown", "unknown"),
    ],
)
def test_class_has_a_name_on_the_wire(word: str, wire: str) -> None:
    assert wire_type(f"{word}DatabaseField") == wire


def test_label_that_needs_quotes_gets_them() -> None:
    labels = [tuple_label(name) for name in ("a_1", "1a", "a`b", "a\\b", "a\nb", "True", "Ä")]
    assert labels == ["a_1", "`1a`", "`a\\`b`", "`a\\\\b`", "`a\\nb`", "`True`", "`Ä`"]
