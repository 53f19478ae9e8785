"""The statements of an attempt's life, built once: to build them anew took longer than to run them.

They load no entity, which costs more than the statement. What they are given is told by their
parameters: `the_job`, `the_attempt` and `by_worker` say whose attempt it is.
"""

from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Float,
    Integer,
    Update,
    Uuid,
    and_,
    bindparam,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from stocktake.db.clock import now
from stocktake.db.models import JOB_ATTEMPTS, JOBS, TABLES, Table
from stocktake.jobs.shares import HAS_PLACE, MUST_WAIT
from stocktake.states import JobState

#: What makes a `Claim`.
CLAIMED: Final = (
    JOBS.c.id,
    JOBS.c.kind,
    JOBS.c.attempt,
    JOBS.c.max_attempts,
    JOBS.c.generation,
    JOBS.c.project_id,
    JOBS.c.table_id,
    JOBS.c.batch_id,
    JOBS.c.upload_id,
    JOBS.c.arguments,
    JOBS.c.worker,
    JOBS.c.request_id,
)
#: What a claim makes of a job, whoever claims how many.
TAKEN: Final[dict[str, Any]] = {
    "state": JobState.RUNNING,
    "attempt": JOBS.c.attempt + 1,
    # As of now, and not of the request: a job that waited while its table changed reads the new
    # source, and its result holds (ADR 2).
    "generation": select(Table.generation).where(Table.id == JOBS.c.table_id).scalar_subquery(),
    "worker": bindparam("by_worker"),
    "lease_expires_at": now(bindparam("lease_seconds", type_=Float)),
    # It has a place: its project may have the reserve again (`shares.has_yielded`).
    "yielded_at": None,
    # The first attempt's; each has its own in `job_attempts`.
    "started_at": func.coalesce(JOBS.c.started_at, now()),
    "progress": None,
    "revision": JOBS.c.revision + 1,
}
CLAIM: Final = (
    update(JOBS)
    .where(
        JOBS.c.id == bindparam("the_job", type_=Uuid()),
        JOBS.c.state == JobState.QUEUED,
        JOBS.c.next_run_at <= now(),
        ~MUST_WAIT,
        HAS_PLACE,
    )
    .values(TAKEN)
    .returning(
        *CLAIMED,
        select(Table.name).where(Table.id == JOBS.c.table_id).scalar_subquery().label("table_name"),
    )
)
BEGIN: Final = insert(JOB_ATTEMPTS)
UNRING: Final = (
    update(JOBS)
    .where(
        JOBS.c.id == bindparam("the_job", type_=Uuid()),
        JOBS.c.state == JobState.QUEUED,
        JOBS.c.rung_at.is_not(None),
        JOBS.c.next_run_at <= now(),
        # One behind another of its table lacks no place: that one's end rings for it.
        ~MUST_WAIT,
    )
    .values(rung_at=None, change_number=JOBS.c.change_number)  # a ring is none either
)
#: Of a job that has ended, whose project's turn it is.
PROJECT_OF_ENDED: Final = select(JOBS.c.project_id).where(
    JOBS.c.id == bindparam("the_job", type_=Uuid()), JOBS.c.finished_at.is_not(None)
)


def _owned() -> ColumnElement[bool]:
    return and_(
        JOBS.c.id == bindparam("the_job", type_=Uuid()),
        JOBS.c.state == JobState.RUNNING,
        JOBS.c.attempt == bindparam("the_attempt", type_=Integer),
        # A number is given again where a database has lost the claim: a standby that had not heard
        # of it was promoted (ADR 2).
        JOBS.c.worker == bindparam("by_worker"),
    )


def _renewed(**values: Any) -> ReturningUpdate[Any]:
    lease = now(bindparam("lease_seconds", type_=Float))
    same = {} if values else {"change_number": JOBS.c.change_number}
    renewed = update(JOBS).where(_owned()).values(lease_expires_at=lease, **same, **values)
    return renewed.returning(JOBS.c.cancel_requested_at)


#: A lease alone raises no revision and is no change: whoever waits for one would be woken by each
#: heartbeat, and see the same job.
RENEW: Final = _renewed()
RENEW_AND_TELL: Final = _renewed(
    progress=bindparam("so_far", type_=JOBS.c.progress.type), revision=JOBS.c.revision + 1
)


def _ended(state: JobState, **values: Any) -> Update:
    return (
        update(JOBS)
        .where(_owned())
        .values(
            state=state,
            error=bindparam("why", type_=JOBS.c.error.type),
            worker=None,
            lease_expires_at=None,
            revision=JOBS.c.revision + 1,
            finished_at=now() if state.done else None,
            **values,
        )
    )


def _queued_anew(**values: Any) -> Update:
    # As if nobody had rung: the clock does when it is due, from the first distance on.
    return _ended(JobState.QUEUED, rung_at=None, rings=0, **values)


SUCCEED: Final = _ended(JobState.SUCCEEDED, result=bindparam("found", type_=JOBS.c.result.type))
CANCEL: Final = _ended(JobState.CANCELLED)
FAIL: Final = _ended(JobState.FAILED)
TRY_AGAIN: Final = _queued_anew(next_run_at=now(bindparam("delay_seconds", type_=Float)))
#: The attempt's number is not taken back: it is the fence, and is never used twice (ADR 9).
HAND_BACK: Final = _queued_anew(
    next_run_at=now(), max_attempts=JOBS.c.max_attempts + 1, yielded_at=None
)
YIELD: Final = _queued_anew(
    next_run_at=now(), max_attempts=JOBS.c.max_attempts + 1, yielded_at=now()
)
#: Tables, in the order of their ids, before their jobs, as everywhere.
LOCK_TABLES: Final = (
    select(TABLES.c.id)
    .where(TABLES.c.id.in_(bindparam("the_tables", type_=Uuid(), expanding=True)))
    .order_by(TABLES.c.id)
    .with_for_update(key_share=True)
)
LOCK_FREE_TABLES: Final = LOCK_TABLES.with_for_update(key_share=True, skip_locked=True)
#: That a table's read has failed, for lists.
NOTE_FAILED: Final = (
    update(TABLES)
    .where(TABLES.c.id == bindparam("the_table", type_=Uuid()))
    .values(error_code=bindparam("the_code"))
)
#: The same of an upload, which changes nothing of a table that has content: only of one that never
#: had any this is all there is to say.
NOTE_UPLOAD_FAILED: Final = NOTE_FAILED.where(
    TABLES.c.managed.is_(True), TABLES.c.last_refreshed_at.is_(None)
)
END_ATTEMPT: Final = (
    update(JOB_ATTEMPTS)
    .where(
        JOB_ATTEMPTS.c.job_id == bindparam("the_job", type_=Uuid()),
        JOB_ATTEMPTS.c.number == bindparam("the_attempt", type_=Integer),
    )
    .values(ended_at=now(), outcome=bindparam("how"), detail=bindparam("said"))
)
#: Locked, so that no cancel is asked for before the job is back in the queue.
ASKED_AT: Final = select(JOBS.c.cancel_requested_at).where(_owned()).with_for_update()
