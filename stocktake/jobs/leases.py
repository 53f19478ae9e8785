"""One attempt's life: claim, heartbeat, and the ends, each fenced by the attempt's number."""

import random
from dataclasses import dataclass, replace
from typing import Any, Self
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Update, exists, select
from sqlalchemy.orm import Session

from stocktake.db.models import JOBS, Job, JobAttempt
from stocktake.errors import (
    HandedBackError,
    JobError,
    ReserveNeededError,
    StaleAttemptError,
)
from stocktake.jobs import lease_statements as statements
from stocktake.jobs import turns
from stocktake.jobs.cancelling import cancelled_error
from stocktake.jobs.shares import lock_project
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


def claim(session: Session, job_id: UUID, *, worker: str, lease_seconds: float) -> Claim | None:
    """Take the job, `queued -> running`, or None where the message was a duplicate.

    Refused as well while another job of the same table and kind runs (its end rings for this
    one), for an upload while an older one of the table is not done (uploads land in order), and
    where the project has its share of the children.

    Args:
        worker: ``node/start/pid`` of the child that claims.
        lease_seconds: how long the claim holds without a heartbeat.

    Raises:
        sqlalchemy.exc.IntegrityError: another job of this table and kind was claimed at the same
            moment; the transaction must roll back.
    """
    given = {"the_job": job_id, "by_worker": worker, "lease_seconds": lease_seconds}
    lock_project(session, job_id)
    connection = session.connection()  # a session asks of each statement whether it loads entities
    row = connection.execute(statements.CLAIM, given).one_or_none()
    if row is None:
        _spend_ring(session, job_id)
        return None
    begun = {"job_id": row.id, "number": row.attempt, "worker": worker}
    connection.execute(statements.BEGIN, begun)
    return replace(as_claim(row), table_name=row.table_name)


def _spend_ring(session: Session, job_id: UUID) -> None:
    """Note that this job's ring is spent: for want of a place, so that whoever leaves one rings.

    Where the job was cancelled meanwhile, its turn passes to the next.
    """
    session.execute(statements.UNRING, {"the_job": job_id})
    ended = session.execute(statements.PROJECT_OF_ENDED, {"the_job": job_id}).one_or_none()
    if ended is not None:
        turns.ring_next(session, job_id, ended.project_id)


def held(session: Session, job_id: UUID, *, worker: str) -> Claim | None:
    """Return the claim on the job that `worker` holds already; None where it holds none.

    For a child that asks after an error of the commit: it works on one job at a time, so what it
    holds is what it has just claimed.
    """
    return _running(session, job_id, JOBS.c.worker == worker)


def attempt_of(session: Session, job_id: UUID, number: int) -> Claim | None:
    """Return the attempt of this number, where it still holds its job."""
    return _running(session, job_id, JOBS.c.attempt == number)


def _running(session: Session, job_id: UUID, which: ColumnElement[bool]) -> Claim | None:
    mine = (JOBS.c.id == job_id, JOBS.c.state == JobState.RUNNING, which)
    row = session.execute(select(*statements.CLAIMED).where(*mine)).one_or_none()
    return None if row is None else as_claim(row)


def has_succeeded(session: Session, job_id: UUID, number: int, *, worker: str) -> bool:
    """Return whether this attempt's success is committed: then what comes behind it has lost
    nothing.

    Args:
        worker: how the child's name ends at least: the number may be another child's by now.
    """
    succeeded = exists().where(
        JobAttempt.job_id == job_id,
        JobAttempt.number == number,
        JobAttempt.worker.endswith(worker, autoescape=True),
        JobAttempt.outcome == JobState.SUCCEEDED.value,
    )
    return bool(session.scalar(select(succeeded)))


def as_claim(job: Job | Row[*tuple[Any, ...]]) -> Claim:
    """Return the attempt that holds this running job, a row of `CLAIMED` or an entity."""
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


