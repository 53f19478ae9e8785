"""Upkeep of managed Delta tables by policy: the clock asks for what is due."""

from typing import Final

import structlog

from stocktake.catalog import maintenance
from stocktake.catalog.tables import locked
from stocktake.db.models import Table
from stocktake.db.session import Database
from stocktake.settings import Settings
from stocktake.states import Queue

TABLES_AT_ONCE: Final = 50

log = structlog.get_logger(__name__)


def maintain_tables(database: Database, settings: Settings, *, limit: int = TABLES_AT_ONCE) -> int:
    """Queue the upkeep of tables for which it is due; how many.

    Args:
        limit: how many at most, each in a short transaction of its own.
    """
    if not (settings.maintain_after_loads or settings.maintain_after_seconds):
        return 0
    with database.read() as session:
        found = maintenance.due(session, settings, limit=limit)
    queued = 0
    for project_id, table_id in found:
        with database.write() as session:
            # Judged again under its lock: another clock may have been faster.
            still = maintenance.is_due(settings)
            table = locked(session, project_id, Table.id == table_id, still)
            if table is not None:
                maintenance.enqueue_maintenance(session, settings, table, queue=Queue.BULK)
                queued += 1
    if queued:
        log.info("maintenance_queued", count=queued)
    return queued
