"""What the clock deletes for its age, on both databases, and above all what it must not."""

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, select, update

from servers.process import free_ports
from servers.seaweedfs import SeaweedFS
from servers.service import Clock, service_settings
from servers.valkey import Valkey
from stocktake.clock import rows
from stocktake.clock.orphans import OrphanSweep
from stocktake.clock.ticks import ClockWork
from stocktake.db.clock import now
from stocktake.db.models import (
    AuditEntry,
    Batch,
    BatchItem,
    ClockBeat,
    Job,
    JobAttempt,
    Schedule,
    ScheduleFire,
    Table,
    Upload,
    new_id,
)
from stocktake.db.session import Database
from stocktake.errors import NotFoundError
from stocktake.jobs import leases
from stocktake.parts import managed_storage
from stocktake.schema.formats import TAKING_ROWS
from stocktake.services import batches
from stocktake.settings import Settings
from stocktake.states import JobKind, JobState, UploadState
from stocktake.storage.managed import ManagedStorage, storage_at
from tests.support.rows import (
    claimed,
    context,
    enqueue,
    make_project,
    make_table,
    race,
    refresh_of,
    settings_for,
)
from tests.support.stack import wait_until

DAY = 86_400.0


@pytest.fixture
def settings(migrated_database_url: str, tmp_path: Path) -> Settings:
    return settings_for(migrated_database_url, tmp_path / "data")


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    opened = Database(settings.database_url)
    yield opened
    opened.dispose()


@pytest.fixture
def storage(settings: Settings) -> ManagedStorage:
    return managed_storage(settings)


@pytest.fixture
def project_id(database: Database) -> int:
    with database.write() as session:
        return make_project(session).id


def _clock(database: Database, settings: Settings, **changes: Any) -> ClockWork:
    changed = settings.model_copy(update=changes)
    return ClockWork(database, changed, managed_storage(settings), lambda: None)


def _table(database: Database, project_id: int, name: str = "orders", **values: Any) -> Table:
    with database.write() as session:
        return make_table(session, project_id, name, **values)


def _ended(database: Database, table: Table, days: float, **request: Any) -> UUID:
    """A job that was run and ended that long ago."""
    job_id = enqueue(database, refresh_of(table, **request))
    claim = claimed(database, job_id)
    with database.write() as session:
        leases.succeed(session, claim, {})
        session.execute(update(Job).where(Job.id == job_id).values(finished_at=now(-days * DAY)))
    return job_id


def _show(database: Database, table: Table, job_id: UUID) -> None:
    """Make it the job that the table shows."""
    with database.write() as session:
        session.execute(update(Table).where(Table.id == table.id).values(latest_job_id=job_id))


def _left(database: Database, key: Any) -> set[Any]:
    with database.read() as session:
        return set(session.scalars(select(key)).all())


# --- jobs -----------------------------------------------------------------------------------


def test_jobs_past_their_age_go_with_their_attempts(database: Database, project_id: int) -> None:
    table = _table(database, project_id)
    old, young = _ended(database, table, 30.01), _ended(database, table, 29.99)
    assert rows.prune_jobs(database, days=30) == 1
    assert _left(database, Job.id) == {young}
    assert _left(database, JobAttempt.job_id) == {young}
    assert old != young


def test_a_job_that_has_not_ended_stays_however_old(database: Database, project_id: int) -> None:
    waits, runs = (_table(database, project_id, name) for name in ("waits", "runs"))
    queued, running = (enqueue(database, refresh_of(table)) for table in (waits, runs))
    claimed(database, running)
    with database.write() as session:
        session.execute(update(Job).values(created_at=now(-999 * DAY)))
    assert rows.prune_jobs(database, days=1) == 0
    assert _left(database, Job.id) == {queued, running}


def test_a_live_table_keeps_the_job_that_it_shows(database: Database, project_id: int) -> None:
    live, deleted = (_table(database, project_id, name) for name in ("live", "deleted"))
    before, shown, last = (_ended(database, table, 99) for table in (live, live, deleted))
    _show(database, live, shown)
    _show(database, deleted, last)
    with database.write() as session:
        session.get_one(Table, deleted.id).deleted = True
    assert rows.prune_jobs(database, days=30) == 2
    assert _left(database, Job.id) == {shown}
    assert before != last


