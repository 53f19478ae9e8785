"""What the attacks are aimed at: the API over a socket, and a web process of its own."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from servers.service import Web, service_settings
from stocktake.services import identity
from tests.integration.api.conftest import (
    anonymous,
    claim_job,
    client,
    connect,
    database,
    finish_job,
    make_job,
    make_key,
    make_table,
    other_project,
    plain_settings,
    project_id,
    serve,
    served,
    settings,
)
from tests.support.stack import opened

__all__ = [
    "anonymous",
    "claim_job",
    "client",
    "connect",
    "database",
    "finish_job",
    "make_job",
    "make_key",
    "make_table",
    "other_project",
    "plain_settings",
    "project_id",
    "serve",
    "served",
    "settings",
]

StartWeb = Callable[..., Web]


@pytest.fixture(scope="module")
def start_web(
    tmp_path_factory: pytest.TempPathFactory, migrated_sqlite_file: Path
) -> Iterator[StartWeb]:
    """Start a web process: `start_web(MAX_CONNECTIONS="3")`. No broker answers, none is needed."""
    started: list[Web] = []

    def start(variables: Mapping[str, str] | None = None, **settings: str) -> Web:
        folder = tmp_path_factory.mktemp("web")
        database = folder / "stocktake.db"
        shutil.copyfile(migrated_sqlite_file, database)
        broker = "redis://127.0.0.1:9/0"  # the discard port: nothing listens
        url = f"sqlite:///{database}"
        started.append(Web(service_settings(url, broker, folder, **settings), folder))
        started[-1].variables |= variables or {}
        return started[-1].start()

    yield start
    for web in started:
        web.stop()


@pytest.fixture(scope="module")
def add_key() -> Callable[[Web], tuple[int, str]]:
    """A new project of a web process, and a key for it."""

    def add(web: Web) -> tuple[int, str]:
        with opened(web.settings["DATABASE_URL"]) as database, database.write() as session:
            project = identity.create_project(session, "Bakery")
            return project.id, identity.create_key(session, [project.id], ["*"])

    return add
