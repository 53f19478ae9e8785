"""PostgreSQL's primary is lost and its standby promoted: what the standby had not heard of is gone,
whole, and nothing else is; and with a synchronous standby nothing that was answered is."""

from collections.abc import Iterator
from typing import LiteralString
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import make_url

from servers.postgres import DurablePostgres, Standby
from servers.process import HOST
from servers.proxy import Proxy
from servers.scripted_store import ScriptedStore
from servers.service import Worker
from stocktake.db import migrate
from tests.faults.breaking import freeze, thaw
from tests.faults.client import Client
from tests.faults.oracle import Oracle
from tests.faults.records import read_records
from tests.faults.sources import DeltaSource, ParquetSource
from tests.faults.test_database import asking
from tests.support.harness import Stack
from tests.support.stack import see_job, wait_until

Tables = dict[UUID, DeltaSource]


@pytest.fixture
def extra_settings(extra_settings: dict[str, str]) -> dict[str, str]:
    """A lease that no busy machine lets run out: here it is not the lease that ends a claim."""
    return extra_settings | {"LEASE_SECONDS": "30"}


@pytest.fixture
def primary() -> Iterator[DurablePostgres]:
    with DurablePostgres() as running:
        yield running


@pytest.fixture
def link(primary: DurablePostgres) -> Iterator[Proxy]:
    """What the standby hears the primary through."""
    with Proxy(primary.port) as running:
        yield running


@pytest.fixture
def database_url(primary: DurablePostgres) -> str:
    """On the primary."""
    url = primary.create_database()
    migrate.upgrade(url)
    return url


@pytest.fixture
def standby(primary: DurablePostgres, link: Proxy, database_url: str) -> Iterator[Standby]:
    with Standby(primary, link.port) as running:
        yield running


@pytest.fixture
def migrated_database_url(database_url: str, primary: DurablePostgres, standby: Standby) -> str:
    """Both servers, as docs/operations.md has it: who takes writes is asked."""
    hosts = [f"{HOST}:{server.port}" for server in (primary, standby)]
    url = make_url(database_url).set(host=None, port=None)
    url = url.set(query={"host": hosts, "target_session_attrs": "read-write"})
    return url.render_as_string(hide_password=False)


def test_what_a_standby_had_not_heard_of_is_lost_whole_and_nothing_else_is(
    stack: Stack,
    client: Client,
    oracle: Oracle,
    tables: Tables,
    store: ScriptedStore,
    primary: DurablePostgres,
    standby: Standby,
    link: Proxy,
) -> None:
    """A claim is lost as well, whose child is frozen until another one is given the same number."""
    assert client.upload("ledger", rows=3).accepted
    client.override(next(iter(tables)), column_0="string")
    oracle.wait_for_ends(60)
    [worker] = [each for each in stack.processes if isinstance(each, Worker)]
    worker.pause()
    held = client.create(ParquetSource(store, "held.parquet", "id"))
    [job] = [sent.job for sent in client.log if sent.job and sent.table_id == held]
    wait_until(lambda: has_heard(primary), "the standby to have all of it")

    link.black_hole()
    before = len(client.log)
    worker.resume()
    store.wait_for_request()
    first = see_job(stack.database, job).worker
    table, other, _ = tables
    client.change(table, name="renamed")
    client.override(other, column_0="float")
    client.create(tables[other])
    for each in tables:
        client.refresh(each)
    client.refresh_all()
    lost, client.log[before:] = client.log[before:], []
    assert all(sent.accepted for sent in lost), lost
    frozen = worker.all_processes()
    freeze(*frozen)
    fail_over(primary, standby)

    stack.start_worker()
    wait_until(lambda: see_job(stack.database, job).worker not in {None, first}, "a second claim")
    assert see_job(stack.database, job).attempt == 1
    store.wait_for_request()
    thaw(*frozen)
    wait_until(lambda: gave_up(worker, job), "the first child to give up")
    assert see_job(stack.database, job).attempt == 1
    known = read_records(stack.database)
    assert not {sent.job for sent in lost} & known.jobs.keys()
    assert not {sent.key for sent in lost} & known.answers.keys()
    for sent in lost:
        if sent.action == "create":
            assert sent.table_id not in known.tables
            del client.sources[sent.table_id]
    # He who asks again with his key is heard, as one who never asked.
    for sent in lost:
        client.insist(client.again(sent))
    store.release()
    oracle.check(allowed={503, None})


def test_with_a_synchronous_standby_nothing_that_was_answered_is_lost(
    client: Client,
    oracle: Oracle,
    tables: Tables,
    primary: DurablePostgres,
    standby: Standby,
    link: Proxy,
) -> None:
    for statement in ("ALTER SYSTEM SET synchronous_standby_names = 'standby'", RELOAD):
        ask(primary, statement)
    wait_until(lambda: ask(primary, SYNCHRONOUS) == "sync", "the standby to be waited for")
    with asking(client, tables) as heard:
        wait_until(lambda: sum(sent.accepted for sent in heard) > 10, "load")
        link.black_hole()
        # Nobody is told that it was taken what the standby has not taken.
        wait_until(lambda: any(sent.put_off for sent in heard), "a 503")
        before = len(heard)
        fail_over(primary, standby)
        wait_until(lambda: any(sent.accepted for sent in heard[before:]), "a 202 again")
    for sent in heard:
        assert sent.accepted or sent.put_off, sent
        client.insist(sent)
    client.insist(client.upload("ledger", rows=3))
    oracle.check(allowed={503})


RELOAD = "SELECT pg_reload_conf()"
SYNCHRONOUS = "SELECT sync_state FROM pg_stat_replication"
HEARD = "SELECT bool_and(flush_lsn >= pg_current_wal_lsn()) FROM pg_stat_replication"


def ask(server: DurablePostgres, statement: LiteralString) -> object:
    """The one value that it answers."""
    url = server.url().replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        row = cursor.fetchone() if cursor.description else None
        return row and row[0]


def has_heard(primary: DurablePostgres) -> bool:
    """Whether the standby has all that is committed; while nobody writes, that stays so."""
    return ask(primary, HEARD) is True


def fail_over(primary: DurablePostgres, standby: Standby) -> None:
    """Kill the primary for good, and let the standby take its place."""
    primary.kill()
    assert not primary.answers()
    standby.promote()


def gave_up(worker: Worker, job: UUID) -> bool:
    """Whether an attempt of this worker at the job found that it has no claim."""
    lines = worker.log_text().splitlines()
    return any("stale_attempt" in line and str(job) in line for line in lines)
