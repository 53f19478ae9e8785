"""What a request asks of a managed Delta table: its files' upkeep, or to go back to older ones."""

from typing import Final
from uuid import UUID

from sqlalchemy import exists, select

from stocktake.catalog.maintenance import enqueue_maintenance
from stocktake.db.models import Job, Table
from stocktake.errors import ConflictError, ValidationError
from stocktake.jobs.arguments import RestoreArguments
from stocktake.jobs.queueing import Enqueued, JobRequest, enqueue
from stocktake.schema.formats import TAKING_ROWS
from stocktake.services import audit, table_views
from stocktake.services.context import Context
from stocktake.states import UNDONE, JobKind, Queue

NOT_LOADED: Final = "Nothing was loaded into this table yet; there is nothing to go back to."
NOT_MANAGED: Final = (
    "This table is no managed Delta table: its files belong to whoever wrote them. Rows that are "
    "uploaded with target=delta make one."
)


def request(context: Context, table_id: UUID) -> Enqueued:
    """Queue the upkeep of a managed Delta table, or find the job that waits for it already.

    Raises:
        NotFoundError: none of this project has that id.
        ValidationError: the table is no managed Delta table.
    """
    table = locked_managed(context, table_id)
    enqueued = enqueue_maintenance(
        context.session,
        context.process.settings,
        table,
        queue=Queue.INTERACTIVE,
        created_by_id=context.caller.user_id,
    )
    audit.record(context, "table.maintain", table.id, job_id=str(enqueued.job.id))
    return enqueued


def request_restore(context: Context, table_id: UUID, *, version: int | None) -> Enqueued:
    """Queue a job that takes a managed Delta table back.

    Args:
        version: of the log, as `source_version` told it; None for the one before the last load.

    Raises:
        NotFoundError: none of this project has that id.
        ValidationError: the table is no managed Delta table, or has no such version before it.
        ConflictError: an upload or a restore of the table has not ended.
    """
    table = locked_managed(context, table_id)
    _require_settled(context, table)
    now_at = table.source_version
    if not isinstance(now_at, int):
        raise ValidationError(NOT_LOADED, legacy_message=True)
    if version is not None and version >= now_at:
        raise ValidationError(
            f"The table is at version {now_at}; only one before it can be restored.",
            attr="version",
        )
    arguments = RestoreArguments(version=version, as_of=now_at)
    enqueued = enqueue(
        context.session,
        JobRequest(
            project_id=table.project_id,
            kind=JobKind.RESTORE_TABLE,
            queue=Queue.INTERACTIVE,
            max_attempts=context.process.settings.job_max_attempts,
            table_id=table.id,
            created_by_id=context.caller.user_id,
            arguments=arguments.as_dict(),
        ),
    )
    table.latest_job_id = enqueued.job.id
    audit.record(context, "table.restore", table.id, **arguments.as_dict())
    return enqueued


def _require_settled(context: Context, table: Table) -> None:
    """Refuse where it cannot be told yet which load is the last."""
    changing = (JobKind.INGEST_FILE, JobKind.RESTORE_TABLE)
    open_jobs = exists().where(
        Job.table_id == table.id, Job.kind.in_(changing), Job.state.in_(UNDONE)
    )
    if context.session.scalar(select(open_jobs)):
        raise ConflictError(
            "An upload or a restore of this table has not ended; ask again once it has."
        )


def locked_managed(context: Context, table_id: UUID) -> Table:
    """Return a managed Delta table of the caller's project, locked for a change.

    Raises:
        NotFoundError: none of this project has that id.
        ValidationError: the table is no managed Delta table.
    """
    table = table_views.locked(context, table_id)
    if not (table.managed and table.format in TAKING_ROWS):
        raise ValidationError(NOT_MANAGED, legacy_message=True)
    return table
