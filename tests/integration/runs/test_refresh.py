"""A refresh keeps the table's columns true to its source, and nothing else."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from sqlalchemy import event

from stocktake.errors import (
    InvalidSourceError,
    LimitExceededError,
    SourceNotFoundError,
    StaleAttemptError,
    SupersededError,
    UrlRefusedError,
)
from stocktake.readers import introspect
from stocktake.readers.source import Introspection, Limits, Progress, Source
from stocktake.runs import refresh_schema
from stocktake.services.schema_versions import update_types
from tests.integration.runs.conftest import Desk
from tests.support.delta_tables import HandWrittenLog, field_of, metadata_action
from tests.support.rows import context, enqueue, make_table, refresh_of


def register(desk: Desk, pattern: Path | str, format_: str) -> None:
    with desk.database.write() as session:
        make_table(
            session, desk.project_id, "orders", format=format_, url_pattern=f"file://{pattern}"
        )


def queue(desk: Desk) -> UUID:
    return enqueue(desk.database, refresh_of(desk.table()))


def refreshed(desk: Desk) -> dict[str, object]:
    job_id = queue(desk)
    desk.run(job_id, refresh_schema.run)
    return desk.result(job_id)


def test_a_delta_table_is_followed_through_its_versions(desk: Desk) -> None:
    folder = desk.sources / "orders"
    write_deltalake(str(folder), pa.table({"id": pa.array([1], pa.int64())}))
    register(desk, folder, "Delta")

    assert refreshed(desk)["source_version"] == 0
    assert refreshed(desk)["change"] == "none"
    more = pa.table({"id": pa.array([2], pa.int64()), "note": ["x"]})
    write_deltalake(str(folder), more, mode="append", schema_mode="merge")
    result = refreshed(desk)

    assert (result["change"], result["schema_version"], result["source_version"]) == (
        "additive",
        2,
        1,
    )
    assert desk.columns() == {"id": "Int64)", "note": "String)"}
    assert desk.versions() == 2


def test_parquet_counts_its_rows(desk: Desk) -> None:
    for number in range(3):
        pq.write_table(pa.table({"id": [number, number]}), desk.sources / f"{number}.parquet")
    register(desk, f"{desk.sources}/*.parquet", "Parquet")
    refreshed(desk)

    assert desk.table().row_count == 6
    assert desk.columns() == {"id": "Int64)"}


def test_an_override_survives_and_may_be_set_during_the_read(desk: Desk) -> None:
    file = desk.sources / "orders.parquet"
    pq.write_table(pa.table({"id": [1], "n": [2]}), file)
    register(desk, file, "Parquet")
    refreshed(desk)
    pq.write_table(pa.table({"id": [1], "n": [2], "new": ["x"]}), file)
    attempt = desk.attempt(queue(desk))

    def set_while_reading(phase: str, done: int, total: int | None) -> None:
        desk.override("n", "Nullable(Float64)")

    refresh_schema.run(replace(attempt, progress=set_while_reading))

    assert desk.columns() == {"id": "Int64)", "n": "Float64)", "new": "String)"}


def test_a_type_that_is_cleared_while_an_unchanged_source_is_looked_at_is_read_afresh(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = desk.sources / "orders.csv"
    file.write_text("id,n\n1,2\n")
    register(desk, file, "CSVWithNames")
    refreshed(desk)
    desk.override("n", "Nullable(String)")
    file.write_text("id,n\n1,2.5\n")
    refreshed(desk)  # whose sample is not validated yet

    def look_and_clear(source: Source, limits: Limits, progress: Progress) -> Introspection:
        found = introspect(source, limits, progress)
        assert found.coverage.unchanged
        with context(desk.database, desk.settings, desk.project_id) as ctx:
            update_types(ctx, desk.table().id, {"n": None})
        return found

    monkeypatch.setattr(refresh_schema, "introspect", look_and_clear)
    desk.run(queue(desk), refresh_schema.run)
    monkeypatch.undo()
    refreshed(desk)
    assert desk.columns()["n"] == "Float64)"


def test_a_result_for_an_older_generation_is_thrown_away(desk: Desk) -> None:
    file = desk.sources / "orders.parquet"
    pq.write_table(pa.table({"id": [1]}), file)
    register(desk, file, "Parquet")
    attempt = desk.attempt(queue(desk))

    def change_while_reading(phase: str, done: int, total: int | None) -> None:
        desk.change_table(url_pattern="https://bucket.s3.amazonaws.com/else.parquet")

    with pytest.raises(SupersededError):
        refresh_schema.run(replace(attempt, progress=change_while_reading))

    assert desk.table().columns == []


def test_an_attempt_that_lost_its_lease_writes_nothing(desk: Desk) -> None:
    file = desk.sources / "orders.parquet"
    pq.write_table(pa.table({"id": [1]}), file)
    register(desk, file, "Parquet")
    job_id = queue(desk)
    frozen = desk.attempt(job_id)
    desk.expire(job_id)
    desk.attempt(job_id)

    with pytest.raises(StaleAttemptError):
        refresh_schema.run(frozen)

    assert desk.table().columns == []
    assert desk.versions() == 0


def _lose_lease(desk: Desk, job_id: UUID) -> None:
    desk.expire(job_id)
    desk.attempt(job_id)


@pytest.mark.parametrize(
    ("meanwhile", "error"),
    [
        (lambda desk, _: None, None),
        (lambda desk, _: desk.change_table(options={"validate": False}), SupersededError),
        (lambda desk, _: desk.change_table(deleted=True), SupersededError),
        (_lose_lease, StaleAttemptError),
    ],
    ids=["quiet", "changed", "deleted", "late"],
)
def test_an_unchanged_source_writes_the_time_where_the_fence_holds(
    desk: Desk,
    monkeypatch: pytest.MonkeyPatch,
    meanwhile: Callable[[Desk, UUID], None],
    error: type[Exception] | None,
) -> None:
    file = desk.sources / "orders.parquet"
    pq.write_table(pa.table({"id": [1]}), file)
    register(desk, file, "Parquet")
    refreshed(desk)
    before, job_id = desk.table(), queue(desk)

    def look(source: Source, limits: Limits, progress: Progress) -> Introspection:
        found = introspect(source, limits, progress)
        meanwhile(desk, job_id)
        return found

    def unneeded(*_: object) -> None:
        raise AssertionError("a source that is unchanged needs no more than its time")

    monkeypatch.setattr(refresh_schema, "introspect", look)
    monkeypatch.setattr(refresh_schema, "store", unneeded)
    with pytest.raises(error) if error else nullcontext():
        refresh_schema.run(desk.attempt(job_id))

    assert before.last_refreshed_at is not None
    assert (desk.table().last_refreshed_at == before.last_refreshed_at) is (error is not None)
    assert desk.table().source_state == before.source_state
    if error is None:
        result = desk.result(job_id)
        assert (result["columns"], result["schema_version"], result["change"]) == (1, 1, "none")
        assert result["coverage"]["unchanged"] is True


def test_a_failed_read_keeps_the_last_good_columns(desk: Desk) -> None:
    file = desk.sources / "orders.parquet"
    pq.write_table(pa.table({"id": [1]}), file)
    register(desk, file, "Parquet")
    refreshed(desk)
    file.write_bytes(file.read_bytes()[:-20])
    desk.fail(queue(desk), InvalidSourceError, refresh_schema.run)
    file.unlink()
    error = desk.fail(queue(desk), SourceNotFoundError, refresh_schema.run)

    assert list(desk.columns()) == ["id"]
    assert error.hint
    assert str(desk.sources) not in error.detail


def test_a_file_outside_of_the_allowed_folders_is_not_read(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "secret.csv"
    file.write_bytes(b"id\n1\n")
    register(desk, file, "CSVWithNames")

    desk.fail(queue(desk), UrlRefusedError, refresh_schema.run)


def test_a_table_of_uploads_that_has_none_yet_says_so(desk: Desk) -> None:
    desk.send(b"id\n1\n")

    error = desk.fail(queue(desk), SourceNotFoundError, refresh_schema.run)

    assert "No upload" in error.detail


def test_a_delta_rename_by_column_mapping_is_a_rename_and_keeps_the_override(desk: Desk) -> None:
    log = HandWrittenLog(desk.sources / "orders")
    mapped = {"delta.columnMapping.physicalName": "col-1"}
    ids = [{"delta.columnMapping.id": number} for number in (1, 2)]
    log.create(
        field_of("id", "long", **ids[0], **mapped),
        field_of("note", "string", **ids[1]),
        reader=2,
        writer=5,
    )
    register(desk, log.root, "Delta")
    refreshed(desk)
    desk.override("id", "Nullable(UInt64)")

    order = field_of("order_id", "long", **ids[0], **mapped)
    log.commit(1, metadata_action(order, field_of("note", "string", **ids[1])))
    result = refreshed(desk)

    assert (result["change"], result["schema_version"]) == ("breaking", 2)
    assert result["diff"] == {
        "added": [],
        "removed": [],
        "changed": [],
        "renamed": [{"from": "id", "to": "order_id"}],
        "fields": {"added": [], "removed": [], "changed": [], "omitted": 0},
        "reordered": False,
    }
    assert desk.columns() == {"order_id": "UInt64)", "note": "String)"}


def test_a_changed_table_is_written_once(desk: Desk) -> None:
    """Each UPDATE writes the whole row, with columns of up to megabytes, and its indexes."""
    log = HandWrittenLog(desk.sources / "orders")
    log.create(field_of("id", "long"))
    register(desk, log.root, "Delta")
    refreshed(desk)
    log.commit(1, metadata_action(field_of("id", "long"), field_of("note", "string")))
    sent: list[str] = []
    event.listen(desk.database.engine, "before_cursor_execute", lambda *told: sent.append(told[2]))

    assert refreshed(desk)["schema_version"] == 2

    assert sum(statement.startswith("UPDATE tables ") for statement in sent) == 1


def test_a_schema_counts_against_the_stored_bytes_of_its_project(desk: Desk) -> None:
    """Its first version fits, the next does not: nothing of it is kept."""
    file = desk.sources / "orders.csv"
    file.write_text("id\n1\n")
    register(desk, file, "CSVWithNames")
    refreshed(desk)
    first = desk.table().schema_bytes
    assert 0 < first < 2000
    file.write_text(",".join(f"column_{number}" for number in range(500)) + "\n" + "1," * 499 + "1")
    small = replace(desk, settings=desk.settings.model_copy(update=LITTLE_ROOM))
    error = small.fail(queue(desk), LimitExceededError, refresh_schema.run)
    assert "STOCKTAKE_MAX_STORED_BYTES_PER_PROJECT" in error.hint
    assert (desk.versions(), desk.table().schema_bytes) == (1, first)
    assert list(desk.columns()) == ["id"]
    refreshed(desk)
    assert desk.table().schema_bytes > first + 2000


#: For one short schema.
LITTLE_ROOM = {"max_stored_bytes_per_project": 2000}
