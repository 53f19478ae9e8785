"""`restore_table`: a wrong load is undone, once, and nothing else is."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from deltalake import write_deltalake

from stocktake.errors import (
    CommitConflictError,
    ConflictError,
    JobError,
    RestoreRefusedError,
    StaleAttemptError,
    ValidationError,
)
from stocktake.runs import ingest_file, restore_table
from stocktake.runs.attempt import Attempt
from stocktake.runs.table_log import Commit, require_kept
from stocktake.services import maintenance
from stocktake.states import JobState
from stocktake.storage.managed import ManagedStorage
from tests.integration.runs.conftest import Desk
from tests.integration.runs.test_maintain import csv, ids, keeping_nothing, maintain
from tests.integration.runs.test_stored_bytes import opened, told, true
from tests.support.rows import context

DAY = 86_400.0


def ask(desk: Desk, version: int | None = None) -> UUID:
    with context(desk.database, desk.settings, desk.project_id) as ctx:
        return maintenance.request_restore(ctx, desk.table().id, version=version).job.id


def restore(desk: Desk, version: int | None = None) -> dict[str, Any]:
    job_id = ask(desk, version)
    desk.run(job_id, restore_table.run)
    return desk.result(job_id)


def refused(desk: Desk, job_id: UUID) -> JobError:
    return desk.fail(job_id, RestoreRefusedError, restore_table.run)


def test_a_wrong_append_is_undone(any_desk: Desk) -> None:
    any_desk.load(csv(1, 2))
    any_desk.load(csv(7, 8, 9))
    result = restore(any_desk)

    assert ids(any_desk) == [1, 2]
    assert (result["row_count"], result["restored_version"]) == (2, 1)
    assert told(any_desk) == true(any_desk)


def test_a_wrong_replace_is_undone_with_its_columns(any_desk: Desk) -> None:
    any_desk.load(csv(1, 2))
    any_desk.load(b"id,price\nA,1.5\n", mode="replace")
    result = restore(any_desk)

    assert ids(any_desk) == [1, 2]
    assert any_desk.columns() == {"id": "Int64)", "note": "String)"}
    assert result["change"] != "none"
    assert any_desk.table().schema_version == 3


def test_columns_that_a_load_brought_go_with_it(desk: Desk) -> None:
    desk.load(csv(1))
    desk.load(b"id,note,price\n2,n2,1.5\n")
    restore(desk)

    assert ids(desk) == [1]
    assert set(desk.columns()) == {"id", "note"}


def test_undone_twice_it_is_the_load_before(desk: Desk) -> None:
    for each in range(4):
        desk.load(csv(each))
    maintain(desk)
    restore(desk)
    assert ids(desk) == [0, 1, 2]
    restore(desk)
    assert ids(desk) == [0, 1]
    desk.load(csv(8))
    restore(desk)
    assert ids(desk) == [0, 1]


def test_the_only_load_is_undone_to_a_table_without_rows_and_then_there_is_none(
    desk: Desk,
) -> None:
    desk.load(csv(1))
    restore(desk)
    assert ids(desk) == []
    assert "no load" in refused(desk, ask(desk)).detail


def test_a_restore_is_undone_by_its_version(desk: Desk) -> None:
    desk.load(csv(1))
    desk.load(csv(2), mode="replace")
    restore(desk)
    restore(desk, 2)

    assert ids(desk) == [2]


def test_rows_that_came_after_it_was_asked_for_are_not_dropped(desk: Desk) -> None:
    desk.load(csv(1))
    job_id = ask(desk)
    desk.load(csv(2))
    error = refused(desk, job_id)

    assert "version 2" in error.detail
    assert ids(desk) == [1, 2]


def test_upkeep_after_it_was_asked_for_is_no_hindrance(desk: Desk) -> None:
    for each in range(3):
        desk.load(csv(each))
    job_id = ask(desk)
    maintain(desk)
    desk.run(job_id, restore_table.run)

    assert ids(desk) == [0, 1]


def test_another_writer_who_is_faster_is_a_conflict_and_then_a_refusal(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.load(csv(1))
    job_id = ask(desk)
    attempt = desk.attempt(job_id)
    true_commit = restore_table._commit

    def late(*given: Any) -> None:
        rows = opened(desk).to_pyarrow_table()
        write_deltalake(opened(desk), rows, mode="append")
        true_commit(*given)

    monkeypatch.setattr(restore_table, "_commit", late)
    with pytest.raises(CommitConflictError):
        restore_table.run(attempt)
    desk.expire(job_id)
    refused(desk, job_id)

    assert ids(desk) == [1, 1]


def _without_its_record(attempt: Attempt, work: Callable[[Attempt], None]) -> None:
    stale = replace(attempt.claim, attempt=attempt.claim.attempt - 1)
    with pytest.raises(StaleAttemptError):
        work(replace(attempt, claim=stale))


def test_a_restore_whose_record_was_lost_is_not_done_again(desk: Desk) -> None:
    for each in range(4):
        desk.load(csv(each))
    job_id = ask(desk)
    _without_its_record(desk.attempt(job_id), restore_table.run)
    version = opened(desk).version()
    desk.expire(job_id)
    desk.run(job_id, restore_table.run)

    assert ids(desk) == [0, 1, 2]
    assert opened(desk).version() == version
    assert desk.result(job_id)["restored_version"] == 3


def test_an_upload_that_was_undone_is_not_loaded_by_its_own_retry(desk: Desk) -> None:
    desk.load(csv(1))
    attempt = desk.load(csv(2))
    restore(desk)
    with pytest.raises((JobError, StaleAttemptError)):
        ingest_file.run(attempt)

    assert ids(desk) == [1]


def test_files_that_are_gone_are_not_gone_back_to(desk: Desk) -> None:
    desk.load(csv(1))
    old = opened(desk).file_uris()
    desk.load(csv(2), mode="replace")
    for uri in old:
        Path(uri.removeprefix("file://")).unlink()
    error = refused(desk, ask(desk))

    assert "version 1 are not kept any more" in error.detail
    assert ids(desk) == [2]


def test_a_column_without_values_is_known_as_such_when_it_was_restored(desk: Desk) -> None:
    """Loads go by the counts of nulls in the log."""
    desk.load(b"id,note,later\n1,a,\n2,,\n")
    before = _null_counts(desk)
    desk.load(csv(3), mode="replace")
    restore(desk)

    assert _null_counts(desk) == before == [{"id": 0, "note": 1, "later": 2}]
    desk.load(b"id,note,later\n3,c,7\n")
    assert desk.table().row_count == 3


def _null_counts(desk: Desk) -> list[dict[str, int]]:
    return opened(desk).get_add_actions().column("null_count").to_pylist()


def test_a_log_that_was_cleaned_tells_of_nothing_to_undo(desk: Desk) -> None:
    desk.load(csv(1))
    desk.load(csv(2), mode="replace")
    maintain(keeping_nothing(desk))

    assert "no load" in refused(desk, ask(desk)).detail
    assert "not kept any more" in refused(desk, ask(desk, 1)).detail
    assert ids(desk) == [2]


def test_a_commit_whose_answer_was_lost_is_known_as_our_own(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a store's client tells it that tried again by itself."""
    desk.load(csv(1))
    desk.load(csv(2))
    true_create = ManagedStorage.create

    def lost(self: ManagedStorage, key: str, data: bytes) -> bool:
        true_create(self, key, data)
        return true_create(self, key, data)

    monkeypatch.setattr(ManagedStorage, "create", lost)
    maintain(desk)
    restore(desk)

    assert ids(desk) == [1]
    assert told(desk) == true(desk)


