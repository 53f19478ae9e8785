"""One sweep's life: the claim of many jobs of a batch, the heartbeat, and the end of all of them.

Each job has its own attempt, lease and row of `job_attempts`, as if it had been claimed alone; they
share a child, a transaction and a ring. Only what is sure ends here. All else goes back into the
queue, costs none of its attempts, and is a task of its own from then on: its attempt is not the
first any more (`queueing.SWEEPABLE`).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Update
from sqlalchemy.orm import Session

from stocktake.db.session import ring_after_commit
from stocktake.jobs import lease_statements, turns
from stocktake.jobs import sweep_statements as statements
from stocktake.jobs.cancelling import cancelled_error
from stocktake.jobs.leases import Claim, as_claim
from stocktake.jobs.queueing import ring_for
from stocktake.jobs.shares import lock_project_of_batch, room_for_rings
from stocktake.states import JobState, Queue

#: The outcome of an attempt that a sweep began and another one goes on with.
PASSED_ON: Final = "passed_on"
SUPERSEDED: Final = "superseded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """What one sweep holds: first attempts at refreshes of one batch, each of another table."""

    batch_id: UUID
    project_id: int
    worker: str
    claims: tuple[Claim, ...]

    @property
    def job_ids(self) -> list[UUID]:
        """The jobs, in the order of the claims."""
        return [claim.job_id for claim in self.claims]

    def log_fields(self) -> dict[str, Any]:
        """Return what every log line about this sweep carries."""
        return {"batch_id": str(self.batch_id), "jobs": len(self.claims)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How many jobs of a sweep ended in which way.

    Attributes:
        stale: had been taken from it meanwhile; nothing was written to them.
    """

    unchanged: int = 0
    passed_on: int = 0
    cancelled: int = 0
    stale: int = 0


def claim(
    session: Session, batch_id: UUID, *, worker: str, lease_seconds: float, most: int
) -> Chunk | None:
    """Take up to `most` jobs of the batch; None where there are none, or no place for them.

    Taken is what a claim of its own would take as well, at its first attempt, and where an
    expansion saw that the table was read before.

    Raises:
        sqlalchemy.exc.IntegrityError: another job of such a table was claimed at the same moment;
            the transaction must roll back.
    """
    lock_project_of_batch(session, batch_id)
    connection = session.connection()
    given = {"the_batch": batch_id, "by_worker": worker, "lease_seconds": lease_seconds}
    rows = connection.execute(statements.CLAIM, given | {"most": most}).all()
    if not rows:
        # The ring is spent. For want of a place whoever leaves one rings; else it changes nothing.
        connection.execute(statements.LEAVE_TOKEN, {"the_batch": batch_id})
        return None
    connection.execute(statements.BEGIN, {"these_jobs": [row.id for row in rows]})
    return _chunk(batch_id, worker, rows)


def held(session: Session, batch_id: UUID, *, worker: str) -> Chunk | None:
    """Return what `worker` holds of the batch already; None where that is nothing."""
    given = {"the_batch": batch_id, "by_worker": worker}
    rows = session.connection().execute(statements.HELD, given).all()
    return _chunk(batch_id, worker, rows) if rows else None


def _chunk(batch_id: UUID, worker: str, rows: Collection[Any]) -> Chunk:
    claims = tuple(map(as_claim, rows))
    return Chunk(batch_id=batch_id, project_id=claims[0].project_id, worker=worker, claims=claims)


def renew(session: Session, chunk: Chunk, *, lease_seconds: float) -> bool:
    """Renew the leases of all; whether any is still the sweep's. A cancel is for the end to see."""
    given = _given(chunk) | {"lease_seconds": lease_seconds}
    return bool(session.connection().execute(statements.RENEW, given).rowcount)


def owned(session: Session, chunk: Chunk) -> Mapping[UUID, bool]:
    """Lock what is still the sweep's, for its end; by job whether somebody asked to cancel it.

    Call it after the tables were locked.
    """
    rows = session.connection().execute(statements.OWNED, _given(chunk)).all()
    return {row.id: row.cancel_requested_at is not None for row in rows}


