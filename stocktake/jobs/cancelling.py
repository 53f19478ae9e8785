"""Cancelling: end what waits, ask what runs to stop, and ring for whoever is next.

A running job ends by its own attempt, which learns of it by its heartbeat (`leases.cancel`). Tables
and batches are locked before their jobs, and jobs in one order, so that two cancels cannot wait for
each other.
"""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.orm import Session

from stocktake.db.clock import now
from stocktake.db.models import Batch, Job
from stocktake.jobs import turns
from stocktake.states import JobKind, JobState

_QUEUED = Job.state == JobState.QUEUED
_RUNNING = Job.state == JobState.RUNNING


def cancel_job(session: Session, job_id: UUID) -> bool:
    """End a queued job at once; ask the worker of a running one to stop.

    Returns:
        False where it was neither at the moment of the two looks.
    """
    # Queued first: if it is claimed between the two statements, the second one finds it.
    error = cancelled_error("cancelled", "The job was cancelled.")
    ended = _end(session, Job.id == job_id, error, cancel_requested_at=now())
    return bool(ended) or _ask(session, Job.id == job_id)


def cancel_batch(session: Session, batch: Batch) -> None:
    """End a batch's queued jobs, and ask its running ones to stop.

    Args:
        batch: locked by this transaction.
    """
    # Locked in the order in which an expansion locks the jobs of its tables: no deadlock.
    of_batch = Job.batch_id == batch.id
    undone = select(Job.id).where(of_batch, or_(_QUEUED, _RUNNING))
    ids = session.scalars(undone.order_by(Job.table_id, Job.id).with_for_update()).all()
    error = cancelled_error("cancelled", "The batch was cancelled.")
    # A batch has 50,000 jobs, and their rows would be seconds under SQLite's only write lock.
    ending = update(Job).where(of_batch, _QUEUED).values(_ended(error, cancel_requested_at=now()))
    session.execute(ending)
    _ask(session, of_batch)
    # They were changed without being loaded, and sessions do not look for what an UPDATE met.
    session.expire_all()
    if ids:
        # Nobody waits behind one of them: that is for uploads.
        turns.ring_next(session, ids[0], batch.project_id)


def supersede(
    session: Session, table_id: UUID, *, kinds: Collection[JobKind], detail: str
) -> Sequence[Job]:
    """End the queued jobs of a table that are of these kinds: what they were to do is void.

    Args:
        table_id: of a table that this transaction has locked.
        detail: the sentence for the jobs' `error`, whose code is ``superseded``.
    """
    queued = select(Job.id).where(_of_table(table_id, kinds), _QUEUED)
    in_order = queued.order_by(Job.id).with_for_update()
    return supersede_jobs(session, session.scalars(in_order).all(), detail=detail)


def supersede_jobs(session: Session, job_ids: Sequence[UUID], *, detail: str) -> Sequence[Job]:
    """End those of these jobs that are still queued, and return them."""
    return _end(session, Job.id.in_(job_ids), cancelled_error("superseded", detail))


def stop_running(session: Session, table_id: UUID, *, kinds: Collection[JobKind]) -> None:
    """Ask the running jobs of a table that are of these kinds to stop: their results are void."""
    _ask(session, _of_table(table_id, kinds), Job.cancel_requested_at.is_(None))


def cancelled_error(code: str, detail: str) -> dict[str, Any]:
    """Return what the `error` of a cancelled job says."""
    return {"code": code, "retryable": False, "detail": detail, "hint": None, "file": None}


def _of_table(table_id: UUID, kinds: Collection[JobKind]) -> ColumnElement[bool]:
    return and_(Job.table_id == table_id, Job.kind.in_(kinds))


def _end(
    session: Session, which: ColumnElement[bool], error: dict[str, Any], **values: Any
) -> Sequence[Job]:
    ended = session.scalars(
        update(Job)
        .where(which, _QUEUED)
        .values(_ended(error, **values))
        .returning(Job)
        .execution_options(populate_existing=True)
    ).all()
    # One ring for each table and kind: of what waits there only one may run.
    for table_id, kind in dict.fromkeys((job.table_id, job.kind) for job in ended):
        if table_id is not None:
            turns.ring_sibling(session, ended[0].id, table_id, kind)
    # All are of one table, or are one job, and so of one project.
    if ended:
        turns.ring_next(session, ended[0].id, ended[0].project_id)
    return ended


def _ended(error: dict[str, Any], **values: Any) -> dict[str, Any]:
    ended = {"state": JobState.CANCELLED, "error": error, "finished_at": now()}
    return ended | {"revision": Job.revision + 1} | values


def _ask(session: Session, *which: ColumnElement[bool]) -> bool:
    """Ask the running ones of these jobs to stop; whether there is any."""
    asked = session.scalars(
        update(Job)
        .where(*which, _RUNNING)
        .values(
            # When it was asked for first: to cancel twice is allowed.
            cancel_requested_at=func.coalesce(Job.cancel_requested_at, now()),
            revision=Job.revision + 1,
        )
        .returning(Job.id)
    )
    return bool(asked.all())
