"""The child of a sweep is killed or frozen at each step, and its broker or database is lost: all
its jobs end once."""

import shutil
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from uuid import UUID

import psutil
import pytest
from sqlalchemy import make_url, select

from servers.postgres import DurablePostgres
from servers.proxy import Cut, Proxy
from servers.service import Worker
from servers.valkey import Valkey
from stocktake.db import migrate
from stocktake.db.models import Job
from stocktake.states import JobState
from tests.faults.breaking import freeze, gone, is_frozen, thaw
from tests.faults.client import Client
from tests.faults.inside import variables
from tests.faults.oracle import Oracle
from tests.faults.sources import DeltaSource
from tests.support.harness import Stack
from tests.support.stack import see_job, wait_until

TABLES = 4
#: Statements of a sweep's claim and of its end, and of nothing else.
CLAIM = b"WITH chosen AS"
END = b"SELECT jobs.id, jobs.cancel_requested_at"
#: Where the child stops, and whether its jobs have ended by then.
STEPS = {
    "the claim is committed": ("tasks.sweep:claim_chunk after", False),
    "it looks": ("stocktake.runs.sweep_probes:_Looks._look after", False),
    "all is looked at": ("stocktake.runs.sweep:_end before", False),
    "the end is not committed": ("stocktake.jobs.sweeps:end after", False),
    "the end is committed": ("stocktake.runs.sweep:_end after", True),
}


class Sweep:
    """A batch of tables that were read before, whose first sweep freezes at a step.

    Args:
        chunk: jobs that one sweep takes.
        lease_seconds: after so long a frozen sweep is rescued, and its worker's guard ends it.
    """

    def __init__(
        self,
        stack: Stack,
        client: Client,
        oracle: Oracle,
        new_source: Callable[[], DeltaSource],
        step: str,
        *,
        tables: int = TABLES,
        chunk: int = 50,
        lease_seconds: float = 60.0,
    ) -> None:
        self._stack = stack
        mark = stack.sources / "frozen"
        settings = {"SWEEP_CHUNK": str(chunk), "LEASE_SECONDS": str(lease_seconds)}
        stack.start_clock(**settings)
        strikes = variables(freeze_at=STEPS[step][0], frozen=str(mark))
        self.worker: Worker = stack.start_worker(strikes, **settings)
        self.sources = [new_source() for _ in range(tables)]
        self.tables = [client.create(each) for each in self.sources]
        # A table that was not read yet is none for a sweep.
        wait_until(lambda: not oracle.open_jobs(), "the first reads to end")
        client.insist(client.refresh_all())
        # The mark is made a moment before the child stands still.
        wait_until(lambda: bool(self._frozen()), f"a sweep that comes to this step: {step}")
        [self.child] = self._frozen()

    def _frozen(self) -> list[psutil.Process]:
        return [each for each in psutil.Process(self.worker.pid).children() if is_frozen(each)]

    def jobs(self) -> list[UUID]:
        """The refreshes of the batch, once they are made, in the order of their tables."""
        mine = Job.batch_id.is_not(None), Job.table_id.is_not(None)
        with self._stack.database.read() as session:
            return list(session.scalars(select(Job.id).where(*mine).order_by(Job.table_id)))

    def ends(self) -> dict[UUID, tuple[str | None, ...]]:
        """By table, the outcomes of its job's attempts."""
        of_jobs = zip(sorted(self.tables), self.jobs(), strict=True)
        return {table: see_job(self._stack.database, job).outcomes for table, job in of_jobs}

    def outcomes(self) -> Counter[tuple[str | None, ...]]:
        """Of the attempts of each job."""
        return Counter(self.ends().values())


@pytest.fixture
def extra_settings(extra_settings: dict[str, str]) -> dict[str, str]:
    """Every worker and clock of these tests sweeps."""
    return extra_settings | {"SWEEP_CHUNK": "50"}


@pytest.fixture
def begin(
    stack: Stack, client: Client, oracle: Oracle, new_source: Callable[[], DeltaSource]
) -> Callable[..., Sweep]:
    """Starts the service and has a sweep of it freeze at a step."""
    return partial(Sweep, stack, client, oracle, new_source)


Begin = Callable[..., Sweep]


