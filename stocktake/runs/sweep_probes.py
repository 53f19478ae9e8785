"""Looking at many sources at once, for a bounded time: which of them are as they were."""

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import cache
from typing import Final
from uuid import UUID

import structlog

from stocktake.errors import JobError
from stocktake.jobs.leases import Claim
from stocktake.parts import ProcessParts
from stocktake.readers import probe
from stocktake.readers.source import Introspection, Limits
from stocktake.runs.opening import TableSource, credential_of, load_tables, open_loaded
from stocktake.runs.refresh_schema import nothing_is_due
from stocktake.storage.places.guard import Folders
from stocktake.storage.stores.opening import LocalObjects

#: No look begins after so long: whoever asks by hand for a refresh waits for this child meanwhile.
BEGIN_SECONDS: Final = 0.5
#: A look that has not ended by then is given up, and with it the process that it hangs in.
PATIENCE_SECONDS: Final = 3.0
#: Requests to stores at one moment; of obstore's own, 32 are the knee.
_THREADS: Final = 32

UNKNOWN: Final = "The source has changed, or one look at it does not tell."
TOO_LONG: Final = "The look at the source took too long."
STOPPED: Final = "The worker was asked to stop."
CHANGED: Final = "The table changed before its source was looked at."

log = structlog.get_logger(__name__)


@dataclass(slots=True, kw_only=True)
class Seen:
    """What came of the looks.

    Attributes:
        unchanged: by job, the source and the answer that holds still.
        passed_on: by job, why it needs an attempt of its own.
        superseded: by job, why it is void.
        spoilt: whether this process must go: a look hangs in it, or native code panicked.
    """

    unchanged: dict[UUID, tuple[TableSource, Introspection]] = field(default_factory=dict)
    passed_on: dict[UUID, str] = field(default_factory=dict)
    superseded: dict[UUID, str] = field(default_factory=dict)
    spoilt: bool = False


def look(process: ProcessParts, claims: Sequence[Claim], *, stopping: Callable[[], bool]) -> Seen:
    """Look at the sources of all these claims, each for no longer than `PATIENCE_SECONDS`.

    Only what is sure is told as unchanged. What a look meets, an error too, is no end of a job: a
    read of its own finds it out, with its code and its retries.
    """
    seen = Seen()
    opened = _open_all(process, claims, seen)
    looks = _Looks(process.settings.limits, stopping)
    looks.run(opened)
    for claim, source in opened:
        found = looks.found.get(claim.job_id, TOO_LONG)
        if isinstance(found, str):
            seen.passed_on[claim.job_id] = found
        elif nothing_is_due(claim, source, found):
            seen.unchanged[claim.job_id] = source, found
        else:
            seen.passed_on[claim.job_id] = UNKNOWN
    seen.spoilt = looks.spoilt
    return seen


Opened = tuple[Claim, TableSource]


def _open_all(process: ProcessParts, claims: Sequence[Claim], seen: Seen) -> list[Opened]:
    opened: list[Opened] = []
    with process.database.read() as session:
        tables = load_tables(session, claims)
    folders = Folders.of(process.guard)
    for claim in claims:
        table = tables.get(claim.table_id)
        if table is None:
            seen.superseded[claim.job_id] = CHANGED
            continue
        try:
            credential = credential_of(process, table)
            source = open_loaded(process, claim, table, credential, folders)
        except JobError as exc:
            seen.passed_on[claim.job_id] = _met(exc)
            continue
        if source.managed or source.source.state is None:
            seen.passed_on[claim.job_id] = UNKNOWN
        else:
            opened.append((claim, source))
    return opened


def _met(error: JobError) -> str:
    return f"The look at the source met {error.code}."


@cache
def _pool() -> ThreadPoolExecutor:
    # They stay: to start as many anew took a fifth of a sweep's time. One more is for local files.
    return ThreadPoolExecutor(_THREADS + 1, thread_name_prefix="look")


class _Looks:
    """Looks in threads that may be left behind: a store may never answer.

    Args:
        limits: of one read.
        stopping: whether the worker was asked to stop; asked before each look.
    """

    def __init__(self, limits: Limits, stopping: Callable[[], bool]) -> None:
        self._limits = limits
        self._stopping = stopping
        self._begun_at = time.monotonic()
        self.found: dict[UUID, Introspection | str] = {}
        self.spoilt = False

    def run(self, opened: Sequence[Opened]) -> None:
        """Look at all; what has no answer in time has none."""
        # Files of this machine are there at once, and threads would only wait for each other.
        local = [each for each in opened if isinstance(each[1].source.store, LocalObjects)]
        remote = [each for each in opened if not isinstance(each[1].source.store, LocalObjects)]
        work = self._start(local, 1) + self._start(remote, _THREADS)
        _, hanging = wait(work, self._begun_at + PATIENCE_SECONDS - time.monotonic())
        if hanging:
            self.spoilt = True
            _pool.cache_clear()  # the next sweep's threads are others, if this process goes on
        self.found = dict(self.found)  # what comes from now on is nobody's

    def _start(self, opened: Sequence[Opened], most: int) -> list[Future[None]]:
        left = iter(opened)
        count = min(most, len(opened))
        return [_pool().submit(self._work, left, self.found) for _ in range(count)]

    def _work(self, left: Iterable[Opened], found: dict[UUID, Introspection | str]) -> None:
        # One step of a list's iterator is not interrupted by another thread.
        for claim, source in left:
            found[claim.job_id] = self._look(source)

    def _look(self, source: TableSource) -> Introspection | str:
        try:
            if self._stopping():
                return STOPPED
            if time.monotonic() - self._begun_at > BEGIN_SECONDS:
                return TOO_LONG
            return probe(source.source, self._limits) or UNKNOWN
        except JobError as exc:
            return _met(exc)
        except BaseException as exc:  # noqa: BLE001 - a read of its own meets it and says what it is
            log.warning("look_crashed", reason=type(exc).__name__)
            # Native code that panics raises no Exception, and leaves its locks as they were.
            self.spoilt = self.spoilt or not isinstance(exc, Exception)
            return UNKNOWN
