"""The watchdog of one attempt: renews its lease, and ends the process when it must stop.

A thread, because native readers release the interpreter lock while a Python signal handler
would wait for them (a soft time limit sent at 1.0 s was seen at 9.9 s). It
writes why it ends the attempt, fenced, and only then leaves by ``os._exit``: pyarrow's S3 client
can hang in an ordinary exit.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from typing import Any, Final

import psutil
import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from stocktake.errors import JobError, StaleAttemptError
from stocktake.jobs import leases, sweeps
from stocktake.jobs.leases import Beat, Claim
from stocktake.jobs.sweeps import PASSED_ON, Chunk
from stocktake.readers.source import Progress
from tasks.base import Runtime, note_stale
from workers.guard import LOOK_SECONDS
from workers.guarding import BOARD, own_place
from workers.read_errors import memory_limit_error, reserve_error, stopped_error, time_limit_error

#: The exit status of a child that its watchdog ended.
EXIT_STATUS: Final = 70

log = structlog.get_logger(__name__)


class Watchdog:
    """Guards one attempt from a thread of its own.

    Args:
        leave: ends the process; a port, so that a test need not die.
    """

    def __init__(
        self, runtime: Runtime, claim: Claim, leave: Callable[[int], Any] = os._exit
    ) -> None:
        self._runtime = runtime
        self._claim = claim
        self._leave = leave
        self._done = threading.Event()
        self._progress: dict[str, Any] | None = None
        self._settings = runtime.process.settings
        self._deadline = time.monotonic() + self._settings.job_time_limit_seconds
        self._next_beat = time.monotonic() + self._settings.heartbeat_seconds
        self._process = psutil.Process()
        self._place = own_place()
        self._place.begin(claim.job_id, claim.attempt, self._deadline)

    def report(self, phase: str, files_done: int, files_total: int | None) -> None:
        """Remember how far the read has come; written with the next heartbeat."""
        self._progress = {"phase": phase, "files_done": files_done, "files_total": files_total}

    def stop(self) -> None:
        """Stop watching: the attempt is over."""
        self._place.end()
        self._done.set()

    def run(self) -> None:
        """Look until the attempt is over."""
        while not self._done.wait(LOOK_SECONDS):
            self._place.beat()
            if error := self._broken_limit():
                self._end(error)
            elif BOARD.reads_are_over:
                self._end(stopped_error())
            elif self._place.asked_to_leave(self._claim.job_id, self._claim.attempt):
                self._end(reserve_error())
            elif time.monotonic() >= self._next_beat:
                self._next_beat = time.monotonic() + self._settings.heartbeat_seconds
                self._beat()

    def _broken_limit(self) -> JobError | None:
        settings = self._settings
        if time.monotonic() > self._deadline:
            return time_limit_error(settings.job_time_limit_seconds)
        resident = self._process.memory_info().rss
        if resident > settings.job_memory_limit_bytes:
            return memory_limit_error(resident, settings.job_memory_limit_bytes)
        return None

    def _beat(self) -> None:
        # Written once: what has not changed since would be one more revision to whoever waits.
        progress, self._progress = self._progress, None
        try:
            with self._place.writing(), self._runtime.process.database.write() as session:
                beat = self._renew(session, progress)
                # The success may have been committed a moment ago, while this waited for the row:
                # its lease is gone then, and nothing is lost.
                is_lost = not beat.alive and not self._is_written(session)
                if self._runtime.presence is not None and not self._runtime.stopping():
                    self._runtime.presence.keep(session)
        except SQLAlchemyError as exc:
            # The lease may run out meanwhile; then the fence refuses what this attempt writes.
            log.warning("heartbeat_not_written", reason=type(exc).__name__)
            return
        if is_lost and not self._done.is_set():
            note_stale(self._runtime, "the lease was lost while the source was read")
            self._leave(EXIT_STATUS)
        if beat.cancel_requested:
            self._end(None)

    def _end(self, error: JobError | None) -> None:
        """Write why, then end the process; a result that was faster wins."""
        try:
            database = self._runtime.process.database
            with self._place.writing(), database.write(leaving=True) as session:
                self._give_up(session, error)
        except StaleAttemptError:
            # Either the read's own end was faster, and the block is about to be left, or the guard
            # ended the attempt while this thread could not run: nobody wants the read any more.
            if not self._done.wait(LOOK_SECONDS) and not self._has_succeeded():
                note_stale(self._runtime, "the attempt was ended while the source was read")
                self._leave(EXIT_STATUS)
            return
        except SQLAlchemyError as exc:
            # Not written, but the process must go all the same: the lease ends the attempt.
            log.error("attempt_end_not_written", reason=type(exc).__name__)
        log.warning("attempt_ended_by_watchdog", code=error.code if error else "cancelled")
        self._leave(EXIT_STATUS)

    def _renew(self, session: Session, progress: dict[str, Any] | None) -> Beat:
        seconds = self._settings.lease_seconds
        return leases.heartbeat(session, self._claim, lease_seconds=seconds, progress=progress)

    def _give_up(self, session: Session, error: JobError | None) -> None:
        leases.end_early(session, self._claim, error, self._runtime.retry)

    def _has_succeeded(self) -> bool:
        try:
            with self._runtime.process.database.read() as session:
                return self._is_written(session)
        except SQLAlchemyError:
            return True  # not known: asked again with the next look

    def _is_written(self, session: Session) -> bool:
        claim = self._claim
        return leases.has_succeeded(session, claim.job_id, claim.attempt, worker=claim.worker)


class SweepWatchdog(Watchdog):
    """Guards all attempts of a sweep; the board shows the first of them.

    Whatever ends the process is no fault of any one job: all go back into the queue.
    """

    def __init__(
        self, runtime: Runtime, chunk: Chunk, leave: Callable[[int], Any] = os._exit
    ) -> None:
        super().__init__(runtime, chunk.claims[0], leave)
        self._chunk = chunk

    def _renew(self, session: Session, progress: dict[str, Any] | None) -> Beat:
        # One that is lost, or that somebody cancelled, is for the end to see. When all are, the
        # end has just been written, or will write nothing.
        sweeps.renew(session, self._chunk, lease_seconds=self._settings.lease_seconds)
        return Beat(alive=True)

    def _give_up(self, session: Session, error: JobError | None) -> None:
        code = error.code if error else PASSED_ON
        why = error.detail if error else "The sweep was ended."
        if not sweeps.hand_back(session, self._chunk, outcome=code, why=why).passed_on:
            raise StaleAttemptError("the sweep holds nothing any more")

    def _is_written(self, session: Session) -> bool:
        return True


@contextmanager
def watch(runtime: Runtime, claim: Claim | Chunk) -> Iterator[Progress]:
    """Guard the attempt, or those of a sweep, while the block runs; gives the function that reports
    progress."""
    watchdog = (
        SweepWatchdog(runtime, claim) if isinstance(claim, Chunk) else Watchdog(runtime, claim)
    )
    # Its log lines carry the attempt's ids, as the block's do.
    run = partial(copy_context().run, watchdog.run)
    thread = threading.Thread(target=run, name="watchdog", daemon=True)
    thread.start()
    try:
        yield watchdog.report
    finally:
        watchdog.stop()
        thread.join(timeout=5)
