"""What a POST ``refresh_schema`` costs the web process at 50, 200 and 300 a second, and whether it
falls behind; the same while the broker is frozen."""

from collections.abc import Iterator, Sequence
from typing import Final
from uuid import UUID

from benchmarks.accept import ACCEPTED, frozen_broker, processor_ms
from benchmarks.deployment import Deployment, deployed
from benchmarks.figures import Figure, Outcome, Target, distributed
from benchmarks.load import Answered, post_all, statuses
from benchmarks.options import Options
from benchmarks.sources import delta_tables
from servers.service import Worker
from stocktake.schema.formats import TableFormat

_PER_SECOND: Final = (50, 200, 300)
#: Four seconds at the quickest pace.
_REQUESTS: Final = 1200
_SECONDS: Final = 4.0
#: The issue's: processor time of a POST, and the 99th of the quickest pace.
_EACH: Final = Target(bound=1.6)


def measure(options: Options) -> Iterator[Outcome]:
    """Post at each pace to distinct tables, with workers that take the jobs."""
    with deployed(options) as deployment:
        count = options.sized(_REQUESTS)
        urls = delta_tables(deployment.sources, count)
        table_ids = deployment.register(urls, TableFormat.DELTA)
        with Worker(deployment.settings, deployment.place("worker")):
            _window(deployment, table_ids[: count // 4], _PER_SECOND[0])  # fills pools and caches
            deployment.drain()
            for pace in _PER_SECOND:
                posted = table_ids[: min(count, round(pace * _SECONDS))]
                yield _quiet_and_frozen(deployment, posted, pace)


def _quiet_and_frozen(deployment: Deployment, table_ids: Sequence[UUID], pace: int) -> Outcome:
    figures = _figures(deployment, table_ids, pace, "quiet")
    deployment.drain()
    with frozen_broker(deployment):
        figures += _figures(deployment, table_ids, pace, "broker frozen")
    deployment.drain()
    return Outcome(
        figures=figures,
        conditions=[
            f"POSTs at a fixed pace for {_SECONDS:g} seconds, to distinct tables; open loop, "
            "latency from when a request was due; one web process; clock and workers run, and take "
            "the jobs that were posted; frozen is SIGSTOP of the broker"
        ],
    )


def _figures(
    deployment: Deployment, table_ids: Sequence[UUID], pace: int, how: str
) -> list[Figure]:
    before = processor_ms(deployment)
    answers = _window(deployment, table_ids, pace)
    each_ms = (processor_ms(deployment) - before) / len(answers)
    name = f"POST refresh_schema, {pace}/s, {how}"
    return [
        distributed(f"{name}: to 202", [answer.latency_ms for answer in answers], "ms"),
        Figure(name=f"{name}: processor time", value=each_ms, unit="ms", target=_EACH),
    ]


def _window(deployment: Deployment, table_ids: Sequence[UUID], pace: int) -> list[Answered]:
    answers = post_all(deployment.refreshes(table_ids, pace))
    if any(answer.status != ACCEPTED for answer in answers):
        raise RuntimeError(f"every POST must be accepted; answered were {statuses(answers)}")
    return answers
