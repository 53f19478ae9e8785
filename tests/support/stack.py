"""The service's own processes for acceptance and fault tests, and the outside view of a job."""

import os
import secrets
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
from sqlalchemy import inspect

from stocktake.db.models import Job, JobAttempt, Project, Table, User, WorkerPool
from stocktake.db.session import Database
from stocktake.security.encryption import make_secret_key
from stocktake.states import JobState
from tests.support.processes import HOST, PATIENCE_SECONDS, Server, free_ports


class ServiceProcess(Server):
    """One process of the service.

    Args:
        settings: ``STOCKTAKE_*`` variables without the prefix.
    """

    def __init__(self, settings: dict[str, str], folder: Path | None = None) -> None:
        super().__init__(folder)
        self.settings = settings
        #: Any other variables of its environment.
        self.variables: dict[str, str] = {}

    def environment(self) -> dict[str, str]:
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith("STOCKTAKE_")
        }
        ours = {f"STOCKTAKE_{name}": value for name, value in self.settings.items()}
        return inherited | ours | self.variables

    def log_text(self) -> str:
        """All that it has written since its first start."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""


class Worker(ServiceProcess):
    """A Celery worker with real children."""

    name = "worker"
    #: Children for anybody's jobs; one more is in reserve.
    concurrency = 2

    def __init__(self, settings: dict[str, str], folder: Path | None = None) -> None:
        super().__init__(settings, folder)
        self.node = f"worker-{secrets.token_hex(4)}@test"

    def command(self) -> list[str]:
        return [
            *(sys.executable, "-m", "celery", "-A", "workers", "worker"),
            *("--pool=prefork", f"--concurrency={self.concurrency}", "-n", self.node),
            *("-Q", "interactive,bulk,validate", "--without-gossip", "--without-mingle"),
        ]

    def prepare(self) -> None:
        self._started_at_byte = self.log.stat().st_size if self.log.exists() else 0

    def answers(self) -> bool:
        return " ready." in self.log_text()[self._started_at_byte :]

    def children(self) -> list[psutil.Process]:
        """The processes that read."""
        return [each for each in psutil.Process(self.pid).children() if not is_guard(each)]

    def guard(self) -> psutil.Process:
        """The process that watches over them."""
        [guard] = filter(is_guard, psutil.Process(self.pid).children())
        return guard

    def all_processes(self) -> list[psutil.Process]:
        """The parent, those that read, and their guard."""
        parent = psutil.Process(self.pid)
        return [parent, *parent.children()]


def is_guard(process: psutil.Process) -> bool:
    """Whether this child of a worker is no reader, but guards them."""
    try:
        return "workers.guard" in process.cmdline()
    except psutil.NoSuchProcess:
        return False


class Clock(ServiceProcess):
    """Celery beat with our scheduler."""

    name = "clock"

    def command(self) -> list[str]:
        return [
            *(sys.executable, "-m", "celery", "-A", "workers", "beat"),
            *("-S", "workers.beat:Clock", "--pidfile="),
        ]

    def answers(self) -> bool:
        return "clock_started" in self.log_text()  # from then on it ends in order


class Web(ServiceProcess):
    """The HTTP API."""

    name = "web"

    def __init__(self, settings: dict[str, str], folder: Path | None = None) -> None:
        super().__init__(settings, folder)
        [self.port] = free_ports(1)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def command(self) -> list[str]:
        return [sys.executable, "-m", "api"]

    def environment(self) -> dict[str, str]:
        return super().environment() | {"STOCKTAKE_HOST": HOST, "STOCKTAKE_PORT": str(self.port)}

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """A job as its row says."""

    id: UUID
    state: JobState
    attempt: int
    max_attempts: int
    result: dict[str, Any] | None
    error: dict[str, Any] | None
    worker: str | None
    outcomes: tuple[str | None, ...]


def wait_until(
    condition: Callable[[], bool], what: str, seen: Callable[[], object] = lambda: ""
) -> None:
    """Wait for an event that is seen by asking; a failure says what never came, and what is seen
    in its place."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < give_up_at, f"never came: {what} {seen()}"
        pause.wait(0.02)


def service_settings(
    database_url: str, broker_url: str, folder: Path, **more: str
) -> dict[str, str]:
    """What all processes of one stack share."""
    return {
        "DATABASE_URL": database_url,
        "BROKER_URL": broker_url,
        "DATA_DIR": str(folder / "data"),
        "SECRET_KEYS": make_secret_key("test"),
        "ALLOWED_URL_SCHEMES": "https,file",
        "LOCAL_ROOTS": str(folder / "sources"),
        "RATE_LIMIT_PER_MINUTE": "0",
        "RATE_LIMIT_PER_HOUR": "0",
        "JOB_RETRY_BASE_SECONDS": "0.2",
        "JOB_RETRY_MAX_SECONDS": "1",
        **more,
    }


def add_project(database: Database, name: str = "Test") -> int:
    """A tenant."""
    with database.write() as session:
        project = Project(name=name)
        session.add(project)
        session.add(User(email=f"{secrets.token_hex(4)}@example.com", first_name="Ada"))
        session.flush()
        return project.id


def add_table(database: Database, project_id: int, **fields: Any) -> UUID:
    """A registered table, as the API would have left it."""
    with database.write() as session:
        table = Table(project_id=project_id, name=f"t_{secrets.token_hex(4)}", **fields)
        session.add(table)
        session.flush()
        return table.id


def see_job(database: Database, job_id: UUID) -> JobView:
    """The job as it stands."""
    with database.read() as session:
        job = session.get_one(Job, job_id)
        attempts = session.query(JobAttempt).filter_by(job_id=job_id).order_by(JobAttempt.number)
        return JobView(
            id=job.id,
            state=JobState(job.state),
            attempt=job.attempt,
            max_attempts=job.max_attempts,
            result=job.result,
            error=job.error,
            worker=job.worker,
            outcomes=tuple(attempt.outcome for attempt in attempts),
        )


def wait_for_end(database: Database, job_id: UUID) -> JobView:
    """The job once it has ended."""
    wait_until(
        lambda: see_job(database, job_id).state.done,
        f"the end of job {job_id}",
        lambda: _rows_about(database, job_id),
    )
    return see_job(database, job_id)


def _rows_about(database: Database, job_id: UUID) -> str:
    """What decides whether a job goes on, for the failure that says it did not."""
    with database.read() as session:
        found: list[object] = [
            session.get_one(Job, job_id),
            *session.query(JobAttempt).filter_by(job_id=job_id),
            *session.query(WorkerPool),
        ]
        rows = [
            {c.name: getattr(row, c.name) for c in inspect(row).mapper.columns} for row in found
        ]
        return "".join(
            f"\n{type(row).__name__} {fields}" for row, fields in zip(found, rows, strict=True)
        )


@contextmanager
def opened(database_url: str) -> Iterator[Database]:
    """A database for the test's own view."""
    database = Database(database_url)
    try:
        yield database
    finally:
        database.dispose()
