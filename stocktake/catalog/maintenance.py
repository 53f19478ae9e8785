"""When a managed Delta table is maintained: asked for by somebody, or due by the settings."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, false, func, or_, select, true
from sqlalchemy.orm import Session

from stocktake.db.clock import now
from stocktake.db.models import Job, Table
from stocktake.jobs.queueing import Enqueued, JobRequest, enqueue
from stocktake.schema.formats import TAKING_ROWS
from stocktake.settings import Settings
from stocktake.states import UNDONE, JobKind, JobState, Queue

#: What is due is not asked for again within this time, so that a table that is loaded without end
#: takes no more than its share of the workers; and one that cannot be maintained.
PAUSE_SECONDS: Final = 300.0
FAILED_PAUSE_SECONDS: Final = 3600.0


def enqueue_maintenance(
    session: Session,
    settings: Settings,
    table: Table,
    *,
    queue: Queue,
    created_by_id: int | None = None,
) -> Enqueued:
    """Queue the upkeep of a managed Delta table, or find the job that waits for it already.

    Args:
        table: locked by this transaction.
    """
    return enqueue(
        session,
        JobRequest(
            project_id=table.project_id,
            kind=JobKind.MAINTAIN_TABLE,
            queue=queue,
            max_attempts=settings.job_max_attempts,
            table_id=table.id,
            created_by_id=created_by_id,
        ),
    )


def due(session: Session, settings: Settings, *, limit: int) -> Sequence[tuple[int, UUID]]:
    """Return project and id of tables whose upkeep is due by the settings, some at a time."""
    query = select(Table.project_id, Table.id).where(is_due(settings)).order_by(Table.id)
    return [(row.project_id, row.id) for row in session.execute(query.limit(limit))]


def is_due(settings: Settings) -> ColumnElement[bool]:
    """Return the condition under which a table's upkeep is due: many loads, or a few and a while,
    or files that nobody has counted yet."""
    reasons: list[ColumnElement[bool]] = []
    if settings.maintain_after_loads:
        reasons.append(Table.loads_since_upkeep >= settings.maintain_after_loads)
    if settings.maintain_after_seconds:
        last = func.coalesce(Table.maintained_at, Table.created_at)
        changed = or_(Table.loads_since_upkeep > 0, Table.stored_bytes > Table.size_bytes)
        reasons.append(and_(last <= now(-settings.maintain_after_seconds), changed))
    if reasons:
        reasons.append(and_(Table.stored_bytes.is_(None), Table.last_refreshed_at.is_not(None)))
    lately = exists().where(
        Job.table_id == Table.id,
        Job.kind == JobKind.MAINTAIN_TABLE,
        or_(
            Job.state.in_(UNDONE),
            Job.created_at > now(-PAUSE_SECONDS),
            and_(
                Job.state != JobState.SUCCEEDED.value,
                Job.created_at > now(-FAILED_PAUSE_SECONDS),
            ),
        ),
    )
    return and_(
        # As the index of managed tables has it: `is_(True)` would not use that.
        Table.managed == true(),
        Table.deleted == false(),
        Table.format.in_(TAKING_ROWS),
        or_(false(), *reasons),
        ~lately,
    )
