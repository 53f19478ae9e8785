"""The clock's ticks on both databases, alone and two at once, and inside beat."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import redis
from sqlalchemy import event, func, select, update
from structlog.testing import capture_logs

from servers.process import free_ports
from servers.valkey import Valkey
from stocktake.clock import ticks, upkeep
from stocktake.clock.ticks import ClockWork
from stocktake.db.clock import now
from stocktake.db.models import (
    Batch,
    ClockBeat,
    IdempotencyKey,
    Job,
    Schedule,
    ScheduleFire,
    Upload,
)
from stocktake.db.session import Database
from stocktake.errors import ConflictError
from stocktake.parts import managed_storage
from stocktake.services import schedules
from stocktake.services.jobs import retry_job
from stocktake.settings import Settings
from stocktake.states import JobKind, JobState, Queue, UploadState
from stocktake.storage.managed import ManagedStorage
from tasks.queue_lengths import BrokerQueueLengths
from tests.support.rows import (
    RecordedRings,
    claimed,
    context,
    enqueue,
    job,
    make_project,
    make_tables,
    race,
    refresh_of,
    settings_for,
)
from tests.support.stack import PATIENCE_SECONDS
from workers.beat import Clock

MakeClock = Callable[..., ClockWork]


class QueueOf:
    """A broker with that many messages, in a queue of no test's jobs unless it says which; None
    is a broker that is silent."""

    def __init__(self, messages: int | None = 0, queue: Queue = Queue.VALIDATE) -> None:
        self.messages = messages
        self.queue = queue
        self.asked = 0

    def __call__(self) -> dict[Queue, int] | None:
        self.asked += 1
        return None if self.messages is None else {self.queue: self.messages}


class Seconds:
    """Monotonic time that moves when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def rings() -> RecordedRings:
    return RecordedRings()


@pytest.fixture
def settings(migrated_database_url: str, tmp_path: Path) -> Settings:
    return settings_for(migrated_database_url, tmp_path / "data", clock_rings_per_tick=5)


@pytest.fixture
def open_database(settings: Settings, rings: RecordedRings) -> Iterator[Callable[[], Database]]:
    opened: list[Database] = []

    def open_one() -> Database:
        opened.append(Database(settings.database_url, rings.ring))
        return opened[-1]

    yield open_one
    for database in opened:
        database.dispose()


@pytest.fixture
def database(open_database: Callable[[], Database]) -> Database:
    return open_database()


@pytest.fixture
def make_clock(settings: Settings, open_database: Callable[[], Database]) -> MakeClock:
    """A clock with connections of its own, as in a process of its own."""

    def make(node: str = "one", **options: Any) -> ClockWork:
        changed = settings.model_copy(update=options.pop("settings", {}))
        options.setdefault("queue_lengths", QueueOf())
        storage = managed_storage(settings)
        return ClockWork(open_database(), changed, storage, node=node, **options)

    return make


@pytest.fixture
def project_id(database: Database) -> int:
    with database.write() as session:
        return make_project(session).id


def _schedule(database: Database, settings: Settings, project_id: int, **fields: Any) -> UUID:
    wanted = {"name": "often", "cron": "*/10 * * * *", "selector": {"all": True}} | fields
    with context(database, settings, project_id) as edge:
        return schedules.create(edge, wanted).id


def _overdue(database: Database, schedule_id: UUID, **back: float) -> datetime:
    """Pretend that the schedule was due that long ago, and nobody looked."""
    with database.write() as session:
        schedule = session.get_one(Schedule, schedule_id)
        assert schedule.next_fire_at is not None
        schedule.next_fire_at -= timedelta(**back)
        return schedule.next_fire_at


def _end_expansions(database: Database) -> None:
    with database.write() as session:
        of_batches = update(Job).where(Job.kind == JobKind.EXPAND_BATCH.value)
        session.execute(of_batches.values(state=JobState.SUCCEEDED.value, finished_at=now()))


