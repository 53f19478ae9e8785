"""Put a job into the table, once: single flight by the database's own unique index."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Uuid, and_, bindparam, literal, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from stocktake.db.clock import now
from stocktake.db.models import JOBS, Job, JobRow, new_id
from stocktake.db.session import Ring, inserting, log_after_commit, ring_after_commit
from stocktake.jobs.shares import room_for_rings
from stocktake.logging import request_id
from stocktake.states import SWEEP, JobKind, JobState, Queue

#: A newer release that runs beside this one, or ran before it, may have made jobs of other kinds:
#: those are left to its own processes.
#: Of literals: a list of values is put into the statement anew each time.
KNOWN_KIND: Final = Job.kind.in_([literal(str(kind)) for kind in JobKind])
#: What `ring_for` can announce.
KNOWN: Final = and_(KNOWN_KIND, Job.queue.in_([literal(str(queue)) for queue in Queue]))
#: Whether a queued job may be taken by a sweep of its batch. Only at the first try, and only while
#: nobody waits for it: whatever is tried again is a task of its own.
SWEEPABLE: Final = and_(
    Job.sweepable.is_(True),
    Job.attempt == 0,
    Job.state == JobState.QUEUED,
    Job.queue == Queue.BULK,
    Job.batch_id.is_not(None),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """What a new job is to do.

    Attributes:
        max_attempts: claims before a transient error becomes a failure.
        arguments: what the kind needs beside the ids, as `jobs.arguments` has it; never a secret.
        sweepable: whether a sweep may take it with others of its batch.
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
    sweepable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Enqueued:
    """The job that will do the work, and whether it was waiting already."""

    job: JobRow
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
            promoted = _promote(session, waiting, request.queue)
            return Enqueued(job=promoted, deduplicated=True)
        # The waiting one was claimed between the two statements: the place is free again.


def enqueue_many(
    session: Session, requests: Mapping[UUID, JobRequest], *, sweep_chunk: int = 1
) -> dict[UUID, UUID]:
    """Enqueue one job for each of many tables, all of which this transaction has locked.

    One statement makes all that are new: one by one, five hundred of them held SQLite's only
    write lock for a second and more.

    Args:
        requests: by table id, in the order in which the tables were locked; all of one project,
            kind and queue, and not uploads.
        sweep_chunk: how many of those that may be swept one ring is for.

    Returns:
        job ids by table id; a job that waited already serves its table.
    """
    if not requests:
        return {}
    rows = [_row(request) for request in requests.values()]
    first = next(iter(requests.values()))
    room = room_for_rings(session, first.project_id, first.queue)
    statement = inserting(session, JOBS).values(**_TIMES).on_conflict_do_nothing()
    made = session.execute(statement.returning(JOBS.c.id, JOBS.c.table_id), rows).all()
    by_table = {row.table_id: row.id for row in made}
    for table_id, job_id in by_table.items():
        _log_accepted(session, requests[table_id], job_id)
    # All were inserted as rung for: how many are new is known only now, as some tables had a job
    # that waited.
    _leave_unrung(session, _ring_for_new(session, requests, by_table, room, sweep_chunk))
    for job in _all_waiting(session, requests, without=by_table):
        _promote(session, job, requests[job.table_id].queue)
        by_table[job.table_id] = job.id
    # What waited a moment ago and was claimed since: the place is free again.
    for table_id in requests.keys() - by_table.keys():
        by_table[table_id] = enqueue(session, requests[table_id]).job.id
    return by_table


