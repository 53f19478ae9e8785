"""Take many jobs of a batch at once, and end those whose source is as it was."""

import os
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from uuid import UUID

import structlog
from celery.exceptions import Ignore
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from stocktake.jobs import sweeps
from stocktake.jobs.sweeps import PASSED_ON, Chunk, Ended
from stocktake.parts import ProcessParts
from stocktake.states import SWEEP
from tasks.app import app
from tasks.base import JobTask, Runtime, note_stale, worker_name

if TYPE_CHECKING:
    from stocktake.runs.sweep import Swept

#: A job that was claimed beside the choice makes all of it void; then it is seen.
_TRIES = 3

log = structlog.get_logger(__name__)


class SweepTask(JobTask):
    """Base of the one task whose message names a batch and no job."""

    abstract = True

    def __call__(self, batch_id: str) -> str:
        """Claim, look, and end all that was claimed.

        Returns:
            what came of it, which Flower shows with the task.

        Raises:
            Ignore: there was nothing to take, or no place for it.
            SystemExit: a look hangs in this process; its worker makes another.
        """
        runtime = self.runtime
        if runtime is None:
            raise RuntimeError("no Runtime is installed: run tasks in a Stocktake worker")
        worker = worker_name(self.request.hostname, os.getpid())
        with structlog.contextvars.bound_contextvars(batch_id=batch_id):
            chunk = claim_chunk(runtime, UUID(batch_id), worker)
            if chunk is None:
                log.info("claim_refused")
                raise Ignore
            return run_sweep(runtime, chunk, self.run)


def claim_chunk(runtime: Runtime, batch_id: UUID, worker: str) -> Chunk | None:
    """Take jobs of the batch, as many as one sweep may; None where there are none."""
    settings = runtime.process.settings
    for _ in range(_TRIES):
        try:
            with runtime.process.database.write() as session:
                if runtime.presence is not None:
                    runtime.presence.keep(session)
                return sweeps.claim(
                    session,
                    batch_id,
                    worker=worker,
                    lease_seconds=settings.lease_seconds,
                    most=settings.sweep_chunk,
                )
        except IntegrityError:
            continue
        except DBAPIError as exc:
            # The commit may have succeeded, and only its answer be lost.
            log.warning("claim_not_confirmed", reason=type(exc).__name__)
            with runtime.process.database.read() as session:
                return sweeps.held(session, batch_id, worker=worker)
    return None  # the clock rings again


def run_sweep(runtime: Runtime, chunk: Chunk, work: Callable[..., Any]) -> str:
    """Do the work of a sweep under its watchdog; what came of it, in words.

    Raises:
        SystemExit: as `SweepTask` says, or the process was asked to end; nothing is held any more.
    """
    log.info("sweep_started", **chunk.log_fields(), worker=chunk.worker)
    try:
        with runtime.watch(runtime, chunk):
            swept: Swept = work(runtime.process, chunk, stopping=runtime.stopping)
    except (SystemExit, KeyboardInterrupt):
        _hand_back(runtime, chunk, "worker_stopped", "The process was asked to end.")
        raise
    except SQLAlchemyError as exc:
        log.warning("database_error", reason=type(exc).__name__, exc_info=exc)
        why = "Stocktake's database did not take the end of the sweep."
        return _told(_hand_back(runtime, chunk, "database_unavailable", why))
    except BaseException as exc:
        log.error("sweep_crashed", exc_info=exc)
        ended = _hand_back(runtime, chunk, PASSED_ON, "Something unforeseen ended the sweep.")
        if not isinstance(exc, Exception):
            raise SystemExit(os.EX_SOFTWARE) from None
        return _told(ended)
    _note(runtime, swept.ended)
    if swept.spoilt:
        log.warning("child_retired", **chunk.log_fields())
        raise SystemExit(os.EX_SOFTWARE)
    return _told(swept.ended)


def _hand_back(runtime: Runtime, chunk: Chunk, outcome: str, why: str) -> Ended:
    ended = Ended()
    with suppress(SQLAlchemyError), runtime.process.database.write() as session:
        # Nothing is written where the end was committed, and only its answer lost.
        ended = sweeps.hand_back(session, chunk, outcome=outcome, why=why)
    log.warning("sweep_handed_back", code=outcome, passed_on=ended.passed_on)
    return ended


def _note(runtime: Runtime, ended: Ended) -> None:
    if ended.stale:
        note_stale(runtime, f"{ended.stale} jobs of a sweep were ended while it looked")
    log.info(
        "sweep_ended",
        unchanged=ended.unchanged,
        passed_on=ended.passed_on,
        cancelled=ended.cancelled,
    )


def _told(ended: Ended) -> str:
    """Return it in words.

    >>> _told(Ended(unchanged=48, passed_on=2))
    '48 unchanged, 2 passed on'
    """
    said = [f"{ended.unchanged} unchanged"]
    said += [f"{ended.passed_on} passed on"] if ended.passed_on else []
    said += [f"{ended.cancelled} cancelled"] if ended.cancelled else []
    return ", ".join(said)


@app.task(base=SweepTask, name=SWEEP)
def sweep(process: ProcessParts, chunk: Chunk, stopping: Callable[[], bool]) -> "Swept":
    """Take many jobs of a batch at once, and end those whose source is as it was."""
    from stocktake.runs.sweep import run  # late: the clock and Flower load no readers

    return run(process, chunk, stopping=stopping)