def test_jobs_are_deleted_in_small_batches_oldest_first(
    database: Database, project_id: int
) -> None:
    table = _table(database, project_id)
    ids = [_ended(database, table, days) for days in (40, 60, 50)]
    assert rows.prune_jobs(database, days=30, limit=2) == 2
    assert _left(database, Job.id) == {ids[0]}
    assert rows.prune_jobs(database, days=30, limit=2) == 1
    assert rows.prune_jobs(database, days=30, limit=2) == 0


def test_clocks_that_prune_at_once_neither_fail_nor_count_twice(
    database: Database, settings: Settings, project_id: int
) -> None:
    table = _table(database, project_id)
    for _ in range(60):
        _ended(database, table, 99)
    own = [Database(settings.database_url) for _ in range(3)]

    def prune(mine: Database) -> int:
        return sum(rows.prune_jobs(mine, days=30, limit=20) for _ in range(6))

    counted = race(*(lambda mine=mine: prune(mine) for mine in own))
    for mine in own:
        mine.dispose()
    assert sum(counted) == 60
    assert _left(database, Job.id) == _left(database, JobAttempt.job_id) == set()


# --- batches --------------------------------------------------------------------------------


def _batch(database: Database, settings: Settings, *served: UUID, days: float) -> UUID:
    """A schedule's batch of that age that is over, and was served by these jobs."""
    with database.write() as session:
        one = session.get_one(Job, served[0])
        batch = batches.start(
            session, settings, project_id=one.project_id, selector={"all": True}, created_by_id=None
        )
        schedule = Schedule(
            project_id=one.project_id, name="nightly", cron="0 3 * * *", selector={"all": True}
        )
        session.add(schedule)
        session.flush()
        for job_id in served:
            table_id = session.get_one(Job, job_id).table_id
            session.add(BatchItem(batch_id=batch.id, table_id=table_id, job_id=job_id))
        session.add(
            ScheduleFire(schedule_id=schedule.id, fire_at=batch.created_at, batch_id=batch.id)
        )
        session.execute(
            update(Job)
            .where(Job.batch_id == batch.id)
            .values(state=JobState.SUCCEEDED.value, finished_at=now(-days * DAY))
        )
        batch.expanded_at = session.scalar(select(now(-days * DAY)))
        session.execute(
            update(Batch).where(Batch.id == batch.id).values(created_at=now(-days * DAY))
        )
        return batch.id


def test_a_batch_goes_with_the_last_of_its_jobs(
    database: Database, settings: Settings, project_id: int
) -> None:
    """Of two tables one still shows its job of then: so the batch can still be looked at."""
    kept, free = (_table(database, project_id, name) for name in ("kept", "free"))
    shown, gone = (_ended(database, table, 40) for table in (kept, free))
    _show(database, kept, shown)
    batch_id = _batch(database, settings, shown, gone, days=40)
    clock = _clock(database, settings)

    clock.tidy()
    with context(database, settings, project_id) as edge:
        view = batches.get(edge, batch_id)
    assert (view.total, view.state) == (1, batches.BatchState.FINISHED)
    assert _left(database, ScheduleFire.batch_id) == {batch_id}

    _show(database, kept, _ended(database, kept, 1))
    clock.tidy()
    clock.tidy()  # the expansion's job went with the last of the others, and its batch after it
    assert _left(database, Batch.id) == _left(database, ScheduleFire.batch_id) == set()
    assert _left(database, BatchItem.job_id) == set()
    assert len(_left(database, Job.id)) == 1


def test_a_batch_whose_expansion_waits_stays(
    database: Database, settings: Settings, project_id: int
) -> None:
    with database.write() as session:
        batch = batches.start(
            session, settings, project_id=project_id, selector={"all": True}, created_by_id=None
        )
        session.execute(update(Batch).values(created_at=now(-99 * DAY)))
    _clock(database, settings).tidy()
    assert _left(database, Batch.id) == {batch.id}


