"""How much a project stores, of all that counts against its stored bytes."""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    SQLColumnExpression,
    bindparam,
    func,
    select,
)
from sqlalchemy.orm import Session

from stocktake.db.models import SchemaChange, Table, Upload
from stocktake.schema.formats import TAKING_ROWS
from stocktake.states import UploadState

_PROJECT: Final = bindparam("the_project", type_=Integer)


def _sum(size: SQLColumnExpression[Any], *which: SQLColumnExpression[bool]) -> ColumnElement[int]:
    return func.coalesce(select(func.sum(size)).where(*which).scalar_subquery(), 0)


#: Built once: each new schema version asks.
_STORED: Final = select(
    _sum(
        func.coalesce(Upload.size_bytes, bindparam("of_upload", type_=BigInteger)),
        Upload.project_id == _PROJECT,
        Upload.state != UploadState.REMOVED,
    )
    # Files of replaced rows are there until upkeep removes them, and all files of a deleted table
    # until the clock has, which says so by `managed`.
    + _sum(
        func.coalesce(Table.stored_bytes, Table.size_bytes),
        Table.project_id == _PROJECT,
        Table.managed,
        Table.format.in_(TAKING_ROWS),
    )
    # A deleted table's versions are still there.
    + _sum(Table.schema_bytes, Table.project_id == _PROJECT)
    + _sum(SchemaChange.size_bytes, SchemaChange.project_id == _PROJECT)
)


def stored_bytes(session: Session, project_id: int, *, max_upload_bytes: int) -> int:
    """Return bytes of uploads, of managed Delta tables, of schema versions and of the changes that
    wait for a decision, or have.

    Args:
        max_upload_bytes: what an upload that is still coming in counts as.
    """
    given = {"the_project": project_id, "of_upload": max_upload_bytes}
    return int(session.scalar(_STORED, given) or 0)
