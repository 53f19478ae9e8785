"""The change of a table that waits for somebody to decide: what reads make of it.

One at a time waits for a table. Whoever writes one has locked its table, so that a read that ends
and a decision come one after the other.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Integer,
    Text,
    Uuid,
    bindparam,
    cast,
    delete,
    func,
    select,
    update,
)
from sqlalchemy.orm import Session

from stocktake.db.clock import now
from stocktake.db.models import Project, SchemaChange, Table, new_id
from stocktake.schema.columns import Column
from stocktake.schema.decisions import (
    ColumnChange,
    Columns,
    Policy,
    Verdict,
    column_changes,
    without,
    worst,
)
from stocktake.schema.diff import ChangeClass, apply_overrides, diff
from stocktake.states import ChangeState

#: Of a table's changes that have ended, and bytes of all their parts as JSON; the oldest go.
_KEPT: Final = 20
_KEPT_BYTES: Final = 4 * 1024**2
BACK: Final = "The source is back at the live schema."
LET_THROUGH: Final = "A newer read of the source went live by the table's policy."
SOURCE_CHANGED: Final = "The table was changed: it reads another source now."
TYPES_SET: Final = "A user has set the types of the columns in question."
DELETED: Final = "The table was deleted."


#: Built once, for most reads that find a change ask.
_OF_TABLE: Final = SchemaChange.table_id == bindparam("the_table", type_=Uuid())
_PENDING: Final = (
    select(SchemaChange)
    .where(_OF_TABLE, SchemaChange.state == ChangeState.PENDING)
    .execution_options(populate_existing=True)
)
_KEPT_OF_TABLE: Final = select(func.coalesce(func.sum(SchemaChange.size_bytes), 0)).where(_OF_TABLE)
_POLICY: Final = select(Project.change_policy).where(
    Project.id == bindparam("the_project", type_=Integer)
)


def columns_of(stored: Iterable[dict[str, Any]]) -> Columns:
    """Read stored columns back."""
    return tuple(Column.from_dict(column) for column in stored)


def pending_of(session: Session, table_id: UUID) -> SchemaChange | None:
    """Return the change that waits for the table, as it is now."""
    return session.scalars(_PENDING, {"the_table": table_id}).one_or_none()


def shown(session: Session, table: Table) -> dict[str, Any] | None:
    """Return what a job's result says of the change that waits for its table."""
    session.flush()
    pending = pending_of(session, table.id)
    return None if pending is None else {"id": str(pending.id), "change": str(pending.change)}


def kept_bytes(session: Session, table_id: UUID) -> int:
    """Return bytes of the table's changes, of those that wait and of those that ended."""
    session.flush()
    return session.connection().execute(_KEPT_OF_TABLE, {"the_table": table_id}).scalar_one()


def policy_of(session: Session, table: Table) -> Policy:
    """Return the table's own policy, or the one of its project."""
    if table.change_policy is not None:
        return Policy.of(table.change_policy)
    given = {"the_project": table.project_id}
    return Policy.of(session.scalars(_POLICY, given).one())


