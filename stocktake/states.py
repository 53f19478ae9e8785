"""The words that travel between processes: job states and kinds, queues, states of changes.

``docs/job_states.md`` draws the moves of ``TRANSITIONS``.
"""

from enum import StrEnum
from types import MappingProxyType
from typing import Final


class JobState(StrEnum):
    """Where a job stands."""

    #: Made by the API, the clock or a batch; or put back by its worker for a retry or because
    #: that stops, or by the clock when its lease ran out.
    QUEUED = "queued"
    #: Moved here by the one worker child whose claim won; it holds the lease until it ends.
    RUNNING = "running"
    #: Moved here by the worker, in the transaction that wrote the result.
    SUCCEEDED = "succeeded"
    #: Moved here by the worker on an error that no retry mends, or after the last attempt.
    FAILED = "failed"
    #: Moved here by a cancel, or by the worker when the table changed under it (`superseded`).
    CANCELLED = "cancelled"

    @property
    def done(self) -> bool:
        """Whether the job has ended for good."""
        return not TRANSITIONS[self]


#: All moves that there are. No write looks here: each names the state that it starts from, in the
#: statement that moves the row. The model of jobs in the tests holds what they do to this table.
TRANSITIONS: Final = MappingProxyType(
    {
        JobState.QUEUED: frozenset({JobState.RUNNING, JobState.CANCELLED}),
        JobState.RUNNING: frozenset(
            {JobState.QUEUED, JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}
        ),
        JobState.SUCCEEDED: frozenset[JobState](),
        JobState.FAILED: frozenset[JobState](),
        JobState.CANCELLED: frozenset[JobState](),
    }
)


#: What a job that has not ended is in, as rows have it.
UNDONE: Final = tuple(state.value for state in JobState if not state.done)


class JobKind(StrEnum):
    """What a job does."""

    # Each has a task and a run of its name, `tasks/x.py` and `stocktake/runs/x.py`; what imports,
    # loads and registers them goes by the members (docs/ARCHITECTURE.md, "A new kind of job").
    REFRESH_SCHEMA = "refresh_schema"
    INGEST_FILE = "ingest_file"
    VALIDATE_COLUMNS = "validate_columns"
    EXPAND_BATCH = "expand_batch"
    CHANGE_TABLES = "change_tables"
    MAINTAIN_TABLE = "maintain_table"
    RESTORE_TABLE = "restore_table"
    CHECK_FILE = "check_file"
    CHECK_SOURCE = "check_source"
    PLAN_REFRESH = "plan_refresh"
    PREVIEW_FILE = "preview_file"

    @property
    def reads(self) -> bool:
        """Whether its end tells how a table's columns stand."""
        return self in (JobKind.REFRESH_SCHEMA, JobKind.INGEST_FILE)


class BatchAction(StrEnum):
    """What is done to the tables of a batch."""

    #: By a job for each table, which `expand_batch` makes.
    REFRESH = "refresh"
    #: By one job for all, `change_tables`: set their policy of changes ...
    POLICY = "policy"
    #: ... or delete them.
    DELETE = "delete"


#: The jobs that are a batch's own: one or the other.
OF_BATCH: Final = (JobKind.EXPAND_BATCH, JobKind.CHANGE_TABLES)

#: The task that takes a canary: no job, but it goes their way.
CANARY: Final = "canary"

#: The task that takes many jobs of a batch at once; its message names the batch.
SWEEP: Final = "sweep"


class Queue(StrEnum):
    """The Celery queues, in the order in which a worker empties them."""

    #: Asked for by a person, or by a request that waits.
    INTERACTIVE = "interactive"
    #: Batches and schedules.
    BULK = "bulk"
    #: Whole-file reads that follow a refresh.
    VALIDATE = "validate"


class SourceStep(StrEnum):
    """What is tried of a source before it is registered, in this order."""

    URL = "url"
    DNS = "dns"
    TLS = "tls"
    REGION = "region"
    CREDENTIAL = "credential"
    LIST = "list"
    GET = "get"
    FORMAT = "format"


class StepOutcome(StrEnum):
    """What became of a step."""

    PASSED = "passed"
    FAILED = "failed"
    #: There is nothing to try, or a step before it failed.
    SKIPPED = "skipped"


class UploadState(StrEnum):
    """Where an upload stands. The row exists before the first byte is stored."""

    #: The request is still streaming into managed storage.
    RECEIVING = "receiving"
    #: All bytes are stored; nothing reads them yet.
    STORED = "stored"
    #: The live content of a table, or of several.
    ACTIVE = "active"
    #: Replaced by a newer upload, loaded into a managed Delta table, or given up for its age; the
    #: clock removes it.
    SUPERSEDED = "superseded"
    #: Its bytes are gone.
    REMOVED = "removed"


class TableState(StrEnum):
    """How far a table's columns can be relied on; of those that hold the first in this order."""

    #: Its latest job is running.
    READING = "reading"
    #: The last read of its source that ended has failed: its columns are those of the read before.
    #: An upload that fails leaves a table as it was, and says so of one alone that never had any
    #: content.
    FAILING = "failing"
    #: A change of its columns waits for a decision.
    WAITING = "waiting"
    #: No read has succeeded yet.
    NEVER_READ = "never_read"
    #: Its last good read is older than `stale_after_seconds` allows.
    STALE = "stale"
    #: It was read, and nothing is known against it.
    FRESH = "fresh"


class ChangeState(StrEnum):
    """Where a change of a table's schema stands that its policy did not let go live."""

    #: It waits: readers see the columns of before. At most one of a table.
    PENDING = "pending"
    #: Somebody decided each part of it; the last decision can be undone for a while.
    DECIDED = "decided"
    #: A newer read of the source found another change, which waits in its place.
    REPLACED = "replaced"
    #: Nothing of it is left to decide: `reason` says why.
    WITHDRAWN = "withdrawn"
