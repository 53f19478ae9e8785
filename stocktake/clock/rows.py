"""Rows past their age: ended jobs, batches, uploads without bytes, audit entries, dead clocks.

Each call deletes a few hundred rows in one short transaction, so that nobody waits for SQLite's
write lock. It selects in a transaction that only reads, locks what it found and judges it again:
a row that another clock is deleting is passed over, and one that is wanted again stays.
"""

from typing import Any, Final

from sqlalchemy import ColumnElement, and_, delete, exists, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from stocktake.catalog.previews import KEPT_SECONDS
from stocktake.db.clock import now
from stocktake.db.models import (
    AuditEntry,
    Batch,
    BatchItem,
    ClockBeat,
    Job,
    JobAttempt,
    Preview,
    ScheduleFire,
    StoredCredential,
    Table,
    Upload,
)
from stocktake.db.session import Database
from stocktake.states import UNDONE, JobKind, UploadState

ROWS_AT_ONCE: Final = 200
#: A clock that has not ticked for a day is not coming back under its name.
DEAD_CLOCK_SECONDS: Final = 86_400.0
_DAY_SECONDS: Final = 86_400.0


def prune_jobs(database: Database, *, days: int, limit: int = ROWS_AT_ONCE) -> int:
    """Delete jobs that ended so long ago, with their attempts and places in batches; how many.

    A live table keeps the job that it shows as its latest. A batch keeps the job that expanded
    it for as long as it has any other.

    Args:
        days: since a job's end.
        limit: how many at most.
    """
    shown = exists().where(
        Table.id == Job.table_id, Table.latest_job_id == Job.id, Table.deleted.is_(False)
    )
    batch_has_jobs = exists().where(BatchItem.batch_id == Job.batch_id)
    old = and_(
        Job.finished_at <= now(-days * _DAY_SECONDS),
        ~shown,
        or_(Job.kind != JobKind.EXPAND_BATCH, ~batch_has_jobs),
    )
    return _prune(
        database,
        Job.id,
        old,
        Job.finished_at,
        limit,
        children=(JobAttempt.job_id, BatchItem.job_id),
    )


def prune_batches(database: Database, *, days: int, limit: int = ROWS_AT_ONCE) -> int:
    """Delete batches of that age whose jobs are all gone, with their fires; how many."""
    old = and_(
        Batch.created_at <= now(-days * _DAY_SECONDS),
        ~exists().where(Job.batch_id == Batch.id),
        ~exists().where(BatchItem.batch_id == Batch.id),
    )
    return _prune(
        database, Batch.id, old, Batch.created_at, limit, children=(ScheduleFire.batch_id,)
    )


def prune_uploads(database: Database, *, days: int, limit: int = ROWS_AT_ONCE) -> int:
    """Delete the rows of uploads whose bytes and jobs are gone; how many.

    No table points at one: a table lets go of an upload before its bytes may be removed.
    """
    old = and_(
        Upload.state == UploadState.REMOVED,
        Upload.changed_at <= now(-days * _DAY_SECONDS),
        ~exists().where(Job.upload_id == Upload.id),
    )
    return _prune(database, Upload.id, old, Upload.changed_at, limit)


def prune_audit(database: Database, *, days: int, limit: int = ROWS_AT_ONCE) -> int:
    """Delete audit entries of that age; how many."""
    old = AuditEntry.created_at <= now(-days * _DAY_SECONDS)
    return _prune(database, AuditEntry.id, old, AuditEntry.created_at, limit)


def prune_keys_of_jobs(database: Database, *, limit: int = ROWS_AT_ONCE) -> int:
    """Delete the keys of jobs that have ended without taking them; how many."""
    waits = exists().where(Job.id == StoredCredential.job_id, Job.state.in_(UNDONE))
    old = and_(StoredCredential.job_id.is_not(None), ~waits)
    return _prune(database, StoredCredential.id, old, StoredCredential.job_id, limit)


def prune_previews(database: Database, *, limit: int = ROWS_AT_ONCE) -> int:
    """Delete rows of sources that nobody is shown any more; of how many jobs."""
    old = Preview.created_at <= now(-KEPT_SECONDS)
    return _prune(database, Preview.job_id, old, Preview.created_at, limit)


def prune_clock_beats(database: Database, *, limit: int = ROWS_AT_ONCE) -> int:
    """Delete the beats of clocks that have been gone for a day; how many."""
    old = ClockBeat.ticked_at <= now(-DEAD_CLOCK_SECONDS)
    return _prune(database, ClockBeat.node, old, ClockBeat.ticked_at, limit)


def _prune(
    database: Database,
    key: InstrumentedAttribute[Any],
    old: ColumnElement[bool],
    oldest_first: InstrumentedAttribute[Any],
    limit: int,
    *,
    children: tuple[InstrumentedAttribute[Any], ...] = (),
) -> int:
    with database.read() as session:
        found = session.scalars(select(key).where(old).order_by(oldest_first).limit(limit)).all()
    if not found:
        return 0
    with database.write() as session:
        still_old = select(key).where(key.in_(found), old).with_for_update(skip_locked=True)
        gone = session.scalars(still_old).all()
        # Children first, for their foreign keys.
        for column in (*children, key):
            session.execute(delete(column.class_).where(column.in_(gone)))
    return len(gone)
