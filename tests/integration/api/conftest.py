"""The API over a real socket on both databases, with recorded rings in the broker's place."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
import uvicorn

from api.app import create_app
from api.edge.edge import Parts
from api.wire.protocol import protocol
from servers.process import PATIENCE_SECONDS
from stocktake.db.models import Job, Project, Table
from stocktake.db.session import Database, Ring
from stocktake.jobs import leases
from stocktake.jobs.doorbell import WorkerAnswer
from stocktake.jobs.queueing import JobRequest, enqueue
from stocktake.security.encryption import make_secret_key
from stocktake.services import identity
from stocktake.settings import Settings
from stocktake.states import JobKind, Queue
from tests.support.stack import wait_until

MakeKey = Callable[..., str]
FinishJob = Callable[..., None]
MakeJob = Callable[..., UUID]


#: Shared by all clients: each would read the machine's certificates anew, for nobody to show one.
PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class Rings:
    """A doorbell that keeps what was rung for.

    Attributes:
        waiting: messages at its broker; None is one that does not answer.
        crew: what its workers say; None where the broker does not answer.
        on_ask: what happens before they say it.
    """

    def __init__(self) -> None:
        self.rung: list[Ring] = []
        self.waiting: dict[Queue, int] | None = {}
        self.crew: list[WorkerAnswer] | None = []
        self.on_ask: Callable[[], object] = list

    def ring(self, ring: Ring) -> None:
        self.rung.append(ring)

    def queue_lengths(self) -> dict[Queue, int] | None:
        return self.waiting

    def workers(self) -> list[WorkerAnswer] | None:
        self.on_ask()
        return self.crew

    def close(self) -> None:
        """Nothing runs."""


class PromptServer(uvicorn.Server):
    """Ends at once: uvicorn's own looks ten times a second whether to, and then waits as long."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._told = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def end(self) -> None:
        """Tell it, from any thread."""
        self.should_exit = True
        # A test may have ended it already.
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._told.set)

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        await self.on_tick(0)
        if not self.should_exit:
            await self._told.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await asyncio.sleep(0)  # who hung up is heard
        if self.server_state.connections or self.server_state.tasks:
            await super().shutdown(sockets)
            return
        for each in (*self.servers, *(sockets or [])):
            each.close()
        await self.lifespan.shutdown()


@dataclass
class Served:
    """A running app and what a test may want of it."""

    settings: Settings
    url: str
    rings: Rings
    database: Database
    server: PromptServer = field(repr=False)
    thread: threading.Thread = field(repr=False)
    listening: socket.socket = field(repr=False)

    @property
    def parts(self) -> Parts:
        """The app's own, once it has started: until then it has none, and requests wait."""
        wait_until(lambda: self.server.started, "the app's start")
        parts: Parts = self.server.config.app.state.parts
        return parts

    def stop(self) -> None:
        """Shut the app down and wait until it has."""
        self.server.end()
        self.thread.join()
        self.listening.close()


@pytest.fixture(scope="session")
def plain_settings() -> Settings:
    """What the settings of all tests have in common; to build them takes longer than a request."""
    return Settings.model_validate(
        {
            "secret_keys": make_secret_key("test"),
            "rate_limit_per_minute": 0,
            "rate_limit_per_hour": 0,
            "refused_keys_per_minute": 0,
            "health_fresh_seconds": 0,
            "log_level": "WARNING",
        }
    )


@pytest.fixture
def settings(plain_settings: Settings, migrated_database_url: str, tmp_path: Path) -> Settings:
    """Settings without limits and with nothing of this machine; a test may copy and change them."""
    own = {"database_url": migrated_database_url, "data_dir": tmp_path / "data"}
    return plain_settings.model_copy(update=own)


@pytest.fixture
def serve(settings: Settings) -> Iterator[Callable[..., Served]]:
    """Start an app: `serve()`, or `serve(rate_limit_per_minute=2)` for other settings."""
    started: list[Served] = []

    def start(**changes: Any) -> Served:
        started.append(start_app(settings.model_copy(update=changes)))
        return started[-1]

    yield start
    for served in started:
        served.stop()
        served.database.dispose()


