"""The load generator: paced POSTs over kept connections, from a process of its own.

Open loop: each request has a moment at which it is due, whether or not earlier ones were
answered, and its latency counts from that moment. A server that stalls is charged for every
request that it kept waiting, and not only for those that were sent.
"""

import http.client
import multiprocessing
import os
import queue
import signal
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from typing import Final

from workers.process.parent_death import die_with_parent

_CONNECTIONS: Final = 16
#: A stall is to be measured, and not to end the measuring.
_TIMEOUT_SECONDS: Final = 60.0
#: Between the start of the threads and the first request.
_LEAD_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to send.

    Attributes:
        paths: one POST each, in this order.
        per_second: the pace.
    """

    host: str
    port: int
    key: str
    paths: Sequence[str]
    per_second: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """One request: the status, and milliseconds from when it was due to its whole answer.

    Attributes:
        ended_at: when that was, in seconds of the sender's own clock.
    """

    status: int
    latency_ms: float
    ended_at: float = 0.0


def window(per_second: float, most: int) -> int:
    """Return how many requests to send: some twenty seconds of them, but enough for a percentile.

    >>> window(50.0, 250), window(5.0, 250), window(0.5, 250)
    (250, 100, 50)
    """
    return min(most, max(50, round(per_second * 20)))


def post_all(plan: Plan) -> list[Answered]:
    """Send the plan's requests from another process, and wait for all answers.

    Raises:
        OSError: a request had no answer in time; its latency is no figure, and without it the
            others say less than they seem to.
    """
    # Spawned: a fork of a process with threads may deadlock.
    context = multiprocessing.get_context("spawn")
    ours = (os.getpid(), signal.SIGKILL)
    with ProcessPoolExecutor(1, context, initializer=die_with_parent, initargs=ours) as pool:
        return pool.submit(_run, plan).result()


def statuses(answers: Sequence[Answered]) -> str:
    """Return how many of each status, for people.

    >>> statuses([Answered(status=202, latency_ms=1.0), Answered(status=202, latency_ms=2.0)])
    '2 x 202'
    """
    counted = sorted(Counter(answer.status for answer in answers).items())
    return ", ".join(f"{count} x {status}" for status, count in counted)


def _run(plan: Plan) -> list[Answered]:
    start = time.perf_counter() + _LEAD_SECONDS
    due: queue.SimpleQueue[tuple[float, str] | None] = queue.SimpleQueue()
    for number, path in enumerate(plan.paths):
        due.put((start + number / plan.per_second, path))
    for _ in range(_CONNECTIONS):
        due.put(None)
    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        sending = [pool.submit(_send, plan, due) for _ in range(_CONNECTIONS)]
        return list(chain.from_iterable(each.result() for each in sending))


def _send(plan: Plan, due: "queue.SimpleQueue[tuple[float, str] | None]") -> list[Answered]:
    answers: list[Answered] = []
    connection = http.client.HTTPConnection(plan.host, plan.port, timeout=_TIMEOUT_SECONDS)
    connection.connect()
    while (request := due.get()) is not None:
        moment, path = request
        time.sleep(max(0.0, moment - time.perf_counter()))
        connection.request("POST", path, headers={"Authorization": f"Bearer {plan.key}"})
        answer = connection.getresponse()
        answer.read()
        ended_at = time.perf_counter()
        latency_ms = (ended_at - moment) * 1000
        answers.append(Answered(status=answer.status, latency_ms=latency_ms, ended_at=ended_at))
    connection.close()
    return answers
