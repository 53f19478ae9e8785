"""`maintain_table`: fewer files, nothing past its retention, and not a row changed."""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from sqlalchemy import update

from servers.process import PATIENCE_SECONDS
from stocktake.clock.maintenance import maintain_tables
from stocktake.db.clock import now
from stocktake.db.models import Job, Table
from stocktake.errors import (
    CommitConflictError,
    JobError,
    SourceNotFoundError,
    StaleAttemptError,
    SupersededError,
    ValidationError,
)
from stocktake.runs import ingest_file, maintain_table
from stocktake.runs.attempt import Attempt
from stocktake.runs.compact import compact
from stocktake.runs.managed_table import (
    TRANSACTION_DAYS,
    ManagedTable,
    locked_managed,
    store_managed,
)
from stocktake.services import maintenance
from stocktake.states import JobState
from tests.integration.runs.conftest import Desk
from tests.integration.runs.test_stored_bytes import files, live, opened, told, true
from tests.support.rows import context

DAY = 86_400.0
HEAD = b"id,note\n"


def csv(*ids: int) -> bytes:
    return HEAD + b"".join(b"%d,n%d\n" % (each, each) for each in ids)


def ids(desk: Desk, version: int | None = None) -> list[int]:
    table = opened(desk)
    if version is not None:
        table.load_as_version(version)
    return sorted(table.to_pyarrow_table().column("id").to_pylist())


def ask(desk: Desk) -> UUID:
    with context(desk.database, desk.settings, desk.project_id) as ctx:
        return maintenance.request(ctx, desk.table().id).job.id


def maintain(desk: Desk) -> dict[str, Any]:
    job_id = ask(desk)
    desk.run(job_id, maintain_table.run)
    return desk.result(job_id)


def keeping_nothing(desk: Desk) -> Desk:
    """A desk at which what is replaced is past its retention at once; an operator's is a day."""
    settings = desk.settings.model_copy(update={"retain_replaced_days": 0})
    return replace(desk, settings=settings)


def root(desk: Desk) -> Path:
    return Path(opened(desk).table_uri.removeprefix("file://"))


def aged(*paths: Path, days: float) -> None:
    for path in paths:
        os.utime(path, (time.time() - days * DAY,) * 2)


def test_many_small_files_become_one_with_the_same_rows(any_desk: Desk) -> None:
    desk = any_desk
    for each in range(5):
        desk.load(csv(each, 10 + each))
    before = ids(desk)
    result = maintain(desk)

    assert ids(desk) == before
    assert (len(live(desk)), len(files(desk))) == (1, 6)
    assert (result["files_compacted"], result["files_removed"], result["row_count"]) == (5, 0, 10)
    assert told(desk) == true(desk) == (1, result["size_bytes"], result["stored_bytes"])
    table = desk.table()
    assert (table.loads_since_upkeep, table.source_version) == (0, opened(desk).version())
    assert desk.versions() == 1


def test_the_rows_of_each_load_keep_their_order(desk: Desk) -> None:
    loads = [range(each * 30_000, (each + 1) * 30_000) for each in range(4)]
    for each in loads:
        desk.load(csv(*reversed(each)))
    maintain(desk)

    found = opened(desk).to_pyarrow_table().column("id").to_pylist()
    assert len(live(desk)) == 1
    for each in loads:
        begin = found.index(each[-1])
        assert found[begin : begin + len(each)] == list(reversed(each))


def test_files_that_are_large_enough_are_left_alone(desk: Desk) -> None:
    for each in (csv(1), csv(*range(10, 5000)), csv(2), csv(3)):
        desk.load(each)
    large = max(live(desk))
    managed = ManagedTable.of(desk.attempt(ask(desk)))
    assert compact(managed, opened(desk), target_bytes=large) == 3

    assert sorted(ids(desk)) == [1, 2, 3, *range(10, 5000)]
    assert (len(live(desk)), max(live(desk))) == (2, large)


def test_what_was_replaced_goes_when_its_retention_is_over(any_desk: Desk) -> None:
    desk = keeping_nothing(any_desk)
    for each in range(3):
        desk.load(csv(each), mode="replace")
    result = maintain(desk)

    assert ids(desk) == [2]
    assert (len(files(desk)), result["files_removed"]) == (1, 2)
    assert told(desk) == true(desk)


