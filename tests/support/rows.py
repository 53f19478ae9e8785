"""Rows for tests of services, runs and the clock, and a doorbell that only writes down."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from servers.process import PATIENCE_SECONDS
from stocktake.db.models import Job, Project, SchemaChange, Table, User
from stocktake.db.session import Database, Ring
from stocktake.jobs import leases, queueing
from stocktake.jobs.leases import Claim
from stocktake.jobs.queueing import JobRequest
from stocktake.parts import ProcessParts
from stocktake.schema.columns import Column
from stocktake.schema.decisions import column_changes
from stocktake.security.encryption import Keyring, make_secret_key
from stocktake.services.context import Caller, Context
from stocktake.settings import Settings
from stocktake.states import CANARY, ChangeState, JobKind, Queue

LEASE_SECONDS = 30.0
_KEYRING = Keyring([make_secret_key("test")])


class RecordedRings:
    """A doorbell that keeps what it was told, from any thread: jobs, and canaries apart."""

    def __init__(self) -> None:
        self.rung: list[Ring] = []
        self.canaries: list[UUID] = []
        self._lock = threading.Lock()

    def ring(self, ring: Ring) -> None:
        with self._lock:
            if ring.kind == CANARY:
                self.canaries.append(ring.job_id)
            else:
                self.rung.append(ring)

    def queue_lengths(self) -> dict[Queue, int]:
        return {}

    def workers(self) -> None:
        """Nobody is there to ask."""

    def close(self) -> None:
        """Nothing is held."""

    def take(self) -> list[UUID]:
        """The ids of the jobs, or of the batches to sweep, rung for since the last call."""
        return [ring.job_id for ring in self.take_rings()]

    def take_rings(self) -> list[Ring]:
        """What was rung for since the last call."""
        with self._lock:
            taken, self.rung = self.rung, []
        return taken


def settings_for(url: str, folder: Path, **changes: Any) -> Settings:
    """Settings of a test's own database and folder."""
    return Settings(database_url=url, data_dir=folder, **changes)


def make_project(session: Session, name: str = "Acme") -> Project:
    """A project, with a user to write into `created_by`."""
    number = session.scalar(select(func.count()).select_from(Project)) or 0
    session.add(User(email=f"ada{number}@example.com", first_name="Ada"))
    project = Project(name=name)
    session.add(project)
    session.flush()
    return project


def make_table(session: Session, project_id: int, name: str, **values: Any) -> Table:
    """A linked table without columns."""
    defaults: dict[str, Any] = {
        "format": "Parquet",
        "url_pattern": f"https://bucket.s3.amazonaws.com/{name}/*.parquet",
    }
    table = Table(project_id=project_id, name=name, **(defaults | values))
    session.add(table)
    session.flush()
    return table


def make_tables(session: Session, project_id: int, count: int, stem: str = "t") -> list[Table]:
    """Several of them, in the order of their ids."""
    return [make_table(session, project_id, f"{stem}_{number}") for number in range(count)]


def refresh_of(table: Table, **changes: Any) -> JobRequest:
    """What a request for a refresh of the table enqueues."""
    values: dict[str, Any] = {
        "project_id": table.project_id,
        "kind": JobKind.REFRESH_SCHEMA,
        "queue": Queue.INTERACTIVE,
        "max_attempts": 3,
        "table_id": table.id,
    }
    return JobRequest(**(values | changes))


def enqueue(database: Database, request: JobRequest) -> UUID:
    """Enqueue in a transaction of its own; the job's id."""
    with database.write() as session:
        return queueing.enqueue(session, request).job.id


def claim(
    database: Database, job_id: UUID, worker: str = "node/1", lease_seconds: float = LEASE_SECONDS
) -> Claim | None:
    """Claim in a transaction of its own."""
    with database.write() as session:
        return leases.claim(session, job_id, worker=worker, lease_seconds=lease_seconds)


def claimed(database: Database, job_id: UUID, **options: Any) -> Claim:
    """A claim that must win."""
    won = claim(database, job_id, **options)
    assert won is not None
    return won


def job(database: Database, job_id: UUID) -> Job:
    """The job as it is now."""
    with database.read() as session:
        return session.scalars(select(Job).where(Job.id == job_id)).one()


@contextmanager
def context(
    database: Database, settings: Settings, project_id: int, user_id: int | None = None
) -> Iterator[Context]:
    """A service's context in a transaction of its own, which commits."""
    with database.write() as session:
        yield Context(
            session=session,
            caller=Caller(project_id=project_id, user_id=user_id, project_ids=(project_id,)),
            process=process_of(database, settings),
        )


def pending_change(project_id: int, table_id: UUID) -> SchemaChange:
    """A change of one new column that waits, not yet added to a session."""
    column = Column.of("id", "Int64")
    return SchemaChange(
        project_id=project_id,
        table_id=table_id,
        state=ChangeState.PENDING,
        change="additive",
        parts=[part.as_dict() for part in column_changes((), (column,))],
        undecided=1,
        decided=0,
        proposed=[column.as_dict()],
    )


def process_of(database: Database, settings: Settings) -> ProcessParts:
    """A process's parts around a database at hand, with the key of all such processes."""
    return replace(ProcessParts.of(settings, database), keyring=_KEYRING)


def race(*calls: Any) -> list[Any]:
    """Run the calls in threads that start together; what each returned, in order.

    Raises:
        BaseException: the first one that a call raised.
    """
    barrier = threading.Barrier(len(calls))
    outcomes: list[Any] = [None] * len(calls)
    errors: list[BaseException] = []

    def one(number: int) -> None:
        barrier.wait(timeout=PATIENCE_SECONDS)
        try:
            outcomes[number] = calls[number]()
        except BaseException as exc:  # noqa: BLE001 - raised again in the test's thread
            errors.append(exc)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=PATIENCE_SECONDS)
    if errors:
        raise errors[0]
    return outcomes
