"""One attempt's life: claim, heartbeat, and the ends, each fenced by the attempt's number."""

import random
from dataclasses import dataclass, replace
from typing import Any, Final, Self
from uuid import UUID

from sqlalchemy import ColumnElement, Float, Uuid, and_, bindparam, exists, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from stocktake.db.clock import now
from stocktake.db.models import Job, JobAttempt, Table
from stocktake.errors import (
    HandedBackError,
    JobError,
    ReserveNeededError,
    StaleAttemptError,
)
from stocktake.jobs import turns
from stocktake.jobs.cancelling import cancelled_error
from stocktake.jobs.shares import HAS_PLACE, MUST_WAIT, lock_project
from stocktake.settings import Settings
from stocktake.states import JobKind, JobState


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """An attempt that owns its job until its lease runs out.

    Attributes:
        attempt: the fence; every write by this attempt carries it.
        request_id: of the request that led to the job.
        generation: the table's when the claim was made; a result for another one is void.
        arguments: as the row keeps them; `jobs.arguments` reads them.
        table_name: for people, as it was when the claim was made.
    """

    job_id: UUID
    kind: JobKind
    attempt: int
    max_attempts: int
    generation: int | None
    project_id: int
    table_id: UUID | None
    batch_id: UUID | None
    upload_id: UUID | None
    arguments: dict[str, Any]
    worker: str
    request_id: str | None = None
    table_name: str | None = None

    def log_fields(self) -> dict[str, Any]:
        """Return what every log line about this attempt carries."""
        ids = {"job_id": self.job_id, "table_id": self.table_id, "request_id": self.request_id}
        known = {name: str(value) for name, value in ids.items() if value is not None}
        return known | {"attempt": self.attempt}


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """What a heartbeat learned: whether the lease still holds, and whether to stop."""

    alive: bool
    cancel_requested: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Full-jitter backoff, in seconds."""

    base_seconds: float
    max_seconds: float

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the backoff as configured."""
        return cls(
            base_seconds=settings.job_retry_base_seconds,
            max_seconds=settings.job_retry_max_seconds,
        )

    def delay(self, attempt: int) -> float:
        """Return a uniform draw up to the capped exponential.

        >>> 0 <= RetryPolicy(base_seconds=1, max_seconds=8).delay(10) <= 8
        True
        """
        # S311: jitter, not a secret.
        # From nothing up: jobs that failed together, as of one store, come back apart.
        return random.uniform(0, min(self.max_seconds, self.base_seconds * 2**attempt))  # noqa: S311


#: Built once: building it anew took a third of the time that an unchanged table's job takes.
_CLAIM: Final = (
    update(Job)
    .where(
        Job.id == bindparam("the_job"),
        Job.state == JobState.QUEUED,
        Job.next_run_at <= now(),
        ~MUST_WAIT,
        HAS_PLACE,
    )
    .values(
        state=JobState.RUNNING,
        attempt=Job.attempt + 1,
        # As of now, and not of the request: a job that waited while its table changed reads the new
        # source, and its result holds (ADR 2).
        generation=select(Table.generation).where(Table.id == Job.table_id).scalar_subquery(),
        worker=bindparam("by_worker"),
        lease_expires_at=now(bindparam("lease_seconds", type_=Float)),
        # It has a place: its project may have the reserve again (`shares.has_yielded`).
        yielded_at=None,
        # The first attempt's; each has its own in `job_attempts`.
        started_at=func.coalesce(Job.started_at, now()),
        progress=None,
        revision=Job.revision + 1,
    )
    .returning(Job, select(Table.name).where(Table.id == Job.table_id).scalar_subquery())
    .execution_options(populate_existing=True)
)


def claim(session: Session, job_id: UUID, *, worker: str, lease_seconds: float) -> Claim | None:
    """Take the job, `queued -> running`, or None where the message was a duplicate.

    Refused as well while another job of the same table and kind runs (its end rings for this
    one), for an upload while an older one of the table is not done (uploads land in order), and
    where the project has its share of the children.

    Args:
        worker: ``node/start/pid`` of the child that claims.
        lease_seconds: how long the claim holds without a heartbeat.
    """
    given = {"the_job": job_id, "by_worker": worker, "lease_seconds": lease_seconds}
    lock_project(session, job_id)
    try:
        # In a savepoint: a refusal by the index would end a PostgreSQL transaction as a whole, and
        # what the worker has said of itself in it (`Presence.keep`) would be lost.
        with session.begin_nested():
            claimed = session.execute(_CLAIM, given).one_or_none()
    except IntegrityError:
        # Another job of this table and kind was claimed at the same moment (uq_jobs_running).
        return None
    if claimed is None:
        _spend_ring(session, job_id)
        return None
    job, table_name = claimed
    session.add(JobAttempt(job_id=job.id, number=job.attempt, worker=worker))
    return replace(as_claim(job), table_name=table_name)


