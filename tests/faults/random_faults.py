"""What the soak breaks, one function a fault: it returns when the fault is over, and was seen.

Each takes the service and a generator of random numbers that the plan seeded for it. Two of them
may run at once: one that breaks processes, and one that breaks what they stand on.
"""

import random
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event
from typing import Any, Final, TypeVar
from uuid import UUID

import psutil
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from servers.postgres import Postgres
from servers.process import PATIENCE_SECONDS, Server
from servers.proxy import Proxy
from servers.service import Clock, Web, Worker
from servers.valkey import Valkey
from stocktake.db.models import Job
from stocktake.security.encryption import make_secret_key
from stocktake.states import JobState
from tests.faults.breaking import freeze, gone, is_frozen, thaw
from tests.support.harness import Stack

Value = TypeVar("Value")

_pause = Event()


class NotFiredError(AssertionError):
    """A fault that did not do what it says."""


class NobodyThereError(NotFiredError):
    """A fault that met nobody, such as connections that are cut while none is open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The running service, and what stands between its parts.

    Attributes:
        postgres: None on SQLite, and then `database_proxy` too.
    """

    stack: Stack
    broker: Valkey
    broker_proxy: Proxy
    store_proxy: Proxy
    postgres: Postgres | None = None
    database_proxy: Proxy | None = None

    def some(self, kind: type[Value], numbers: random.Random) -> Value:
        """One of the processes of this kind."""
        return numbers.choice([each for each in self.stack.processes if isinstance(each, kind)])


#: Breaks something for a while; returns under which other name it counts, where it broke more than
#: it was to.
Fault = Callable[[Site, random.Random], str | None]
SQLITE_LOCKED: Final = "SQLite's write lock held"


