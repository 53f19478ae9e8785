"""What several reads, uploads and users make of one table stays within the bounds of a schema."""

import json
from dataclasses import replace

import pytest

from stocktake.errors import LimitExceededError
from stocktake.readers.source import Coverage, Introspection
from stocktake.runs import refresh_schema, validate_columns
from stocktake.runs.attempt import Attempt
from stocktake.schema.columns import Column, stored_size
from stocktake.states import JobKind
from tests.integration.runs.conftest import Desk
from tests.integration.runs.test_refresh import queue, register
from tests.support.rows import enqueue, refresh_of


def sample_of(*names: str) -> Introspection:
    return Introspection(
        columns=tuple(Column.of(name, "Nullable(Int64)") for name in names),
        source_version="x",
        row_count=None,
        size_bytes=1,
        state={"fingerprint": "x"},
        coverage=Coverage(truncated=True),
    )


def bounded(attempt: Attempt, **limits: int) -> Attempt:
    settings = attempt.process.settings.model_copy(
        update={f"inference_{name}": figure for name, figure in limits.items()}
    )
    return replace(attempt, process=replace(attempt.process, settings=settings))


@pytest.mark.parametrize(
    ("limit", "figure"),
    [("max_columns", 5), ("max_fields", 5), ("max_schema_bytes", 5 * 200), ("max_name_length", 2)],
)
def test_samples_that_add_to_each_other_end_at_the_bound(
    desk: Desk, limit: str, figure: int
) -> None:
    register(desk, f"{desk.sources}/*.json", "JSONEachRow")

    def stores(attempt: Attempt, found: Introspection) -> None:
        refresh_schema.store(bounded(attempt, **{limit: figure}), found)

    first = [f"a{n}" for n in range(4)]
    desk.run(queue(desk), lambda attempt: stores(attempt, sample_of(*first)))
    error = desk.fail(
        queue(desk), LimitExceededError, lambda attempt: stores(attempt, sample_of("b1", "b23"))
    )
    assert error.code == "limit_exceeded"
    assert f"STOCKTAKE_INFERENCE_{limit.upper()} allows {figure:,}" in error.detail
    assert list(desk.columns()) == first


def test_rows_that_would_make_a_managed_table_unreadable_are_not_committed(desk: Desk) -> None:
    desk.load(b"a,b\n1,2\n")
    job_id = desk.send(b"b,c,d\n1,2,3\n", target="delta")
    attempt = bounded(desk.attempt(job_id), max_columns=3)
    error = desk.end(attempt, LimitExceededError)
    assert "4 columns" in error.detail
    assert (desk.table().row_count, list(desk.columns())) == (1, ["a", "b"])
    # nothing was lost either: what fits is loaded next
    desk.load(b"b,c\n1,2\n")
    assert desk.table().row_count == 2


def test_a_validation_names_a_thousand_columns_and_counts_the_others(desk: Desk) -> None:
    names = [f"column_{n}" for n in range(1_500)]
    (desk.sources / "a.json").write_text(json.dumps(dict.fromkeys(names, "x")) + "\n")
    register(desk, f"{desk.sources}/*.json", "JSONEachRow")
    desk.run(queue(desk), refresh_schema.run)
    with desk.database.write() as session:
        table = session.merge(desk.table())
        table.columns = [
            column | {"clickhouse": "Nullable(Int64)", "override": True} for column in table.columns
        ]
    request = refresh_of(desk.table(), kind=JobKind.VALIDATE_COLUMNS)
    job_id = enqueue(desk.database, request)
    desk.run(job_id, validate_columns.run)
    result = desk.result(job_id)
    assert (len(result["invalid"]), result["invalid_count"]) == (1_000, 1_500)
    assert not any(desk.valid().values())


def test_the_size_of_a_schema_is_what_the_database_takes(desk: Desk) -> None:
    columns = [
        Column.of("plain", "Int64"),
        Column.of('q"\\\n\u2603', "Nullable(Tuple(`a\u00e9` Int8))", partition=True, override=True),
        Column.of("x" * 900, "Array(String)", field_id=2**31),
    ]
    taken = len(json.dumps([column.as_dict() for column in columns]))
    assert taken <= stored_size(columns) <= taken + 60 * len(columns)
