"""What the clock does for sweeps: ring again for batches whose jobs nobody has rung for lately."""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from sqlalchemy import exists, select, update
from sqlalchemy.orm import Session

from stocktake.db.clock import now
from stocktake.db.models import Batch, Job
from stocktake.db.session import log_after_commit, ring_after_commit
from stocktake.jobs.queueing import SWEEPABLE, ring_for_sweep
from stocktake.jobs.rescue import is_due
from stocktake.jobs.shares import Load
from stocktake.states import Queue

#: Batches of one tick; the others are due at the next.
_BATCHES: Final = 20


def due(session: Session, *, limit: int, ring_again_seconds: float) -> Mapping[UUID, int]:
    """Return batches of which jobs could be swept now and nobody rang lately, with how many sweeps
    there is room for: as many as the project has places left.

    Args:
        limit: sweeps in all.
    """
    load = Load.of(session, Queue.BULK)
    waits = exists().where(Job.batch_id == Batch.id, SWEEPABLE, is_due(ring_again_seconds))
    found = session.execute(
        select(Batch.id, Batch.project_id)
        .where(load.has_place(Batch.project_id), waits)
        .order_by(Batch.id)
        .limit(_BATCHES)
    ).all()
    wanted: dict[UUID, int] = {}
    for batch in found:
        room = load.project_places - load.running.get(batch.project_id, 0) if load.places else limit
        if (many := min(room, limit - sum(wanted.values()))) > 0:
            wanted[batch.id] = many
    return wanted


def ring_again(
    session: Session, batches: Mapping[UUID, int], *, chunk: int, ring_again_seconds: float
) -> int:
    """Ring after commit for sweeps of these batches, as many as are still due; how many.

    Args:
        batches: how many sweeps of each at most.
        chunk: jobs that one takes.
    """
    return sum(
        _ring(session, batch_id, many, chunk, ring_again_seconds)
        for batch_id, many in batches.items()
    )


def _ring(
    session: Session, batch_id: UUID, many: int, chunk: int, ring_again_seconds: float
) -> int:
    # As many are marked as the sweeps will take, so that the next tick rings for the others.
    free = (
        select(Job.id)
        .where(Job.batch_id == batch_id, SWEEPABLE, is_due(ring_again_seconds))
        .limit(many * chunk)
        .with_for_update(skip_locked=True)
        .cte("free")
    )
    marked = (
        update(Job)
        .where(Job.id.in_(select(free.c.id)))
        .values(rung_at=now(), rings=Job.rings + 1, change_number=Job.change_number)
        .returning(Job.id)
    )
    jobs = len(session.execute(marked.add_cte(free)).all())
    sweeps = -(-jobs // chunk)
    for _ in range(sweeps):
        ring_after_commit(session, ring_for_sweep(batch_id))
    if sweeps:
        log_after_commit(
            session, "sweep_rung_again", batch_id=str(batch_id), jobs=jobs, sweeps=sweeps
        )
    return sweeps