def test_a_reader_of_an_older_version_can_go_on_within_the_retention(desk: Desk) -> None:
    desk.load(csv(1))
    desk.load(csv(2), mode="replace")
    desk.load(csv(3))
    # Old as files, but replaced just now.
    aged(*root(desk).glob("*.parquet"), days=30)
    maintain(desk)

    assert [ids(desk, version) for version in (1, 2, 3)] == [[1], [2], [2, 3]]


def test_a_file_that_a_load_is_writing_stays_and_one_that_a_killed_load_left_goes(
    desk: Desk,
) -> None:
    desk.load(csv(1))
    writing, left = root(desk) / "part-writing.parquet", root(desk) / "part-left.parquet"
    for path in (writing, left):
        path.write_bytes(b"PAR1")
    aged(left, days=desk.settings.retain_replaced_days + 1)
    assert maintain(desk)["files_removed"] == 1

    assert (writing.exists(), left.exists()) == (True, False)
    assert told(desk) == true(desk)


def test_commits_past_the_retention_go_from_the_log_and_a_load_is_still_known(desk: Desk) -> None:
    job_id = desk.send(csv(1), target="delta")
    _without_its_record(desk.attempt(job_id), ingest_file.run)
    for each in range(2, 5):
        _append(desk, each)
    log = root(desk) / "_delta_log"
    aged(*log.iterdir(), days=desk.settings.retain_replaced_days + 1)
    maintain(desk)
    kept = sorted(path.name for path in log.glob("*.json"))
    desk.expire(job_id)
    desk.run(job_id)

    assert len(kept) < 6
    assert kept[-1] == f"{opened(desk).version():020}.json"
    assert ids(desk) == [1, 2, 3, 4]


def test_a_folder_keeps_so_many_commits_and_all_that_can_be_read_from_them(desk: Desk) -> None:
    few = replace(desk, settings=desk.settings.model_copy(update={"retain_commits": 5}))
    first = desk.send(csv(1), target="delta")
    _without_its_record(desk.attempt(first), ingest_file.run)
    rows_of = {}
    for each in range(2, 14):
        _append(desk, each)
        rows_of[opened(desk).version()] = ids(desk)
        if each % 4 == 0:
            opened(desk).create_checkpoint()
    maintain(few)
    head, kept = opened(desk).version(), commits(desk)

    # Back to the checkpoint at or before the last five, and no gap in them.
    assert kept[0] in {at for at in rows_of if at <= head - 5}
    assert kept == list(range(kept[0], head + 1))
    assert [ids(desk, at) for at in kept if at in rows_of] == [
        rows_of[at] for at in kept if at in rows_of
    ]
    assert min(path.name for path in (root(desk) / "_delta_log").glob("0*"))[:20] == (
        f"{kept[0]:020}"
    )
    desk.expire(first)
    desk.run(first)  # its commit is gone, and it is known all the same
    assert ids(desk) == list(range(1, 14))


def commits(desk: Desk) -> list[int]:
    return sorted(int(path.stem) for path in (root(desk) / "_delta_log").glob("*.json"))


def test_commits_are_not_counted_in_a_bucket(bucket_desk: Desk) -> None:
    _keeps_all(bucket_desk, most=1)


def test_commits_are_not_counted_where_the_setting_says_none(desk: Desk) -> None:
    _keeps_all(desk, most=0)


def _keeps_all(desk: Desk, *, most: int) -> None:
    kept = replace(desk, settings=desk.settings.model_copy(update={"retain_commits": most}))
    for each in range(3):
        kept.load(csv(each))
        opened(kept).create_checkpoint()
    maintain(kept)
    assert ids(kept, 1) == [0]


def _append(desk: Desk, each: int) -> None:
    """Rows of another writer, beside the jobs that wait for the one before."""
    rows = pa.table({"id": pa.array([each], pa.int64()), "note": ["x"]})
    write_deltalake(opened(desk), rows, mode="append")


def _without_its_record(attempt: Attempt, work: Callable[[Attempt], None]) -> None:
    """Do all of it, then lose the job, as a worker does that is killed before the end."""
    stale = replace(attempt.claim, attempt=attempt.claim.attempt - 1)
    with pytest.raises(StaleAttemptError):
        work(replace(attempt, claim=stale))


def test_transactions_are_forgotten_after_their_days_and_not_before(desk: Desk) -> None:
    desk.load(csv(1))
    ages = {"young": TRANSACTION_DAYS - 1, "old": TRANSACTION_DAYS + 1}
    moment = time.time()
    marks = [Transaction(name, 1, int((moment - days * DAY) * 1000)) for name, days in ages.items()]
    opened(desk).create_write_transaction(
        [], "append", opened(desk).schema(), commit_properties=CommitProperties(None, 0, marks)
    )
    maintain(desk)

    table = opened(desk)
    assert {name: table.transaction_version(name) for name in ages} == {"young": 1, "old": None}
    assert _of_loads(table, desk) == 1