def _spend_ring(session: Session, job_id: UUID) -> None:
    """Note that this job's ring is spent: for want of a place, so that whoever leaves one rings.

    Where the job was cancelled meanwhile, its turn passes to the next.
    """
    session.execute(_UNRING, {"the_job": job_id})
    ended = session.execute(_ENDED, {"the_job": job_id}).one_or_none()
    if ended is not None:
        turns.ring_next(session, job_id, ended.project_id)


_UNRING: Final = (
    update(Job)
    .where(
        Job.id == bindparam("the_job", type_=Uuid()),
        Job.state == JobState.QUEUED,
        Job.rung_at.is_not(None),
        Job.next_run_at <= now(),
        # One behind another of its table lacks no place: that one's end rings for it.
        ~MUST_WAIT,
    )
    .values(rung_at=None)
)
_ENDED: Final = select(Job.project_id).where(
    Job.id == bindparam("the_job", type_=Uuid()), Job.finished_at.is_not(None)
)


def held(session: Session, job_id: UUID, *, worker: str) -> Claim | None:
    """Return the claim on the job that `worker` holds already; None where it holds none.

    For a child that asks after an error of the commit: it works on one job at a time, so what it
    holds is what it has just claimed.
    """
    job = session.scalars(
        select(Job).where(Job.id == job_id, Job.state == JobState.RUNNING, Job.worker == worker)
    ).one_or_none()
    return None if job is None else as_claim(job)


def attempt_of(session: Session, job_id: UUID, number: int) -> Claim | None:
    """Return the attempt of this number, where it still holds its job."""
    job = session.scalars(
        select(Job).where(Job.id == job_id, Job.state == JobState.RUNNING, Job.attempt == number)
    ).one_or_none()
    return None if job is None else as_claim(job)


def has_succeeded(session: Session, job_id: UUID, number: int) -> bool:
    """Return whether this attempt's success is committed: then what comes behind it has lost
    nothing.
    """
    succeeded = exists().where(
        JobAttempt.job_id == job_id,
        JobAttempt.number == number,
        JobAttempt.outcome == JobState.SUCCEEDED.value,
    )
    return bool(session.scalar(select(succeeded)))


def as_claim(job: Job) -> Claim:
    """Return the attempt that holds this running job."""
    return Claim(
        job_id=job.id,
        kind=JobKind(job.kind),
        attempt=job.attempt,
        max_attempts=job.max_attempts,
        generation=job.generation,
        project_id=job.project_id,
        table_id=job.table_id,
        batch_id=job.batch_id,
        upload_id=job.upload_id,
        arguments=dict(job.arguments),
        worker=job.worker or "unknown",
        request_id=job.request_id,
    )


def _owned(claim: Claim) -> ColumnElement[bool]:
    return and_(
        Job.id == claim.job_id,
        Job.state == JobState.RUNNING,
        Job.attempt == claim.attempt,
        # A number is given again where a database has lost the claim: a standby that had not heard
        # of it was promoted (ADR 2).
        Job.worker == claim.worker,
    )


def heartbeat(
    session: Session, claim: Claim, *, lease_seconds: float, progress: dict[str, Any] | None = None
) -> Beat:
    """Renew the lease and write the progress; learn whether the job is still ours."""
    values: dict[str, Any] = {"lease_expires_at": now(lease_seconds)}
    # A lease alone raises no revision: whoever waits for a change would be woken by each heartbeat,
    # and see the same job.
    if progress is not None:
        values |= {"progress": progress, "revision": Job.revision + 1}
    row = session.execute(
        update(Job).where(_owned(claim)).values(**values).returning(Job.cancel_requested_at)
    ).one_or_none()
    if row is None:
        return Beat(alive=False)
    return Beat(alive=True, cancel_requested=row.cancel_requested_at is not None)


