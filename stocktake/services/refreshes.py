"""Asking for a table's source to be read: one job per request, or the one that waits already."""

from uuid import UUID

from stocktake.catalog.validation import enqueue_validation
from stocktake.db.models import Table
from stocktake.errors import ValidationError
from stocktake.jobs.queueing import Enqueued, JobRequest, enqueue
from stocktake.services import words
from stocktake.services.context import Context
from stocktake.states import JobKind, Queue


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
            max_attempts=context.process.settings.job_max_attempts,
            table_id=table.id,
            batch_id=batch_id,
            created_by_id=context.caller.user_id,
        ),
    )
    table.latest_job_id = enqueued.job.id
    return enqueued


def request_plan(context: Context, table: Table) -> Enqueued:
    """Queue a read of the table's source that says what a refresh would change and stores nothing,
    or find the one that is queued and was never attempted.

    Args:
        table: live, and locked by this transaction.

    Raises:
        ValidationError: the table is sourced, so its columns are not ours to read.
    """
    require_linked(table)
    return enqueue(
        context.session,
        JobRequest(
            project_id=table.project_id,
            kind=JobKind.PLAN_REFRESH,
            queue=Queue.INTERACTIVE,
            max_attempts=context.process.settings.job_max_attempts,
            table_id=table.id,
            created_by_id=context.caller.user_id,
        ),
    )


def request_validation(context: Context, table: Table) -> Enqueued | None:
    """Queue a read of all the data against the columns' types, unless nothing calls for it."""
    return enqueue_validation(
        context.session, context.process.settings, table, created_by_id=context.caller.user_id
    )


def require_linked(table: Table) -> None:
    """Refuse a table that an import brought in and that its own source keeps.

    Raises:
        ValidationError: the table has an `external_data_source`.
    """
    if table.external_data_source is not None:
        raise ValidationError(words.NOT_LINKED, legacy_message=True)
