"""The running service under a test: one harness for the acceptance and the fault tests.

pytest-celery over local processes: its nodes are ours instead of Docker containers. A test asks
for ``celery_setup`` as pytest-celery documents it, or for ``worker``; the broker is a real Valkey,
the worker has real children, and ``stack`` adds the database and starts any further process.

A test that puts something between two parts overrides ``broker_url`` or ``service_database_url``;
one that wants other settings overrides ``extra_settings``.
"""

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
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

from servers.process import Server
from servers.scripted_store import ScriptedStore
from servers.service import Clock, ServiceProcess, Web, Worker, service_settings
from servers.valkey import Valkey
from stocktake.db.session import Database
from stocktake.jobs.queueing import JobRequest, enqueue
from stocktake.services import identity
from stocktake.settings import Settings
from stocktake.states import JobKind, Queue
from tasks.doorbell import CeleryDoorbell
from tests.support.stack import add_project

Process = TypeVar("Process", bound=ServiceProcess)
#: Environment variables of one process.
Variables = Mapping[str, str] | None
LOG_TAIL_CHARACTERS = 8000


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
        self.server.discard()

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
    """One running service, as a test sees it.

    Attributes:
        settings: what all processes share, ``STOCKTAKE_*`` without the prefix.
        variables: other environment variables that all of them share.
        database: the test's own view.
        processes: all that were started, in that order, the dead ones too.
    """

    database: Database
    database_url: str
    settings: dict[str, str]
    project_id: int
    sources: Path
    variables: dict[str, str] = field(default_factory=dict)
    processes: list[ServiceProcess] = field(default_factory=list)

    def start_web(self, variables: Variables = None, **settings: str) -> Web:
        """The API, with settings of its own over the shared ones."""
        return self._start(Web(self.settings | settings), variables)

    def start_worker(
        self, variables: Variables = None, node: str | None = None, **settings: str
    ) -> Worker:
        """A worker with two children, under a node's name of its own if none is given."""
        worker = Worker(self.settings | settings)
        worker.node = node or worker.node
        return self._start(worker, variables)

    def start_clock(self, variables: Variables = None, **settings: str) -> Clock:
        """A clock; any number may run."""
        return self._start(Clock(self.settings | settings), variables)

    def _start(self, process: Process, variables: Variables) -> Process:
        process.variables |= self.variables | (variables or {})
        self.processes.append(process)
        return process.start()

    def parsed_settings(self) -> Settings:
        """The settings as the service's own processes read them."""
        return Settings(**{name.lower(): value for name, value in self.settings.items()})  # type: ignore[arg-type]  # pydantic takes texts

    def make_key(self) -> str:
        """An API key that may do everything in the project."""
        with self.database.write() as session:
            return identity.create_key(session, [self.project_id], ["*"])

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

    def logged(self, *words: str) -> list[str]:
        """The log lines of all processes that hold all of these words."""
        return [
            f"{process.name}: {line}"
            for process in self.processes
            for line in process.log_text().splitlines()
            if all(word in line for word in words)
        ]

    def stop(self) -> None:
        """End all processes, the youngest first."""
        for process in reversed(self.processes):
            process.discard()


@pytest.fixture
def broker_server() -> Iterator[Valkey]:
    """A broker of this test's own, since the test may kill it."""
    with Valkey() as server:
        yield server


@pytest.fixture
def broker_url(broker_server: Valkey) -> str:
    """Where the service's processes look for the broker."""
    return broker_server.url


@pytest.fixture
def service_database_url(migrated_database_url: str) -> str:
    """Where the service's processes look for the database; a test's own view is direct."""
    return migrated_database_url


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
    service_database_url: str,
    broker_server: Valkey,
    broker_url: str,
    tmp_path: Path,
    extra_settings: dict[str, str],
) -> Iterator[Stack]:
    """The database and the settings that all processes of this test share; none runs yet."""
    settings = service_settings(service_database_url, broker_url, tmp_path, **extra_settings)
    with open_stack(migrated_database_url, broker_server, settings, tmp_path) as opened:
        yield opened


@contextmanager
def open_stack(
    database_url: str,
    broker: Valkey,
    settings: dict[str, str],
    folder: Path,
    project_id: int | None = None,
) -> Iterator[Stack]:
    """A service of which nothing runs yet; what was started is ended with the block.

    Args:
        database_url: of a migrated database, for the test's own view.
        settings: what `service_settings` gives; the URLs in them may lead through proxies.
        folder: the one that the settings were made with.
        project_id: of a project that is there; a new one, if not given.
    """
    sources = folder / "sources"
    sources.mkdir(exist_ok=True)
    doorbell = CeleryDoorbell(
        Settings(broker_url=broker.url)  # type: ignore[arg-type]  # pydantic takes the text
    )
    database = Database(database_url, doorbell.ring)
    stack = Stack(
        database=database,
        database_url=database_url,
        settings=settings,
        project_id=add_project(database) if project_id is None else project_id,
        sources=sources,
    )
    try:
        yield stack
    finally:
        stack.stop()
        doorbell.close()
        database.dispose()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to a failure what the stack's processes wrote last: they are gone with the test."""
    report = yield
    stack = getattr(item, "funcargs", {}).get("stack")
    if report.failed and isinstance(stack, Stack):
        report.sections += [
            (f"{process.name} of {process.folder}", process.log_text()[-LOG_TAIL_CHARACTERS:])
            for process in stack.processes
        ]
    return report


@pytest.fixture
def celery_worker(stack: Stack) -> Iterator[CeleryTestWorker]:
    node = CeleryTestWorker(LocalContainer(stack.start_worker()), app=None)
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
