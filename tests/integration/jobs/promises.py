"""What must hold of the rows at every moment, and of each step from one moment to the next."""

from collections import Counter
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select

from stocktake.db.models import BatchItem, Job, JobAttempt, SchemaVersion, Table
from stocktake.db.session import Database
from stocktake.states import TRANSITIONS, JobKind, JobState

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """All that the promises speak of, as it was at one moment."""

    jobs: dict[UUID, Row]
    tables: dict[UUID, Row]
    attempts: list[Row]
    versions: list[Row]
    items: list[Row]

    def attempts_of(self, job_id: UUID) -> list[Row]:
        return [each for each in self.attempts if each["job_id"] == job_id]

    def siblings(self, job: Row) -> list[Row]:
        """The other jobs of its table and kind."""
        return [
            each
            for each in self.jobs.values()
            if (each["table_id"], each["kind"]) == (job["table_id"], job["kind"])
            and job["table_id"] is not None
            and each["id"] != job["id"]
        ]


def look(database: Database) -> Rows:
    """The rows as they are now, in one transaction."""

    def of(model: Any, *order: Any) -> list[Row]:
        found = session.execute(select(model.__table__).order_by(*order))
        return [dict(row) for row in found.mappings()]

    with database.read() as session:
        return Rows(
            jobs={row["id"]: row for row in of(Job, Job.id)},
            tables={row["id"]: row for row in of(Table, Table.id)},
            attempts=of(JobAttempt, JobAttempt.job_id, JobAttempt.number),
            versions=of(SchemaVersion, SchemaVersion.table_id, SchemaVersion.number),
            items=of(BatchItem, BatchItem.batch_id, BatchItem.table_id),
        )


def check_moment(rows: Rows) -> None:
    """One moment keeps the promises."""
    for job in rows.jobs.values():
        _check_job(job, rows.attempts_of(job["id"]))
    _check_single_flight(rows)
    _check_uploads_land_in_order(rows)
    for table in rows.tables.values():
        versions = [each for each in rows.versions if each["table_id"] == table["id"]]
        assert [each["number"] for each in versions] == list(range(1, table["schema_version"] + 1))
        made_by = [each["job_id"] for each in versions]
        assert len(made_by) == len(set(made_by)), "a job had its effect twice"


def _check_job(job: Row, attempts: list[Row]) -> None:
    state = JobState(job["state"])
    assert [each["number"] for each in attempts] == list(range(1, job["attempt"] + 1))
    assert (job["finished_at"] is not None) is state.done
    running = state is JobState.RUNNING
    assert ((job["worker"] is not None), (job["lease_expires_at"] is not None)) == (running,) * 2
    if state is JobState.QUEUED:
        assert job["cancel_requested_at"] is None, "a cancelled job waits to run again"
    for attempt in attempts:
        open_ = running and attempt["number"] == job["attempt"]
        assert ((attempt["ended_at"] is None), (attempt["outcome"] is None)) == (open_,) * 2
        if open_:
            assert attempt["worker"] == job["worker"]
    assert (job["result"] is not None) is (state is JobState.SUCCEEDED)
    if state in (JobState.FAILED, JobState.CANCELLED):
        assert job["error"]["code"] != "internal"
        assert state is JobState.CANCELLED or job["error"]["code"] == attempts[-1]["outcome"]
    if state is JobState.SUCCEEDED:
        assert attempts[-1]["outcome"] == "succeeded"


def _check_single_flight(rows: Rows) -> None:
    running = Counter(
        (job["table_id"], job["kind"])
        for job in rows.jobs.values()
        if job["table_id"] is not None and job["state"] == JobState.RUNNING
    )
    waiting = Counter(
        (job["table_id"], job["kind"])
        for job in rows.jobs.values()
        if job["state"] == JobState.QUEUED
        and job["attempt"] == 0
        and job["kind"] in (JobKind.REFRESH_SCHEMA, JobKind.VALIDATE_COLUMNS)
    )
    assert set(running.values()) <= {1}
    assert set(waiting.values()) <= {1}


def _check_uploads_land_in_order(rows: Rows) -> None:
    for table in rows.tables.values():
        landed = [
            job["upload_id"]
            for job in rows.jobs.values()
            if job["table_id"] == table["id"]
            and job["kind"] == JobKind.INGEST_FILE
            and job["state"] == JobState.SUCCEEDED
        ]
        if landed and not table["deleted"]:
            assert table["upload_id"] == landed[-1], "an older upload replaced a newer one"


def check_step(before: Rows, after: Rows) -> None:
    """What one operation may do to the rows, and no more."""
    for job_id, old in before.jobs.items():
        new = after.jobs[job_id]
        was, now = JobState(old["state"]), JobState(new["state"])
        assert now is was or now in TRANSITIONS[was]
        assert new["attempt"] >= old["attempt"]
        if was.done:
            assert new == old, "a job that had ended was changed"
        for attempt in before.attempts_of(job_id):
            if attempt["ended_at"] is not None:
                assert attempt in after.attempts, "an attempt that had ended was changed"
    for table_id, was_table in before.tables.items():
        is_table = after.tables[table_id]
        assert is_table["generation"] >= was_table["generation"]
        assert is_table["deleted"] >= was_table["deleted"]
        old_version, new_version = was_table["source_version"], is_table["source_version"]
        if isinstance(old_version, int) and isinstance(new_version, int):
            assert new_version >= old_version, "an older result overwrote a newer one"
