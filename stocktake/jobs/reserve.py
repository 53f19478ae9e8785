"""Who leaves the reserve: slow jobs, when a project of which nothing runs waits for a child."""

from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Float, and_, bindparam, exists, literal, or_, select
from sqlalchemy.orm import Session

from stocktake.db.clock import now
from stocktake.db.models import Job, JobAttempt, Project
from stocktake.jobs.queueing import KNOWN
from stocktake.jobs.shares import MUST_WAIT, Load, has_yielded, holds_place
from stocktake.states import JobState, Queue

#: How long a job may keep a child of the reserve from a project that has none; where many wait,
#: each has its part of it, and no less than the least.
TURN_SECONDS: Final = 0.5
LEAST_TURN_SECONDS: Final = 0.25
#: Whoever is rung for takes a free child within milliseconds: who waits for longer finds none.
_WAITED_SECONDS: Final = 0.5
_QUEUE: Final = literal(Queue.INTERACTIVE.value)


def to_leave(session: Session, worker: str) -> dict[UUID, int]:
    """Choose the jobs of a worker that must leave the reserve now: as many as projects wait for it.

    In the reserve is what was claimed after all places were taken. Call it where all of the
    worker's children are busy.

    Args:
        worker: its part of the names by which its children claim.

    Returns:
        attempts' numbers by job, those that have run for longest first.
    """
    waiting = len(session.execute(_WAITING).all())
    if not waiting:
        return {}
    turn_seconds = max(LEAST_TURN_SECONDS, TURN_SECONDS / waiting)
    places = Load.of(session, Queue.INTERACTIVE).places
    # In the order of their claims, so that those behind the last place are those that got in
    # without one. Other workers' count as well: places are of all of them.
    running = session.execute(_RUNNING, {"turn_seconds": -turn_seconds}).all()
    # One that sweeps has many jobs, and one place.
    first_of_each: dict[str, Any] = {}
    for row in running:
        first_of_each.setdefault(row.worker, row)
    in_reserve = list(first_of_each.values())[places:]
    slow = [row for row in in_reserve if row.slow and row.worker.startswith(f"{worker}/")]
    return {row.id: row.attempt for row in slow[:waiting]}


def _interactive(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    waits = and_(
        Job.project_id == Project.id,
        Job.queue == Queue.INTERACTIVE,
        Job.state == JobState.QUEUED,
        Job.next_run_at <= now(-_WAITED_SECONDS),
        KNOWN,
        ~MUST_WAIT,
    )
    return exists().where(waits, *conditions)


def _waiting() -> Any:
    holds = exists().where(Job.project_id == Project.id, holds_place(Job, _QUEUE))
    # Two conditions, each with an index of its own: a project's bulk jobs are thousands.
    waits = or_(_interactive(Job.rung_at.is_(None)), _interactive(Job.rung_at.is_not(None)))
    # More than a worker has children in reserve.
    return select(Project.id).where(waits, ~holds, ~has_yielded(Project.id)).limit(100)


def _running() -> Any:
    begun = JobAttempt.started_at
    slow = begun < now(bindparam("turn_seconds", type_=Float))
    return (
        select(Job.id, Job.attempt, Job.worker, slow.label("slow"))
        .join(JobAttempt, and_(JobAttempt.job_id == Job.id, JobAttempt.number == Job.attempt))
        .where(holds_place(Job, _QUEUE))
        .order_by(begun, Job.id)
    )


_WAITING: Final = _waiting()
_RUNNING: Final = _running()
