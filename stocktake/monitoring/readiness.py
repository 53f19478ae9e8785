"""Whether the service can take requests and will work on them, and which part is at fault."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import exists, func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from stocktake.db import migrate
from stocktake.db.clock import now
from stocktake.db.failures import explain_failure
from stocktake.db.models import Canary, ClockBeat, Job, JobAttempt
from stocktake.db.session import Database
from stocktake.jobs.doorbell import QueueLengths
from stocktake.settings import Settings
from stocktake.states import JobState, Queue

#: A clock that missed this many ticks, and not less than ten seconds of them, is not running.
_MISSED_TICKS: Final = 20
_PATIENCE_SECONDS: Final = 10.0


class Part(StrEnum):
    """What the service stands on."""

    DATABASE = "database"
    CLOCK = "clock"
    BROKER = "broker"
    WORKER = "worker"


class Status(StrEnum):
    """How a part is."""

    OK = "ok"
    #: The database or the broker does not answer.
    UNREACHABLE = "unreachable"
    #: The database is at an older revision than the code.
    NOT_MIGRATED = "not_migrated"
    #: No clock has had a good tick lately.
    NOT_TICKING = "not_ticking"
    #: The canary is late, behind jobs that are being worked on.
    BUSY = "busy"
    #: No worker takes messages: none runs, or one that does is wedged.
    SILENT = "silent"
    #: A worker took the canary and did not end it.
    STUCK = "stuck"
    #: Cannot be told while another part is at fault.
    UNKNOWN = "unknown"

    @property
    def good(self) -> bool:
        """Whether jobs will be done."""
        return self in (Status.OK, Status.BUSY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """What was found.

    Attributes:
        reasons: sentences on the parts at fault; empty where the service is ready.
        clock_age_seconds: since the last good tick of any clock.
        canary_age_seconds: since a canary came home last.
        worker: the child that took the last canary.
    """

    checks: Mapping[Part, Status]
    reasons: Mapping[Part, str] = field(default_factory=dict)
    clock_age_seconds: float | None = None
    canary_age_seconds: float | None = None
    worker: str | None = None

    @property
    def ready(self) -> bool:
        """Whether requests are taken and jobs will be done."""
        return all(self.checks[part].good for part in Part)

    def as_dict(self) -> dict[str, Any]:
        """Return the body of `/readyz`."""
        return {
            "status": "ok" if self.ready else "unavailable",
            "checks": {part.value: self.checks[part].value for part in Part},
            "reasons": list(self.reasons.values()),
            "clock_age_seconds": self.clock_age_seconds,
            "canary_age_seconds": self.canary_age_seconds,
        }


@dataclass(slots=True)
class _Findings:
    """The parts as they are looked at, from the ground up."""

    checks: dict[Part, Status] = field(default_factory=lambda: dict.fromkeys(Part, Status.UNKNOWN))
    reasons: dict[Part, str] = field(default_factory=dict)

    def note(self, part: Part, status: Status, reason: str = "") -> None:
        self.checks[part] = status
        if reason:
            self.reasons[part] = reason


def look(database: Database, settings: Settings, queue_lengths: QueueLengths) -> Readiness:
    """Ask the database, in four short queries at most, and the broker, in one round trip."""
    found = _Findings()
    seen: _Seen | None = None
    try:
        if migrate.pending(database.engine):
            reason = "The database is not migrated: run `stocktake db upgrade`."
            found.note(Part.DATABASE, Status.NOT_MIGRATED, reason)
        else:
            seen = _see(database, settings)
            found.note(Part.DATABASE, Status.OK)
    except SQLAlchemyError as exc:
        found.note(Part.DATABASE, Status.UNREACHABLE, explain_failure(exc))
    # With the database away, too: each part that can be told is told.
    _judge_broker(found, queue_lengths())
    if seen is not None:
        _judge_clock(found, seen, settings)
        _judge_worker(found, seen)
    if seen is None:
        return Readiness(checks=found.checks, reasons=found.reasons)
    canary = seen.canary
    return Readiness(
        checks=found.checks,
        reasons=found.reasons,
        clock_age_seconds=_age(seen.moment, seen.ticked_at),
        canary_age_seconds=_age(seen.moment, canary.last_ended_at) if canary else None,
        worker=canary.worker if canary else None,
    )


def unanswered(seconds: float) -> Readiness:
    """Return what is told while `look` waits: of what it asks, only the database may take so long.

    Args:
        seconds: since it was asked.
    """
    found = _Findings()
    reason = f"The database has given no answer for {seconds:g} s: do its processes run, or hang?"
    found.note(Part.DATABASE, Status.UNREACHABLE, reason)
    return Readiness(checks=found.checks, reasons=found.reasons)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What the database says.

    Attributes:
        late: whether the canary has been away for too long.
        busy: whether a worker is at work all the same.
    """

    moment: datetime
    ticked_at: datetime | None
    canary: Canary | None
    late: bool
    busy: bool


