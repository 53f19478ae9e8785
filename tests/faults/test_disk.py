"""The disk takes no more, under the database or under uploads: refused with a 503, nothing is
damaged, and it goes on by itself once there is room."""

import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from uuid import UUID

import pytest

from servers.scripted_store import ScriptedStore
from servers.service import Worker
from stocktake.db.session import Database
from stocktake.monitoring.readiness import Part, look
from tests.conftest import Dialect
from tests.faults.client import Client
from tests.faults.oracle import Oracle
from tests.faults.sources import DeltaSource
from tests.support.commands import stocktake
from tests.support.harness import Stack
from tests.support.rows import settings_for
from tests.support.stack import add_table, see_job, wait_until

DISK_BYTES = 24 * 1024**2
FILLER = "filler"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "none", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("needs the right to mount a small file system: run it as root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> None:
    """Leave no byte free, and prove it."""
    with (disk / FILLER).open("wb", buffering=0) as filler, suppress(OSError):
        while True:
            filler.write(b"\0" * 4096)
    assert shutil.disk_usage(disk).free == 0


def free(disk: Path) -> None:
    (disk / FILLER).unlink()


class TestDatabase:
    """SQLite on the small disk, everything else elsewhere."""

    @pytest.fixture(params=["sqlite"])
    def dialect(self, request: pytest.FixtureRequest) -> Dialect:
        chosen: Dialect = request.param
        return chosen

    @pytest.fixture
    def migrated_database_url(self, disk: Path, migrated_sqlite_file: Path) -> str:
        file = disk / "stocktake.db"
        shutil.copyfile(migrated_sqlite_file, file)
        return f"sqlite:///{file}"

    def test_a_full_disk_damages_nothing(
        self,
        disk: Path,
        stack: Stack,
        client: Client,
        oracle: Oracle,
        tables: dict[UUID, DeltaSource],
        store: ScriptedStore,
    ) -> None:
        held = add_table(
            stack.database,
            stack.project_id,
            format="Delta",
            url_pattern=store.url("held"),
            options={"public": True},
        )
        job = client.refresh(held).job
        assert job is not None
        store.wait_for_request()
        fill(disk)
        store.release()
        wait_until(lambda: bool(stack.logged("attempt_end_not_written")), "a result without room")
        refused = [
            client.change(table, name=f"renamed_{number}") for number, table in enumerate(tables)
        ]
        assert all(sent.put_off for sent in refused), refused
        assert client.job(job)["state"] == "running"  # reading goes on
        assert integrity(disk) == "ok"
        free(disk)
        for sent in refused:
            client.insist(sent)

        # There is no such table in the store.
        oracle.check(allowed={503}, failures={"source_not_found"})
        assert integrity(disk) == "ok"


def test_a_full_disk_is_told_by_the_command_line_and_readyz(
    disk: Path, migrated_sqlite_file: Path, tmp_path: Path
) -> None:
    """It is refused in two ways: the first connection finds no room for the index of SQLite's log,
    a later one none for the log."""
    file = disk / "stocktake.db"
    shutil.copyfile(migrated_sqlite_file, file)
    url = f"sqlite:///{file}"
    database = Database(url)

    def reasons() -> list[str]:
        seen = look(database, settings_for(url, tmp_path), lambda: None)
        return [seen.reasons.get(Part.DATABASE, "")]

    def create() -> str:
        made = stocktake(
            *("projects", "create", "First"), folder=tmp_path, settings={"DATABASE_URL": url}
        )
        return made.stderr if made.returncode else ""

    fill(disk)
    told = [*reasons(), create()]
    free(disk)
    with closing(sqlite3.connect(file)) as opened:
        opened.execute("SELECT count(*) FROM projects").fetchone()
        fill(disk)
        told.append(create())
        free(disk)
    database.dispose()
    assert all("The database's disk is full: make room" in each for each in told), told
    assert create() == ""
    assert reasons() == [""]


def integrity(disk: Path) -> str:
    with closing(sqlite3.connect(f"file:{disk / 'stocktake.db'}?mode=ro", uri=True)) as connection:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])


class TestUploads:
    """Managed storage in a folder of the small disk; the database elsewhere."""

    @pytest.fixture
    def extra_settings(self, extra_settings: dict[str, str], disk: Path) -> dict[str, str]:
        managed = {"MANAGED_STORAGE_URL": str(disk / "managed"), "JOB_MAX_ATTEMPTS": "30"}
        return extra_settings | managed

    def test_an_upload_that_does_not_fit_is_refused_and_leaves_nothing(
        self, disk: Path, client: Client, oracle: Oracle, tables: dict[UUID, DeltaSource]
    ) -> None:
        fill(disk)
        refused = client.upload("ledger", rows=2000)
        assert refused.put_off, refused
        assert stored(disk) == []
        free(disk)
        client.insist(refused)

        oracle.check(allowed={503})

    def test_an_upload_that_was_accepted_is_loaded_once_there_is_room(
        self,
        disk: Path,
        stack: Stack,
        client: Client,
        oracle: Oracle,
        tables: dict[UUID, DeltaSource],
    ) -> None:
        [worker] = [process for process in stack.processes if isinstance(process, Worker)]
        worker.pause()
        job = client.upload("ledger", rows=2000).job
        assert job is not None
        fill(disk)
        worker.resume()
        wait_until(lambda: len(see_job(stack.database, job).outcomes) > 1, "a second attempt")
        assert see_job(stack.database, job).outcomes[0] == "storage_unavailable"
        free(disk)

        assert oracle.check().ended == {"succeeded": len(tables) * 3 + 1}


def stored(disk: Path) -> list[Path]:
    """The files of managed storage that hold an upload, or a part of one."""
    folders = [disk / "managed" / name for name in (".receiving", "uploads")]
    return [path for folder in folders for path in folder.rglob("*") if path.is_file()]
