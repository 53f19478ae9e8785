"""Which type holds the values of two, and which change of a type no reader notices."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stocktake.schema.types import Type, parse
from stocktake.schema.widening import is_widening, widen
from tests.support.types import SCALARS, TYPES


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
        ("Decimal64(2)", "Decimal(4, 3)", "Decimal(19, 3)"),
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
        ("Nullable(Nothing)", "Tuple(a Int8)", "Tuple(a Int8)"),
        ("Nullable(Nothing)", "Nullable(Tuple(a Int8))", "Nullable(Tuple(a Int8))"),
        ("Nullable(Nothing)", "UInt8", "Nullable(UInt8)"),
        ("Nullable(Nothing)", "Float32", "Nullable(Float32)"),
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
    assert str(widen(parse(a), parse(b))) == wider


@given(TYPES)
def test_type_widened_by_itself_stays(type_: Type) -> None:
    assert widen(type_, type_) == widen(type_, parse(str(type_))) == type_
    assert is_widening(type_, type_)


@given(SCALARS, SCALARS)
def test_widening_does_not_depend_on_the_order(a: Type, b: Type) -> None:
    assert widen(a, b) == widen(b, a)


@given(TYPES, TYPES)
def test_widening_again_changes_nothing(a: Type, b: Type) -> None:
    wider = widen(a, b)
    assert widen(wider, a) == widen(wider, b) == wider


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
    assert is_widening(parse(old), parse(new))
    assert not is_widening(parse(new), parse(old))


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
    assert not is_widening(parse(old), parse(new))


@pytest.mark.parametrize("broken", ["", "Array(", "Tuple(a", "'", ")", "Nullable()"])
def test_type_that_makes_no_sense_widens_to_a_text(broken: str) -> None:
    assert str(widen(parse(broken), parse("Int8"))) == "String"


@given(st.lists(SCALARS.filter(lambda kind: kind.name != "Decimal"), min_size=3, max_size=3))
def test_scalars_of_three_files_widen_alike_in_whatever_order(kinds: list[Type]) -> None:
    a, b, c = kinds
    left, right = widen(widen(a, b), c), widen(a, widen(b, c))
    # a text takes in all, but what two numbers make may be no text to a third
    assert left == right or "String" in (left.name, right.name)


@given(TYPES, TYPES)
def test_a_type_only_grows_into_what_it_is_widened_to(a: Type, b: Type) -> None:
    wider = widen(a, b)
    assert is_widening(a, wider) or holds_text(wider)


def holds_text(type_: Type) -> bool:
    return type_.name == "String" or any(map(holds_text, type_.inner))


@given(TYPES, TYPES)
def test_what_grew_both_ways_is_the_same_but_for_the_order_of_elements(a: Type, b: Type) -> None:
    if is_widening(a, b) and is_widening(b, a):
        assert in_order(a) == in_order(b)


def in_order(type_: Type) -> object:
    inner = [(name or "", in_order(each)) for name, each in type_.fields or ()]
    if type_.name == "Tuple":
        inner.sort(key=lambda pair: pair[0])
    return type_.name, type_.nullable, type_.parameters, inner


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Tuple(b Int8)", "Tuple(a Nullable(Int8), b Int8)"),
        ("Tuple(a Int8, b Int8)", "Tuple(b Int8, a Int16)"),
        ("Tuple(a Int8)", "Tuple(b Int8, a Int8)"),
        ("Array(Tuple(b Int8))", "Array(Tuple(a Int8, b Int8))"),
        ("Map(String, Tuple(b Int8))", "Map(String, Tuple(a Int8, b Int64))"),
    ],
)
def test_element_may_come_before_those_that_were_there(old: str, new: str) -> None:
    assert is_widening(parse(old), parse(new))
