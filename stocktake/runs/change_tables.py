"""What a `change_tables` job does: set the policy of a batch's tables, or delete them, in chunks
that each commit.

A second attempt goes on where the first one stopped (`Batch.expanded_to`), and every chunk is
fenced, as in an expansion.
"""

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from stocktake.catalog.deletion import delete_locked
from stocktake.catalog.selection import Eligible, count_tables, parse_selector, select_tables
from stocktake.catalog.tables import locked
from stocktake.db.clock import now
from stocktake.db.models import AuditEntry, Batch, Table
from stocktake.jobs import leases
from stocktake.runs.attempt import Attempt
from stocktake.runs.expand_batch import begin_chunk
from stocktake.states import BatchAction

#: Tables a transaction: to delete one takes some ten statements, and on SQLite a chunk holds the
#: one write lock.
CHUNK: Final = 50


def run(attempt: Attempt, *, chunk: int = CHUNK) -> None:
    """Change the batch's tables and end the job, in the transaction of the last chunk.

    Args:
        chunk: tables a transaction.

    Raises:
        StaleAttemptError: the lease was lost; the chunks that were committed stay.
    """
    while True:
        with attempt.process.database.write() as session:
            batch = begin_chunk(session, attempt)
            done = batch is None or _change_chunk(session, attempt, batch, chunk)
            told = None if batch is None else (batch.tables, batch.expected)
        if done:
            return
        if told is not None:
            attempt.progress("change", *told)


def _change_chunk(session: Session, attempt: Attempt, batch: Batch, chunk: int) -> bool:
    """Change one chunk, and return whether the job has ended with it."""
    change, eligible = _CHANGES[BatchAction(batch.action)]
    selector = parse_selector(batch.selector)
    which = eligible(batch)
    if batch.expected is None:
        batch.expected = count_tables(session, batch.project_id, selector, which)
    selected = select_tables(
        session, batch.project_id, selector, after=batch.expanded_to, limit=chunk, eligible=which
    )
    for table_id in selected.ids:
        table = locked(session, batch.project_id, Table.id == table_id)
        if table is not None and change(session, batch, table):
            batch.tables += 1
    # In the chunk's own transaction: what was changed and how far it came are committed together.
    if selected.cursor is not None:
        batch.expanded_to = selected.cursor
        return False
    batch.expanded_at = session.scalar(select(now()))
    session.flush()
    leases.succeed(session, attempt.claim, {"action": batch.action, "tables": batch.tables})
    return True


def _set_policy(session: Session, batch: Batch, table: Table) -> bool:
    """Set the table's policy of changes; what waits goes on waiting."""
    old, new = table.change_policy, (batch.arguments or {}).get("change_policy")
    if old != new:
        table.change_policy = new
        _record(session, batch, table, "table.policy", old=old, new=new)
    return True


def _delete(session: Session, batch: Batch, table: Table) -> bool:
    delete_locked(session, table)
    _record(session, batch, table, "table.delete", name=table.name)
    return True


def _record(session: Session, batch: Batch, table: Table, action: str, **detail: Any) -> None:
    session.add(
        AuditEntry(
            project_id=batch.project_id,
            user_id=batch.created_by_id,
            action=action,
            subject=str(table.id),
            detail=detail | {"batch_id": str(batch.id)},
        )
    )


def _all_of_then(batch: Batch) -> Eligible:
    # Nobody who asked for it had seen the others.
    return Table.created_at <= batch.created_at


def _not_sourced(batch: Batch) -> Eligible:
    return _all_of_then(batch) & Table.external_data_source.is_(None)


_CHANGES: Final[
    dict[BatchAction, tuple[Callable[[Session, Batch, Table], bool], Callable[[Batch], Eligible]]]
] = {
    BatchAction.POLICY: (_set_policy, _all_of_then),
    BatchAction.DELETE: (_delete, _not_sourced),
}
