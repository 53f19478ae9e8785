"""An upload's state: each move that it makes, whoever makes it.

Several tables may share one upload, and its bytes go with the last of them.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, or_, select, update
from sqlalchemy.orm import Session

from stocktake.db.clock import now
from stocktake.db.models import Job, Table, Upload
from stocktake.states import UNDONE, UploadState

#: An upload that is being received and was not touched for so long has died.
ABANDONED_SECONDS: Final = 3600.0
#: An upload that became no table's content within this time is not wanted any more: none was
#: made from it, or its job failed and nobody retried.
UNUSED_SECONDS: Final = 86_400.0

# --- while its bytes come -----------------------------------------------------------------


def begin(
    session: Session,
    upload_id: UUID,
    *,
    project_id: int,
    filename: str,
    object_key: str,
    created_by_id: int | None,
) -> Upload:
    """Note an upload before its first byte is stored, so that whatever is stored has an owner."""
    upload = Upload(
        id=upload_id,
        project_id=project_id,
        filename=filename,
        object_key=object_key,
        state=UploadState.RECEIVING,
        created_by_id=created_by_id,
    )
    session.add(upload)
    session.flush()
    return upload


def touch(session: Session, project_id: int, upload_id: UUID) -> bool:
    """Note that bytes of an upload are still coming; False where it was given up meanwhile."""
    return _change_receiving(session, project_id, upload_id) is not None


def store(
    session: Session,
    project_id: int,
    upload_id: UUID,
    *,
    size_bytes: int,
    file_format: str | None,
) -> Upload | None:
    """Note that all bytes of an upload are there; None where it was given up meanwhile."""
    return _change_receiving(
        session,
        project_id,
        upload_id,
        state=UploadState.STORED,
        size_bytes=size_bytes,
        file_format=file_format,
    )


def discard(session: Session, project_id: int, upload_id: UUID) -> bool:
    """Give up an upload of which not all was stored; False where it is not being received."""
    removed = UploadState.REMOVED
    return _change_receiving(session, project_id, upload_id, state=removed) is not None


def _change_receiving(
    session: Session, project_id: int, upload_id: UUID, **values: Any
) -> Upload | None:
    return session.scalars(
        update(Upload)
        .where(
            Upload.id == upload_id,
            Upload.project_id == project_id,
            Upload.state == UploadState.RECEIVING,
        )
        .values(changed_at=now(), **values)
        .returning(Upload)
        .execution_options(populate_existing=True)
    ).one_or_none()


# --- as a table's content -----------------------------------------------------------------


def activate(session: Session, upload_id: UUID) -> None:
    """Note that an upload is a table's content."""
    _settle(session, upload_id, UploadState.ACTIVE)


def use_up(session: Session, upload_id: UUID | None) -> None:
    """Note that an upload's rows are in a managed Delta table, or that it was judged: its own bytes
    are wanted no more. None is a file that was not uploaded."""
    _settle(session, upload_id, UploadState.SUPERSEDED)


def _settle(session: Session, upload_id: UUID | None, state: UploadState) -> None:
    """Set the state of one whose bytes are there; another stays as it is."""
    session.execute(
        update(Upload)
        .where(Upload.id == upload_id, Upload.state != UploadState.REMOVED)
        .values(state=state, changed_at=now())
    )


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
            Upload.state != UploadState.REMOVED,
        )
        .order_by(Upload.id)
        # Locked before anybody is asked who wants it: two tables may go at once, and each would
        # leave the bytes to the other.
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    for upload in uploads:
        state = _state_without(session, upload, leaving)
        if state != upload.state:
            upload.state, upload.changed_at = state, now()
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
        Job.upload_id == upload.id, Job.state.in_(UNDONE), Job.table_id != leaving
    )
    return UploadState.STORED if session.scalar(select(waiting)) else UploadState.SUPERSEDED


# --- when nobody wants it -----------------------------------------------------------------


def unwanted(session: Session, *, limit: int) -> Sequence[UUID]:
    """Return the oldest uploads whose request has died, or that became no table's content."""
    query = select(Upload.id).where(_unwanted()).order_by(Upload.changed_at)
    return session.scalars(query.limit(limit)).all()


def give_up(session: Session, upload_ids: Sequence[UUID]) -> None:
    """Mark those that no job wants any more as superseded, so that no retry is accepted while their
    bytes are removed."""
    # Whoever is about to queue a job for one has locked it. The rest is judged again.
    free = select(Upload.id).where(Upload.id.in_(upload_ids)).with_for_update(skip_locked=True)
    session.execute(
        update(Upload)
        .where(Upload.id.in_(session.scalars(free).all()), _unwanted())
        .values(state=UploadState.SUPERSEDED)
    )


def _unwanted() -> ColumnElement[bool]:
    waited_for = exists().where(Job.upload_id == Upload.id, Job.state.in_(UNDONE))
    return or_(
        and_(
            Upload.state == UploadState.RECEIVING,
            Upload.changed_at <= now(-ABANDONED_SECONDS),
        ),
        and_(
            Upload.state == UploadState.STORED,
            Upload.changed_at <= now(-UNUSED_SECONDS),
            ~waited_for,
        ),
    )


def removable(session: Session, *, superseded_seconds: float, limit: int) -> dict[str, UUID]:
    """Return the oldest superseded uploads of that age: ids by the key of their bytes."""
    query = select(Upload.object_key, Upload.id).where(_removable(superseded_seconds))
    found = session.execute(query.order_by(Upload.changed_at).limit(limit))
    return {row.object_key: row.id for row in found}


def note_removed(
    session: Session, upload_ids: Sequence[UUID], *, superseded_seconds: float
) -> None:
    """Note that the bytes of these are gone."""
    session.execute(
        update(Upload)
        .where(Upload.id.in_(upload_ids), _removable(superseded_seconds))
        .values(state=UploadState.REMOVED, changed_at=now())
    )


def _removable(superseded_seconds: float) -> ColumnElement[bool]:
    superseded = Upload.state == UploadState.SUPERSEDED
    return and_(superseded, Upload.changed_at <= now(-superseded_seconds))
