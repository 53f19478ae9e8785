"""The full read that follows a refresh of a sampled source."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from stocktake.db.models import Job, Table
from stocktake.errors import RaggedRowsError, SupersededError
from stocktake.runs import refresh_schema, validate_columns
from stocktake.states import JobKind, JobState, Queue
from tests.integration.runs.conftest import Desk
from tests.support.rows import enqueue, make_table, refresh_of

#: Longer than a sample.
SAMPLED = b"id,n\n" + b"1,1234567890\n" * 400_000


def add_table(desk: Desk, file: Path, data: bytes, **values: object) -> Table:
    file.write_bytes(data)
    with desk.database.write() as session:
        defaults = {"format": "CSVWithNames", "url_pattern": f"file://{file}"}
        return make_table(session, desk.project_id, "orders", **(defaults | values))


def refreshed(desk: Desk) -> UUID:
    job_id = enqueue(desk.database, refresh_of(desk.table()))
    desk.run(job_id, refresh_schema.run)
    return job_id


def validations(desk: Desk) -> list[UUID]:
    """The jobs that wait to read the source in full."""
    with desk.database.read() as session:
        found = session.query(Job).filter_by(kind=JobKind.VALIDATE_COLUMNS.value)
        return [job.id for job in found if job.state == JobState.QUEUED]


def test_a_refresh_of_text_is_followed_by_a_full_read(desk: Desk) -> None:
    add_table(desk, desk.sources / "orders.csv", SAMPLED)
    refreshed(desk)
    assert desk.table().row_count is None
    [job_id] = validations(desk)
    assert desk.job(job_id).queue == Queue.VALIDATE
    desk.run(job_id, validate_columns.run)

    assert desk.table().row_count == 400_000
    assert desk.valid() == {"id": True, "n": True}
    assert desk.result(job_id)["invalid"] == []


def test_the_first_value_that_breaks_a_column_is_named(desk: Desk) -> None:
    add_table(desk, desk.sources / "orders.csv", SAMPLED + b"x,2\ny,2\n")
    refreshed(desk)
    [job_id] = validations(desk)
    desk.run(job_id, validate_columns.run)

    assert desk.valid() == {"id": False, "n": True}
    assert desk.result(job_id)["invalid"] == [
        {"name": "id", "file": "orders.csv", "line": 400_002, "found": "String"}
    ]
    assert desk.table().schema_version == desk.versions() == 1


def test_validity_is_judged_by_the_type_that_a_user_has_set(desk: Desk) -> None:
    add_table(desk, desk.sources / "orders.csv", b"id,n\nx,1\n")
    refreshed(desk)
    desk.override("id", "Nullable(Int64)")
    [job_id] = validations(desk)
    desk.run(job_id, validate_columns.run)

    assert desk.valid() == {"id": False, "n": True}


def test_a_type_that_is_set_while_the_source_is_read_is_not_judged(desk: Desk) -> None:
    add_table(desk, desk.sources / "orders.csv", b"id,n\nx,1\n")
    refreshed(desk)
    desk.override("id", "Nullable(Int64)")
    [job_id] = validations(desk)

    def set_while_reading(phase: str, done: int, total: int | None) -> None:
        desk.override("id", "Nullable(Date)")

    validate_columns.run(replace(desk.attempt(job_id), progress=set_while_reading))

    assert desk.columns()["id"] == "Date)"
    assert desk.valid() == {"id": True, "n": True}


def test_an_unchanged_source_is_not_read_in_full_again(desk: Desk) -> None:
    add_table(desk, desk.sources / "orders.csv", SAMPLED)
    refreshed(desk)
    [job_id] = validations(desk)
    desk.run(job_id, validate_columns.run)
    refreshed(desk)

    assert validations(desk) == []
    assert desk.table().row_count == 400_000


@pytest.mark.parametrize("options", [{"validate": False}])
def test_a_table_may_opt_out(desk: Desk, options: dict[str, object]) -> None:
    add_table(desk, desk.sources / "orders.csv", b"id\n1\n", options=options)
    refreshed(desk)

    assert validations(desk) == []


def test_a_source_that_breaks_its_format_fails_and_keeps_the_columns(desk: Desk) -> None:
    add_table(desk, desk.sources / "orders.csv", SAMPLED + b"1\n")
    refreshed(desk)
    [job_id] = validations(desk)
    error = desk.fail(job_id, RaggedRowsError, validate_columns.run)

    assert "line 400002" in error.detail
    assert list(desk.columns()) == ["id", "n"]


def test_a_table_that_changed_meanwhile_gets_no_verdict(desk: Desk) -> None:
    add_table(desk, desk.sources / "orders.csv", SAMPLED + b"x,2\n")
    refreshed(desk)
    [job_id] = validations(desk)
    attempt = desk.attempt(job_id)
    desk.change_table(last_refreshed_at=datetime.now(UTC))

    with pytest.raises(SupersededError):
        validate_columns.run(attempt)

    assert desk.valid() == {"id": True, "n": True}


def test_json_is_validated_as_well(desk: Desk) -> None:
    good = b'{"id":1,"text":"some words to fill the sample"}\n' * 120_000
    file = desk.sources / "orders.jsonl"
    add_table(desk, file, good + b'{"id":"x"}', format="JSONEachRow")
    refreshed(desk)
    [job_id] = validations(desk)
    desk.run(job_id, validate_columns.run)

    [invalid] = desk.result(job_id)["invalid"]
    assert (invalid["name"], invalid["line"], invalid["found"]) == ("id", 120_001, "String")
