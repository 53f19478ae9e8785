"""The base task: claims the job, runs it under a watchdog, and ends the attempt by its error."""

import os
import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import Any, ClassVar, Final
from uuid import UUID

import structlog
from celery import Task
from celery.exceptions import Ignore, Retry
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

from stocktake.errors import (
    DatabaseUnavailableError,
    InternalError,
    JobError,
    LimitExceededError,
    StaleAttemptError,
    SupersededError,
    WorkerStoppedError,
)
from stocktake.jobs import counters, leases
from stocktake.jobs.doorbell import Doorbell
from stocktake.jobs.leases import Claim, RetryPolicy
from stocktake.jobs.shares import Presence
from stocktake.jobs.sweeps import Chunk
from stocktake.parts import ProcessParts
from stocktake.readers.source import Progress
from stocktake.runs.attempt import Attempt
from stocktake.states import JobState

#: Of this worker and the children that it forks. Another one may have its node's name, where two
#: machines have one host name, and a child of the same process id.
_START: Final = secrets.token_hex(3)

log = structlog.get_logger(__name__)


class JobFailed(Exception):  # noqa: N818 - shown by Flower as the task's outcome
    """The job ended `failed`; its text is the table's name, the job's code and its sentence."""


class ProcessSpoilt(JobFailed):
    """It was native code that panicked. What locks it held stay poisoned: no further job must
    run in this process."""


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """What a worker child owns; made after the fork and installed on `JobTask`.

    Attributes:
        watch: guards an attempt, or all those of a sweep, while its block runs: lease, cancel,
            deadline, memory.
        stopping: whether the worker was asked to stop.
        presence: what the worker says of its children, for their shares.
        doorbell: what the database's commits ring with.
    """

    process: ProcessParts
    watch: Callable[["Runtime", Claim | Chunk], AbstractContextManager[Progress]]
    stopping: Callable[[], bool] = _never
    presence: Presence | None = None
    doorbell: Doorbell | None = None

    @property
    def retry(self) -> RetryPolicy:
        """The backoff of transient errors."""
        return RetryPolicy.of(self.process.settings)


class JobTask(Task[Any, str | None]):
    """Base of every task. A task's function gets an `Attempt`; its message holds only the id."""

    abstract = True
    # Celery would hold a message's arguments to those of the function, which gets another.
    typing = False
    # An ordinary failure is the job's outcome and not the worker's trouble: no traceback.
    throws = (JobFailed,)
    runtime: ClassVar[Runtime | None] = None

    def __call__(self, job_id: str) -> str | None:
        """Claim, run, and end the attempt.

        Returns:
            the table's name, which Flower shows with the task.

        Raises:
            Ignore: the message was a duplicate, or the attempt lost its lease.
            Retry: a transient error; the job is queued again in the database.
            JobFailed: the job has failed for good.
            SystemExit: so it has, and the process must go; its worker makes another.
        """
        runtime = self.runtime
        if runtime is None:
            raise RuntimeError("no Runtime is installed: run tasks in a Stocktake worker")
        with structlog.contextvars.bound_contextvars(job_id=job_id):
            claim = _claim(runtime, UUID(job_id), worker_name(self.request.hostname, os.getpid()))
            if claim is None:
                log.info("claim_refused")
                raise Ignore
            with structlog.contextvars.bound_contextvars(**claim.log_fields()):
                try:
                    run_attempt(runtime, claim, self.run)
                except ProcessSpoilt:
                    raise SystemExit(os.EX_SOFTWARE) from None
            return claim.table_name


def run_attempt(runtime: Runtime, claim: Claim, work: Callable[[Attempt], object]) -> None:
    """Do the work of a claimed job under its watchdog, and end the attempt by its error.

    Raises:
        Ignore: the attempt lost its lease, or the table changed under it.
        Retry: a transient error; the job is queued again in the database.
        JobFailed: the job has failed for good.
        SystemExit, KeyboardInterrupt: the process was asked to end; the job is queued again.
    """
    log.info("job_started", kind=claim.kind.value, worker=claim.worker, table_name=claim.table_name)
    error: JobError | None = None
    outcome = JobFailed
    try:
        with runtime.watch(runtime, claim) as progress:
            work(_as_attempt(runtime, claim, progress))
    except StaleAttemptError as exc:
        note_stale(runtime, str(exc))
        raise Ignore from None
    except SupersededError as exc:
        _superseded(runtime, claim, exc)
    except (SystemExit, KeyboardInterrupt):
        # Whether that could be written or not, the process goes on to end.
        with suppress(Ignore):
            _leave(runtime, claim)
        raise
    except BaseException as exc:  # noqa: BLE001 - the one place where anything is caught
        # A MemoryError that left the task would stop the whole worker. A panic of native code is
        # no Exception either, and its job would stand there with nobody at work on it.
        error = _without_frames(_as_job_error(exc))
        outcome = JobFailed if isinstance(exc, Exception) else ProcessSpoilt
    if error is None:
        log.info("job_succeeded")
    else:
        try:
            _fail(runtime, claim, error, outcome)
        except Ignore:
            if outcome is ProcessSpoilt:  # whoever ended the job, or whether nobody could
                raise ProcessSpoilt(error.code) from None
            raise


