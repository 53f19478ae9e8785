"""What a request asks of a managed Delta table's files: its upkeep."""

from typing import Final
from uuid import UUID

from stocktake.catalog.maintenance import enqueue_maintenance
from stocktake.db.models import Table
from stocktake.errors import ValidationError
from stocktake.jobs.queueing import Enqueued
from stocktake.schema.formats import TableFormat
from stocktake.services import audit, table_views
from stocktake.services.context import Context
from stocktake.states import Queue

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


def locked_managed(context: Context, table_id: UUID) -> Table:
    """Return a managed Delta table of the caller's project, locked for a change.

    Raises:
        NotFoundError: none of this project has that id.
        ValidationError: the table is no managed Delta table.
    """
    table = table_views.locked(context, table_id)
    if not (table.managed and TableFormat(table.format).facts.takes_rows):
        raise ValidationError(NOT_MANAGED, legacy_message=True)
    return table
