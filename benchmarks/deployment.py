"""The service as it runs in production, for one benchmark: web, workers, clock, broker, database.

The processes are those of `servers`, which the acceptance tests start too: a benchmark of other
processes than the tested ones would prove nothing.
"""

import json
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, select

from benchmarks.load import Plan, post_all
from benchmarks.options import DatabaseKind, Options
from servers.postgres import DurablePostgres
from servers.process import HOST
from servers.proxy import Proxy
from servers.service import Clock, Web, service_settings
from servers.valkey import Valkey
from stocktake.db import migrate
from stocktake.db.models import Job, Table
from stocktake.db.session import Database
from stocktake.schema.formats import TableFormat
from stocktake.services import identity
from stocktake.states import UNDONE, JobState

#: A benchmark that waits longer for its jobs is broken, not slow.
_PATIENCE_SECONDS: Final = 120.0
_LOG_BYTES: Final = 4000
#: A pace that nobody keeps.
_AT_ONCE: Final = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A running service, and the way into it.

    Attributes:
        proxy: between broker and service; made for every deployment, used where asked for.
        sources: the folder that ``file://`` tables may read.
        folder: of this deployment, with one of each process; where its log is.
        key: an API key with all scopes.
        settings: what all processes share, ``STOCKTAKE_*`` without the prefix.
    """

    database: Database
    broker: Valkey
    proxy: Proxy
    web: Web
    project_id: int
    key: str
    folder: Path
    sources: Path
    settings: dict[str, str]

    def place(self, name: str) -> Path:
        """Return a new folder for a process, which stays until the deployment ends."""
        return _place(self.folder, name)

    def register(self, urls: Sequence[str], kind: TableFormat) -> list[UUID]:
        """Put table rows in, as the API would have left them, one for each URL."""
        with self.database.write() as session:
            tables = [
                Table(
                    project_id=self.project_id,
                    name=f"{kind.value.lower()}_{number}_{time.time_ns()}",
                    format=kind.value,
                    url_pattern=url,
                    options={"validate": False} if kind.facts.inferred else {},
                )
                for number, url in enumerate(urls)
            ]
            session.add_all(tables)
            session.flush()
            return [table.id for table in tables]

    def pace(self, table_ids: Sequence[UUID], at_most: float) -> float:
        """Return how many POSTs a second make no queue by themselves on this machine, as busy as it
        is now.

        Half of what the web process answers where all are due at once, beside workers and all
        else; what then waits has met a stall.
        """
        answers = post_all(self.refreshes(table_ids, per_second=_AT_ONCE))
        self.drain()
        seconds = max(answer.latency_ms for answer in answers) / 1000
        return min(at_most, len(answers) / seconds / 2)

    def refreshes(self, table_ids: Sequence[UUID], per_second: float) -> Plan:
        """Plan one POST ``refresh_schema`` for each table."""
        tables = f"/api/projects/{self.project_id}/warehouse_tables"
        return Plan(
            host=HOST,
            port=self.web.port,
            key=self.key,
            paths=[f"{tables}/{table_id}/refresh_schema/" for table_id in table_ids],
            per_second=per_second,
        )

    def post(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send one POST below the project, and return the JSON of its answer."""
        request = urllib.request.Request(
            f"{self.web.url}/api/projects/{self.project_id}/{path}",
            data=json.dumps(body or {}).encode(),
            headers={"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"},
            method="POST",
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            content: dict[str, Any] = json.load(answer)
            return content

    def drain(self) -> None:
        """Wait until no job is queued or running.

        Raises:
            TimeoutError: for two minutes none ended, and none was added.
        """
        while left := self.count_jobs(*UNDONE):
            wait_until(partial(self._has_others_than, left), f"the end of one of {left} jobs")

    def _has_others_than(self, count: int) -> bool:
        """Return whether the number has changed: a batch's one job adds many before the first of
        them ends.
        """
        return self.count_jobs(*UNDONE) != count

    def wait_for_end(self, job_id: UUID) -> None:
        """Wait until this job has ended, in whatever way.

        Raises:
            TimeoutError: it did not.
        """
        wait_until(partial(self._has_ended, job_id), f"the end of job {job_id}")

    def _has_ended(self, job_id: UUID) -> bool:
        with self.database.read() as session:
            return JobState(session.get_one(Job, job_id).state).done

    def count_jobs(self, *states: str) -> int:
        """Return how many jobs are in one of these states."""
        with self.database.read() as session:
            statement = select(func.count()).select_from(Job).where(Job.state.in_(states))
            return session.scalars(statement).one()


@contextmanager
def deployed(options: Options, *, proxied: bool = False, **more: str) -> Iterator[Deployment]:
    """Start web, clock, broker and database in a new folder, with a project and a key.

    Workers are for the benchmark to start: what they do is what differs.

    Args:
        proxied: whether the service reaches its broker through `Deployment.proxy`.
        more: settings beside the defaults, without their prefix.
    """
    with ExitStack() as started:
        folder = Path(started.enter_context(tempfile.TemporaryDirectory(prefix="stocktake-bench-")))
        sources = folder / "sources"
        sources.mkdir()
        url = new_database(options.database, folder, started)
        migrate.upgrade(url)
        broker = started.enter_context(Valkey(_place(folder, "broker")))
        proxy = started.enter_context(Proxy(broker.port))
        broker_url = f"redis://{HOST}:{proxy.port}/0" if proxied else broker.url
        database = Database(url)
        started.callback(database.dispose)
        settings = service_settings(url, broker_url, folder, **more)
        with database.write() as session:
            project_id = identity.create_project(session, "Benchmark").id
            key = identity.create_key(session, [project_id], ["*"])
        web = started.enter_context(Web(settings, _place(folder, "web")))
        started.enter_context(Clock(settings, _place(folder, "clock")))
        started.enter_context(_telling_of_logs(folder))
        yield Deployment(
            database=database,
            broker=broker,
            proxy=proxy,
            web=web,
            project_id=project_id,
            key=key,
            folder=folder,
            sources=sources,
            settings=settings,
        )


def _place(folder: Path, name: str) -> Path:
    return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=folder))


@contextmanager
def _telling_of_logs(folder: Path) -> Iterator[None]:
    """Add the ends of all logs to an error: the folder is about to be removed."""
    try:
        yield
    except Exception as exc:
        for log in sorted(folder.glob("*/server.log")):
            end = log.read_bytes()[-_LOG_BYTES:].decode(errors="replace")
            exc.add_note(f"{log.parent.name} ended its log with:\n{end}")
        raise


def new_database(kind: DatabaseKind, folder: Path, started: ExitStack) -> str:
    """Return the URL of a database that lives as long as `started`."""
    if kind == "sqlite":
        return f"sqlite:///{folder / 'stocktake.db'}"
    return started.enter_context(DurablePostgres()).create_database()


def wait_until(condition: Callable[[], bool], what: str, poll_seconds: float = 0.02) -> None:
    """Ask until it holds.

    Raises:
        TimeoutError: it never did.
    """
    give_up_at = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > give_up_at:
            raise TimeoutError(f"{what} did not come within {_PATIENCE_SECONDS:g} s")
        time.sleep(poll_seconds)
