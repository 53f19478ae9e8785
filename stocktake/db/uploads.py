"""Letting go of uploads: several tables may share one, and its bytes go with the last of them."""

from collections.abc import Iterable
from typing import Final
from uuid import UUID

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from stocktake.db.clock import now
from stocktake.db.models import Job, Table, Upload
from stocktake.states import JobState, UploadState

_UNDONE: Final = [state.value for state in JobState if not state.done]


def let_go(
    session: Session, upload_ids: Iterable[UUID | None], *, leaving: UUID | None = None
) -> None:
    """Note that a table, or a job that was to read them, wants uploads no more.

    One that nobody else wants is superseded: the clock removes its bytes after a while. One that
    only a job waits for is as it was before there was a table of it.

    Args:
        upload_ids: nulls are left out.
        leaving: the table that is about to go, with its jobs: what it wants counts for nothing.
    """
    uploads = session.scalars(
        select(Upload)
        .where(
            Upload.id.in_([each for each in upload_ids if each is not None]),
            Upload.state != UploadState.REMOVED.value,
        )
        .order_by(Upload.id)
        # Locked before anybody is asked who wants it: two tables may go at once, and each would
        # leave the bytes to the other.
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    for upload in uploads:
        state = _state_without(session, upload, leaving)
        if state.value != upload.state:
            upload.state, upload.changed_at = state.value, now()
    session.flush()


def _state_without(session: Session, upload: Upload, leaving: UUID | None) -> UploadState:
    content = exists().where(
        Table.project_id == upload.project_id,
        Table.upload_id == upload.id,
        Table.deleted.is_(False),
        Table.id != leaving,
    )
    if session.scalar(select(content)):
        return UploadState.ACTIVE
    waiting = exists().where(
        Job.upload_id == upload.id, Job.state.in_(_UNDONE), Job.table_id != leaving
    )
    return UploadState.STORED if session.scalar(select(waiting)) else UploadState.SUPERSEDED
