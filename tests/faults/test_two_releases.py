"""The release before this one, side by side with it: its rows and messages, its processes.

What it left is recorded in `tests/releases`, its code with it.
"""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select

from servers.process import PATIENCE_SECONDS
from servers.service import Worker, service_settings
from servers.valkey import Valkey
from stocktake.catalog.credentials import opened
from stocktake.db import migrate
from stocktake.db.models import JobAttempt, StoredCredential
from stocktake.security.encryption import AccessPair, Keyring
from tests.faults.client import Client, Sent
from tests.faults.oracle import Oracle
from tests.releases.release import NOBODY, Left, Release, differences, recorded
from tests.support.harness import Stack, open_stack
from tests.support.stack import see_job, wait_until

#: With what jobs of two recorded tables fail: one has no source, the other a store that is away.
RECORDED = {"source_not_found", "storage_unavailable"}


@pytest.fixture(params=recorded(), ids=lambda folder: folder.name)
def folder(request: pytest.FixtureRequest) -> Path:
    """Where a release was recorded."""
    found: Path = request.param
    return found


@pytest.fixture
def release(folder: Path, tmp_path: Path) -> Release:
    """Its code."""
    [wheel] = folder.glob("*.whl")
    release = Release.unpacked(wheel, tmp_path / "code")
    assert release.newest_revision() < migrate.newest()
    return release


@pytest.fixture
def left(folder: Path, dialect: str, tmp_path: Path) -> Left:
    """What it left in its folders and in its database."""
    place = tmp_path / "place"
    place.mkdir()
    return Left.of(folder, dialect, place)


@pytest.fixture
def stack(
    left: Left, database_url: str, broker_server: Valkey, extra_settings: dict[str, str]
) -> Iterator[Stack]:
    """A service on what the release left; none of its processes runs, and no migration has."""
    left.into_database(database_url)
    with broker_server.client() as broker:
        left.into_broker(broker)
    known = {"SECRET_KEYS": left.settings["secret_keys"], "TRUSTED_ENDPOINTS": NOBODY}
    settings = service_settings(
        database_url, broker_server.url, left.place, **extra_settings | known
    )
    project = left.settings["project_id"]
    with open_stack(database_url, broker_server, settings, left.place, project) as opened:
        yield opened


@pytest.fixture
def client(stack: Stack, left: Left) -> Iterator[Client]:
    """The release's customer, who knows what it was told; `move_to` a web process."""
    client = Client("", left.settings["api_key"], stack.project_id)
    left.into_client(client)
    yield client
    client.close()


def test_what_the_release_before_left_is_shown_and_done(
    stack: Stack, left: Left, client: Client, oracle: Oracle
) -> None:
    migrate.upgrade(stack.database_url)
    client.move_to(stack.start_web().url)
    for path, body in left.answers.items():
        assert not differences(body, client.look(path), path)
    with stack.database.read() as session:
        [sealed] = session.scalars(select(StoredCredential))
        keyring = Keyring.of(stack.parsed_settings().secret_keys)
        assert opened(keyring, sealed) == AccessPair(
            access_key="recorded", access_secret="recorded"
        )
    open_jobs = [UUID(job["id"]) for job in jobs(client) if not job["done"]]
    assert {see_job(stack.database, job).state.value for job in open_jobs} == {"queued", "running"}

    stack.start_worker()
    oracle.wait_for_ends(10)
    stack.start_clock()
    # A registration names a folder, which is another one here.
    repeated = {"refresh", "upload", "override", "refresh_all", "schedule", "retry", "cancel"}
    for sent in [each for each in client.log if each.action in repeated]:
        assert client.again(sent).status == sent.status
    oracle.check(failures=RECORDED)
    assert {see_job(stack.database, job).state.value for job in open_jobs} == {"succeeded"}


