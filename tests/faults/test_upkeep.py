"""A child is killed while it maintains, restores or merges into a managed table, at each step."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import psutil
import pytest
from deltalake import DeltaTable
from sqlalchemy import select

from servers.process import PATIENCE_SECONDS
from stocktake.db.models import Table
from stocktake.parts import managed_storage
from tests.faults.breaking import gone, is_frozen, reader_of
from tests.faults.client import Client
from tests.faults.inside import variables
from tests.faults.oracle import Oracle
from tests.support.harness import Stack
from tests.support.stack import see_job, wait_until

LOADS = 4
DELTALAKE = "deltalake.table"
STORAGE = "stocktake.storage.managed"
#: How long ago a load was killed that left these files, in days.
LONG_AGO = 9


class Ledger:
    """A managed Delta table of some loads, beside whose files lie those of killed ones."""

    def __init__(
        self, stack: Stack, client: Client, oracle: Oracle, *, rows: int = 5, left: int = 3
    ) -> None:
        self._stack = stack
        for _ in range(LOADS):
            sent = client.upload("ledger", rows=rows)
        oracle.wait_for_ends(60)
        self.id: UUID = sent.table_id
        storage = managed_storage(stack.parsed_settings())
        self.root = Path(storage.delta_root(stack.project_id, str(self.id))[0])
        long_ago = time.time() - LONG_AGO * 86_400
        for number in range(left):
            path = self.root / f"part-left-{number}.parquet"
            path.write_bytes(b"PAR1")
            os.utime(path, (long_ago, long_ago))

    @property
    def left(self) -> int:
        """How many files of killed loads are there still."""
        return len(list(self.root.glob("part-left-*")))

    @property
    def files(self) -> int:
        """Of how many files the table is made."""
        return len(DeltaTable(self.root).file_uris())

    @property
    def files_written(self) -> int:
        """How many files lie there, and are being written."""
        receiving = self.root.parents[2] / ".receiving"
        return len(list(self.root.glob("*.parquet"))) + len(list(receiving.iterdir()))

    @property
    def operations(self) -> list[str]:
        """What the log's commits did."""
        log = self.root / "_delta_log"
        lines = [path.read_text().splitlines()[0] for path in sorted(log.glob("*.json"))]
        return [json.loads(line)["commitInfo"]["operation"] for line in lines]

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep everybody else from writing to the table's row."""
        with self._stack.database.write() as session:
            session.scalars(select(Table).where(Table.id == self.id).with_for_update()).one()
            yield

    def stored_bytes(self) -> int:
        return sum(path.stat().st_size for path in self.root.glob("*.parquet"))


@pytest.fixture
def maintained(
    stack: Stack, client: Client, oracle: Oracle, tmp_path: Path
) -> Callable[..., tuple[Ledger, UUID, psutil.Process]]:
    """Maintains a ledger, up to a call at which the child freezes."""

    def start(at: str, **ledger: int) -> tuple[Ledger, UUID, psutil.Process]:
        mark = tmp_path / "frozen"
        stack.start_worker(variables(freeze_at=at, frozen=str(mark)))
        stack.start_clock()
        made = Ledger(stack, client, oracle, **ledger)
        sent = client.ask(
            "maintain", "POST", f"warehouse_tables/{made.id}/maintain/", table=made.id
        )
        assert sent.job is not None, sent.body
        child = reader_of(stack, sent.job)
        wait_until(lambda: mark.exists() and is_frozen(child), f"the child to freeze {at}")
        return made, sent.job, child

    return start


def check(stack: Stack, oracle: Oracle, ledger: Ledger, job: UUID) -> None:
    """All rows are there once (the oracle counts them), all of the upkeep is done, and told."""
    oracle.check()
    assert see_job(stack.database, job).outcomes == ("worker_lost", "succeeded")
    assert (ledger.files, ledger.left) == (1, 0)
    with stack.database.read() as session:
        table = session.get_one(Table, ledger.id)
        assert (table.file_count, table.row_count) == (1, DeltaTable(ledger.root).count())
        assert table.stored_bytes == ledger.stored_bytes()


