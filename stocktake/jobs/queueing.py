"""Put a job into the table, once: single flight by the database's own unique index."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from stocktake.db.clock import now
from stocktake.db.models import Job, new_id
from stocktake.db.session import Ring, ring_after_commit
from stocktake.states import JobKind, JobState, Queue


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """What a new job is to do.

    Attributes:
        max_attempts: claims before a transient error becomes a failure.
        arguments: what the kind needs beside the ids; JSON, never a secret.
    """

    project_id: int
    kind: JobKind
    queue: Queue
    max_attempts: int
    table_id: UUID | None = None
    batch_id: UUID | None = None
    upload_id: UUID | None = None
    retry_of: UUID | None = None
    created_by_id: int | None = None
    arguments: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Enqueued:
    """The job that will do the work, and whether it was waiting already."""

    job: Job
    deduplicated: bool


def enqueue(session: Session, request: JobRequest) -> Enqueued:
    """Insert a queued job, or return the one of this table and kind that still waits.

    A job that runs already is no match: it may have read its source too early, so the new one
    waits behind it. Uploads never collapse (each one is data). The doorbell rings after commit.
    """
    while True:
        if inserted := _insert(session, request):
            return Enqueued(job=inserted, deduplicated=False)
        if waiting := _waiting(session, request):
            _promote(session, waiting, request.queue)
            return Enqueued(job=waiting, deduplicated=True)
        # The waiting one was claimed between the two statements: the place is free again.


def _insert(session: Session, request: JobRequest) -> Job | None:
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    values = {
        "id": new_id(),
        "project_id": request.project_id,
        "kind": request.kind.value,
        "queue": request.queue.value,
        "table_id": request.table_id,
        "batch_id": request.batch_id,
        "upload_id": request.upload_id,
        "retry_of": request.retry_of,
        "created_by_id": request.created_by_id,
        "arguments": request.arguments or {},
        "max_attempts": request.max_attempts,
        "state": JobState.QUEUED.value,
        "created_at": now(),
        "next_run_at": now(),
        "rung_at": now(),
    }
    statement = dialect.insert(Job).values(**values).on_conflict_do_nothing().returning(Job)
    job = session.scalars(statement).one_or_none()
    if job is not None:
        ring_after_commit(session, ring_for(job))
    return job


def _waiting(session: Session, request: JobRequest) -> Job | None:
    return session.scalars(
        select(Job)
        .where(
            Job.table_id == request.table_id,
            Job.kind == request.kind.value,
            Job.state == JobState.QUEUED.value,
            Job.attempt == 0,
        )
        # Locked, so that it is not claimed before this transaction ends with it as its answer.
        .with_for_update()
    ).one_or_none()


def _promote(session: Session, job: Job, queue: Queue) -> None:
    """A person now waits for what a batch had asked for: move it to the front."""
    if queue is not Queue.INTERACTIVE or job.queue == queue.value:
        return
    session.execute(
        update(Job)
        .where(Job.id == job.id)
        .values(queue=queue.value, rung_at=now(), revision=Job.revision + 1)
    )
    session.refresh(job)
    ring_after_commit(session, ring_for(job))


def ring_for(job: Job) -> Ring:
    """The ring that announces this job."""
    return Ring(job_id=job.id, kind=JobKind(job.kind), queue=Queue(job.queue))
