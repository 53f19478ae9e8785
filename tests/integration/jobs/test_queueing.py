"""Single flight, promotion, and rings that wait for the commit."""

import pytest
from sqlalchemy import func, select

from stocktake.db.models import Job, Project, Table
from stocktake.db.session import Database
from stocktake.jobs import queueing
from stocktake.states import JobKind, JobState, Queue
from tests.support.rows import (
    RecordedRings,
    claimed,
    enqueue,
    job,
    make_table,
    make_tables,
    race,
    refresh_of,
)


def _jobs(database: Database) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(Job)) or 0


def test_a_refresh_asked_for_twice_is_one_job(database: Database, table: Table) -> None:
    with database.write() as session:
        first = queueing.enqueue(session, refresh_of(table))
    with database.write() as session:
        second = queueing.enqueue(session, refresh_of(table))
    assert (first.deduplicated, second.deduplicated) == (False, True)
    assert second.job.id == first.job.id
    assert _jobs(database) == 1


def test_a_refresh_asked_for_twice_in_one_transaction_is_one_job(
    database: Database, table: Table
) -> None:
    with database.write() as session:
        ids = {queueing.enqueue(session, refresh_of(table)).job.id for _ in range(3)}
    assert len(ids) == 1


def test_a_refresh_asked_for_while_one_runs_is_queued_behind_it(
    database: Database, table: Table
) -> None:
    running = enqueue(database, refresh_of(table))
    claimed(database, running)
    behind = enqueue(database, refresh_of(table))
    again = enqueue(database, refresh_of(table))
    assert behind != running
    assert again == behind


def test_a_refresh_asked_for_while_one_waits_for_its_retry_is_a_job_of_its_own(
    database: Database, table: Table
) -> None:
    """The retry belongs to whoever asked first; it may use up its attempts and fail."""
    tried = enqueue(database, refresh_of(table))
    claimed(database, tried)
    with database.write() as session:
        session.get_one(Job, tried).state = JobState.QUEUED.value
    assert enqueue(database, refresh_of(table)) != tried


def test_kinds_and_tables_do_not_share_a_place(
    database: Database, project: Project, table: Table
) -> None:
    with database.write() as session:
        other = make_table(session, project.id, "customers")
    ids = {
        enqueue(database, refresh_of(table)),
        enqueue(database, refresh_of(table, kind=JobKind.VALIDATE_COLUMNS)),
        enqueue(database, refresh_of(other)),
    }
    assert len(ids) == 3


def test_uploads_never_collapse(database: Database, table: Table) -> None:
    upload = refresh_of(table, kind=JobKind.INGEST_FILE)
    assert enqueue(database, upload) != enqueue(database, upload)


def test_jobs_without_a_table_never_collapse(database: Database, project: Project) -> None:
    request = queueing.JobRequest(
        project_id=project.id, kind=JobKind.EXPAND_BATCH, queue=Queue.BULK, max_attempts=3
    )
    assert enqueue(database, request) != enqueue(database, request)


def test_many_requests_at_once_make_one_job(
    database: Database, other_process: Database, table: Table
) -> None:
    calls = [
        lambda opened=opened: enqueue(opened, refresh_of(table))
        for opened in (database, other_process) * 6
    ]
    assert len(set(race(*calls))) == 1
    assert _jobs(database) == 1


def test_a_person_who_waits_moves_a_bulk_job_to_the_front(
    database: Database, table: Table, rings: RecordedRings
) -> None:
    queued = enqueue(database, refresh_of(table, queue=Queue.BULK))
    rings.take()
    enqueue(database, refresh_of(table, queue=Queue.INTERACTIVE))
    assert job(database, queued).queue == Queue.INTERACTIVE.value
    assert [(ring.job_id, ring.queue) for ring in rings.rung] == [(queued, Queue.INTERACTIVE)]


def test_a_batch_does_not_move_a_waiting_job_back(
    database: Database, table: Table, rings: RecordedRings
) -> None:
    queued = enqueue(database, refresh_of(table, queue=Queue.INTERACTIVE))
    rings.take()
    enqueue(database, refresh_of(table, queue=Queue.BULK))
    assert job(database, queued).queue == Queue.INTERACTIVE.value
    assert rings.take() == []


def test_the_doorbell_rings_after_the_commit_only(
    database: Database, table: Table, rings: RecordedRings
) -> None:
    with database.write() as session:
        queued = queueing.enqueue(session, refresh_of(table)).job.id
        assert rings.rung == []
    assert rings.take() == [queued]


def test_a_job_that_was_rolled_back_is_not_rung_for(
    database: Database, table: Table, rings: RecordedRings
) -> None:
    class RefusedError(Exception):
        pass

    def enqueue_and_refuse() -> None:
        with database.write() as session:
            queueing.enqueue(session, refresh_of(table))
            raise RefusedError

    with pytest.raises(RefusedError):
        enqueue_and_refuse()
    assert rings.take() == []
    assert _jobs(database) == 0


def test_many_tables_get_a_job_each_in_one_call(
    database: Database, project: Project, rings: RecordedRings
) -> None:
    with database.write() as session:
        tables = make_tables(session, project.id, 4)
    waiting = enqueue(database, refresh_of(tables[1]))
    running = enqueue(database, refresh_of(tables[2]))
    claimed(database, running)
    rings.take()
    with database.write() as session:
        requests = {each.id: refresh_of(each, queue=Queue.BULK) for each in tables}
        made = queueing.enqueue_many(session, requests)
    assert set(made) == {each.id for each in tables}
    assert made[tables[1].id] == waiting
    assert made[tables[2].id] != running
    assert sorted(rings.take()) == sorted(set(made.values()) - {waiting})
    assert _jobs(database) == 5
    new = job(database, made[tables[0].id])
    assert (new.state, new.attempt, new.queue, new.rings) == ("queued", 0, "bulk", 0)


def test_no_tables_get_no_jobs(database: Database) -> None:
    with database.write() as session:
        assert queueing.enqueue_many(session, {}) == {}


def test_many_tables_asked_for_by_a_person_move_their_waiting_jobs_to_the_front(
    database: Database, table: Table
) -> None:
    queued = enqueue(database, refresh_of(table, queue=Queue.BULK))
    with database.write() as session:
        queueing.enqueue_many(session, {table.id: refresh_of(table, queue=Queue.INTERACTIVE)})
    assert job(database, queued).queue == Queue.INTERACTIVE.value
