"""Batches: start one, look at it, cancel it.

The POST inserts the batch and one job, `expand_batch` or `change_tables`, so it costs the same for
ten tables and for ten thousand. Counters are queries over the batch's items and their jobs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Integer, cast, func, select
from sqlalchemy.orm import Session

from stocktake.catalog.selection import kept_selector, parse_selector, require_known_ids
from stocktake.db.clock import now
from stocktake.db.models import Batch, BatchItem, Job, Table
from stocktake.errors import ConflictError, NotFoundError
from stocktake.jobs import cancelling, queueing
from stocktake.services import audit
from stocktake.services.context import Context
from stocktake.settings import Settings
from stocktake.states import OF_BATCH, UNDONE, BatchAction, JobKind, JobState, Queue

#: Failed jobs that a batch shows.
ERRORS_SHOWN: Final = 10


class BatchState(StrEnum):
    """Where a batch stands."""

    #: Its jobs are still being made.
    EXPANDING = "expanding"
    #: All its jobs exist, and some have not ended.
    RUNNING = "running"
    #: All its jobs have ended, well or not.
    FINISHED = "finished"
    #: Someone cancelled it; jobs that it shares with others may still run.
    CANCELLED = "cancelled"
    #: Its jobs could not all be made.
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchError:
    """Why one table of a batch was not refreshed; no table where the expansion itself failed."""

    table_id: UUID | None
    table_name: str | None
    job_id: UUID
    code: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchView:
    """A batch with its counters.

    Attributes:
        done: nothing that this batch started is still to come.
        counts: jobs by state, every state present.
        deduplicated: tables served by a job that waited already.
        finished_share: of the jobs made so far, or of the tables that were to be changed, from 0 to
            1.
        errors: the first `ERRORS_SHOWN`, in the order of table ids.
    """

    id: UUID
    action: str
    arguments: Mapping[str, Any]
    state: BatchState
    done: bool
    selector: dict[str, Any]
    dry_run: bool
    schedule_id: UUID | None
    expand_job_id: UUID
    counts: Mapping[str, int]
    total: int
    deduplicated: int
    finished_share: float
    errors: Sequence[BatchError]
    created_at: datetime
    expanded_at: datetime | None
    cancelled_at: datetime | None


def start(
    session: Session,
    settings: Settings,
    *,
    project_id: int,
    selector: dict[str, Any],
    created_by_id: int | None,
    schedule_id: UUID | None = None,
    dry_run: bool = False,
    action: BatchAction = BatchAction.REFRESH,
    arguments: dict[str, Any] | None = None,
) -> Batch:
    """Insert a batch and the job that expands it. For requests and for the clock.

    Args:
        selector: checked already.
        dry_run: whether its jobs only say what a refresh would change.
        arguments: what the action needs to know beside the tables.
    """
    batch = Batch(
        project_id=project_id,
        action=action,
        arguments=arguments,
        selector=selector,
        dry_run=dry_run,
        schedule_id=schedule_id,
        created_by_id=created_by_id,
    )
    session.add(batch)
    session.flush()
    queueing.enqueue(
        session,
        queueing.JobRequest(
            project_id=project_id,
            kind=JobKind.EXPAND_BATCH if action is BatchAction.REFRESH else JobKind.CHANGE_TABLES,
            queue=Queue.BULK,
            max_attempts=settings.job_max_attempts,
            batch_id=batch.id,
            created_by_id=created_by_id,
        ),
    )
    return batch


def create(
    context: Context,
    selector: Any,
    *,
    dry_run: bool = False,
    action: BatchAction = BatchAction.REFRESH,
    arguments: dict[str, Any] | None = None,
    attr: str | None = None,
) -> BatchView:
    """Start what is to be done to the tables that the selector names; with `dry_run` a refresh only
    says what would change.

    Args:
        arguments: what the action needs to know beside the tables.
        attr: the field that held the selector; None where it was the whole body.

    Raises:
        ValidationError: the selector is wrong, or names a table that this project lacks.
    """
    caller = context.caller
    checked = parse_selector(selector, attr=attr)
    require_known_ids(context.session, caller.project_id, checked, attr=attr)
    kept = kept_selector(selector, checked)
    batch = start(
        context.session,
        context.process.settings,
        project_id=caller.project_id,
        selector=kept,
        created_by_id=caller.user_id,
        dry_run=dry_run,
        action=action,
        arguments=arguments,
    )
    told = kept if checked.ids is None else {"tables": len(checked.ids)}
    more = {} if action is BatchAction.REFRESH else {"does": action, "selector": told}
    audit.record(context, "batch.create", batch.id, **more, **(arguments or {}))
    return view(context.session, batch)


def get(context: Context, batch_id: UUID) -> BatchView:
    """Return one batch with its counters.

    Raises:
        NotFoundError: no such batch in this project.
    """
    return view(context.session, context.find(Batch, batch_id))


def cancel(context: Context, batch_id: UUID) -> BatchView:
    """Cancel a batch: no more jobs are made, its queued ones end, its running ones are asked to.

    A job that waited already and serves the batch's table too belongs to whoever asked for it
    first, and goes on. Cancelling twice is fine.

    Raises:
        NotFoundError: no such batch in this project.
        ConflictError: it has ended already.
    """
    # Batch before jobs, as in the expansion.
    batch = context.find(Batch, batch_id, lock=True)
    if batch.cancelled_at is None:
        if view(context.session, batch).done:
            raise ConflictError(f"Batch {batch.id} has ended already; there is nothing to cancel.")
        batch.cancelled_at = context.session.scalar(select(now()))
        context.session.flush()
        cancelling.cancel_batch(context.session, batch)
        audit.record(context, "batch.cancel", batch.id)
    return view(context.session, batch)


def view(session: Session, batch: Batch) -> BatchView:
    """Return the batch with its counters, as they are now.

    Raises:
        NotFoundError: it is being removed for its age.
    """
    expansion = _expansion(session, batch.id)
    if _makes_jobs(batch):
        counts, shared = _counts(session, batch)
    else:
        counts, shared = _tables(batch, expansion), 0
    own = _own_undone(session, batch.id)
    state = _state(batch, expansion, counts)
    total = sum(counts.values())
    finished = total - sum(counts[each] for each in UNDONE)
    return BatchView(
        id=batch.id,
        action=batch.action,
        arguments=batch.arguments or {},
        state=state,
        done=state in (BatchState.FINISHED, BatchState.FAILED, BatchState.CANCELLED) and own == 0,
        selector=batch.selector,
        dry_run=batch.dry_run,
        schedule_id=batch.schedule_id,
        expand_job_id=expansion.id,
        counts=counts,
        total=total,
        deduplicated=shared,
        finished_share=_share(finished, total, complete=batch.expanded_at is not None),
        errors=_errors(session, batch.id, expansion),
        created_at=batch.created_at,
        expanded_at=batch.expanded_at,
        cancelled_at=batch.cancelled_at,
    )


def _share(finished: int, total: int, *, complete: bool) -> float:
    if total == 0:
        return 1.0 if complete else 0.0
    return round(finished / total, 4)


def _expansion(session: Session, batch_id: UUID) -> Job:
    expansion = session.scalars(
        select(Job)
        .where(Job.batch_id == batch_id, Job.kind.in_(OF_BATCH))
        .order_by(Job.id.desc())
        .limit(1)
    ).one_or_none()
    if expansion is None:  # the clock is just removing the batch for its age
        raise NotFoundError
    return expansion


def _state(batch: Batch, expansion: Job, counts: Mapping[str, int]) -> BatchState:
    if batch.cancelled_at is not None:
        return BatchState.CANCELLED
    if batch.expanded_at is None:
        return _UNEXPANDED.get(JobState(expansion.state), BatchState.EXPANDING)
    unfinished = sum(counts[each] for each in UNDONE)
    return BatchState.RUNNING if unfinished else BatchState.FINISHED


#: An expansion that ended without having made all jobs.
_UNEXPANDED: Final = {
    JobState.FAILED: BatchState.FAILED,
    JobState.CANCELLED: BatchState.CANCELLED,
}


def _makes_jobs(batch: Batch) -> bool:
    return batch.action == BatchAction.REFRESH


def _tables(batch: Batch, job: Job) -> dict[str, int]:
    """Return the tables that one job changes, in the words of jobs."""
    left = max(0, (batch.expected or 0) - batch.tables) if job.state in UNDONE else 0
    counts = {state.value: 0 for state in JobState}
    return counts | {JobState.SUCCEEDED: batch.tables, JobState.QUEUED: left}


def _counts(session: Session, batch: Batch) -> tuple[dict[str, int], int]:
    """Return its tables by the states of their jobs, and how many of these jobs it shares: in one
    walk, as a batch may have all tables and its page is asked for every other second."""
    # `!=` would leave out a job of no batch: compared with NULL it is NULL.
    is_shared = cast(Job.batch_id.is_distinct_from(batch.id), Integer)
    rows = session.execute(
        select(Job.state, func.count(), func.sum(is_shared))
        .join(BatchItem, BatchItem.job_id == Job.id)
        .where(BatchItem.batch_id == batch.id)
        .group_by(Job.state)
    ).all()
    counts = {state.value: 0 for state in JobState} | {row[0]: row[1] for row in rows}
    return counts, sum(row[2] for row in rows)


def _own_undone(session: Session, batch_id: UUID) -> int:
    undone = select(func.count()).where(Job.batch_id == batch_id, Job.state.in_(UNDONE))
    return session.scalar(undone) or 0


def _errors(session: Session, batch_id: UUID, expansion: Job) -> list[BatchError]:
    rows = session.execute(
        select(Job, Table.name)
        .join(BatchItem, BatchItem.job_id == Job.id)
        .join(Table, Table.id == BatchItem.table_id)
        .where(BatchItem.batch_id == batch_id, Job.state == JobState.FAILED)
        .order_by(BatchItem.table_id)
        .limit(ERRORS_SHOWN)
    ).all()
    failed = [_error(job, name) for job, name in rows]
    if expansion.state == JobState.FAILED:
        failed = [_error(expansion, None), *failed][:ERRORS_SHOWN]
    return failed


def _error(job: Job, table_name: str | None) -> BatchError:
    error = job.error or {}
    return BatchError(
        table_id=job.table_id,
        table_name=table_name,
        job_id=job.id,
        code=error.get("code", "internal"),
        detail=error.get("detail", ""),
    )