@pytest.mark.parametrize(
    ("at", "done"),
    [
        (f"{STORAGE}:ManagedStorage.create before", []),
        (f"{STORAGE}:ManagedStorage.create after", ["OPTIMIZE"]),
        (f"{DELTALAKE}:DeltaTable.vacuum after", ["OPTIMIZE", "VACUUM START", "VACUUM END"]),
        (
            f"{DELTALAKE}:DeltaTable.cleanup_metadata after",
            ["OPTIMIZE", "VACUUM START", "VACUUM END"],
        ),
    ],
)
def test_a_child_killed_between_the_steps_leaves_the_rest_to_the_next(
    stack: Stack,
    oracle: Oracle,
    maintained: Callable[..., tuple[Ledger, UUID, psutil.Process]],
    at: str,
    done: list[str],
) -> None:
    ledger, job, child = maintained(at)
    assert [each for each in ledger.operations if each not in {"CREATE TABLE", "WRITE"}] == done
    child.kill()
    gone(child)
    check(stack, oracle, ledger, job)


def test_a_child_killed_while_it_compacts_has_changed_nothing_or_all(
    stack: Stack,
    oracle: Oracle,
    maintained: Callable[..., tuple[Ledger, UUID, psutil.Process]],
) -> None:
    at = "stocktake.runs.maintain_table:compact before"
    # Nothing is left of killed loads: what the vacuum took away would hide the file that is new.
    ledger, job, child = maintained(at, rows=100_000, left=0)
    before = ledger.files_written
    with ledger.locked():  # a compaction that is quick does not end the job
        child.send_signal(signal.SIGCONT)
        wait_until(lambda: ledger.files_written > before, "a file that it writes")
        child.kill()
        gone(child)
    assert ledger.files in {1, LOADS}
    check(stack, oracle, ledger, job)


def test_a_child_killed_while_it_vacuums_has_removed_nothing_that_is_wanted(
    stack: Stack,
    oracle: Oracle,
    maintained: Callable[..., tuple[Ledger, UUID, psutil.Process]],
) -> None:
    ledger, job, child = maintained(f"{DELTALAKE}:DeltaTable.vacuum before", left=3000)
    with ledger.locked():
        child.send_signal(signal.SIGCONT)
        wait_until(lambda: ledger.left < 3000, "the first file to go")
        child.kill()
        gone(child)
    check(stack, oracle, ledger, job)


@pytest.mark.parametrize("where", ["before", "after"])
def test_a_child_killed_at_the_commit_of_a_restore_restores_once(
    stack: Stack, client: Client, oracle: Oracle, tmp_path: Path, where: str
) -> None:
    """Done twice, it would undo the load before as well."""
    mark = tmp_path / "frozen"
    at = f"{STORAGE}:ManagedStorage.create {where}"
    stack.start_worker(variables(freeze_at=at, frozen=str(mark)))
    stack.start_clock()
    ledger = Ledger(stack, client, oracle, left=0)
    sent = client.ask("restore", "POST", f"warehouse_tables/{ledger.id}/restore/", table=ledger.id)
    assert sent.job is not None, sent.body
    child = reader_of(stack, sent.job)
    wait_until(lambda: mark.exists() and is_frozen(child), f"the child to freeze {at}")
    assert ("RESTORE" in ledger.operations) is (where == "after")
    child.kill()
    gone(child)
    oracle.wait_for_ends(oracle.bound_seconds)

    assert see_job(stack.database, sent.job).outcomes == ("worker_lost", "succeeded")
    assert ledger.operations.count("RESTORE") == 1
    assert DeltaTable(ledger.root).count() == (LOADS - 1) * 5


@pytest.mark.parametrize("where", ["before", "after"])
def test_a_child_killed_at_the_commit_of_a_merge_merges_once(
    stack: Stack, client: Client, oracle: Oracle, tmp_path: Path, where: str
) -> None:
    mark = tmp_path / "frozen"
    at = f"{DELTALAKE}:TableMerger.execute {where}"
    stack.start_worker(variables(freeze_at=at, frozen=str(mark)))
    stack.start_clock()
    ledger = Ledger(stack, client, oracle, left=0)
    job = send_merge(client, ledger, [0, 99])
    child = reader_of(stack, job)
    wait_until(lambda: mark.exists() and is_frozen(child), f"the child to freeze {at}")
    assert ("MERGE" in ledger.operations) is (where == "after")
    child.kill()
    gone(child)
    merged_once(stack, oracle, ledger, job, LOADS * 5 + 1)


