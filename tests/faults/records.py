"""What the database holds at the end, read once, for the oracle to judge; and a job's history."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import DeclarativeBase

from stocktake.db.models import Job, JobAttempt, SchemaVersion, Table
from stocktake.db.session import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """All rows that the promises are about.

    Attributes:
        attempts: by job, in the order of their numbers.
        versions: by table, likewise.
    """

    jobs: Mapping[UUID, Job]
    attempts: Mapping[UUID, Sequence[JobAttempt]]
    tables: Mapping[UUID, Table]
    versions: Mapping[UUID, Sequence[SchemaVersion]]


def read_records(database: Database) -> Records:
    """The rows as they are now."""
    with database.read() as session:
        jobs = session.scalars(select(Job)).all()
        tables = session.scalars(select(Table)).all()
        attempts: dict[UUID, list[JobAttempt]] = defaultdict(list)
        for attempt in session.scalars(select(JobAttempt).order_by(JobAttempt.number)):
            attempts[attempt.job_id].append(attempt)
        versions: dict[UUID, list[SchemaVersion]] = defaultdict(list)
        for version in session.scalars(select(SchemaVersion).order_by(SchemaVersion.number)):
            versions[version.table_id].append(version)
    return Records(
        jobs={job.id: job for job in jobs},
        attempts=attempts,
        tables={table.id: table for table in tables},
        versions=versions,
    )


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
