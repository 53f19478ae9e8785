"""The broker dies, forgets, stands still or cannot be reached: every request is accepted, and
every job ends.

Several faults follow each other in one service, whose worker and clock are never restarted: they
must find back by themselves, each time.
"""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

import psutil
import pytest

from servers.process import HOST
from servers.proxy import Proxy
from servers.service import Worker
from servers.valkey import Valkey
from tests.faults.breaking import gone
from tests.faults.client import Client
from tests.faults.oracle import Oracle
from tests.faults.sources import DeltaSource
from tests.support.harness import Stack
from tests.support.stack import wait_until


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """The service, its broker, and the proxy between them."""

    stack: Stack
    client: Client
    oracle: Oracle
    tables: dict[UUID, DeltaSource]
    broker: Valkey
    proxy: Proxy

    def ask(self) -> int:
        """Refreshes and an upload; how many. That all are accepted is for the oracle to see."""
        for table in self.tables:
            self.client.refresh(table)
        self.client.upload("ledger", rows=2)
        return len(self.tables) + 1

    def workers(self) -> list[Worker]:
        return [process for process in self.stack.processes if isinstance(process, Worker)]


@pytest.fixture
def proxy(broker_server: Valkey) -> Iterator[Proxy]:
    with Proxy(broker_server.port) as running:
        yield running


@pytest.fixture
def broker_url(proxy: Proxy) -> str:
    return f"redis://{HOST}:{proxy.port}/0"


@pytest.fixture
def scene(
    stack: Stack,
    client: Client,
    oracle: Oracle,
    tables: dict[UUID, DeltaSource],
    broker_server: Valkey,
    proxy: Proxy,
) -> Scene:
    return Scene(
        stack=stack,
        client=client,
        oracle=oracle,
        tables=tables,
        broker=broker_server,
        proxy=proxy,
    )


@contextmanager
def logging(scene: Scene, *words: str) -> Iterator[None]:
    """Each of the words is logged once more before the block is over."""
    before = Counter({word: len(scene.stack.logged(word)) for word in words})
    yield
    for word in words:
        wait_until(lambda word=word: len(scene.stack.logged(word)) > before[word], word)


def killed(scene: Scene) -> None:
    first = scene.broker.pid
    with logging(scene, "doorbell_dropped", "broker_silent"):
        scene.broker.kill()
        assert not scene.broker.answers()
        scene.ask()
    scene.broker.start()
    assert scene.broker.pid != first


def killed_and_wiped(scene: Scene) -> None:
    with logging(scene, "doorbell_dropped"):
        scene.broker.kill()
        scene.ask()
    shutil.rmtree(scene.broker.folder / "appendonlydir")
    scene.broker.start()


def flushed(scene: Scene) -> None:
    for worker in scene.workers():
        worker.pause()
    asked = scene.ask()
    with scene.broker.client() as direct:
        wait_until(lambda: direct.llen("interactive") >= asked, "messages that wait")
        direct.flushall()
        assert direct.dbsize() == 0
    for worker in scene.workers():
        worker.resume()


def frozen(scene: Scene) -> None:
    with logging(scene, "doorbell_dropped", "broker_silent"):
        scene.broker.pause()
        assert not scene.broker.answers()
        asked = scene.ask()
    assert scene.oracle.open_jobs() == asked
    scene.broker.resume()


def reset(scene: Scene) -> None:
    before = scene.proxy.counts.cut
    scene.ask()
    scene.proxy.reset()
    assert scene.proxy.counts.cut > before


def black_hole(scene: Scene) -> None:
    """All connections of web, worker and clock are half-open afterwards."""
    before = scene.proxy.counts.swallowed_bytes
    with logging(scene, "doorbell_dropped", "broker_silent"):
        scene.proxy.black_hole()
        asked = scene.ask()
    assert scene.proxy.counts.swallowed_bytes > before
    assert scene.oracle.open_jobs() == asked
    scene.proxy.heal()


def two_seconds_away(scene: Scene) -> None:
    """The jobs end while it lasts. A worker takes some ten round trips for each."""
    before = scene.proxy.counts.delayed
    scene.proxy.latency_seconds = 2.0
    scene.ask()
    scene.oracle.wait_for_ends(300)
    assert scene.oracle.open_jobs() == 0
    assert scene.proxy.counts.delayed > before
    scene.proxy.heal()


Fault = Callable[[Scene], None]


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param([killed], id="killed"),
        pytest.param([killed_and_wiped, flushed, reset], id="gone", marks=pytest.mark.long),
        pytest.param([frozen, black_hole, two_seconds_away], id="silent", marks=pytest.mark.long),
    ],
)
def test_every_job_ends_whatever_the_broker_does(scene: Scene, faults: list[Fault]) -> None:
    pids = [process.pid for process in scene.stack.processes]
    for fault in faults:
        for source in scene.tables.values():
            source.grow()
        fault(scene)
        scene.oracle.check()
    for pid in pids:
        os.kill(pid, 0)  # still there


def replace_children(worker: Worker) -> list[psutil.Process]:
    """Kill the worker's children while it is connected; those that it forks in their place."""
    first = worker.children()
    for child in first:
        child.kill()
    gone(*first)
    wait_until(lambda: len(worker.children()) == len(first), "new children")
    return worker.children()


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_child_that_is_forked_later_holds_no_connection_to_the_broker(worker: Worker) -> None:
    """epoll goes on about a socket that any process still has open, whoever has closed it."""
    connected = psutil.Process(worker.pid)
    wait_until(lambda: bool(connected.net_connections()), "the parent's connections")

    replaced = replace_children(worker)

    wait_until(lambda: not any(child.net_connections() for child in replaced), "no connections")


@pytest.mark.long
@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_worker_outlives_the_silence_of_its_remote_control(
    stack: Stack, scene: Scene, proxy: Proxy
) -> None:
    """kombu drops that connection alone and makes another. With a copy of the old one in a child
    the worker then waited for ever, for an answer on the new one to what the old one said."""
    worker = next(process for process in stack.processes if isinstance(process, Worker))
    replace_children(worker)
    proxy.silence(b"redis-py-health-check")
    wait_until(lambda: bool(stack.logged("dropping stale connection")), "the dropped connection")
    assert proxy.counts.swallowed_bytes > 0
    proxy.heal()

    scene.ask()

    scene.oracle.check()
