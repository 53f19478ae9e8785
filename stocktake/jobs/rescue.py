"""What the clock does for jobs: ring for those that are due, rescue those whose worker vanished.

Each step selects first, in a transaction that only reads, and writes only what is due, with the
same guard repeated in the write: two clocks that saw the same row ring for it once.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, exists, func, literal, or_, select, update
from sqlalchemy.orm import Session

from stocktake.db.clock import now
from stocktake.db.models import Job
from stocktake.db.session import log_after_commit, ring_after_commit
from stocktake.errors import JobError, StaleAttemptError, WorkerLostError
from stocktake.jobs import counters, leases
from stocktake.jobs.leases import RetryPolicy
from stocktake.jobs.queueing import KNOWN, KNOWN_KIND, ring_for
from stocktake.jobs.shares import MUST_WAIT, TURNS_PER_PLACE, Load
from stocktake.states import JobState, Queue

#: Rings double their distance this many times and then keep it: 20 s by default. The clock rings
#: for no more jobs than lack a message, so the distance need not keep the queue short; at 64 times
#: a job whose rings were lost with a broker's restarts waited for minutes beside idle workers.
_MAX_DOUBLINGS = 2


def due_for_ring(
    session: Session, *, queue: Queue, limit: int, ring_again_seconds: float
) -> Sequence[UUID]:
    """Return jobs of this queue that could run now and that nobody has rung for lately.

    The projects take turns; of each, those that nobody ever rang for come first, then the oldest.
    """
    load = Load.of(session, queue)
    # False sorts first, in both databases.
    order = (Job.rung_at.is_not(None), Job.next_run_at)
    turn = func.row_number().over(partition_by=Job.project_id, order_by=order)
    due = (
        select(Job.id, turn.label("turn"), Job.rung_at, Job.next_run_at)
        .where(
            Job.queue == queue,
            load.has_place(Job.project_id),
            _due(ring_again_seconds),
        )
        .subquery()
    )
    found = select(due.c.id).order_by(due.c.turn, due.c.rung_at.is_not(None), due.c.next_run_at)
    # Without a known worker nothing is refused for its share, and a bound would be zero.
    if load.places:
        found = found.where(due.c.turn <= TURNS_PER_PLACE * load.project_places)
    return session.scalars(found.limit(limit)).all()


def runnable(session: Session) -> Mapping[Queue, int]:
    """Return how many jobs of each queue could run now, whether or not they were rung for."""
    counted = session.execute(
        select(Job.queue, func.count())
        .where(
            Job.state == JobState.QUEUED,
            Job.next_run_at <= now(),
            KNOWN,
            ~MUST_WAIT,
            _has_place(session),
        )
        .group_by(Job.queue)
    )
    return {Queue(queue): count for queue, count in counted}


def any_due_for_ring(session: Session, *, ring_again_seconds: float) -> bool:
    """Return whether there is a job that could run now and that nobody has rung for lately."""
    place = _has_place(session)
    return bool(session.scalar(select(exists().where(place, _due(ring_again_seconds)))))


def _has_place(session: Session) -> ColumnElement[bool]:
    loads = (Load.of(session, queue) for queue in Queue)
    return or_(*(and_(Job.queue == load.queue, load.has_place(Job.project_id)) for load in loads))


def ring_again(session: Session, job_ids: Sequence[UUID], *, ring_again_seconds: float) -> int:
    """Ring after commit for those of `job_ids` that are still due; how many they were.

    A job that another transaction holds is passed over: it is being claimed, or an expansion
    has locked hundreds in its own order, and waiting for one after another could deadlock.
    """
    free = (
        select(Job.id)
        .where(Job.id.in_(job_ids), _due(ring_again_seconds))
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    jobs = session.scalars(
        update(Job)
        .where(Job.id.in_(free))
        .values(rung_at=now(), rings=Job.rings + 1, change_number=Job.change_number)
        .returning(Job)
    ).all()
    for job in jobs:
        _log(session, "job_rung_again", job, rings=job.rings)
        ring_after_commit(session, ring_for(job))
    return len(jobs)


def _log(session: Session, event: str, job: Job, **more: Any) -> None:
    log_after_commit(session, event, **leases.as_claim(job).log_fields(), **more)


def _due(ring_again_seconds: float) -> ColumnElement[bool]:
    doublings = case((Job.rings < _MAX_DOUBLINGS, Job.rings), else_=_MAX_DOUBLINGS)
    # By a shift: SQLite has `power` only where it was built with it.
    wait = literal(-ring_again_seconds) * literal(1).op("<<")(doublings)
    return and_(
        Job.state == JobState.QUEUED,
        Job.next_run_at <= now(),
        KNOWN,
        or_(Job.rung_at.is_(None), Job.rung_at <= now(wait)),
        # A worker would only refuse it; and its distance must be short once its turn has come.
        ~MUST_WAIT,
    )


def expired(session: Session, *, limit: int) -> Sequence[UUID]:
    """Return running jobs whose lease has run out."""
    return session.scalars(select(Job.id).where(_expired()).limit(limit)).all()


def _expired() -> ColumnElement[bool]:
    # In a queue of any name: what runs keeps the other jobs of its table from running.
    return and_(Job.state == JobState.RUNNING, Job.lease_expires_at < now(), KNOWN_KIND)


def unknown(session: Session) -> Sequence[tuple[str, str, int]]:
    """Return kind, queue and number of the unended jobs that this release does not know."""
    counted = session.execute(
        select(Job.kind, Job.queue, func.count())
        .where(Job.state.in_((JobState.QUEUED, JobState.RUNNING)), ~KNOWN)
        .group_by(Job.kind, Job.queue)
        .order_by(Job.kind, Job.queue)
    )
    return [(kind, queue, count) for kind, queue, count in counted]


def rescue_expired(session: Session, job_ids: Sequence[UUID], retry: RetryPolicy) -> int:
    """End the attempts of those of `job_ids` whose lease is still out; how many they were."""
    # One that is locked is in good hands: its own attempt ends it, or another clock.
    jobs = session.scalars(
        select(Job).where(Job.id.in_(job_ids), _expired()).with_for_update(skip_locked=True)
    ).all()
    ended = sum(_end(session, job, lost_error(job.worker), retry) for job in jobs)
    if ended:
        counters.add(session, counters.RESCUES, "lease_expired", ended)
    return ended


def end_lost(
    session: Session, job_id: UUID, worker: str, error: JobError, retry: RetryPolicy
) -> bool:
    """End the attempt that `worker`, known to be dead, still holds; False where it holds none."""
    # By the child's name: the parent knows which process died, and not the attempt's number. Who is
    # dead claims nothing again, so it is as good a fence.
    job = session.scalars(
        select(Job)
        .where(
            Job.id == job_id,
            Job.state == JobState.RUNNING,
            Job.worker == worker,
        )
        .with_for_update(skip_locked=True)
    ).one_or_none()
    ended = job is not None and _end(session, job, error, retry)
    if ended:
        counters.add(session, counters.RESCUES, error.code)
    return ended


def _end(session: Session, job: Job, error: JobError, retry: RetryPolicy) -> bool:
    lost = leases.as_claim(job)
    try:
        leases.fail(session, lost, error, retry)
    except StaleAttemptError:
        return False
    log_after_commit(session, "job_rescued", **lost.log_fields(), worker=lost.worker)
    return True


def lost_error(worker: str | None) -> WorkerLostError:
    """Return the error of an attempt whose process vanished."""
    return WorkerLostError(f"The worker {worker} vanished while it held the job.")
