"""The workers have something to read for as long as a window lasts, and a run proves that."""

import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import select

from benchmarks import busy
from benchmarks.busy import BulkWorker, LongReads, Proof, Read, proof_of
from benchmarks.deployment import Deployment
from servers.service import Worker
from stocktake.db.models import Job
from stocktake.db.session import Database
from stocktake.states import JobState
from tests.support.stack import add_project, opened, wait_until

START = datetime(2026, 11, 29, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def read(created: float, started: float | None = None, finished: float | None = None) -> Read:
    return Read(
        created_at=at(created),
        started_at=None if started is None else at(started),
        finished_at=None if finished is None else at(finished),
    )


def proof(*reads: Read) -> Proof:
    """Of a window from second 10 to second 20, and two children."""
    return proof_of(reads, at(10), at(20), children=2)


def test_children_that_read_all_the_time_while_others_wait_are_busy() -> None:
    found = proof(read(0, 1, 12), read(0, 1, 25), read(0, 12), read(0), read(0))

    assert found == Proof(least_waiting=2, share=1.0, ended=1)


def test_a_moment_at_which_nothing_waits_is_found_between_two_reads() -> None:
    # The second is asked for only after the first has begun: from 12 to 13 a child found nothing.
    assert proof(read(0, 12, 30), read(13)).least_waiting == 0


def test_reads_that_came_late_do_not_count_for_the_window_s_beginning() -> None:
    assert proof(read(11), read(11)).least_waiting == 0


def test_what_ended_before_the_window_or_began_after_it_is_no_share_of_it() -> None:
    assert proof(read(0, 1, 9), read(0, 21, 30), read(0)).share == 0


def test_only_the_part_of_a_read_within_the_window_counts() -> None:
    assert proof(read(0, 5, 15), read(0, 18, 40)).share == pytest.approx((5 + 2) / 20)


@pytest.fixture
def database(tmp_path: Path, migrated_sqlite_file: Path) -> Iterator[Database]:
    file = tmp_path / "bench.db"
    shutil.copyfile(migrated_sqlite_file, file)
    with opened(f"sqlite:///{file}") as database:
        yield database


@pytest.fixture
def reads(database: Database) -> LongReads:
    deployment = SimpleNamespace(database=database, project_id=add_project(database))
    deployment.register = lambda urls, kind: Deployment.register(deployment, urls, kind)  # type: ignore[arg-type]
    return LongReads(deployment, database, "file:///t")  # type: ignore[arg-type]


def end_all(database: Database) -> int:
    """What the fastest of readers does."""
    with database.write() as session:
        queued = list(session.scalars(select(Job).where(Job.state == JobState.QUEUED.value)))
        for job in queued:
            job.state = JobState.SUCCEEDED.value
            job.started_at = job.finished_at = datetime.now(UTC)
        return len(queued)


def test_reads_are_added_for_as_long_as_they_are_needed_however_fast_they_end(
    reads: LongReads, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(busy, "_LOOK_SECONDS", 0.001)
    monkeypatch.setattr(busy, "_AHEAD", 20)
    stop = threading.Event()
    ended = 0
    with ThreadPoolExecutor(1) as pool:
        feeding = pool.submit(reads.keep_ahead, stop)
        try:
            while ended < 100:  # five times what is ever ahead
                wait_until(lambda: reads._count(JobState.QUEUED) >= 20, "twenty reads that wait")
                ended += end_all(database)
        finally:
            stop.set()
        feeding.result()


def test_a_window_with_nothing_to_read_is_refused(reads: LongReads, database: Database) -> None:
    reads._add(3)
    opened_at = datetime.now(UTC)
    end_all(database)

    with pytest.raises(RuntimeError, match="not busy in the whole window: at the least 0 long"):
        reads.proof(opened_at, datetime.now(UTC))


def test_workers_that_do_nothing_are_not_taken_for_busy(reads: LongReads) -> None:
    reads._add(3)
    opened_at = datetime.now(UTC)

    with pytest.raises(RuntimeError, match="0 ended, and reads took 0%"):
        reads.proof(opened_at, datetime.now(UTC))


def test_the_busy_worker_is_the_shipped_one_with_one_queue() -> None:
    shipped = Worker({}).command()
    command = BulkWorker({}).command()

    changed = [(a, b) for a, b in zip(shipped, command, strict=True) if a != b and "@" not in a]
    assert changed == [("interactive,bulk,validate", "bulk")]
