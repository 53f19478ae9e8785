"""What the clock throws away: the bytes of uploads that nothing reads any more, and old keys.

Each works in small batches, selects first and writes only what it found, so that the API is not
kept waiting and a second clock does no harm.
"""

import asyncio
from collections.abc import Sequence
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, and_, delete, exists, or_, select, tuple_, update

from stocktake.db.clock import now
from stocktake.db.models import IdempotencyKey, Job, Upload
from stocktake.db.session import Database
from stocktake.errors import StorageUnavailableError
from stocktake.states import JobState, UploadState
from stocktake.storage.uploads import ManagedStorage

#: A request that streams for longer than this has died.
ABANDONED_SECONDS: Final = 3600.0
#: An upload that became no table's content within this time is not wanted any more: none was
#: made from it, or its job failed and nobody retried.
UNUSED_SECONDS: Final = 86_400.0
#: How long a first answer is replayed to the same Idempotency-Key.
IDEMPOTENCY_SECONDS: Final = 86_400.0
UPLOADS_AT_ONCE: Final = 50
KEYS_AT_ONCE: Final = 500

log = structlog.get_logger(__name__)


def remove_uploads(
    database: Database,
    storage: ManagedStorage,
    *,
    superseded_seconds: float,
    limit: int = UPLOADS_AT_ONCE,
) -> int:
    """Remove superseded uploads of that age, those whose request died, and those that became
    no table's content; how many.

    The bytes go first and the row says so afterwards: a crash in between removes them once more,
    which is no error, and never leaves bytes that no row knows of.

    Args:
        superseded_seconds: how long a replaced upload is kept for readers of the old URL.
        limit: how many at most, so that a call stays short.
    """
    stale = _stale(superseded_seconds)
    with database.read() as session:
        found = session.execute(
            select(Upload.id, Upload.object_key)
            .where(stale)
            .order_by(Upload.changed_at)
            .limit(limit)
        ).all()
    if not found:
        return 0
    removed = asyncio.run(_remove(storage, [(row.id, row.object_key) for row in found]))
    with database.write() as session:
        session.execute(
            update(Upload)
            .where(Upload.id.in_(removed), stale)
            .values(state=UploadState.REMOVED.value, changed_at=now())
            .execution_options(synchronize_session=False)
        )
    log.info("uploads_removed", count=len(removed))
    return len(removed)


def _stale(superseded_seconds: float) -> ColumnElement[bool]:
    return or_(
        and_(
            Upload.state == UploadState.SUPERSEDED.value,
            Upload.changed_at <= now(-superseded_seconds),
        ),
        and_(
            Upload.state == UploadState.RECEIVING.value,
            Upload.changed_at <= now(-ABANDONED_SECONDS),
        ),
        and_(
            Upload.state == UploadState.STORED.value,
            Upload.changed_at <= now(-UNUSED_SECONDS),
            ~exists().where(
                Job.upload_id == Upload.id,
                Job.state.in_([JobState.QUEUED.value, JobState.RUNNING.value]),
            ),
        ),
    )


async def _remove(storage: ManagedStorage, found: Sequence[tuple[UUID, str]]) -> list[UUID]:
    removed = []
    for upload_id, key in found:
        try:
            await storage.remove(key)
        except StorageUnavailableError as exc:
            log.warning("upload_not_removed", upload_id=str(upload_id), reason=exc.detail)
        else:
            removed.append(upload_id)
    return removed


def prune_idempotency_keys(database: Database, *, limit: int = KEYS_AT_ONCE) -> int:
    """Delete the oldest first answers past their 24 hours; how many.

    Args:
        limit: how many at most, so that a call stays short.
    """
    old = IdempotencyKey.created_at <= now(-IDEMPOTENCY_SECONDS)
    with database.read() as session:
        found = session.execute(
            select(IdempotencyKey.project_id, IdempotencyKey.key)
            .where(old)
            .order_by(IdempotencyKey.created_at)
            .limit(limit)
        ).all()
    if not found:
        return 0
    keys = [(row.project_id, row.key) for row in found]
    with database.write() as session:
        session.execute(
            delete(IdempotencyKey)
            # The age again: a key may have been used anew since.
            .where(tuple_(IdempotencyKey.project_id, IdempotencyKey.key).in_(keys), old)
            .execution_options(synchronize_session=False)
        )
    return len(keys)
