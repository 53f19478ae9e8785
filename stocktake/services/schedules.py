"""Schedules: cron rules that start batches. Requests change them here, and the clock fires them.

`next_fire_at` is the rule's own time, without its jitter; None while the schedule is paused. What
a paused schedule missed is not made up for.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Final
from uuid import UUID

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session, defer

from stocktake.catalog.selection import (
    count_tables,
    kept_selector,
    parse_selector,
    require_known_ids,
)
from stocktake.db.clock import now
from stocktake.db.models import Batch, Job, Schedule, ScheduleFire
from stocktake.db.pages import Place, one_by_one, part_of
from stocktake.errors import ValidationError
from stocktake.services import audit, batches, cron, quotas, words
from stocktake.services.batches import BatchView
from stocktake.services.context import Context
from stocktake.settings import Settings
from stocktake.states import JobKind, JobState

MAX_JITTER_SECONDS: Final = 3600.0
#: Whether the last batch of a schedule waits to be expanded. It fires when that is done, for the
#: latest time that it missed: each batch copies a selector of up to 390 KB, and else there would be
#: more every minute, where the workers are behind.
_STILL_EXPANDING: Final = exists().where(
    ScheduleFire.schedule_id == Schedule.id,
    ScheduleFire.fire_at == Schedule.last_fire_at,
    Job.batch_id == ScheduleFire.batch_id,
    Job.kind == JobKind.EXPAND_BATCH,
    Job.state.in_((JobState.QUEUED, JobState.RUNNING)),
)
_TIMING: Final = frozenset({"cron", "timezone", "paused"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some schedules, newest first, and how many there are."""

    count: int
    schedules: Iterator[Schedule]


def create(context: Context, fields: Mapping[str, Any]) -> Schedule:
    """Add a schedule.

    Args:
        fields: name, cron, selector; timezone (UTC), jitter_seconds (0) and paused (false).

    Raises:
        ValidationError: a value is wrong, or the selector names a table this project lacks.
        QuotaExceededError: the project has as many schedules as it may.
    """
    schedule = _checked(context, fields)
    quotas.require_room_for_schedule(context)
    _plan(schedule, _database_now(context.session))
    context.session.add(schedule)
    context.session.flush()
    context.session.refresh(schedule)
    audit.record(context, "schedule.create", schedule.id)
    return schedule


def _checked(context: Context, fields: Mapping[str, Any]) -> Schedule:
    """Return a new schedule of these fields, which no session holds."""
    given = {"timezone": "UTC", "jitter_seconds": 0.0, "paused": False} | dict(fields)
    schedule = Schedule(
        project_id=context.caller.project_id, created_by_id=context.caller.user_id, **given
    )
    _check(context, schedule, given)
    return schedule


def page(context: Context, *, limit: int, offset: int, after: Place | None = None) -> Page:
    """Return the project's schedules."""
    mine = Schedule.project_id == context.caller.project_id
    count = context.session.scalar(select(func.count()).select_from(Schedule).where(mine))
    all_of_them = select(Schedule).where(mine)
    rows = part_of(all_of_them, Schedule.id, limit=limit, offset=offset, after=after)
    return Page(count=count or 0, schedules=one_by_one(context.session, rows))