def _until(condition: Callable[[], Value], what: str) -> Value:
    """Ask until the answer is true, while the database may be down."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < give_up_at:
        try:
            if found := condition():
                return found
        except SQLAlchemyError:
            pass
        _pause.wait(0.01)
    raise NobodyThereError(f"never seen: {what}")


def _last(numbers: random.Random, shortest: float, longest: float) -> None:
    """Let the fault stand for a while."""
    _pause.wait(numbers.uniform(shortest, longest))


# --- processes ------------------------------------------------------------------------------


def _running(stack: Stack) -> list[tuple[UUID, str]]:
    with stack.database.read() as session:
        rows = session.execute(
            select(Job.id, Job.worker).where(Job.state == JobState.RUNNING.value)
        ).all()
    return [(row.id, row.worker) for row in rows]


def _frozen_reader(site: Site) -> psutil.Process:
    """A child that holds a job, and does not move any more."""

    def freeze_one() -> psutil.Process | None:
        for job in _running(site.stack):
            try:
                child = psutil.Process(int(job[1].rsplit("/", 1)[1]))
                freeze(child)
            except psutil.NoSuchProcess:
                continue
            try:
                if job in _running(site.stack):
                    return child
            except SQLAlchemyError:
                pass
            thaw(child)
        return None

    child = _until(freeze_one, "a child with a job")
    assert child is not None
    return child


def kill_reading_child(site: Site, _: random.Random) -> None:
    child = _frozen_reader(site)
    child.kill()
    gone(child)


def kill_worker(site: Site, numbers: random.Random) -> None:
    worker = site.some(Worker, numbers)
    children = worker.children()
    worker.kill()
    gone(*children)
    _last(numbers, 0, 3)
    worker.start()


def freeze_worker_past_its_lease(site: Site, _: random.Random) -> str | None:
    child = _frozen_reader(site)
    family = [child, parent] if (parent := child.parent()) else [child]
    try:
        freeze(*family)
        lease = site.stack.parsed_settings().lease_seconds
        locked = _sqlite_is_locked(site)
        _pause.wait(lease + 2)
        if not all(map(is_frozen, family)):
            raise NotFiredError(f"{family} ran on")
        # Frozen within a write, it keeps all others from writing.
        return SQLITE_LOCKED if locked and _sqlite_is_locked(site) else None
    finally:
        thaw(*family)


def _sqlite_is_locked(site: Site) -> bool:
    """Whether the turn to write does not come for longer than a write of ours takes."""
    scheme, _, file = site.stack.database_url.partition(":///")
    if scheme != "sqlite":
        return False
    other = sqlite3.connect(file, timeout=1, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        return True
    finally:
        other.close()
    return False


def replace_worker(site: Site, numbers: random.Random) -> None:
    _replace(site.some(Worker, numbers))


def _replace(process: Server) -> None:
    """End it in good order, which it must do by itself, and start it again."""
    running = psutil.Process(process.pid)
    family = [running, *running.children(recursive=True)]
    try:
        running.terminate()
        _, alive = psutil.wait_procs(family, timeout=PATIENCE_SECONDS)
        if alive:
            raise NotFiredError(f"SIGTERM did not end {alive}")
    finally:
        process.restart()


def kill_web(site: Site, numbers: random.Random) -> None:
    web = site.some(Web, numbers)
    web.kill()
    if web.answers():
        raise NotFiredError("the API still answers")
    web.start()


def kill_clock(site: Site, numbers: random.Random) -> None:
    clock = site.some(Clock, numbers)
    process = psutil.Process(clock.pid)
    clock.kill()
    gone(process)
    _last(numbers, 0, 3)
    clock.start()


def rotate_key(site: Site, _: random.Random) -> None:
    """A new key as docs/operations.md says, for one process after the other: behind the old ones
    first, so that all can read it, and then before them."""
    old = site.stack.settings["SECRET_KEYS"].split(",")
    new = make_secret_key(f"k{time.time_ns()}")
    for keys in ([*old, new], [new, *old]):
        site.stack.settings["SECRET_KEYS"] = ",".join(keys)
        for process in site.stack.processes:
            if isinstance(process, Web | Worker):
                process.settings["SECRET_KEYS"] = ",".join(keys)
                _replace(process)


# --- what the processes stand on ------------------------------------------------------------


def kill_broker(site: Site, numbers: random.Random) -> None:
    with _down(site.broker):
        _last(numbers, 1, 8)


def kill_broker_and_lose_its_file(site: Site, numbers: random.Random) -> None:
    with _down(site.broker):
        shutil.rmtree(site.broker.folder / "appendonlydir")
        _last(numbers, 0, 4)


def flush_broker(site: Site, _: random.Random) -> None:
    with site.broker.client() as broker:
        _until(broker.dbsize, "something in the broker")
        broker.flushall()


def pause_broker(site: Site, numbers: random.Random) -> None:
    site.broker.pause()
    try:
        _last(numbers, 2, 8)
        if site.broker.answers():
            raise NotFiredError("the broker still answers")
    finally:
        site.broker.resume()


def kill_database(site: Site, numbers: random.Random) -> None:
    assert site.postgres is not None
    with _down(site.postgres):
        _last(numbers, 0, 6)


@contextmanager
def _down(server: Server) -> Iterator[None]:
    before = server.pid
    server.kill()
    try:
        if server.answers():
            raise NotFiredError(f"{server.name} still answers")
        yield
    finally:
        server.start()
    assert server.pid != before


def lock_sqlite(site: Site, numbers: random.Random) -> None:
    """A writer that does not come to an end, longer than anybody waits for the lock."""
    file = site.stack.database_url.removeprefix("sqlite:///")
    writer = sqlite3.connect(file, timeout=30, isolation_level=None)
    other = sqlite3.connect(file, timeout=0, isolation_level=None)
    try:
        writer.execute("BEGIN IMMEDIATE")
        _last(numbers, 3, 8)
        try:
            other.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return
        raise NotFiredError("another one got SQLite's write lock")
    finally:
        writer.close()
        other.close()


def _through(part: str, count: str, **faults: Any) -> Fault:
    """A fault of a proxy that stands until the proxy has counted some of it, and a while longer.

    Args:
        part: the proxy's name in `Site`.
        count: the one of `Proxy.counts` that tells.
        faults: attributes of the proxy, or methods without arguments.
    """

    def fault(site: Site, numbers: random.Random) -> None:
        proxy: Proxy = getattr(site, f"{part}_proxy")
        before = getattr(proxy.counts, count)
        try:
            for name, value in faults.items():
                if callable(getattr(proxy, name)):
                    getattr(proxy, name)()
                else:
                    setattr(proxy, name, value)
            _until(lambda: getattr(proxy.counts, count) > before, f"{faults} of the {part}")
            _last(numbers, 0, 5)
        finally:
            proxy.heal()

    return fault


_PROCESSES: Final[Mapping[str, Fault]] = {
    "reading child killed": kill_reading_child,
    "worker killed": kill_worker,
    "worker frozen past its lease": freeze_worker_past_its_lease,
    "worker replaced in good order": replace_worker,
    "API killed": kill_web,
    "clock killed": kill_clock,
    "encryption key rotated": rotate_key,
}
_PARTS: Final[Mapping[str, Fault]] = {
    "broker killed": kill_broker,
    "broker killed, its file lost": kill_broker_and_lose_its_file,
    "broker flushed": flush_broker,
    "broker paused": pause_broker,
    "broker a black hole": _through("broker", "swallowed_bytes", black_hole=True),
    "broker slow by 2 s": _through("broker", "delayed", latency_seconds=2.0),
    "broker's connections reset": _through("broker", "cut", reset=True),
    "store's connections reset": _through("store", "cut", reset=True),
    "store cuts its answers": _through("store", "cut", answer_bytes=300),
    "store slow by 2 s": _through("store", "delayed", latency_seconds=2.0),
}
_SQLITE: Final[Mapping[str, Fault]] = {SQLITE_LOCKED: lock_sqlite}
_POSTGRESQL: Final[Mapping[str, Fault]] = {
    "PostgreSQL killed": kill_database,
    "PostgreSQL's connections reset": _through("database", "cut", reset=True),
    "PostgreSQL slow by 0.3 s": _through("database", "delayed", latency_seconds=0.3),
}


def lanes(dialect: str) -> tuple[Mapping[str, Fault], Mapping[str, Fault]]:
    """The faults of processes, and those of what they stand on; one of each may stand at once."""
    return _PROCESSES, {**_PARTS, **(_SQLITE if dialect == "sqlite" else _POSTGRESQL)}
