"""A sweep ends what is unchanged, and passes on all else: each row of what must hold."""

import threading
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, select, update

from stocktake.db.clock import now
from stocktake.db.models import Job, SchemaVersion, Table, WorkerPool
from stocktake.db.session import Database
from stocktake.errors import StaleAttemptError
from stocktake.jobs import leases, rescue, sweeps
from stocktake.jobs.leases import RetryPolicy
from stocktake.jobs.shares import Presence
from stocktake.jobs.sweeps import Ended
from stocktake.runs import refresh_schema, sweep, sweep_probes
from stocktake.services import batches, jobs, table_changes, tables
from stocktake.states import SWEEP, JobKind, JobState, Queue
from tests.integration.runs.conftest import Desk
from tests.integration.runs.sweeping import WORKER, Fleet, commit, never
from tests.support.rows import (
    LEASE_SECONDS,
    RecordedRings,
    claim,
    claimed,
    context,
    enqueue,
    make_project,
    race,
    refresh_of,
)

AT_ONCE = RetryPolicy(base_seconds=0.0, max_seconds=0.0)


@pytest.fixture
def fleet(desk: Desk, rings: RecordedRings) -> Fleet:
    return Fleet(desk=desk, rings=rings)


def swept(fleet: Fleet, chunk: sweeps.Chunk, stopping: Callable[[], bool] = never) -> Ended:
    return sweep.run(fleet.runtime().process, chunk, stopping=stopping).ended


# --- what is unchanged ------------------------------------------------------------------------


def test_what_is_unchanged_ends_as_an_ordinary_job_does(fleet: Fleet) -> None:
    made = [*fleet.delta(2), fleet.parquet()]
    fleet.read(made)
    with fleet.database.read() as session:
        before = session.scalars(
            select(Job).where(Job.table_id.in_(made)).order_by(Job.id.desc()).limit(3)
        ).all()
    ordinary = {job.table_id: job for job in before}
    batch = fleet.batch()

    assert swept(fleet, fleet.claimed(batch)) == Ended(unchanged=3)

    for job in fleet.jobs(batch):
        assert (job.state, job.attempt, job.worker, job.error) == ("succeeded", 1, None, None)
        assert job.result == ordinary[job.table_id].result
        assert job.result is not None
        assert job.result["coverage"]["unchanged"]
        [attempt] = fleet.attempts(job.id)
        assert (attempt.outcome, attempt.worker) == ("succeeded", WORKER)
        assert job.finished_at is not None
        assert fleet.row(job.table_id).last_refreshed_at >= job.created_at
        assert fleet.row(job.table_id).latest_job_id == job.id
    with fleet.database.read() as session:
        assert len(session.scalars(select(SchemaVersion)).all()) == 3, "one each, of the first read"


def test_what_changed_is_passed_on_and_costs_no_attempt(fleet: Fleet) -> None:
    first, _, _ = fleet.delta(3)
    batch = fleet.batch()
    commit(fleet.desk.sources / "delta_0")
    fleet.rings.take()

    assert swept(fleet, fleet.claimed(batch)) == Ended(unchanged=2, passed_on=1)

    job = fleet.job_of(batch, first)
    assert (job.state, job.attempt, job.max_attempts) == ("queued", 1, 6)
    assert (job.error, job.result, job.worker, job.lease_expires_at) == (None,) * 4
    [attempt] = fleet.attempts(job.id)
    assert attempt.outcome == "passed_on"
    assert fleet.rings.take() == [job.id], "it is rung for singly, and nothing else is left"
    fleet.desk.run(job.id, refresh_schema.run)
    assert fleet.desk.job(job.id).attempt == 2
    assert fleet.row(first).source_version == 1


def _gone(fleet: Fleet, made: UUID) -> None:
    for file in (fleet.desk.sources / "files").iterdir():
        file.unlink()


def _file_more(fleet: Fleet, made: UUID) -> None:
    (fleet.desk.sources / "files" / "x.parquet").write_bytes(b"PAR1")


def _rewritten(fleet: Fleet, made: UUID) -> None:
    file = fleet.desk.sources / "files" / "0.parquet"
    file.write_bytes(file.read_bytes() + b" ")


def _of_older_reader(fleet: Fleet, made: UUID) -> None:
    _change(fleet, made, lambda table: table.source_state | {"reader_version": 0}, "source_state")