@pytest.mark.parametrize("step", STEPS)
def test_a_child_killed_in_a_sweep_costs_each_job_one_attempt(
    stack: Stack, oracle: Oracle, begin: Begin, step: str
) -> None:
    sweep = begin(step)
    ended = STEPS[step][1]
    sweep.child.send_signal(signal.SIGKILL)
    gone(sweep.child)
    oracle.check()

    tried = ("succeeded",) if ended else ("worker_lost", "succeeded")
    assert sweep.outcomes() == {tried: TABLES}
    assert stack.logged("child_lost"), "the parent saw it"


@pytest.mark.parametrize("step", ["it looks", "all is looked at"])
def test_a_frozen_sweep_that_comes_back_late_writes_nothing(
    stack: Stack, oracle: Oracle, begin: Begin, step: str
) -> None:
    sweep = begin(step, lease_seconds=4.0)
    parent = psutil.Process(sweep.worker.pid)
    freeze(parent)  # else its guard would end the child
    stack.start_worker(SWEEP_CHUNK="50")
    jobs = sweep.jobs()
    wait_until(
        lambda: all(see_job(stack.database, job).state is JobState.SUCCEEDED for job in jobs),
        "its jobs to be rescued, and to end with the other worker",
    )
    thaw(sweep.child, parent)
    wait_until(lambda: bool(stack.logged("stale_attempt")), "its late end to be refused")
    oracle.check()

    assert sweep.outcomes() == {("worker_lost", "succeeded"): TABLES}


def test_a_child_that_stands_still_in_a_sweep_is_ended_by_the_guard(
    stack: Stack, oracle: Oracle, begin: Begin
) -> None:
    sweep = begin("it looks", lease_seconds=4.0)
    gone(sweep.child)
    oracle.check()

    assert sweep.outcomes() == {("worker_lost", "succeeded"): TABLES}
    assert stack.logged("attempt_ended_by_guard")


def test_what_happens_during_the_look_counts(
    client: Client, oracle: Oracle, new_source: Callable[[], DeltaSource], begin: Begin
) -> None:
    """One table is deleted, one job cancelled, one table led to another source."""
    sweep = begin("all is looked at")
    deleted, cancelled, changed, _ = sweep.tables
    jobs = dict(zip(sorted(sweep.tables), sweep.jobs(), strict=True))
    client.insist(client.delete(deleted))
    del client.sources[deleted]
    assert client.cancel(jobs[cancelled]).accepted
    other = new_source()
    other.grow()
    client.insist(client.change(changed, url_pattern=other.url_pattern))
    client.sources[changed] = other
    thaw(sweep.child)
    oracle.check(failures=["cancelled", "superseded"])

    ends = sweep.ends()
    assert ends[cancelled] == ("cancelled",)
    assert ends[deleted] in {("cancelled",), ("superseded",)}
    assert ends[changed] == ("superseded",)
    assert sweep.outcomes()[("succeeded",)] == TABLES - 3


def test_a_source_that_grew_is_read_by_an_attempt_of_its_own(oracle: Oracle, begin: Begin) -> None:
    sweep = begin("the claim is committed")
    sweep.sources[0].grow()
    thaw(sweep.child)
    oracle.check()

    assert sweep.outcomes() == {("succeeded",): TABLES - 1, ("passed_on", "succeeded"): 1}


def test_a_frozen_sweep_keeps_nobody_from_the_rest_of_its_batch(
    stack: Stack, oracle: Oracle, begin: Begin
) -> None:
    """Two sweepers at once, each with jobs of its own."""
    sweep = begin("all is looked at", chunk=2, tables=6)
    stack.start_worker(SWEEP_CHUNK="2", LEASE_SECONDS="60")
    wait_until(lambda: sweep.outcomes()[("succeeded",)] == 4, "the rest to end beside it")
    thaw(sweep.child)
    oracle.check()

    assert sweep.outcomes() == {("succeeded",): 6}
    assert len(stack.logged("sweep_ended")) == 3


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_a_sweep_frozen_in_its_end_costs_no_request(
    client: Client, oracle: Oracle, begin: Begin
) -> None:
    """It has locked all of its tables. SQLite takes its lock from no process that lives."""
    sweep = begin("the end is not committed")
    parent = psutil.Process(sweep.worker.pid)
    freeze(parent)
    with ThreadPoolExecutor(9) as customers:
        refreshes = [customers.submit(client.refresh, table) for table in sweep.tables * 2]
        upload = customers.submit(client.upload, "beside", 3)
    assert [each.result().status for each in refreshes] == [202] * len(refreshes)
    assert upload.result().accepted
    assert is_frozen(sweep.child)
    thaw(sweep.child, parent)
    oracle.check()


