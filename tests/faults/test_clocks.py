"""Clocks that are wrong, that die, and that live through a night of summer time."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import psutil
import pytest
from sqlalchemy import func, select

from servers.scripted_store import ScriptedStore
from servers.valkey import Valkey
from stocktake.db.models import Batch, Job, JobAttempt, ScheduleFire
from tests.faults.client import Client
from tests.faults.database_clock import DatabaseClock
from tests.faults.oracle import Oracle
from tests.faults.sources import CsvSource, DeltaSource, ParquetSource
from tests.faults.wrong_clock import off_by
from tests.support.harness import Stack
from tests.support.stack import see_job, wait_until

DAY_SECONDS = 86_400
QUARTER = timedelta(minutes=15)


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
@pytest.mark.parametrize("shift", [DAY_SECONDS, -DAY_SECONDS])
def test_a_worker_and_a_clock_whose_time_is_off_by_a_day_rescue_nobody(
    stack: Stack, store: ScriptedStore, client: Client, oracle: Oracle, shift: int
) -> None:
    """Celery's own times are off as well: the message of a read that goes on is given out again
    at once, which the claim must bear. Of SQLite's clock each process has its own."""
    off = off_by(shift)
    normal, strange = stack.start_worker(), stack.start_worker(off)
    stack.start_clock(off)
    stack.start_clock()
    for number in range(3):  # of four children, so that one is free for a doubled message
        client.create(ParquetSource(store, f"{number}.parquet", "id"))
    jobs = client.jobs()
    for _ in jobs:
        store.wait_for_request()
    wait_until(lambda: bool(logged_at(strange.log_text(), shift)), "a log line of the other day")
    leases = [lease(stack, job) for job in jobs]
    wait_until(
        lambda: all(lease(stack, job) > before for job, before in zip(jobs, leases, strict=True)),
        "a heartbeat of each",
    )
    wait_until(
        lambda: any(len(stack.logged(str(job), "received")) > 1 for job in jobs),
        "a message that is given out twice",
    )
    assert [see_job(stack.database, job).attempt for job in jobs] == [1, 1, 1]
    store.release()
    verdict = oracle.check()

    assert set(verdict.attempts) == {"succeeded"}
    assert normal.pid


@pytest.mark.parametrize("shift", [DAY_SECONDS, -DAY_SECONDS])
def test_uploads_and_reads_where_web_and_workers_are_days_apart(
    stack: Stack, oracle: Oracle, client: Client, dialect: str, shift: int
) -> None:
    """The web process is a day off, one worker as far to the other side, another one is right; of
    two clocks one is off. A reading child is killed meanwhile.

    On SQLite, whose clock is that of whoever asks, all of them are off by one day: they are on one
    machine.
    """
    off = off_by(shift)
    away, right = (off_by(-shift), {}) if dialect == "postgresql" else (off, off)
    web = stack.start_web(off)
    client.move_to(web.url)
    workers = [stack.start_worker(away), stack.start_worker(right)]
    stack.start_clock(off)
    stack.start_clock(right)
    source, texts = DeltaSource(stack.sources / "delta"), CsvSource(stack.sources / "numbers.csv")
    tables = [client.create(each) for each in (source, texts)]
    with ThreadPoolExecutor(4) as pool:
        uploads = pool.map(lambda n: client.upload(f"ledger_{n % 2}", rows=n + 1), range(12))
        sent = [client.insist(each) for each in uploads]
    victim = next(each for worker in workers for each in worker.children())
    victim.kill()
    for each in (source, texts):
        each.grow()
    for table in tables:
        client.insist(client.change(table, name=f"renamed_{table.hex}"))
        client.insist(client.refresh(table))
        client.read(table)
    client.insist(client.refresh_all())
    oracle.wait_for_ends(180)
    for ledger in {each.table_id for each in sent}:
        client.insist(client.ask("maintain", "POST", f"warehouse_tables/{ledger}/maintain/"))
    again = [client.insist(client.again(each)) for each in sent]
    assert [each.job for each in again] == [each.job for each in sent]
    oracle.check(allowed={503})  # SQLite has one writer

    assert logged_at(web.log_text(), shift)
    assert logged_at(workers[0].log_text(), -shift if dialect == "postgresql" else shift)
    nodes = [each.node for each in workers]
    done_by = {node for node in nodes if any(w.startswith(node) for w in workers_of(stack))}
    assert done_by == set(nodes)


def workers_of(stack: Stack) -> Sequence[str]:
    """Who made the attempts."""
    with stack.database.read() as session:
        return session.scalars(select(JobAttempt.worker)).all()


def test_jobs_that_nobody_rang_for_run_once_whatever_the_number_of_clocks(
    stack: Stack,
    broker_server: Valkey,
    client: Client,
    oracle: Oracle,
    new_source: Callable[[], DeltaSource],
) -> None:
    worker = stack.start_worker()
    broker_server.pause()
    for _ in range(10):
        client.create(new_source())
    stack.start_clock()
    stack.start_clock()
    assert "received" not in worker.log_text()
    broker_server.resume()
    verdict = oracle.check(refresh=False)

    assert verdict.attempts == {"succeeded": 10}


def logged_at(log: str, shift: int) -> list[str]:
    """Lines that carry the date that a clock off by `shift` seconds shows."""
    day = (datetime.now(UTC) + timedelta(seconds=shift)).date().isoformat()
    return [line for line in log.splitlines() if f'"timestamp": "{day}' in line]


