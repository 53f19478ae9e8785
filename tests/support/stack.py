"""Rows that tests make, and waiting for what becomes of a job; `servers.service` has the processes,
`tests.support.harness` the whole of them."""

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import inspect

from servers.process import PATIENCE_SECONDS
from stocktake.db.models import Job, JobAttempt, Project, Table, User, WorkerPool
from stocktake.db.session import Database
from stocktake.states import JobState


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """A job as its row says."""

    id: UUID
    state: JobState
    attempt: int
    max_attempts: int
    result: dict[str, Any] | None
    error: dict[str, Any] | None
    worker: str | None
    outcomes: tuple[str | None, ...]


def wait_until(
    condition: Callable[[], bool], what: str, seen: Callable[[], object] = lambda: ""
) -> None:
    """Wait for an event that is seen by asking; a failure says what never came, and what is seen
    in its place."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < give_up_at, f"never came: {what} {seen()}"
        pause.wait(0.02)


def add_project(database: Database, name: str = "Test") -> int:
    """A tenant."""
    with database.write() as session:
        project = Project(name=name)
        session.add(project)
        session.add(User(email=f"{secrets.token_hex(4)}@example.com", first_name="Ada"))
        session.flush()
        return project.id


def add_table(database: Database, project_id: int, **fields: Any) -> UUID:
    """A registered table, as the API would have left it."""
    with database.write() as session:
        table = Table(project_id=project_id, name=f"t_{secrets.token_hex(4)}", **fields)
        session.add(table)
        session.flush()
        return table.id


def see_job(database: Database, job_id: UUID) -> JobView:
    """The job as it stands."""
    with database.read() as session:
        job = session.get_one(Job, job_id)
        attempts = session.query(JobAttempt).filter_by(job_id=job_id).order_by(JobAttempt.number)
        return JobView(
            id=job.id,
            state=JobState(job.state),
            attempt=job.attempt,
            max_attempts=job.max_attempts,
            result=job.result,
            error=job.error,
            worker=job.worker,
            outcomes=tuple(attempt.outcome for attempt in attempts),
        )


def wait_for_end(database: Database, job_id: UUID) -> JobView:
    """The job once it has ended."""
    wait_until(
        lambda: see_job(database, job_id).state.done,
        f"the end of job {job_id}",
        lambda: _rows_about(database, job_id),
    )
    return see_job(database, job_id)


def _rows_about(database: Database, job_id: UUID) -> str:
    """What decides whether a job goes on, for the failure that says it did not."""
    with database.read() as session:
        found: list[object] = [
            session.get_one(Job, job_id),
            *session.query(JobAttempt).filter_by(job_id=job_id),
            *session.query(WorkerPool),
        ]
        rows = [
            {c.name: getattr(row, c.name) for c in inspect(row).mapper.columns} for row in found
        ]
        return "".join(
            f"\n{type(row).__name__} {fields}" for row, fields in zip(found, rows, strict=True)
        )


@contextmanager
def opened(database_url: str) -> Iterator[Database]:
    """A database for the test's own view."""
    database = Database(database_url)
    try:
        yield database
    finally:
        database.dispose()
