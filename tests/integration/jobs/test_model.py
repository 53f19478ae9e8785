"""The life of jobs as a state machine: whatever happens in whatever order, the promise holds.

Every rule runs the service's own code, and may be struck at any statement of it. After each one
the rows are held to `promises`; at the end the clock and the workers go on until all is quiet,
and every job that was accepted has ended.
"""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import event

from stocktake.db.session import Database
from stocktake.errors import (
    ConflictError,
    HandedBackError,
    InvalidSourceError,
    JobError,
    NotFoundError,
    ReserveNeededError,
    StorageThrottledError,
    WorkerLostError,
    WorkerStoppedError,
)
from stocktake.jobs import leases, rescue, sweeps
from stocktake.jobs.leases import Claim
from stocktake.jobs.sweeps import Chunk
from stocktake.services import batches, jobs, refreshes, table_changes, tables
from stocktake.services.context import Context
from stocktake.states import SWEEP, JobKind, JobState
from tests.integration.jobs.killing import Fault, Killer
from tests.integration.jobs.world import World, make_world
from tests.support.rows import LEASE_SECONDS, RecordedRings, claim, settings_for

#: Set: so many histories a database, new ones each time. Else a few, always alike; a step costs
#: five times as much on PostgreSQL.
ASKED = os.environ.get("STOCKTAKE_MODEL_EXAMPLES")
HISTORIES = {"sqlite": 15, "postgresql": 6}


def modelled(dialect: str) -> settings:
    return settings(
        max_examples=int(ASKED or HISTORIES[dialect]),
        stateful_step_count=40,
        derandomize=ASKED is None,
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )


faults = st.one_of(
    st.none(),
    st.none(),
    st.builds(Fault, point=st.integers(min_value=0, max_value=14), connection_only=st.booleans()),
)
processes = st.integers(min_value=0, max_value=1)
keys = st.none() | st.sampled_from(["a", "b"])
FILES = ("one.csv", "two.csv")
ERRORS: dict[str, JobError] = {
    "throttled": StorageThrottledError("busy"),
    "invalid": InvalidSourceError("corrupt"),
    "lost": WorkerLostError("gone"),
    "stopped": WorkerStoppedError("a deploy"),
    "yielded": ReserveNeededError("others wait"),
}
#: Rounds of the clock and the workers, far more than a quiet end takes.
PATIENCE = 120


