"""A live table, or many of them, locked for a change.

A table is locked before its jobs and its uploads, everywhere, so that two writers cannot deadlock.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Uuid, bindparam, select, update
from sqlalchemy.orm import Session

from stocktake.db.clock import now
from stocktake.db.models import TABLES, Table
from stocktake.errors import SupersededError
from stocktake.jobs.leases import Claim


def locked(session: Session, project_id: int, *which: ColumnElement[bool]) -> Table | None:
    """Return the project's live table that is meant, locked and as it is now; None where there is
    none.

    Args:
        which: conditions that one live table of a project fulfils at most.
    """
    return session.scalars(
        select(Table)
        .where(Table.project_id == project_id, Table.deleted.is_(False), *which)
        # FOR NO KEY UPDATE: jobs and versions that refer to the row can be inserted meanwhile,
        # which look at its key.
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).one_or_none()


def locked_for(session: Session, claim: Claim, *, any_generation: bool = False) -> Table:
    """Return the claim's table, locked, for the transaction that writes a result to it.

    Args:
        any_generation: whether a table that changed since the claim is still wanted.

    Raises:
        SupersededError: the table changed since the claim, or is deleted.
    """
    table = locked(session, claim.project_id, Table.id == claim.table_id)
    if table is None or (table.generation != claim.generation and not any_generation):
        raise SupersededError("The table changed while its source was being read.")
    return table


_LOCKED: Final = (
    select(TABLES.c.id, TABLES.c.generation, TABLES.c.schema_version)
    .where(
        TABLES.c.id.in_(bindparam("the_tables", type_=Uuid(), expanding=True)),
        TABLES.c.deleted.is_(False),
    )
    .order_by(TABLES.c.id)
    .with_for_update(key_share=True)
)
#: What each good read writes to its table, by the database's clock.
REFRESHED: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "last_refreshed_at": now(),
        "stale_at": now(TABLES.c.stale_after_seconds),
        "error_code": None,
    }
)
_REFRESHED: Final = (
    update(TABLES)
    .where(TABLES.c.id.in_(bindparam("the_tables", type_=Uuid(), expanding=True)))
    .values(**REFRESHED)
)


def locked_many(session: Session, table_ids: Sequence[UUID]) -> Mapping[UUID, Any]:
    """Return id, generation and schema version of those of the tables that are live, locked in the
    order of their ids."""
    rows = session.connection().execute(_LOCKED, {"the_tables": list(table_ids)})
    return {row.id: row for row in rows}


def note_refreshed(session: Session, table_ids: Sequence[UUID]) -> None:
    """Note that the sources of these tables, locked by this transaction, were seen unchanged."""
    if table_ids:
        session.connection().execute(_REFRESHED, {"the_tables": list(table_ids)})
