"""What the clock throws away or sets right: bytes that nothing reads any more, old rows, and names.

Each works in small batches, selects first and writes only what it found, so that the API is not
kept waiting and a second clock does no harm.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import and_, delete, exists, select, tuple_, update

from stocktake.catalog import uploads
from stocktake.clock import rows
from stocktake.clock.maintenance import TABLES_AT_ONCE, maintain_tables
from stocktake.clock.orphans import OrphanSweep
from stocktake.db.clock import now
from stocktake.db.models import IdempotencyKey, Job, Table
from stocktake.db.session import Database
from stocktake.errors import JobError
from stocktake.schema.folding import fold
from stocktake.schema.formats import TAKING_ROWS
from stocktake.settings import Settings
from stocktake.states import UNDONE
from stocktake.storage.managed import ManagedStorage

#: How long a first answer is replayed to the same Idempotency-Key.
IDEMPOTENCY_SECONDS: Final = 86_400.0
UPLOADS_AT_ONCE: Final = 50
KEYS_AT_ONCE: Final = 500
NAMES_AT_ONCE: Final = 1000

#: How often a clock begins to look through all tables' names.
FOLD_SECONDS: Final = 600.0
#: How often a clock begins to look through all of managed storage.
SWEEP_SECONDS: Final = 6 * 3600.0

log = structlog.get_logger(__name__)


class Upkeep:
    """All of it, as the settings say.

    Args:
        monotonic: seconds that only go forward, for what happens a few times a day.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        storage: ManagedStorage,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._settings = settings
        self._storage = storage
        self._monotonic = monotonic
        self._sweep_at = self._fold_at = float("-inf")
        self._folded_up_to: UUID | None = None
        self._sweep = OrphanSweep(database, storage, days=settings.retain_orphans_days)

    def run(self) -> bool:
        """Do one batch of everything, and return whether more is left. Rows first: they need no
        storage.
        """
        rows = [self._prune_rows(), prune_idempotency_keys(self._database) == KEYS_AT_ONCE]
        rows.append(maintain_tables(self._database, self._settings) == TABLES_AT_ONCE)
        seconds = self._settings.superseded_upload_seconds
        removed = remove_uploads(self._database, self._storage, superseded_seconds=seconds)
        removed_deltas = remove_deleted_delta(
            self._database, self._storage, superseded_seconds=seconds
        )
        left = [removed == UPLOADS_AT_ONCE, removed_deltas == UPLOADS_AT_ONCE]
        return any([*rows, *left, self._fold_names(), self._sweep_orphans()])

    def _fold_names(self) -> bool:
        if self._monotonic() < self._fold_at:
            return False
        self._folded_up_to = fold_names(self._database, after=self._folded_up_to)
        if self._folded_up_to is None:
            self._fold_at = self._monotonic() + FOLD_SECONDS
        return self._folded_up_to is not None

    def _prune_rows(self) -> bool:
        counts = {
            "clock_beats": rows.prune_clock_beats(self._database),
            "previews": rows.prune_previews(self._database),
            "keys_of_jobs": rows.prune_keys_of_jobs(self._database),
        }
        if days := self._settings.retain_jobs_days:
            counts["jobs"] = rows.prune_jobs(self._database, days=days)
            counts["batches"] = rows.prune_batches(self._database, days=days)
            counts["uploads"] = rows.prune_uploads(self._database, days=days)
        if days := self._settings.retain_audit_days:
            counts["audit_log"] = rows.prune_audit(self._database, days=days)
        if any(counts.values()):
            log.info("rows_pruned", **counts)
        return rows.ROWS_AT_ONCE in counts.values()

    def _sweep_orphans(self) -> bool:
        if not self._settings.retain_orphans_days or self._monotonic() < self._sweep_at:
            return False
        more = self._sweep.step()
        if not more:
            self._sweep_at = self._monotonic() + SWEEP_SECONDS
            remove_leftovers(self._storage)
        return more


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
    with database.read() as session:
        unwanted = uploads.unwanted(session, limit=limit)
    if unwanted:
        with database.write() as session:
            uploads.give_up(session, unwanted)
    with database.read() as session:
        keys = uploads.removable(session, superseded_seconds=superseded_seconds, limit=limit)
    if not keys:
        return 0
    removed = [keys[key] for key in asyncio.run(_remove(storage, list(keys)))]
    with database.write() as session:
        uploads.note_removed(session, removed, superseded_seconds=superseded_seconds)
    log.info("uploads_removed", count=len(removed))
    return len(removed)


