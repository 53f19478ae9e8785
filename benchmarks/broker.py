"""Whether POST ``refresh_schema`` feels that the broker is frozen, killed or out of reach.

Windows with and without each fault take turns in one run, so that a disturbance from outside hits
both. All faults together last one or two minutes.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from statistics import mean
from typing import Final
from uuid import UUID

from benchmarks.deployment import Deployment, deployed
from benchmarks.figures import Figure, Outcome, Spread, Target, distributed, ratio, spread_of
from benchmarks.load import Answered, post_all, statuses, window
from benchmarks.options import Options
from benchmarks.sources import delta_tables
from servers.service import Worker
from stocktake.schema.formats import TableFormat

#: A quarter of what one web process can answer on an idle machine; on a busy one the pace is less.
_PER_SECOND: Final = 25.0
#: Ten seconds.
_REQUESTS_A_WINDOW: Final = 250
_ROUNDS: Final = 2
_CONDITIONS: Final = (
    f"POSTs at a fixed pace, {_PER_SECOND:g} a second at most and half of what the web process "
    "answered at once just before; open loop, latency from when a request was due",
    f"{_ROUNDS} windows with and {_ROUNDS} without each fault take turns, of {_REQUESTS_A_WINDOW} "
    "requests or, at a slow pace, twenty seconds",
    "frozen is SIGSTOP of the broker; killed is SIGKILL, and its start after the window; out of "
    "reach is a proxy that takes all bytes and passes none on",
)
_ACCEPTED: Final = 202
#: What a stopped broker may change: the rate and the median by a fifth, the 99th by half.
_RATE: Final = Target(bound=0.8, lower_is_better=False)
_MEDIAN: Final = Target(bound=1.2)
_P99: Final = Target(bound=1.5)

Fault = Callable[[Deployment], AbstractContextManager[None]]


@contextmanager
def _frozen(deployment: Deployment) -> Iterator[None]:
    deployment.broker.pause()
    try:
        yield
        if deployment.broker.answers():
            raise RuntimeError("the broker was to be frozen, and answers")
    finally:
        deployment.broker.resume()


@contextmanager
def _killed(deployment: Deployment) -> Iterator[None]:
    deployment.broker.kill()
    yield
    if deployment.broker.answers():
        raise RuntimeError("the broker was to be dead, and answers")
    deployment.broker.start()


@contextmanager
def _out_of_reach(deployment: Deployment) -> Iterator[None]:
    proxy = deployment.proxy
    before = proxy.counts.swallowed_bytes
    proxy.black_hole()
    yield
    if proxy.counts.swallowed_bytes == before:
        raise RuntimeError("nothing was sent into the black hole")
    proxy.heal()


_FAULTS: Final[dict[str, Fault]] = {
    "frozen": _frozen,
    "killed": _killed,
    "out of reach": _out_of_reach,
}


@dataclass(slots=True)
class _Windows:
    """All windows of one kind: their answers, and the rates at which they were accepted."""

    answers: list[Answered] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)

    def add(self, answers: Sequence[Answered]) -> None:
        if any(answer.status != _ACCEPTED for answer in answers):
            raise RuntimeError(f"every POST must be accepted; answered were {statuses(answers)}")
        seconds = max(answer.ended_at for answer in answers) - min(
            answer.ended_at - answer.latency_ms / 1000 for answer in answers
        )
        self.answers += answers
        self.rates.append(len(answers) / seconds)

    def spread(self) -> Spread:
        return spread_of([answer.latency_ms for answer in self.answers])

    def figure(self, name: str) -> Figure:
        return distributed(name, [answer.latency_ms for answer in self.answers], "ms")


def measure(options: Options) -> Iterator[Outcome]:
    """Post at a fixed pace to distinct tables, so that single flight collapses nothing."""
    most = options.sized(_REQUESTS_A_WINDOW)
    with (
        deployed(options, proxied=True) as deployment,
        Worker(deployment.settings, deployment.place("worker")),
    ):
        urls = delta_tables(deployment.sources, most)
        table_ids = deployment.register(urls, TableFormat.DELTA)
        post_all(deployment.refreshes(table_ids, _PER_SECOND))  # fills pools and caches
        deployment.drain()
        pace = deployment.pace(table_ids, _PER_SECOND)
        table_ids = table_ids[: window(pace, most)]
        yield Outcome(
            figures=[Figure(name="pace of the POSTs", value=pace, unit="/s")],
            conditions=_CONDITIONS,
        )
        for name, fault in _FAULTS.items():
            figures = _compared(name, *_alternate(deployment, table_ids, pace, fault))
            yield Outcome(figures=figures, conditions=_CONDITIONS)


def _alternate(
    deployment: Deployment, table_ids: Sequence[UUID], pace: float, fault: Fault
) -> tuple[_Windows, _Windows]:
    plan = deployment.refreshes(table_ids, pace)
    quiet, broken = _Windows(), _Windows()
    for _ in range(_ROUNDS):
        deployment.drain()
        quiet.add(post_all(plan))
        deployment.drain()
        with fault(deployment):
            broken.add(post_all(plan))
    deployment.drain()
    return quiet, broken


def _compared(name: str, quiet: _Windows, broken: _Windows) -> list[Figure]:
    before = quiet.figure(f"POST refresh_schema to 202, quiet, beside: broker {name}")
    during = broken.figure(f"POST refresh_schema to 202, broker {name}")
    still, stopped = quiet.spread(), broken.spread()
    return [
        before,
        during,
        ratio(
            f"broker {name} : quiet, accepted a second",
            mean(broken.rates),
            mean(quiet.rates),
            _RATE,
        ),
        ratio(f"broker {name} : quiet, median", during.value, before.value, _MEDIAN),
        ratio(f"broker {name} : quiet, p99", stopped.p99, still.p99, _P99),
    ]
