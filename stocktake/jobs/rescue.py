"""What the clock does for jobs: ring for those that are due, rescue those whose worker vanished.

Each step selects first, in a transaction that only reads, and writes only what is due, with the
same guard repeated in the write: two clocks that saw the same row ring for it once.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Float,
    Integer,
    Select,
    String,
    and_,
    bindparam,
    case,
    exists,
    false,
    func,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from stocktake.db.clock import now
from stocktake.db.models import Job, Project
from stocktake.db.session import log_after_commit, ring_after_commit
from stocktake.errors import JobError, StaleAttemptError, WorkerLostError
from stocktake.jobs import counters, lease_statements, leases
from stocktake.jobs.leases import RetryPolicy
from stocktake.jobs.queueing import KNOWN, KNOWN_KIND, SWEEPABLE, ring_for
from stocktake.jobs.shares import MUST_WAIT, TURNS_PER_PLACE, Load, ProjectId
from stocktake.states import JobState, Queue

#: Rings double their distance this many times and then keep it: 20 s by default. The clock rings
#: for no more jobs than lack a message, so the distance need not keep the queue short; at 64 times
#: a job whose rings were lost with a broker's restarts waited for minutes beside idle workers.
_MAX_DOUBLINGS = 2


#: More than a database of ours has rows, and a number that PostgreSQL takes for a limit.
_ALL: Final = 2**31 - 1


def due_for_ring(
    session: Session, *, queue: Queue, limit: int, ring_again_seconds: float
) -> Sequence[UUID]:
    """Return jobs of this queue that could run now and that nobody has rung for lately.

    The projects take turns; of each, those that nobody ever rang for come first, then those whose
    ring is the oldest. However many wait, no more rows are looked at than may be rung for: each
    project's are found through its indexes.
    """
    load = Load.of(session, queue)
    projects = _due_projects(session, load, limit, ring_again_seconds)
    # Without a known worker nothing is refused for its share, and a bound would be zero.
    most = TURNS_PER_PLACE * load.project_places if load.places else limit
    found: list[tuple[int, bool, datetime, UUID]] = []
    for number, project_id in enumerate(projects):
        # What one project leaves of its part the others have.
        part = min(most, -(-(limit - len(found)) // (len(projects) - number)))
        given = _given(queue, ring_again_seconds, project_id, part)
        unrung = session.execute(_FIRST_UNRUNG, given).all()
        rung = session.execute(_FIRST_RUNG, given).all()[: part - len(unrung)]
        rows = [(False, row) for row in unrung] + [(True, row) for row in rung]
        found += [(turn, was, row.moment, row.id) for turn, (was, row) in enumerate(rows)]
    return [job_id for *_, job_id in sorted(found)]


def runnable(
    session: Session, *, at_most: Mapping[Queue, int] | None = None
) -> Mapping[Queue, int]:
    """Return how many jobs of each queue could run now, whether or not they were rung for.

    Args:
        at_most: how far to count in each queue; not at all in one that is not named. All where
            None.
    """
    bounds = dict.fromkeys(Queue, _ALL) if at_most is None else at_most
    counted = {queue: _count_runnable(session, queue, bound) for queue, bound in bounds.items()}
    return {queue: count for queue, count in counted.items() if count}


def _count_runnable(session: Session, queue: Queue, bound: int) -> int:
    load = Load.of(session, queue)
    queued = or_(_exists(_UNRUNG), _exists(_RUNG))
    projects = session.scalars(
        select(Project.id).where(load.has_place(Project.id), queued), {"the_queue": queue.value}
    ).all()
    count = 0
    for project_id in projects:
        for statement in (_COUNT_UNRUNG, _COUNT_RUNG):
            if count < bound:
                given = _given(queue, 0, project_id, bound - count)
                count += session.scalar(statement, given) or 0
    return count


def any_due_for_ring(session: Session, *, ring_again_seconds: float) -> bool:
    """Return whether there is a job that could run now and that nobody has rung for lately."""
    loads = (Load.of(session, queue) for queue in Queue)
    return any(_due_projects(session, load, 1, ring_again_seconds) for load in loads)


def _due_projects(
    session: Session, load: Load, limit: int, ring_again_seconds: float
) -> Sequence[int]:
    """Return the projects that have a place and a job to ring for, whoever waits longest first."""
    ringable = _RINGABLE.where(load.has_place(Project.id)).subquery()
    longest = func.coalesce(ringable.c.unrung, ringable.c.rung)
    found = select(ringable.c.id).where(longest.is_not(None)).order_by(longest, ringable.c.id)
    given = _given(load.queue, ring_again_seconds)
    return session.scalars(found.limit(limit), given).all()


def _given(
    queue: Queue, ring_again_seconds: float, project_id: int = 0, limit: int = 0
) -> dict[str, Any]:
    return {
        "the_queue": queue.value,
        "again": -ring_again_seconds,
        "the_project": project_id,
        "most": limit,
    }


#: As a constant in the statement, as those of an index are.
_QUEUED: Final = literal(JobState.QUEUED.value, literal_execute=True)
#: Of one project, in one queue, by the index of those that nobody rang for ...
_UNRUNG: Final = and_(
    Job.state == _QUEUED, Job.rung_at.is_(None), Job.queue == bindparam("the_queue", type_=String())
)
#: ... and by that of the others.
_RUNG: Final = and_(
    Job.state == _QUEUED,
    Job.rung_at.is_not(None),
    Job.queue == bindparam("the_queue", type_=String()),
)


def _exists(jobs: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(jobs, Job.project_id == Project.id)


def _could_run() -> ColumnElement[bool]:
    # A worker would only refuse one that must wait; and its distance must be short once its turn
    # has come.
    return and_(Job.next_run_at <= _once(now()), KNOWN_KIND, ~MUST_WAIT)


def _once(moment: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a moment that the statement asks for once: PostgreSQL looks into no index for one that
    is another for each row."""
    return select(moment).scalar_subquery()