class Jobs(RuleBasedStateMachine):
    """What can happen to jobs. No message and no attempt is ever too old to come back."""

    tables = Bundle("tables")

    def __init__(self, new_world: Callable[[], World]) -> None:
        super().__init__()
        self.world = new_world()
        self.answers: dict[str, UUID] = {}
        self.claims: list[Claim] = []
        self.chunks: list[Chunk] = []
        self.names = self.workers = 0

    def _job(self, data: st.DataObject) -> UUID:
        """Any job there is, rather one that has not ended."""
        known = self.world.rows.jobs
        undone = [each for each in known if not JobState(known[each]["state"]).done]
        return data.draw(st.sampled_from(undone or list(known)) | st.sampled_from(list(known)))

    def _held(self, data: st.DataObject) -> Claim:
        """Any attempt there was, rather one that still owns its job."""
        owning = [each for each in self.claims if self.world.owns(each)]
        return data.draw(st.sampled_from(owning or self.claims) | st.sampled_from(self.claims))

    # --- what is accepted -----------------------------------------------------------------

    @initialize(target=tables)
    def first_table(self) -> UUID:
        """One table, whose first read has begun."""
        table = self._create(0, None)
        assert table is not None
        for job in list(self.world.rows.jobs):
            self._claim(job, 0)
        return table

    @initialize()
    def swept_tables(self) -> None:
        """Two that were read, with a batch that refreshes them."""
        for _ in range(4):
            self._create(0, None)
        for job in list(self.world.rows.jobs):
            if held := self._claim(job, 0):
                self._finish(held, 0, None)
        with self.world.step(), self.world.ask(0) as ctx:
            batches.create(ctx, {"all": True})
        for job in list(self.world.rows.jobs):
            expands = self.world.rows.jobs[job]["kind"] == JobKind.EXPAND_BATCH
            if expands and (held := self._claim(job, 0)):
                self._finish(held, 0, None)

    @rule(target=tables, at=processes, fault=faults)
    def create_table(self, at: int, fault: Fault | None):
        return self._create(at, fault) or multiple()

    def _create(self, at: int, fault: Fault | None) -> UUID | None:
        self.names += 1
        fields = {
            "name": f"t{self.names}",
            # Every other one carries its types, so that no validation keeps it from being swept.
            "format": "Parquet" if self.names % 2 else "CSVWithNames",
            "url_pattern": self._url(FILES[0]),
        }
        with self.world.step(fault) as struck, self.world.ask(at) as ctx:
            table, enqueued = tables.create(ctx, fields)
        if struck.fired:
            return None
        self._answered(enqueued.job.id)
        return table.id

    def _url(self, name: str) -> str:
        return f"file://{self.world.processes[0].desk.sources / name}"

    def _answered(self, job_id: UUID) -> None:
        self.world.must_see[job_id] = self.world.source_version

    @rule(table=tables, key=keys, at=processes, fault=faults)
    def refresh(self, table: UUID, key: str | None, at: int, fault: Fault | None) -> None:
        key = key and f"{table}-{key}"
        answer = None

        def work(ctx: Context) -> UUID:
            return refreshes.request_alone(ctx, table).job.id

        with self.world.step(fault) as struck:
            try:
                answer = self.world.answered(at, key, work)
            except NotFoundError:
                assert self.world.rows.tables[table]["deleted"]
        if struck.fired or answer is None:
            return
        job_id, replayed = answer
        if key is not None:
            assert self.answers.setdefault(key, job_id) == job_id
        if not replayed:
            assert self.world.rows.jobs[job_id]["attempt"] == 0
            self._answered(job_id)

    @rule(at=processes, fault=faults)
    def upload(self, at: int, fault: Fault | None) -> None:
        with self.world.step(fault):
            self.world.processes[at].desk.send(b"id,paid\n1,true\n", name="uploaded")

    @rule(at=processes, fault=faults)
    def start_batch(self, at: int, fault: Fault | None) -> None:
        with self.world.step(fault), self.world.ask(at) as ctx:
            batches.create(ctx, {"all": True})

    @rule(data=st.data(), at=processes, fault=faults)
    def retry(self, data: st.DataObject, at: int, fault: Fault | None) -> None:
        job, enqueued = self._job(data), None
        with self.world.step(fault) as struck:
            try:
                with self.world.ask(at, self.world.rows.jobs[job]["project_id"]) as ctx:
                    enqueued = jobs.retry_job(ctx, job)
            except ConflictError:
                old = self.world.rows.jobs[job]
                table = self.world.rows.tables.get(old["table_id"])
                gone = (table is not None and table["deleted"]) or old["upload_id"] is not None
                assert gone or not JobState(old["state"]).done
        known = enqueued is not None and not struck.fired
        if known and enqueued.job.kind == JobKind.REFRESH_SCHEMA:
            self._answered(enqueued.job.id)

    @rule(
        table=tables,
        file=st.sampled_from([*FILES, *FILES, None]),
        at=processes,
        fault=faults,
    )
    def change_table(self, table: UUID, file: str | None, at: int, fault: Fault | None) -> None:
        """Point it at another file, at the same one, or (None) delete it."""
        enqueued = None
        with self.world.step(fault) as struck:
            try:
                with self.world.ask(at) as ctx:
                    if file is None:
                        tables.delete(ctx, table)
                    else:
                        fields = {"url_pattern": self._url(file)}
                        _, enqueued = table_changes.change(ctx, table, fields)
            except NotFoundError:
                assert self.world.rows.tables[table]["deleted"]
        if enqueued is not None and not struck.fired:
            self._answered(enqueued.job.id)

    @rule()
    def change_sources(self) -> None:
        self.world.source_version += 1

    @rule(number=st.integers(min_value=0, max_value=2), at=processes, fault=faults)
    def refresh_other(self, number: int, at: int, fault: Fault | None) -> None:
        """Another project wants children too."""
        with self.world.step(fault):
            self.world.refresh_other(self.world.others[number], at)

    @rule(places=st.integers(min_value=0, max_value=3), share=st.integers(min_value=1, max_value=3))
    def change_workers(self, places: int, share: int) -> None:
        self.world.have_places(places, min(share, places))

    # --- what is cancelled ----------------------------------------------------------------

    @rule(data=st.data(), at=processes, fault=faults)
    def cancel(self, data: st.DataObject, at: int, fault: Fault | None) -> None:
        """Cancel a job; where it expands a batch, the whole of that."""
        job = self._job(data)
        before = self.world.rows.jobs[job]
        with self.world.step(fault) as struck:
            try:
                with self.world.ask(at, before["project_id"]) as ctx:
                    if before["kind"] == JobKind.EXPAND_BATCH:
                        batches.cancel(ctx, before["batch_id"])
                    else:
                        jobs.cancel_job(ctx, job)
            except ConflictError:
                assert JobState(before["state"]).done
        after = self.world.rows.jobs[job]
        if not struck.fired:
            assert JobState(after["state"]).done or after["cancel_requested_at"]

    # --- what workers do ------------------------------------------------------------------

    @rule(data=st.data(), at=processes, fault=faults)
    def claim(self, data: st.DataObject, at: int, fault: Fault | None) -> None:
        """A message comes, perhaps for the second time, perhaps for a job long ended."""
        self._claim(self._job(data), at, fault)

    def _claim(self, job_id: UUID, at: int, fault: Fault | None = None) -> Claim | None:
        self.workers += 1
        before = self.world.rows
        place = self.world.has_place(before.jobs[job_id])
        with self.world.step(fault) as struck:
            won = None
            won = claim(self.world.processes[at].database, job_id, f"node/{self.workers}")
        if struck.fired:
            return None
        if won is not None:
            self.claims.append(won)
        job = before.jobs[job_id]
        siblings = before.siblings(job)
        behind = any(each["state"] == "running" for each in siblings) or (
            job["kind"] == JobKind.INGEST_FILE
            and any(each["state"] == "queued" and each["id"] < job_id for each in siblings)
        )
        # Retries wait for days here, until time passes.
        later = job["next_run_at"] > datetime.now(UTC)
        may_run = job["state"] == "queued" and not behind and not later
        assert (won is not None) is (may_run and place)
        if may_run and not place:
            assert self.world.rows.jobs[job_id]["rung_at"] is None, "nobody would ring for it"
        return won

    @precondition(lambda self: self.claims)
    @rule(
        data=st.data(),
        at=processes,
        fault=faults,
        how=st.sampled_from(["heartbeat", "read", "finish", *ERRORS]),
    )
    def work(self, data: st.DataObject, at: int, fault: Fault | None, how: str) -> None:
        """An attempt goes on, whether it still owns its job or not."""
        held = self._held(data)
        if how == "read":
            self.world.read(held)
        elif how == "heartbeat":
            self._heartbeat(held, at, fault)
        elif how == "finish":
            self._finish(held, at, fault)
        else:
            self._fail(held, at, fault, ERRORS[how])

    def _heartbeat(self, held: Claim, at: int, fault: Fault | None) -> None:
        owned, beat = self.world.owns(held), None
        asked = self.world.rows.jobs[held.job_id]["cancel_requested_at"] is not None
        database = self.world.processes[at].database
        with self.world.step(fault) as struck, database.write() as session:
            beat = leases.heartbeat(session, held, lease_seconds=LEASE_SECONDS, progress={"n": 1})
        if beat is not None and not struck.fired:
            assert (beat.alive, beat.cancel_requested) == (owned, owned and asked)

    def _finish(self, held: Claim, at: int, fault: Fault | None) -> None:
        before, owned, void = self.world.rows, self.world.owns(held), self.world.void(held)
        ended = None
        with self.world.step(fault) as struck:
            ended = self.world.finish(held, at)
        job = self.world.rows.jobs[held.job_id]
        if not owned:
            assert self.world.rows == before, "an attempt that had lost its job wrote something"
            assert struck.fired or ended == "Ignore"
        elif not struck.fired and held.kind is JobKind.REFRESH_SCHEMA:
            end = "superseded" if void else None
            assert (ended, (job["error"] or {}).get("code")) == (
                "Ignore" if end else "success",
                end,
            )

    def _fail(self, held: Claim, at: int, fault: Fault | None, error: JobError) -> None:
        """The read raises an error; or its child dies, and the parent tells, perhaps twice."""
        before, owned = self.world.rows, self.world.owns(held)
        with self.world.step(fault) as struck:
            self.world.fail(held, at, error)
        job = self.world.rows.jobs[held.job_id]
        if not owned:
            assert self.world.rows == before
        elif not struck.fired:
            asked = before.jobs[held.job_id]["cancel_requested_at"] is not None
            free = isinstance(error, HandedBackError)
            again = "queued" if free or held.attempt < held.max_attempts else "failed"
            again = "cancelled" if asked else again
            assert job["state"] == (again if error.retryable else "failed")
            assert job["max_attempts"] == held.max_attempts + (free and not asked)

    @precondition(lambda self: self.world.batches())
    @rule(data=st.data(), most=st.integers(min_value=1, max_value=3), at=processes, fault=faults)
    def claim_many(self, data: st.DataObject, most: int, at: int, fault: Fault | None) -> None:
        """A sweep's message comes, perhaps for the second time."""
        self._claim_many(data.draw(st.sampled_from(self.world.batches())), most, at, fault)

    def _claim_many(
        self, batch_id: UUID, most: int, at: int, fault: Fault | None = None
    ) -> Chunk | None:
        self.workers += 1
        before, could = self.world.rows, self.world.could_sweep(batch_id)
        place = not could or self.world.has_place(before.jobs[next(iter(could))])
        with self.world.step(fault) as struck, self.world.processes[at].database.write() as session:
            won = sweeps.claim(
                session,
                batch_id,
                worker=f"node/{self.workers}",
                lease_seconds=LEASE_SECONDS,
                most=most,
            )
        if struck.fired:
            return None
        taken = set(won.job_ids) if won else set()
        assert taken <= could
        assert len(taken) == (min(most, len(could)) if place else 0)
        if could and not place:
            unrung = [each for each in could if self.world.rows.jobs[each]["rung_at"] is None]
            assert unrung, "nobody would ring for it"
        if won is not None:
            self.chunks.append(won)
            self.claims += won.claims
        return won

    @precondition(lambda self: self.chunks)
    @rule(
        data=st.data(),
        at=processes,
        fault=faults,
        how=st.sampled_from(["look", "end", "end", "heartbeat", "hand back", "lost"]),
    )
    def go_on_sweeping(self, data: st.DataObject, at: int, fault: Fault | None, how: str) -> None:
        """A sweep goes on, whatever of it is still its own."""
        chunk = data.draw(st.sampled_from(self.chunks))
        if how == "look":
            self.world.look(chunk)
        else:
            self._end_sweep(chunk, at, fault, how)

    def _end_sweep(self, chunk: Chunk, at: int, fault: Fault | None, how: str) -> None:
        before = self.world.rows
        mine = [each for each in chunk.claims if self.world.owns(each)]
        process = self.world.processes[at]
        with self.world.step(fault) as struck:
            if how == "end":
                self.world.finish_sweep(chunk, at)
            elif how == "lost":
                with process.database.write() as session:
                    retry, why = process.runtime.retry, WorkerLostError("gone")
                    rescue.end_swept(session, chunk.worker, why, retry)
            else:
                with process.database.write() as session:
                    if how == "heartbeat":
                        sweeps.renew(session, chunk, lease_seconds=LEASE_SECONDS)
                    else:
                        sweeps.hand_back(session, chunk, outcome="worker_stopped", why="a deploy")
        if not mine:
            assert self.world.rows == before, "a sweep that had lost its jobs wrote something"
        if struck.fired or how == "heartbeat":
            return
        for each in mine:
            job, was = self.world.rows.jobs[each.job_id], before.jobs[each.job_id]
            asked = was["cancel_requested_at"] is not None
            void = how == "end" and self.world.void(each)
            same = how == "end" and each.job_id in self.world.looked[chunk.worker][1]
            state = "queued" if how != "lost" or each.max_attempts > 1 else "failed"
            state = "cancelled" if asked or void else "succeeded" if same else state
            assert job["state"] == state
            free = state == "queued" and how != "lost"
            assert job["max_attempts"] == each.max_attempts + free

    # --- what time and the clock do -------------------------------------------------------

    @rule(data=st.data())
    def let_time_pass(self, data: st.DataObject) -> None:
        with self.world.step():
            self.world.let_time_pass(self._job(data))

    @rule(at=processes, fault=faults)
    def rescue(self, at: int, fault: Fault | None) -> None:
        with self.world.step(fault):
            self.world.processes[at].clock.rescue_jobs()

    # --- the end --------------------------------------------------------------------------

    def teardown(self) -> None:
        """Nothing breaks any more: every job ends, by the clock's rescues and rings alone."""
        self.world.rings.take()
        for _ in range(PATIENCE):
            open_ = [
                job for job in self.world.rows.jobs.values() if not JobState(job["state"]).done
            ]
            if not open_:
                return
            for job in open_:
                self.world.let_time_pass(job["id"])
            with self.world.step():
                assert self.world.processes[0].clock.tick()
            for ring in self.world.rings.take_rings():
                if ring.kind == SWEEP:
                    if chunk := self._claim_many(ring.job_id, 50, 0):
                        self._end_sweep(chunk, 0, None, "end")
                elif held := self._claim(ring.job_id, 0):
                    self._finish(held, 0, None)
        raise AssertionError(f"never ended: {open_}")


