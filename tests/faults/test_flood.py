"""Thousands of requests for one table."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from uuid import UUID

import pytest
from sqlalchemy import func, select

from stocktake.db.models import Job
from tests.faults.client import Client
from tests.faults.oracle import Oracle
from tests.faults.sources import DeltaSource
from tests.support.harness import Stack

CUSTOMERS = 8


@pytest.mark.parametrize(
    "requests", [300, pytest.param(10_000, marks=[pytest.mark.long, pytest.mark.timeout(1800)])]
)
def test_many_refreshes_of_one_table_are_at_most_one_that_runs_and_one_that_waits(
    stack: Stack,
    client: Client,
    oracle: Oracle,
    new_source: Callable[[], DeltaSource],
    requests: int,
) -> None:
    stack.start_clock()
    stack.start_worker()
    table = client.create(new_source())
    [first] = client.jobs()
    with watched(stack, table) as most, ThreadPoolExecutor(CUSTOMERS) as customers:
        answers = list(customers.map(lambda _: client.refresh(table), range(requests)))
    verdict = oracle.check()

    assert {answer.status for answer in answers} == {202}
    assert most == {"queued": 1, "running": 1}
    deduplicated = sum(answer.body["deduplicated"] for answer in answers)
    assert deduplicated == requests - len({answer.job for answer in answers} - {first})
    assert deduplicated > 0
    assert verdict.attempts == {"succeeded": len(verdict.records.jobs)}


@contextmanager
def watched(stack: Stack, table: UUID) -> Iterator[Counter[str]]:
    """The most open jobs of each state that the table had at any look, until the block ends."""
    most: Counter[str] = Counter()
    over = threading.Event()
    counted = (
        select(Job.state, func.count())
        .where(Job.table_id == table, Job.state.in_(["queued", "running"]))
        .group_by(Job.state)
    )

    def look() -> None:
        while not over.wait(0.005):
            with stack.database.read() as session:
                for state, count in session.execute(counted):
                    most[state] = max(most[state], count)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield most
    finally:
        over.set()
        thread.join()