def get(context: Context, schedule_id: UUID) -> Schedule:
    """Return one schedule.

    Raises:
        NotFoundError: no such schedule in this project.
    """
    return context.find(Schedule, schedule_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upcoming:
    """What a schedule is about to do.

    Attributes:
        fires: the rule's next times, in UTC and without their jitter, as if it were not paused;
            none where its zone or its rule is not known here.
        tables: how many it means now.
    """

    fires: list[datetime]
    tables: int


def upcoming(context: Context, schedule_id: UUID, *, count: int) -> Upcoming:
    """Return the schedule's next fires, as many, and the tables that they would read now.

    Raises:
        NotFoundError: no such schedule in this project.
    """
    return _upcoming(context, context.find(Schedule, schedule_id), count)


def preview(context: Context, fields: Mapping[str, Any], *, count: int) -> Upcoming:
    """Return what a schedule of these fields would be about to do; none is made.

    Args:
        fields: as of `create`.

    Raises:
        ValidationError: as of `create`.
    """
    schedule = _checked(context, fields)
    return _upcoming(context, schedule, count)


def _upcoming(context: Context, schedule: Schedule, count: int) -> Upcoming:
    selector = parse_selector(schedule.selector)
    return Upcoming(
        fires=list(islice(_fires_after(schedule, _database_now(context.session)), count)),
        tables=count_tables(context.session, context.caller.project_id, selector),
    )


def _fires_after(schedule: Schedule, moment: datetime) -> Iterator[datetime]:
    if not cron.is_known(schedule.cron, schedule.timezone, moment):
        return
    following = cron.next_after(schedule.cron, schedule.timezone, moment)
    while following is not None:
        yield following
        following = cron.next_after(schedule.cron, schedule.timezone, following)


def change(context: Context, schedule_id: UUID, fields: Mapping[str, Any]) -> Schedule:
    """Change some fields; a new rule, zone or an end of the pause plans the next fire anew.

    Raises:
        NotFoundError: no such schedule in this project.
        ValidationError: a value is wrong; nothing was changed.
    """
    schedule = context.find(Schedule, schedule_id, lock=True)
    changed = {name: new for name, new in fields.items() if getattr(schedule, name) != new}
    # The checks ask the database, and a value that they are yet to refuse must not be written for
    # that.
    with context.session.no_autoflush:
        for name, new in changed.items():
            setattr(schedule, name, new)
        _check(context, schedule, changed)
        if _TIMING & set(changed):
            _plan(schedule, _database_now(context.session))
    context.session.flush()
    audit.record(context, "schedule.change", schedule.id, fields=sorted(changed))
    return schedule


def remove(context: Context, schedule_id: UUID) -> None:
    """Delete a schedule. The batches that it started stay.

    Raises:
        NotFoundError: no such schedule in this project.
    """
    schedule = context.find(Schedule, schedule_id, lock=True)
    context.session.delete(schedule)
    context.session.flush()
    audit.record(context, "schedule.delete", schedule.id)


def run_now(context: Context, schedule_id: UUID) -> BatchView:
    """Start the schedule's batch at once, paused or not; its rule is not touched.

    Raises:
        NotFoundError: no such schedule in this project.
    """
    schedule = context.find(Schedule, schedule_id)
    batch = _start(context.session, context.process.settings, schedule, context.caller.user_id)
    audit.record(context, "schedule.run", schedule.id, batch_id=str(batch.id))
    return batches.view(context.session, batch)


def _check(context: Context, schedule: Schedule, changed: Mapping[str, Any]) -> None:
    if "name" in changed:
        schedule.name = words.require_name(schedule.name, "name", max_length=128)
    if not 0 <= schedule.jitter_seconds <= MAX_JITTER_SECONDS:
        raise ValidationError(
            f"jitter_seconds must be from 0 to {MAX_JITTER_SECONDS:.0f}.", attr="jitter_seconds"
        )
    if {"cron", "timezone"} & set(changed):
        cron.check_timezone(schedule.timezone)
        cron.check_cron(schedule.cron, schedule.timezone, _database_now(context.session))
    if "selector" in changed:
        selector = parse_selector(schedule.selector, attr="selector")
        if selector.wanted.schedule is not None:
            raise ValidationError(
                "A schedule's selector names no other schedule: repeat what that one selects.",
                attr="selector__schedule",
            )
        require_known_ids(context.session, schedule.project_id, selector, attr="selector")
        schedule.selector = kept_selector(schedule.selector, selector)


def _plan(schedule: Schedule, moment: datetime) -> None:
    if schedule.paused:
        schedule.next_fire_at = None
        return
    schedule.next_fire_at = cron.next_after(schedule.cron, schedule.timezone, moment)


def _database_now(session: Session) -> datetime:
    moment: datetime = session.scalars(select(now())).one()
    return moment


def _start(
    session: Session, settings: Settings, schedule: Schedule, created_by_id: int | None
) -> Batch:
    return batches.start(
        session,
        settings,
        project_id=schedule.project_id,
        selector=schedule.selector,
        created_by_id=created_by_id,
        schedule_id=schedule.id,
    )


# --- the clock ------------------------------------------------------------------------------


def due(session: Session, *, limit: int) -> list[UUID]:
    """Return schedules that must fire now and can, longest overdue first. Only reads.

    Args:
        limit: how many at most.
    """
    moment = _database_now(session)
    # No limit in the query: those that wait for their jitter or cannot fire would fill it.
    ready = (each.id for each in _overdue(session, moment) if _knows(each, moment))
    return list(islice(ready, limit))


def unfireable(session: Session) -> Sequence[Schedule]:
    """Return schedules that must fire now and cannot: `due` leaves them out. Only reads."""
    moment = _database_now(session)
    return [each for each in _overdue(session, moment) if not _knows(each, moment)]


def _overdue(session: Session, moment: datetime) -> Iterator[Schedule]:
    candidates = session.scalars(
        select(Schedule)
        .where(Schedule.paused.is_(False), Schedule.next_fire_at <= moment, ~_STILL_EXPANDING)
        .order_by(Schedule.next_fire_at, Schedule.id)
        # A thousand selectors of 10,000 tables are gigabytes, once parsed.
        .options(defer(Schedule.selector, raiseload=True))
    ).all()
    return (each for each in candidates if _due_fire(each, moment) is not None)


def _knows(schedule: Schedule, moment: datetime) -> bool:
    return cron.is_known(schedule.cron, schedule.timezone, moment)


def _due_fire(schedule: Schedule, moment: datetime) -> datetime | None:
    """Return the schedule's next fire, where its time and its jitter have passed."""
    planned = schedule.next_fire_at
    if schedule.paused or planned is None:
        return None
    begin = cron.starts_at(schedule.id, planned, schedule.jitter_seconds)
    return planned if begin <= moment else None


def fire(session: Session, settings: Settings, schedule_id: UUID) -> Batch | None:
    """Fire a due schedule once, for the latest time it missed, and plan its next fire.

    The row is locked and judged again, so that of two clocks one fires; the unique key of
    `schedule_fires` stands behind it.

    Returns:
        the batch; None where it is not due any more or another clock holds it.
    """
    schedule = session.scalars(
        select(Schedule).where(Schedule.id == schedule_id).with_for_update(skip_locked=True)
    ).one_or_none()
    moment = _database_now(session)
    planned = None if schedule is None else _due_fire(schedule, moment)
    if schedule is None or planned is None:
        return None
    fire_at = cron.latest_due(
        schedule.id,
        cron=schedule.cron,
        timezone=schedule.timezone,
        jitter_seconds=schedule.jitter_seconds,
        next_fire_at=planned,
        now=moment,
    )
    # From the fire and not from now: a fire after it may still wait for its jitter.
    _plan(schedule, fire_at)
    if session.get(ScheduleFire, (schedule.id, fire_at)) is not None:
        return None  # the database's clock went back: this moment was fired for already
    schedule.last_fire_at = fire_at
    batch = _start(session, settings, schedule, schedule.created_by_id)
    session.add(ScheduleFire(schedule_id=schedule.id, fire_at=fire_at, batch_id=batch.id))
    return batch
