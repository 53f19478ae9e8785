"""pytest-celery over local processes: its nodes are ours instead of Docker containers.

A test asks for ``celery_setup`` as pytest-celery documents it; the broker is a real Valkey, the
worker real children, and ``stack`` adds the database, the store and the clock.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pytest_celery import (
    CeleryBackendCluster,
    CeleryBrokerCluster,
    CeleryTestBroker,
    CeleryTestContainer,
    CeleryTestSetup,
    CeleryTestWorker,
    CeleryWorkerCluster,
)

from stocktake.db.session import Database
from stocktake.jobs.queueing import JobRequest, enqueue
from stocktake.settings import Settings
from stocktake.states import JobKind, Queue
from tasks.doorbell import CeleryDoorbell
from tests.processes import Server
from tests.scripted_store import ScriptedStore
from tests.servers import Valkey
from tests.stack import Clock, Worker, add_project, service_settings


class LocalContainer(CeleryTestContainer):  # type: ignore[misc]  # untyped upstream
    """A local server in the shape of the Docker container that pytest-celery expects."""

    def __init__(self, server: Server, url: str | None = None) -> None:
        # CeleryTestContainer's own __init__ wants a Docker engine.
        self.server = server
        self._url = url

    @property
    def id(self) -> str:
        return str(self.server.pid)

    @property
    def name(self) -> str:
        return self.server.name

    @property
    def status(self) -> str:
        return "running" if self.server.answers() else "exited"

    @property
    def attrs(self) -> dict[str, Any]:
        return {"Config": {"Hostname": "test"}}

    @property
    def celeryconfig(self) -> dict[str, Any]:
        return {"url": self._url, "host_url": self._url}

    @property
    def client(self) -> Server:
        return self.server

    def start(self) -> None:
        self.server.start()

    def logs(self) -> str:
        return self.server.log.read_text(errors="replace")

    def ready(self) -> bool:
        return self.server.answers()

    def kill(self, signal: str | int | None = None) -> None:
        self.server.kill()

    def restart(self, **_: Any) -> None:
        self.server.restart()

    def reload(self) -> None:
        """A local process has no stale view to renew."""

    def exec_run(self, *_: Any, **__: Any) -> tuple[int, bytes]:
        raise NotImplementedError("a local process runs no second command")

    def teardown(self) -> None:
        self.server.stop()

    # What pytest-celery asks a worker's container for.
    def version(self) -> str:
        return "installed"

    def log_level(self) -> str:
        return "INFO"

    def worker_name(self) -> str:
        return getattr(self.server, "node", self.name).split("@")[0]

    def worker_queue(self) -> str:
        return "interactive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """What a test sees of one running service, beside its workers and its broker."""

    database: Database
    database_url: str
    settings: dict[str, str]
    project_id: int
    sources: Path
    start_clock: Callable[[], Clock]

    def refresh(self, table_id: UUID) -> UUID:
        """Commit a refresh job and ring for it, as the API does; its id."""
        request = JobRequest(
            project_id=self.project_id,
            kind=JobKind.REFRESH_SCHEMA,
            queue=Queue.INTERACTIVE,
            table_id=table_id,
            max_attempts=3,
        )
        with self.database.write() as session:
            return enqueue(session, request).job.id


@pytest.fixture
def broker_server() -> Valkey:
    """A broker of this test's own, since the test may kill it; pytest-celery stops it."""
    return Valkey().start()


@pytest.fixture
def celery_broker(broker_server: Valkey) -> Iterator[CeleryTestBroker]:
    node = CeleryTestBroker(LocalContainer(broker_server, broker_server.url), app=None)
    yield node
    node.teardown()


@pytest.fixture
def celery_broker_cluster(celery_broker: CeleryTestBroker) -> CeleryBrokerCluster:
    return CeleryBrokerCluster(celery_broker)


@pytest.fixture
def celery_backend_cluster() -> CeleryBackendCluster | None:
    """None: results live in the job row."""
    return None


@pytest.fixture
def store() -> Iterator[ScriptedStore]:
    """A store that holds every read until the test lets go."""
    with ScriptedStore() as running:
        yield running


@pytest.fixture
def extra_settings() -> dict[str, str]:
    """Settings of a test module's own, which overrides this fixture."""
    return {}


@pytest.fixture
def stack(
    migrated_database_url: str,
    broker_server: Valkey,
    tmp_path: Path,
    extra_settings: dict[str, str],
) -> Iterator[Stack]:
    """The database and the settings that all processes of this test share."""
    sources = tmp_path / "sources"
    sources.mkdir()
    settings = service_settings(
        migrated_database_url, broker_server.url, tmp_path, **extra_settings
    )
    doorbell = CeleryDoorbell(
        Settings(broker_url=broker_server.url)  # type: ignore[arg-type]  # pydantic takes the text
    )
    clocks: list[Clock] = []

    def start_clock() -> Clock:
        clocks.append(Clock(settings).start())
        return clocks[-1]

    database = Database(migrated_database_url, doorbell.ring)
    try:
        yield Stack(
            database=database,
            database_url=migrated_database_url,
            settings=settings,
            project_id=add_project(database),
            sources=sources,
            start_clock=start_clock,
        )
    finally:
        for clock in clocks:
            clock.stop()
        doorbell.close()
        database.dispose()


@pytest.fixture
def celery_worker(stack: Stack) -> Iterator[CeleryTestWorker]:
    node = CeleryTestWorker(LocalContainer(Worker(stack.settings).start()), app=None)
    yield node
    node.teardown()


@pytest.fixture
def celery_worker_cluster(celery_worker: CeleryTestWorker) -> CeleryWorkerCluster:
    return CeleryWorkerCluster(celery_worker)


@pytest.fixture
def worker(celery_setup: CeleryTestSetup) -> Worker:
    """The running worker's process."""
    server = celery_setup.worker.container.server
    assert isinstance(server, Worker)
    return server
