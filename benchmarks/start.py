"""How long a job waits from its 202 until a worker runs it, on an idle service."""

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Final
from uuid import UUID

from benchmarks.deployment import Deployment, deployed
from benchmarks.figures import Outcome, Target, distributed
from benchmarks.options import Options
from benchmarks.sources import delta_tables
from servers.service import Worker
from stocktake.db.models import Job
from stocktake.schema.formats import TableFormat

_JOBS: Final = 150
_TARGET: Final = Target(bound=50.0)
_POLL_SECONDS: Final = 0.0005
#: A job that waits longer is lost, not late.
_PATIENCE_SECONDS: Final = 60.0


def measure(options: Options) -> Iterator[Outcome]:
    """Post one refresh after another, each after the end of the last."""
    count = options.sized(_JOBS)
    with deployed(options) as deployment, Worker(deployment.settings, deployment.place("worker")):
        urls = delta_tables(deployment.sources, count)
        table_ids = deployment.register(urls, TableFormat.DELTA)
        for table_id in table_ids[:10]:  # both children connect and import; not counted
            _one(deployment, table_id)
        measured = [_one(deployment, table_id) for table_id in table_ids]
    yield Outcome(
        figures=[
            distributed(
                "202 to running, idle, seen from outside",
                [outside for outside, _ in measured],
                "ms",
                _TARGET,
            ),
            distributed(
                "created_at to started_at, by the database's clock",
                [inside for _, inside in measured],
                "ms",
                _TARGET,
            ),
        ],
        conditions=[
            "one job at a time; from outside: from the 202's arrival at the client until a poll "
            "of the row, every half millisecond, finds it started; by the rows: from the insert, "
            "so the commit and the answer are part of it (SQLite's clock has milliseconds)"
        ],
    )


def _one(deployment: Deployment, table_id: UUID) -> tuple[float, float]:
    """Return milliseconds from the 202, and by the row's own times."""
    job_id = UUID(deployment.post(f"warehouse_tables/{table_id}/refresh_schema/")["id"])
    answered = time.perf_counter()
    created_at, started_at = _wait_for_start(deployment, job_id)
    outside_ms = (time.perf_counter() - answered) * 1000
    deployment.wait_for_end(job_id)
    return outside_ms, (started_at - created_at).total_seconds() * 1000


def _wait_for_start(deployment: Deployment, job_id: UUID) -> tuple[datetime, datetime]:
    give_up_at = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < give_up_at:
        with deployment.database.read() as session:
            job = session.get_one(Job, job_id)
        if job.started_at is not None:
            return job.created_at, job.started_at
        time.sleep(_POLL_SECONDS)
    raise TimeoutError(f"job {job_id} was not started within {_PATIENCE_SECONDS:g} s")