def test_others_read_what_was_restored_and_go_on_from_it(desk: Desk) -> None:
    """The commit is our own: deltalake takes it, with a checkpoint on it and without."""
    desk.load(csv(1, 2))
    desk.load(b"id,price\nA,1.5\n", mode="replace")
    restore(desk)
    for _ in range(2):
        found = opened(desk).to_pyarrow_table(filters=[("id", ">", 1)])
        assert found.to_pylist() == [{"id": 2, "note": "n2"}]
        opened(desk).create_checkpoint()
    write_deltalake(opened(desk), opened(desk).to_pyarrow_table(), mode="append")
    assert ids(desk) == [1, 1, 2, 2]


def test_a_version_is_kept_for_as_long_as_what_replaced_it_is_young() -> None:
    def refuses(age_days: float) -> bool:
        made_at = time.time() - age_days * DAY
        try:
            require_kept(Commit(version=2, operation="WRITE", made_at=made_at), 1, seconds=7 * DAY)
        except RestoreRefusedError:
            return True
        return False

    assert [refuses(age) for age in (6.9, 7.1)] == [False, True]


def test_it_is_refused_while_it_cannot_be_told_which_load_is_the_last(desk: Desk) -> None:
    desk.load(csv(1))
    waiting = desk.send(csv(2), target="delta")
    with pytest.raises(ConflictError):
        ask(desk)
    desk.run(waiting)
    job_id = ask(desk)
    with pytest.raises(ConflictError):
        ask(desk, 1)
    assert desk.job(job_id).state == JobState.QUEUED


def test_only_a_version_before_the_present_one_can_be_asked_for(desk: Desk) -> None:
    desk.load(csv(1))
    with pytest.raises(ValidationError, match="version 1"):
        ask(desk, 1)
