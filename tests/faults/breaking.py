"""How a test breaks a process, and sees that it did."""

import signal
from uuid import UUID

import psutil

from servers.process import PATIENCE_SECONDS
from stocktake.db.session import Database
from tests.support.harness import Stack
from tests.support.stack import see_job, wait_until


def reader_of(stack: Stack, job_id: UUID) -> psutil.Process:
    """The worker's child that runs the job."""

    def running() -> bool:
        return see_job(stack.database, job_id).worker is not None

    wait_until(running, f"a worker that runs job {job_id}")
    worker = see_job(stack.database, job_id).worker
    assert worker is not None
    return psutil.Process(int(worker.rsplit("/", 1)[1]))


def kill_reader(stack: Stack, child: psutil.Process) -> None:
    """Kill a reading child as the kernel would; its parent must say so."""
    child.send_signal(signal.SIGKILL)
    gone(child)
    wait_until(
        lambda: bool(stack.logged(f"pid:{child.pid}", "SIGKILL")), f"the parent's word on {child}"
    )


def gone(*processes: psutil.Process) -> None:
    """Wait until none of these runs any more.

    A dead process's entry is gone, or its parent has yet to fetch its exit status.
    """
    _, alive = psutil.wait_procs(list(processes), timeout=PATIENCE_SECONDS)
    assert not alive, alive


def freeze(*processes: psutil.Process) -> None:
    """Stop processes where they are, until `thaw`."""
    for process in processes:
        process.suspend()
    wait_until(lambda: all(map(is_frozen, processes)), f"{processes} to be frozen")


def freeze_between_writes(database: Database, *processes: psutil.Process) -> None:
    """Stop processes while they hold no lock of SQLite: with it in a frozen process nobody writes,
    the clock that has to rescue its job neither. PostgreSQL ends such a transaction by itself."""
    with database.write() as session:
        session.connection()  # takes the lock: without a statement nothing has begun
        freeze(*processes)


def is_frozen(process: psutil.Process) -> bool:
    return process.status() == psutil.STATUS_STOPPED


def thaw(*processes: psutil.Process) -> None:
    """Let frozen processes go on."""
    for process in processes:
        process.resume()
