"""A job on the wire."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from api.schemas.base import Wire
from stocktake.db.models import Job, JobAttempt
from stocktake.states import JobState


class JobErrorBody(Wire):
    """Why the latest attempt at a job ended, in words for the table's owner."""

    code: str
    retryable: bool
    detail: str
    hint: str | None = None
    file: str | None = None


class JobBody(Wire):
    """A job. `deduplicated` says that it was waiting already when it was asked for."""

    id: UUID
    kind: str
    table_id: UUID | None
    batch_id: UUID | None
    state: JobState
    done: bool
    attempt: int
    max_attempts: int
    next_run_at: datetime
    deduplicated: bool
    progress: dict[str, Any] | None
    result: dict[str, Any] | None
    error: JobErrorBody | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class AttemptBody(Wire):
    """One try at a job: when, where, and how it ended.

    `worker` is node, start and process id: `worker@host/5c1f0a/1234`.
    """

    number: int
    worker: str
    started_at: datetime
    ended_at: datetime | None
    #: `succeeded`, `cancelled`, or the code of the error that ended it; null while it runs.
    outcome: str | None
    detail: str | None


class FullJobBody(JobBody):
    """A job with each try at it, the oldest first."""

    attempts: list[AttemptBody]


def full_job_view(job: Job, attempts: Sequence[JobAttempt]) -> FullJobBody:
    """A job with its attempts on the wire."""
    shown = [AttemptBody.model_validate(attempt, from_attributes=True) for attempt in attempts]
    return FullJobBody(**job_view(job).model_dump(), attempts=shown)


def job_view(job: Job, deduplicated: bool = False) -> JobBody:
    """A job on the wire."""
    state = JobState(job.state)
    return JobBody(
        id=job.id,
        kind=job.kind,
        table_id=job.table_id,
        batch_id=job.batch_id,
        state=state,
        done=state.done,
        attempt=job.attempt,
        max_attempts=job.max_attempts,
        next_run_at=job.next_run_at,
        deduplicated=deduplicated,
        progress=job.progress,
        result=job.result,
        error=None if job.error is None else JobErrorBody.model_validate(job.error),
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
    )
