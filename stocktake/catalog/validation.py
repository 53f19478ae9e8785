"""When all the data of a table is read and held to its columns' types."""

from sqlalchemy.orm import Session

from stocktake.catalog.formats import format_of
from stocktake.db.models import Table
from stocktake.jobs.queueing import Enqueued, JobRequest, enqueue
from stocktake.settings import Settings
from stocktake.states import JobKind, Queue


def enqueue_validation(
    session: Session, settings: Settings, table: Table, *, created_by_id: int | None = None
) -> Enqueued | None:
    """Enqueue a read of all the data of a table whose types a sample decided.

    Args:
        table: locked by this transaction.

    Returns:
        None where the format carries its types, or where options or limits forbid the read.
    """
    unwanted = table.options.get("validate") is False
    too_large = (table.size_bytes or 0) > settings.validate_max_bytes
    if unwanted or too_large or not format_of(table.format).facts.inferred:
        return None
    return enqueue(
        session,
        JobRequest(
            project_id=table.project_id,
            kind=JobKind.VALIDATE_COLUMNS,
            queue=Queue.VALIDATE,
            max_attempts=settings.job_max_attempts,
            table_id=table.id,
            created_by_id=created_by_id,
        ),
    )
