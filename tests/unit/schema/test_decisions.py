"""A change taken apart: what belongs together, and what becomes of the columns that are left."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stocktake.schema.columns import Column
from stocktake.schema.decisions import (
    ColumnChange,
    Policy,
    column_changes,
    pinned,
    with_columns,
    without,
)
from stocktake.schema.diff import ChangeClass, diff

Columns = tuple[Column, ...]
TYPES = ("Int32", "Int64", "String", "Nullable(String)", "Tuple(a Int8)", "Tuple(a Int8, b Date)")


def columns(*named: str) -> Columns:
    """Columns as ``name type`` or ``id:name type``."""
    made = []
    for text in named:
        name, _, type_ = text.partition(" ")
        number, colon, rest = name.partition(":")
        field_id = int(number) if colon else None
        made.append(Column.of(rest if colon else name, type_, field_id=field_id))
    return tuple(made)


def told(parts: tuple[ColumnChange, ...]) -> list[tuple[str, ...]]:
    return [part.names for part in parts]


def names(some: Columns) -> list[str]:
    return [column.name for column in some]


@st.composite
def lists(draw: st.DrawFn) -> Columns:
    known = draw(st.lists(st.sampled_from("aAbcdé"), unique=True))
    with_ids = draw(st.booleans())
    ids = draw(st.permutations(range(1, 9)))
    return tuple(
        Column.of(name, draw(st.sampled_from(TYPES)), field_id=ids[at] if with_ids else None)
        for at, name in enumerate(known)
    )


@given(lists(), lists(), st.data())
def test_a_change_is_the_sum_of_its_parts(
    live: Columns, fresh: Columns, data: st.DataObject
) -> None:
    parts = column_changes(live, fresh)
    left = (
        data.draw(st.lists(st.sampled_from(parts), unique_by=lambda it: it.name)) if parts else []
    )
    some = without(live, fresh, left)

    assert len({column.name for column in some}) == len(some)
    assert without(live, fresh, []) == fresh
    assert diff(live, without(live, fresh, parts)).change is ChangeClass.NONE
    # What was left is just what is still to do.
    assert {part.names for part in column_changes(some, fresh)} == {part.names for part in left}
    taken = [part for part in parts if part not in left]
    assert {part.names for part in column_changes(live, some)} == {part.names for part in taken}


def test_columns_that_changed_names_with_each_other_are_one_part() -> None:
    live, fresh = (
        columns("1:a Int8", "2:b Int8", "3:c Int8"),
        columns("1:b Int8", "2:a Int8", "3:c Int8"),
    )
    (part,) = column_changes(live, fresh)
    assert part.names == ("b", "a")
    assert not part.pinnable


def test_another_column_under_a_name_is_one_part() -> None:
    live, fresh = columns("1:a Int8", "2:b Int8"), columns("3:a Date", "2:b Int8")
    (part,) = column_changes(live, fresh)
    assert (part.names, part.change) == (("a",), ChangeClass.BREAKING)
    assert without(live, fresh, [part]) == live


@pytest.mark.parametrize(("old", "new"), [("Id", "id"), ("E\u0301t\u00e9", "\u00e9T\u00e9")])
def test_a_name_in_other_letters_is_one_part_and_never_both(old: str, new: str) -> None:
    live, fresh = columns(f"{old} Int8", "x Int8"), columns("x Int8", f"{new} Int8", "y Int8")
    parts = column_changes(live, fresh)
    assert told(parts) == [(new, old), ("y",)]
    assert not parts[0].pinnable
    assert names(without(live, fresh, parts[:1])) == [old, "x", "y"]


def test_a_column_beside_one_in_other_letters_that_stays_is_new() -> None:
    (part,) = column_changes(columns("id Int8"), columns("id Int8", "ID Int8"))
    assert (part.names, part.change) == (("ID",), ChangeClass.ADDITIVE)


def test_what_went_and_stays_stands_behind_the_column_that_was_before_it() -> None:
    live = columns("a Int8", "b Int8", "c Int8", "d Int8")
    fresh = columns("new Int8", "d Int8", "a Int8")
    gone = [part for part in column_changes(live, fresh) if part.old]
    assert names(without(live, fresh, gone)) == ["new", "d", "a", "b", "c"]


def test_a_pinned_column_keeps_its_type_as_a_users_own() -> None:
    live, fresh = columns("1:a Int32"), columns("1:b String")
    (part,) = column_changes(live, fresh)
    (column,) = with_columns(fresh, [pinned(part)])
    assert (column.name, column.clickhouse, column.override) == ("b", "Int32", True)


@pytest.mark.parametrize(
    ("policy", "through"),
    [
        (Policy.AUTO, {"additive", "widening", "breaking"}),
        (Policy.ADDITIVE_ONLY, {"additive"}),
        (Policy.MANUAL, set()),
    ],
)
def test_a_policy_lets_through_what_it_says(policy: Policy, through: set[str]) -> None:
    asked = set(ChangeClass) - {ChangeClass.NONE}
    assert {each for each in asked if policy.lets_through(each)} == through


def test_a_policy_of_a_newer_release_lets_nothing_through() -> None:
    assert Policy.of("by_the_moon") is Policy.MANUAL