def _of_loads(table: DeltaTable, desk: Desk) -> int | None:
    with desk.database.read() as session:
        job = session.query(Job).filter(Job.upload_id.is_not(None)).one()
        return table.transaction_version(f"stocktake-upload:{job.upload_id}")


def test_a_table_of_an_older_release_gets_its_properties(desk: Desk) -> None:
    desk.load(csv(1))
    opened(desk).alter.set_table_properties({"delta.logRetentionDuration": "interval 30 days"})
    maintain(desk)

    assert opened(desk).metadata().configuration["delta.logRetentionDuration"] == "interval 7 days"
    version = opened(desk).version()
    maintain(desk)
    assert opened(desk).version() == version  # nothing to do, nothing committed


def test_upkeep_whose_record_was_lost_is_done_again(desk: Desk) -> None:
    for each in range(3):
        desk.load(csv(each))
    job_id = ask(desk)
    _without_its_record(desk.attempt(job_id), maintain_table.run)
    desk.expire(job_id)
    desk.run(job_id, maintain_table.run)

    assert ids(desk) == [0, 1, 2]
    assert told(desk) == true(desk)


class _Paused:
    """An attempt that stops when it comes to a phase, and goes on when it is let."""

    def __init__(self, phase: str) -> None:
        self._phase = phase
        self._reached = threading.Event()
        self._go_on = threading.Event()
        self.error: JobError | None = None

    def __call__(self, phase: str, done: int, total: int | None) -> None:
        if phase == self._phase:
            self._reached.set()
            self._go_on.wait(PATIENCE_SECONDS)

    def during(
        self, attempt: Attempt, work: Callable[[Attempt], None], meanwhile: Callable[[], object]
    ) -> None:
        thread = threading.Thread(target=self._run, args=(attempt, work))
        thread.start()
        assert self._reached.wait(PATIENCE_SECONDS)
        meanwhile()
        self._go_on.set()
        thread.join(PATIENCE_SECONDS)

    def _run(self, attempt: Attempt, work: Callable[[Attempt], None]) -> None:
        try:
            work(replace(attempt, progress=self))
        except JobError as exc:
            self.error = exc


@pytest.mark.parametrize("mode", ["append", "replace"])
def test_a_load_under_which_the_table_is_compacted_lands_as_it_was_meant(
    desk: Desk, mode: str
) -> None:
    for each in range(3):
        desk.load(csv(each))
    job_id = desk.send(csv(7, 8), target="delta", mode=mode)
    load = _Paused("load")
    load.during(desk.attempt(job_id), ingest_file.run, lambda: maintain(desk))
    if mode == "replace":
        # deltalake would let it through, and the compacted rows would stay beside the new ones
        assert isinstance(load.error, CommitConflictError)
        desk.expire(job_id)
        desk.run(job_id)

    assert desk.job(job_id).state == JobState.SUCCEEDED
    assert ids(desk) == ([7, 8] if mode == "replace" else [0, 1, 2, 7, 8])
    assert told(desk)[:2] == true(desk)[:2]


def test_upkeep_that_counted_an_older_version_leaves_what_a_load_has_written(desk: Desk) -> None:
    desk.load(csv(1))
    upkeep = desk.attempt(ask(desk))
    managed = ManagedTable.of(upkeep)
    found, stored = managed.introspect(), managed.stored(1)
    desk.load(csv(2, 3))
    with desk.database.write() as session:
        table = locked_managed(session, upkeep)
        store_managed(session, table, upkeep, found, stored)

    assert (found.source_version, found.row_count) == (1, 1)
    assert (desk.table().source_version, desk.table().row_count) == (2, 3)