def end(
    session: Session,
    chunk: Chunk,
    mine: Mapping[UUID, bool],
    *,
    results: Mapping[UUID, dict[str, Any]],
    superseded: Mapping[UUID, str],
    passed_on: Mapping[UUID, str],
    outcome: str = PASSED_ON,
) -> Ended:
    """End all that is still the sweep's, and ring for what is next. Call it in the transaction that
    writes the effects.

    Args:
        mine: of `owned`, in this transaction.
        results: by job, of those that are unchanged.
        superseded: by job, why it is void.
        passed_on: by job, why it needs an attempt of its own.
        outcome: of the attempts that are passed on.
    """
    asked = {job: "The job was cancelled." for job, cancelled in mine.items() if cancelled}
    rest = mine.keys() - asked.keys()
    done = {job: results[job] for job in rest & results.keys()}
    void = {job: superseded[job] for job in rest & superseded.keys()}
    left = rest - done.keys() - void.keys()
    again = {job: passed_on.get(job, "It was not looked at.") for job in left}
    _write(session, chunk, lease_statements.SUCCEED, {job: (None, done[job]) for job in done})
    _end_attempts(session, done, JobState.SUCCEEDED.value, None)
    for code, reasons in (("cancelled", asked), (SUPERSEDED, void)):
        errors = {job: (cancelled_error(code, why), None) for job, why in reasons.items()}
        _write(session, chunk, lease_statements.CANCEL, errors)
        _end_by_reason(session, reasons, code)
    _write(session, chunk, lease_statements.HAND_BACK, dict.fromkeys(again, (None, None)))
    _end_by_reason(session, again, outcome)
    _ring(session, chunk, mine.keys(), passed_on=len(again))
    return Ended(
        unchanged=len(done),
        passed_on=len(again),
        cancelled=len(asked) + len(void),
        stale=len(chunk.claims) - len(mine),
    )


def hand_back(session: Session, chunk: Chunk, *, outcome: str, why: str) -> Ended:
    """Put all that is still the sweep's back into the queue: it must stop, or went wrong."""
    mine = owned(session, chunk)
    reasons = dict.fromkeys(mine, why)
    return end(session, chunk, mine, results={}, superseded={}, passed_on=reasons, outcome=outcome)


def _given(chunk: Chunk) -> dict[str, Any]:
    return {"these_jobs": chunk.job_ids, "by_worker": chunk.worker}


def _write(
    session: Session,
    chunk: Chunk,
    statement: Update,
    ends: Mapping[UUID, tuple[dict[str, Any] | None, dict[str, Any] | None]],
) -> None:
    """Run the statement of an attempt's end for many, each with its error and its result."""
    if not ends:
        return
    mine = {"the_attempt": 1, "by_worker": chunk.worker}
    finds = statement is lease_statements.SUCCEED
    session.connection().execute(
        statement,
        [
            {"the_job": job, "why": error} | ({"found": found} if finds else {}) | mine
            for job, (error, found) in ends.items()
        ],
    )


def _end_by_reason(session: Session, reasons: Mapping[UUID, str], outcome: str) -> None:
    for reason in dict.fromkeys(reasons.values()):
        _end_attempts(session, [job for job in reasons if reasons[job] == reason], outcome, reason)


def _end_attempts(
    session: Session, jobs: Collection[UUID], outcome: str, detail: str | None
) -> None:
    if jobs:
        given = {"these_jobs": list(jobs), "how": outcome, "said": detail}
        session.connection().execute(statements.END_ATTEMPTS, given)


def _ring(session: Session, chunk: Chunk, over: Collection[UUID], *, passed_on: int) -> None:
    """Ring for who waits behind these jobs, and for as many as there is room for: the rest of the
    batch waits its turn with all others."""
    if not over:
        return
    connection = session.connection()
    tables = [claim.table_id for claim in chunk.claims if claim.job_id in over]
    given = {"the_tables": tables, "these_jobs": chunk.job_ids}
    for waiting in connection.execute(statements.SIBLINGS, given):
        ring_after_commit(session, ring_for(waiting))
    connection.execute(statements.LEAVE_TOKEN, {"the_batch": chunk.batch_id})
    room = room_for_rings(session, chunk.project_id, Queue.BULK) if passed_on else 1
    rings = passed_on if room is None else max(1, min(room, passed_on))
    for _ in range(rings):
        # No job has the batch's id: none is passed over for having just ended.
        turns.ring_next(session, chunk.batch_id, chunk.project_id)