def test_a_batch_that_loses_its_expansion_while_it_is_looked_at_is_not_found(
    database: Database, settings: Settings, project_id: int
) -> None:
    table = _table(database, project_id)
    batch_id = _batch(database, settings, _ended(database, table, 40), days=40)
    with database.write() as session:
        session.execute(delete(JobAttempt))
        session.execute(delete(BatchItem))
        session.execute(delete(Job))
    with context(database, settings, project_id) as edge, pytest.raises(NotFoundError):
        batches.get(edge, batch_id)


# --- uploads, audit, clocks -----------------------------------------------------------------


def _upload(
    database: Database,
    storage: ManagedStorage,
    project_id: int,
    state: UploadState = UploadState.STORED,
    *,
    days: float = 0,
) -> Upload:
    """A row of that age, and bytes that were written just now."""
    upload_id = new_id()
    key = storage.upload_key(project_id, str(upload_id))
    upload = Upload(
        id=upload_id, project_id=project_id, filename="a.csv", object_key=key, state=state.value
    )
    with database.write() as session:
        session.add(upload)
        session.flush()
        session.execute(
            update(Upload).where(Upload.id == upload_id).values(changed_at=now(-days * DAY))
        )
    _put(storage, key)
    return upload


def _put(storage: ManagedStorage, key: str) -> None:
    async def write() -> None:
        sink = storage.open_upload(key)
        await sink.write(b"id\n1\n")
        await sink.finish()

    asyncio.run(write())


def test_a_removed_uploads_row_goes_once_no_job_names_it(
    database: Database, storage: ManagedStorage, project_id: int
) -> None:
    free, named, young, live = (
        _upload(database, storage, project_id, state, days=days)
        for state, days in (
            (UploadState.REMOVED, 31),
            (UploadState.REMOVED, 31),
            (UploadState.REMOVED, 29),
            (UploadState.ACTIVE, 999),
        )
    )
    table = _table(database, project_id)
    _ended(database, table, 40, kind=JobKind.INGEST_FILE, upload_id=named.id)

    assert rows.prune_uploads(database, days=30) == 1
    assert _left(database, Upload.id) == {named.id, young.id, live.id}
    assert rows.prune_jobs(database, days=30) == 1
    assert rows.prune_uploads(database, days=30) == 1
    assert _left(database, Upload.id) == {young.id, live.id}
    assert free.id != named.id


def _audit(database: Database, project_id: int, days: float) -> UUID:
    with database.write() as session:
        entry = AuditEntry(project_id=project_id, action="table.create")
        session.add(entry)
        session.flush()
        session.execute(
            update(AuditEntry).where(AuditEntry.id == entry.id).values(created_at=now(-days * DAY))
        )
        return entry.id


def test_audit_entries_go_after_a_year(
    database: Database, settings: Settings, project_id: int
) -> None:
    _audit(database, project_id, 365.01)
    young = _audit(database, project_id, 364.99)
    _clock(database, settings).tidy()
    assert _left(database, AuditEntry.id) == {young}


def test_a_clock_that_has_been_gone_for_a_day_is_forgotten(database: Database) -> None:
    with database.write() as session:
        for node, days in (("gone", 1.01), ("late", 0.99)):
            session.add(ClockBeat(node=node))
            session.flush()
            session.execute(
                update(ClockBeat).where(ClockBeat.node == node).values(ticked_at=now(-days * DAY))
            )
    assert rows.prune_clock_beats(database) == 1
    assert _left(database, ClockBeat.node) == {"late"}


def test_zero_days_keep_for_ever(
    database: Database, settings: Settings, storage: ManagedStorage, project_id: int
) -> None:
    table = _table(database, project_id)
    served = _ended(database, table, 9999)
    batch_id = _batch(database, settings, served, days=9999)
    upload = _upload(database, storage, project_id, UploadState.REMOVED, days=9999)
    entry = _audit(database, project_id, 9999)
    orphan = _orphan(storage, project_id, days=9999)
    forever = {"retain_jobs_days": 0, "retain_audit_days": 0, "retain_orphans_days": 0}
    _clock(database, settings, **forever).tidy()
    assert served in _left(database, Job.id)
    assert _left(database, Batch.id) == {batch_id}
    assert _left(database, Upload.id) == {upload.id}
    assert _left(database, AuditEntry.id) == {entry}
    assert orphan.exists()


