"""The diff inside of a column: fields of structs, each by its path."""

from typing import Any

import pytest
from hypothesis import given

from cli.output import describe_diff
from stocktake.schema.columns import Column
from stocktake.schema.diff import Diff, completed, diff
from stocktake.schema.field_changes import inside
from stocktake.schema.types import Field, Type, array_of, map_of, parse, scalar, tuple_of
from tests.support.types import NAMES, SCALARS, TYPES


def change(old: str, new: str) -> Diff:
    return diff((Column.of("c", old),), (Column.of("c", new),))


def fields(old: str, new: str) -> dict[str, Any]:
    found: dict[str, Any] = change(old, new).as_dict()["fields"]
    assert found.pop("omitted") == 0
    return {kind: entries for kind, entries in found.items() if entries}


#: Two types of column c, the fields that differ, and how much it breaks.
CASES: list[tuple[str, str, dict[str, Any], str]] = [
    (
        "Tuple(a Int8)",
        "Tuple(a Int8, b Nullable(Date))",
        {"added": [{"path": ["c", "b"], "type": "Nullable(Date)"}]},
        "additive",
    ),
    (
        "Tuple(b Int8)",
        "Tuple(a Int8, b Int8)",
        {"added": [{"path": ["c", "a"], "type": "Int8"}]},
        "additive",
    ),
    (
        "Tuple(a Int8, b Date)",
        "Tuple(a Int8)",
        {"removed": [{"path": ["c", "b"], "type": "Date"}]},
        "breaking",
    ),
    (
        "Tuple(a Int8)",
        "Tuple(a Int16)",
        {"changed": [{"path": ["c", "a"], "from": "Int8", "to": "Int16"}]},
        "widening",
    ),
    (
        "Tuple(a Int16)",
        "Tuple(a String)",
        {"changed": [{"path": ["c", "a"], "from": "Int16", "to": "String"}]},
        "breaking",
    ),
    (
        "Tuple(a Int8)",
        "Tuple(a Nullable(Int8))",
        {"changed": [{"path": ["c", "a"], "from": "Int8", "to": "Nullable(Int8)"}]},
        "widening",
    ),
    (
        "Tuple(a Nullable(Int8))",
        "Tuple(a Int8)",
        {"changed": [{"path": ["c", "a"], "from": "Nullable(Int8)", "to": "Int8"}]},
        "breaking",
    ),
    (
        "Array(Nullable(Tuple(`a.b` Map(String, Tuple(x Int8)))))",
        "Array(Nullable(Tuple(`a.b` Map(String, Tuple(x Int64, y Date)))))",
        {
            "added": [{"path": ["c", "a.b", "y"], "type": "Date"}],
            "changed": [{"path": ["c", "a.b", "x"], "from": "Int8", "to": "Int64"}],
        },
        "widening",
    ),
    (
        "Tuple(o Array(Int8), p Int8)",
        "Tuple(o Array(Int16), q Int8)",
        {
            "added": [{"path": ["c", "q"], "type": "Int8"}],
            "removed": [{"path": ["c", "p"], "type": "Int8"}],
            "changed": [{"path": ["c", "o"], "from": "Array(Int8)", "to": "Array(Int16)"}],
        },
        "breaking",
    ),
    (
        "Tuple(o Tuple(x Int8))",
        "Tuple(o Nullable(Tuple(x Int8, y Int8)))",
        {
            "added": [{"path": ["c", "o", "y"], "type": "Int8"}],
            "changed": [
                {
                    "path": ["c", "o"],
                    "from": "Tuple(x Int8)",
                    "to": "Nullable(Tuple(x Int8, y Int8))",
                }
            ],
        },
        "widening",
    ),
    (
        "Tuple(o Map(Tuple(k Int8), Int8))",
        "Tuple(o Map(Tuple(k Int16), Int8))",
        {
            "changed": [
                {
                    "path": ["c", "o"],
                    "from": "Map(Tuple(k Int8), Int8)",
                    "to": "Map(Tuple(k Int16), Int8)",
                }
            ]
        },
        "widening",
    ),
    (
        "Tuple(o Tuple(x Int8))",
        "Tuple(o String)",
        {"changed": [{"path": ["c", "o"], "from": "Tuple(x Int8)", "to": "String"}]},
        "breaking",
    ),
]


@pytest.mark.parametrize(("old", "new", "expected", "breaks"), CASES)
def test_field_that_differs_is_shown_by_its_path(
    old: str, new: str, expected: dict[str, Any], breaks: str
) -> None:
    assert fields(old, new) == expected
    found = change(old, new)
    assert found.change == breaks
    (column,) = found.as_dict()["changed"]
    assert column == {"name": "c", "from": old, "to": new, "only_fields": True}


@pytest.mark.parametrize(
    ("old", "new", "breaks"),
    [
        ("Int8", "Int16", "widening"),
        ("Tuple(a Int8)", "String", "breaking"),
        ("Array(Int8)", "Array(Nullable(Int8))", "widening"),
        ("Tuple(Int8)", "Tuple(Int16)", "widening"),
        ("Tuple(Int8)", "Tuple(Int8, Int8)", "breaking"),
        ("Map(Int8, Tuple(a Int8))", "Map(Int16, Tuple(a Int8, b Int8))", "widening"),
        ("Tuple(a Int8)", "Nullable(Tuple(a Int8))", "widening"),
    ],
)
def test_column_that_differs_itself_has_no_fields_for_it(old: str, new: str, breaks: str) -> None:
    assert fields(old, new) == {}
    assert change(old, new).as_dict()["changed"][0]["only_fields"] is False
    assert change(old, new).change == breaks


