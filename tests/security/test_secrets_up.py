"""The secrets of `stocktake up`: in the few files that are for them, and nowhere else.

It makes its own secrets, and is given a customer's; after a life of both kinds of jobs it is
stopped, so that each process has written what it writes at its end.
"""

import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import pytest

from servers.process import PATIENCE_SECONDS
from servers.service import Up
from tests.security.planted import denied, table
from tests.security.searching import canary, found
from tests.support.commands import stocktake
from tests.support.hostile_store import hostile

#: Files of the data directory, and the secrets for which they are there.
FILES = {
    "api_key": {"api key"},
    "secret_key": {"secret key"},
    "broker_password": {"broker password"},
    "flower_password": {"flower password"},
    "broker/url": {"broker password"},
    "broker/valkey.conf": {"broker password"},
}
_SERVICE = {"secret key", "broker password", "metrics token"}
#: Processes by a word of their command, and the secrets that they are given. Not the broker: it
#: writes its title over its environment.
ENVIRONMENTS = {
    "api": _SERVICE,
    "beat": _SERVICE,
    "worker": _SERVICE,
    "a child": _SERVICE - {"metrics token"},
    "workers.flower": {"broker password", "flower password"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Lived:
    """A stack that has ended.

    Attributes:
        temporary: its folder for temporary files.
        environments: of its processes while it lived, by the words of `ENVIRONMENTS`.
    """

    up: Up
    temporary: Path
    secrets: dict[str, bytes]
    environments: dict[str, bytes] = field(default_factory=dict)
    answers: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    up, temporary = Up(tmp_path_factory.mktemp("up")), tmp_path_factory.mktemp("temporary")
    given = {name: canary() for name in ("access key", "access secret", "metrics token")}
    with hostile(denied) as store:
        up.settings |= {
            "LOG_LEVEL": "DEBUG",
            "TRUSTED_ENDPOINTS": store.endpoint,
            "METRICS_TOKEN": given["metrics token"],
        }
        up.variables |= {"TMPDIR": str(temporary)}
        with up:
            lived = Lived(
                up=up,
                temporary=temporary,
                secrets={name: secret.encode() for name, secret in given.items()},
            )
            for name in ("api_key", "secret_key", "broker_password", "flower_password"):
                made = (up.data_dir / name).read_text().strip().rpartition(":")[2]
                lived.secrets[name.replace("_", " ")] = made.encode()
            _live(lived, store.endpoint)
            lived.environments.update(_environments(up))
    return lived


def _live(lived: Lived, endpoint: str) -> None:
    """A table whose keys are refused, and uploads that are taken and that fail."""
    keys = {
        name.replace(" ", "_"): lived.secrets[name].decode()
        for name in ("access key", "access secret")
    }
    with httpx.Client(
        base_url=f"{lived.up.url}/api/projects/@current/",
        headers={"Authorization": f"Bearer {lived.secrets['api key'].decode()}"},
        timeout=PATIENCE_SECONDS,
    ) as client:
        made = client.post(
            "warehouse_tables/", json=table("denied", f"{endpoint}/bucket/*.csv", keys)
        )
        for content in (b"id\n1\n", b""):
            files = {"file": ("a.csv", content)}
            wait = {"Prefer": "wait=50"}
            client.post("warehouse_tables/file/", files=files, headers=wait)
        job = made.headers["location"].rstrip("/").rpartition("/")[2]
        client.get(f"jobs/{job}/", params={"wait": 50})
        for path in ("jobs/", "warehouse_tables/"):
            lived.answers.append(client.get(path).text)
    done = stocktake(
        "doctor", folder=lived.up.folder, settings={"DATA_DIR": str(lived.up.data_dir)}
    )
    lived.answers.extend([done.stdout, done.stderr])


def _environments(up: Up) -> Iterator[tuple[str, bytes]]:
    for process in psutil.Process(up.pid).children(recursive=True):
        parent = process.parent()
        inner = parent is not None and parent.pid != up.pid
        words = {Path(word).name for word in " ".join(process.cmdline()).split()}
        for name in ["a child"] if inner else words & ENVIRONMENTS.keys():
            yield name, Path(f"/proc/{process.pid}/environ").read_bytes()


def test_each_process_has_the_secrets_that_it_needs(lived: Lived) -> None:
    held = {name: set(found(lived.secrets, each)) for name, each in lived.environments.items()}
    assert held == ENVIRONMENTS


def test_secrets_are_in_the_files_that_are_for_them(lived: Lived) -> None:
    files = [file for file in lived.up.data_dir.rglob("*") if file.is_file()]
    held = {
        str(file.relative_to(lived.up.data_dir)): set(found(lived.secrets, file.read_bytes()))
        for file in files
    }
    assert {name: secrets for name, secrets in held.items() if secrets} == FILES
    # what was searched: logs, the database, what Flower and the broker keep, an upload
    for name in ("web", "worker", "clock", "flower", "broker"):
        assert f"logs/{name}.log" in held
    for part in ("stocktake.db", "flower.db", ".incr.aof", "uploads/"):
        assert any(part in name for name in held), part
    for name in ("web", "worker", "clock"):
        assert '"level": "debug"' in (lived.up.data_dir / "logs" / f"{name}.log").read_text()


def test_all_files_are_their_owners_only(lived: Lived) -> None:
    for path in (lived.up.data_dir, *lived.up.data_dir.rglob("*")):
        wanted = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == wanted, path


def test_nothing_is_on_the_terminal_or_left_elsewhere(lived: Lived) -> None:
    assert "ready http://" in lived.up.output()
    assert found(lived.secrets, lived.up.log.read_bytes()) == []
    assert [*lived.temporary.rglob("*")] == []


def test_no_answer_holds_a_secret_or_names_a_folder_of_the_server(lived: Lived) -> None:
    shown = "\n".join(lived.answers)
    assert found(lived.secrets, shown.encode()) == []
    tables_and_jobs = "\n".join(lived.answers[:2])
    assert "managed:///uploads/" in tables_and_jobs
    assert str(lived.up.folder) not in tables_and_jobs
