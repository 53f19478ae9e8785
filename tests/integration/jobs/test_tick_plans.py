"""What the clock asks of the queue at each tick: by which indexes, however many jobs wait."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, event, text, update

from stocktake.db.clock import now
from stocktake.db.models import Job, Project
from stocktake.db.session import Database
from stocktake.jobs import rescue
from stocktake.states import Queue
from tests.support.rows import enqueue, make_tables, refresh_of

#: The indexes of jobs that nobody rang for, and of the others.
_OF_QUEUED = {"ix_jobs_unrung", "ix_jobs_rung"}


@pytest.fixture
def queued(database: Database, project: Project) -> None:
    with database.write() as session:
        tables = make_tables(session, project.id, 40)
    ids = [enqueue(database, refresh_of(table)) for table in tables]
    with database.write() as session:
        session.execute(update(Job).where(Job.id.in_(ids[20:])).values(rung_at=None))
        session.execute(update(Job).where(Job.id.in_(ids[:10])).values(rung_at=now(-60)))


@contextmanager
def _plans_of(database: Database) -> Iterator[dict[str, str]]:
    """Collect how the database finds what each statement within asks of the queued jobs."""
    plans: dict[str, str] = {}

    def explain(connection: Connection, cursor: Any, statement: str, given: Any, *_: Any) -> None:
        if "queued" not in statement or statement.startswith("EXPLAIN"):
            return
        how = "EXPLAIN QUERY PLAN" if database.sqlite else "EXPLAIN"
        cursor.execute(f"{how} {statement}", given)
        plans[statement] = "\n".join(str(row[-1]) for row in cursor.fetchall())

    event.listen(database.engine, "before_cursor_execute", explain)
    yield plans
    event.remove(database.engine, "before_cursor_execute", explain)


def test_a_tick_finds_what_is_due_by_indexes_alone(database: Database, queued: None) -> None:
    with database.read() as session:
        if not database.sqlite:
            # So few rows it would read all of; what is asked is whether it can do otherwise.
            session.execute(text("SET LOCAL enable_seqscan = off"))
            session.execute(text("SET LOCAL enable_bitmapscan = off"))
        with _plans_of(database) as plans:
            assert rescue.any_due_for_ring(session, ring_again_seconds=5)
            due = rescue.due_for_ring(
                session, queue=Queue.INTERACTIVE, limit=100, ring_again_seconds=5
            )
            assert rescue.runnable(session, at_most={Queue.INTERACTIVE: 100})
    assert len(due) == 30
    assert len(plans) >= 4
    for statement, plan in plans.items():
        _require_indexes(database, statement, plan)


def _require_indexes(database: Database, statement: str, plan: str) -> None:
    used = {name for name in _OF_QUEUED if name in plan}
    wanted = {
        name
        for name, words in {
            "ix_jobs_unrung": "rung_at IS NULL",
            "ix_jobs_rung": "rung_at IS NOT NULL",
        }.items()
        if words in statement
    }
    assert used == wanted, f"{statement}\n{plan}"
    if database.sqlite:
        assert "SCAN jobs" not in plan, plan
        # In the order of the index: the first of many is found without the others.
        assert "TEMP B-TREE" not in plan or "projects" in statement, plan
    else:
        assert "Seq Scan on jobs" not in plan, plan


def test_a_tick_counts_no_further_than_it_is_told(database: Database, queued: None) -> None:
    with database.read() as session:
        assert rescue.runnable(session) == {Queue.INTERACTIVE: 40}
        for bound in (1, 25, 100):
            counted = rescue.runnable(session, at_most={Queue.INTERACTIVE: bound})
            assert counted == {Queue.INTERACTIVE: min(bound, 40)}
        assert rescue.runnable(session, at_most={Queue.BULK: 100}) == {}
