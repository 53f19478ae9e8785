"""How much a project stores, of all that counts against its stored bytes."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from stocktake.db.models import SchemaChange, Table, Upload
from stocktake.schema.formats import TAKING_ROWS
from stocktake.states import UploadState


def stored_bytes(session: Session, project_id: int, *, max_upload_bytes: int) -> int:
    """Return bytes of uploads, of managed Delta tables, of schema versions and of the changes that
    wait for a decision, or have.

    Args:
        max_upload_bytes: what an upload that is still coming in counts as.
    """
    size_bytes = func.coalesce(Upload.size_bytes, max_upload_bytes)
    uploads = select(func.sum(size_bytes)).where(
        Upload.project_id == project_id, Upload.state != UploadState.REMOVED
    )
    # Files of replaced rows are there until upkeep removes them, and all files of a deleted table
    # until the clock has, which says so by `managed`.
    tables = select(func.sum(func.coalesce(Table.stored_bytes, Table.size_bytes))).where(
        Table.project_id == project_id, Table.managed, Table.format.in_(TAKING_ROWS)
    )
    # A deleted table's versions are still there.
    schemas = select(func.sum(Table.schema_bytes)).where(Table.project_id == project_id)
    changes = select(func.sum(SchemaChange.size_bytes)).where(SchemaChange.project_id == project_id)
    return sum(int(session.scalar(query) or 0) for query in (uploads, tables, schemas, changes))