def send_merge(client: Client, ledger: Ledger, numbers: Iterable[int]) -> UUID:
    """Merge rows of the first load's marker, some of which it has."""
    marker = DeltaTable(ledger.root).to_pyarrow_table().column("marker")[0].as_py()
    lines = "".join(f"{marker},{number}\n" for number in numbers)
    sent = client.ask(
        "merge",
        "POST",
        "warehouse_tables/file/",
        data={"name": "ledger", "target": "delta", "mode": "merge", "key": "marker,number"},
        files={"file": ("more.csv", f"marker,number\n{lines}".encode())},
    )
    assert sent.job is not None, sent.body
    return sent.job


def merged_once(stack: Stack, oracle: Oracle, ledger: Ledger, job: UUID, rows: int) -> None:
    """The rows are there once, by one commit, and the table's row tells so."""
    oracle.wait_for_ends(oracle.bound_seconds)
    assert see_job(stack.database, job).outcomes == ("worker_lost", "succeeded")
    assert ledger.operations.count("MERGE") == 1
    found = DeltaTable(ledger.root).to_pyarrow_table()
    assert (found.num_rows, found.group_by(found.column_names).aggregate([]).num_rows) == (
        rows,
        rows,
    )
    with stack.database.read() as session:
        assert session.get_one(Table, ledger.id).row_count == rows


def _spends_time(_: Ledger, child: psutil.Process) -> Callable[[], bool]:
    before = sum(child.cpu_times()[:2])
    return lambda: sum(child.cpu_times()[:2]) > before + 0.05


def _writes_a_file(ledger: Ledger, _: psutil.Process) -> Callable[[], bool]:
    before = set(os.listdir(ledger.root))
    return lambda: set(os.listdir(ledger.root)) != before


def _commits(ledger: Ledger, _: psutil.Process) -> Callable[[], bool]:
    log = ledger.root / "_delta_log"
    before = set(os.listdir(log))
    return lambda: set(os.listdir(log)) != before


@pytest.mark.parametrize("moment", [_spends_time, _writes_a_file, _commits])
def test_a_child_killed_while_it_merges_merges_once(
    stack: Stack,
    client: Client,
    oracle: Oracle,
    tmp_path: Path,
    moment: Callable[[Ledger, psutil.Process], Callable[[], bool]],
) -> None:
    """Inside of deltalake's own merge, which reads, joins, writes and commits in one call."""
    mark = tmp_path / "frozen"
    at = f"{DELTALAKE}:TableMerger.execute before"
    stack.start_worker(variables(freeze_at=at, frozen=str(mark)))
    stack.start_clock()
    ledger = Ledger(stack, client, oracle, rows=100_000, left=0)
    job = send_merge(client, ledger, range(50_000, 150_000))
    child = reader_of(stack, job)
    wait_until(lambda: mark.exists() and is_frozen(child), f"the child to freeze {at}")
    come = moment(ledger, child)
    with ledger.locked():  # a merge that is quick does not end the job
        child.send_signal(signal.SIGCONT)
        end_at = time.monotonic() + PATIENCE_SECONDS
        while not come():  # without a pause: the moment is short
            assert time.monotonic() < end_at
        child.kill()
        gone(child)
    assert ledger.operations.count("MERGE") in ([0] if moment is _spends_time else [0, 1])
    merged_once(stack, oracle, ledger, job, LOADS * 100_000 + 50_000)


def test_uploads_and_upkeep_at_the_same_time_lose_nothing(
    stack: Stack, client: Client, oracle: Oracle
) -> None:
    stack.start_worker()
    stack.start_clock()
    ledger = Ledger(stack, client, oracle, left=0)
    path = f"warehouse_tables/{ledger.id}/maintain/"
    for _ in range(6):
        client.upload("ledger", rows=20)
        client.ask("maintain", "POST", path, table=ledger.id)
    verdict = oracle.check()

    assert set(verdict.ended) == {"succeeded"}
    assert "OPTIMIZE" in ledger.operations
