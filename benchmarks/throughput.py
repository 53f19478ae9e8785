"""Jobs a second, end to end, beside a task that does nothing on the same broker and settings."""

import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import redis
from kombu import Connection

from benchmarks import noop
from benchmarks.deployment import Deployment, deployed, wait_until
from benchmarks.figures import Figure, Outcome, Target, ratio
from benchmarks.options import Options
from benchmarks.sources import change_tables, delta_tables
from servers.service import Worker
from stocktake.schema.formats import TableFormat
from stocktake.states import JobState, Queue

#: A second of sweeps; a busy machine takes minutes for ten runs.
_JOBS: Final = 1000
_ALL: Final[Mapping[str, Any]] = MappingProxyType({"all": True})
#: Jobs of a sweep, where tables are unchanged.
SWEPT: Final = 50
#: The issue's, of a job whose table has changed.
_CHANGED: Final = Target(bound=2.5)
#: Of the broker's databases, one in which no other worker looks.
_NOOP_DATABASE: Final = 1
#: Where Celery's Redis transport keeps what was given out and not yet acknowledged.
_UNACKED: Final = "unacked"


class MeasuredWorker(Worker):
    """A worker whose app and events are the benchmark's choice; all else is as shipped."""

    def __init__(self, settings: dict[str, str], folder: Path, app: str, *, events: bool) -> None:
        super().__init__(settings, folder)
        self._app = app
        self._events = events

    def command(self) -> list[str]:
        """Return the shipped command with another app, and the switch for events behind it."""
        command = [self._app if part == "workers" else part for part in super().command()]
        # Our app logs at INFO by itself; the other one must be told, to bear the same cost.
        return [
            *command,
            "--loglevel=INFO",
            "--",
            f"worker.send_task_events={'yes' if self._events else 'no'}",
        ]


def measure(options: Options) -> Iterator[Outcome]:
    """Refresh unchanged tables in bulk, and publish as many no-ops, in turns."""
    count = options.sized(_JOBS)
    with deployed(options) as deployment:
        urls = delta_tables(deployment.sources, count)
        deployment.register(urls, TableFormat.DELTA)
        with measured_worker(deployment, "workers", events=True):
            first = jobs_per_second(deployment, count)
        yield Outcome(
            figures=[_rate("jobs, tables never read before, task events on", first)],
            conditions=[
                f"{count} jobs or no-ops a run, one worker of {Worker.concurrency} children; jobs: "
                "from one bulk POST until the last row has ended, tables of one commit; no-ops: "
                "from the first publish, by this process, until the broker holds none"
            ],
        )
        for events in (True, False):
            yield Outcome(
                figures=_figures(*in_turns(deployment, count, events=events), events=events),
                conditions=[
                    "task events on is how the service ships (Flower shows them); each rate is "
                    "the mean of two runs, jobs and no-ops in turns; unchanged tables are swept, "
                    f"{SWEPT} to a task (STOCKTAKE_SWEEP_CHUNK)"
                ],
            )
        yield _changed(deployment, count)


def _changed(deployment: Deployment, count: int) -> Outcome:
    """Measure what jobs cost their worker where each table has a new column."""
    with measured_worker(deployment, "workers", events=True) as worker:
        change_tables(deployment.sources, 1)
        jobs_per_second(deployment, count)  # fills pools and caches; not counted
        change_tables(deployment.sources, 2)
        before = processor_ms(worker)
        jobs_per_second(deployment, count)
        a_job = (processor_ms(worker) - before) / count
    with measured_worker(deployment, noop.__name__, events=True) as worker:
        _noops(deployment, count)
        before = processor_ms(worker)
        _noops(deployment, count)
        a_noop = (processor_ms(worker) - before) / count
    return Outcome(
        figures=[
            Figure(name="processor time of the worker, a changed table", value=a_job, unit="ms"),
            Figure(name="processor time of the worker, a no-op", value=a_noop, unit="ms"),
            ratio("changed : no-op, processor time", a_job, a_noop, _CHANGED),
        ],
        conditions=[
            f"{count} jobs of their own (no sweeps) for tables that all have a new commit with a "
            "new column; parent, children and guard together, task events on, after a first run"
        ],
    )


def processor_ms(worker: Worker) -> float:
    """Return the processor time that a worker's processes, as they are now, have had so far."""
    times = [process.cpu_times() for process in worker.all_processes()]
    return sum(each.user + each.system for each in times) * 1000


def in_turns(deployment: Deployment, count: int, *, events: bool) -> tuple[float, float]:
    """Return the mean rates of jobs and of no-ops, a second."""
    jobs: list[float] = []
    noops: list[float] = []
    for _ in range(2):
        with measured_worker(deployment, "workers", events=events, swept=SWEPT):
            jobs.append(jobs_per_second(deployment, count))
        with measured_worker(deployment, noop.__name__, events=events):
            noops.append(_noops(deployment, count))
    return sum(jobs) / len(jobs), sum(noops) / len(noops)


@contextmanager
def measured_worker(
    deployment: Deployment, app: str, *, events: bool, swept: int = 1
) -> Iterator[MeasuredWorker]:
    """Run a worker of this app for the block; `swept` is its STOCKTAKE_SWEEP_CHUNK."""
    settings = deployment.settings | {"SWEEP_CHUNK": str(swept)}
    if app == noop.__name__:
        settings = settings | {"BROKER_URL": _noop_url(deployment)}
    with MeasuredWorker(settings, deployment.place("worker"), app, events=events) as worker:
        yield worker


def _noop_url(deployment: Deployment) -> str:
    return f"{deployment.broker.url.rsplit('/', 1)[0]}/{_NOOP_DATABASE}"


def jobs_per_second(
    deployment: Deployment, count: int, selector: Mapping[str, Any] = _ALL
) -> float:
    """Refresh tables in bulk, and return how many of `count` jobs ended a second.

    Args:
        selector: of those `count` tables.

    Raises:
        RuntimeError: another number has succeeded.
    """
    before = deployment.count_jobs(JobState.SUCCEEDED.value)
    started = time.perf_counter()
    deployment.post("warehouse_tables/refresh/", dict(selector))
    deployment.drain()
    seconds = time.perf_counter() - started
    done = deployment.count_jobs(JobState.SUCCEEDED.value) - before
    if done != count + 1:  # and the job that expanded the batch
        raise RuntimeError(f"{count + 1} jobs must succeed, {done} did")
    return count / seconds


def _noops(deployment: Deployment, count: int) -> float:
    url = _noop_url(deployment)
    with Connection(url) as connection, closing(redis.Redis.from_url(url)) as broker:
        producer = connection.Producer()
        started = time.perf_counter()
        for _ in range(count):
            noop.app.send_task(
                noop.TASK,
                args=(str(uuid.uuid4()),),
                queue=Queue.BULK.value,
                producer=producer,
                ignore_result=True,
            )
        wait_until(lambda: not broker.exists(Queue.BULK.value, _UNACKED), "the end of all no-ops")
        return count / (time.perf_counter() - started)


def _figures(jobs: float, noops: float, *, events: bool) -> list[Figure]:
    switch = f"task events {'on' if events else 'off'}"
    return [
        _rate(f"jobs, unchanged tables, {switch}", jobs),
        _rate(f"no-op tasks, {switch}", noops),
        ratio(f"no-ops : jobs, {switch}", noops, jobs),
    ]


def _rate(name: str, per_second: float) -> Figure:
    return Figure(name=name, value=per_second, unit="/s")
