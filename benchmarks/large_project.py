"""A project of many tables, jobs and batches, as it stands after a month."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import insert

from stocktake.db.models import JOBS, TABLES, Base, Schedule, new_id
from stocktake.db.session import Database
from stocktake.states import JobKind, JobState, Queue

NOW: Final = datetime.now(UTC)
BATCHES: Final = 500
_ROWS_AT_ONCE: Final = 5000
_CODES: Final = (None,) * 8 + ("access_denied", "source_not_found")
_CHANGES: Final = ("none",) * 7 + ("additive", "widening", "breaking")
_COLUMNS: Final = [
    {
        "name": f"column_{number}",
        "clickhouse": "Nullable(String)",
        "hogql": "StringDatabaseField",
        "valid": True,
        "nullable": True,
        "override": False,
    }
    for number in range(12)
]


def fill(database: Database, project_id: int, *, tables: int, jobs: int) -> UUID:
    """Put the rows in, of 500 batches too, and return a schedule's id."""
    draw = random.Random(7)
    ids = [new_id() for _ in range(tables)]
    batch_ids = [new_id() for _ in range(BATCHES)]
    batches = Base.metadata.tables["batches"]
    with database.write() as session:
        rows = [
            {"id": each, "project_id": project_id, "selector": {"all": True}, "expanded_at": NOW}
            for each in batch_ids
        ]
        session.execute(insert(batches), rows)
        schedule = Schedule(
            project_id=project_id, name="s", cron="0 3 * * *", selector={"name_glob": "*_9*"}
        )
        session.add(schedule)
        session.flush()
        schedule_id = schedule.id
    _insert(database, TABLES, [_table(draw, project_id, each, n) for n, each in enumerate(ids)])
    jobs_of = [
        _job(draw, project_id, draw.choice(ids), draw.choice(batch_ids), jobs - number)
        for number in range(jobs)
    ]
    _insert(database, JOBS, jobs_of)
    return schedule_id


def _insert(database: Database, into: Any, rows: list[dict[str, Any]]) -> None:
    for begin in range(0, len(rows), _ROWS_AT_ONCE):
        with database.write() as session:
            session.execute(insert(into), rows[begin : begin + _ROWS_AT_ONCE])


def _table(draw: random.Random, project_id: int, table_id: Any, number: int) -> dict[str, Any]:
    changed = draw.choice(_CHANGES)
    ago = timedelta(seconds=draw.randrange(10 * 86_400))
    was_read = number % 50 != 0
    own = 86_400 if draw.random() < 0.1 else None
    return {
        "id": table_id,
        "project_id": project_id,
        "name": f"Sales_{number:06d}_daily",
        "folded_name": f"sales_{number:06d}_daily",
        "format": draw.choice(("Parquet", "CSV", "Delta", "JSONEachRow")),
        "url_pattern": f"https://bucket.s3.amazonaws.com/sales/{number:06d}/*.parquet",
        "columns": _COLUMNS,
        "error_code": draw.choice(_CODES),
        "pending": draw.random() < 0.02,
        "last_change": changed,
        "last_changed_at": None if changed == "none" else NOW - ago,
        "has_overrides": draw.random() < 0.05,
        "last_refreshed_at": NOW - ago if was_read else None,
        "stale_after_seconds": own,
        "stale_at": NOW - ago + timedelta(seconds=own) if own and was_read else None,
        "size_bytes": draw.randrange(2**40) if was_read else None,
        "row_count": draw.randrange(2**30) if was_read else None,
        "created_at": NOW - timedelta(days=30) + timedelta(seconds=number),
    }


def _job(
    draw: random.Random, project_id: int, table_id: UUID, batch_id: UUID, age: int
) -> dict[str, Any]:
    chance = draw.random()
    failed, cancelled = chance < 0.1, 0.1 <= chance < 0.12
    code = draw.choice(("access_denied", "source_not_found", "storage_timeout"))
    error = {"code": code, "retryable": False, "detail": "Denied.", "hint": "Ask.", "file": None}
    state = JobState.FAILED if failed else JobState.CANCELLED if cancelled else JobState.SUCCEEDED
    moment = NOW - timedelta(seconds=age * 20)
    return {
        "id": new_id(),
        "project_id": project_id,
        "table_id": table_id,
        "batch_id": batch_id,
        "kind": JobKind.VALIDATE_COLUMNS if age % 10 == 0 else JobKind.REFRESH_SCHEMA,
        "queue": Queue.BULK,
        "state": state,
        "max_attempts": 5,
        "attempt": 1,
        "result": None if failed or cancelled else {"columns": 12, "schema_version": 1},
        "error": error if failed or cancelled else None,
        "created_at": moment,
        "next_run_at": moment,
        "finished_at": moment,
    }
