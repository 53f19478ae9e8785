"""What a worker process does at its start, in each child, and when a child is lost.

Nothing native is touched in the parent: deltalake used there panics in the forked child and
obstore hangs. Engine, doorbell and stores are made after the fork.
"""

import os
import resource
from collections import Counter
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog
from billiard.einfo import ExceptionInfo
from celery.exceptions import WorkerLostError
from celery.signals import (
    setup_logging,
    task_postrun,
    worker_init,
    worker_process_init,
    worker_process_shutdown,
    worker_ready,
    worker_shutdown,
)
from celery.worker.control import inspect_command
from celery.worker.request import Request
from celery.worker.state import active_requests
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from stocktake import __version__
from stocktake.db.session import WORKER_IDLE_SECONDS, Database
from stocktake.errors import JobError
from stocktake.jobs import counters, rescue
from stocktake.jobs.leases import RetryPolicy
from stocktake.jobs.shares import Presence
from stocktake.logging import configure_logging
from stocktake.parts import ProcessParts
from stocktake.readers import registry
from stocktake.services.starting import settings_to_start
from stocktake.settings import Settings
from stocktake.states import SWEEP, JobKind, Queue
from tasks.base import JobFailed, JobTask, Runtime, pool_name, worker_name
from tasks.doorbell import CeleryDoorbell
from tasks.queue_lengths import WORKER_COMMAND
from workers.celery_fixes.exits import see_exits_soon
from workers.celery_fixes.prefetch import keep_credit
from workers.celery_fixes.stopping import GracefulStop, leave_stopping_to_the_parent
from workers.guarding import BOARD, KeptGuard
from workers.process.core_dumps import forbid_core_dumps
from workers.process.environment import scrub_environment
from workers.process.freed_memory import FreedMemory
from workers.process.inherited_sockets import let_go_of_connections
from workers.process.native_pools import bound_native_pools
from workers.process.parent_death import die_with_parent
from workers.read_errors import time_limit_error
from workers.watchdog import watch

#: Names a file that is made when the worker takes jobs; for the supervisor of `stocktake up`.
READY_FILE = "STOCKTAKE_READY_FILE"
#: How far a reading child steps back where it shares processors with the API: a parse is busy for
#: seconds and a request for milliseconds.
NICENESS = 5

log = structlog.get_logger(__name__)
_presence: Presence | None = None
_freed: FreedMemory | None = None


@cache
def process_settings() -> Settings:
    """Return this worker's settings, read from the environment once."""
    return settings_to_start()


def make_runtime(settings: Settings, presence: Presence | None = None) -> Runtime:
    """Return the parts that one child owns."""
    doorbell = CeleryDoorbell(settings)
    # Two connections: the attempt's and its watchdog's.
    database = Database(
        settings.database_url, doorbell.ring, pool_size=2, idle_seconds=WORKER_IDLE_SECONDS
    )
    doorbell.on_drop = counters.drops_of("worker", database)
    return Runtime(
        process=ProcessParts.of(settings, database),
        watch=watch,
        stopping=lambda: BOARD.stop_at > 0,
        presence=presence,
        doorbell=doorbell,
    )


@setup_logging.connect
def _logging(**_: Any) -> None:
    configure_logging(process_settings())


@worker_init.connect
def _before_the_broker(sender: Any, **_: Any) -> None:
    keep_credit()
    see_exits_soon()
    sender.quiet = True  # its banner is no line of a log


@worker_init.connect
def _load_readers(**_: Any) -> None:
    """Import the readers before the fork, so that children share the code and no first job waits
    for it. What a run imports late, for those who run it elsewhere, half a second of it, is named
    too."""
    for kind in JobKind:
        import_module(f"stocktake.runs.{kind}")
    import_module("stocktake.runs.sweep")
    registry.load_all()
    import_module("stocktake.storage.stores.remote")


@worker_init.connect
def _add_reserve(sender: Any, **_: Any) -> None:
    """Add the reserve to a pool of a known size; where Celery finds the size out by itself, nothing
    is reserved.
    """
    global _presence  # noqa: PLW0603 - the children inherit it through the fork
    settings = process_settings()
    if isinstance(sender.concurrency, int):
        name = pool_name(sender.hostname)
        queues = [queue for queue in Queue if queue in sender.app.amqp.queues.consume_from]
        _presence = Presence.of(settings, name, sender.concurrency, queues)
        sender.concurrency += settings.worker_reserve


@worker_shutdown.connect
def _takes_no_more(**_: Any) -> None:
    if _presence is not None:
        _tell(_presence.end)


def _tell(write: Callable[[Session], None]) -> None:
    """Write to the database from the parent, over a connection that no child will inherit."""
    url = process_settings().database_url
    database = Database(url, pool_size=1, idle_seconds=WORKER_IDLE_SECONDS)
    try:
        with database.write() as session:
            write(session)
    except SQLAlchemyError as exc:
        # It is said again, or forgotten with its lease.
        log.warning("presence_not_written", reason=type(exc).__name__)
    finally:
        database.dispose()


