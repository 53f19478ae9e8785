"""Fixtures shared by all tests: real servers, started on first use, and databases on them.

All that the run and its processes leave in the folder for temporary files goes into one of the
run's own, which goes with it.

A test that changes a server's health (kills, freezes) starts one of its own from ``servers``;
the ones here are shared over the whole run.
"""

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
import structlog
from hypothesis import HealthCheck, settings

from servers.postgres import Postgres
from servers.seaweedfs import SeaweedFS
from servers.valkey import Valkey
from tests.stores.servers import Rclone
from tests.support.azurite import Azurite
from tests.support.emptied import EmptiedDatabases

#: The running service, for the acceptance and the fault tests.
pytest_plugins = ["tests.support.harness"]

RUN_FOLDER = pytest.StashKey[Path]()

Dialect = Literal["sqlite", "postgresql"]
TEMPLATE = "stocktake_template"


def pytest_configure(config: pytest.Config) -> None:
    """Give the run a folder for temporary files: chdb, killed servers and others leave theirs.

    The workers of xdist and all children inherit it. Pytest's own, which stays after a failure,
    is where it always was.
    """
    # Hypothesis would fail an example that takes 200 ms, which any does on a busy machine. The same
    # examples each time, so that a failure is the change's; a long run of fuzz draws new ones.
    settings.register_profile(
        "patient",
        deadline=None,
        derandomize="STOCKTAKE_FUZZ_EXAMPLES" not in os.environ,
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile("patient")
    # By default `rich` draws a traceback with all local values, which takes seconds for each.
    *others, _ = structlog.get_config()["processors"]
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*others, plain])
    if hasattr(config, "workerinput"):
        return
    usual = tempfile.gettempdir()
    folder = config.stash[RUN_FOLDER] = Path(tempfile.mkdtemp(prefix="stocktake-tests-"))
    folder.chmod(0o711)  # a PostgreSQL that runs as nobody has its folder in it
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", usual)


def pytest_unconfigure(config: pytest.Config) -> None:
    if folder := config.stash.get(RUN_FOLDER, None):
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def valkey() -> Iterator[Valkey]:
    """A running broker, shared over the run: use queue names of your own."""
    with Valkey() as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A running PostgreSQL cluster, shared over the run: take a database of your own."""
    with Postgres() as server:
        yield server


@pytest.fixture(scope="session")
def s3() -> Iterator[SeaweedFS]:
    """A running S3-compatible store, shared over the run: take a bucket of your own."""
    with SeaweedFS() as server:
        yield server


@pytest.fixture(scope="session")
def rclone() -> Iterator[Rclone]:
    """A running store that ignores `If-None-Match`; take a bucket of your own."""
    with Rclone() as server:
        yield server


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """A running emulator of Azure's storage, shared over the run: take a container of your own."""
    if why := Azurite.missing():
        pytest.skip(why)
    with Azurite() as server:
        yield server


@pytest.fixture
def azures_name(azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> None:
    """For this process Azure's host is the emulator, and its certificate is good."""
    resolve = socket.getaddrinfo

    def local(host: Any, *others: Any, **more: Any) -> Any:
        return resolve("127.0.0.1" if host == azurite.host else host, *others, **more)

    monkeypatch.setattr(socket, "getaddrinfo", local)
    monkeypatch.setenv("SSL_CERT_FILE", str(azurite.certificate.authority))


@pytest.fixture
def bucket(s3: SeaweedFS) -> str:
    """A new bucket on the store."""
    return s3.bucket()


@pytest.fixture(params=["sqlite", "postgresql"])
def dialect(request: pytest.FixtureRequest) -> Dialect:
    """The database under a test; a test that names it narrows the run with ``parametrize``."""
    chosen: Dialect = request.param
    return chosen


@pytest.fixture
def database_url(dialect: Dialect, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """A new, empty database: once a file of SQLite, once one on PostgreSQL."""
    if dialect == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    server: Postgres = request.getfixturevalue("postgres")
    url = server.create_database()
    yield url
    server.drop_database(url)


@pytest.fixture
def migrated_database_url(
    dialect: Dialect, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[str]:
    """An empty database at the newest revision: a copy of one that was migrated once a run."""
    if dialect == "sqlite":
        copy = tmp_path / "migrated.db"
        shutil.copyfile(request.getfixturevalue("migrated_sqlite_file"), copy)
        yield f"sqlite:///{copy}"
        return
    databases: EmptiedDatabases = request.getfixturevalue("migrated_postgres_databases")
    url = databases.take()
    yield url
    databases.give_back(url)


@pytest.fixture(scope="session")
def migrated_sqlite_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that was migrated once; copy it, never write it."""
    from stocktake.db import migrate

    file = tmp_path_factory.mktemp("template") / "migrated.db"
    migrate.upgrade(f"sqlite:///{file}")
    return file


@pytest.fixture(scope="session")
def migrated_postgres_template(postgres: Postgres) -> str:
    """The name of a database that was migrated once; clone it, never connect to it."""
    from stocktake.db import migrate

    migrate.upgrade(postgres.create_database(name=TEMPLATE))
    return TEMPLATE


@pytest.fixture(scope="session")
def migrated_postgres_databases(
    postgres: Postgres, migrated_postgres_template: str
) -> EmptiedDatabases:
    """Copies of the template, emptied after each test."""
    return EmptiedDatabases(postgres, migrated_postgres_template)