def remove_deleted_delta(
    database: Database,
    storage: ManagedStorage,
    *,
    superseded_seconds: float,
    limit: int = UPLOADS_AT_ONCE,
) -> int:
    """Remove files of one managed Delta table that was deleted so long ago; how many.

    The row says that it has no bytes any more once the last is gone. A table whose load still
    runs is left for later: the load could write another file.

    Args:
        superseded_seconds: since the deletion, for readers of the old URL.
        limit: how many at most.
    """
    deleted = and_(
        Table.deleted.is_(True),
        Table.managed.is_(True),
        Table.format.in_(TAKING_ROWS),
        Table.deleted_at <= now(-superseded_seconds),
        ~exists().where(Job.table_id == Table.id, Job.state.in_(UNDONE)),
    )
    with database.read() as session:
        table = session.scalars(select(Table).where(deleted).order_by(Table.id).limit(1)).first()
    if table is None:
        return 0
    root = storage.delta_key(table.project_id, str(table.id))
    try:
        keys = [key for key, _ in islice(storage.objects(f"{root}/"), limit)]
    except JobError as exc:
        log.warning("delta_not_removed", table_id=str(table.id), reason=exc.detail)
        return 0
    # Listed anew by each call, until nothing is: only an empty listing shows that all is gone.
    removed = asyncio.run(_remove(storage, keys))
    if not keys:
        with database.write() as session:
            # So that the next call takes another table: this one has nothing left here.
            session.execute(update(Table).where(Table.id == table.id).values(managed=False))
        log.info("delta_removed", table_id=str(table.id))
    return len(removed)


def remove_leftovers(storage: ManagedStorage) -> None:
    """Remove what killed requests left in the folder in which local uploads arrive."""
    try:
        if count := storage.remove_leftovers(older_than_seconds=uploads.UNUSED_SECONDS):
            log.info("leftovers_removed", count=count)
    except JobError as exc:
        log.warning("leftovers_not_removed", reason=exc.detail)


async def _remove(storage: ManagedStorage, keys: Sequence[str]) -> list[str]:
    """Return those of the keys that could be removed."""
    removed = []
    for key in keys:
        try:
            await storage.remove(key)
        except JobError as exc:
            log.warning("object_not_removed", key=key, reason=exc.detail)
        else:
            removed.append(key)
    return removed


def fold_names(
    database: Database, *, after: UUID | None = None, limit: int = NAMES_AT_ONCE
) -> UUID | None:
    """Fill in `folded_name`, by which searches find a name, where an older release wrote none.

    Return where to go on, and None at the end.

    Args:
        after: what the call before gave.
        limit: how many tables to look at.
    """
    query = select(Table.id, Table.name, Table.folded_name).order_by(Table.id).limit(limit)
    with database.read() as session:
        rows = session.execute(query if after is None else query.where(Table.id > after)).all()
    wrong = [row for row in rows if row.folded_name != fold(row.name)]
    if wrong:
        with database.write() as session:
            # One that was renamed since is left alone: who renamed it wrote the folded name too, or
            # is an older release, and the next round finds it.
            for row in wrong:
                session.execute(
                    update(Table)
                    .where(Table.id == row.id, Table.name == row.name)
                    .values(folded_name=fold(row.name))
                )
        log.info("names_folded", count=len(wrong))
    return rows[-1].id if len(rows) == limit else None


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
        )
    return len(keys)