def _set(database: Database, job_id: UUID, **values: Any) -> None:
    with database.write() as session:
        session.execute(update(Job).where(Job.id == job_id).values(**values))


def _count(database: Database, model: Any) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(model)) or 0


def _read(database: Database, schedule_id: UUID) -> Schedule:
    with database.read() as session:
        return session.get_one(Schedule, schedule_id)


def _database_now(database: Database) -> datetime:
    with database.read() as session:
        return session.scalars(select(now())).one()


# --- schedules ------------------------------------------------------------------------------


def test_a_schedule_that_is_not_due_does_nothing(
    database: Database, settings: Settings, make_clock: MakeClock, project_id: int
) -> None:
    _schedule(database, settings, project_id)
    assert make_clock().fire_schedules() == 0
    assert _count(database, Batch) == 0


def test_a_due_schedule_starts_a_batch_and_plans_its_next_fire(
    database: Database,
    settings: Settings,
    make_clock: MakeClock,
    project_id: int,
    rings: RecordedRings,
) -> None:
    schedule_id = _schedule(database, settings, project_id)
    _overdue(database, schedule_id, minutes=10)
    clock = make_clock()
    assert clock.fire_schedules() == 1
    assert clock.fire_schedules() == 0
    with database.read() as session:
        batch = session.scalars(select(Batch)).one()
        fire = session.scalars(select(ScheduleFire)).one()
    fired = _read(database, schedule_id)
    assert (batch.schedule_id, batch.selector) == (schedule_id, {"all": True})
    assert (fire.batch_id, fire.fire_at) == (batch.id, fired.last_fire_at)
    assert fired.next_fire_at is not None
    assert fired.next_fire_at > _database_now(database)
    assert [ring.kind for ring in rings.rung] == [JobKind.EXPAND_BATCH]


def test_a_schedule_waits_until_its_last_batch_is_expanded(
    database: Database, settings: Settings, make_clock: MakeClock, project_id: int
) -> None:
    """Where workers are behind, it would add a batch with every minute, each with its selector."""
    schedule_id = _schedule(database, settings, project_id, name="one")
    # Its time does not come while the test runs.
    other_id = _schedule(database, settings, project_id, name="other", cron="0 0 1 1 *")
    clock = make_clock()
    _overdue(database, schedule_id, minutes=30)
    assert clock.fire_schedules() == 1
    with database.write() as session:  # as if that had been an hour ago
        fire = session.scalars(select(ScheduleFire)).one()
        fire.fire_at -= timedelta(hours=1)
        session.get_one(Schedule, schedule_id).last_fire_at = fire.fire_at
    _overdue(database, schedule_id, minutes=30)
    _overdue(database, other_id, days=366)
    assert clock.fire_schedules() == 1  # the other one
    _end_expansions(database)
    assert clock.fire_schedules() == 1
    assert _count(database, Batch) == 3


def test_no_selector_is_read_to_see_what_is_due(
    database: Database, settings: Settings, project_id: int
) -> None:
    """A thousand of 10,000 tables each took the clock more memory than its container has."""
    schedule_id = _schedule(database, settings, project_id)
    _overdue(database, schedule_id, minutes=30)
    loaded: list[set[str]] = []

    def note(row: Any, _context: Any) -> None:
        loaded.append(set(row.__dict__))

    event.listen(Schedule, "load", note)
    try:
        with database.read() as session:
            assert schedules.due(session, limit=10) == [schedule_id]
            assert list(schedules.unfireable(session)) == []
    finally:
        event.remove(Schedule, "load", note)
    assert loaded
    assert not any("selector" in names for names in loaded)


def test_a_clock_that_was_away_fires_once_for_the_latest_time_it_missed(
    database: Database, settings: Settings, make_clock: MakeClock, project_id: int
) -> None:
    schedule_id = _schedule(database, settings, project_id)
    first_missed = _overdue(database, schedule_id, hours=2)
    assert make_clock().fire_schedules() == 1
    fired = _read(database, schedule_id)
    assert fired.last_fire_at is not None
    assert fired.next_fire_at is not None
    assert fired.last_fire_at - first_missed >= timedelta(hours=1, minutes=50)
    assert fired.next_fire_at - fired.last_fire_at == timedelta(minutes=10)
    assert _count(database, Batch) == 1