def test_a_rolling_upgrade_under_load(
    stack: Stack, release: Release, client: Client, oracle: Oracle
) -> None:
    """In the order of docs/operations.md: the database, the workers, the clocks, the web processes;
    each pair of old and new serves for a while, and does jobs."""
    old_web = stack.start_web(release.variables)
    old_worker = stack.start_worker(release.variables)
    old_clock = stack.start_clock(release.variables)
    client.move_to(old_web.url)
    with asking(client) as heard:
        done_by(stack, old_worker, heard)
        migrate.upgrade(stack.database_url)
        done_by(stack, old_worker, heard, since=len(heard))
        new_worker = stack.start_worker()
        done_by(stack, new_worker, heard, since=len(heard))
        done_by(stack, old_worker, heard, since=len(heard))
        old_worker.ask_to_end()
        old_worker.wait_for_exit(PATIENCE_SECONDS)
        done_by(stack, new_worker, heard, since=len(heard))
        stack.start_clock()
        old_clock.stop()
        new_web = stack.start_web()
        client.move_to(new_web.url)
        done_by(stack, new_worker, heard, since=len(heard))
        old_web.stop()
        done_by(stack, new_worker, heard, since=len(heard))
    for sent in heard:
        client.insist(sent)
    # SQLite has one writer, and each migration is one; PostgreSQL's wait for theirs.
    oracle.check(allowed={503, None}, failures=RECORDED)


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_what_only_the_newer_release_knows_is_left_to_it(
    stack: Stack, release: Release, client: Client, oracle: Oracle
) -> None:
    """A new web process beside an old worker and an old clock: a kind of job that they lack waits
    for who knows it, and holds nothing up."""
    migrate.upgrade(stack.database_url)
    client.move_to(stack.start_web().url)
    old_worker = stack.start_worker(release.variables)
    stack.start_clock(release.variables)
    oracle.wait_for_ends(60)
    ledger = client.upload("ledger", rows=1)
    assert ledger.job
    wait_until(lambda: see_job(stack.database, ledger.job).state.done, "the upload")
    path = f"warehouse_tables/{ledger.table_id}/maintain/"
    unknown = client.ask("maintain", "POST", path, table=ledger.table_id)
    assert unknown.job, unknown
    wait_until(lambda: bool(stack.logged("maintain_table")), "the message to arrive")
    done_by(stack, old_worker, [client.refresh(table) for table in client.sources])
    assert see_job(stack.database, unknown.job).state.value == "queued"
    stack.start_worker()
    stack.start_clock()
    oracle.check(failures=RECORDED)
    assert see_job(stack.database, unknown.job).state.value == "succeeded"


@contextmanager
def asking(client: Client) -> Iterator[list[Sent]]:
    """A customer for each table and one who uploads ask again and again while the block runs; what
    they heard."""
    heard: list[Sent] = []
    stop = threading.Event()

    def refreshing(table: UUID) -> None:
        while not stop.wait(0.2):
            heard.append(client.refresh(table))
            client.read(table)

    def uploading() -> None:
        while not stop.wait(0.5):
            heard.append(client.upload("ledger", rows=2))

    with ThreadPoolExecutor(len(client.sources) + 1) as pool:
        asked = [pool.submit(refreshing, table) for table in client.sources]
        asked.append(pool.submit(uploading))
        try:
            yield heard
        finally:
            stop.set()
        for each in asked:
            each.result()


def done_by(stack: Stack, worker: Worker, heard: Sequence[Sent], since: int = 0) -> None:
    """Wait until a worker has done a job that was asked for since so many others."""

    def done() -> bool:
        asked = [sent.job for sent in heard[since:] if sent.job]
        mine = select(JobAttempt.job_id).where(
            JobAttempt.job_id.in_(asked),
            JobAttempt.outcome == "succeeded",
            JobAttempt.worker.startswith(worker.node),
        )
        with stack.database.read() as session:
            return session.scalar(mine.limit(1)) is not None

    wait_until(done, f"a job of {worker.node}")


def jobs(client: Client) -> list[dict[str, object]]:
    found: list[dict[str, object]] = client.look("jobs/?limit=100")["results"]
    return found
