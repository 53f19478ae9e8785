"""An upload that is sent again after the database went back in time: its rows are there once."""

from uuid import UUID

import pytest
from sqlalchemy import delete, update

from stocktake.db.models import Job, JobAttempt, Table, Upload
from stocktake.errors import CommitConflictError, StaleAttemptError, TerminalError
from stocktake.runs import ingest_file, marks
from stocktake.runs.attempt import Attempt
from stocktake.runs.load import load_rows
from stocktake.services import jobs
from tests.integration.runs.conftest import Desk
from tests.integration.runs.test_load import delta
from tests.integration.runs.test_maintain import csv, ids, keeping_nothing, maintain
from tests.integration.runs.test_restore import restore
from tests.integration.runs.test_stored_bytes import opened, told, true
from tests.support.rows import context

DAY = 86_400.0


def forget(desk: Desk, *attempts: Attempt) -> None:
    """What a database does not know that was restored from a copy of before these uploads."""
    jobs = [each.claim.job_id for each in attempts]
    with desk.database.write() as session:
        session.execute(update(Table).values(latest_job_id=None))
        session.execute(delete(JobAttempt).where(JobAttempt.job_id.in_(jobs)))
        session.execute(delete(Job).where(Job.id.in_(jobs)))
        uploads = [each.claim.upload_id for each in attempts]
        session.execute(delete(Upload).where(Upload.id.in_(uploads)))


def _fail(desk: Desk, attempt: Attempt) -> None:
    """What a database says of a job whose last worker died behind its commit."""
    with desk.database.write() as session:
        job = session.get_one(Job, attempt.claim.job_id)
        job.state, job.result, job.error = "failed", None, {"code": "worker_lost"}


def told_before(desk: Desk, job_id: UUID) -> bool:
    """Whether the job's result says that the rows were there."""
    codes = [each["code"] for each in desk.result(job_id)["warnings"]]
    return "loaded_before" in codes


@pytest.mark.parametrize("key", ["nightly", None], ids=["a_key", "no_key"])
def test_a_load_that_the_database_forgot_is_not_repeated(any_desk: Desk, key: str | None) -> None:
    desk = any_desk
    desk.load(csv(1))
    forget(desk, desk.load(csv(2, 3), request_key=key))
    again = desk.load(csv(2, 3), request_key=key)

    assert ids(desk) == [1, 2, 3]
    assert told_before(desk, again.claim.job_id)
    assert desk.table().row_count == 3
    assert told(desk) == true(desk)


@pytest.mark.parametrize("mode", ["append", "replace", "merge"])
def test_a_request_with_a_key_has_its_effect_once_whatever_came_since(
    desk: Desk, mode: str
) -> None:
    fields = {"mode": mode} | ({"key": "id"} if mode == "merge" else {})
    desk.load(csv(1))
    forgotten = desk.load(csv(2), request_key="k", **fields)
    after = ids(desk)
    desk.load(csv(9))
    forget(desk, forgotten)
    desk.load(csv(2), request_key="k", **fields)

    assert ids(desk) == [*after, 9]


def test_only_one_repetition_stands_for_the_load(desk: Desk) -> None:
    """A file that is sent twice on purpose is data twice (ADR 4)."""
    forget(desk, desk.load(csv(1)))
    first, second = desk.load(csv(1)), desk.load(csv(1))

    assert told_before(desk, first.claim.job_id)
    assert not told_before(desk, second.claim.job_id)
    assert ids(desk) == [1, 1]


@pytest.mark.parametrize("key", ["k", None])
def test_nothing_is_held_back_while_the_database_remembers(desk: Desk, key: str | None) -> None:
    """A key is used again a day later, or the same bytes are sent again without one."""
    for _ in range(3):
        desk.load(csv(1), request_key=key)
    assert ids(desk) == [1, 1, 1]


def test_another_key_and_other_bytes_are_other_requests(desk: Desk) -> None:
    forget(desk, desk.load(csv(1), request_key="k"))
    desk.load(csv(1), request_key="another")
    desk.load(csv(2), request_key="k")
    desk.load(csv(1))
    assert ids(desk) == [1, 1, 1, 2]


