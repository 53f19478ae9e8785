"""Totals over all processes, on both databases."""

from datetime import timedelta

import pytest
from sqlalchemy import select, text
from structlog.testing import capture_logs

from stocktake.db.models import JobAttempt, Table
from stocktake.db.session import Database
from stocktake.jobs import counters, leases
from tests.support.rows import claimed, enqueue, race, refresh_of

#: SQLite has one write lock, which whoever is frozen keeps from all.
ONLY_POSTGRESQL = pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)


def _totals(database: Database, name: str) -> dict[str, int]:
    with database.read() as session:
        return counters.totals(session, name)


def _tally(database: Database) -> int:
    with database.write() as session:
        return counters.tally_attempts(session)


def _any(database: Database) -> bool:
    with database.read() as session:
        return counters.any_untallied(session)


def _ended(database: Database, table: Table, *, seconds_ago: float) -> None:
    job_id = enqueue(database, refresh_of(table))
    claim = claimed(database, job_id)
    with database.write() as session:
        leases.succeed(session, claim, {})
        attempt = session.scalars(select(JobAttempt).where(JobAttempt.job_id == job_id)).one()
        session.refresh(attempt)
        assert attempt.ended_at is not None
        attempt.ended_at -= timedelta(seconds=seconds_ago)


def test_what_many_add_at_once_is_all_there(database: Database, other_process: Database) -> None:
    def add(where: Database) -> None:
        for _ in range(20):
            counters.note(where, counters.RESCUES, "worker_lost")

    race(lambda: add(database), lambda: add(other_process))
    counters.note(database, counters.RESCUES, "lease_expired", 5)
    assert _totals(database, counters.RESCUES) == {"worker_lost": 40, "lease_expired": 5}


def test_an_attempt_is_tallied_once_and_when_it_has_settled(
    database: Database, other_process: Database, table: Table
) -> None:
    assert not _any(database)
    _ended(database, table, seconds_ago=60)
    _ended(database, table, seconds_ago=30)
    _ended(database, table, seconds_ago=0)
    assert _any(database)
    tallied = race(lambda: _tally(database), lambda: _tally(other_process))
    assert sum(tallied) == 2
    assert not _any(database)
    assert _totals(database, counters.ATTEMPTS) == {"succeeded": 2}


@ONLY_POSTGRESQL
def test_a_clock_frozen_in_its_tally_does_not_hold_the_other_up(
    database: Database, other_process: Database, table: Table
) -> None:
    _ended(database, table, seconds_ago=60)
    assert _tally(database) == 1
    with other_process.write() as frozen:
        counters.tally_attempts(frozen)
        with database.write() as session:
            session.execute(text("SET LOCAL lock_timeout = '1s'"))
            assert counters.tally_attempts(session) == 0
    assert _totals(database, counters.ATTEMPTS) == {"succeeded": 1}


@ONLY_POSTGRESQL
def test_a_counter_that_a_frozen_process_keeps_costs_the_amount_and_not_the_work(
    database: Database, other_process: Database, table: Table
) -> None:
    counters.note(database, counters.RESCUES, "lease_expired")
    with other_process.write() as frozen:
        counters.add(frozen, counters.RESCUES, "lease_expired")
        with capture_logs() as lines, database.write() as session:
            session.get_one(Table, table.id).name = "renamed"
            counters.add(session, counters.RESCUES, "lease_expired", 5)
    assert [(line["event"], line["amount"]) for line in lines] == [("count_lost", 5)]
    assert _totals(database, counters.RESCUES) == {"lease_expired": 2}
    with database.read() as session:
        assert session.get_one(Table, table.id).name == "renamed"


def test_a_total_outlives_the_rows(database: Database, table: Table) -> None:
    _ended(database, table, seconds_ago=60)
    _tally(database)
    with database.write() as session:
        for attempt in session.scalars(select(JobAttempt)):
            session.delete(attempt)
    _tally(database)
    assert _totals(database, counters.ATTEMPTS) == {"succeeded": 1}
