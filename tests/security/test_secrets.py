"""Planted secrets, a run at DEBUG through successes and failures, and a search of all that is left.

What is searched: each process's log, each key and value of the broker, the database's file with
its journal, the pages of Flower, the metrics, every answer of the API, and the command lines.
"""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psutil
import pytest
import redis

from stocktake.db.models import Table
from stocktake.security.encryption import make_secret_key
from tests.commands import stocktake
from tests.hostile_store import Answer, Hostile, hostile
from tests.security.service import Service, running
from tests.security.test_flower import Flower
from tests.stack import opened, wait_until

#: Denies everything, and says who asked.
_DENIED = b"<Error><Code>SignatureDoesNotMatch</Code><Message>%s</Message></Error>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """A service with secrets in it.

    Attributes:
        secrets: what must be found nowhere, by what it is.
        answers: the text of each answer.
    """

    service: Service
    flower: Flower
    store: Hostile
    secrets: dict[str, str]
    answers: list[str] = field(default_factory=list)

    def ask(self, verb: str, path: str, **how: Any) -> httpx.Response:
        answer = self.service.client.request(verb, path, **how)
        self.answers.append(f"{answer.headers}\n{answer.text}")
        return answer

    def keys(self, number: int) -> dict[str, str]:
        return {
            "access_key": self.secrets[f"access key {number}"],
            "access_secret": self.secrets[f"access secret {number}"],
        }


def canary() -> str:
    return "CANARY" + secrets.token_hex(12)


@pytest.fixture(scope="module")
def planted(
    tmp_path_factory: pytest.TempPathFactory, migrated_sqlite_file: Path
) -> Iterator[Planted]:
    folder = tmp_path_factory.mktemp("secrets")
    names = ("access key", "access secret")
    hidden = {f"{name} {number}": canary() for name in names for number in (1, 2, 3)}
    hidden |= {name: canary() for name in ("managed secret", "metrics token", "broker password")}
    old, new = make_secret_key("old"), make_secret_key("new")

    def denied(path: str) -> Answer:
        return 403, _DENIED % path.encode(), {}

    with (
        hostile(denied) as store,
        running(
            folder,
            migrated_sqlite_file,
            broker_password=hidden["broker password"],
            LOG_LEVEL="DEBUG",
            SECRET_KEYS=old,
            TRUSTED_ENDPOINTS=store.endpoint,
            METRICS_TOKEN=hidden["metrics token"],
            MANAGED_STORAGE_URL="s3://ours",
            MANAGED_STORAGE_ENDPOINT=store.endpoint,
            MANAGED_STORAGE_ACCESS_KEY="ours",
            MANAGED_STORAGE_ACCESS_SECRET=hidden["managed secret"],
        ) as service,
        Flower(service.settings["BROKER_URL"]) as flower,
    ):
        hidden |= {"secret key": old.partition(":")[2], "new secret key": new.partition(":")[2]}
        hidden |= {"api key": service.api_key}
        planted = Planted(service=service, flower=flower, store=store, secrets=hidden)
        live(planted, new)
        yield planted


def live(planted: Planted, new_key: str) -> None:
    """What a customer may do well and badly, and an operator after it."""
    service, url = planted.service, f"{planted.store.endpoint}/bucket/x/*.csv"
    (service.sources / "good.csv").write_text("id\n1\n")
    good = planted.ask(
        "POST", "warehouse_tables/", json=table("good", f"file://{service.sources}/good.csv")
    )
    service.ended(good.headers["location"])
    # keys that the store refuses, changed for others that it refuses, and asked for again
    made = planted.ask("POST", "warehouse_tables/", json=table("denied", url, planted.keys(1)))
    assert service.ended(made.headers["location"])["state"] == "failed"
    path = f"warehouse_tables/{made.json()['id']}/"
    changed = planted.ask("PATCH", path, json={"credential": planted.keys(2)})
    assert changed.status_code == 200, changed.text
    assert service.refresh(made.json()["id"])["state"] == "failed"
    # bodies that are refused: a key in a wrong place, too long, of a wrong type, cut off
    keys, refused = planted.keys(3), (400, 401, 422)
    for body in (
        table("x", url, keys | {"session_token": keys["access_secret"]}) | {"name": ""},
        table(
            "x",
            url,
            {"access_key": keys["access_key"], "access_secret": keys["access_secret"] * 50},
        ),
        table(
            "x", url, {"access_key": [keys["access_key"]], "access_secret": keys["access_secret"]}
        ),
        table("x", f"https://{keys['access_key']}:{keys['access_secret']}@s3.amazonaws.com/b/k"),
        table("x", f"https://s3.amazonaws.com/b/k?X-Amz-Signature={keys['access_secret']}"),
        table("x", f"http://evil.example/{keys['access_secret']}"),
        keys["access_secret"],
        [keys],
    ):
        assert planted.ask("POST", "warehouse_tables/", json=body).status_code in refused
    cut = b'{"credential": {"access_secret": "' + keys["access_secret"].encode()
    assert planted.ask("POST", "warehouse_tables/", content=cut).status_code in refused
    # keys where no key belongs, and ones that are none
    wrong = planted.secrets["api key"][:-4] + "aaaa"
    planted.secrets["wrong api key"] = wrong
    for header in (f"Bearer {wrong}", f"Basic {wrong}", wrong):
        answer = planted.ask("GET", "jobs/", headers={"Authorization": header})
        assert answer.status_code == 401
    planted.ask("GET", "jobs/", params={"personal_api_key": planted.secrets["api key"]})
    # managed storage that refuses, and a read that crashes
    upload = planted.ask("POST", "warehouse_tables/file/", files={"file": ("a.csv", b"id\n1\n")})
    assert upload.status_code >= 400
    crash(planted, UUID(made.json()["id"]))
    # the operator's commands
    keys_of_both = f"{new_key},{service.settings['SECRET_KEYS']}"
    done = stocktake(
        *("keys", "rotate-secrets"),
        folder=service.folder,
        settings=service.settings | {"SECRET_KEYS": keys_of_both},
    )
    assert done.returncode == 0, done.stderr
    doctor = stocktake("doctor", folder=service.folder, settings=service.settings)
    planted.answers.extend([done.stdout, done.stderr, doctor.stdout, doctor.stderr])
    # the rotated keys are unknown to the running worker
    assert service.refresh(made.json()["id"])["error"]["code"] == "credential_unavailable"


def table(name: str, url: str, keys: dict[str, Any] | None = None) -> dict[str, Any]:
    body: dict[str, Any] = {"name": name, "format": "CSVWithNames", "url_pattern": url}
    return body if keys is None else body | {"credential": keys}


def crash(planted: Planted, table_id: UUID) -> None:
    """A job that ends by something unforeseen, with a traceback in the log."""
    with opened(planted.service.settings["DATABASE_URL"]) as database:
        with database.write() as session:
            session.get_one(Table, table_id).columns = [{"not": "a column"}]
        job = planted.service.refresh(str(table_id))
        assert job["error"]["code"] == "internal"
        with database.write() as session:
            session.get_one(Table, table_id).columns = []


def assert_clean(planted: Planted, where: str, text: str) -> None:
    found = [name for name, secret in planted.secrets.items() if secret in text]
    assert found == [], f"{where} holds: {found}"


def test_logs(planted: Planted) -> None:
    for process in (planted.service.web, planted.service.worker, planted.flower):
        assert_clean(planted, process.name, process.log_text())
    for process in (planted.service.web, planted.service.worker):
        assert '"level": "debug"' in process.log_text()
    assert "Traceback" in planted.service.worker.log_text()


def test_answers(planted: Planted) -> None:
    for path in ("jobs/", "warehouse_tables/", "audit_log/", "../../users/@me/"):
        planted.ask("GET", path)
    for job in planted.service.client.get("jobs/").json()["results"]:
        planted.ask("GET", f"jobs/{job['id']}/")
    assert len(planted.answers) > 20
    for answer in planted.answers:
        assert_clean(planted, answer[:2000], answer)


def test_pages(planted: Planted) -> None:
    token = {"Authorization": f"Bearer {planted.secrets['metrics token']}"}
    for path in ("/metrics", "/docs", "/api/schema/", "/healthz", "/readyz", "/nowhere"):
        answer = httpx.get(f"{planted.service.web.url}{path}", headers=token)
        assert answer.status_code in (200, 404, 503)
        assert_clean(planted, path, f"{answer.headers}{answer.text}")


def test_the_broker(planted: Planted) -> None:
    with redis.Redis.from_url(planted.service.settings["BROKER_URL"]) as broker:
        keys = list(broker.scan_iter())
        assert keys
        for key in keys:
            assert_clean(planted, str(key), f"{key!r} {broker.dump(key)!r}")
    for file in planted.service.broker.folder.rglob("*.aof"):
        written = file.read_bytes().decode("latin-1")
        assert "refresh_schema" in written
        assert_clean(planted, file.name, written)


def test_the_database(planted: Planted) -> None:
    files = list(planted.service.folder.glob("stocktake.db*"))
    held = {file.name: file.read_bytes().decode("latin-1") for file in files}
    assert any("denied" in text for text in held.values())
    for name, text in held.items():
        assert_clean(planted, name, text)


def test_flower(planted: Planted) -> None:
    login = httpx.BasicAuth("ada", "pass:word")
    with httpx.Client(base_url=planted.flower.url, auth=login, timeout=30) as client:
        wait_until(lambda: "refresh_schema" in client.get("/api/tasks").text, "Flower's tasks")
        pages = ["/", "/workers", "/tasks", "/broker", "/api/workers?refresh=1", "/api/tasks"]
        pages += [f"/task/{task}" for task in client.get("/api/tasks").json()]
        pages += [f"/worker/{planted.service.worker.node}", "/metrics"]
        for page in pages:
            assert_clean(planted, page, client.get(page).text)


def test_command_lines(planted: Planted) -> None:
    parts = (planted.service.web, planted.service.worker, planted.flower, planted.service.broker)
    for part in parts:
        process = psutil.Process(part.pid)
        for each in (process, *process.children(recursive=True)):
            assert_clean(planted, part.name, " ".join(each.cmdline()))
