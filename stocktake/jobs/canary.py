"""The canary: a round trip through broker and worker that no customer asked for.

The clock sends one every few seconds by the doorbell that jobs use, a worker child starts and
ends it in the database, and `/readyz` looks at what became of it: a worker that answers a ping
may still consume nothing. It has one row, and so there is at most one that has not ended.
"""

from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, select, update
from sqlalchemy.orm import Session

from stocktake.db.clock import now
from stocktake.db.models import Canary, new_id
from stocktake.db.session import Ring, inserting, ring_after_commit
from stocktake.states import Queue

#: Every worker takes this queue, and first.
QUEUE: Final = Queue.INTERACTIVE


def due(session: Session, *, every_seconds: float) -> bool:
    """Return whether the last one has ended, and was sent that long ago."""
    waits = Canary.queue == QUEUE, ~_may_follow(every_seconds)
    return not session.scalar(select(exists().where(*waits)))


def send(session: Session, *, every_seconds: float) -> bool:
    """Send one after commit; False where another clock did or the last one has not ended."""
    fresh = {"id": new_id(), "sent_at": now(), "rung_at": now()}
    blank = {"started_at": None, "worker": None, "ended_at": None}
    # One statement looks and writes: of two clocks at one moment, one changes the row and one finds
    # that nothing may follow yet.
    sent: UUID | None = session.scalar(
        inserting(session, Canary)
        .values(queue=QUEUE, **fresh)
        .on_conflict_do_update(
            index_elements=["queue"], set_=fresh | blank, where=_may_follow(every_seconds)
        )
        .returning(Canary.id)
    )
    if sent is not None:
        _ring(session, sent)
    return sent is not None


def _may_follow(every_seconds: float) -> ColumnElement[bool]:
    return and_(Canary.ended_at.is_not(None), Canary.sent_at <= now(-every_seconds))


def unheard(session: Session, *, seconds: float) -> bool:
    """Return whether one was rung for that long ago and has not ended."""
    return bool(session.scalar(select(exists().where(_unheard(seconds)))))


def ring_again(session: Session, *, seconds: float) -> bool:
    """Ring after commit for the one of which nothing was heard for that long, unless it is written
    at this moment: by a worker that is frozen amid that, the clock would be held up as well."""
    lost = session.scalar(
        select(Canary.id).where(_unheard(seconds)).with_for_update(skip_locked=True)
    )
    if lost is not None:
        session.execute(update(Canary).where(Canary.id == lost).values(rung_at=now()))
        _ring(session, lost)
    return lost is not None


def _unheard(seconds: float) -> ColumnElement[bool]:
    return and_(
        Canary.queue == QUEUE,
        Canary.ended_at.is_(None),
        Canary.rung_at <= now(-seconds),
    )


def _ring(session: Session, canary_id: UUID) -> None:
    ring_after_commit(session, Ring(job_id=canary_id, kind="canary", queue=QUEUE))


def start(session: Session, canary_id: UUID, *, worker: str) -> bool:
    """Note who took it; False where the message is an old one."""
    return _change(session, canary_id, started_at=now(), worker=worker)


def end(session: Session, canary_id: UUID) -> bool:
    """Note that it has come home; False where it had already."""
    return _change(session, canary_id, ended_at=now(), last_ended_at=now())


def _change(session: Session, canary_id: UUID, **values: object) -> bool:
    changed = session.scalar(
        update(Canary)
        # The id is the round's: a late message of an earlier one finds no row.
        .where(Canary.id == canary_id, Canary.ended_at.is_(None))
        .values(**values)
        .returning(Canary.id)
    )
    return changed is not None