def _see(database: Database, settings: Settings) -> _Seen:
    with database.read() as session:
        # Any clock will do; and the age is taken by the database's time, in the statement that
        # reads it.
        last_tick = select(func.max(ClockBeat.ticked_at)).scalar_subquery()
        moment, ticked_at = session.execute(select(now(), last_tick)).one()
        canary = session.scalars(select(Canary)).one_or_none()
        away = 0.0
        if canary is not None and canary.ended_at is None:
            away = _age(moment, canary.sent_at) or 0.0
        late = away > settings.canary_late_seconds
        # A canary waits behind jobs like any other message: late alone is no fault.
        busy = late and _somebody_works(session, settings.canary_late_seconds)
    return _Seen(moment=moment, ticked_at=ticked_at, canary=canary, late=late, busy=busy)


def _somebody_works(session: Session, within_seconds: float) -> bool:
    """Return whether a job is under a live lease, or its worker ended an attempt lately."""
    running = exists().where(Job.state == JobState.RUNNING, Job.lease_expires_at > now())
    ended = exists().where(
        JobAttempt.ended_at > now(-within_seconds),
        JobAttempt.outcome != "worker_lost",  # the clock's work, not a worker's
    )
    return bool(session.scalar(select(running | ended)))


def _judge_broker(found: _Findings, waiting: Mapping[Queue, int] | None) -> None:
    if waiting is None:
        reason = "The broker does not answer: jobs are accepted, and run when it is back."
        found.note(Part.BROKER, Status.UNREACHABLE, reason)
    else:
        found.note(Part.BROKER, Status.OK)


def _judge_clock(found: _Findings, seen: _Seen, settings: Settings) -> None:
    patience = max(_PATIENCE_SECONDS, _MISSED_TICKS * settings.clock_interval_seconds)
    age = _age(seen.moment, seen.ticked_at)
    if age is None:
        reason = "No clock has ticked yet: retries and schedules do not run."
        found.note(Part.CLOCK, Status.NOT_TICKING, reason)
    elif age > patience:
        reason = f"The clock has not ticked for {age:.0f} s: retries and schedules do not run."
        found.note(Part.CLOCK, Status.NOT_TICKING, reason)
    else:
        found.note(Part.CLOCK, Status.OK)


def _judge_worker(found: _Findings, seen: _Seen) -> None:
    canary = seen.canary
    if not found.checks[Part.BROKER].good or not found.checks[Part.CLOCK].good:
        return  # no canary is sent, or none arrives
    if canary is None or not seen.late:
        found.note(Part.WORKER, Status.OK)
    elif seen.busy:
        found.note(Part.WORKER, Status.BUSY)
    elif canary.started_at is None:
        reason = (
            f"No worker has taken the canary of {_age(seen.moment, canary.sent_at):.0f} s ago: "
            "none runs, or it is wedged. Jobs wait; restart the workers."
        )
        found.note(Part.WORKER, Status.SILENT, reason)
    else:
        reason = (
            f"A worker took the canary {_age(seen.moment, canary.started_at):.0f} s ago and did "
            "not end it. Jobs wait; restart the workers."
        )
        found.note(Part.WORKER, Status.STUCK, reason)


def _age(moment: datetime, since: datetime | None) -> float | None:
    return None if since is None else max(0.0, round((moment - since).total_seconds(), 1))
