"""A table's schema versions: numbered snapshots of its columns, each written once."""

import json
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from stocktake.db.clock import now
from stocktake.db.models import SchemaVersion, Table
from stocktake.schema.columns import Column
from stocktake.schema.diff import Diff
from stocktake.schema.history import PastSchema, steps


def add_version(
    session: Session, table: Table, change: Diff, *, job_id: UUID | None = None
) -> None:
    """Add the table's present columns as a new version.

    Args:
        table: locked by this transaction, with its new columns.
        change: from the columns before.
        job_id: of the job that found it; None where a user's override made it.
    """
    diff = change.as_dict()
    table.schema_version += 1
    table.schema_bytes += schema_size(table.columns, diff)
    if table.schema_version > 1:  # the first is no change
        table.last_change, table.last_changed_at = change.change.value, now()
    session.add(
        SchemaVersion(
            table_id=table.id,
            number=table.schema_version,
            columns=table.columns,
            diff=diff,
            change=change.change.value,
            source_version=table.source_version,
            job_id=job_id,
        )
    )


def add_first_versions(
    session: Session, table: Table, history: Iterable[PastSchema], *, job_id: UUID
) -> None:
    """Add what a source tells of its earlier schemas as a table's first versions, and then the
    table's present columns as the next one.

    Args:
        table: locked by this transaction, without a version yet, with its new columns.
        history: oldest first.
        job_id: of the job that found it.
    """
    present = tuple(Column.from_dict(stored) for stored in table.columns)
    live = PastSchema(columns=present, source_version=table.source_version)
    for each, change in steps(history, live):
        table.columns = [column.as_dict() for column in each.columns]
        table.source_version = each.source_version
        add_version(session, table, change, job_id=job_id)


def schema_size(columns: Any, diff: Any) -> int:
    """Return bytes of a schema version: of its columns and its diff, as JSON."""
    return len(json.dumps(columns)) + len(json.dumps(diff))
