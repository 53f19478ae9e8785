"""Deleting a table softly: what requests and bulk jobs both do."""

from typing import Final

from sqlalchemy import update
from sqlalchemy.orm import Session

from stocktake.catalog import changes, sources
from stocktake.catalog.credentials import erase
from stocktake.db.clock import now
from stocktake.db.models import Table
from stocktake.states import JobKind

_DELETED: Final = "The table was deleted."


def delete_locked(session: Session, table: Table) -> None:
    """Delete a table that this transaction has locked and that is not sourced: the row stays for
    its history, its name is free, its keys are gone, its jobs end."""
    # Uploads first, while it can be told whose waiting jobs wanted them.
    sources.let_go_of_uploads(session, table, _DELETED)
    sources.end_jobs(session, table, list(JobKind), _DELETED)
    changes.withdraw(session, table, changes.DELETED)
    erase(session, table)
    session.execute(
        update(Table)
        .where(Table.id == table.id)
        .values(deleted=True, deleted_at=now(), generation=Table.generation + 1)
    )
    session.refresh(table)
