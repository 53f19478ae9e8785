"""The canary's row on both databases: one at a time, however many clocks send it."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text

from stocktake.db.models import Canary
from stocktake.db.session import Database
from stocktake.jobs import canary
from tests.support.rows import RecordedRings, race

EVERY = 10.0


def _due(database: Database) -> bool:
    with database.read() as session:
        return canary.due(session, every_seconds=EVERY)


def _send(database: Database) -> bool:
    with database.write() as session:
        return canary.send(session, every_seconds=EVERY)


def _start(database: Database, canary_id: UUID) -> bool:
    with database.write() as session:
        return canary.start(session, canary_id, worker="node/7")


def _end(database: Database, canary_id: UUID) -> bool:
    with database.write() as session:
        return canary.end(session, canary_id)


def _see(database: Database) -> Canary:
    with database.read() as session:
        return session.scalars(select(Canary)).one()


def _let_pass(database: Database, seconds: float) -> None:
    with database.write() as session:
        row = session.scalars(select(Canary)).one()
        row.sent_at -= timedelta(seconds=seconds)
        row.rung_at -= timedelta(seconds=seconds)


def test_the_first_is_due_at_once_and_rung_for(database: Database, rings: RecordedRings) -> None:
    assert _due(database)
    assert _send(database)
    assert rings.canaries == [_see(database).id]
    assert not _due(database)


def test_one_that_has_not_ended_is_not_followed_by_another(
    database: Database, rings: RecordedRings
) -> None:
    _send(database)
    _let_pass(database, 1000)
    assert not _due(database)
    assert not _send(database)
    assert len(rings.canaries) == 1


def test_one_that_came_home_is_followed_after_the_interval(
    database: Database, rings: RecordedRings
) -> None:
    _send(database)
    first = _see(database).id
    assert _start(database, first)
    assert _end(database, first)
    assert not _due(database)
    _let_pass(database, EVERY)
    assert _due(database)
    assert _send(database)
    row = _see(database)
    assert rings.canaries == [first, row.id]
    assert (row.started_at, row.worker, row.ended_at) == (None, None, None)
    assert row.last_ended_at is not None


def test_two_clocks_send_one(
    database: Database, other_process: Database, rings: RecordedRings
) -> None:
    for _ in range(5):
        sent = race(lambda: _send(database), lambda: _send(other_process))
        assert sorted(sent) == [False, True]
        _end(database, _see(database).id)
        _let_pass(database, EVERY)
    assert len(set(rings.canaries)) == len(rings.canaries) == 5


def test_a_message_of_an_earlier_round_changes_nothing(database: Database) -> None:
    _send(database)
    assert not _start(database, uuid4())
    assert not _end(database, uuid4())
    assert _see(database).started_at is None


def test_a_doubled_message_ends_it_once(database: Database) -> None:
    _send(database)
    canary_id = _see(database).id
    assert _end(database, canary_id)
    assert not _start(database, canary_id)
    assert not _end(database, canary_id)


def test_a_lost_one_is_rung_for_again_under_the_same_id(
    database: Database, rings: RecordedRings
) -> None:
    _send(database)
    with database.write() as session:
        assert not canary.unheard(session, seconds=5)
        assert not canary.ring_again(session, seconds=5)
    _let_pass(database, 5)
    with database.write() as session:
        assert canary.unheard(session, seconds=5)
        assert canary.ring_again(session, seconds=5)
        assert not canary.ring_again(session, seconds=5)
    assert rings.canaries == [_see(database).id] * 2


def test_the_clock_does_not_wait_for_a_worker_that_is_frozen_amid_a_write(
    database: Database, rings: RecordedRings
) -> None:
    if database.sqlite:
        pytest.skip("a frozen writer of SQLite keeps everybody from writing; PostgreSQL runs this")
    _send(database)
    _let_pass(database, 5)
    with database.write() as frozen:
        assert canary.start(frozen, _see(database).id, worker="node/7")
        with database.write() as clock:
            clock.execute(text("SET LOCAL lock_timeout = '1s'"))  # would be an error
            assert not canary.ring_again(clock, seconds=5)
    assert len(rings.canaries) == 1