def _given(claim: Claim, **more: Any) -> dict[str, Any]:
    mine = {"the_job": claim.job_id, "the_attempt": claim.attempt, "by_worker": claim.worker}
    return mine | more


def heartbeat(
    session: Session, claim: Claim, *, lease_seconds: float, progress: dict[str, Any] | None = None
) -> Beat:
    """Renew the lease and write the progress; learn whether the job is still ours."""
    given = _given(claim, lease_seconds=lease_seconds)
    if progress is None:
        row = session.execute(statements.RENEW, given).one_or_none()
    else:
        row = session.execute(statements.RENEW_AND_TELL, given | {"so_far": progress}).one_or_none()
    if row is None:
        return Beat(alive=False)
    return Beat(alive=True, cancel_requested=row.cancel_requested_at is not None)


def succeed(session: Session, claim: Claim, result: dict[str, Any]) -> None:
    """End the job with its result. Call it in the transaction that writes the effect.

    Raises:
        StaleAttemptError: the lease was lost; the transaction must roll back.
    """
    outcome = JobState.SUCCEEDED.value
    _end(session, claim, statements.SUCCEED, outcome=outcome, error=None, found=result)


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
    _end(session, claim, statements.CANCEL, outcome=code, error=cancelled_error(code, detail))


def fail(session: Session, claim: Claim, error: JobError, retry: RetryPolicy) -> JobState:
    """End the attempt by its error: back to `queued` for a retry, or `failed`.

    A job that someone asked to cancel ends `cancelled` where it might have been tried again. Of a
    read that has failed the table is locked first: a caller that locks the job locks it before.

    Returns:
        the state the job is in now.

    Raises:
        StaleAttemptError: the lease was lost.
    """
    is_last = not error.retryable or claim.attempt >= claim.max_attempts
    if is_last and claim.kind.reads:
        # Before its job, as everywhere: who holds it may be about to cancel this very job.
        session.connection().execute(statements.LOCK_TABLES, {"the_tables": [claim.table_id]})
    if error.retryable and _cancel_requested(session, claim):
        cancel(session, claim)
        return JobState.CANCELLED
    if is_last:
        _end(session, claim, statements.FAIL, outcome=error.code, error=error.as_dict())
        if claim.kind.reads:
            of_upload = claim.kind is JobKind.INGEST_FILE
            noted = statements.NOTE_UPLOAD_FAILED if of_upload else statements.NOTE_FAILED
            given = {"the_table": claim.table_id, "the_code": error.code}
            session.connection().execute(noted, given)
        return JobState.FAILED
    delay = retry.delay(claim.attempt)
    why = error.as_dict()
    _end(session, claim, statements.TRY_AGAIN, outcome=error.code, error=why, delay_seconds=delay)
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
    back = statements.YIELD if isinstance(error, ReserveNeededError) else statements.HAND_BACK
    _end(session, claim, back, outcome=error.code, error=error.as_dict())


def _cancel_requested(session: Session, claim: Claim) -> bool:
    return session.scalar(statements.ASKED_AT, _given(claim)) is not None


def _end(
    session: Session,
    claim: Claim,
    statement: Update,
    *,
    outcome: str,
    error: dict[str, Any] | None,
    **given: Any,
) -> None:
    connection = session.connection()
    ended = connection.execute(statement, _given(claim, why=error, **given))
    if not ended.rowcount:
        raise StaleAttemptError(
            f"attempt {claim.attempt} of job {claim.job_id} no longer owns it; nothing was written"
        )
    said = error and error["detail"]
    connection.execute(statements.END_ATTEMPT, _given(claim, how=outcome, said=said))
    # In this transaction, so that the rings leave with its commit. One that is lost then is the
    # clock's to repeat.
    if claim.table_id is not None:
        turns.ring_sibling(session, claim.job_id, claim.table_id, claim.kind)
    turns.ring_next(session, claim.job_id, claim.project_id)
