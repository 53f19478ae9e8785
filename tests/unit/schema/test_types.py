"""Types as values, their text, and the names in it: held against ClickHouse's own."""

import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stocktake.readers import introspect
from stocktake.readers.source import Source
from stocktake.schema.formats import TableFormat
from stocktake.schema.types import (
    Field,
    Type,
    array_of,
    element_name,
    make_nullable,
    map_of,
    parse,
    scalar,
    tuple_of,
)
from tests.support.memory import MemoryObjects
from tests.support.oracle import Case, ask, describe
from tests.support.types import TYPES

#: Names of all that may be confused with a type, with its punctuation, or with a word of SQL.
NAMES = [
    *("plain", "a_1", "_", "_x", "A", "1a", "12", "1.5", "a b", " a", "a ", " ", "a.b", "a-b"),
    *("a`b", "`", "``", "`a`", "a'b", "'", 'a"b', "a\\b", "\\", "\\\\", "\\n", "a\\`b", "a\\"),
    *("a\nb", "a\tb", "a\rb", "a\bb", "a\fb", "a\vb", "a\x07b", "a\x1bb", "a\x7fb"),
    *("é", "Ä", "日本", "😀", "a\u00a0b", "a\u200bb", "\u0130", "\u017felect"),
    *("(", ")", ",", "a,b", "a)b", "()", "$", "x$", "@", "#", "%", "{}", "[0]", "a=1", "--"),
    *("Int64", "String", "Array", "Tuple", "Nothing", "Nullable", "Nullable(Int64)"),
    *("Nullable(Nothing)", "Nullable(String)", "Array(Int8)", "Tuple(a Int8)", "Enum8('a' = 1)"),
    *("a Int8", "a Int8, b", "LowCardinality(String)", "Decimal(1, 2)", "DateTime64(3, 'UTC')"),
]
#: Words of ClickHouse's, in some letter cases.
WORDS = """
    all distinct from select table true false inf infinity nan top values
    All FROM TRUE Top VALUES Infinity NaN sELECT nULL NULL nulls nan0 inf1 tables value
    and or not in is like between case when then else end as on using join where group having
    order by limit offset union with create alter drop insert into set interval cast date time int
    array map nested if exists default key index any final settings asc desc over window qualify
    recursive substring trim div mod replace columns id
"""
#: Names that ClickHouse takes for no element, in whatever quotes.
REFUSED = ["", "null"]


@given(TYPES)
def test_what_was_printed_is_parsed_to_the_same(type_: Type) -> None:
    assert parse(str(type_)) == type_
    assert str(parse(str(type_))) == str(type_)


@given(st.text(min_size=1), TYPES)
def test_any_name_comes_back(name: str, type_: Type) -> None:
    around = tuple_of([Field(name, type_), Field(f"{name}2", scalar("Int8"))], nullable=True)
    assert parse(str(around)) == around
    assert parse(str(array_of(map_of(scalar("String"), around)))).inner[0].inner[1] == around


@given(st.text("Tuple(Aray,) `'\\\\Int8Nblecmd=1", max_size=60))
def test_any_text_comes_back_in_one_way(text: str) -> None:
    once = parse(text)
    assert parse(str(once)) == once


@pytest.mark.parametrize(
    "clickhouse",
    [
        *("Int64", "LowCardinality(Nullable(String))", "Nullable(Array)", "Nullable(Map)"),
        *("Tuple()", "Tuple(Int64, String)", "Nested(a Int8, b Array(String))", "Dynamic"),
        *("JSON(max_dynamic_paths=0, a.b UInt32, SKIP c)", "Object('json')", "Variant(Int8, Date)"),
        *(
            "Enum8('a, (b' = 1, 'it\\'s' = 2)",
            "DateTime64(3, 'UTC')",
            "AggregateFunction(sum, Int8)",
        ),
        *("Map(Tuple(a Int8), Tuple(`b c` Date))", "SimpleAggregateFunction(any, Nullable(Int8))"),
    ],
)
def test_what_clickhouse_prints_comes_back_exactly(clickhouse: str) -> None:
    assert str(parse(clickhouse)) == clickhouse


@pytest.mark.parametrize(
    "broken", ["", "Array(", "Tuple(a", "'", ")", "Nullable()", "Array()", "Map(Int8)", "a)b"]
)
def test_text_that_makes_no_sense_is_a_type_of_that_name(broken: str) -> None:
    assert parse(broken) == Type(broken)
    assert str(parse(broken)) == broken