@pytest.mark.parametrize("mode", ["append", "replace"])
def test_upkeep_under_which_rows_are_loaded_keeps_them(
    desk: Desk, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for each in range(3):
        desk.load(csv(each))
    job_id = ask(desk)
    late = desk.send(csv(7), target="delta", mode=mode)
    wanted = [7] if mode == "replace" else [0, 1, 2, 7]

    def load_behind_its_back(managed: ManagedTable, table: DeltaTable) -> int:
        desk.run(late)
        return compact(managed, table)

    monkeypatch.setattr(maintain_table, "compact", load_behind_its_back)
    if mode == "replace":
        desk.end(desk.attempt(job_id), CommitConflictError, maintain_table.run)
        assert len(files(desk)) == 4  # what it wrote in vain is gone
    else:
        desk.run(job_id, maintain_table.run)
        assert len(live(desk)) == 2
    assert ids(desk) == wanted
    monkeypatch.undo()
    maintain(desk)
    assert (ids(desk), told(desk)) == (wanted, true(desk))


def test_upkeep_of_a_table_that_was_deleted_meanwhile_is_void(desk: Desk) -> None:
    desk.load(csv(1))
    job_id = ask(desk)
    attempt = desk.attempt(job_id)
    desk.change_table(deleted=True)
    with pytest.raises(SupersededError):
        maintain_table.run(attempt)


def test_a_table_without_a_load_has_nothing_to_maintain(desk: Desk) -> None:
    desk.send(csv(1), target="delta")
    error = desk.fail(ask(desk), SourceNotFoundError, maintain_table.run)

    assert error.hint == "Upload a file with target=delta."


def test_a_table_of_files_is_refused(desk: Desk) -> None:
    desk.run(desk.send(csv(1)))
    with pytest.raises(ValidationError, match="no managed Delta table"):
        ask(desk)


# --- by policy ----------------------------------------------------------------------------


def queued(desk: Desk, **settings: Any) -> int:
    return maintain_tables(desk.database, desk.settings.model_copy(update=settings))


def test_the_clock_asks_after_so_many_loads_once(any_desk: Desk) -> None:
    any_desk.load(csv(1))
    assert queued(any_desk, maintain_after_loads=2) == 0
    any_desk.load(csv(2))
    assert queued(any_desk, maintain_after_loads=2) == 1
    assert queued(any_desk, maintain_after_loads=2) == 0
    with any_desk.database.read() as session:
        job = session.query(Job).filter(Job.kind == "maintain_table").one()
    any_desk.run(job.id, maintain_table.run)

    assert queued(any_desk, maintain_after_loads=2) == 0
    assert len(live(any_desk)) == 1


def test_the_clock_asks_after_a_while_where_there_is_something_to_do(desk: Desk) -> None:
    desk.load(csv(1))
    assert queued(desk) == 0
    _change(desk, created_at=now(-2 * DAY))
    assert queued(desk, maintain_after_seconds=0) == 0
    assert queued(desk) == 1


def test_files_of_replaced_rows_are_something_to_do(desk: Desk) -> None:
    desk.load(csv(1))
    desk.load(csv(2), mode="replace")
    _change(desk, loads_since_upkeep=0, maintained_at=now(-2 * DAY))
    assert queued(desk) == 1


def test_a_table_that_did_not_change_since_its_upkeep_is_left_alone(desk: Desk) -> None:
    desk.load(csv(1))
    _change(desk, loads_since_upkeep=0, maintained_at=now(-9 * DAY))
    assert queued(desk) == 0


def test_a_table_of_an_older_release_is_counted(desk: Desk) -> None:
    desk.load(csv(1))
    _change(desk, stored_bytes=None, stored_version=None)
    assert queued(desk, maintain_after_loads=0, maintain_after_seconds=0) == 0
    assert queued(desk) == 1


def test_a_table_that_is_loaded_without_end_is_maintained_again_after_five_minutes(
    desk: Desk,
) -> None:
    desk.load(csv(1))
    maintain(desk)
    desk.load(csv(2))
    assert queued(desk, maintain_after_loads=1) == 0
    with desk.database.write() as session:
        session.execute(update(Job).values(created_at=now(-301)))
    assert queued(desk, maintain_after_loads=1) == 1


def test_a_table_whose_upkeep_has_failed_waits_for_an_hour(desk: Desk) -> None:
    desk.load(csv(1))
    assert queued(desk, maintain_after_loads=1) == 1
    with desk.database.write() as session:
        failed = update(Job).where(Job.kind == "maintain_table")
        session.execute(failed.values(state="failed", finished_at=now()))
    assert queued(desk, maintain_after_loads=1) == 0
    with desk.database.write() as session:
        session.execute(update(Job).values(created_at=now(-1800)))
    assert queued(desk, maintain_after_loads=1) == 0
    with desk.database.write() as session:
        session.execute(update(Job).values(created_at=now(-2 * 3600)))
    assert queued(desk, maintain_after_loads=1) == 1


def _change(desk: Desk, **values: Any) -> None:
    with desk.database.write() as session:
        session.execute(update(Table).values(**values))
