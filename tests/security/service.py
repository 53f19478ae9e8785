"""A small running service for the attacks that only a worker meets: web, worker, broker, SQLite."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from servers.service import Web, Worker, service_settings
from servers.valkey import Valkey
from stocktake.services import identity
from tests.support.stack import opened, wait_until

WAIT_SECONDS = 50


def ended(client: httpx.Client, location: str) -> dict[str, Any]:
    """A job once it has ended.

    Args:
        client: relative to a project.
        location: of the job, or its id.
    """
    path = f"jobs/{location.rstrip('/').rpartition('/')[2]}/"
    job: dict[str, Any] = {"done": False}

    def done() -> bool:
        job.update(client.get(path, params={"wait": WAIT_SECONDS}).json())
        return bool(job["done"])

    wait_until(done, f"the end of job {location}")
    return job


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A running service and a customer of it.

    Attributes:
        client: relative to the customer's project.
        api_key: what the client carries.
        folder: holds the database and, in ``sources``, what `file://` tables may name.
    """

    client: httpx.Client
    api_key: str
    folder: Path
    settings: dict[str, str]
    broker: Valkey
    web: Web
    worker: Worker

    @property
    def sources(self) -> Path:
        return self.folder / "sources"

    def ended(self, location: str) -> dict[str, Any]:
        """The job behind a `Location`, or with an id, once it has ended."""
        return ended(self.client, location)

    def register(self, **fields: Any) -> dict[str, Any]:
        """Register a table: its first job, ended."""
        answer = self.client.post("warehouse_tables/", json=fields)
        assert answer.status_code == 201, answer.text
        return self.ended(answer.headers["location"])

    def refresh(self, table_id: str) -> dict[str, Any]:
        """Refresh a table: the job, ended."""
        answer = self.client.post(f"warehouse_tables/{table_id}/refresh_schema/")
        assert answer.status_code == 202, answer.text
        return self.ended(answer.headers["location"])


@contextmanager
def running(
    folder: Path,
    migrated: Path | str,
    variables: Mapping[str, str] | None = None,
    broker_password: str | None = None,
    **settings: str,
) -> Iterator[Service]:
    """A service with its own database and broker.

    Args:
        migrated: a file of SQLite, of which it takes a copy, or the URL of a database of its own.
        broker_password: what the broker asks for, where it asks.
        variables: any other variables that web and worker find on their machine.
        settings: ``STOCKTAKE_*`` without the prefix.
    """
    (folder / "sources").mkdir()
    url = migrated if isinstance(migrated, str) else _copied(migrated, folder)
    with opened(url) as own, own.write() as session:
        project = identity.create_project(session, "Shop").id
        key = identity.create_key(session, [project], ["*"])
    with Valkey() as broker:
        broker_url = broker.url
        if broker_password is not None:
            with broker.client() as own_client:
                own_client.config_set("requirepass", broker_password)
            broker_url = broker_url.replace("//", f"//:{broker_password}@")
        shared = service_settings(url, broker_url, folder, **settings)
        worker, web = Worker(shared), Web(shared)
        worker.variables |= variables or {}
        web.variables |= variables or {}
        with worker, web, httpx.Client(timeout=2 * WAIT_SECONDS) as client:
            client.base_url = httpx.URL(f"{web.url}/api/projects/{project}/")
            client.headers["Authorization"] = f"Bearer {key}"
            yield Service(
                client=client,
                api_key=key,
                folder=folder,
                settings=shared,
                broker=broker,
                web=web,
                worker=worker,
            )


def _copied(migrated: Path, folder: Path) -> str:
    copy = folder / "stocktake.db"
    shutil.copyfile(migrated, copy)
    return f"sqlite:///{copy}"
