"""Charts of jobs, made as SVG by the templates: what is drawn where."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from api.console import words
from stocktake.db.models import Job, JobAttempt
from stocktake.states import JobState

_BAR_HEIGHT: Final = 26
#: Of a timeline, as its template draws it.
WIDTH: Final = 720
_THINNEST: Final = 2.0
#: What an attempt's bar is drawn as; whatever else it ended with is a failure.
_KINDS: Final = {JobState.SUCCEEDED.value: "ok", JobState.CANCELLED.value: "off", None: "off"}


def seconds_of(job: Job) -> float | None:
    """Return how long a job's last attempt took; None where it has not ended."""
    if job.started_at is None or job.finished_at is None:
        return None
    return max(0.0, (job.finished_at - job.started_at).total_seconds())


def bars(found: Sequence[Job]) -> list[dict[str, Any]]:
    """Return the durations of ended jobs as bars, the oldest first."""
    timed = [(job, seconds) for job in found if (seconds := seconds_of(job)) is not None]
    longest = max((seconds for _, seconds in timed), default=0) or 1
    return [
        {
            "height": round(seconds / longest * _BAR_HEIGHT, 1),
            "bad": job.state == JobState.FAILED,
            "told": f"{job.kind} {job.state}: {words.duration(seconds)}",
        }
        for job, seconds in reversed(timed)
    ]


@dataclass(frozen=True, slots=True)
class Span:
    """An attempt on a job's timeline: where it begins, how wide it is, and what it was."""

    begin: float
    width: float
    kind: str
    told: str


def timeline(job: Job, attempts: Sequence[JobAttempt], now: datetime) -> list[Span]:
    """Return a job's attempts between when it was asked for and its end; what is between them is
    waiting. None where it had none."""
    until = job.finished_at or now
    whole = max((until - job.created_at).total_seconds(), 0.001)
    return [_span(job.created_at, until, whole, each) for each in attempts]


def _span(asked: datetime, until: datetime, whole: float, attempt: JobAttempt) -> Span:
    ended = attempt.ended_at or until
    seconds = max(0.0, (ended - attempt.started_at).total_seconds())
    width = min(WIDTH, max(_THINNEST, seconds / whole * WIDTH))
    begin = (attempt.started_at - asked).total_seconds() / whole * WIDTH
    outcome = attempt.outcome if attempt.ended_at else "running"
    return Span(
        begin=round(min(max(0.0, begin), WIDTH - width), 1),
        width=round(width, 1),
        kind=_KINDS.get(attempt.outcome, "no"),
        told=f"Attempt {attempt.number}: {words.cut(outcome, 64)}, {words.duration(seconds)}",
    )
