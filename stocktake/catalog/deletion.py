"""Deleting a table softly: what requests and bulk jobs both do."""

from collections.abc import Sequence

from sqlalchemy import update
from sqlalchemy.orm import Session

from stocktake.catalog import changes, uploads
from stocktake.catalog.credentials import erase
from stocktake.db.clock import now
from stocktake.db.models import Job, Table
from stocktake.jobs import cancelling
from stocktake.states import JobKind


def delete_locked(session: Session, table: Table) -> None:
    """Delete a table that this transaction has locked and that is not sourced: the row stays for
    its history, its name is free, its keys are gone, its jobs end."""
    # Uploads first, while it can be told whose waiting jobs wanted them.
    _let_go_of_uploads(session, table)
    _end_jobs(session, table, list(JobKind))
    changes.withdraw(session, table, changes.DELETED)
    erase(session, table)
    session.execute(
        update(Table)
        .where(Table.id == table.id)
        .values(deleted=True, deleted_at=now(), generation=Table.generation + 1)
    )
    session.refresh(table)


def _let_go_of_uploads(session: Session, table: Table) -> None:
    """End the table's waiting uploads, and leave the bytes that no other table wants to the clock.

    One that is being read is told to stop: it would point the table at itself again.
    """
    ended = _end_jobs(session, table, [JobKind.INGEST_FILE])
    held = [table.upload_id, *(job.upload_id for job in ended)]
    table.upload_id = None
    session.flush()
    uploads.let_go(session, held, leaving=table.id)


def _end_jobs(session: Session, table: Table, kinds: Sequence[JobKind]) -> Sequence[Job]:
    """End the table's queued jobs of these kinds, and return them; ask the running ones to stop."""
    detail = "The table was deleted."
    ended = cancelling.supersede(session, table.id, kinds=kinds, detail=detail)
    cancelling.stop_running(session, table.id, kinds=kinds)
    return ended
