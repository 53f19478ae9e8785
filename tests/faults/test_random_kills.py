"""Any process is killed at any moment, over and over; the seed tells which and when."""

import os
import random
import secrets
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from sqlalchemy import select

from servers.service import ServiceProcess, Web, Worker
from stocktake.db.models import Job
from tests.faults.breaking import gone
from tests.faults.client import Client
from tests.faults.oracle import Oracle
from tests.faults.sources import DeltaSource
from tests.support.harness import Stack

TABLES = 10
#: So many refreshes are under way when something is killed.
REFRESHES_PER_KILL = 5
#: Set it to see a run again, as far as the machine lets it.
SEED = "STOCKTAKE_FAULT_SEED"


@pytest.fixture
def extra_settings(extra_settings: dict[str, str]) -> dict[str, str]:
    # A job may be hit by any number of kills, and none of them is its fault.
    return extra_settings | {"JOB_MAX_ATTEMPTS": "50"}


@pytest.mark.parametrize(
    "refreshes", [25, pytest.param(500, marks=[pytest.mark.long, pytest.mark.timeout(1800)])]
)
def test_kills_at_random_moments_leave_no_job_unended(
    stack: Stack,
    web: Web,
    client: Client,
    oracle: Oracle,
    new_source: Callable[[], DeltaSource],
    refreshes: int,
) -> None:
    seed = int(os.environ.get(SEED) or secrets.randbelow(2**32))
    print(f"{SEED}={seed}")  # noqa: T201 - pytest shows it where the test fails
    chance = random.Random(seed)
    workers = [stack.start_worker(), stack.start_worker()]
    victims: list[ServiceProcess] = [web, stack.start_clock(), *workers]
    sources = [new_source() for _ in range(TABLES)]
    tables = [client.create(source) for source in sources]
    killed: Counter[str] = Counter()

    def ask(table: int) -> None:
        client.insist(client.refresh(tables[table]))

    with ThreadPoolExecutor(REFRESHES_PER_KILL) as customers:
        for _ in range(refreshes // REFRESHES_PER_KILL):
            chosen = chance.sample(range(TABLES), REFRESHES_PER_KILL)
            for table in chosen:
                sources[table].grow()
            answers = [customers.submit(ask, table) for table in chosen]
            threading.Event().wait(chance.uniform(0, 0.1))
            killed[kill_any(stack, victims, chance)] += 1
            for answer in answers:
                answer.result()
    # SQLite has one writer: where the machine is short of processors, one may be put off (ADR 7).
    allowed = {None, 503} if stack.database.sqlite else {None}
    verdict = oracle.check(allowed=allowed, within_seconds=oracle.bound_seconds + refreshes)

    print(killed, verdict.ended, verdict.attempts, verdict.slowest_seconds)  # noqa: T201
    assert sum(killed.values()) == refreshes // REFRESHES_PER_KILL
    unwanted = [job.id for job in verdict.records.jobs.values() if job.state != "succeeded"]
    assert not unwanted, "\n".join(map(oracle.history, unwanted[:5]))
    lost = verdict.attempts["worker_lost"]
    assert lost >= killed["reading child"], "each kill of a reading child costs it its attempt"


def kill_any(stack: Stack, victims: list[ServiceProcess], chance: random.Random) -> str:
    """Kill a process of the service, and start it again; what it was."""
    victim = chance.choice(victims)
    if isinstance(victim, Worker) and chance.random() < 0.7:
        return kill_child(stack, victim, chance)
    pid = victim.pid
    victim.restart()
    assert not psutil.pid_exists(pid)
    return victim.name


def kill_child(stack: Stack, worker: Worker, chance: random.Random) -> str:
    """Kill one of its children, in the middle of a job if one runs."""
    children = {child.pid: child for child in worker.children()}
    busy = readers(stack, worker) & children.keys()
    child = children[chance.choice(sorted(busy or children))]
    child.suspend()  # so that what it does now cannot end before it does
    reading = child.pid in readers(stack, worker)
    child.kill()
    gone(child)
    return "reading child" if reading else "idle child"


def readers(stack: Stack, worker: Worker) -> set[int]:
    """The process ids of the worker's children that hold a job."""
    with stack.database.read() as session:
        held = session.scalars(select(Job.worker).where(Job.worker.startswith(f"{worker.node}/")))
        return {int(name.rsplit("/", 1)[1]) for name in held if name is not None}