@pytest.mark.parametrize("step", ["the claim is committed", "the end is not committed"])
def test_a_broker_that_forgets_all_rings_keeps_no_batch(
    stack: Stack, oracle: Oracle, broker_server: Valkey, begin: Begin, step: str
) -> None:
    """The message of the sweep that runs, and of those that are to come."""
    sweep = begin(step, chunk=2, tables=6)
    broker_server.kill()
    shutil.rmtree(broker_server.folder / "appendonlydir")
    thaw(sweep.child)
    wait_until(lambda: bool(stack.logged("sweep_ended")), "its end, without a broker")
    broker_server.start()
    oracle.check()

    assert sweep.outcomes() == {("succeeded",): 6}


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_an_end_that_sqlite_does_not_take_is_made_up_for(
    stack: Stack, oracle: Oracle, begin: Begin
) -> None:
    """Another one writes for longer than anybody waits, between the claim and the end."""
    sweep = begin("all is looked at", lease_seconds=4.0)
    with closing(sqlite3.connect(make_url(stack.database_url).database or "")) as other:
        other.execute("BEGIN IMMEDIATE")
        thaw(sweep.child)
        wait_until(lambda: bool(stack.logged("database_error")), "an end that is not taken")
        other.rollback()
    oracle.check()

    assert set(sweep.outcomes()) <= {
        ("database_unavailable", "succeeded"),
        ("worker_lost", "succeeded"),
    }


class TestPostgres:
    """On a server of this test's own, behind a proxy."""

    @pytest.fixture
    def server(self) -> Iterator[DurablePostgres]:
        with DurablePostgres() as running:
            yield running

    @pytest.fixture
    def migrated_database_url(self, server: DurablePostgres) -> str:
        url = server.create_database()
        migrate.upgrade(url)
        return url

    @pytest.fixture
    def proxy(self, server: DurablePostgres) -> Iterator[Proxy]:
        with Proxy(server.port) as running:
            yield running

    @pytest.fixture
    def service_database_url(self, migrated_database_url: str, proxy: Proxy) -> str:
        url = make_url(migrated_database_url).set(port=proxy.port)
        return url.render_as_string(hide_password=False)

    def test_the_server_is_killed_between_claim_and_end(
        self, oracle: Oracle, server: DurablePostgres, begin: Begin
    ) -> None:
        sweep = begin("all is looked at", lease_seconds=6.0)
        server.kill()
        assert not server.answers()
        thaw(sweep.child)
        server.start()
        oracle.check(allowed={503})

        assert set(sweep.outcomes()) <= {
            ("succeeded",),  # the server was back before its end
            ("database_unavailable", "succeeded"),
            ("worker_lost", "succeeded"),
        }

    @pytest.mark.parametrize("executed", [False, True], ids=["rolled_back", "answer_lost"])
    @pytest.mark.parametrize("during", [CLAIM, END], ids=["claim", "end"])
    def test_a_connection_is_cut_at_a_commit(
        self,
        stack: Stack,
        client: Client,
        oracle: Oracle,
        tables: dict[UUID, DeltaSource],
        proxy: Proxy,
        during: bytes,
        executed: bool,
    ) -> None:
        oracle.check()
        proxy.reset()  # new connections have prepared no statement yet: they send its text
        proxy.cut(Cut(after=during, at=b"COMMIT", executed=executed))
        client.insist(client.refresh_all())
        proxy.wait_for_cut()
        verdict = oracle.check(allowed={503})

        # What was committed is known, even if the commit's answer was lost.
        lost = during == END and not executed
        assert verdict.attempts["database_unavailable"] == (len(tables) if lost else 0)
        assert not verdict.attempts["worker_lost"]
        assert stack.logged("claim_not_confirmed" if during == CLAIM else "database_error")