def test_two_clocks_fire_each_schedule_once(
    database: Database, settings: Settings, make_clock: MakeClock, project_id: int
) -> None:
    ids = [_schedule(database, settings, project_id, name=f"s{n}") for n in range(8)]
    for schedule_id in ids:
        _overdue(database, schedule_id, minutes=30)
    fired = race(*(make_clock(f"clock{n}").fire_schedules for n in range(3)))
    assert sum(fired) == 8
    assert _count(database, Batch) == 8
    assert _count(database, ScheduleFire) == 8


def test_a_paused_schedule_does_not_fire_and_makes_nothing_up_afterwards(
    database: Database, settings: Settings, make_clock: MakeClock, project_id: int
) -> None:
    schedule_id = _schedule(database, settings, project_id)
    _overdue(database, schedule_id, hours=1)
    with context(database, settings, project_id) as edge:
        assert schedules.change(edge, schedule_id, {"paused": True}).next_fire_at is None
    assert make_clock().fire_schedules() == 0
    with context(database, settings, project_id) as edge:
        planned = schedules.change(edge, schedule_id, {"paused": False}).next_fire_at
    assert planned is not None
    assert planned > _database_now(database)
    assert make_clock().fire_schedules() == 0


@pytest.fixture
def unfireable(database: Database, settings: Settings, project_id: int) -> dict[UUID, str]:
    """Schedules, long overdue, that were accepted where more zones and rules were known; by what
    is wrong."""
    broken = {"timezone": "Atlantis/Capital", "cron": "99 * * * *"}
    found = {}
    for field, value in broken.items():
        schedule_id = _schedule(database, settings, project_id, name=f"bad {field}")
        _overdue(database, schedule_id, hours=2)
        with database.write() as session:
            setattr(session.get_one(Schedule, schedule_id), field, value)
        found[schedule_id] = value
    return found


