"""Whether the service can take requests and will work on them."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from stocktake.db import migrate
from stocktake.db.clock import now
from stocktake.db.models import ClockBeat
from stocktake.db.session import Database

#: A clock that missed this many ticks, and not less than ten seconds of them, is not running.
_MISSED_TICKS: Final = 20
_PATIENCE: Final = timedelta(seconds=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """What was found.

    Attributes:
        reasons: why the service is not ready; empty where it is.
        clock_age_seconds: since the last good tick of any clock.
    """

    reasons: tuple[str, ...]
    clock_age_seconds: float | None

    @property
    def ready(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.reasons

    def as_dict(self) -> dict[str, Any]:
        """The body of `/readyz`."""
        return {
            "status": "ok" if self.ready else "unavailable",
            "reasons": list(self.reasons),
            "clock_age_seconds": self.clock_age_seconds,
        }


def look(database: Database, clock_interval_seconds: float) -> Readiness:
    """Ask the database: does it answer, is it migrated, and when did a clock tick last."""
    try:
        if migrate.pending(database.engine):
            return _not_ready("The database is not migrated: run `stocktake db upgrade`.")
        age = _clock_age(database)
    except SQLAlchemyError:
        return _not_ready("The database does not answer.")
    patience = max(_PATIENCE, timedelta(seconds=_MISSED_TICKS * clock_interval_seconds))
    if age is None:
        return _not_ready("No clock has ticked yet: retries and schedules do not run.")
    if age > patience:
        seconds = age.total_seconds()
        return _not_ready(f"The clock has not ticked for {seconds:.0f} s.", round(seconds, 1))
    return Readiness(reasons=(), clock_age_seconds=round(age.total_seconds(), 1))


def _not_ready(reason: str, clock_age_seconds: float | None = None) -> Readiness:
    return Readiness(reasons=(reason,), clock_age_seconds=clock_age_seconds)


def _clock_age(database: Database) -> timedelta | None:
    with database.read() as session:
        last = session.scalar(select(func.max(ClockBeat.ticked_at)))
        moment = session.scalars(select(now())).one()
    return None if last is None else moment - last
