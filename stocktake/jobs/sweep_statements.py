"""The statements of a sweep, built once: the claim of many jobs of a batch, and what is asked of
all that it holds.

How each of them ends is said with the statements of `lease_statements`, for many at once.
"""

from typing import Any, Final

from sqlalchemy import (
    Float,
    Integer,
    Uuid,
    and_,
    bindparam,
    exists,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.orm import aliased

from stocktake.db.clock import now
from stocktake.db.models import JOB_ATTEMPTS, JOBS, Batch, Job
from stocktake.jobs.lease_statements import CLAIMED, TAKEN
from stocktake.jobs.queueing import KNOWN, SWEEPABLE
from stocktake.jobs.shares import MUST_WAIT, batch_has_place
from stocktake.states import JobKind, JobState, Queue

_OF_BATCH: Final = Job.batch_id == bindparam("the_batch", type_=Uuid())
_COULD_RUN: Final = and_(_OF_BATCH, SWEEPABLE, Job.next_run_at <= now(), ~MUST_WAIT)
_HAS_PLACE: Final = exists().where(
    Batch.id == bindparam("the_batch", type_=Uuid()), batch_has_place(Queue.BULK)
)
_CHOSEN: Final = (
    # Passed over where another transaction has them: another sweep, a claim, a cancel.
    select(Job.id)
    .where(_COULD_RUN, _HAS_PLACE)
    .limit(bindparam("most", type_=Integer))
    .with_for_update(skip_locked=True)
    # Apart from the UPDATE, which would be free to look for it once for each row, and to find more.
    .cte("chosen")
)
CLAIM: Final = (
    update(JOBS)
    .where(JOBS.c.id.in_(select(_CHOSEN.c.id)))
    .values(TAKEN)
    .returning(*CLAIMED)
    .add_cte(_CHOSEN)
)
_THESE: Final = bindparam("these_jobs", type_=Uuid(), expanding=True)
BEGIN: Final = insert(JOB_ATTEMPTS).from_select(
    ["job_id", "number", "worker"],
    select(JOBS.c.id, JOBS.c.attempt, JOBS.c.worker).where(JOBS.c.id.in_(_THESE)),
)
_OWNED: Final = and_(
    JOBS.c.id.in_(_THESE),
    JOBS.c.state == JobState.RUNNING,
    # A sweep takes jobs at their first attempt only.
    JOBS.c.attempt == 1,
    JOBS.c.worker == bindparam("by_worker"),
)
#: In the order in which a batch's cancel locks them: neither waits for the other in a circle.
OWNED: Final = (
    select(JOBS.c.id, JOBS.c.cancel_requested_at)
    .where(_OWNED)
    .order_by(JOBS.c.table_id, JOBS.c.id)
    .with_for_update()
)
#: One that is locked is being cancelled, or rescued: the next heartbeat renews it, or misses it.
RENEW: Final = (
    update(JOBS)
    .where(
        JOBS.c.id.in_(
            select(Job.id)
            .where(
                Job.id.in_(_THESE),
                Job.state == JobState.RUNNING,
                Job.attempt == 1,
                Job.worker == bindparam("by_worker"),
            )
            .with_for_update(skip_locked=True)
        )
    )
    .values(
        lease_expires_at=now(bindparam("lease_seconds", type_=Float)),
        change_number=JOBS.c.change_number,  # a lease alone is no change
    )
)
#: Of a child that asks after an error of the commit: what it holds is what it has just claimed.
HELD: Final = select(*CLAIMED).where(
    JOBS.c.batch_id == bindparam("the_batch", type_=Uuid()),
    JOBS.c.state == JobState.RUNNING,
    JOBS.c.worker == bindparam("by_worker"),
)
END_ATTEMPTS: Final = (
    update(JOB_ATTEMPTS)
    .where(JOB_ATTEMPTS.c.job_id.in_(_THESE), JOB_ATTEMPTS.c.number == 1)
    .values(ended_at=now(), outcome=bindparam("how"), detail=bindparam("said"))
)
#: Who waits behind jobs of a sweep that are over: all are refreshes, each of another table.
SIBLINGS: Final = select(JOBS.c.id, JOBS.c.kind, JOBS.c.queue).where(
    JOBS.c.table_id.in_(bindparam("the_tables", type_=Uuid(), expanding=True)),
    JOBS.c.kind == JobKind.REFRESH_SCHEMA,
    JOBS.c.state == JobState.QUEUED,
    JOBS.c.next_run_at <= now(),
    JOBS.c.id.not_in(_THESE),
    KNOWN,
)


def _leave_token() -> Any:
    other = aliased(Job)
    has_one = exists().where(
        other.batch_id == bindparam("the_batch", type_=Uuid()),
        other.state == JobState.QUEUED,
        other.rung_at.is_(None),
        other.sweepable.is_(True),
        other.attempt == 0,
        other.queue == literal(Queue.BULK.value),
    )
    first = select(Job.id).where(_COULD_RUN).limit(1).with_for_update(skip_locked=True).cte("first")
    return (
        update(JOBS)
        .where(JOBS.c.id.in_(select(first.c.id)), ~has_one)
        .values(rung_at=None, change_number=JOBS.c.change_number)  # a ring is no change
        .add_cte(first)
    )


#: One job of the batch that waits unrung stands for the ring of a sweep that is still to come
#: (ADR 27).
LEAVE_TOKEN: Final = _leave_token()
