"""Whose turn it is when a job ends: who waited behind it, and one that waited for a place."""

from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, exists, select, update
from sqlalchemy.orm import Session

from stocktake.db.clock import now
from stocktake.db.models import Job, Project
from stocktake.db.session import can_ring, ring_after_commit
from stocktake.jobs.queueing import KNOWN, ring_for
from stocktake.jobs.shares import MUST_WAIT, Load
from stocktake.states import JobKind, JobState, Queue


def ring_sibling(session: Session, ended: UUID, table_id: UUID, kind: JobKind) -> None:
    """Ring after commit for the oldest job of its table and kind behind the ended one."""
    waiting = session.scalars(
        select(Job)
        .where(
            Job.table_id == table_id,
            Job.kind == kind.value,
            Job.state == JobState.QUEUED.value,
            Job.next_run_at <= now(),
            Job.id != ended,
            KNOWN,
        )
        .order_by(Job.id)
        .limit(1)
    ).one_or_none()
    if waiting is not None:
        ring_after_commit(session, ring_for(waiting))


def ring_next(session: Session, ended: UUID, project_id: int) -> None:
    """Ring after commit for one job that could run and that nobody has rung for.

    Interactive ones come first, then the project of which the least runs, then the one whose
    number follows that of the ended job's project. A process that cannot ring leaves it to the
    clock: what is marked as rung for waits for seconds.
    """
    unrung = and_(
        Job.state == JobState.QUEUED.value,
        Job.rung_at.is_(None),
        Job.next_run_at <= now(),
        Job.id != ended,  # its retry is the clock's
        KNOWN,
    )
    if not can_ring(session) or not session.scalar(select(exists().where(unrung))):
        return
    load = Load.of(session)
    for queue in Queue:
        waits = and_(unrung, Job.queue == queue.value, ~MUST_WAIT)
        next_ = _next_project(session, load, queue, waits, after=project_id)
        if next_ is not None:
            _ring_first(session, and_(waits, Job.project_id == next_))
            return


def _next_project(
    session: Session, load: Load, queue: Queue, waits: ColumnElement[bool], *, after: int
) -> int | None:
    # Projects are few and jobs many: each is asked whether it has one, by an index of the unrung.
    has_one = exists().where(waits, Job.project_id == Project.id)
    runs = case(dict(load.running), value=Project.id, else_=0) if load.running else Project.id * 0
    found: int | None = session.scalar(
        select(Project.id)
        .where(has_one, load.has_place(Project.id, queue))
        .order_by(runs, Project.id <= after, Project.id)
        .limit(1)
    )
    return found


def _ring_first(session: Session, waits: ColumnElement[bool]) -> None:
    # Passed over where another transaction has it: that one claims, cancels or rings for it.
    first = (
        select(Job.id)
        .where(waits)
        .order_by(Job.next_run_at, Job.id)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    job = session.scalars(
        update(Job)
        .where(Job.id == first)
        .values(rung_at=now())
        .returning(Job)
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if job is not None:
        ring_after_commit(session, ring_for(job))