def worker_name(node: str | None, pid: int) -> str:
    """Return how a child signs its claims: as no other does, on any machine."""
    return f"{pool_name(node)}/{pid}"


def pool_name(node: str | None) -> str:
    """Return how a worker signs for all of its children."""
    return f"{node or 'local'}/{_START}"


def _claim(runtime: Runtime, job_id: UUID, worker: str) -> Claim | None:
    try:
        with runtime.process.database.write() as session:
            if runtime.presence is not None:
                runtime.presence.keep(session)
            return leases.claim(
                session,
                job_id,
                worker=worker,
                lease_seconds=runtime.process.settings.lease_seconds,
            )
    except IntegrityError:
        # Another job of this table and kind was claimed at the same moment (uq_jobs_running). What
        # the child said of its worker is lost with the claim; the guard says it, too.
        return None
    except DBAPIError as exc:
        # The commit may have succeeded, and only its answer be lost: then the job is ours, and
        # would stand still until the lease runs out. Otherwise the clock rings for it again.
        log.warning("claim_not_confirmed", reason=type(exc).__name__)
        with runtime.process.database.read() as session:
            return leases.held(session, job_id, worker=worker)


def _as_attempt(runtime: Runtime, claim: Claim, progress: Progress) -> Attempt:
    return Attempt(claim=claim, process=runtime.process, progress=progress)


def _as_job_error(exc: BaseException) -> JobError:
    if isinstance(exc, JobError):
        return exc
    if isinstance(exc, MemoryError):  # pyarrow.ArrowMemoryError is one
        return LimitExceededError(
            "The source needed more memory than a worker has.",
            code="memory_limit",
            hint="Narrow the source, or raise STOCKTAKE_JOB_MEMORY_LIMIT_BYTES.",
        )
    if isinstance(exc, DBAPIError | PoolTimeoutError):
        log.warning("database_error", reason=type(exc).__name__, exc_info=exc)
        return DatabaseUnavailableError("Stocktake's database did not take the result.")
    log.error("job_crashed", exc_info=exc)
    return InternalError("Something unforeseen ended the job.")


def _without_frames(error: JobError) -> JobError:
    """Return the error without its traceback and causes. Their frames hold all that the read held,
    which stayed in the child for good: 120 MB for each line of a million keys."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def note_stale(runtime: Runtime, reason: str) -> None:
    """Log and count an attempt that had lost its lease, and so wrote nothing."""
    log.warning("stale_attempt", reason=reason)
    counters.note(runtime.process.database, counters.STALE_WRITES)


def _superseded(runtime: Runtime, claim: Claim, exc: SupersededError) -> None:
    def end(session: Session) -> JobState:
        leases.cancel(session, claim, code="superseded", detail=str(exc))
        return JobState.CANCELLED

    _settle(runtime, claim, end)
    log.info("job_superseded")
    raise Ignore from None


def _leave(runtime: Runtime, claim: Claim) -> None:
    """Hand the job back: this process is asked to end. It costs no attempt where the worker stops;
    else it does, since a read that ended each of its processes would go on for ever."""
    error = WorkerStoppedError("The process that read the source was asked to end.")

    def end(session: Session) -> JobState:
        if runtime.stopping():
            leases.hand_back(session, claim, error)
            return JobState.QUEUED
        return leases.fail(session, claim, error, runtime.retry)

    state = _settle(runtime, claim, end)
    _log_end(error, state)


def _fail(
    runtime: Runtime, claim: Claim, error: JobError, outcome: type[JobFailed] = JobFailed
) -> None:
    state = _settle(
        runtime, claim, lambda session: leases.fail(session, claim, error, runtime.retry)
    )
    _log_end(error, state)
    # What came behind the commit has lost nothing; but a process that is spoilt must go all the
    # same.
    if state is JobState.SUCCEEDED and outcome is not ProcessSpoilt:
        return
    if state is JobState.CANCELLED:
        raise Ignore from None
    of_table = f"{claim.table_name}: " if claim.table_name else ""
    failed = outcome(f"{of_table}{error.code}: {error.detail}")
    if state is JobState.QUEUED:
        raise Retry(str(failed)) from None
    raise failed from None


def _log_end(error: JobError, state: JobState) -> None:
    if state is JobState.SUCCEEDED:
        log.info("job_succeeded", afterwards=error.code)
    else:
        log.info("job_attempt_failed", code=error.code, state=state.value)


def _settle(runtime: Runtime, claim: Claim, end: Callable[[Session], JobState]) -> JobState:
    """Write the end of an attempt; the state that its job is in then.

    It is `succeeded` where the success was committed before: of a commit only the answer may be
    lost, and a process may be asked to end right behind one.
    """
    try:
        with runtime.process.database.write() as session:
            try:
                return end(session)
            except StaleAttemptError:
                number, worker = claim.attempt, claim.worker
                if not leases.has_succeeded(session, claim.job_id, number, worker=worker):
                    raise
                return JobState.SUCCEEDED
    except StaleAttemptError as exc:
        note_stale(runtime, str(exc))
        raise Ignore from None
    except (DBAPIError, PoolTimeoutError) as exc:
        # The lease runs out and the clock rescues the job.
        log.error("attempt_end_not_written", reason=type(exc).__name__)
        raise Ignore from None
