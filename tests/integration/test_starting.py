"""A start that cannot succeed ends with a sentence, in every process alike."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import make_url

from tests.commands import environment, stocktake
from tests.processes import PATIENCE_SECONDS
from tests.servers import free_ports

PROCESSES = {
    "db upgrade": ("-m", "stocktake.cli", "db", "upgrade"),
    "web": ("-m", "api"),
    "worker": ("-m", "celery", "-A", "workers", "worker"),
    "clock": ("-m", "celery", "-A", "workers", "beat", "--scheduler", "workers.clock:Clock"),
    "up": ("-m", "stocktake.cli", "up", "--port", "0"),
}
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


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("process", PROCESSES)
def test_it_ends_with_a_sentence(process: str, wrong: str, tmp_path: Path) -> None:
    settings, sentence = WRONG[wrong]
    done = subprocess.run(
        [sys.executable, "-P", *PROCESSES[process]],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment({"DATABASE_URL": "sqlite:///stocktake.db"} | settings),
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
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