def _of_other_options(fleet: Fleet, made: UUID) -> None:
    _change(fleet, made, lambda table: table.source_state | {"options": {"a": 1}}, "source_state")


def _refused_root(fleet: Fleet, made: UUID) -> None:
    _change(fleet, made, lambda _: "file:///etc/*.parquet", "url_pattern")


def _without_state(fleet: Fleet, made: UUID) -> None:
    _change(fleet, made, lambda _: None, "source_state")


def _managed(fleet: Fleet, made: UUID) -> None:
    _change(fleet, made, lambda _: True, "managed")


def _key_gone(fleet: Fleet, made: UUID) -> None:
    _change(fleet, made, lambda table: table.source_state | {"generation": -1}, "source_state")


def _change(fleet: Fleet, made: UUID, value: Callable[[Any], Any], name: str) -> None:
    with fleet.database.write() as session:
        table = session.get_one(Table, made)
        setattr(table, name, value(table))


@pytest.mark.parametrize(
    "change",
    [
        _gone,
        _file_more,
        _rewritten,
        _of_older_reader,
        _of_other_options,
        _refused_root,
        _without_state,
        _managed,
        _key_gone,
    ],
)
def test_all_that_is_not_sure_is_passed_on(
    fleet: Fleet, change: Callable[[Fleet, UUID], None]
) -> None:
    """Errors, too: their codes, retries and backoff are an ordinary read's."""
    made = fleet.parquet()
    batch = fleet.batch()
    change(fleet, made)

    assert swept(fleet, fleet.claimed(batch)) == Ended(passed_on=1)
    job = fleet.job_of(batch, made)
    assert (job.state, job.attempt, job.error) == ("queued", 1, None)
    assert fleet.claim(batch) is None, "a second try is never swept"


