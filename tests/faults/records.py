"""What the database holds at the end, read once, for the oracle to judge; and a job's history."""

import json
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import DeclarativeBase

from stocktake.db.models import (
    AuditEntry,
    Batch,
    BatchItem,
    IdempotencyKey,
    Job,
    JobAttempt,
    Schedule,
    ScheduleFire,
    SchemaVersion,
    Table,
)
from stocktake.db.session import Database

Row = TypeVar("Row")
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """All rows that the promises are about.

    Attributes:
        attempts: by job, in the order of their numbers.
        versions: by table, likewise.
        items: by batch, the job of each table.
        answers: by Idempotency-Key.
        audit: by subject, in the order in which they were written.
        fires: by schedule.
    """

    jobs: Mapping[UUID, Job]
    attempts: Mapping[UUID, Sequence[JobAttempt]]
    tables: Mapping[UUID, Table]
    versions: Mapping[UUID, Sequence[SchemaVersion]]
    batches: Mapping[UUID, Batch]
    items: Mapping[UUID, Mapping[UUID, UUID]]
    answers: Mapping[str, IdempotencyKey]
    audit: Mapping[str, Sequence[AuditEntry]]
    schedules: Mapping[UUID, Schedule]
    fires: Mapping[UUID, Sequence[ScheduleFire]]


def read_records(database: Database) -> Records:
    """The rows as they are now."""
    with database.read() as session:
        if session.get_bind().dialect.name == "postgresql":
            # One look at all of them: a clock goes on firing meanwhile. SQLite gives that anyway.
            session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        attempts = select(JobAttempt).order_by(JobAttempt.number)
        versions = select(SchemaVersion).order_by(SchemaVersion.number)
        items: dict[UUID, dict[UUID, UUID]] = defaultdict(dict)
        for item in session.scalars(select(BatchItem)):
            items[item.batch_id][item.table_id] = item.job_id
        return Records(
            jobs={job.id: job for job in session.scalars(select(Job))},
            attempts=_grouped(session.scalars(attempts), lambda each: each.job_id),
            tables={table.id: table for table in session.scalars(select(Table))},
            versions=_grouped(session.scalars(versions), lambda each: each.table_id),
            batches={batch.id: batch for batch in session.scalars(select(Batch))},
            items=items,
            answers={kept.key: kept for kept in session.scalars(select(IdempotencyKey))},
            audit=_grouped(
                session.scalars(select(AuditEntry).order_by(AuditEntry.id)),
                lambda each: each.subject or "",
            ),
            schedules={each.id: each for each in session.scalars(select(Schedule))},
            fires=_grouped(session.scalars(select(ScheduleFire)), lambda each: each.schedule_id),
        )


def _grouped(rows: Iterable[Row], key: Callable[[Row], Key]) -> Mapping[Key, Sequence[Row]]:
    groups: dict[Key, list[Row]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups


def history(records: Records, job_id: UUID, log_lines: Sequence[str] = ()) -> str:
    """Everything that is known of a job: its row, its attempts, and what was logged about it."""
    job = records.jobs.get(job_id)
    if job is None:
        return f"job {job_id}: there is no such row"
    parts = [f"job {job_id}: {_shown(job)}"]
    parts += [f"  attempt {_shown(attempt)}" for attempt in records.attempts.get(job_id, ())]
    parts += [f"  {line}" for line in log_lines]
    return "\n".join(parts)


def _shown(row: DeclarativeBase) -> str:
    values: dict[str, Any] = {
        column.name: getattr(row, column.name) for column in row.__table__.columns
    }
    return json.dumps(
        {name: value for name, value in values.items() if value is not None}, default=str
    )