def test_a_day_later_it_is_another_request(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    forget(desk, desk.load(csv(1), request_key="k"))
    monkeypatch.setattr(marks, "_REPEATED_WITHIN_SECONDS", 0.0)
    desk.load(csv(1), request_key="k")
    assert ids(desk) == [1, 1]


def test_it_is_known_behind_a_compaction_a_cleaned_log_and_a_restore(desk: Desk) -> None:
    desk = keeping_nothing(desk)
    desk.load(csv(1))
    forgotten = [desk.load(csv(each), request_key=f"k{each}") for each in (2, 3)]
    maintain(desk)
    maintain(desk)
    assert len(delta(desk).file_uris()) == 1
    forget(desk, *forgotten)
    desk.load(csv(2), request_key="k2")
    assert ids(desk) == [1, 2, 3]


def test_what_a_restore_has_undone_stays_undone(desk: Desk) -> None:
    desk.load(csv(1))
    forgotten = desk.load(csv(2), request_key="k")
    restore(desk)
    forget(desk, forgotten)
    desk.load(csv(2), request_key="k")
    assert ids(desk) == [1]


def test_taking_over_is_no_load_that_a_restore_would_undo(desk: Desk) -> None:
    desk.load(csv(1))
    forget(desk, desk.load(csv(2)))
    desk.load(csv(2))
    restore(desk)
    assert ids(desk) == [1]


def test_a_job_that_died_behind_its_commit_and_failed_leaves_its_rows_to_the_next(
    desk: Desk,
) -> None:
    """The database knows the job, and that it did not succeed: rows that it left are not doubled
    by whoever sends the file again."""
    desk.load(csv(1))
    lost = desk.load(csv(2))
    _fail(desk, lost)
    desk.load(csv(2))
    assert ids(desk) == [1, 2]


def test_an_attempt_that_dies_behind_its_taking_over_goes_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.load(csv(1))
    forget(desk, desk.load(csv(2)))
    job_id = desk.send(csv(2), target="delta")
    take_over = marks.take_over

    def dies(*arguments: object) -> None:
        take_over(*arguments)  # type: ignore[arg-type]  # as they came
        raise _Died

    monkeypatch.setattr("stocktake.runs.load.take_over", dies)
    with pytest.raises(_Died):
        ingest_file.run(desk.attempt(job_id))
    monkeypatch.undo()
    desk.expire(job_id)
    desk.run(job_id)
    assert ids(desk) == [1, 2]


class _Died(BaseException):
    """The process is gone."""


def test_a_worker_that_outlived_the_restore_and_the_repetition_do_not_both_load(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first job's worker commits between the second's look at the table and its commit."""
    desk.load(csv(1))
    zombie = desk.attempt(desk.send(csv(2), target="delta", request_key="k"))
    received = ingest_file._receive(zombie)
    forget(desk, zombie)
    second = desk.send(csv(2), target="delta", request_key="k")

    def overtaken(attempt: Attempt, table: object) -> bool:
        monkeypatch.undo()
        with pytest.raises(StaleAttemptError):
            ingest_file._load(zombie, received)  # it commits, and finds its job gone
        return False

    monkeypatch.setattr("stocktake.runs.load.is_repeated", overtaken)
    desk.fail(second, CommitConflictError)
    assert ids(desk) == [1, 2]
    desk.run(second)
    assert ids(desk) == [1, 2]


@pytest.mark.parametrize("undo", ["restore", "replace"])
def test_rows_that_a_failed_job_left_and_somebody_took_away_are_loaded_again(
    desk: Desk, undo: str
) -> None:
    """Its mark stays in the log for a day; the rows do not."""
    desk.load(csv(1))
    lost = desk.load(csv(2))
    _fail(desk, lost)
    if undo == "restore":
        restore(desk)
    else:
        desk.load(csv(1), mode="replace")
    desk.load(csv(2))
    assert ids(desk) == [1, 2]
    desk.load(csv(2))
    assert ids(desk) == [1, 2, 2]


def _died_behind_its_commit(desk: Desk, data: bytes, request_key: str) -> UUID:
    """A load whose rows are in the table, and whose job ended without a success."""
    attempt = desk.attempt(desk.send(data, target="delta", request_key=request_key))
    received = ingest_file._receive(attempt)
    upload = ingest_file.read_upload(attempt, received)
    load_rows(ingest_file.load_of(attempt, received, upload))
    desk.end(attempt, WorkerKilledError, _dies)
    return attempt.claim.job_id


class WorkerKilledError(TerminalError):
    """In the place of whatever ends a job."""


def _dies(_: Attempt) -> None:
    raise WorkerKilledError("The worker is gone.")


def _retry(desk: Desk, job_id: UUID) -> None:
    with context(desk.database, desk.settings, desk.project_id) as ctx:
        again = jobs.retry_job(ctx, job_id).job.id
    desk.run(again)


@pytest.mark.parametrize("undo", ["restore", "replace"])
@pytest.mark.parametrize("way", ["retry", "sent again"])
def test_who_tries_again_what_failed_and_was_undone_gets_its_rows(
    desk: Desk, undo: str, way: str
) -> None:
    desk.load(csv(1))
    failed = _died_behind_its_commit(desk, csv(2), "k")
    maintain(desk)
    assert ids(desk) == [1, 2]
    if undo == "restore":
        restore(desk)
    else:
        desk.load(csv(1), mode="replace")
    assert ids(desk) == [1]
    if way == "retry":
        _retry(desk, failed)
    else:
        assert not told_before(desk, desk.load(csv(2), request_key="k").claim.job_id)
    assert ids(desk) == [1, 2]


def test_what_a_restore_of_a_restore_brings_back_is_not_doubled(desk: Desk) -> None:
    desk.load(csv(1))
    failed = _died_behind_its_commit(desk, csv(2), "k")
    maintain(desk)
    version = opened(desk).version()
    restore(desk)
    restore(desk, version=version)
    assert ids(desk) == [1, 2]
    _retry(desk, failed)
    assert ids(desk) == [1, 2]
    assert told_before(desk, desk.load(csv(2), request_key="k").claim.job_id) is False


def test_a_failed_load_that_nobody_undid_is_not_doubled_by_a_retry(desk: Desk) -> None:
    desk.load(csv(1))
    failed = _died_behind_its_commit(desk, csv(2), "k")
    desk.load(csv(3))
    _retry(desk, failed)
    assert ids(desk) == [1, 2, 3]