def test_a_backlog_is_worked_off_batch_by_batch(
    database: Database, settings: Settings, project_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "ROWS_AT_ONCE", 2)
    monkeypatch.setattr(rows.prune_jobs, "__kwdefaults__", {"limit": 2})
    table = _table(database, project_id)
    for _ in range(5):
        _ended(database, table, 40)
    clock = _clock(database, settings)
    batches_seen = [(clock.tidy(), len(_left(database, Job.id))) for _ in range(4)]
    assert batches_seen == [(True, 3), (True, 1), (False, 0), (False, 0)]


# --- bytes without a row --------------------------------------------------------------------


def _orphan(storage: ManagedStorage, project_id: int, *, days: float, key: str = "") -> Path:
    """A file in local managed storage that no row knows of, last written that long ago."""
    key = key or storage.upload_key(project_id, str(new_id()))
    _put(storage, key)
    file = Path(storage.location(key).key)
    then = time.time() - days * DAY
    os.utime(file, (then, then))
    return file


def _sweep(database: Database, storage: ManagedStorage, days: int = 7, objects: int = 1000) -> None:
    sweep = OrphanSweep(database, storage, days=days, objects=objects)
    while sweep.step():
        pass


def test_only_old_bytes_without_a_row_are_removed(
    database: Database, storage: ManagedStorage, project_id: int
) -> None:
    old, young = (_orphan(storage, project_id, days=days) for days in (7.01, 6.99))
    foreign = _orphan(storage, project_id, days=99, key=f"uploads/{project_id}/README")
    delta = _orphan(storage, project_id, days=99, key=f"delta/{project_id}/{new_id()}/part-0")
    known = {
        state: _aged(storage, _upload(database, storage, project_id, state))
        for state in UploadState
    }
    _sweep(database, storage)
    assert not old.exists()
    assert young.exists()
    assert foreign.exists()
    assert delta.exists()
    # Removed, says its row: a slow request stored them after it had been given up.
    assert {state for state, file in known.items() if not file.exists()} == {UploadState.REMOVED}


def _aged(storage: ManagedStorage, upload: Upload, days: float = 99) -> Path:
    file = Path(storage.location(upload.object_key).key)
    then = time.time() - days * DAY
    os.utime(file, (then, then))
    return file


def test_a_sweep_goes_on_where_it_stopped(
    database: Database, storage: ManagedStorage, project_id: int
) -> None:
    files = [_orphan(storage, project_id, days=8) for _ in range(120)]
    kept = [_aged(storage, _upload(database, storage, project_id)) for _ in range(5)]
    _sweep(database, storage, objects=7)
    assert not any(file.exists() for file in files)
    assert all(file.exists() for file in kept)


def test_storage_that_another_database_has_signed_is_not_swept(
    database: Database, storage: ManagedStorage, project_id: int
) -> None:
    """A clock that was started on the wrong database must not empty the right one's bucket."""
    other = f".owners/{new_id()}"
    _put(storage, other)
    orphan = _orphan(storage, project_id, days=99)
    _sweep(database, storage)
    assert orphan.exists()
    asyncio.run(storage.remove(other))
    _sweep(database, storage)
    assert not orphan.exists()


def test_a_database_without_projects_sweeps_nothing(
    database: Database, storage: ManagedStorage
) -> None:
    orphan = _orphan(storage, 1, days=99)
    _sweep(database, storage)
    assert orphan.exists()


@pytest.mark.parametrize("prefix", ["", "/some/prefix"])
def test_orphans_in_a_bucket(
    database: Database, project_id: int, s3: SeaweedFS, bucket: str, prefix: str
) -> None:
    storage = storage_at(
        f"s3://{bucket}{prefix}",
        access_key=s3.access_key,
        access_secret=s3.secret_key,
        endpoint=s3.endpoint,
    )
    known = _upload(database, storage, project_id).object_key
    orphan = storage.upload_key(project_id, str(new_id()))
    _put(storage, orphan)
    _sweep(database, storage, days=1)
    assert {key for key, _ in storage.objects("uploads/")} == {known, orphan}
    _sweep(database, storage, days=0)
    assert [key for key, _ in storage.objects("uploads/")] == [known]


