"""How the workers' children are shared: places for anybody, and a reserve for who has none.

Each worker says, for each queue that it takes jobs of, how many of its children anybody's jobs may
take, and how many of those one project's; it has some more in reserve. They are free for an
interactive job of a project of which nothing runs, so that no number of slow reads of others keeps
it waiting. One that is slow itself leaves the reserve when another project needs it, and waits for
a place from then on (`jobs/reserve.py`). docs/adr/0012 says why.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    String,
    and_,
    bindparam,
    cast,
    delete,
    exists,
    false,
    func,
    literal,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from stocktake.db.clock import now
from stocktake.db.models import Batch, Job, WorkerPool
from stocktake.db.session import inserting
from stocktake.settings import Settings
from stocktake.states import JobKind, JobState, Queue

#: The first half of the advisory lock under which PostgreSQL claims for a project; its id is the
#: second.
_LOCK: Final = 0x5354
#: For one lock of a claim. Whoever froze with it keeps it until the database ends its transaction,
#: and the children that wait for it meanwhile take nobody else's jobs.
LOCK_SECONDS: Final = 3.0
#: Rings of one project in one tick of the clock, for each of its places: more would be refused.
TURNS_PER_PLACE: Final = 8
#: For so long the reserve is closed to a project whose job gave up a child of it and was cancelled.
_CLOSED_SECONDS: Final = 60.0
#: A pool of which nothing was heard for so many leases is forgotten.
_FORGOTTEN: Final = 100


@dataclass(slots=True, kw_only=True)
class Presence:
    """What a worker says of itself, for as long as it lives.

    Attributes:
        worker: its part of the names by which its children claim.
        places: children that anybody's jobs may take.
        project_places: how many of them one project's may.
        queues: of which it takes jobs.
    """

    worker: str
    places: int
    project_places: int
    lease_seconds: float
    queues: tuple[str, ...] = tuple(Queue)
    _again_at: float = field(default=0.0)

    @classmethod
    def of(cls, settings: Settings, worker: str, children: int, queues: Iterable[str]) -> Self:
        """Return the pool as configured.

        Args:
            children: without those in reserve.
        """
        return cls(
            worker=worker,
            places=children,
            project_places=max(1, int(children * settings.project_share)),
            lease_seconds=settings.lease_seconds,
            queues=tuple(queues),
        )

    def as_dict(self) -> dict[str, Any]:
        """Return its fields, for another process of the worker."""
        names = ("worker", "places", "project_places", "lease_seconds", "queues")
        return {name: getattr(self, name) for name in names}

    def keep(self, session: Session) -> None:
        """Say it again, a few times in each lease. Call it in a transaction that writes anyway."""
        if time.monotonic() < self._again_at:
            return
        mine = WorkerPool.worker == self.worker
        # Passed over where another child has them: that one says it, or is frozen in doing so.
        free = select(WorkerPool.queue).where(mine).with_for_update(skip_locked=True)
        later = update(WorkerPool).where(mine, WorkerPool.queue.in_(free.scalar_subquery()))
        said = session.execute(
            later.values(expires_at=now(self.lease_seconds)).returning(WorkerPool.worker)
        ).first()
        # Asked first: an INSERT waits for whoever is changing the row, conflict or not.
        if said is None and session.scalar(select(WorkerPool.worker).where(mine).limit(1)) is None:
            rows = [
                {
                    "worker": self.worker,
                    "queue": queue,
                    "places": self.places,
                    "project_places": self.project_places,
                }
                for queue in self.queues
            ]
            new = inserting(session, WorkerPool).values(expires_at=now(self.lease_seconds))
            session.execute(new.on_conflict_do_nothing(), rows)
        gone = WorkerPool.expires_at < now(-_FORGOTTEN * self.lease_seconds)
        session.execute(delete(WorkerPool).where(gone))
        self._again_at = time.monotonic() + self.lease_seconds / 4

    def end(self, session: Session) -> None:
        """Take it back: the worker stops."""
        session.execute(delete(WorkerPool).where(WorkerPool.worker == self.worker))


def _must_wait() -> ColumnElement[bool]:
    sibling = aliased(Job)
    of_same = and_(sibling.table_id == Job.table_id, sibling.kind == Job.kind, sibling.id != Job.id)
    # Two conditions and no OR inside of one, which would read the table's whole history.
    runs = exists().where(of_same, sibling.state == JobState.RUNNING)
    older_waits = exists().where(of_same, sibling.state == JobState.QUEUED, sibling.id < Job.id)
    return or_(runs, and_(Job.kind == JobKind.INGEST_FILE, older_waits))


#: Whether a queued job is behind another one of its table, whose end rings for it.
MUST_WAIT: Final = _must_wait()


_ALIVE: Final = WorkerPool.expires_at > now()
#: A queue's name, or a column that holds it.
QueueName = ColumnElement[str] | InstrumentedAttribute[str]
#: A column that holds a project's id.
ProjectId = ColumnElement[int] | InstrumentedAttribute[int]


def holds_place(job: type[Job], queue: QueueName) -> ColumnElement[bool]:
    """Return whether the job runs under a live lease, on a worker that takes this queue's jobs.

    Nobody does under a lease that is over, and what a newer release left running may be ended by
    nobody.
    """
    # Compared letter by letter, and not by LIKE: an underscore in a node's name stands for any
    # letter there. The slash keeps `w@a/1` from being the begin of `w@a/12`.
    child = func.substr(job.worker, 1, func.length(WorkerPool.worker) + 1)
    takes_queue = exists().where(
        _ALIVE, WorkerPool.queue == queue, child == WorkerPool.worker.op("||")("/")
    )
    runs = and_(job.state == JobState.RUNNING, job.lease_expires_at > now())
    # All but the pools is the outer query's: one of jobs, or one of projects around it.
    return and_(runs, takes_queue.correlate_except(WorkerPool))


def children(job: type[Job]) -> ColumnElement[int]:
    """Return how many children the jobs are with: one that sweeps has many jobs and one place."""
    return func.count(job.worker.distinct())


def _sum(column: InstrumentedAttribute[int], queue: QueueName) -> ColumnElement[int]:
    """Sum over the workers that take this queue's jobs."""
    found = select(func.coalesce(func.sum(column), 0)).where(_ALIVE, WorkerPool.queue == queue)
    return found.correlate_except(WorkerPool).scalar_subquery()


