"""Asking for a table's source to be read: one job per request, or the one that waits already."""

from typing import Final
from uuid import UUID

from sqlalchemy import Integer, Uuid, bindparam, select, update

from stocktake.catalog.validation import enqueue_validation
from stocktake.db.models import TABLES, Table
from stocktake.errors import NotFoundError, ValidationError
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
    enqueued = enqueue(context.session, _wanted(context, table.id, queue, batch_id))
    table.latest_job_id = enqueued.job.id
    return enqueued


def _wanted(
    context: Context, table_id: UUID, queue: Queue, batch_id: UUID | None = None
) -> JobRequest:
    return JobRequest(
        project_id=context.caller.project_id,
        kind=JobKind.REFRESH_SCHEMA,
        queue=queue,
        max_attempts=context.process.settings.job_max_attempts,
        table_id=table_id,
        batch_id=batch_id,
        created_by_id=context.caller.user_id,
    )


#: Built once, and of three columns: a table may have ten thousand, and is not shown.
_LOCK: Final = (
    select(TABLES.c.latest_job_id, TABLES.c.external_data_source.is_not(None).label("is_sourced"))
    .where(
        TABLES.c.id == bindparam("the_table", type_=Uuid()),
        TABLES.c.project_id == bindparam("the_project", type_=Integer),
        TABLES.c.deleted.is_(False),
    )
    # FOR NO KEY UPDATE, as `catalog.tables` locks.
    .with_for_update(key_share=True)
)
_SHOW: Final = (
    update(TABLES)
    .where(TABLES.c.id == bindparam("the_table", type_=Uuid()))
    .values(latest_job_id=bindparam("the_job", type_=Uuid()))
)


def request_alone(context: Context, table_id: UUID) -> Enqueued:
    """Do as `request` does, where the refresh is all that is asked for.

    Raises:
        NotFoundError: no such live table in this project.
        ValidationError: the table is sourced.
    """
    connection = context.session.connection()
    given = {"the_table": table_id, "the_project": context.caller.project_id}
    table = connection.execute(_LOCK, given).one_or_none()
    if table is None:
        raise NotFoundError
    if table.is_sourced:
        raise _not_linked()
    enqueued = enqueue(context.session, _wanted(context, table_id, Queue.INTERACTIVE))
    if table.latest_job_id != enqueued.job.id:
        connection.execute(_SHOW, {"the_table": table_id, "the_job": enqueued.job.id})
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
        raise _not_linked()


def _not_linked() -> ValidationError:
    return ValidationError(words.NOT_LINKED, legacy_message=True)
