"""What the service answers, typed. Fields that a newer service has are in `raw`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

#: The JSON that an answer was made of.
Raw: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column; `schema_valid` says whether a read of all the data agreed with its type."""

    name: str
    type: str
    schema_valid: bool
    #: Who brought it, as docs/changes.md has it; lists leave it out.
    origin: Raw | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobError:
    """Why the latest attempt at a job ended."""

    code: str
    detail: str
    retryable: bool = False
    hint: str | None = None
    file: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """What a read that succeeded still has to say."""

    code: str
    sentence: str
    file: str | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnType:
    """A column and its ClickHouse type."""

    name: str
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeChange:
    """A column whose ClickHouse type is another than before."""

    name: str
    from_: str
    to: str
    only_fields: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rename:
    """A column that kept its field id and changed its name."""

    from_: str
    to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Diff:
    """From one list of columns to another; fields inside of columns are in `raw`."""

    added: tuple[ColumnType, ...] = ()
    removed: tuple[ColumnType, ...] = ()
    changed: tuple[TypeChange, ...] = ()
    renamed: tuple[Rename, ...] = ()
    reordered: bool = False
    raw: Raw = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a read has come; `files_total` is None until it is known."""

    phase: str
    files_done: int
    files_total: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingChange:
    """The change that waits for a table; `undecided` of its parts are to be decided."""

    id: str
    change: str
    undecided: int | None = None
    decided: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a job found. Each kind of job has some of these; the others are None, or empty."""

    change: str | None = None
    diff: Diff | None = None
    schema_version: int | None = None
    row_count: int | None = None
    size_bytes: int | None = None
    file_count: int | None = None
    warnings: tuple[Warned, ...] = ()
    #: Of a plan: the class of what the table's policy would hold back.
    waits: str | None = None
    #: Of a read: what it left waiting.
    pending_change: PendingChange | None = None
    #: Of a file that was checked: why it would not be taken.
    refusal: JobError | None = None
    raw: Raw = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job. `state` is queued, running, succeeded, failed or cancelled; `done` tells the last
    three."""

    id: str
    kind: str
    state: str
    done: bool
    table_id: str | None = None
    batch_id: str | None = None
    attempt: int = 0
    max_attempts: int = 0
    next_run_at: datetime | None = None
    deduplicated: bool = False
    progress: Progress | None = None
    result: Result | None = None
    error: JobError | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    raw: Raw = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedColumn:
    """A column before or behind a change that waits, and its ClickHouse type."""

    name: str
    type: str
    nullable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What is decided as a whole, mostly one column: `before` is empty where it is new, `after`
    where it is gone. `origin` is who brought it, as docs/changes.md has it."""

    name: str
    change: str
    names: tuple[str, ...] = ()
    before: tuple[ChangedColumn, ...] = ()
    after: tuple[ChangedColumn, ...] = ()
    pinnable: bool = False
    decision: str | None = None
    origin: Raw | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaChange:
    """A change that a policy did not let go live. `state` is pending, decided, replaced or
    withdrawn; lists leave out its parts and its diff."""

    id: str
    table_id: str
    table_name: str
    state: str
    change: str
    undecided: int
    decided: int
    created_at: datetime
    parts: tuple[Part, ...] = ()
    diff: Diff | None = None
    can_be_undone: bool = False
    applied_as_version: int | None = None
    replaced_by: str | None = None
    reason: str | None = None
    decided_at: datetime | None = None
    ended_at: datetime | None = None
    raw: Raw = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FormerSource:
    """What a table read before an upload took the place of that."""

    url_pattern: str
    format: str
    schema_version: int
    replaced_at: datetime
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A registered table with its columns as they were read last."""

    id: str
    name: str
    format: str
    url_pattern: str
    created_at: datetime
    columns: tuple[Column, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    schema_version: int = 0
    source_version: int | str | None = None
    row_count: int | None = None
    size_bytes: int | None = None
    file_count: int | None = None
    stored_bytes: int | None = None
    warnings: tuple[Warned, ...] = ()
    last_refreshed_at: datetime | None = None
    latest_job: Job | None = None
    change_policy: str | None = None
    pending_change: PendingChange | None = None
    state: str | None = None
    error_code: str | None = None
    last_change: str = "none"
    last_changed_at: datetime | None = None
    has_overrides: bool = False
    stale_after_seconds: int | None = None
    former_source: FormerSource | None = None
    raw: Raw = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FailingTables:
    """How many tables' last read failed in one way, and what is to be done about it."""

    error_code: str
    hint: str
    tables: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TableCounts:
    """A project's tables in numbers; `waiting` for a decision, whatever their state."""

    total: int
    waiting: int
    by_state: Mapping[str, int]
    by_format: Mapping[str, int]
    failing: tuple[FailingTables, ...] = ()
    last_refreshed_at: datetime | None = None
    raw: Raw = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadedTable(Table):
    """A table that a file was sent to; `job_id` is the job that reads this very file."""

    job_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project, and what is set for all of its tables."""

    id: int
    name: str
    change_policy: str = "auto"
    stale_after_seconds: int | None = None
    row_previews: bool = False
    raw: Raw = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An API key, without its value: `mask_value` is how it begins, `scoped_teams` its projects."""

    id: str
    label: str
    mask_value: str
    scopes: tuple[str, ...]
    scoped_teams: tuple[int, ...]
    created_at: datetime
    last_used_at: datetime | None = None
    raw: Raw = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """A change, or what was refused. Without a user and a key an operator made it."""

    id: str
    action: str
    created_at: datetime
    subject: str | None = None
    user_id: int | None = None
    key_prefix: str | None = None
    detail: Raw = field(default_factory=dict)
    raw: Raw = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceStep:
    """What became of one step of reading a source: passed, failed or skipped."""

    step: str
    outcome: str
    detail: str
    code: str | None = None
    hint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """The least that a key must be allowed, as the store wants to be told."""

    title: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceCheck:
    """Whether a source can be read, and what was found on the way."""

    passed: bool
    steps: tuple[SourceStep, ...] = ()
    format: str | None = None
    columns: tuple[ColumnType, ...] = ()
    row_count: int | None = None
    warnings: tuple[Warned, ...] = ()
    grant: Grant | None = None
    raw: Raw = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewedRows:
    """The first rows of a file, as docs/previews.md has their values; `rows` is None where they are
    shown no more, and `error` what is wrong with the row behind the last one. Where
    `has_deleted_rows`, some of them may be deleted from the table."""

    file: str
    columns: tuple[ColumnType, ...]
    rows: tuple[tuple[Any, ...], ...] | None = None
    row_count: int = 0
    omitted_columns: int = 0
    more: bool = False
    has_deleted_rows: bool = False
    error: JobError | None = None
    raw: Raw = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaVersion:
    """A numbered snapshot of a table's columns."""

    number: int
    change: str
    column_count: int
    created_at: datetime
    source_version: int | str | None = None
    job_id: str | None = None
    raw: Raw = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionColumn:
    """A column of a schema version."""

    name: str
    type: str
    clickhouse: str
    nullable: bool
    override: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FullSchemaVersion(SchemaVersion):
    """A schema version with its columns, and its diff from the one before."""

    columns: tuple[VersionColumn, ...] = ()
    diff: Diff = field(default_factory=Diff)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSchema(FullSchemaVersion):
    """The schema version that was live from `created_at` until then; None for the present one."""

    live_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionDiff:
    """What changed from one schema version to another; `from_version` is None before the first."""

    from_version: int | None
    to_version: int
    change: str
    diff: Diff


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchError:
    """Why one table of a batch was not refreshed."""

    job_id: str
    code: str
    detail: str
    table_id: str | None = None
    table_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Something that is done to many tables; `counts` are the jobs of a refresh by state, `errors`
    the first that failed."""

    id: str
    state: str
    done: bool
    total: int
    counts: Mapping[str, int]
    finished_share: float
    created_at: datetime
    action: str = "refresh"
    arguments: Mapping[str, Any] = field(default_factory=dict)
    selector: Mapping[str, Any] = field(default_factory=dict)
    schedule_id: str | None = None
    deduplicated: int = 0
    errors: tuple[BatchError, ...] = ()
    expanded_at: datetime | None = None
    cancelled_at: datetime | None = None
    raw: Raw = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedBatch:
    """A batch in a list, without its counters; `tables` are those that were taken so far."""

    id: str
    action: str
    state: str
    tables: int
    created_at: datetime
    selector: Mapping[str, Any] = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)
    dry_run: bool = False
    schedule_id: str | None = None
    expanded_at: datetime | None = None
    cancelled_at: datetime | None = None
    raw: Raw = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableChange:
    """A table that changed, in the words of the stream."""

    id: str
    name: str
    deleted: bool = False
    schema_version: int = 0
    latest_job_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchChange:
    """A batch of which something changed."""

    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingChange:
    """A change of a schema that waits under a policy, or did."""

    id: str
    table_id: str
    state: str
    change: str
    undecided: int
    decided: int
    replaced_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What changed since the ones before; `more` has the topics of which not all is named, so that
    their lists are to be asked for again. `id` is where to go on."""

    id: str
    tables: tuple[TableChange, ...] = ()
    jobs: tuple[Job, ...] = ()
    batches: tuple[BatchChange, ...] = ()
    changes: tuple[WaitingChange, ...] = ()
    more: tuple[str, ...] = ()
    raw: Raw = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A cron rule that starts bulk refreshes."""

    id: str
    name: str
    cron: str
    timezone: str
    jitter_seconds: float
    selector: Mapping[str, Any]
    paused: bool
    created_at: datetime
    next_fire_at: datetime | None = None
    last_fire_at: datetime | None = None
    raw: Raw = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upcoming:
    """When a schedule fires next, without its jitter, and how many tables it means now."""

    fires: tuple[datetime, ...]
    tables: int
    raw: Raw = field(default_factory=dict, repr=False, compare=False)
