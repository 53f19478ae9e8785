"""Schedules that somebody should look at: those that are paused, and those whose last fire
started what failed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, func, select

from stocktake.db.models import Job, Schedule, ScheduleFire
from stocktake.services.context import Context
from stocktake.states import JobState


@dataclass(frozen=True, slots=True, kw_only=True)
class Failing:
    """A schedule whose last fire has started jobs that failed."""

    schedule: Schedule
    batch_id: UUID
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Troubles:
    """What is to be told of a project's schedules.

    Attributes:
        paused, failing: the first of them, by name.
        paused_count, failing_count: of all.
    """

    paused: Sequence[Schedule]
    paused_count: int
    failing: Sequence[Failing]
    failing_count: int


def troubles(context: Context, *, limit: int) -> Troubles:
    """Return the project's schedules that are paused, and the others of whose last fire jobs have
    failed; of each as many."""
    mine = select(Schedule).where(Schedule.project_id == context.caller.project_id)
    paused = mine.where(Schedule.paused.is_(True))
    failing = _failing(context.caller.project_id)
    rows = context.session.execute(failing.order_by(Schedule.name, Schedule.id).limit(limit))
    return Troubles(
        paused=context.session.scalars(
            paused.order_by(Schedule.name, Schedule.id).limit(limit)
        ).all(),
        paused_count=_count(context, paused),
        failing=[Failing(schedule=each, batch_id=batch, failed=n) for each, batch, n in rows],
        failing_count=_count(context, failing),
    )


def _failing(project_id: int) -> Select[Schedule, UUID, int]:
    # By the fire, which has a key: no index leads from a schedule to its batches.
    failed = (
        select(func.count())
        .select_from(Job)
        .where(Job.batch_id == ScheduleFire.batch_id, Job.state == JobState.FAILED)
        .correlate(ScheduleFire)
        .scalar_subquery()
    )
    return (
        select(Schedule, ScheduleFire.batch_id, failed.label("failed"))
        .join(
            ScheduleFire,
            and_(
                ScheduleFire.schedule_id == Schedule.id,
                ScheduleFire.fire_at == Schedule.last_fire_at,
            ),
        )
        .where(Schedule.project_id == project_id, Schedule.paused.is_(False), failed > 0)
    )


def _count(context: Context, matching: Select[*tuple[Any, ...]]) -> int:
    return context.session.scalar(select(func.count()).select_from(matching.subquery())) or 0