def test_a_column_may_differ_itself_and_in_its_fields() -> None:
    found = change("Tuple(a Int8)", "Nullable(Tuple(a Int8, b Int8))").as_dict()
    assert found["changed"][0]["only_fields"] is False
    assert found["fields"]["added"] == [{"path": ["c", "b"], "type": "Int8"}]


def test_fields_in_another_order_are_no_change_as_columns_are_none() -> None:
    found = change("Array(Tuple(a Int8, b Date))", "Array(Tuple(b Date, a Int8))")
    assert not found
    assert found.reordered
    assert not change("Tuple(a Int8, b Date)", "Tuple(a Int8, x Int8, b Date)").reordered


def test_a_quoting_of_before_is_no_change() -> None:
    assert not change("Tuple(true Int8)", "Tuple(`true` Int8)")
    assert not change("Tuple(a Int8,b Int8)", "Tuple(a Int8, b Int8)")


@given(TYPES)
def test_type_differs_from_itself_in_nothing(type_: Type) -> None:
    again = parse(str(type_))
    found = inside("c", type_, again)
    assert (found.fields, found.itself, found.reordered) == ([], False, False)


@given(TYPES, SCALARS, NAMES)
def test_new_field_is_all_that_differs_at_whatever_depth(type_: Type, new: Type, name: str) -> None:
    def around(*more: Field) -> Type:
        innermost = tuple_of([Field(f"{name}.other", type_), *more], nullable=True)
        return tuple_of([Field(name, array_of(map_of(scalar("String"), innermost)))])

    found = inside("c", around(), around(Field(name, new)))
    (field,) = found.fields
    assert (field.path, field.old, field.new) == (("c", name, name), None, new)
    assert not found.itself
    back = inside("c", around(Field(name, new)), around())
    assert [(each.path, each.old, each.new) for each in back.fields] == [(field.path, new, None)]


@given(TYPES, TYPES)
def test_fields_put_in_and_taken_out_give_the_new_type(old: Type, new: Type) -> None:
    found = inside("c", old, new)
    if not found.itself:
        assert in_any_order(applied(old, found.fields)) == in_any_order(new)


def applied(type_: Type, changes: list[Any], path: tuple[str, ...] = ("c",)) -> Type:
    """The type with the changes made, told by their paths alone."""
    if type_.name != "Tuple":
        inner = [*type_.inner[:-1], *(applied(each, changes, path) for each in type_.inner[-1:])]
        made = tuple(Field(None, each) for each in inner)
        return Type(type_.name, type_.nullable, False, type_.parameters, made or type_.fields)
    now = {each.path: each.new for each in changes}
    elements = []
    for name, each in type_.fields or ():
        below = (*path, name or "")
        changed = now.get(below, applied(each, changes, below))
        if changed is not None:
            elements.append(Field(name, changed))
    news = (each for each in changes if each.path[:-1] == path and each.old is None)
    elements += [Field(each.path[-1], each.new) for each in news]
    return tuple_of(elements, nullable=type_.nullable)


def in_any_order(type_: Type) -> object:
    inner = [(name or "", in_any_order(each)) for name, each in type_.fields or ()]
    if type_.name == "Tuple":
        inner.sort(key=lambda pair: pair[0])
    return type_.name, type_.nullable, type_.parameters, inner


def test_an_older_diff_gets_the_fields_that_it_had_not() -> None:
    old, new = "Tuple(a Int8)", "Tuple(a Int8, true Date)"
    now = change(old, "Tuple(a Int8, `true` Date)").as_dict()
    before = {**now, "changed": [{"name": "c", "from": old, "to": new}]}
    del before["fields"]
    shown = completed(before)
    assert shown["fields"] == now["fields"]
    assert shown["changed"] == [{"name": "c", "from": old, "to": new, "only_fields": True}]
    assert completed(now) == now


def test_more_fields_than_an_answer_can_bear_are_counted() -> None:
    many = tuple_of(Field(name, scalar("Int8")) for name in ("a", *map("f{}".format, range(1_500))))
    found = change("Tuple(a Int8)", str(many))
    shown = found.as_dict()["fields"]
    assert (len(shown["added"]), shown["omitted"]) == (1_000, 500)
    assert found.change == "additive"
    long = tuple_of(Field(str(n) * 900, scalar("Int8")) for n in range(100, 400))
    shown = change("Tuple(a Int8)", str(long)).as_dict()["fields"]
    assert shown["omitted"] > 0
    assert len(str(shown)) < 300_000


def test_field_is_described_and_not_its_column() -> None:
    old, new = "Tuple(o Array(Tuple(a Int8, d Date)))", "Tuple(o Array(Tuple(a Int16, `b.c` Date)))"
    assert describe_diff(change(old, new).as_dict()) == [
        "+ c.o.`b.c`  Date",
        "- c.o.d  Date",
        "~ c.o.a  Int8 → Int16",
    ]
    both = describe_diff(change("Tuple(a Int8)", "Nullable(Tuple(a Int8, b Date))").as_dict())
    assert both == ["~ c  Tuple(a Int8) → Nullable(Tuple(a Int8, b Date))", "+ c.b  Date"]
