"""A service at DEBUG with secrets in it, after a life of successes and failures."""

import base64
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx

from servers.service import Clock, ServiceProcess
from stocktake.db.models import Table
from stocktake.security.encryption import make_secret_key
from tests.security.searching import canary
from tests.security.service import Service, running
from tests.security.test_flower import Flower
from tests.support.commands import stocktake
from tests.support.hostile_store import Answer, Hostile, hostile
from tests.support.stack import opened

#: Denies everything, and says who asked.
_DENIED = b"<Error><Code>SignatureDoesNotMatch</Code><Message>%s</Message></Error>"
IDEMPOTENCY_KEY = b"planted-once"


class LoudFlower(Flower):
    """Flower, which has a log level of its own."""

    def command(self) -> list[str]:
        return [*super().command(), "--logging=debug"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """A running service with secrets in it.

    Attributes:
        secrets: what must be found nowhere, by what it is; but for settings in environments.
        answers: what the API and the commands said.
        temporary: the folder for temporary files of all its processes.
    """

    service: Service
    clock: Clock
    flower: Flower
    store: Hostile
    secrets: dict[str, bytes]
    temporary: Path
    answers: list[str] = field(default_factory=list)

    @property
    def processes(self) -> tuple[ServiceProcess, ...]:
        return self.service.web, self.service.worker, self.clock, self.flower

    def ask(self, verb: str, path: str, **how: Any) -> httpx.Response:
        answer = self.service.client.request(verb, path, **how)
        self.answers.append(f"{answer.headers}\n{answer.text}")
        return answer

    def command(self, *arguments: str, **settings: str) -> None:
        """Run one of the operator's."""
        mine = self.service.settings | settings
        done = stocktake(*arguments, folder=self.service.folder, settings=mine)
        self.answers.extend([done.stdout, done.stderr])

    def keys(self, number: int) -> dict[str, str]:
        return {
            "access_key": self.secrets[f"access key {number}"].decode(),
            "access_secret": self.secrets[f"access secret {number}"].decode(),
        }


def denied(path: str) -> Answer:
    return 403, _DENIED % path.encode(), {}


def secret_key(name: str) -> dict[str, bytes]:
    """A secret key as its setting has it, and the bytes that it stands for."""
    encoded = make_secret_key(name).partition(":")[2].encode()
    raw = base64.urlsafe_b64decode(encoded + b"=" * (-len(encoded) % 4))
    return {f"{name} secret key": encoded, f"{name} secret key as bytes": raw}


@contextmanager
def planted_service(folder: Path, migrated: Path | str) -> Iterator[Planted]:
    """A service after its life.

    Args:
        migrated: see `running`.
    """
    names = ("access key", "access secret")
    plain = [f"{name} {number}" for name in names for number in (1, 2, 3)]
    plain += ["managed secret", "metrics token", "broker password", "cloud secret"]
    plain += ["shared access", "account key", "private key", "client secret"]
    hidden = {name: canary().encode() for name in plain} | secret_key("old") | secret_key("new")
    if isinstance(migrated, str):
        hidden["database password"] = (httpx.URL(migrated).password or "").encode()
    temporary = folder / "temporary"
    temporary.mkdir()
    variables = {"TMPDIR": str(temporary), "AWS_SECRET_ACCESS_KEY": _text(hidden, "cloud secret")}
    with ExitStack() as running_parts:
        store = running_parts.enter_context(hostile(denied))
        service = running_parts.enter_context(
            running(
                folder,
                migrated,
                variables,
                broker_password=_text(hidden, "broker password"),
                LOG_LEVEL="DEBUG",
                SECRET_KEYS=f"old:{_text(hidden, 'old secret key')}",
                TRUSTED_ENDPOINTS=f"{store.endpoint},{azures(store)}",
                METRICS_TOKEN=_text(hidden, "metrics token"),
                MANAGED_STORAGE_URL="s3://ours",
                MANAGED_STORAGE_ENDPOINT=store.endpoint,
                MANAGED_STORAGE_ACCESS_KEY="ours",
                MANAGED_STORAGE_ACCESS_SECRET=_text(hidden, "managed secret"),
            )
        )
        clock, flower = Clock(service.settings), LoudFlower(service.settings["BROKER_URL"])
        for process in (clock, flower):
            process.variables |= variables
            running_parts.enter_context(process)
        planted = Planted(
            service=service,
            clock=clock,
            flower=flower,
            store=store,
            secrets=hidden | {"api key": service.api_key.encode()},
            temporary=temporary,
        )
        live(planted)
        yield planted


def _text(hidden: Mapping[str, bytes], name: str) -> str:
    return hidden[name].decode()


def table(name: str, url: str, keys: Mapping[str, Any] | None = None) -> dict[str, Any]:
    body: dict[str, Any] = {"name": name, "format": "CSVWithNames", "url_pattern": url}
    return body if keys is None else body | {"credential": keys}


def live(planted: Planted) -> None:
    """What a customer may do well and badly, and an operator after it."""
    service, url = planted.service, f"{planted.store.endpoint}/bucket/x/*.csv"
    (service.sources / "good.csv").write_text("id\n1\n")
    good = planted.ask(
        "POST", "warehouse_tables/", json=table("good", f"file://{service.sources}/good.csv")
    )
    service.ended(good.headers["location"])
    # keys that the store refuses, changed for others that it refuses, and asked for again
    body = table("denied", url, planted.keys(1))
    once = {"Idempotency-Key": IDEMPOTENCY_KEY.decode()}
    made = planted.ask("POST", "warehouse_tables/", json=body, headers=once)
    assert service.ended(made.headers["location"])["state"] == "failed"
    again = planted.ask("POST", "warehouse_tables/", json=body, headers=once)
    assert again.headers["idempotent-replayed"] == "true"
    path = f"warehouse_tables/{made.json()['id']}/"
    changed = planted.ask("PATCH", path, json={"credential": planted.keys(2)})
    assert changed.status_code == 200, changed.text
    assert service.refresh(made.json()["id"])["state"] == "failed"
    _send_each_kind(planted, url)
    _send_what_is_refused(planted, url)
    # managed storage that refuses, and crashes in the worker and in the web process
    upload = planted.ask("POST", "warehouse_tables/file/", files={"file": ("a.csv", b"id\n1\n")})
    assert upload.status_code >= 400
    _crash(planted, made.json()["id"])
    # the operator's commands; rotated keys are unknown to the running worker
    old, new = (_text(planted.secrets, f"{name} secret key") for name in ("old", "new"))
    planted.command("keys", "rotate-secrets", SECRET_KEYS=f"new:{new},old:{old}")
    planted.command("doctor")
    planted.command("audit-log")
    assert service.refresh(made.json()["id"])["error"]["code"] == "credential_unavailable"
    for job in service.client.get("jobs/").json()["results"]:
        planted.ask("GET", f"jobs/{job['id']}/")
    me = f"{service.web.url}/api/users/@me/"
    for path in ("jobs/", "warehouse_tables/", "audit_log/", "keys/", me):
        assert planted.ask("GET", path).status_code == 200


def azures(store: Hostile) -> str:
    """The same store, trusted under another name as one that speaks Azure's protocol."""
    return f"azure+http://localhost:{store.server_port}"


def _send_each_kind(planted: Planted, url: str) -> None:
    """Every kind of Azure's secrets, refused by the store; and some that no store takes."""
    names = ("shared access", "account key", "private key", "client secret")
    hidden = {name: _text(planted.secrets, name) for name in names}
    azure = f"{azures(planted.store).removeprefix('azure+')}/acc/lake/x/*.csv"
    account_key = base64.b64encode(hidden["account key"].encode()).decode()
    client = "0f0e0d0c-1111-2222-3333-444455556666"
    service_account = f'{{"type": "service_account", "private_key": "{hidden["private key"]}"}}'
    for number, (where, key, secret, code) in enumerate(
        (
            (azure, "acc", f"?sv=2024-11-04&sig={hidden['shared access']}", "access_denied"),
            (azure, "acc", account_key, "access_denied"),
            (azure, "acc", f"AccountName=acc;AccountKey={account_key}", "access_denied"),
            (azure, "acc", f"AccountName=no;AccountKey={account_key}", "wrong_key_kind"),
            (url, "acc", f"sv=2024-11-04&sig={hidden['shared access']}", None),
            (url, "x", service_account, None),
            (url, f"{client}@tenant.example", hidden["client secret"], None),
        )
    ):
        keys = {"access_key": key, "access_secret": secret}
        made = planted.ask("POST", "warehouse_tables/", json=table(f"kind_{number}", where, keys))
        if code is None:  # known by its form alone
            assert (made.status_code, made.json()["code"]) == (400, "wrong_key_kind"), number
            continue
        job = planted.service.ended(made.headers["location"])
        assert job["error"]["code"] == code, (number, job)


def _send_what_is_refused(planted: Planted, url: str) -> None:
    """A key in a wrong place, too long, of a wrong type, cut off; and keys that are none."""
    keys, refused = planted.keys(3), (400, 401, 422)
    key, secret = keys["access_key"], keys["access_secret"]
    for body in (
        table("x", url, keys | {"session_token": secret}) | {"name": ""},
        table("x", url, {"access_key": key, "access_secret": secret * 50}),
        table("x", url, {"access_key": [key], "access_secret": secret}),
        table("x", f"https://{key}:{secret}@s3.amazonaws.com/b/k"),
        table("x", f"https://s3.amazonaws.com/b/k?X-Amz-Signature={secret}"),
        table("x", f"http://evil.example/{secret}"),
        secret,
        [keys],
    ):
        assert planted.ask("POST", "warehouse_tables/", json=body).status_code in refused
    cut = b'{"credential": {"access_secret": "' + secret.encode()
    assert planted.ask("POST", "warehouse_tables/", content=cut).status_code in refused
    own = planted.service.api_key
    wrong = own[:4] + own[:3:-1]
    planted.secrets["wrong api key"] = wrong.encode()
    for header in (f"Bearer {wrong}", f"Basic {wrong}", wrong):
        answer = planted.ask("GET", "jobs/", headers={"Authorization": header})
        assert answer.status_code == 401
    planted.ask("GET", "jobs/", params={"personal_api_key": own})


def _crash(planted: Planted, table_id: str) -> None:
    """End a job and a request by something unforeseen, with a traceback in the log of each."""
    with opened(planted.service.settings["DATABASE_URL"]) as database:
        with database.write() as session:
            table = session.get_one(Table, UUID(table_id))
            table.columns, table.options = [{"not": "a column"}], ["no options"]  # type: ignore[assignment]
        ended = planted.service.refresh(table_id)
        assert ended["error"]["code"] == "internal", ended
        body = {"credential": planted.keys(2)}
        crashed = planted.ask("PATCH", f"warehouse_tables/{table_id}/", json=body)
        assert crashed.status_code == 500
        with database.write() as session:
            table = session.get_one(Table, UUID(table_id))
            table.columns, table.options = [], {}
