"""Take the canary: what a job goes through, without a job."""

import os
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.exc import SQLAlchemyError

from stocktake.jobs import canary as canaries
from stocktake.states import CANARY
from tasks.app import app
from tasks.base import JobTask, worker_name

log = structlog.get_logger(__name__)


# No event: Flower shows jobs.
@app.task(name=CANARY, bind=True, send_events=False)
def canary(self: Any, canary_id: str) -> None:
    """Start it and end it, in a transaction each, as a job does."""
    if (runtime := JobTask.runtime) is None:
        raise RuntimeError("no Runtime is installed: run tasks in a Stocktake worker")
    worker = worker_name(self.request.hostname, os.getpid())
    try:
        with runtime.process.database.write() as session:
            if runtime.presence is not None:
                runtime.presence.keep(session)
            canaries.start(session, UUID(canary_id), worker=worker)
        with runtime.process.database.write() as session:
            canaries.end(session, UUID(canary_id))
    except SQLAlchemyError as exc:
        log.warning("canary_lost", reason=type(exc).__name__)