def succeed(session: Session, claim: Claim, result: dict[str, Any]) -> None:
    """End the job with its result. Call it in the transaction that writes the effect.

    Raises:
        StaleAttemptError: the lease was lost; the transaction must roll back.
    """
    _end(session, claim, JobState.SUCCEEDED, outcome="succeeded", result=result, error=None)


def cancel(
    session: Session,
    claim: Claim,
    *,
    code: str = "cancelled",
    detail: str = "The job was cancelled.",
) -> None:
    """End the job `cancelled`: someone asked for it, or the table changed under the read.

    Raises:
        StaleAttemptError: the lease was lost.
    """
    _end(session, claim, JobState.CANCELLED, outcome=code, error=cancelled_error(code, detail))


def fail(session: Session, claim: Claim, error: JobError, retry: RetryPolicy) -> JobState:
    """End the attempt by its error: back to `queued` for a retry, or `failed`.

    A job that someone asked to cancel ends `cancelled` where it might have been tried again.

    Returns:
        the state the job is in now.

    Raises:
        StaleAttemptError: the lease was lost.
    """
    if error.retryable and _cancel_requested(session, claim):
        cancel(session, claim)
        return JobState.CANCELLED
    if not error.retryable or claim.attempt >= claim.max_attempts:
        _end(session, claim, JobState.FAILED, outcome=error.code, error=error.as_dict())
        return JobState.FAILED
    _end(
        session,
        claim,
        JobState.QUEUED,
        outcome=error.code,
        error=error.as_dict(),
        next_run_at=now(retry.delay(claim.attempt)),
        # As if nobody had rung: the clock does when it is due, from the first distance on.
        rung_at=None,
        rings=0,
    )
    return JobState.QUEUED


def end_early(session: Session, claim: Claim, error: JobError | None, retry: RetryPolicy) -> None:
    """End an attempt that must not go on: by its error, by a cancel where there is none. What a
    worker that stops had begun goes back to the queue.

    Raises:
        StaleAttemptError: the lease was lost.
    """
    if error is None:
        cancel(session, claim)
    elif isinstance(error, HandedBackError):
        hand_back(session, claim, error)
    else:
        fail(session, claim, error, retry)


def hand_back(session: Session, claim: Claim, error: HandedBackError) -> None:
    """Put the job back for another child at once: this one must stop.

    It costs no attempt: `max_attempts` rises by the one that was interrupted.

    Raises:
        StaleAttemptError: the lease was lost.
    """
    if _cancel_requested(session, claim):
        cancel(session, claim)
        return
    _end(
        session,
        claim,
        JobState.QUEUED,
        outcome=error.code,
        error=error.as_dict(),
        # The attempt's number is not taken back: it is the fence, and is never used twice (ADR 9).
        max_attempts=Job.max_attempts + 1,
        yielded_at=now() if isinstance(error, ReserveNeededError) else None,
        next_run_at=now(),
        rung_at=None,
        rings=0,
    )


def _cancel_requested(session: Session, claim: Claim) -> bool:
    # Locked, so that none is asked for before the job is back in the queue.
    asked_at = session.scalar(
        select(Job.cancel_requested_at).where(_owned(claim)).with_for_update()
    )
    return asked_at is not None


def _end(
    session: Session,
    claim: Claim,
    state: JobState,
    *,
    outcome: str,
    error: dict[str, Any] | None,
    **values: Any,
) -> None:
    values |= {
        "state": state,
        "error": error,
        "worker": None,
        "lease_expires_at": None,
        "revision": Job.revision + 1,
        "finished_at": now() if state.done else None,
    }
    ended = session.execute(
        update(Job).where(_owned(claim)).values(**values).returning(Job.id)
    ).one_or_none()
    if ended is None:
        raise StaleAttemptError(
            f"attempt {claim.attempt} of job {claim.job_id} no longer owns it; nothing was written"
        )
    _end_attempt(session, claim, outcome, error)
    # In this transaction, so that the rings leave with its commit. One that is lost then is the
    # clock's to repeat.
    if claim.table_id is not None:
        turns.ring_sibling(session, claim.job_id, claim.table_id, claim.kind)
    turns.ring_next(session, claim.job_id, claim.project_id)


def _end_attempt(
    session: Session, claim: Claim, outcome: str, error: dict[str, Any] | None
) -> None:
    session.execute(
        update(JobAttempt)
        .where(JobAttempt.job_id == claim.job_id, JobAttempt.number == claim.attempt)
        .values(ended_at=now(), outcome=outcome, detail=error and error["detail"])
    )
