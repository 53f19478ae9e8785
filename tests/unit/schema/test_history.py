"""The versions that are made of what a source tells of its past."""

from stocktake.schema.columns import Column
from stocktake.schema.diff import ChangeClass
from stocktake.schema.history import PastSchema, steps


def schema(*names: str, version: int | None = None, **types: str) -> PastSchema:
    columns = [Column.of(name, "Int64") for name in names]
    columns += [Column.of(name, kind) for name, kind in types.items()]
    return PastSchema(columns=tuple(columns), source_version=version)


def test_each_schema_is_a_step_from_the_one_before() -> None:
    past = [schema("a", version=1), schema("a", "b", version=2)]
    now = schema("b", a="Float64", version=3)
    assert [(each.source_version, change.change) for each, change in steps(past, now)] == [
        (1, ChangeClass.ADDITIVE),
        (2, ChangeClass.ADDITIVE),
        (3, ChangeClass.WIDENING),
    ]


def test_schemas_that_are_alike_are_one_and_the_last_of_them_stays() -> None:
    alike = [schema("a", "b"), schema("b", "a", version=1), schema("a", "b", version=2)]
    past = [*alike, schema("a", version=3)]
    found = [each for each, _ in steps(past, schema("a", version=4))]
    assert found == [schema("a", "b", version=1), schema("a", version=4)]


def test_without_a_past_there_is_one_step_even_of_no_columns() -> None:
    [(only, change)] = steps([], schema())
    assert only.columns == ()
    assert not change