def lease(stack: Stack, job_id: UUID) -> datetime:
    with stack.database.read() as session:
        expires_at = session.get_one(Job, job_id).lease_expires_at
    assert expires_at is not None
    return expires_at


# --- schedules ----------------------------------------------------------------------------


@pytest.fixture
def clock(stack: Stack, tmp_path: Path) -> Iterator[DatabaseClock]:
    """The database's clock, which all processes of the stack go by."""
    clock = DatabaseClock(stack.database, tmp_path)
    stack.variables.update(clock.variables)
    yield clock
    stack.database.dispose()


class Schedules:
    """Schedules over all tables of a service, and what they fired for."""

    def __init__(self, stack: Stack, client: Client, oracle: Oracle, clock: DatabaseClock) -> None:
        self._stack, self._client, self._oracle, self._clock = stack, client, oracle, clock

    def add(self, cron: str, zone: str) -> UUID:
        body = {"name": cron, "cron": cron, "timezone": zone, "selector": {"all": True}}
        sent = self._client.ask("schedule", "POST", "schedules/", asked=body, json=body)
        assert sent.status == 201, sent.body
        return UUID(sent.body["id"])

    def fires(self, schedule: UUID) -> list[datetime]:
        """The moments that it fired for."""
        mine = select(ScheduleFire.fire_at).where(ScheduleFire.schedule_id == schedule)
        with self._stack.database.read() as session:
            return sorted(session.scalars(mine))

    def batches(self, schedule: UUID) -> int:
        """How many batches it has started."""
        mine = select(func.count()).select_from(Batch).where(Batch.schedule_id == schedule)
        with self._stack.database.read() as session:
            return session.scalar(mine) or 0

    def pass_to(self, moment: datetime, schedule: UUID) -> None:
        """Go to a moment, and wait until this schedule has fired for it and its jobs have run."""
        self._clock.set(moment + timedelta(seconds=1))
        wait_until(lambda: moment in self.fires(schedule), f"the fire of {moment}")
        self._oracle.wait_for_ends(60)


@pytest.fixture
def schedules(clock: DatabaseClock, stack: Stack, client: Client, oracle: Oracle) -> Schedules:
    return Schedules(stack, client, oracle, clock)


@pytest.mark.parametrize(
    ("start", "nightly_fire"),
    [
        # 02:30 does not come: it fires when the clock has jumped from 02:00 to 03:00.
        (datetime(2027, 3, 28, 0, 10, tzinfo=UTC), datetime(2027, 3, 28, 1, 0, tzinfo=UTC)),
        # 02:30 comes twice: it fires the first time.
        pytest.param(
            datetime(2027, 10, 31, 0, 10, tzinfo=UTC),
            datetime(2027, 10, 31, 0, 30, tzinfo=UTC),
            marks=pytest.mark.long,
        ),
    ],
    ids=["spring", "autumn"],
)
def test_three_clocks_of_which_one_is_always_being_killed_fire_each_time_once(
    stack: Stack,
    clock: DatabaseClock,
    schedules: Schedules,
    client: Client,
    oracle: Oracle,
    new_source: Callable[[], DeltaSource],
    start: datetime,
    nightly_fire: datetime,
) -> None:
    clock.set(start)
    stack.start_worker()
    clocks = [stack.start_clock() for _ in range(3)]
    client.create(new_source())
    nightly = schedules.add("30 2 * * *", "Europe/Berlin")
    often = schedules.add("*/15 * * * *", "Europe/Berlin")
    quarters = [start + timedelta(minutes=5) + QUARTER * number for number in range(7)]
    for number, moment in enumerate(quarters):
        victim = clocks[number % 3]
        pid = victim.pid
        victim.kill()
        assert not psutil.pid_exists(pid)
        schedules.pass_to(moment, often)
        victim.start()

    assert schedules.fires(often) == quarters
    assert schedules.fires(nightly) == [nightly_fire]
    assert (schedules.batches(often), schedules.batches(nightly)) == (len(quarters), 1)
    oracle.check(one_clock=False)


def test_clocks_that_were_away_for_two_hours_fire_once_for_the_latest_missed_time(
    stack: Stack,
    clock: DatabaseClock,
    schedules: Schedules,
    client: Client,
    oracle: Oracle,
    new_source: Callable[[], DeltaSource],
) -> None:
    clock.set(at(10, 5))
    stack.start_worker()
    clocks = [stack.start_clock() for _ in range(2)]
    client.create(new_source())
    often, daily = schedules.add("*/15 * * * *", "UTC"), schedules.add("0 11 * * *", "UTC")
    schedules.pass_to(at(10, 15), often)
    for each in clocks:
        each.kill()
    clock.set(at(12, 20))
    for each in clocks:
        each.start()
    wait_until(lambda: at(12, 15) in schedules.fires(often), "the latest missed fire")
    schedules.pass_to(at(12, 30), often)

    assert schedules.fires(often) == [at(10, 15), at(12, 15), at(12, 30)]
    assert schedules.fires(daily) == [at(11, 0)]
    assert (schedules.batches(often), schedules.batches(daily)) == (3, 1)
    oracle.check(one_clock=False)


def at(hour: int, minute: int) -> datetime:
    return datetime(2027, 6, 1, hour, minute, tzinfo=UTC)
