"""What an `expand_batch` job does: make the jobs of a batch, in chunks that each commit.

A second attempt goes on where the first one stopped (`Batch.expanded_to`), and every chunk is
fenced: an attempt that lost its lease adds nothing.
"""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import func, insert, or_, select, update
from sqlalchemy.orm import Session

from stocktake.catalog.selection import parse_selector, select_tables
from stocktake.db.clock import now
from stocktake.db.models import TABLES, Batch, BatchItem, Job, Table
from stocktake.errors import InternalError, StaleAttemptError
from stocktake.jobs import leases, queueing
from stocktake.runs.attempt import Attempt
from stocktake.schema.formats import TableFormat
from stocktake.states import JobKind, Queue

#: Tables a transaction. On SQLite a chunk holds the one write lock, so it is kept short: 500 took
#: 45 ms of a processor, and two seconds on a machine at a load of 30; these take half.
CHUNK: Final = 200


def run(attempt: Attempt, *, chunk: int = CHUNK) -> None:
    """Make the batch's jobs and end this one, in the transaction of the last chunk.

    Args:
        chunk: tables a transaction.

    Raises:
        StaleAttemptError: the lease was lost; the chunks that were committed stay.
    """
    while True:
        with attempt.process.database.write() as session:
            batch = begin_chunk(session, attempt)
            done = batch is None or _fill(session, attempt, batch, chunk)
            items = _count(session, attempt) if not done else 0
        if done:
            return
        attempt.progress("expand", items, None)


def begin_chunk(session: Session, attempt: Attempt) -> Batch | None:
    """Return the claim's batch, locked, for the next chunk of its tables; None where it was
    cancelled, and the job has ended with that.

    Raises:
        StaleAttemptError: the lease was lost.
    """
    claim = attempt.claim
    # The batch is locked before any job, here and in a cancel: no deadlock, and a cancel sees
    # every job that was made before it.
    batch = session.scalars(
        select(Batch).where(Batch.id == claim.batch_id).with_for_update(key_share=True)
    ).one_or_none()
    if batch is None:
        raise InternalError(f"Job {claim.job_id} expands batch {claim.batch_id}, which is gone.")
    # The chunk's fence, too: it locks the job's row, so that no other attempt makes jobs before
    # this commits.
    beat = leases.heartbeat(session, claim, lease_seconds=attempt.process.settings.lease_seconds)
    if not beat.alive:
        raise StaleAttemptError(
            f"attempt {claim.attempt} of job {claim.job_id} no longer owns it; nothing was done"
        )
    if beat.cancel_requested or batch.cancelled_at is not None:
        leases.cancel(session, claim, code="cancelled", detail="The batch was cancelled.")
        return None
    return batch


def _fill(session: Session, attempt: Attempt, batch: Batch, chunk: int) -> bool:
    """Expand one chunk, and return whether the job has ended with it."""
    selected = select_tables(
        session,
        batch.project_id,
        parse_selector(batch.selector),
        after=batch.expanded_to,
        limit=chunk,
    )
    sweep_chunk = attempt.process.settings.sweep_chunk
    known = _known(session, selected.ids) if sweep_chunk > 1 else frozenset()
    requests = {
        each: _refresh(attempt, batch, each, sweepable=each in known) for each in selected.ids
    }
    jobs = queueing.enqueue_many(session, requests, sweep_chunk=sweep_chunk)
    batch.tables += len(jobs)
    if jobs:
        session.execute(
            insert(BatchItem),
            [{"batch_id": batch.id, "table_id": each, "job_id": jobs[each]} for each in jobs],
        )
        if not batch.dry_run:
            _show_latest(session, batch.id, selected.ids)
    # In the chunk's own transaction: its jobs and how far it came are committed together, or
    # neither.
    if selected.cursor is not None:
        batch.expanded_to = selected.cursor
        return False
    batch.expanded_at = session.scalar(select(now()))
    session.flush()
    leases.succeed(session, attempt.claim, _result(session, batch.id))
    return True


_INFERRED: Final = tuple(each.value for each in TableFormat if each.facts.inferred)


def _known(session: Session, table_ids: Sequence[UUID]) -> frozenset[UUID]:
    """Return the tables of which the last read is remembered, so that a look at each may tell that
    it is unchanged. Whether one does is for the sweep to find out."""
    state = TABLES.c.source_state
    return frozenset(
        session.scalars(
            select(TABLES.c.id).where(
                TABLES.c.id.in_(table_ids),
                TABLES.c.managed.is_(False),
                state["generation"].as_integer() == TABLES.c.generation,
                # Else a validation is due behind the read.
                or_(TABLES.c.validated_state.is_not(None), TABLES.c.format.not_in(_INFERRED)),
            )
        )
    )


def _refresh(
    attempt: Attempt, batch: Batch, table_id: UUID, *, sweepable: bool
) -> queueing.JobRequest:
    return queueing.JobRequest(
        project_id=batch.project_id,
        kind=JobKind.PLAN_REFRESH if batch.dry_run else JobKind.REFRESH_SCHEMA,
        queue=Queue.BULK,
        max_attempts=attempt.process.settings.job_max_attempts,
        table_id=table_id,
        batch_id=batch.id,
        created_by_id=batch.created_by_id,
        sweepable=sweepable,
    )


def _show_latest(session: Session, batch_id: UUID, table_ids: Sequence[UUID]) -> None:
    job_id = (
        select(BatchItem.job_id)
        .where(BatchItem.batch_id == batch_id, BatchItem.table_id == Table.id)
        .scalar_subquery()
    )
    session.execute(update(Table).where(Table.id.in_(table_ids)).values(latest_job_id=job_id))


def _count(session: Session, attempt: Attempt) -> int:
    statement = select(func.count()).where(BatchItem.batch_id == attempt.claim.batch_id)
    return session.scalar(statement) or 0


def _result(session: Session, batch_id: UUID) -> dict[str, int]:
    """Count from the rows, so that it holds for what earlier attempts made as well."""
    tables, jobs = session.execute(
        select(func.count(), func.count().filter(Job.batch_id == batch_id))
        .select_from(BatchItem)
        .join(Job, Job.id == BatchItem.job_id)
        .where(BatchItem.batch_id == batch_id)
    ).one()
    return {"tables": tables, "jobs": jobs, "deduplicated": tables - jobs}
