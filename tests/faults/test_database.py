"""The database goes away, or takes a commit and does not say so: no double claim, no lost answer.

What the service could not write it says with a 503 and a Retry-After, and a request that is sent
again with its key has one effect.
"""

import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from uuid import UUID

import httpx
import psutil
import pytest
from sqlalchemy import make_url

from servers.postgres import DurablePostgres
from servers.proxy import Cut, Proxy
from servers.service import Web
from stocktake.db import migrate
from tests.faults.breaking import freeze, thaw
from tests.faults.client import ANSWER_SECONDS, Client, Sent
from tests.faults.oracle import Oracle
from tests.faults.sources import DeltaSource
from tests.support.harness import Stack
from tests.support.stack import wait_until

Tables = dict[UUID, DeltaSource]
REQUEST = b"INSERT INTO jobs"
CLAIM = b"INSERT INTO job_attempts"
END = b"UPDATE job_attempts"


class TestPostgres:
    """Behind a proxy, on a server of this test's own that loses nothing when it is killed."""

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

    @pytest.mark.parametrize("executed", [False, True], ids=["rolled_back", "answer_lost"])
    def test_a_connection_is_cut_at_a_commit(
        self, client: Client, oracle: Oracle, tables: Tables, proxy: Proxy, executed: bool
    ) -> None:
        for during in (REQUEST, CLAIM, END):
            for upload in (False, True):
                proxy.reset()  # new connections have prepared no statement yet: they send its text
                proxy.cut(Cut(after=during, at=b"COMMIT", executed=executed))
                table, source = next(iter(tables.items()))
                source.grow()
                sent = client.upload("ledger", rows=2) if upload else client.refresh(table)
                proxy.wait_for_cut()
                if during == REQUEST:
                    assert sent.put_off, sent
                    assert client.insist(sent).job
                verdict = oracle.check(allowed={503})
        # A claim or a result that was committed is known, even if the commit's answer was lost.
        unwritten = {} if executed else {"database_unavailable": 2}
        assert verdict.attempts == {"succeeded": sum(verdict.ended.values()), **unwritten}

    @pytest.mark.parametrize("seconds", [4, pytest.param(60, marks=pytest.mark.long)])
    def test_the_server_is_killed_under_load(
        self,
        client: Client,
        oracle: Oracle,
        tables: Tables,
        server: DurablePostgres,
        seconds: float,
    ) -> None:
        with asking(client, tables) as heard:
            wait_until(lambda: any(sent.accepted for sent in heard), "load")
            server.kill()
            assert not server.answers()
            threading.Event().wait(seconds)
            assert client.refresh(next(iter(tables))).put_off
            server.start()
            before = len(heard)
            wait_until(lambda: any(sent.accepted for sent in heard[before:]), "a 202 again")
        for sent in heard:
            assert sent.accepted or sent.put_off, sent
        # A thousand of them were put off for a second in a minute.
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(client.insist, heard))
        oracle.check(allowed={503})

    def test_the_server_stands_still(
        self, client: Client, oracle: Oracle, tables: Tables, server: DurablePostgres, web: Web
    ) -> None:
        """Its kernel acknowledges what is sent to it. Requests beyond all threads and connections
        are answered as well, and each before its client gives up."""
        still = psutil.Process(server.pid)
        assert client.refresh(next(iter(tables))).accepted  # a connection is warm
        processes = [still, *still.children(recursive=True)]
        freeze(*processes)
        try:
            with ThreadPoolExecutor(100) as pool:
                asked = [pool.submit(client.refresh, table) for table in [*tables] * 50]
                ready = httpx.get(f"{web.url}/readyz", timeout=ANSWER_SECONDS)
                assert ready.json()["checks"]["database"] == "unreachable"
                assert ready.status_code == 503
                refused = [each.result() for each in asked]
        finally:
            thaw(*processes)
        for sent in refused:
            assert sent.put_off, sent
            client.insist(sent)
        oracle.check(allowed={503})


@contextmanager
def asking(client: Client, tables: Tables) -> Iterator[list[Sent]]:
    """Two customers ask again and again while the block runs; what they heard."""
    heard: list[Sent] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.wait(0.3):
            for table in tables:
                heard.append(client.refresh(table))  # noqa: PERF401 - each as soon as it is heard

    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(ask) for _ in range(2)]
        try:
            yield heard
        finally:
            stop.set()
        for each in asked:
            each.result()


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
@pytest.mark.parametrize("seconds", [12, pytest.param(60, marks=pytest.mark.long)])
def test_another_writer_holds_sqlite_for_longer_than_anybody_waits(
    stack: Stack, client: Client, oracle: Oracle, tables: Tables, seconds: float
) -> None:
    with closing(sqlite3.connect(make_url(stack.database_url).database or "")) as other:
        other.execute("BEGIN IMMEDIATE")
        with ThreadPoolExecutor(12) as pool:
            refused = list(pool.map(client.refresh, [*tables] * 4))
        for sent in refused:
            assert sent.put_off, sent
        threading.Event().wait(seconds)
        other.rollback()
    for sent in refused:
        client.insist(sent)
    oracle.check(allowed={503})
