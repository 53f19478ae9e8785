"""How much a project stores, of all that counts against its stored bytes."""

from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from stocktake.db.models import Table, Upload
from stocktake.states import TableFormat, UploadState

_DELTA: Final = [each.value for each in TableFormat if each.is_delta]


def stored_bytes(session: Session, project_id: int, *, max_upload_bytes: int) -> int:
    """Bytes of uploads, of managed Delta tables and of schema versions.

    Args:
        max_upload_bytes: what an upload that is still coming in counts as.
    """
    size_bytes = func.coalesce(Upload.size_bytes, max_upload_bytes)
    uploads = select(func.sum(size_bytes)).where(
        Upload.project_id == project_id, Upload.state != UploadState.REMOVED.value
    )
    tables = select(func.sum(Table.size_bytes)).where(
        Table.project_id == project_id,
        Table.managed,
        Table.format.in_(_DELTA),
        Table.deleted.is_(False),
    )
    # A deleted table's versions are still there.
    schemas = select(func.sum(Table.schema_bytes)).where(Table.project_id == project_id)
    return sum(int(session.scalar(query) or 0) for query in (uploads, tables, schemas))