def source_columns(session: Session, table: Table) -> Columns:
    """Return the columns as the source had them last: a sample is added to these."""
    pending = pending_of(session, table.id)
    return columns_of(table.columns if pending is None else pending.proposed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sorted:
    """What would become of the parts of a change, if a read wrote it now.

    Attributes:
        rejected: what somebody has rejected, and the source still says.
        waiting: what the policy does not let through.
    """

    live: Columns
    fresh: Columns
    rejected: Sequence[ColumnChange]
    waiting: Sequence[ColumnChange]
    policy: Policy

    @property
    def asked(self) -> Columns:
        """Return the columns as the source has them, but for what was rejected."""
        return without(self.live, self.fresh, self.rejected)

    @property
    def applied(self) -> Columns:
        """Return the columns that go live."""
        return without(self.live, self.fresh, [*self.rejected, *self.waiting])


def sort_out(session: Session, table: Table, fresh: Columns) -> Sorted:
    """Hold what the source says to the table's policy, and to what was decided before."""
    live, policy = columns_of(table.columns), policy_of(session, table)
    # There is nothing yet that a first read could break.
    parts = column_changes(live, fresh) if table.schema_version else ()
    refused = {tuple(each["names"]): each for each in table.rejected}
    rejected = [part for part in parts if part.refused() == refused.get(tuple(sorted(part.names)))]
    answered = {part.name for part in rejected}
    asked = [part for part in parts if part.name not in answered]
    return Sorted(
        live=live,
        fresh=fresh,
        rejected=rejected,
        waiting=[part for part in asked if not policy.lets_through(part.change)],
        policy=policy,
    )


def settle(
    session: Session,
    table: Table,
    fresh: Columns,
    *,
    sampled: bool,
    source_version: Any,
    job_id: UUID | None,
) -> Columns:
    """Return which columns go live of what a read found; what the policy holds back waits as the
    table's pending change.

    Args:
        table: locked by this transaction, with its columns of before.
        fresh: what the source says, with the types that users have set.
        sampled: whether the read saw a part of the source only: what it did not see is no answer.
    """
    found = sort_out(session, table, fresh)
    if table.rejected and not sampled:
        # Of the others the source says something else by now.
        table.rejected = [part.refused() for part in found.rejected]
    pending = pending_of(session, table.id)
    if not found.waiting:
        if pending is not None:
            through = diff(found.live, found.applied).change is not ChangeClass.NONE
            end(session, pending, LET_THROUGH if through else BACK)
    elif pending is not None and _undecided(pending) == _told(found.waiting):
        # What waited already, read again.
        pending.proposed, pending.source_version = _stored(found.asked), source_version
    else:
        change = SchemaChange(
            id=new_id(),
            project_id=table.project_id,
            table_id=table.id,
            state=ChangeState.PENDING,
            change=worst(part.change for part in found.waiting),
            **counted(_told(found.waiting)),
            proposed=_stored(found.asked),
            source_version=source_version,
            job_id=job_id,
        )
        if pending is not None:
            replace_by(session, pending, change.id)
        _forget_old(session, table.id)
        session.add(change)
    return found.applied


def _told(parts: Iterable[ColumnChange]) -> list[dict[str, Any]]:
    return [part.as_dict() for part in parts]


def counted(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the fields of a change that tell of its parts."""
    undecided = sum(1 for part in parts if part["decision"] is None)
    return {"parts": parts, "undecided": undecided, "decided": len(parts) - undecided}


def set_parts(change: SchemaChange, parts: Sequence[dict[str, Any]]) -> None:
    """Give a change these parts."""
    for name, value in counted(parts).items():
        setattr(change, name, value)


def _undecided(change: SchemaChange) -> list[dict[str, Any]]:
    return [part for part in change.parts if part["decision"] is None]


def _stored(columns: Columns) -> list[dict[str, Any]]:
    return [column.as_dict() for column in columns]


def waiting_parts(table: Table, pending: SchemaChange) -> tuple[Columns, tuple[ColumnChange, ...]]:
    """Return what a pending change proposes now, and the parts that are still to be decided.

    A type that a user has set since counts for the proposal, too.
    """
    live = columns_of(table.columns)
    proposed = apply_overrides(live, columns_of(pending.proposed))
    return proposed, column_changes(live, proposed)


def reconsider(session: Session, table: Table, reason: str = TYPES_SET) -> SchemaChange | None:
    """Hold the change that waits for a table to its columns of now, and return it; None where
    nothing of it is left.

    Args:
        table: locked by this transaction, with its new columns.
        reason: why nothing is left.
    """
    pending = pending_of(session, table.id)
    if pending is None:
        return None
    proposed, parts = waiting_parts(table, pending)
    if _told(parts) != _undecided(pending):
        decided = [part for part in pending.parts if part["decision"] is not None]
        set_parts(pending, [*decided, *_told(parts)])
        pending.proposed = _stored(proposed)
    if parts:
        pending.change = worst(part.change for part in parts)
        return pending
    end(session, pending, reason)
    return None


def withdraw(session: Session, table: Table, reason: str) -> None:
    """Have nothing wait for a table any more, and forget what was rejected of it.

    Args:
        table: locked by this transaction.
    """
    if table.rejected:
        table.rejected = []
    if (pending := pending_of(session, table.id)) is not None:
        end(session, pending, reason)
    # Decided ones, too: what they would put back is of what the table was.
    _empty(session, table.id)


def end(session: Session, change: SchemaChange, reason: str) -> None:
    """Note that nothing of a change is left to decide."""
    change.state, change.reason = ChangeState.WITHDRAWN, reason
    _put_away(session, change)


def replace_by(session: Session, change: SchemaChange, other: UUID) -> None:
    """Note that another change waits in the place of one."""
    change.state, change.replaced_by = ChangeState.REPLACED, other
    _put_away(session, change)


def close(change: SchemaChange) -> None:
    """Note that all parts of a change are decided. Its class is that of what was let through: what
    was pinned or rejected broke nobody."""
    change.state, change.ended_at = ChangeState.DECIDED, change.decided_at
    through = (part for part in change.parts if part["decision"] == Verdict.ACCEPT)
    change.change = worst(part["change"] for part in through)


def reopen(change: SchemaChange, parts: Sequence[dict[str, Any]]) -> None:
    """Have a change wait again, with these parts."""
    set_parts(change, parts)
    change.state, change.ended_at = ChangeState.PENDING, None


def _put_away(session: Session, change: SchemaChange) -> None:
    change.ended_at = session.scalar(select(now()))
    change.proposed, change.undo = [], None
    # Before another one waits, of which the index allows one.
    session.flush()


def _forget_old(session: Session, table_id: UUID) -> None:
    """Empty what can be undone no more, and delete the oldest: each may be megabytes."""
    _empty(session, table_id)
    size = func.length(cast(SchemaChange.parts, Text))
    newest = select(SchemaChange.id, size).where(*_ended(table_id)).order_by(SchemaChange.id.desc())
    ended = session.execute(newest).all()
    so_far = accumulate(row[1] for row in ended)
    old = [
        row.id
        for at, (row, total) in enumerate(zip(ended, so_far, strict=True))
        if at >= _KEPT or total > _KEPT_BYTES
    ]
    if old:
        session.execute(delete(SchemaChange).where(SchemaChange.id.in_(old)))


def _empty(session: Session, table_id: UUID) -> None:
    """Let no decision of an ended change be undone any more."""
    session.execute(
        update(SchemaChange)
        .where(*_ended(table_id), SchemaChange.undo.is_not(None))
        .values(undo=None, proposed=[], size_bytes=func.length(cast(SchemaChange.parts, Text)))
    )


def _ended(table_id: UUID) -> tuple[ColumnElement[bool], ...]:
    return SchemaChange.table_id == table_id, SchemaChange.state != ChangeState.PENDING
