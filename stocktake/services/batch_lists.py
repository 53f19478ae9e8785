"""Lists of batches: cheap, however many tables each has, as nothing of theirs is counted."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, exists, func, not_, select

from stocktake.db.models import Batch, Job
from stocktake.db.pages import Place, part_of
from stocktake.services.batches import BatchState
from stocktake.services.context import Context
from stocktake.states import OF_BATCH, UNDONE, BatchAction, JobState


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchFilter:
    """Which batches to list; None is any."""

    action: BatchAction | None = None
    state: BatchState | None = None
    schedule_id: UUID | None = None
    dry_run: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedBatch:
    """A batch as a list shows it."""

    id: UUID
    action: str
    arguments: dict[str, Any]
    state: BatchState
    selector: dict[str, Any]
    dry_run: bool
    schedule_id: UUID | None
    tables: int
    created_at: datetime
    expanded_at: datetime | None
    cancelled_at: datetime | None


def list_batches(
    context: Context, wanted: BatchFilter, *, limit: int, offset: int, after: Place | None = None
) -> tuple[int, Sequence[ListedBatch]]:
    """Return how many batches match, and one page of them, newest first."""
    matching = select(Batch, _STATE).where(Batch.project_id == context.caller.project_id)
    if wanted.action is not None:
        matching = matching.where(Batch.action == wanted.action)
    if wanted.state is not None:
        matching = matching.where(_STATE.in_((wanted.state.value,)))
    if wanted.schedule_id is not None:
        matching = matching.where(Batch.schedule_id == wanted.schedule_id)
    if wanted.dry_run is not None:
        matching = matching.where(Batch.dry_run.is_(wanted.dry_run))
    count = context.session.scalar(matching.with_only_columns(func.count()))
    page = part_of(matching, Batch.id, limit=limit, offset=offset, after=after)
    return count or 0, [_listed(*row) for row in context.session.execute(page)]


def _listed(batch: Batch, state: str) -> ListedBatch:
    return ListedBatch(
        id=batch.id,
        action=batch.action,
        arguments=batch.arguments or {},
        state=BatchState(state),
        selector=batch.selector,
        dry_run=batch.dry_run,
        schedule_id=batch.schedule_id,
        tables=batch.tables,
        created_at=batch.created_at,
        expanded_at=batch.expanded_at,
        cancelled_at=batch.cancelled_at,
    )


_OF_IT: Final = Job.batch_id == Batch.id
_UNEXPANDED: Final = Batch.expanded_at.is_(None)


def _own(*states: str) -> ColumnElement[bool]:
    """Whether the job that takes the batch's tables is in one of these states."""
    return exists().where(_OF_IT, Job.kind.in_(OF_BATCH), Job.state.in_(states))


#: As `batches.view` tells it, by the batch's own jobs.
_STATE: Final[ColumnElement[str]] = case(
    (Batch.cancelled_at.is_not(None), BatchState.CANCELLED.value),
    (and_(_UNEXPANDED, _own(*UNDONE)), BatchState.EXPANDING.value),
    (and_(_UNEXPANDED, _own(JobState.FAILED)), BatchState.FAILED.value),
    (_UNEXPANDED, BatchState.CANCELLED.value),
    (not_(exists().where(_OF_IT, Job.state.in_(UNDONE))), BatchState.FINISHED.value),
    else_=BatchState.RUNNING.value,
)