def test_schedules_that_cannot_fire_take_no_other_ones_turn(
    database: Database,
    settings: Settings,
    make_clock: MakeClock,
    project_id: int,
    unfireable: dict[UUID, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ticks, "FIRES_PER_TICK", 1)
    good = [_schedule(database, settings, project_id, name=name) for name in ("one", "two")]
    for schedule_id in good:
        _overdue(database, schedule_id, hours=1)
    clock = make_clock()
    assert [clock.fire_schedules() for _ in range(3)] == [1, 1, 0]
    assert all(_read(database, each).last_fire_at is not None for each in good)
    assert all(_read(database, each).last_fire_at is None for each in unfireable)


def test_a_schedule_that_could_not_fire_does_as_soon_as_it_can(
    database: Database, make_clock: MakeClock, unfireable: dict[UUID, str]
) -> None:
    clock = make_clock()
    assert clock.fire_schedules() == 0
    with database.write() as session:
        session.execute(update(Schedule).values(timezone="Europe/Berlin"))
    assert clock.fire_schedules() == 1


def test_schedules_that_cannot_fire_are_named_in_the_log_once_in_a_while(
    make_clock: MakeClock, unfireable: dict[UUID, str]
) -> None:
    seconds = Seconds()
    clock = make_clock(monotonic=seconds)

    def named() -> list[dict[str, Any]]:
        with capture_logs() as lines:
            assert clock.tick()
        return [line for line in lines if line["event"] == "schedules_not_fired"]

    (line,) = named()
    assert line["count"] == 2
    for (schedule_id, *rule), (bad_id, wrong) in zip(
        line["first"], unfireable.items(), strict=True
    ):
        assert schedule_id == str(bad_id)
        assert wrong in rule
    assert named() == []
    seconds.now += 301
    assert len(named()) == 1


def test_a_schedule_waits_for_its_jitter(
    database: Database, settings: Settings, make_clock: MakeClock, project_id: int
) -> None:
    """Due ten minutes ago, with an hour of jitter: whether it starts is in its hash."""
    outcomes = set()
    for number in range(24):
        schedule_id = _schedule(
            database, settings, project_id, name=f"s{number}", cron="0 0 * * *", jitter_seconds=3600
        )
        with database.write() as session:
            moment = session.scalars(select(now(-1800))).one()
            session.get_one(Schedule, schedule_id).next_fire_at = moment
        waits = schedules.cron.jitter(schedule_id, moment, 3600) > timedelta(seconds=1830)
        fired = make_clock().fire_schedules()
        if waits:
            assert fired == 0
        outcomes.add((waits, fired))
    assert {(True, 0), (False, 1)} <= outcomes


def test_a_fire_that_is_written_already_is_not_repeated(
    database: Database, settings: Settings, make_clock: MakeClock, project_id: int
) -> None:
    """The database's clock went back after a fire: the unique key remembers it."""
    schedule_id = _schedule(database, settings, project_id)
    _overdue(database, schedule_id, minutes=10)
    clock = make_clock()
    clock.fire_schedules()
    _end_expansions(database)
    _overdue(database, schedule_id, minutes=10)
    assert clock.fire_schedules() == 0
    assert _count(database, Batch) == 1
    planned = _read(database, schedule_id).next_fire_at
    assert planned is not None
    assert planned > _database_now(database)


# --- jobs -----------------------------------------------------------------------------------


@pytest.fixture
def forgotten(database: Database, project_id: int, rings: RecordedRings) -> list[UUID]:
    """Twelve jobs that nobody has rung for."""
    with database.write() as session:
        tables = make_tables(session, project_id, 12)
    ids = [enqueue(database, refresh_of(table)) for table in tables]
    with database.write() as session:
        session.execute(update(Job).values(rung_at=None))
    rings.take()
    return ids


def test_forgotten_jobs_are_rung_for_so_many_a_tick(
    make_clock: MakeClock, forgotten: list[UUID], rings: RecordedRings
) -> None:
    clock = make_clock()
    assert [clock.ring_for_jobs() for _ in range(4)] == [5, 5, 2, 0]
    assert sorted(rings.take()) == sorted(forgotten)


def test_many_ticks_without_a_worker_do_not_flood_the_queue(
    make_clock: MakeClock, forgotten: list[UUID], rings: RecordedRings
) -> None:
    """Two clocks, no worker: each job is rung for once until its distance has passed."""
    clocks = [make_clock("one"), make_clock("two")]

    def tick_often(clock: ClockWork) -> None:
        for _ in range(10):
            assert clock.tick()

    race(*(lambda clock=clock: tick_often(clock) for clock in clocks))
    assert sorted(rings.take()) == sorted(forgotten)


def test_a_full_queue_is_not_rung_into(
    database: Database, make_clock: MakeClock, forgotten: list[UUID], rings: RecordedRings
) -> None:
    queue = QueueOf(10, Queue.INTERACTIVE)
    clock = make_clock(queue_lengths=queue, settings={"clock_max_queue_length": 10})
    assert clock.ring_for_jobs() == 0
    queue.messages = 9
    assert clock.ring_for_jobs() == 1
    assert len(rings.take()) == 1


def test_a_full_queue_leaves_the_others_room(
    make_clock: MakeClock, forgotten: list[UUID], rings: RecordedRings
) -> None:
    """A large batch waits; a retry of what a person asked for has only the clock to ring for it."""
    clock = make_clock(
        queue_lengths=QueueOf(100, Queue.BULK), settings={"clock_max_queue_length": 100}
    )
    assert clock.ring_for_jobs() == 5
    assert len(rings.take()) == 5


def test_jobs_behind_a_long_queue_were_not_forgotten(
    make_clock: MakeClock, forgotten: list[UUID], rings: RecordedRings
) -> None:
    """Twelve jobs wait for workers that are behind: their messages are all there."""
    queue = QueueOf(12, Queue.INTERACTIVE)
    clock = make_clock(queue_lengths=queue)
    assert clock.ring_for_jobs() == 0
    queue.messages = 10
    assert clock.ring_for_jobs() == 2
    assert len(rings.take()) == 2


def test_a_job_that_nobody_ever_rang_for_comes_before_one_that_was_rung_long_ago(
    database: Database, make_clock: MakeClock, forgotten: list[UUID], rings: RecordedRings
) -> None:
    with database.write() as session:
        session.execute(update(Job).where(Job.id != forgotten[-1]).values(rung_at=now(-3600.0)))
    assert make_clock(queue_lengths=QueueOf(11, Queue.INTERACTIVE)).ring_for_jobs() == 1
    assert rings.take() == [forgotten[-1]]


def test_a_backlog_of_one_queue_does_not_keep_another_from_being_rung_for(
    database: Database, make_clock: MakeClock, forgotten: list[UUID], rings: RecordedRings
) -> None:
    lost = forgotten[-1]
    with database.write() as session:
        session.execute(update(Job).where(Job.id != lost).values(queue=Queue.BULK.value))
    assert make_clock(queue_lengths=QueueOf(11, Queue.BULK)).ring_for_jobs() == 1
    assert rings.take() == [lost]


def test_a_silent_broker_is_not_rung_and_the_jobs_stay_due(
    database: Database, make_clock: MakeClock, forgotten: list[UUID], rings: RecordedRings
) -> None:
    queue = QueueOf(None)
    clock = make_clock(queue_lengths=queue)
    assert clock.ring_for_jobs() == 0
    assert all(job(database, job_id).rung_at is None for job_id in forgotten)
    queue.messages = 0
    assert clock.ring_for_jobs() == 5


def test_the_broker_is_asked_only_when_there_is_something_to_ring_for(
    make_clock: MakeClock,
) -> None:
    queue = QueueOf()
    make_clock(queue_lengths=queue).ring_for_jobs()
    assert queue.asked == 0


def test_a_job_whose_worker_vanished_is_rescued_and_rung_for(
    database: Database, make_clock: MakeClock, forgotten: list[UUID], rings: RecordedRings
) -> None:
    with database.write() as session:
        session.execute(update(Job).where(Job.id != forgotten[0]).values(state="succeeded"))
    claimed(database, forgotten[0], lease_seconds=-1.0)
    clock = make_clock(settings={"job_retry_base_seconds": 1e-6})
    assert clock.tick()
    assert job(database, forgotten[0]).state == "queued"
    assert clock.tick()
    assert rings.take() == [forgotten[0]]


@pytest.mark.parametrize(
    "words", [{"kind": "compact_table"}, {"queue": "urgent"}], ids=["kind", "queue"]
)
def test_a_queued_job_that_only_a_newer_release_knows_keeps_no_other_from_being_rung_for(
    database: Database,
    make_clock: MakeClock,
    forgotten: list[UUID],
    rings: RecordedRings,
    words: dict[str, str],
) -> None:
    _set(database, forgotten[0], **words)
    clock = make_clock(settings={"clock_rings_per_tick": 100})
    assert clock.tick()
    assert sorted(rings.take()) == sorted(forgotten[1:])
    assert job(database, forgotten[0]).rung_at is None


def test_a_running_job_of_a_kind_that_only_a_newer_release_knows_is_left_to_its_clock(
    database: Database, make_clock: MakeClock, forgotten: list[UUID]
) -> None:
    """One in a queue of an unknown name is rescued: it keeps other jobs of its table waiting."""
    of_kind, in_queue, plain = forgotten[:3]
    for job_id in (of_kind, in_queue, plain):
        claimed(database, job_id, lease_seconds=-1.0)
    _set(database, of_kind, kind="compact_table")
    _set(database, in_queue, queue="urgent")
    assert make_clock().rescue_jobs() == 2
    states = [job(database, job_id).state for job_id in (of_kind, in_queue, plain)]
    assert states == ["running", "queued", "queued"]


def test_jobs_that_only_a_newer_release_knows_are_named_in_the_log_once_in_a_while(
    database: Database, make_clock: MakeClock, forgotten: list[UUID]
) -> None:
    _set(database, forgotten[0], kind="compact_table", state="running")
    _set(database, forgotten[1], queue="urgent")
    _set(database, forgotten[2], kind="compact_table", state="succeeded")
    seconds = Seconds()
    clock = make_clock(monotonic=seconds)

    def named() -> list[tuple[str, str, int]]:
        with capture_logs() as lines:
            assert clock.tick()
        found = [line for line in lines if line["event"] == "unknown_jobs_left_alone"]
        return [(line["kind"], line["queue"], line["count"]) for line in found]

    both = [("compact_table", "interactive", 1), ("refresh_schema", "urgent", 1)]
    assert named() == both
    assert named() == []
    seconds.now += 301
    assert named() == both


def test_an_idle_tick_writes_nothing(
    database: Database, make_clock: MakeClock, settings: Settings, project_id: int
) -> None:
    _schedule(database, settings, project_id)
    seconds = Seconds()
    clock = make_clock(monotonic=seconds)
    clock.tick()
    with database.read() as session:
        before = session.scalars(select(ClockBeat.ticked_at)).all()
    seconds.now += 1.0
    assert clock.tick()
    with database.read() as session:
        assert session.scalars(select(ClockBeat.ticked_at)).all() == before


# --- the beat -------------------------------------------------------------------------------


def test_a_good_tick_is_recorded_every_two_seconds_under_the_clocks_name(
    database: Database, make_clock: MakeClock
) -> None:
    seconds = Seconds()
    clocks = [make_clock("one", monotonic=seconds), make_clock("two", monotonic=seconds)]
    for clock in clocks:
        clock.tick()
    with database.write() as session:
        session.execute(update(ClockBeat).values(ticked_at=now(-600)))
    seconds.now += 2.5
    clocks[0].tick()
    with database.read() as session:
        recent = select(ClockBeat.node).where(ClockBeat.ticked_at > now(-60))
        assert session.scalars(recent).all() == ["one"]
    assert _count(database, ClockBeat) == 2


def test_a_step_that_fails_leaves_the_others_their_work_and_no_beat(
    database: Database, make_clock: MakeClock, forgotten: list[UUID]
) -> None:
    class Broken:
        def __call__(self) -> int | None:
            raise RuntimeError("an error that nobody foresaw")

    claimed(database, forgotten[0], lease_seconds=-1.0)
    assert make_clock(queue_lengths=Broken()).tick() is False
    assert job(database, forgotten[0]).state == "queued"
    assert _count(database, ClockBeat) == 0


@pytest.mark.parametrize("dialect", ["sqlite"])  # the one that is gone is no test's
def test_a_tick_without_a_database_does_not_raise(settings: Settings) -> None:
    port = free_ports(1)[0]
    gone = Database(f"postgresql+psycopg://x@127.0.0.1:{port}/x")
    clock = ClockWork(gone, settings, managed_storage(settings), QueueOf())
    assert clock.tick() is False
    gone.dispose()


# --- upkeep ---------------------------------------------------------------------------------


def _upload(
    database: Database, settings: Settings, project_id: int, state: UploadState, age: float
) -> UUID:
    storage = managed_storage(settings)

    async def store(key: str) -> None:
        sink = storage.open_upload(key)
        await sink.write(b"id\n1\n")
        await sink.finish()

    with database.write() as session:
        upload = Upload(project_id=project_id, filename="a.csv", object_key="", state=state.value)
        session.add(upload)
        session.flush()
        upload.object_key = storage.upload_key(project_id, str(upload.id))
        session.flush()
        session.execute(update(Upload).where(Upload.id == upload.id).values(changed_at=now(-age)))
    asyncio.run(store(upload.object_key))
    return upload.id


def _bytes_of(settings: Settings, project_id: int, upload_id: UUID) -> Path:
    storage = managed_storage(settings)
    return Path(storage.location(storage.upload_key(project_id, str(upload_id))).key)


@pytest.mark.parametrize(
    ("state", "age_seconds", "removed"),
    [
        (UploadState.SUPERSEDED, 3700, True),
        (UploadState.SUPERSEDED, 3500, False),
        (UploadState.RECEIVING, 3700, True),
        (UploadState.RECEIVING, 3500, False),
        (UploadState.STORED, 86_500, True),
        (UploadState.STORED, 86_300, False),
        (UploadState.ACTIVE, 99_999, False),
    ],
)
def test_uploads_that_nothing_reads_are_removed(
    database: Database,
    settings: Settings,
    make_clock: MakeClock,
    project_id: int,
    state: UploadState,
    age_seconds: float,
    removed: bool,
) -> None:
    upload_id = _upload(database, settings, project_id, state, age_seconds)
    file = _bytes_of(settings, project_id, upload_id)
    assert file.exists()
    make_clock().tidy()
    with database.read() as session:
        after = session.get_one(Upload, upload_id).state
    assert (file.exists(), after) == (not removed, "removed" if removed else state.value)


def test_an_upload_that_a_job_still_wants_is_kept(
    database: Database, settings: Settings, make_clock: MakeClock, project_id: int
) -> None:
    upload_id = _upload(database, settings, project_id, UploadState.STORED, 99_999)
    with database.write() as session:
        session.add(
            Job(
                project_id=project_id,
                kind=JobKind.INGEST_FILE.value,
                queue=Queue.INTERACTIVE.value,
                state=JobState.QUEUED.value,
                max_attempts=1,
                upload_id=upload_id,
            )
        )
    make_clock().tidy()
    assert _bytes_of(settings, project_id, upload_id).exists()


def test_a_failed_load_cannot_be_tried_again_once_its_bytes_are_being_removed(
    database: Database, settings: Settings, project_id: int
) -> None:
    """Bytes of a slow store take their time; a retry that was accepted meanwhile would fail."""
    upload_id = _upload(database, settings, project_id, UploadState.STORED, 99_999)
    failed = Job(
        project_id=project_id,
        kind=JobKind.INGEST_FILE.value,
        queue=Queue.INTERACTIVE.value,
        state=JobState.FAILED.value,
        max_attempts=1,
        upload_id=upload_id,
    )
    with database.write() as session:
        session.add(failed)
    outcomes: list[str] = []

    class Slow(ManagedStorage):
        async def remove(self, key: str) -> None:
            with (
                pytest.raises(ConflictError, match="upload it again"),
                context(database, settings, project_id) as edge,
            ):
                retry_job(edge, failed.id)
            outcomes.append("refused")
            await super().remove(key)

    slow = Slow(root=managed_storage(settings).root)
    assert upkeep.remove_uploads(database, slow, superseded_seconds=60) == 1
    assert outcomes == ["refused"]
    with database.read() as session:
        assert session.get_one(Upload, upload_id).state == "removed"


def test_an_upload_whose_bytes_are_gone_already_is_marked_all_the_same(
    database: Database, settings: Settings, make_clock: MakeClock, project_id: int
) -> None:
    upload_id = _upload(database, settings, project_id, UploadState.SUPERSEDED, 9999)
    _bytes_of(settings, project_id, upload_id).unlink()
    make_clock().tidy()
    with database.read() as session:
        assert session.get_one(Upload, upload_id).state == "removed"


def test_uploads_are_removed_in_small_batches(
    database: Database, settings: Settings, project_id: int
) -> None:
    for _ in range(3):
        _upload(database, settings, project_id, UploadState.SUPERSEDED, 9999)
    storage = managed_storage(settings)
    removed = [
        upkeep.remove_uploads(database, storage, superseded_seconds=60, limit=2) for _ in range(3)
    ]
    assert removed == [2, 1, 0]


def test_first_answers_are_forgotten_after_a_day_in_small_batches(
    database: Database, project_id: int
) -> None:
    with database.write() as session:
        for number, hours in enumerate((25, 26, 27, 23)):
            session.add(
                IdempotencyKey(project_id=project_id, key=f"k{number}", fingerprint=b"x" * 32)
            )
            session.flush()
            session.execute(
                update(IdempotencyKey)
                .where(IdempotencyKey.key == f"k{number}")
                .values(created_at=now(-hours * 3600))
            )
    assert [upkeep.prune_idempotency_keys(database, limit=2) for _ in range(3)] == [2, 1, 0]
    with database.read() as session:
        assert session.scalars(select(IdempotencyKey.key)).all() == ["k3"]


# --- the broker and beat --------------------------------------------------------------------


def test_the_queue_length_is_that_of_the_brokers_lists(valkey: Valkey) -> None:
    url = f"{valkey.url.rsplit('/', 1)[0]}/7"  # a database of the shared broker that is ours
    broker, lengths = redis.Redis.from_url(url), BrokerQueueLengths(url)
    broker.rpush("interactive", "1", "2")
    broker.rpush("bulk", "3")
    assert lengths() == {Queue.INTERACTIVE: 2, Queue.BULK: 1, Queue.VALIDATE: 0}
    lengths.close()
    broker.delete("interactive", "bulk")
    broker.close()


def test_a_broker_that_is_away_has_no_queue_length() -> None:
    length = BrokerQueueLengths(f"redis://127.0.0.1:{free_ports(1)[0]}/0")
    assert length() is None
    length.close()


@pytest.fixture
def environment(settings: Settings, valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOCKTAKE_DATABASE_URL", settings.database_url)
    monkeypatch.setenv("STOCKTAKE_DATA_DIR", str(settings.data_dir))
    monkeypatch.setenv("STOCKTAKE_BROKER_URL", valkey.url)
    monkeypatch.setenv("STOCKTAKE_CLOCK_INTERVAL_SECONDS", "0.25")


@pytest.mark.usefixtures("environment")
def test_beats_scheduler_ticks_at_our_interval_and_closes_twice(database: Database) -> None:
    from tasks.app import app

    clock = Clock(app)
    assert clock.schedule == {}
    assert clock.tick() == 0.25
    assert _count(database, ClockBeat) == 1
    clock.close()
    clock.close()
    assert clock.tick() == 0.25, "a tick after the close does nothing"


@pytest.mark.usefixtures("environment")
def test_storage_that_does_not_answer_keeps_no_job_waiting(
    database: Database,
    settings: Settings,
    project_id: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from tasks.app import app

    _upload(database, settings, project_id, UploadState.SUPERSEDED, 9999)
    with socket.create_server(("127.0.0.1", 0)) as store:
        store.settimeout(PATIENCE_SECONDS)
        monkeypatch.setenv("STOCKTAKE_MANAGED_STORAGE_URL", "s3://silent")
        monkeypatch.setenv("STOCKTAKE_MANAGED_STORAGE_ACCESS_KEY", "k")
        monkeypatch.setenv("STOCKTAKE_MANAGED_STORAGE_ACCESS_SECRET", "s")
        monkeypatch.setenv(
            "STOCKTAKE_MANAGED_STORAGE_ENDPOINT", f"http://127.0.0.1:{store.getsockname()[1]}"
        )
        clock = Clock(app)
        unanswered, _ = store.accept()  # the removal of the upload's bytes is under way
        clock.tick()
        assert _count(database, ClockBeat) == 1
    unanswered.close()
    clock.close()


def test_the_banners_scheduler_opens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks.app import app

    monkeypatch.setenv("STOCKTAKE_DATABASE_URL", "sqlite:////nowhere/none.db")
    banner = Clock(app, lazy=True, max_interval=None, schedule_filename="unused")
    assert banner.max_interval == Settings().clock_interval_seconds
    assert banner.info
    banner.close()