def has_yielded(project_id: ProjectId) -> ColumnElement[bool]:
    """Return whether a job of the project gave up a child of the reserve and waits for a place, or
    was cancelled since: to ask for it anew must not open the reserve again."""
    yielded = aliased(Job)
    waits = yielded.state == JobState.QUEUED
    return exists().where(
        yielded.project_id == project_id,
        yielded.yielded_at.is_not(None),
        or_(waits, yielded.yielded_at > now(-_CLOSED_SECONDS)),
    )


def place_for(
    queue: QueueName,
    in_all: ColumnElement[int],
    of_project: ColumnElement[int],
    project_id: ProjectId,
) -> ColumnElement[bool]:
    """Return whether one more of this project's jobs may run where `in_all` run, and `of_project`
    of them are its own.
    """
    places = _sum(WorkerPool.places, queue)
    return or_(
        and_(in_all < places, of_project < _sum(WorkerPool.project_places, queue)),
        # The reserve: for who has nothing, and has not had a turn there already.
        and_(queue == Queue.INTERACTIVE.value, of_project == 0, ~has_yielded(project_id)),
        places == 0,  # nobody has said anything: a claim without a worker
    )


def _has_place() -> ColumnElement[bool]:
    running = aliased(Job)
    counted = select(children(running)).where(holds_place(running, Job.queue))
    of_project = counted.where(running.project_id == Job.project_id)
    return place_for(
        Job.queue,
        counted.correlate(Job).scalar_subquery(),
        of_project.correlate(Job).scalar_subquery(),
        Job.project_id,
    )


#: Whether a child may take the queued job, by all that runs now.
HAS_PLACE: Final = _has_place()


def batch_has_place(queue: Queue) -> ColumnElement[bool]:
    """Return whether a child may take jobs of a batch in this queue: `HAS_PLACE`, asked once for
    all of them, in a statement from which `Batch` is selected."""
    running, name = aliased(Job), literal(queue.value)
    counted = select(children(running)).where(holds_place(running, name))
    of_project = counted.where(running.project_id == Batch.project_id).correlate(Batch)
    return place_for(
        name, counted.scalar_subquery(), of_project.scalar_subquery(), Batch.project_id
    )