def _do_not_sync(connection: Any, _record: Any) -> None:
    """No power fails here, and there are thousands of commits."""
    connection.execute("PRAGMA synchronous=OFF")


@pytest.mark.slow
@pytest.mark.timeout(900)  # a history that breaks the promise is made shorter, which takes a while
def test_whatever_happens_every_accepted_job_ends_once(
    migrated_database_url: str, dialect: str, tmp_path: Path
) -> None:
    sources = tmp_path / "sources"
    sources.mkdir()
    for name in FILES:
        (sources / name).write_text("id,paid\n1,true\n")
    configured = settings_for(
        migrated_database_url,
        tmp_path,
        allowed_url_schemes=("https", "file"),
        local_roots=(sources,),
        job_max_attempts=3,
        sweep_chunk=50,
        # Days: a retry comes due when the history says so.
        job_retry_base_seconds=1e6,
        job_retry_max_seconds=1e7,
        lease_seconds=LEASE_SECONDS,
    )
    rings = RecordedRings()
    databases = [Database(migrated_database_url, rings.ring) for _ in range(2)]
    for database in databases:
        if database.sqlite:
            event.listen(database.engine, "connect", _do_not_sync)
    killer = Killer(databases)
    try:
        with killer.listening():
            new_world = partial(make_world, databases, rings, killer, configured)
            run_state_machine_as_test(lambda: Jobs(new_world), settings=modelled(dialect))
    finally:
        for database in databases:
            database.dispose()
