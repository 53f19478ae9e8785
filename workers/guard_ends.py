"""What the guard writes to the database: in a silent child's place, and fenced as its writes are.

Over one connection that stays: to close one, SQLite takes a lock that keeps everybody from opening
another, and a guard that is frozen in that moment would hold it (seen: a frozen worker made the
database unreachable).
"""

from functools import cache
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from stocktake.db.session import WORKER_IDLE_SECONDS, Database
from stocktake.errors import JobError, StaleAttemptError
from stocktake.jobs import leases, rescue, reserve, sweeps
from stocktake.jobs.leases import Claim, RetryPolicy
from stocktake.jobs.shares import Presence
from stocktake.jobs.sweeps import Chunk
from stocktake.logging import configure_logging
from stocktake.settings import Settings
from stocktake.states import JobKind
from workers.board import Reading

log = structlog.get_logger(__name__)


@cache
def _settings() -> Settings:
    settings = Settings()
    configure_logging(settings)
    return settings


@cache
def _database() -> Database:
    return Database(_settings().database_url, pool_size=1, idle_seconds=WORKER_IDLE_SECONDS)


def beat(reading: Reading) -> bool:
    """Renew the lease; whether the job is still the child's, and wanted, or its success is written.

    A database that does not answer changes nothing.
    """
    try:
        with _database().write() as session:
            if (claim := _claim(session, reading)) is None:
                child = _end_of_name(reading)
                return leases.has_succeeded(session, reading.job_id, reading.attempt, worker=child)
            found = leases.heartbeat(session, claim, lease_seconds=_settings().lease_seconds)
            if (chunk := _swept(session, claim)) is not None:
                sweeps.renew(session, chunk, lease_seconds=_settings().lease_seconds)
                return True  # a cancel is for the sweep's end to see
    except SQLAlchemyError as exc:
        log.warning("heartbeat_not_written", reason=type(exc).__name__, **_named(reading))
        return True
    return found.alive and not found.cancel_requested


def end(reading: Reading, error: JobError | None) -> bool:
    """End the attempt by its error, by a cancel where there is none; whether all is written."""
    retry = RetryPolicy.of(_settings())
    try:
        with _database().write() as session:
            if claim := _claim(session, reading):
                _end(session, claim, error, retry)
    # The child itself, or the clock, was faster: nothing is left to be written.
    except StaleAttemptError:
        claim = None
    except SQLAlchemyError as exc:
        log.error("attempt_end_not_written", reason=type(exc).__name__, **_named(reading))
        return False
    code = error.code if error else "cancelled"
    log.warning("attempt_ended_by_guard", code=code, stale=claim is None, **_named(reading))
    return True


def _end(session: Session, claim: Claim, error: JobError | None, retry: RetryPolicy) -> None:
    if _swept(session, claim) is None:
        leases.end_early(session, claim, error, retry)
    else:
        # One of its sources ended the sweep, and nobody knows which: each is tried by itself.
        rescue.end_swept(session, claim.worker, rescue.lost_error(claim.worker), retry)


def _swept(session: Session, claim: Claim) -> Chunk | None:
    """Return the sweep whose first job this is; None for a job by itself."""
    if claim.kind is not JobKind.REFRESH_SCHEMA or claim.batch_id is None:
        return None
    chunk = sweeps.held(session, claim.batch_id, worker=claim.worker)
    return chunk if chunk and len(chunk.claims) > 1 else None


def announce(presence: dict[str, Any]) -> None:
    """Say that the worker is there, which its children do while they work."""
    try:
        with _database().write() as session:
            Presence(**presence).keep(session)
    except SQLAlchemyError as exc:
        log.warning("worker_not_announced", reason=type(exc).__name__)


def withdraw(presence: dict[str, Any]) -> None:
    """Take it back: the worker stops."""
    try:
        with _database().write() as session:
            Presence(**presence).end(session)
    except SQLAlchemyError as exc:
        log.warning("worker_not_withdrawn", reason=type(exc).__name__)


def to_leave(worker: str) -> dict[UUID, int]:
    """Choose what leaves the reserve, as `reserve.to_leave` does; a database that does not answer
    knows of none."""
    try:
        with _database().read() as session:
            return reserve.to_leave(session, worker)
    except SQLAlchemyError as exc:
        log.warning("reserve_not_looked_at", reason=type(exc).__name__)
        return {}


def _claim(session: Session, reading: Reading) -> Claim | None:
    """Return the child's claim; one under the same number may be another child's (ADR 2)."""
    claim = leases.attempt_of(session, reading.job_id, reading.attempt)
    return claim if claim and claim.worker.endswith(_end_of_name(reading)) else None


def _end_of_name(reading: Reading) -> str:
    return f"/{reading.pid}"


def _named(reading: Reading) -> dict[str, object]:
    return {"job_id": str(reading.job_id), "attempt": reading.attempt, "child": reading.pid}