def test_older_texts_are_parsed_as_well() -> None:
    """A release before wrote these without quotes, and control characters as they are."""
    old = "Nullable(Tuple(true Date, top Nullable(Int64),`a\nb` Array( Nullable(Int8) )))"
    assert str(parse(old)) == (
        "Nullable(Tuple(`true` Date, top Nullable(Int64), `a\\nb` Array(Nullable(Int8))))".replace(
            "top", "`top`"
        )
    )


def test_quotes_hide_commas_and_parentheses() -> None:
    type_ = parse("Tuple(`a, (b` Enum8('x, y' = 1, ')' = 2), c DateTime64(6, 'UTC'))")
    first, second = type_.fields or ()
    assert (first.name, first.type.parameters) == ("a, (b", ("'x, y' = 1", "')' = 2"))
    assert (second.name, second.type.parameters) == ("c", ("6", "'UTC'"))


def test_types_are_values() -> None:
    assert parse("Nullable(Int64)") is scalar("Int64", nullable=True)
    one, other = (parse("Tuple(a Array(Int64))" + " " * n) for n in (0, 1))
    assert one == other
    assert hash(one) == hash(other)
    assert one != parse("Tuple(b Array(Int64))")


@given(TYPES)
def test_nullable_is_put_on_once(type_: Type) -> None:
    once = make_nullable(type_)
    assert make_nullable(once) == once
    assert once.bare == type_.bare
    assert once.nullable == (type_.nullable or type_.name not in ("Array", "Map", "Tuple"))


def test_a_type_deeper_than_any_limit_is_printed_and_parsed() -> None:
    depth = min(300, sys.getrecursionlimit() // 4)
    deep = "Array(" * depth + "Int8" + ")" * depth
    assert str(parse(deep)) == deep


# --- names --------------------------------------------------------------------------------


def json_of(name: str) -> bytes:
    value = {"c": {name: 1, "zzz": {name: [{name: "x"}]}}}
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"


def test_names_are_quoted_as_clickhouse_quotes_them(tmp_path: Path) -> None:
    """The types of the JSON reader, to the letter, and each is a type to ClickHouse."""
    # In an object ClickHouse finds no key that is spelled with the number of a character.
    written = (name for name in [*NAMES, *WORDS.split()] if b"\\u" not in json_of(name))
    names = list(dict.fromkeys(written))
    assert len(names) > 100
    answers = describe([Case("JSONEachRow", json_of(name)) for name in names], tmp_path)
    theirs = {name: answer and answer[0][1] for name, answer in zip(names, answers, strict=True)}
    assert {name: described(name) for name in names} == theirs

    texts = [theirs[name] or "" for name in names]
    casts = [f"SELECT toTypeName(CAST(NULL, {literal(text)}))" for text in texts]
    pretty = "SETTINGS print_pretty_type_names=0"
    read_back = ask([f"{cast} {pretty}" for cast in casts])
    assert [answer and answer[0][0] for answer in read_back] == texts
    assert [str(parse(text)) for text in texts] == texts


def described(name: str) -> str:
    store = MemoryObjects({"x": json_of(name)})
    return (
        introspect(Source(store=store, path="x", format=TableFormat.JSON_EACH_ROW))
        .columns[0]
        .clickhouse
    )


def literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


@pytest.mark.parametrize("name", REFUSED)
def test_names_that_clickhouse_refuses_are_quoted(name: str, tmp_path: Path) -> None:
    assert describe([Case("JSONEachRow", json_of(name))], tmp_path) == [None]
    assert element_name(name) == f"`{name}`"


def test_words_and_figures_of_one_object_are_printed_as_clickhouse_prints_them(
    tmp_path: Path,
) -> None:
    data = b'{"c":{"true":1,"top":2,"values":3}}\n'
    found = introspect(
        Source(store=MemoryObjects({"x": data}), path="x", format=TableFormat.JSON_EACH_ROW)
    )
    ours = [(column.name, column.clickhouse) for column in found.columns]
    assert [ours] == describe([Case("JSONEachRow", data)], tmp_path)
    assert "`true` Nullable(Int64)" in ours[0][1]


@pytest.mark.parametrize("name", ["Nullable(Nothing)", "x Nullable(Nothing), y", "Nothing"])
def test_name_that_looks_like_a_type_is_kept(name: str, tmp_path: Path) -> None:
    """With a field beside it that was always null, which becomes a String."""
    data = json.dumps({"c": {name: 1, "empty": None, "more": [{name: []}]}}).encode() + b"\n"
    found = introspect(
        Source(store=MemoryObjects({"x": data}), path="x", format=TableFormat.JSON_EACH_ROW)
    )
    (column,) = found.columns
    assert [[("c", column.clickhouse)]] == describe([Case("JSONEachRow", data)], tmp_path)
    assert [each.name for each in column.type.fields or ()] == sorted([name, "empty", "more"])
