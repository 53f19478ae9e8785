"""Asking for a table's source to be read: one job per request, or the one that waits already."""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import select, update

from stocktake.db.clock import now
from stocktake.db.models import Job, Table
from stocktake.errors import ValidationError
from stocktake.jobs import leases, turns
from stocktake.jobs.queueing import Enqueued, JobRequest, enqueue, enqueue_validation
from stocktake.services import words
from stocktake.services.context import Context
from stocktake.states import JobKind, JobState, Queue


def request(
    context: Context,
    table: Table,
    *,
    queue: Queue = Queue.INTERACTIVE,
    batch_id: UUID | None = None,
) -> Enqueued:
    """Queue a refresh of the table, or find the one that is queued and was never attempted.

    Args:
        table: live, and locked by this transaction: tables are locked before jobs, everywhere.

    Raises:
        ValidationError: the table is sourced, so its columns are not ours to read.
    """
    require_linked(table)
    enqueued = enqueue(
        context.session,
        JobRequest(
            project_id=table.project_id,
            kind=JobKind.REFRESH_SCHEMA,
            queue=queue,
            max_attempts=context.settings.job_max_attempts,
            table_id=table.id,
            batch_id=batch_id,
            created_by_id=context.caller.user_id,
        ),
    )
    table.latest_job_id = enqueued.job.id
    return enqueued


def request_validation(context: Context, table: Table) -> Enqueued | None:
    """Queue a read of all the data against the columns' types, unless nothing calls for it."""
    return enqueue_validation(
        context.session, context.settings, table, created_by_id=context.caller.user_id
    )


def require_linked(table: Table) -> None:
    """Refuse a table that an import brought in and that its own source keeps.

    Raises:
        ValidationError: the table has an `external_data_source`.
    """
    if table.external_data_source is not None:
        raise ValidationError(words.NOT_LINKED, legacy_message=True)


def cancel_queued(
    context: Context, table: Table, *, kinds: Collection[JobKind], detail: str
) -> Sequence[Job]:
    """End the table's queued jobs of these kinds: what they were asked to do is void.

    Args:
        detail: the sentence for the jobs' `error`, whose code is ``superseded``.
    """
    return end_superseded(context, _queued(context, table, kinds), detail=detail)


def end_superseded(context: Context, job_ids: Sequence[UUID], *, detail: str) -> Sequence[Job]:
    """End those of these jobs that are still queued, and return them."""
    ended = context.session.scalars(
        update(Job)
        .where(Job.id.in_(job_ids), Job.state == JobState.QUEUED.value)
        .values(
            state=JobState.CANCELLED.value,
            error=leases.cancelled_error("superseded", detail),
            finished_at=now(),
            revision=Job.revision + 1,
        )
        .returning(Job)
        .execution_options(synchronize_session=False, populate_existing=True)
    ).all()
    for job in ended:
        turns.ring_behind(context.session, job)
    return ended


def _queued(context: Context, table: Table, kinds: Collection[JobKind]) -> Sequence[UUID]:
    # Locked in the order of their ids, so that two transactions cannot wait for each other.
    return context.session.scalars(
        select(Job.id)
        .where(
            Job.table_id == table.id,
            Job.kind.in_([kind.value for kind in kinds]),
            Job.state == JobState.QUEUED.value,
        )
        .order_by(Job.id)
        .with_for_update()
    ).all()


def stop_running(context: Context, table: Table, *, kinds: Collection[JobKind]) -> None:
    """Ask the table's running jobs of these kinds to stop: their results are void."""
    context.session.execute(
        update(Job)
        .where(
            Job.table_id == table.id,
            Job.kind.in_([kind.value for kind in kinds]),
            Job.state == JobState.RUNNING.value,
            Job.cancel_requested_at.is_(None),
        )
        .values(cancel_requested_at=now(), revision=Job.revision + 1)
        .execution_options(synchronize_session=False)
    )
