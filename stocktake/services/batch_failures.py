"""What failed in a batch, by code, and the same once more for those tables."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import func, select

from stocktake.catalog.selection import MAX_IDS
from stocktake.db.models import Batch, BatchItem, Job, Table
from stocktake.errors import ConflictError, hint_for
from stocktake.services import batches
from stocktake.services.batches import BatchView
from stocktake.services.context import Context
from stocktake.services.table_counts import Failing
from stocktake.states import JobState

#: Of a job that failed without a word, as `batches` tells it.
_NO_CODE: Final = "internal"


def by_code(context: Context, batch_id: UUID) -> Sequence[Failing]:
    """Return how many tables of a batch failed with each code, most tables first.

    Raises:
        NotFoundError: no such batch in this project.
    """
    batch = context.find(Batch, batch_id)
    code = func.coalesce(Job.error["code"].as_string(), _NO_CODE).label("code")
    tables = func.count().label("tables")
    rows = context.session.execute(
        select(code, tables)
        .select_from(BatchItem)
        .join(Job, Job.id == BatchItem.job_id)
        .where(BatchItem.batch_id == batch.id, Job.state == JobState.FAILED)
        .group_by(code)
        .order_by(tables.desc(), code)
    )
    return [
        Failing(error_code=row.code, hint=hint_for(row.code), tables=row.tables) for row in rows
    ]


def refresh_again(context: Context, batch_id: UUID) -> BatchView:
    """Start a batch of those tables whose jobs in this one failed; of a plan another plan.

    Raises:
        NotFoundError: no such batch in this project.
        ConflictError: none failed that is still there.
    """
    batch = context.find(Batch, batch_id)
    failed = (
        select(Table.id)
        .join(BatchItem, BatchItem.table_id == Table.id)
        .join(Job, Job.id == BatchItem.job_id)
        .where(
            BatchItem.batch_id == batch.id, Job.state == JobState.FAILED, Table.deleted.is_(False)
        )
        .order_by(Table.id)
        .limit(MAX_IDS)
    )
    ids = [str(each) for each in context.session.scalars(failed)]
    if not ids:
        raise ConflictError("No table of this batch has failed and is still there.")
    return batches.create(context, {"tables": ids}, dry_run=batch.dry_run)