@worker_ready.connect
def _takes_jobs(sender: Any, **_: Any) -> None:
    settings = process_settings()
    GracefulStop(sender, settings.worker_grace_seconds).install()
    KeptGuard(settings, _presence).keep(sender.hub)
    if _presence is not None:
        _tell(_presence.keep)
    if file := os.environ.get(READY_FILE):
        Path(file).touch()


@worker_process_init.connect
def _child_starts(**_: Any) -> None:
    try:
        _prepare_child()
    except Exception:
        # Celery would go on with a child that takes jobs and can run none.
        log.exception("child_not_started")
        os._exit(os.EX_SOFTWARE)


def _prepare_child() -> None:
    global _freed  # noqa: PLW0603 - one a process
    # A read must not go on under a lease that a dead worker's successor waits for.
    die_with_parent(os.getppid())
    let_go_of_connections()
    forbid_core_dumps()
    _allow_descriptors()
    leave_stopping_to_the_parent()
    os.nice(NICENESS)
    # Before the stores' clients are made: their constructors would read these variables (ADR 6).
    scrub_environment()
    bound_native_pools()
    _freed = FreedMemory()
    JobTask.runtime = make_runtime(process_settings(), _presence)


@task_postrun.connect
def _job_is_over(**_: Any) -> None:
    if _freed is not None:
        _freed.give_back()


def _allow_descriptors() -> None:
    """Allow as many descriptors as this process may have: a connection through the relay takes
    three.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


@worker_process_shutdown.connect
def _child_stops(**_: Any) -> None:
    if JobTask.runtime is None:
        return
    # The end of its last job rang for another one, and marked it as rung for.
    if JobTask.runtime.doorbell is not None:
        JobTask.runtime.doorbell.close()
    JobTask.runtime.process.database.dispose()


@inspect_command(name=WORKER_COMMAND)
def _tell_of_itself(state: Any) -> dict[str, Any]:
    """Return which release this worker runs, with how many children, and what they are at."""
    running = Counter(str(each.name) for each in tuple(active_requests))
    children = state.consumer.pool.num_processes
    return {"version": __version__, "processes": children, "running": running}


class ParentRequest(Request):
    """Celery's view of a job in the parent: it tells the database of a child that is gone.

    The lease would tell as well, later. The write is guarded by the dead child's name, so a
    second report, or one for a job that ended in order, changes nothing.
    """

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """Write the reason of Celery's hard limit, in the parent: the child's watchdog could not
        run.
        """
        super().on_timeout(soft, timeout)
        if not soft:
            self._hand_back(time_limit_error(process_settings().job_time_limit_seconds))

    def on_failure(
        self, exc_info: ExceptionInfo, send_failed_event: bool = True, return_ok: bool = False
    ) -> Any:
        """Hand back the job of a child that vanished, at once.

        How a read failed is in its row, in words; Flower is told of it without a traceback.
        """
        if isinstance(getattr(exc_info.exception, "exc", exc_info.exception), JobFailed):
            exc_info.traceback = ""
        answer = super().on_failure(exc_info, send_failed_event, return_ok)
        # billiard reports an exiting child as SystemExit before it reports it as lost.
        lost = WorkerLostError | SystemExit | KeyboardInterrupt
        if isinstance(getattr(exc_info.exception, "exc", exc_info.exception), lost):
            self._hand_back(rescue.lost_error(self._worker))
        return answer

    @property
    def _worker(self) -> str:
        return worker_name(self.hostname, int(self.worker_pid or 0))

    def _hand_back(self, error: JobError) -> None:
        settings = process_settings()
        # Made and closed here: a connection that the next child inherits through the fork would
        # drop that child's SQLite locks when it is collected there.
        database = Database(settings.database_url, pool_size=1, idle_seconds=WORKER_IDLE_SECONDS)
        try:
            with database.write() as session:
                ended = self._end(session, error, RetryPolicy.of(settings))
        except SQLAlchemyError as exc:
            log.warning("lost_child_not_reported", job_id=self.id, reason=type(exc).__name__)
        else:
            log.warning("child_lost", job_id=self.id, worker=self._worker, handed_back=ended)
        finally:
            database.dispose()

    def _end(self, session: Session, error: JobError, retry: RetryPolicy) -> int:
        if self.name == SWEEP:
            # Which of its sources it was is not known: all are tried again, each by itself.
            return rescue.end_swept(session, self._worker, rescue.lost_error(self._worker), retry)
        return rescue.end_lost(session, UUID(self.id), self._worker, error, retry)


JobTask.Request = f"{__name__}:{ParentRequest.__name__}"
