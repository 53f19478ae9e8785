"""How long POST ``refresh_schema`` takes to its 202: quiet, broker frozen, workers busy."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import psutil

from benchmarks.busy import LOG_COMMITS, long_reads
from benchmarks.deployment import Deployment, deployed
from benchmarks.figures import Figure, Outcome, Target, distributed, ratio
from benchmarks.load import Answered, post_all, statuses, window
from benchmarks.options import Options
from benchmarks.sources import delta_tables
from servers.service import Worker
from stocktake.schema.formats import TableFormat

#: Half of what one web process can answer on an idle machine; on a busy one the pace is less.
_PER_SECOND: Final = 50.0
_REQUESTS_A_WINDOW: Final = 250
#: Quiet and frozen windows alternate, so that a disturbance from outside hits both.
_ROUNDS: Final = 2
_TARGET: Final = Target(bound=20.0)
ACCEPTED: Final = 202


def measure(options: Options) -> Iterator[Outcome]:
    """Post at a fixed pace to distinct tables, so that single flight collapses nothing."""
    most = options.sized(_REQUESTS_A_WINDOW)
    with deployed(options) as deployment:
        urls = delta_tables(deployment.sources, most)
        table_ids = deployment.register(urls, TableFormat.DELTA)
        with Worker(deployment.settings, deployment.place("worker")):
            _window(deployment, table_ids, _PER_SECOND)  # fills pools and caches; not counted
            deployment.drain()
            pace = deployment.pace(table_ids, _PER_SECOND)
            table_ids = table_ids[: window(pace, most)]
            before = processor_ms(deployment)
            quiet, frozen = _alternate(deployment, table_ids, pace)
            each_ms = (processor_ms(deployment) - before) / len(quiet + frozen)
        still = _figure("POST refresh_schema to 202, quiet", quiet)
        yield _undisturbed(still, frozen, pace, each_ms)
        yield _while_busy(deployment, table_ids, pace, still)


def processor_ms(deployment: Deployment) -> float:
    """Return the processor time that the web process has had so far."""
    times = psutil.Process(deployment.web.pid).cpu_times()
    return (times.user + times.system) * 1000


def _window(deployment: Deployment, table_ids: Sequence[UUID], pace: float) -> list[Answered]:
    answers = post_all(deployment.refreshes(table_ids, pace))
    if any(answer.status != ACCEPTED for answer in answers):
        raise RuntimeError(f"every POST must be accepted; answered were {statuses(answers)}")
    return answers


def _alternate(
    deployment: Deployment, table_ids: Sequence[UUID], pace: float
) -> tuple[list[Answered], list[Answered]]:
    quiet: list[Answered] = []
    frozen: list[Answered] = []
    for _ in range(_ROUNDS):
        deployment.drain()
        quiet += _window(deployment, table_ids, pace)
        deployment.drain()
        with frozen_broker(deployment):
            frozen += _window(deployment, table_ids, pace)
    deployment.drain()
    return quiet, frozen


@contextmanager
def frozen_broker(deployment: Deployment) -> Iterator[None]:
    """Stop the broker's process for the block."""
    deployment.broker.pause()
    try:
        yield
    finally:
        deployment.broker.resume()


def _undisturbed(still: Figure, frozen: list[Answered], pace: float, each_ms: float) -> Outcome:
    stopped = _figure("POST refresh_schema to 202, broker frozen", frozen)
    return Outcome(
        figures=[
            still,
            stopped,
            ratio("broker frozen : quiet", stopped.value, still.value),
            Figure(name="processor time of the web process, a POST", value=each_ms, unit="ms"),
            Figure(name="pace of the POSTs", value=pace, unit="/s"),
        ],
        conditions=[
            f"POSTs at a fixed pace, {_PER_SECOND:g} a second at most and half of what the web "
            "process answered at once just before; open loop, latency from when a request was "
            "due; one web process; the clock runs; workers read the tables that were posted",
            f"{_ROUNDS} quiet and {_ROUNDS} frozen windows alternate; frozen is SIGSTOP of the "
            "broker",
        ],
    )


def _while_busy(
    deployment: Deployment, table_ids: Sequence[UUID], pace: float, still: Figure
) -> Outcome:
    with long_reads(deployment) as reads:
        opened_at = datetime.now(UTC)
        answers = _window(deployment, table_ids, pace)
        proof = reads.proof(opened_at, datetime.now(UTC))
    working = _figure("POST refresh_schema to 202, workers busy", answers)
    share = Figure(
        name="children's time in long reads, workers busy", value=proof.share * 100, unit="%"
    )
    return Outcome(
        figures=[working, ratio("workers busy : quiet", working.value, still.value), share],
        conditions=[
            f"busy: all {Worker.concurrency} children read Delta logs of {LOG_COMMITS:,} commits; "
            "reads are added for as long as the window lasts, and by the rows' own times at every "
            "moment of it one read at least waited for a child; what was posted waits behind them",
        ],
    )


def _figure(name: str, answers: list[Answered]) -> Figure:
    return distributed(name, [answer.latency_ms for answer in answers], "ms", _TARGET)
