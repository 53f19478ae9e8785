"""Bulk refreshes of ten thousand unchanged tables: how long they take with one, two and four
workers, and how long a refresh that somebody waits for takes to start beside them."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import cycle
from typing import Final
from uuid import UUID

from benchmarks.deployment import Deployment, deployed
from benchmarks.figures import Figure, Outcome, Target, distributed, percentile
from benchmarks.options import Options
from benchmarks.sources import delta_tables
from benchmarks.throughput import SWEPT, jobs_per_second, measured_worker
from servers.service import Worker
from stocktake.db.models import Job
from stocktake.schema.formats import TableFormat
from stocktake.states import UNDONE

_TABLES: Final = 10_000
_WORKERS: Final = (1, 2, 4)
#: Tables that are refreshed one by one while the others are swept.
_ASKED_FOR: Final = 20
#: The issue's, with one worker.
_SWEPT_SECONDS: Final = Target(bound=6.0)
#: Of the 99th percentile.
_WAIT: Final = Target(bound=250.0)


def measure(options: Options) -> Iterator[Outcome]:
    """Refresh the same tables by more and more workers, then ask for single ones beside."""
    count = options.sized(_TABLES)
    with deployed(options) as deployment:
        deployment.register(delta_tables(deployment.sources, count), TableFormat.DELTA)
        with measured_worker(deployment, "workers", events=True):
            jobs_per_second(deployment, count)  # nothing is remembered of them yet
        for workers in _WORKERS:
            yield _with_workers(deployment, count, workers)
        rows = deployment.sources / "rows.jsonl"
        rows.write_text('{"a": 1}\n')
        asked_for = deployment.register([rows.as_uri()] * _ASKED_FOR, TableFormat.JSON_EACH_ROW)
        with measured_worker(deployment, "workers", events=True, swept=SWEPT):
            yield _beside(deployment, count, asked_for)


def _with_workers(deployment: Deployment, count: int, workers: int) -> Outcome:
    seconds = {}
    for swept in (SWEPT, 1):
        with ExitStack() as running:
            for _ in range(workers):
                worker = measured_worker(deployment, "workers", events=True, swept=swept)
                running.enter_context(worker)
            seconds[swept] = count / jobs_per_second(deployment, count)
    of_workers = f"{workers} {'worker' if workers == 1 else 'workers'}"
    target = _SWEPT_SECONDS if workers == 1 else None
    swept_jobs, single_jobs = seconds[SWEPT], seconds[1]
    return Outcome(
        figures=[
            Figure(
                name=f"unchanged tables, swept, {of_workers}",
                value=swept_jobs,
                unit="s",
                target=target,
            ),
            Figure(name=f"the same, {of_workers}", value=count / swept_jobs, unit="/s"),
            Figure(name=f"unchanged tables, a job each, {of_workers}", value=single_jobs, unit="s"),
            Figure(name=f"a job each, {of_workers}", value=count / single_jobs, unit="/s"),
        ],
        conditions=[
            f"{count:,} local Delta tables of one commit, read before; from one bulk POST until "
            f"the last row has ended; each worker has {Worker.concurrency} children, all on the "
            f"same cores; task events on; swept: {SWEPT} to a task"
        ],
    )


def _beside(deployment: Deployment, swept: int, asked_for: Sequence[UUID]) -> Outcome:
    for table_id in asked_for[:10]:  # both children connect and import; not counted
        _wait_ms(deployment, table_id)
    deployment.post("warehouse_tables/refresh/", {"format": TableFormat.DELTA.value})
    waits: list[float] = []
    for table_id in cycle(asked_for):
        waits.append(_wait_ms(deployment, table_id))
        if not deployment.count_jobs(*UNDONE):
            break
    waited = distributed(f"an interactive job waits, beside a sweep of {swept:,}", waits, "ms")
    slowest = percentile(sorted(waits), 0.99)
    return Outcome(
        figures=[
            waited,
            Figure(name="its 99th percentile", value=slowest, unit="ms", target=_WAIT),
        ],
        conditions=[
            "interactive refreshes of small JSON files, each asked for when the last has ended, "
            "from the bulk POST until its last row has ended; one worker; from "
            "created_at to started_at, by the rows' own times"
        ],
    )


def _wait_ms(deployment: Deployment, table_id: UUID) -> float:
    job_id = UUID(deployment.post(f"warehouse_tables/{table_id}/refresh_schema/")["id"])
    deployment.wait_for_end(job_id)
    with deployment.database.read() as session:
        job = session.get_one(Job, job_id)
    if job.started_at is None:
        raise RuntimeError(f"job {job_id} has ended without a start: {job.state}")
    return (job.started_at - job.created_at).total_seconds() * 1000