def test_storage_that_does_not_answer_is_swept_later(
    database: Database, project_id: int, caplog: pytest.LogCaptureFixture
) -> None:
    storage = storage_at(
        "s3://gone",
        access_key="k",
        access_secret="s",
        endpoint=f"http://127.0.0.1:{free_ports(1)[0]}",
    )
    assert OrphanSweep(database, storage, days=7).step() is False


def test_what_a_killed_request_was_writing_is_removed_after_a_day(
    database: Database, settings: Settings, storage: ManagedStorage
) -> None:
    async def begin(data: bytes) -> None:
        await storage.open_upload("uploads/1/never").write(data)

    asyncio.run(begin(b"x"))
    [old] = (receiving := Path(storage.location(".receiving").key)).iterdir()
    then = time.time() - DAY - 60
    os.utime(old, (then, then))
    asyncio.run(begin(b"still written"))
    _clock(database, settings).tidy()
    [left] = receiving.iterdir()
    assert left != old


# --- deleted tables -------------------------------------------------------------------------


def _deleted_delta(
    database: Database,
    storage: ManagedStorage,
    project_id: int,
    *,
    seconds: float,
    called: str = "Delta",
) -> tuple[Table, list[Path]]:
    with database.write() as session:
        table = make_table(session, project_id, "log", format=called, managed=True)
        session.execute(
            update(Table).where(Table.id == table.id).values(deleted=True, deleted_at=now(-seconds))
        )
    root = storage.delta_key(project_id, str(table.id))
    files = []
    for name in ("part-0.parquet", "_delta_log/00000000000000000000.json"):
        _put(storage, f"{root}/{name}")
        files.append(Path(storage.location(f"{root}/{name}").key))
    return table, files


@pytest.mark.parametrize("called", TAKING_ROWS)
def test_a_deleted_managed_delta_table_loses_its_files_after_an_hour(
    database: Database, settings: Settings, storage: ManagedStorage, project_id: int, called: str
) -> None:
    _, young = _deleted_delta(database, storage, project_id, seconds=3500, called=called)
    table, old = _deleted_delta(database, storage, project_id, seconds=3700, called=called)
    with database.write() as session:
        live = make_table(session, project_id, "live", format="Delta", managed=True)
        session.execute(update(Table).where(Table.id == live.id).values(deleted_at=now(-9999)))
    clock = _clock(database, settings)
    clock.tidy()
    clock.tidy()
    assert not any(file.exists() for file in old)
    assert all(file.exists() for file in young)
    with database.read() as session:
        assert session.get_one(Table, table.id).managed is False
        assert session.get_one(Table, live.id).managed is True


def test_a_deleted_delta_table_keeps_its_files_while_a_load_runs(
    database: Database, settings: Settings, storage: ManagedStorage, project_id: int
) -> None:
    table, files = _deleted_delta(database, storage, project_id, seconds=9999)
    claimed(database, enqueue(database, refresh_of(table, kind=JobKind.INGEST_FILE)))
    _clock(database, settings).tidy()
    assert all(file.exists() for file in files)


# --- a real clock ---------------------------------------------------------------------------


def test_a_clock_process_prunes(
    database: Database, settings: Settings, project_id: int, valkey: Valkey, tmp_path: Path
) -> None:
    table = _table(database, project_id)
    kept, gone = _ended(database, table, 1), _ended(database, table, 40)
    environment = service_settings(settings.database_url, valkey.url, tmp_path)
    orphan = _orphan(managed_storage(settings), project_id, days=9)
    with Clock(environment):
        wait_until(lambda: gone not in _left(database, Job.id), "the end of the old job")
        wait_until(lambda: not orphan.exists(), "the end of the orphan")
    assert kept in _left(database, Job.id)
