"""Whose turn it is when a job ends: who waited behind it, and one that waited for a place."""

from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    Select,
    Uuid,
    and_,
    bindparam,
    exists,
    func,
    literal,
    select,
    union_all,
    update,
)
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningUpdate

from stocktake.db.clock import now
from stocktake.db.models import JOBS, Job, Project
from stocktake.db.session import can_ring, ring_after_commit
from stocktake.jobs.queueing import KNOWN, SWEEPABLE, ring_for, ring_for_sweep
from stocktake.jobs.shares import MUST_WAIT, children, holds_place, place_for
from stocktake.states import JobState, Queue

#: What `ring_for` needs.
_RUNG: Final = (JOBS.c.id, JOBS.c.kind, JOBS.c.queue)
_SIBLING: Final = (
    select(*_RUNG)
    .where(
        Job.table_id == bindparam("the_table", type_=Uuid()),
        Job.kind == bindparam("the_kind"),
        Job.state == JobState.QUEUED,
        Job.next_run_at <= now(),
        Job.id != bindparam("the_ended", type_=Uuid()),
        KNOWN,
    )
    .order_by(Job.id)
    .limit(1)
)


def ring_sibling(session: Session, ended: UUID, table_id: UUID, kind: str) -> None:
    """Ring after commit for the oldest job of its table and kind behind the ended one."""
    given = {"the_ended": ended, "the_table": table_id, "the_kind": str(kind)}
    # Whether or not it was rung for before: its message was refused while the ended one ran.
    waiting = session.connection().execute(_SIBLING, given).one_or_none()
    if waiting is not None:
        ring_after_commit(session, ring_for(waiting))


#: What could run and nobody has rung for. The retry of the ended job is the clock's.
_UNRUNG: Final = and_(
    Job.state == JobState.QUEUED,
    Job.rung_at.is_(None),
    Job.next_run_at <= now(),
    Job.id != bindparam("the_ended", type_=Uuid()),
    KNOWN,
)
_ANY_UNRUNG: Final = select(exists().where(_UNRUNG))


def ring_next(session: Session, ended: UUID, project_id: int) -> None:
    """Ring after commit for one job that could run and that nobody has rung for.

    Interactive ones come first, then the project of which the least runs, then the one whose
    number follows that of the ended job's project. A process that cannot ring leaves it to the
    clock: what is marked as rung for waits for seconds.
    """
    given = {"the_ended": ended, "after": project_id}
    # Mostly nobody waits, which one look at a small index tells; the choice of a project is the
    # longer question.
    connection = session.connection()
    if not can_ring(session) or not connection.scalar(_ANY_UNRUNG, given):
        return
    found = connection.execute(_NEXT_PROJECT, given).one_or_none()
    if found is None:
        return
    given |= {"the_project": found.id, "the_queue": found.queue}
    job = connection.execute(_RING_FIRST, given).one_or_none()
    if job is not None:
        ring_after_commit(session, ring_for_sweep(job.batch_id) if job.sweeps else ring_for(job))


def _next_project() -> Select[int, str]:
    counted = children(Job).label("count")

    def waiting(turn: int, queue: Queue) -> Select[int, str, int, Any]:
        name = literal(queue.value)
        running = (
            select(Job.project_id, counted)
            .where(holds_place(Job, name))
            .group_by(Job.project_id)
            .cte(f"running_{queue.value}")
        )
        in_all = select(func.coalesce(func.sum(running.c.count), 0)).scalar_subquery()
        of_project = func.coalesce(running.c.count, 0)
        # Projects are few and jobs many: each is asked whether it has one, by ix_jobs_unrung.
        has_one = exists().where(
            _UNRUNG, ~MUST_WAIT, Job.queue == queue, Job.project_id == Project.id
        )
        return (
            select(
                Project.id,
                name.label("queue"),
                literal(turn).label("turn"),
                of_project.label("runs"),
            )
            .outerjoin(running, running.c.project_id == Project.id)
            .where(has_one, place_for(name, in_all, of_project, Project.id))
        )

    found = union_all(*(waiting(turn, queue) for turn, queue in enumerate(Queue))).subquery()
    # False sorts first: the projects behind the ended job's, then round from the lowest number.
    in_turn = (found.c.turn, found.c.runs, found.c.id <= bindparam("after"), found.c.id)
    return select(found.c.id, found.c.queue).order_by(*in_turn).limit(1)


def _ring_first() -> ReturningUpdate[Any]:
    # Passed over where another transaction has it: that one claims, cancels or rings for it.
    first = (
        select(Job.id)
        .where(
            _UNRUNG,
            ~MUST_WAIT,
            Job.project_id == bindparam("the_project"),
            Job.queue == bindparam("the_queue"),
        )
        .order_by(Job.next_run_at, Job.id)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    ringing = update(JOBS).where(JOBS.c.id == first)
    rung = ringing.values(rung_at=now(), change_number=JOBS.c.change_number)
    return rung.returning(*_RUNG, JOBS.c.batch_id, SWEEPABLE.label("sweeps"))


#: Built once: to build them takes longer than to run them, and each job's end does.
_NEXT_PROJECT: Final = _next_project()
_RING_FIRST: Final = _ring_first()
