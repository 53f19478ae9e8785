"""How long POST ``refresh_schema`` takes to its 202: quiet, broker frozen, workers busy."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final
from uuid import UUID

import psutil

from benchmarks.deployment import Deployment, deployed, wait_until
from benchmarks.figures import Figure, Outcome, Target, distributed, ratio
from benchmarks.load import Answered, post_all, statuses
from benchmarks.options import Options
from benchmarks.sources import csv_file, delta_tables
from stocktake.states import JobState, TableFormat
from tests.stack import Worker

#: Half of what one web process could answer, so that a queue comes from a stall and not from us.
_PER_SECOND: Final = 50
_REQUESTS_A_WINDOW: Final = 250
#: Quiet and frozen windows alternate, so that a disturbance from outside hits both.
_ROUNDS: Final = 2
_TARGET: Final = Target(bound=20.0)
_CSV_BYTES: Final = 48 * 1024**2
#: More than two children can read while a window is open.
_LONG_READS: Final = 80
_ACCEPTED: Final = 202


def measure(options: Options) -> Outcome:
    """Post at a fixed pace to distinct tables, so that single flight collapses nothing."""
    requests = options.sized(_REQUESTS_A_WINDOW)
    with deployed(options) as deployment, Worker(deployment.settings):
        urls = delta_tables(deployment.sources, requests)
        table_ids = deployment.register(urls, TableFormat.DELTA)
        _window(deployment, table_ids)  # fills pools and caches; not counted
        before = _processor_ms(deployment)
        quiet, frozen = _alternate(deployment, table_ids)
        each_ms = (_processor_ms(deployment) - before) / len(quiet + frozen)
        busy, reads = _while_busy(deployment, table_ids)
    return _outcome(quiet, frozen, busy, reads, each_ms)


def _processor_ms(deployment: Deployment) -> float:
    times = psutil.Process(deployment.web.pid).cpu_times()
    return (times.user + times.system) * 1000


def _window(deployment: Deployment, table_ids: Sequence[UUID]) -> list[Answered]:
    answers = post_all(deployment.refreshes(table_ids, _PER_SECOND))
    if any(answer.status != _ACCEPTED for answer in answers):
        raise RuntimeError(f"every POST must be accepted; answered were {statuses(answers)}")
    return answers


def _alternate(
    deployment: Deployment, table_ids: Sequence[UUID]
) -> tuple[list[Answered], list[Answered]]:
    quiet: list[Answered] = []
    frozen: list[Answered] = []
    for _ in range(_ROUNDS):
        deployment.drain()
        quiet += _window(deployment, table_ids)
        deployment.drain()
        with _frozen_broker(deployment):
            frozen += _window(deployment, table_ids)
    deployment.drain()
    return quiet, frozen


@contextmanager
def _frozen_broker(deployment: Deployment) -> Iterator[None]:
    deployment.broker.pause()
    try:
        yield
    finally:
        deployment.broker.resume()


def _while_busy(deployment: Deployment, table_ids: Sequence[UUID]) -> tuple[list[Answered], int]:
    """A window while all children read; and how many long reads ended in it."""
    url = csv_file(deployment.sources, _CSV_BYTES)
    long_ids = deployment.register([url] * _LONG_READS, TableFormat.CSV)
    post_all(deployment.refreshes(long_ids, per_second=200))
    running = JobState.RUNNING.value
    wait_until(
        lambda: deployment.count_jobs(running) == Worker.concurrency, "a long read in every child"
    )
    before = deployment.count_undone(long_ids)
    busy = _window(deployment, table_ids)
    left = deployment.count_undone(long_ids)
    if left < Worker.concurrency:
        raise RuntimeError("the workers ran out of long reads before the window closed")
    return busy, before - left


def _outcome(
    quiet: list[Answered],
    frozen: list[Answered],
    busy: list[Answered],
    reads: int,
    each_ms: float,
) -> Outcome:
    figures = [
        _figure("POST refresh_schema to 202, quiet", quiet),
        _figure("POST refresh_schema to 202, broker frozen", frozen),
        _figure("POST refresh_schema to 202, workers busy", busy),
    ]
    still, stopped, working = figures
    return Outcome(
        figures=[
            *figures,
            ratio("broker frozen : quiet", stopped.value, still.value),
            ratio("workers busy : quiet", working.value, still.value),
            Figure(name="processor time of the web process, a POST", value=each_ms, unit="ms"),
        ],
        conditions=[
            f"{_PER_SECOND} POSTs a second, open loop, latency from when a request was due; one "
            "web process; the clock runs; workers read the tables that were posted",
            f"quiet and frozen windows of {len(quiet) // _ROUNDS} requests alternate; frozen is "
            "SIGSTOP of the broker",
            f"busy: all {Worker.concurrency} children read a CSV file of "
            f"{_CSV_BYTES // 1024**2} MiB for the whole window, {reads} such reads ended in it",
        ],
    )


def _figure(name: str, answers: list[Answered]) -> Figure:
    return distributed(name, [answer.latency_ms for answer in answers], "ms", _TARGET)