def lock_project(session: Session, job_id: UUID) -> None:
    """Let claims for the job's project follow each other until the transaction ends: two at once
    would each count without the other. SQLite has one writer at a time anyway.

    Until its end the transaction, which does nothing but claim, waits for no lock for long.

    Raises:
        sqlalchemy.exc.OperationalError: somebody kept the lock for `LOCK_SECONDS`.
    """
    _lock_project(session, Job.project_id, Job.id == job_id)


def lock_project_of_batch(session: Session, batch_id: UUID) -> None:
    """Do as `lock_project` does, for a claim of many jobs of a batch."""
    _lock_project(session, Batch.project_id, Batch.id == batch_id)


def _lock_project(session: Session, project_id: ProjectId, which: ColumnElement[bool]) -> None:
    if session.get_bind().dialect.name == "sqlite":
        return
    patience = f"{LOCK_SECONDS * 1000:.0f}ms"
    # By a function, as SET takes no parameters; True is for this transaction alone.
    session.execute(select(func.set_config("lock_timeout", patience, True)))
    # The form with two keys takes two of int4. It is given back by commit or rollback, so that no
    # path can forget it.
    lock = func.pg_advisory_xact_lock(cast(_LOCK, Integer), project_id)
    session.execute(select(lock).where(which))


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """A queue's places, and who has taken them, at one moment.

    Attributes:
        places: 0 where no worker is known: then nobody is kept waiting.
        running: children that work, by project.
    """

    queue: Queue
    places: int
    project_places: int
    running: Mapping[int, int]

    @classmethod
    def of(cls, session: Session, queue: Queue) -> Self:
        """Return the shares as they are now."""
        name = literal(queue.value)
        places, project_places = session.execute(
            select(_sum(WorkerPool.places, name), _sum(WorkerPool.project_places, name))
        ).one()
        counted = session.execute(
            select(Job.project_id, children(Job))
            .where(holds_place(Job, name))
            .group_by(Job.project_id)
        )
        return cls(
            queue=queue,
            places=int(places),
            project_places=int(project_places),
            running={row[0]: row[1] for row in counted},
        )

    def has_place(self, project_id: ProjectId) -> ColumnElement[bool]:
        """Return `HAS_PLACE` of this moment, cheap enough to be asked of thousands of rows."""
        if not self.places:
            return true()
        full = [id_ for id_, count in self.running.items() if count >= self.project_places]
        has_none = and_(project_id.not_in(list(self.running)), ~has_yielded(project_id))
        reserved = has_none if self.queue is Queue.INTERACTIVE else false()
        anybody = sum(self.running.values()) < self.places
        return or_(project_id.not_in(full), reserved) if anybody else reserved


def _room() -> Select[int, int, int]:
    name = bindparam("the_queue", type_=String())
    places = _sum(WorkerPool.project_places, name)
    mine = Job.project_id == bindparam("the_project", type_=Integer)
    rung = select(Job.id).where(
        mine, Job.state == JobState.QUEUED, Job.rung_at.is_not(None), ~MUST_WAIT
    )
    # Counted no further than the places: thousands that were rung for make the room no smaller than
    # none.
    some = rung.limit(places).subquery()
    taken = select(children(Job)).where(mine, holds_place(Job, name))
    return select(
        places.label("places"),
        taken.scalar_subquery().label("taken"),
        select(func.count()).select_from(some).scalar_subquery().label("rung"),
    )


#: Built once, as every request that queues a job asks it.
_ROOM: Final = _room()


def room_for_rings(session: Session, project_id: int, queue: Queue) -> int | None:
    """Return how many more jobs of the project to ring for in a queue; None: as many as there are.

    As many as have a place, less those that run or were rung for and can run. The end of each
    rings for the next: a queue that one project's messages fill would keep the others' behind.
    """
    given = {"the_project": project_id, "the_queue": queue.value}
    found = session.connection().execute(_ROOM, given).one()
    return found.places - found.taken - found.rung if found.places else None
