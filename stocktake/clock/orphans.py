"""Bytes in managed storage that no row knows of: what a killed request or a restore left behind.

A row is committed before its bytes exist, so an object in a listing whose row cannot be found
afterwards has none, and will have none. The age that it must have besides is for the operator,
who may have started a clock on the wrong database, and for storage that two databases share:
each database signs the storage, and nothing is swept where two have signed.
"""

import asyncio
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import islice
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import select

from stocktake.db.clock import now
from stocktake.db.models import Project, Upload
from stocktake.db.session import Database
from stocktake.errors import JobError, StorageUnavailableError
from stocktake.states import UploadState
from stocktake.storage.managed import ManagedStorage

#: What one step looks at: a page of a bucket's listing.
OBJECTS_AT_ONCE: Final = 1000
#: What one step removes: each is a round trip, and the clock has other things to do.
REMOVED_AT_ONCE: Final = 50
_UPLOADS: Final = "uploads/"
_UPLOAD_KEY: Final = re.compile(r"uploads/\d+/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")
_OWNERS: Final = ".owners/"

log = structlog.get_logger(__name__)


class OrphanSweep:
    """Goes through the uploads in managed storage, some at each step.

    Args:
        days: how old bytes must be, by the storage's time of writing against the database's now.
        objects: how many to look at in one step.
    """

    def __init__(
        self,
        database: Database,
        storage: ManagedStorage,
        *,
        days: int,
        objects: int = OBJECTS_AT_ONCE,
    ) -> None:
        self._database = database
        self._storage = storage
        self._age = timedelta(days=days)
        self._objects = objects
        self._after = ""

    def step(self) -> bool:
        """Remove the orphans among the next objects; whether there are more to look at."""
        try:
            if self._after or self._is_ours_alone():
                return self._step()
        except (JobError, StorageUnavailableError) as exc:
            log.warning("orphans_not_swept", reason=exc.detail)
        return False

    def _step(self) -> bool:
        page = dict(islice(self._storage.objects(_UPLOADS, after=self._after), self._objects))
        orphans = self._orphans(page)[:REMOVED_AT_ONCE]
        for key in orphans:
            asyncio.run(self._storage.remove(key))
            log.info("orphan_removed", key=key, written_at=page[key].isoformat())
        if len(orphans) == REMOVED_AT_ONCE:
            return True  # the rest of this page once more
        self._after = max(page) if len(page) == self._objects else ""
        return bool(self._after)

    def _orphans(self, page: Mapping[str, datetime]) -> list[str]:
        """Return old objects with the key of an upload, and no row that still has bytes."""
        with self._database.read() as session:
            moment = session.scalars(select(now())).one()
            old = {
                key: upload_id
                for key, written_at in page.items()
                if moment - written_at >= self._age and (upload_id := _upload_id(key))
            }
            known = session.scalars(
                select(Upload.id).where(
                    Upload.id.in_(old.values()), Upload.state != UploadState.REMOVED
                )
            ).all()
        return [key for key, upload_id in old.items() if upload_id not in set(known)]

    def _is_ours_alone(self) -> bool:
        """Sign the storage where this database has not yet, and look who else has."""
        with self._database.read() as session:
            us = session.scalar(select(Project.uuid).order_by(Project.id).limit(1))
        if us is None:
            return False  # a database without projects has lost nothing here
        mark = f"{_OWNERS}{us}"
        owners = [key for key, _ in islice(self._storage.objects(_OWNERS), 100)]
        if mark not in owners:
            asyncio.run(self._sign(mark))
        if others := [key for key in owners if key != mark]:
            log.warning(
                "orphans_not_swept",
                reason=(
                    "Another database has signed this storage. Remove its mark if that database "
                    "is gone for good: the uploads that it knows of are deleted then."
                ),
                marks=others,
            )
        return not others

    async def _sign(self, mark: str) -> None:
        sink = self._storage.open_upload(mark)
        await sink.write(b"A database that keeps its uploads here.\n")
        await sink.finish()


def _upload_id(key: str) -> UUID | None:
    """Return the id in a key of ours; None for what somebody else put here."""
    found = _UPLOAD_KEY.fullmatch(key)
    return UUID(found[1]) if found else None
