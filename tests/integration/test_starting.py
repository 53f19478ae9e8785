"""A start that cannot succeed ends with a sentence, in every process alike."""

import sqlite3
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from servers.postgres import Postgres
from servers.process import PATIENCE_SECONDS, free_ports
from servers.service import environment
from stocktake.db.session import Database
from stocktake.monitoring.readiness import Part, look
from tests.support.commands import stocktake
from tests.support.rows import settings_for

PROCESSES = {
    "db upgrade": ("-m", "cli", "db", "upgrade"),
    "web": ("-m", "api"),
    "worker": ("-m", "celery", "-A", "workers", "worker"),
    "clock": ("-m", "celery", "-A", "workers", "beat", "--scheduler", "workers.beat:Clock"),
    "up": ("-m", "cli", "up", "--port", "0"),
}
KEY = "k1:" + "A" * 43 + "="
WRONG = {
    "a key without a name": ({"SECRET_KEYS": "ab" * 32}, "base64url of 32 bytes"),
    "a misspelt name": ({"SECRET_KEYZ": "x"}, "did you mean STOCKTAKE_SECRET_KEYS?"),
    "a number that is none": ({"LEASE_SECONDS": "soon"}, "found 'soon'"),
    "storage without keys": (
        {"MANAGED_STORAGE_URL": "s3://bucket"},
        "needs an access key and a secret",
    ),
    "a file that is not there": ({"METRICS_TOKEN_FILE": "/nowhere"}, "No such file"),
}


def _refused(process: str, folder: Path, settings: dict[str, str]) -> str:
    """What a process that does not start says, and it is no traceback."""
    done = subprocess.run(
        [sys.executable, "-P", *PROCESSES[process]],
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment(settings),
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    return done.stderr


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("process", PROCESSES)
def test_it_ends_with_a_sentence(process: str, wrong: str, tmp_path: Path) -> None:
    settings, sentence = WRONG[wrong]
    said = _refused(process, tmp_path, {"DATABASE_URL": "sqlite:///stocktake.db"} | settings)
    assert sentence in said
    assert not (tmp_path / "stocktake.db").exists()


def _upgrade(url: str, folder: Path) -> str:
    done = stocktake("db", "upgrade", folder=folder, settings={"DATABASE_URL": url})
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize("dialect", ["postgresql"])
def test_what_is_wrong_with_postgresql_is_told(database_url: str, tmp_path: Path) -> None:
    [dead] = free_ports(1)
    url = make_url(database_url)
    for wrong, sentence in (
        (url.set(port=dead, host="127.0.0.1", query={}), "connection refused"),
        (url.set(host="no.such.host.invalid", query={}), "has no address (DNS)"),
        (url.set(database="nobody_made_it"), "`createdb` makes it"),
        (url.set(username="nobody", password="wrong"), "refuses the user or the password"),
    ):
        assert sentence in _upgrade(wrong.render_as_string(hide_password=False), tmp_path)


def test_what_is_wrong_with_sqlite_is_told(tmp_path: Path) -> None:
    assert "cannot be opened" in _upgrade("sqlite:///none/here.db", tmp_path)
    (tmp_path / "text.db").write_text("no database at all, but of some length " * 40)
    assert "is no SQLite database" in _upgrade("sqlite:///text.db", tmp_path)


def test_a_locked_sqlite_is_told(tmp_path: Path) -> None:
    holder = sqlite3.connect(tmp_path / "held.db", isolation_level=None)
    holder.execute("PRAGMA journal_mode=WAL")
    holder.execute("BEGIN IMMEDIATE")
    try:
        assert "is locked" in _upgrade("sqlite:///held.db", tmp_path)
    finally:
        holder.close()


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
@pytest.mark.parametrize("process", ["db upgrade", "web", "worker", "clock"])
def test_another_encoding_ends_the_start(
    process: str, encoding: str, postgres: Postgres, tmp_path: Path
) -> None:
    name = f"encoded_{encoding.lower()}_{process.replace(' ', '_')}"
    with psycopg.connect(postgres.url().replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0")
    url = postgres.url(name)
    try:
        said = _refused(process, tmp_path, {"DATABASE_URL": url, "SECRET_KEYS": KEY})
    finally:
        postgres.drop_database(url)
    assert f"is encoded in {encoding}, and UTF8 is needed" in said
    assert "createdb --encoding=UTF8" in said


class Crowded(Postgres):
    """With room for four, its superuser among them."""

    def command(self) -> list[str]:
        few = ("max_connections=4", "superuser_reserved_connections=0")
        return [*super().command(), *(part for each in few for part in ("-c", each))]


def test_too_many_connections_are_told_by_the_command_line_and_readyz(tmp_path: Path) -> None:
    with Crowded() as server, ExitStack() as held:
        url = server.url()
        database = Database(url)
        held.callback(database.dispose)
        with suppress(psycopg.OperationalError):
            while True:
                held.enter_context(psycopg.connect(url.replace("+psycopg", "")))
        assert "takes no more connections: raise its max_connections" in _upgrade(url, tmp_path)
        seen = look(database, settings_for(url, tmp_path), lambda: None)
        assert "takes no more connections" in seen.reasons[Part.DATABASE]