def _ring_for_new(
    session: Session,
    requests: Mapping[UUID, JobRequest],
    made: Mapping[UUID, UUID],
    room: int | None,
    sweep_chunk: int,
) -> Sequence[UUID]:
    """Ring after commit for as many new jobs as there is room for, those that may be swept first;
    return those that must wait unrung."""
    swept = [job_id for table_id, job_id in made.items() if requests[table_id].sweepable]
    single = [job_id for table_id, job_id in made.items() if not requests[table_id].sweepable]
    sweeps = -(-len(swept) // sweep_chunk)
    room = max(room, 0) if room is not None else sweeps + len(single)
    first = next(iter(requests.values()))
    if first.batch_id is not None:
        for _ in range(min(sweeps, room)):
            ring_after_commit(session, ring_for_sweep(first.batch_id))
    left = max(room - sweeps, 0)
    for job_id in single[:left]:
        ring_after_commit(session, Ring(job_id=job_id, kind=first.kind, queue=first.queue))
    # One stands for the sweeps that are to come: the end of each leaves another (ADR 27).
    return single[left:] + (swept[-1:] if sweeps > room else [])


def _leave_unrung(session: Session, job_ids: Sequence[UUID]) -> None:
    if job_ids:
        unrung = update(Job).where(Job.id.in_(job_ids))
        session.execute(unrung.values(rung_at=None, change_number=Job.change_number))


def _all_waiting(
    session: Session, requests: Mapping[UUID, JobRequest], *, without: Container[UUID]
) -> Sequence[Any]:
    kinds = {request.kind for request in requests.values()}
    return session.scalars(
        select(Job)
        .where(
            Job.table_id.in_([each for each in requests if each not in without]),
            Job.kind.in_(kinds),
            Job.state == JobState.QUEUED,
            Job.attempt == 0,
        )
        # As `cancel_batch` locks them: neither waits for the other in a circle.
        .order_by(Job.table_id)
        .with_for_update()
    ).all()


def _insert(session: Session, request: JobRequest) -> JobRow | None:
    # What the request has made beside it, a table for one, is written first.
    session.flush()
    room = room_for_rings(session, request.project_id, request.queue)
    rings = room is None or room > 0
    statement = _INSERTS[session.get_bind().dialect.name, rings]
    job = session.connection().execute(statement, _row(request)).one_or_none()
    if job is not None:
        _log_accepted(session, request, job.id)
    if job is not None and rings:
        ring_after_commit(session, ring_for(job))
    return job


def _log_accepted(session: Session, request: JobRequest, job_id: UUID) -> None:
    ids = {"job_id": job_id, "table_id": request.table_id, "batch_id": request.batch_id}
    log_after_commit(
        session,
        "job_accepted",
        kind=request.kind.value,
        queue=request.queue.value,
        **{name: str(value) for name, value in ids.items() if value is not None},
    )


#: A new job is due at once, and its ring is on its way; or it waits unrung for its turn.
_TIMES: Final = {"created_at": now(), "next_run_at": now(), "rung_at": now()}
#: By database, and by whether the doorbell rings. Built once: to build one anew takes longer than
#: to run it.
_INSERTS: Final[Mapping[tuple[str, bool], Any]] = {
    (dialect.__name__.rpartition(".")[2], rings): dialect.insert(JOBS)
    .values(**_TIMES if rings else _TIMES | {"rung_at": None})
    .on_conflict_do_nothing()
    .returning(*JOBS.c)
    for dialect in (sqlite, postgresql)
    for rings in (True, False)
}


def _row(request: JobRequest) -> dict[str, Any]:
    return {
        "id": new_id(),
        "project_id": request.project_id,
        "kind": request.kind,
        "queue": request.queue,
        "table_id": request.table_id,
        "batch_id": request.batch_id,
        "upload_id": request.upload_id,
        "retry_of": request.retry_of,
        "created_by_id": request.created_by_id,
        "arguments": request.arguments or {},
        "max_attempts": request.max_attempts,
        "state": JobState.QUEUED,
        "request_id": request_id(),
        "sweepable": request.sweepable or None,
    }


_WAITING: Final = (
    select(*JOBS.c)
    .where(
        JOBS.c.table_id == bindparam("the_table", type_=Uuid()),
        JOBS.c.kind == bindparam("the_kind"),
        JOBS.c.state == JobState.QUEUED,
        JOBS.c.attempt == 0,
    )
    # Locked, so that it is not claimed before this transaction ends with it as its answer.
    .with_for_update()
)
_PROMOTE: Final = (
    update(JOBS)
    .where(JOBS.c.id == bindparam("the_job", type_=Uuid()))
    .values(queue=bindparam("to_queue"), rung_at=now(), revision=JOBS.c.revision + 1)
    .returning(*JOBS.c)
)


def _waiting(session: Session, request: JobRequest) -> JobRow | None:
    given = {"the_table": request.table_id, "the_kind": request.kind}
    return session.connection().execute(_WAITING, given).one_or_none()


def _promote(session: Session, job: JobRow, queue: Queue) -> JobRow:
    """Move a job to the front that a batch had asked for: a person now waits for it."""
    if queue is not Queue.INTERACTIVE or job.queue == queue:
        return job
    given = {"the_job": job.id, "to_queue": queue}
    promoted = session.connection().execute(_PROMOTE, given).one()
    ring_after_commit(session, ring_for(promoted))
    return promoted


def ring_for_sweep(batch_id: UUID) -> Ring:
    """Return the ring that announces jobs of a batch, for a child to take many of them at once."""
    return Ring(job_id=batch_id, kind=SWEEP, queue=Queue.BULK)


def ring_for(job: JobRow) -> Ring:
    """Return the ring that announces this job, which is `KNOWN`: an entity, or its id, kind and
    queue."""
    return Ring(job_id=job.id, kind=JobKind(job.kind), queue=Queue(job.queue))