def test_more_than_a_page_of_files_is_not_listed_to_the_end(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.parquet(count=4)
    batch = fleet.batch()
    monkeypatch.setattr("stocktake.readers._PAGE", 3)

    assert swept(fleet, fleet.claimed(batch)) == Ended(passed_on=1)


def test_a_text_whose_validation_is_due_is_never_swept(fleet: Fleet) -> None:
    (fleet.desk.sources / "a.csv").write_text("id,paid\n1,true\n")
    made = fleet.table("csv", "CSVWithNames", f"file://{fleet.desk.sources}/a.csv")
    fleet.read([made])
    batch = fleet.batch()
    assert fleet.claim(batch) is None
    _change(fleet, made, lambda table: table.source_state, "validated_state")
    with fleet.database.write() as session:
        session.execute(delete(Job).where(Job.kind == JobKind.VALIDATE_COLUMNS.value))
    fleet.desk.run(fleet.job_of(batch, made).id, refresh_schema.run)
    assert swept(fleet, fleet.claimed(fleet.batch())) == Ended(unchanged=1)


def test_a_table_that_was_never_read_is_rung_for_by_itself(fleet: Fleet) -> None:
    known = fleet.parquet()
    new = fleet.table("new", "Parquet", f"file://{fleet.desk.sources}/files/*.parquet")
    batch = fleet.accepted()
    fleet.rings.take()
    fleet.expand(batch)

    rung = {(ring.kind, ring.job_id) for ring in fleet.rings.rung}
    assert rung == {
        (SWEEP, batch),
        (JobKind.REFRESH_SCHEMA, fleet.job_of(batch, new).id),
    }
    assert [claim.table_id for claim in fleet.claimed(batch).claims] == [known]


def test_a_chunk_of_one_leaves_each_job_a_task_of_its_own(fleet: Fleet) -> None:
    fleet.delta(3)
    batch = fleet.accepted()
    fleet.rings.take()
    fleet.expand(batch, sweep_chunk=1)

    assert {ring.kind for ring in fleet.rings.rung} == {JobKind.REFRESH_SCHEMA}
    assert fleet.claim(batch) is None


# --- the claim --------------------------------------------------------------------------------


def test_a_claim_takes_so_many_and_each_job_has_its_own_attempt(fleet: Fleet) -> None:
    fleet.delta(5)
    batch = fleet.batch()
    chunk = fleet.claimed(batch, most=3)

    assert len(chunk.claims) == 3
    running = [job for job in fleet.jobs(batch) if job.state == "running"]
    assert {job.id for job in running} == set(chunk.job_ids)
    for job in running:
        assert (job.attempt, job.worker, job.generation) == (1, WORKER, 1)
        assert job.lease_expires_at is not None
        assert [each.ended_at for each in fleet.attempts(job.id)] == [None]
    assert len(fleet.claimed(batch, worker="node/s/8").claims) == 2
    assert fleet.claim(batch, worker="node/s/9") is None, "a doubled message claims nothing"


def test_two_sweepers_at_once_share_the_jobs(fleet: Fleet, migrated_database_url: str) -> None:
    fleet.delta(8)
    batch = fleet.batch()
    other = Database(migrated_database_url)

    def take(database: Database, worker: str) -> list[UUID]:
        with database.write() as session:
            given = {"worker": worker, "lease_seconds": LEASE_SECONDS, "most": 5}
            chunk = sweeps.claim(session, batch, **given)
        return chunk.job_ids if chunk else []

    try:
        one, two = race(lambda: take(fleet.database, "node/s/1"), lambda: take(other, "node/s/2"))
    finally:
        other.dispose()
    assert not set(one) & set(two)
    assert len(one) + len(two) == 8


def test_what_runs_or_waits_later_or_was_tried_is_not_claimed(fleet: Fleet) -> None:
    first, second, third, fourth, fifth = fleet.delta(5)
    running = enqueue(fleet.database, refresh_of(fleet.row(first)))
    claimed(fleet.database, running)
    batch = fleet.batch()
    with fleet.database.write() as session:
        mine = update(Job).where(Job.batch_id == batch)
        session.execute(mine.where(Job.table_id == second).values(next_run_at=now(60)))
        session.execute(mine.where(Job.table_id == third).values(attempt=1))
        session.execute(mine.where(Job.table_id == fourth).values(queue=Queue.INTERACTIVE.value))
    assert [claim.table_id for claim in fleet.claimed(batch).claims] == [fifth]


def test_a_project_without_a_place_waits_and_is_rung_for_when_there_is_one(fleet: Fleet) -> None:
    fleet.delta(3)
    with fleet.database.write() as session:
        Presence(worker="node/s", places=2, project_places=1, lease_seconds=1e6).keep(session)
    batch = fleet.batch()
    chunk = fleet.claimed(batch, most=2)

    assert fleet.claim(batch, worker="node/s/8") is None
    assert fleet.claim(batch, worker="node/s/8") is None
    fleet.rings.take()
    swept(fleet, chunk)
    assert [(ring.kind, ring.job_id) for ring in fleet.rings.rung] == [(SWEEP, batch)]
    assert len(fleet.claimed(batch, worker="node/s/8").claims) == 1


def test_a_sweep_takes_one_place_however_many_jobs_it_holds(fleet: Fleet) -> None:
    fleet.delta(4)
    with fleet.database.write() as session:
        other = make_project(session, "Other").id
        Presence(worker="node/s", places=2, project_places=2, lease_seconds=1e6).keep(session)
    batch = fleet.batch()
    fleet.claimed(batch, most=3)
    asked = fleet.table("asked", "Parquet", "file:///nowhere/*.parquet", project_id=other)
    job = enqueue(fleet.database, refresh_of(fleet.row(asked)))

    assert claim(fleet.database, job, "node/s/8") is not None


# --- the end ----------------------------------------------------------------------------------


def test_a_job_that_is_cancelled_during_the_look_ends_cancelled(fleet: Fleet) -> None:
    first, second, third = fleet.delta(3)
    batch = fleet.batch()
    chunk = fleet.claimed(batch)
    commit(fleet.desk.sources / "delta_1")
    with context(fleet.database, fleet.desk.settings, fleet.desk.project_id) as ctx:
        jobs.cancel_job(ctx, fleet.job_of(batch, first).id)  # unchanged
        jobs.cancel_job(ctx, fleet.job_of(batch, second).id)  # would be passed on

    assert swept(fleet, chunk) == Ended(unchanged=1, cancelled=2)
    for made in (first, second):
        job = fleet.job_of(batch, made)
        assert job.state == "cancelled"
        assert job.error is not None
        assert job.error["code"] == "cancelled"
        assert [each.outcome for each in fleet.attempts(job.id)] == ["cancelled"]
    assert fleet.job_of(batch, third).state == "succeeded"


def test_a_cancelled_batch_ends_as_a_whole(fleet: Fleet) -> None:
    fleet.delta(4)
    batch = fleet.batch()
    chunk = fleet.claimed(batch, most=2)
    with context(fleet.database, fleet.desk.settings, fleet.desk.project_id) as ctx:
        batches.cancel(ctx, batch)

    assert swept(fleet, chunk) == Ended(cancelled=2)
    assert fleet.states(batch) == ["cancelled"] * 4


def test_a_table_that_changes_or_goes_during_the_look_is_superseded(fleet: Fleet) -> None:
    changed, deleted, stays = fleet.delta(3)
    batch = fleet.batch()
    chunk = fleet.claimed(batch)
    with context(fleet.database, fleet.desk.settings, fleet.desk.project_id) as ctx:
        url = f"file://{fleet.desk.sources}/delta_2"
        _, again = table_changes.change(ctx, changed, {"url_pattern": url})
    with context(fleet.database, fleet.desk.settings, fleet.desk.project_id) as ctx:
        tables.delete(ctx, deleted)
    fleet.rings.take()
    before = fleet.row(changed).last_refreshed_at

    ended = swept(fleet, chunk)

    assert (ended.unchanged, ended.cancelled) == (1, 2)
    assert fleet.job_of(batch, changed).error["code"] == "superseded"  # type: ignore[index]
    assert fleet.job_of(batch, deleted).state == "cancelled"
    assert fleet.job_of(batch, stays).state == "succeeded"
    assert fleet.row(changed).last_refreshed_at == before
    assert again is not None
    assert fleet.rings.take() == [again.job.id], "who waited behind it is rung for"


def test_a_change_between_the_look_and_the_end_makes_it_void(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed, stays = fleet.delta(2)
    batch = fleet.batch()
    chunk = fleet.claimed(batch)
    real = sweep_probes.probe

    def probe(source: Any, limits: Any) -> Any:
        if source.path == "delta_0":
            with context(fleet.database, fleet.desk.settings, fleet.desk.project_id) as ctx:
                url = f"file://{fleet.desk.sources}/delta_1"
                table_changes.change(ctx, changed, {"url_pattern": url})
        return real(source, limits)

    monkeypatch.setattr(sweep_probes, "probe", probe)
    before = fleet.row(changed).last_refreshed_at

    assert swept(fleet, chunk) == Ended(unchanged=1, cancelled=1)
    job = fleet.job_of(batch, changed)
    assert (job.state, job.result) == ("cancelled", None)
    assert fleet.row(changed).last_refreshed_at == before
    assert fleet.job_of(batch, stays).state == "succeeded"


def test_ends_cancels_and_changes_at_once_wait_for_each_other_in_no_circle(
    fleet: Fleet, migrated_database_url: str
) -> None:
    """On PostgreSQL a deadlock would be an error of one of them."""
    made = fleet.delta(6)
    other = Database(migrated_database_url)

    def cancel(batch: UUID) -> None:
        with context(other, fleet.desk.settings, fleet.desk.project_id) as ctx:
            batches.cancel(ctx, batch)

    def change() -> None:
        for table_id in reversed(made):
            with context(fleet.database, fleet.desk.settings, fleet.desk.project_id) as ctx:
                table_changes.change(ctx, table_id, {"name": f"n{table_id.hex}"})

    def renew(chunk: sweeps.Chunk) -> None:
        with fleet.database.write() as session:
            sweeps.renew(session, chunk, lease_seconds=LEASE_SECONDS)

    try:
        for _ in range(3):
            batch = fleet.batch()
            chunk = fleet.claimed(batch, most=4)
            fleet.claimed(batch, most=1, worker="node/s/8")
            race(
                lambda chunk=chunk: swept(fleet, chunk),
                lambda batch=batch: cancel(batch),
                lambda chunk=chunk: renew(chunk),
                change,
                lambda batch=batch: fleet.claim(batch, worker="node/s/9"),
            )
            assert fleet.states(batch).count("queued") == 0
            with fleet.database.write() as session:
                for worker in ("node/s/8", "node/s/9"):
                    rescue.end_swept(session, worker, rescue.lost_error(worker), AT_ONCE)
            assert set(fleet.states(batch)) <= {"succeeded", "cancelled"}
    finally:
        other.dispose()


def test_a_frozen_sweep_that_comes_back_writes_nothing(fleet: Fleet) -> None:
    fleet.delta(3)
    batch = fleet.batch()
    chunk = fleet.claimed(batch)
    with fleet.database.write() as session:
        session.execute(update(Job).values(lease_expires_at=now(-1)))
    with fleet.database.write() as session:
        assert rescue.rescue_expired(session, chunk.job_ids, AT_ONCE) == 3
    one = claimed(fleet.database, chunk.job_ids[0], worker="node/s/9")
    before = fleet.jobs(batch)

    assert swept(fleet, chunk) == Ended(stale=3)
    after = fleet.jobs(batch)
    assert [(a.state, a.revision, a.attempt) for a in after] == [
        (b.state, b.revision, b.attempt) for b in before
    ]
    with fleet.database.write() as session:
        leases.succeed(session, one, {})


def test_only_rows_that_are_still_the_sweeps_are_ended(fleet: Fleet) -> None:
    fleet.delta(3)
    batch = fleet.batch()
    chunk = fleet.claimed(batch)
    taken = chunk.claims[0]
    with fleet.database.write() as session:
        leases.fail(session, taken, rescue.lost_error("x"), AT_ONCE)
    again = claimed(fleet.database, taken.job_id, worker="node/s/9")
    assert again.attempt == 2

    assert swept(fleet, chunk) == Ended(unchanged=2, stale=1)
    assert fleet.desk.job(taken.job_id).worker == "node/s/9"


def test_one_heartbeat_renews_all_that_is_the_sweeps(fleet: Fleet) -> None:
    fleet.delta(3)
    chunk = fleet.claimed(fleet.batch())
    with fleet.database.write() as session:
        session.execute(update(Job).values(lease_expires_at=now(1)))
    with fleet.database.write() as session:
        leases.fail(session, chunk.claims[0], rescue.lost_error("x"), AT_ONCE)
        assert sweeps.renew(session, chunk, lease_seconds=LEASE_SECONDS)
    with fleet.database.read() as session:
        later = Job.lease_expires_at > now(LEASE_SECONDS / 2)
        assert set(session.scalars(select(Job.id).where(later))) == set(chunk.job_ids[1:])


# --- what goes wrong on the way ---------------------------------------------------------------


def test_a_look_that_hangs_is_passed_on_and_its_process_must_go(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.delta(3)
    batch = fleet.batch()
    chunk = fleet.claimed(batch)
    hanging, real = threading.Event(), sweep_probes.probe
    seen: list[str] = []

    def probe(source: Any, limits: Any) -> Any:
        seen.append(source.path)
        if len(seen) == 2:
            hanging.wait(60)
        return real(source, limits)

    monkeypatch.setattr(sweep_probes, "probe", probe)
    monkeypatch.setattr(sweep_probes, "PATIENCE_SECONDS", 0.3)
    try:
        outcome = sweep.run(fleet.runtime().process, chunk, stopping=never)
    finally:
        hanging.set()
    assert outcome.spoilt
    assert outcome.ended == Ended(unchanged=1, passed_on=2)
    assert sorted(fleet.states(batch)) == ["queued", "queued", "succeeded"]


def test_native_code_that_panics_costs_its_own_job_nothing(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    class PanicException(BaseException):
        pass

    fleet.delta(2)
    chunk = fleet.claimed(fleet.batch())
    real = sweep_probes.probe

    def probe(source: Any, limits: Any) -> Any:
        if source.path == "delta_0":
            raise PanicException
        return real(source, limits)

    monkeypatch.setattr(sweep_probes, "probe", probe)
    outcome = sweep.run(fleet.runtime().process, chunk, stopping=never)
    assert (outcome.spoilt, outcome.ended) == (True, Ended(unchanged=1, passed_on=1))


def test_a_worker_that_stops_hands_back_what_it_has_not_looked_at(fleet: Fleet) -> None:
    fleet.delta(3)
    batch = fleet.batch()
    chunk = fleet.claimed(batch)
    asked: list[bool] = []

    def stopping() -> bool:
        asked.append(True)
        return len(asked) > 1

    assert swept(fleet, chunk, stopping) == Ended(unchanged=1, passed_on=2)
    assert sorted(fleet.states(batch)) == ["queued", "queued", "succeeded"]


def test_no_look_begins_after_half_a_second(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet.delta(3)
    chunk = fleet.claimed(fleet.batch())
    monkeypatch.setattr(sweep_probes, "BEGIN_SECONDS", -1.0)
    assert swept(fleet, chunk) == Ended(passed_on=3)


def test_all_of_a_vanished_child_is_tried_again_singly(fleet: Fleet) -> None:
    fleet.delta(3)
    batch = fleet.batch()
    fleet.claimed(batch)
    other = enqueue(fleet.database, refresh_of(fleet.row(fleet.parquet())))
    claimed(fleet.database, other, worker="node/s/70")
    with fleet.database.write() as session:
        assert rescue.end_swept(session, "node/s/8", rescue.lost_error("x"), AT_ONCE) == 0
        assert rescue.end_swept(session, WORKER, rescue.lost_error(WORKER), AT_ONCE) == 3
        assert rescue.end_swept(session, WORKER, rescue.lost_error(WORKER), AT_ONCE) == 0

    assert fleet.desk.job(other).state == "running"
    for job in fleet.jobs(batch):
        assert (job.state, job.attempt, job.max_attempts) == ("queued", 1, 5)
        assert [each.outcome for each in fleet.attempts(job.id)] == ["worker_lost"]
    assert fleet.claim(batch) is None
    claimed(fleet.database, fleet.jobs(batch)[0].id)


def test_a_sweep_that_is_handed_back_heeds_a_cancel(fleet: Fleet) -> None:
    first, *_ = fleet.delta(3)
    batch = fleet.batch()
    chunk = fleet.claimed(batch)
    with context(fleet.database, fleet.desk.settings, fleet.desk.project_id) as ctx:
        jobs.cancel_job(ctx, fleet.job_of(batch, first).id)
    with fleet.database.write() as session:
        ended = sweeps.hand_back(session, chunk, outcome="worker_stopped", why="A deploy.")
    assert ended == Ended(passed_on=2, cancelled=1)
    assert fleet.job_of(batch, first).state == "cancelled"


def test_an_end_by_its_own_attempt_is_refused_after_the_sweeps(fleet: Fleet) -> None:
    fleet.delta(2)
    chunk = fleet.claimed(fleet.batch())
    swept(fleet, chunk)
    with pytest.raises(StaleAttemptError), fleet.database.write() as session:
        leases.succeed(session, chunk.claims[0], {})


# --- rings ------------------------------------------------------------------------------------


def test_an_expansion_rings_once_for_each_chunk(fleet: Fleet) -> None:
    fleet.delta(5)
    batch = fleet.accepted()
    fleet.rings.take()
    fleet.expand(batch, sweep_chunk=2)
    assert [(ring.kind, ring.job_id) for ring in fleet.rings.rung] == [(SWEEP, batch)] * 3


def test_the_rest_of_a_batch_is_rung_for_by_the_ends_of_its_sweeps(fleet: Fleet) -> None:
    """No more messages than places at any time; and it never stops before the batch is done."""
    fleet.delta(9)
    with fleet.database.write() as session:
        Presence(worker="node/s", places=1, project_places=1, lease_seconds=1e6).keep(session)
    batch = fleet.batch(sweep_chunk=2)
    assert fleet.rings.take() == [batch], "the expansion's end rings for the first"
    for left in (7, 5, 3, 1, 0):
        swept(fleet, fleet.claimed(batch, most=2))
        assert fleet.states(batch).count("queued") == left
        assert fleet.rings.take() == ([batch] if left else [])


def test_the_ends_of_sweeps_ring_for_other_projects_in_their_turn(fleet: Fleet) -> None:
    fleet.delta(6)
    with fleet.database.write() as session:
        Presence(worker="node/s", places=1, project_places=1, lease_seconds=1e6).keep(session)
        other = make_project(session, "Other").id
    batch = fleet.batch(sweep_chunk=2)
    fleet.rings.take()
    chunk = fleet.claimed(batch, most=2)
    url = "file:///nowhere/*.parquet"
    asked = fleet.table("asked", "Parquet", url, project_id=other)
    waits = enqueue(fleet.database, refresh_of(fleet.row(asked)))
    with fleet.database.write() as session:
        session.execute(update(Job).where(Job.id == waits).values(rung_at=None))
    fleet.rings.take()
    swept(fleet, chunk)
    assert fleet.rings.take() == [waits], "interactive ones first"
    other_claim = claimed(fleet.database, waits, worker="node/s/9")
    with fleet.database.write() as session:
        leases.succeed(session, other_claim, {})
    assert fleet.rings.take() == [batch], "the batch's turn was kept"


def test_without_workers_the_pool_bounds_nothing(fleet: Fleet) -> None:
    with fleet.database.read() as session:
        assert session.scalars(select(WorkerPool)).all() == []
    fleet.delta(2)
    assert fleet.states(fleet.batch()) == [JobState.QUEUED] * 2
