"""What is no Exception: a panic of native code, and all else that a read may raise."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import update

from stocktake.db.clock import now
from stocktake.db.models import Job
from stocktake.db.session import Database
from stocktake.errors import InvalidSourceError, UnsupportedError
from stocktake.readers.source import no_progress
from stocktake.states import JobState
from stocktake.storage.places.urls import parse
from stocktake.storage.stores.remote import RemoteObjects
from tasks.base import ProcessSpoilt, Runtime, run_attempt
from tests.faults.inside import variables
from tests.faults.inside.sitecustomize import obstore_panics
from tests.security.service import Service, running
from tests.support.delta_tables import (
    CountingFolder,
    HandWrittenLog,
    field_of,
    metadata_action,
    protocol_action,
    read_table,
)
from tests.support.rows import (
    claimed,
    enqueue,
    make_project,
    make_table,
    process_of,
    refresh_of,
    settings_for,
)
from tests.support.stack import see_job, wait_until


class Unheard(BaseException):
    """Of a library that thinks little of its callers."""


class Raising:
    """Attempts that raise; one job each."""

    def __init__(self, database: Database, folder: Path, stopping: bool = False) -> None:
        self._database = database
        settings = settings_for("sqlite:///:memory:", folder)
        self._runtime = Runtime(
            process=process_of(database, settings),
            watch=lambda _runtime, _claim: nullcontext(no_progress),
            stopping=lambda: stopping,
        )

    def job(self) -> UUID:
        with self._database.write() as session:
            table = make_table(session, make_project(session).id, "orders")
        return enqueue(self._database, refresh_of(table))

    def run(self, job: UUID, work: Callable[[], object]) -> None:
        run_attempt(self._runtime, claimed(self._database, job), lambda _: work())
        raise AssertionError("nothing was raised")


@pytest.fixture
def database(migrated_database_url: str) -> Iterator[Database]:
    database = Database(migrated_database_url)
    yield database
    database.dispose()


def cancelled() -> None:
    raise asyncio.CancelledError


def left_over() -> None:
    raise GeneratorExit


def unheard() -> None:
    raise Unheard


def several() -> None:
    raise BaseExceptionGroup("two", [Unheard(), ValueError("x")])


def in_a_thread_of_a_store() -> None:
    location = parse("https://bucket.s3.amazonaws.com/orders/")
    RemoteObjects(location, None).map(lambda _: obstore_panics(), [1, 2, 3])


@pytest.mark.parametrize(
    "work", [obstore_panics, in_a_thread_of_a_store, cancelled, left_over, unheard, several]
)
def test_it_ends_the_job_at_once_and_the_process_after_it(
    database: Database, tmp_path: Path, work: Callable[[], object]
) -> None:
    raising = Raising(database, tmp_path)
    job = raising.job()
    with pytest.raises(ProcessSpoilt):
        raising.run(job, work)
    seen = see_job(database, job)
    assert (seen.state, seen.outcomes) == (JobState.FAILED, ("internal",))
    assert seen.error is not None
    assert seen.error["code"] == "internal"


@pytest.mark.parametrize("ending", [SystemExit, KeyboardInterrupt])
def test_a_process_that_is_asked_to_end_hands_its_job_back(
    database: Database, tmp_path: Path, ending: type[BaseException]
) -> None:
    def end() -> None:
        raise ending

    raising = Raising(database, tmp_path, stopping=True)
    job = raising.job()
    with pytest.raises(ending):
        raising.run(job, end)
    seen = see_job(database, job)
    assert (seen.state, seen.outcomes) == (JobState.QUEUED, ("worker_stopped",))
    assert seen.max_attempts == 4


def test_a_read_that_ends_its_process_does_so_only_as_often_as_a_job_is_tried(
    database: Database, tmp_path: Path
) -> None:
    raising = Raising(database, tmp_path)
    job = raising.job()
    for _ in range(3):
        make_due(database, job)
        with pytest.raises(SystemExit):
            raising.run(job, exit)
    seen = see_job(database, job)
    assert (seen.state, seen.outcomes) == (JobState.FAILED, ("worker_stopped",) * 3)


def make_due(database: Database, job: UUID) -> None:
    with database.write() as session:
        session.execute(update(Job).where(Job.id == job).values(next_run_at=now(-1)))


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, migrated_sqlite_file: Path
) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("panics")
    with running(folder, migrated_sqlite_file, variables(panic=".panics")) as service:
        yield service


def test_a_panic_ends_the_job_of_a_running_worker_and_another_child_reads_on(
    service: Service,
) -> None:
    for name in ("orders.panics", "good.csv"):
        (service.sources / name).write_text("id\n1\n")
    children = {child.pid for child in service.worker.children()}
    job = service.register(**table(service, "orders.panics"))
    assert (job["error"]["code"], job["attempt"]) == ("internal", 1)
    wait_until(
        lambda: {child.pid for child in service.worker.children()} != children,
        "another child in the place of the one that was struck",
    )
    for number in range(4):
        good = table(service, "good.csv") | {"name": f"good_{number}"}
        assert service.register(**good)["state"] == "succeeded"


def table(service: Service, name: str) -> dict[str, str]:
    url = f"file://{service.sources}/{name}"
    return {"name": name.replace(".", "_"), "format": "CSVWithNames", "url_pattern": url}


LONG = "a" * 70_000


@pytest.mark.parametrize("key", [LONG, "ü" * 2100, "a/" * 2100])
def test_a_key_longer_than_any_store_has_reaches_no_client(key: str) -> None:
    store = RemoteObjects(parse("https://bucket.s3.amazonaws.com/orders/"), None)
    asks = (store.get, lambda key: store.get_tail(key, 8), lambda key: [*store.stream(key)])
    for ask in (*asks, lambda key: [*store.list(key)], lambda key: store.get(key, length=0)):
        with pytest.raises(UnsupportedError) as caught:
            ask(key)
        assert caught.value.code == "unsupported_key"
        assert len(str(caught.value.as_dict())) < 2500


@pytest.mark.parametrize("name", [LONG, "b%0Ac", "a\nb", "a\x00b", "%7f", "%61" * 4100, "../x"])
@pytest.mark.parametrize("where", ["add", "remove", "vector"])
def test_no_name_of_a_data_file_reaches_a_store(tmp_path: Path, name: str, where: str) -> None:
    """Only what the log itself consists of is asked for, when it is counted too."""
    action: dict[str, object] = {"path": name}
    if where == "vector":
        vector = {"storageType": "u", "pathOrInlineDv": name + "b" * 20}
        action = {"path": "x.parquet", "deletionVector": vector}
    log = HandWrittenLog(tmp_path)
    log.create(field_of("id", "long"))
    log.commit(1, {"add" if where == "vector" else where: action})
    store = CountingFolder(tmp_path)
    assert read_table(store, counted=True).source_version == 1
    asked = {path for kind, path in store.calls if kind != "list"}
    commits = {f"_delta_log/{version:020}.json" for version in (0, 1)}
    assert asked == {"_delta_log/_last_checkpoint", *commits}


@pytest.mark.parametrize("name", [LONG, "b%0Ac", "a\nb", "a\x00b", "%7f", "%61" * 4100, "../x"])
def test_a_log_names_no_sidecar_that_a_store_would_not_have(tmp_path: Path, name: str) -> None:
    log = HandWrittenLog(tmp_path)
    manifest = f"{3:020}.checkpoint.0b3c9f3e-4c0a-4d8e-8f6b-0123456789ab.json"
    actions = protocol_action(), metadata_action(field_of("id", "long"))
    log.write(manifest, *actions, {"sidecar": {"path": name}})
    store = CountingFolder(tmp_path)
    with pytest.raises(InvalidSourceError) as caught:
        read_table(store, counted=True)
    assert len(str(caught.value.as_dict())) < 2000
    assert not [path for _, path in store.calls if "_sidecars" in path]