def _unheard(again: ColumnElement[Any]) -> ColumnElement[bool]:
    doublings = case((Job.rings < _MAX_DOUBLINGS, Job.rings), else_=_MAX_DOUBLINGS)
    # By a shift: SQLite has `power` only where it was built with it.
    distance = again * literal(1).op("<<")(doublings)
    # The first for the index.
    return and_(Job.rung_at <= _once(now(again)), Job.rung_at <= now(distance))


def _first(project_id: ProjectId) -> tuple[Any, Any]:
    """Return the questions for the first job to ring for, of those never rung for and of others."""
    of_project = Job.project_id == project_id
    again = bindparam("again", type_=Float)
    unrung = select(Job.id, Job.next_run_at.label("moment")).where(
        of_project, _UNRUNG, _could_run()
    )
    rung = select(Job.id, Job.rung_at.label("moment")).where(
        of_project, _RUNG, _unheard(again), _could_run()
    )
    return unrung.order_by(Job.next_run_at, Job.id), rung.order_by(Job.rung_at)


def _ringable() -> Select[Any]:
    unrung, rung = (
        each.with_only_columns(moment).limit(1).correlate(Project).scalar_subquery()
        for each, moment in zip(_first(Project.id), (Job.next_run_at, Job.rung_at), strict=True)
    )
    return select(Project.id, unrung.label("unrung"), rung.label("rung"))


def _counted(jobs: ColumnElement[bool]) -> Select[int]:
    mine = Job.project_id == bindparam("the_project", type_=Integer)
    some = select(Job.id).where(mine, jobs, _could_run()).limit(bindparam("most", type_=Integer))
    return select(func.count()).select_from(some.subquery())


_RINGABLE: Final = _ringable()
#: For those that may be swept a sweep of their batch is rung (`sweep_rings`).
_FIRST_UNRUNG, _FIRST_RUNG = (
    each.where(~func.coalesce(SWEEPABLE, false())).limit(bindparam("most", type_=Integer))
    for each in _first(bindparam("the_project", type_=Integer))
)
#: For SQLite, which would else take the index of all that are due.
_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
_COUNT_UNRUNG: Final = _counted(_UNRUNG)
_COUNT_RUNG: Final = _counted(and_(_RUNG, Job.rung_at > _BEGINNING))


def ring_again(session: Session, job_ids: Sequence[UUID], *, ring_again_seconds: float) -> int:
    """Ring after commit for those of `job_ids` that are still due; how many they were.

    A job that another transaction holds is passed over: it is being claimed, or an expansion
    has locked hundreds in its own order, and waiting for one after another could deadlock.
    """
    free = (
        select(Job.id)
        .where(Job.id.in_(job_ids), is_due(ring_again_seconds))
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


def is_due(ring_again_seconds: float) -> ColumnElement[bool]:
    """Return whether the job could run now and nobody has rung for it lately."""
    unheard = _unheard(literal(-ring_again_seconds))
    return and_(
        Job.state == JobState.QUEUED, or_(Job.rung_at.is_(None), unheard), KNOWN, _could_run()
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
    # One that is locked is in good hands: its own attempt ends it, or another clock. And one whose
    # table is locked is for the next tick: no clock waits for a request.
    found = Job.id.in_(job_ids), _expired()
    free = _lock_tables(session, *found, statement=lease_statements.LOCK_FREE_TABLES)
    endable = or_(Job.table_id.is_(None), Job.table_id.in_(free))
    jobs = session.scalars(
        select(Job).where(*found, endable).with_for_update(skip_locked=True)
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
    mine = Job.id == job_id, Job.state == JobState.RUNNING, Job.worker == worker
    _lock_tables(session, *mine)
    job = session.scalars(select(Job).where(*mine).with_for_update(skip_locked=True)).one_or_none()
    ended = job is not None and _end(session, job, error, retry)
    if ended:
        counters.add(session, counters.RESCUES, error.code)
    return ended


def end_swept(session: Session, worker: str, error: JobError, retry: RetryPolicy) -> int:
    """End all attempts that `worker`, known to be dead, still holds; how many.

    For a child that swept: its message names a batch. What is tried again is tried alone, so that
    a source which ends its process costs those beside it one attempt and no more.
    """
    mine = Job.state == JobState.RUNNING, Job.worker == worker
    _lock_tables(session, *mine)
    jobs = session.scalars(
        select(Job).where(*mine).order_by(Job.table_id, Job.id).with_for_update(skip_locked=True)
    ).all()
    ended = sum(_end(session, job, error, retry) for job in jobs)
    if ended:
        counters.add(session, counters.RESCUES, error.code, ended)
    return ended


def _lock_tables(
    session: Session,
    *which: ColumnElement[bool],
    statement: Select[UUID] = lease_statements.LOCK_TABLES,
) -> Sequence[UUID]:
    """Lock the tables of the jobs that are meant, before the jobs, and return those that are."""
    found = session.scalars(select(Job.table_id).where(*which, Job.table_id.is_not(None)))
    given = {"the_tables": list(set(found))}
    return session.connection().execute(statement, given).scalars().all()


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
