"""The diff of two column lists, overrides, and the merge of a sample."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stocktake.schema.columns import Column
from stocktake.schema.diff import ChangeClass, Diff, apply_overrides, diff, merge_sampled
from stocktake.schema.types import parse

KINDS = ("Int32", "Nullable(Int32)", "Int64", "Nullable(Float64)", "Date", "String", "Array(Int8)")


def columns(**types: str) -> tuple[Column, ...]:
    return tuple(Column.of(name, clickhouse) for name, clickhouse in types.items())


@st.composite
def column_lists(draw: st.DrawFn, *, ids: bool = True) -> tuple[Column, ...]:
    names = draw(st.lists(st.sampled_from("abcdef"), unique=True))
    numbers = draw(st.permutations(range(6)))
    with_ids = ids and draw(st.booleans())
    return tuple(
        Column.of(name, draw(st.sampled_from(KINDS)), field_id=numbers[at] if with_ids else None)
        for at, name in enumerate(names)
    )


def applied(change: Diff, old: tuple[Column, ...]) -> dict[str, tuple[str, str, bool]]:
    """What the diff makes of the old list, without its order."""
    gone = {column.name for column in change.removed}
    names = {rename.old: rename.new for rename in change.renamed}
    result = {
        names.get(column.name, column.name): shape(column)
        for column in old
        if column.name not in gone
    }
    result |= {update.new.name: shape(update.new) for update in change.changed}
    return result | {column.name: shape(column) for column in change.added}


def shape(column: Column) -> tuple[str, str, bool]:
    return column.clickhouse, column.hogql, column.nullable


@given(column_lists())
def test_list_compared_with_itself_is_no_change(same: tuple[Column, ...]) -> None:
    change = diff(same, same)
    assert not change
    assert change == Diff()
    assert change.change is ChangeClass.NONE


@given(column_lists(), column_lists())
def test_diff_applied_to_the_old_list_gives_the_new_one(
    old: tuple[Column, ...], new: tuple[Column, ...]
) -> None:
    assert applied(diff(old, new), old) == {column.name: shape(column) for column in new}


@given(column_lists(), column_lists())
def test_way_back_adds_what_the_way_there_removed(
    old: tuple[Column, ...], new: tuple[Column, ...]
) -> None:
    there, back = diff(old, new), diff(new, old)
    assert {column.name for column in there.added} == {column.name for column in back.removed}
    assert {(r.old, r.new) for r in there.renamed} == {(r.new, r.old) for r in back.renamed}
    assert bool(there) == bool(back)


@pytest.mark.parametrize(
    ("old", "new", "change"),
    [
        (columns(a="Int32"), columns(a="Int32", b="Int32"), "additive"),
        (columns(a="Int32"), columns(a="Int64"), "widening"),
        (columns(a="Int32"), columns(a="Nullable(Int32)"), "widening"),
        (columns(a="Int32"), columns(a="Int64", b="Int8"), "widening"),
        (columns(a="Int64"), columns(a="Int32"), "breaking"),
        (columns(a="Int64"), columns(a="String"), "breaking"),
        (columns(a="Nullable(Int32)"), columns(a="Int32"), "breaking"),
        (columns(a="Int32", b="Int8"), columns(a="Int32"), "breaking"),
        (columns(a="Int32", b="Int8"), columns(a="Int64", c="Int8"), "breaking"),
    ],
)
def test_worst_part_decides_the_class(
    old: tuple[Column, ...], new: tuple[Column, ...], change: str
) -> None:
    assert diff(old, new).change == change


def test_another_order_alone_is_reported_but_no_change() -> None:
    change = diff(columns(a="Int8", b="Int8"), columns(b="Int8", a="Int8"))
    assert change.reordered
    assert not change


def test_new_column_between_others_is_no_new_order() -> None:
    assert not diff(columns(a="Int8", b="Int8"), columns(a="Int8", x="Int8", b="Int8")).reordered


def test_rename_is_told_by_the_field_id() -> None:
    old = (Column.of("a", "Int32", field_id=1), Column.of("b", "Int8", field_id=2))
    new = (Column.of("z", "Int64", field_id=1), Column.of("b", "Int8", field_id=2))
    assert diff(old, new).as_dict() == {
        "added": [],
        "removed": [],
        "changed": [{"name": "z", "from": "Int32", "to": "Int64", "only_fields": False}],
        "renamed": [{"from": "a", "to": "z"}],
        "fields": {"added": [], "removed": [], "changed": [], "omitted": 0},
        "reordered": False,
    }
    assert diff(old, new).change == "breaking"


def test_names_that_changed_places_are_two_renames() -> None:
    old = (Column.of("a", "Int8", field_id=1), Column.of("b", "Int8", field_id=2))
    new = (Column.of("b", "Int8", field_id=1), Column.of("a", "Int8", field_id=2))
    assert [(rename.old, rename.new) for rename in diff(old, new).renamed] == [
        ("a", "b"),
        ("b", "a"),
    ]


def test_column_dropped_and_made_again_is_both() -> None:
    change = diff((Column.of("a", "Int8", field_id=1),), (Column.of("a", "Int8", field_id=9),))
    assert [column.name for column in change.added + change.removed] == ["a", "a"]


def test_diff_names_types_on_the_wire() -> None:
    wire = diff(columns(a="Int8"), columns(b="Date")).as_dict()
    assert wire["added"] == [{"name": "b", "type": "Date"}]
    assert wire["removed"] == [{"name": "a", "type": "Int8"}]


def test_same_type_of_another_class_is_breaking() -> None:
    old = Column.of("v", "Nullable(String)")
    new = replace(old, hogql="StringJSONDatabaseField")
    assert diff((old,), (new,)).change == "breaking"


def test_user_set_type_survives_a_refresh() -> None:
    (fresh,) = columns(a="Int32")
    stored = replace(fresh, type=parse("Nullable(Float64)"), hogql="FloatDatabaseField")
    stored = replace(stored, override=True, valid=False)
    (kept,) = apply_overrides((stored,), (replace(fresh, field_id=3),))
    assert (kept.clickhouse, kept.hogql, kept.override) == (
        "Nullable(Float64)",
        "FloatDatabaseField",
        True,
    )
    assert (kept.valid, kept.field_id) == (False, 3)


def test_user_set_type_follows_a_rename() -> None:
    stored = Column.of("a", "Nullable(Float64)", override=True, field_id=1)
    (kept,) = apply_overrides((stored,), (Column.of("b", "Int32", field_id=1),))
    assert (kept.name, kept.clickhouse) == ("b", "Nullable(Float64)")


def test_user_set_type_goes_with_its_column() -> None:
    stored = Column.of("a", "Nullable(Float64)", override=True)
    assert apply_overrides((stored,), columns(b="Int8")) == columns(b="Int8")


def test_column_known_to_be_wrong_stays_so_until_its_type_changes() -> None:
    stored = (replace(columns(a="Int8")[0], valid=False),)
    assert not apply_overrides(stored, columns(a="Int8"))[0].valid
    assert apply_overrides(stored, columns(a="String"))[0].valid


@given(column_lists(ids=False), column_lists(ids=False))
def test_sample_never_removes_and_never_breaks_but_by_text(
    stored: tuple[Column, ...], fresh: tuple[Column, ...]
) -> None:
    merged = merge_sampled(stored, fresh)
    change = diff(stored, merged)
    assert not change.removed
    assert not change.reordered
    assert {column.name for column in merged} == {c.name for c in stored} | {c.name for c in fresh}
    assert all(
        update.widening or update.new.hogql == "StringDatabaseField" for update in change.changed
    )


@given(column_lists(ids=False), column_lists(ids=False))
def test_second_sample_of_the_same_changes_nothing(
    stored: tuple[Column, ...], fresh: tuple[Column, ...]
) -> None:
    merged = merge_sampled(stored, fresh)
    assert merge_sampled(merged, fresh) == merged


def test_sample_leaves_a_user_set_type_alone() -> None:
    stored = Column.of("a", "Nullable(Float64)", override=True)
    assert merge_sampled((stored,), columns(a="String")) == (stored,)
    assert merge_sampled((stored,), ()) == (stored,)