def start_app(settings: Settings) -> Served:
    """Start an app with these settings; whoever did stops it."""
    rings = Rings()
    listening = socket.create_server(("127.0.0.1", 0))
    server = PromptServer(
        uvicorn.Config(
            create_app(settings, rings),
            http=protocol(settings),
            proxy_headers=False,
            log_config=None,
            access_log=False,
            lifespan="on",
            timeout_graceful_shutdown=1,
        )
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    database = Database(settings.database_url)
    return Served(settings, url, rings, database, server, thread, listening)


@pytest.fixture
def served(serve: Callable[..., Served]) -> Served:
    """An app with the test's settings."""
    return serve()


@pytest.fixture
def rings(served: Served) -> list[Ring]:
    """What the app rang for."""
    return served.rings.rung


@pytest.fixture
def database(served: Served) -> Database:
    """The app's database, on connections of the test's own."""
    return served.database


@pytest.fixture
def project_id(database: Database) -> int:
    """A project."""
    return _project(database, "Bakery")


@pytest.fixture
def other_project(database: Database, project_id: int) -> int:
    """Another tenant's project."""
    return _project(database, "Rival")


def _project(database: Database, name: str) -> int:
    with database.write() as session:
        return identity.create_project(session, name).id


@pytest.fixture
def make_key(database: Database, project_id: int) -> MakeKey:
    """Make a key: `make_key(["*"])`, `make_key(["warehouse_table:read"], other_project)`."""

    def make(scopes: list[str] | None = None, *project_ids: int, **more: Any) -> str:
        with database.write() as session:
            return identity.create_key(
                session, project_ids or (project_id,), scopes or ["*"], **more
            )

    return make


@pytest.fixture
def connect(served: Served) -> Iterator[Callable[..., httpx.Client]]:
    """Open a client with a key, or with none: paths are relative to the server."""
    clients: list[httpx.Client] = []

    def open_client(key: str | None = None, url: str | None = None) -> httpx.Client:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        clients.append(
            httpx.Client(
                base_url=url or served.url,
                headers=headers,
                timeout=PATIENCE_SECONDS,
                verify=PLAIN,
            )
        )
        return clients[-1]

    yield open_client
    for client in clients:
        client.close()


@pytest.fixture
def client(
    connect: Callable[..., httpx.Client], make_key: MakeKey, project_id: int
) -> httpx.Client:
    """A client with all scopes; its paths are relative to the project, such as ``jobs/``."""
    opened = connect(make_key(["*"]))
    opened.base_url = opened.base_url.join(f"/api/projects/{project_id}/")
    return opened


@pytest.fixture
def anonymous(connect: Callable[..., httpx.Client]) -> httpx.Client:
    """A client without a key; its paths are relative to the server."""
    return connect()


@pytest.fixture
def make_table(database: Database, project_id: int) -> Callable[..., UUID]:
    """Put a table row in: the id."""

    def make(name: str = "orders", project: int | None = None, **values: Any) -> UUID:
        row = {
            "format": "Parquet",
            "url_pattern": "https://bucket.s3.amazonaws.com/orders/*.parquet",
        }
        with database.write() as session:
            table = Table(name=name, project_id=project or project_id, **(row | values))
            session.add(table)
            session.flush()
            return table.id

    return make


@pytest.fixture
def make_job(database: Database, make_table: Callable[..., UUID], project_id: int) -> MakeJob:
    """Queue a refresh of a new table: the job's id."""
    made = 0

    def make(project: int | None = None, table_id: UUID | None = None, **values: Any) -> UUID:
        nonlocal made
        made += 1
        owner = project or project_id
        table_id = table_id or make_table(f"table_{made}", owner)
        request = JobRequest(
            project_id=owner,
            kind=values.pop("kind", JobKind.REFRESH_SCHEMA),
            queue=Queue.INTERACTIVE,
            max_attempts=5,
            table_id=table_id,
            **values,
        )
        with database.write() as session:
            return enqueue(session, request).job.id

    return make


@pytest.fixture
def claim_job(database: Database) -> Callable[[UUID], leases.Claim]:
    """Play the worker up to its claim."""

    def claim(job_id: UUID) -> leases.Claim:
        with database.write() as session:
            claimed = leases.claim(session, job_id, worker="test/1", lease_seconds=60)
        assert claimed is not None, "the job could not be claimed"
        return claimed

    return claim


@pytest.fixture
def finish_job(database: Database, claim_job: Callable[[UUID], leases.Claim]) -> FinishJob:
    """Play the worker to the end: `finish_job(job_id, {"columns": 2})`."""

    def finish(job_id: UUID, result: dict[str, Any] | None = None) -> None:
        claimed = claim_job(job_id)
        with database.write() as session:
            leases.succeed(session, claimed, result or {})

    return finish


@pytest.fixture
def job_row(database: Database) -> Callable[[UUID], Job]:
    """Read a job's row."""

    def read(job_id: UUID) -> Job:
        with database.read() as session:
            job = session.get(Job, job_id)
        assert job is not None
        return job

    return read


@pytest.fixture
def projects(database: Database) -> Callable[[], list[Project]]:
    """Read the projects."""

    def read() -> list[Project]:
        with database.read() as session:
            return list(session.query(Project))

    return read
