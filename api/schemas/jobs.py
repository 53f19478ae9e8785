"""A job on the wire."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, TypeAlias
from uuid import UUID

from pydantic import ConfigDict, Field

from api.schemas.base import DescribedAs, Wire
from stocktake.db.models import JobAttempt, JobRow
from stocktake.schema.decisions import Policy
from stocktake.schema.diff import ChangeClass, completed
from stocktake.schema.formats import TableFormat
from stocktake.schema.warnings import WarningCode
from stocktake.states import BatchAction, JobKind, JobState, SourceStep, StepOutcome


class JobErrorBody(Wire):
    """Why the latest attempt at a job ended, in words for the table's owner."""

    code: str
    retryable: bool
    detail: str
    hint: str | None = None
    file: str | None = None


class PlaceBody(Wire):
    """A file, a Delta version or an Iceberg snapshot, and when it was written. It is not `exact`
    where the log tells no more than "then, or before"."""

    file: str | None
    version: int | None
    snapshot: str | None
    at: datetime | None
    exact: bool


class CampBody(Wire):
    """The files that have one type for a column."""

    type: str
    files: int
    first: PlaceBody
    newest: PlaceBody


class BroughtBody(Wire):
    """What brought a column, or its type: it is in `files` of the `of_files` that were read, which
    are not all where they are `sampled`; null where the source tells of no files. `camps` are the
    files by the type that they have, where they differ."""

    brought_by: PlaceBody
    files: int | None
    of_files: int | None
    sampled: bool
    camps: list[CampBody]


class ColumnTypeBody(Wire):
    """A column and its ClickHouse type; of one that a diff adds also its origin, where that is
    known."""

    name: str
    type: str
    origin: BroughtBody | None = None


class PresenceBody(Wire):
    """In how many of the files read a column is."""

    name: str
    files: int
    of_files: int


class TypeChangeBody(Wire):
    """A column whose ClickHouse type is another than before; with `only_fields` in nothing but the
    fields of its structs, which `fields` lists."""

    name: str
    from_: str = Field(alias="from")
    to: str
    only_fields: bool
    origin: BroughtBody | None = None


class RenameBody(Wire):
    """A column that kept its field id and changed its name."""

    from_: str = Field(alias="from")
    to: str


class FieldTypeBody(Wire):
    """A field inside of a column and its ClickHouse type. The path goes from the column's name down
    to the field's, through arrays and the values of maps without a step."""

    path: list[str]
    type: str


class FieldChangeBody(Wire):
    """A field inside of a column whose ClickHouse type is another than before."""

    path: list[str]
    from_: str = Field(alias="from")
    to: str


class FieldsBody(Wire):
    """What differs inside of the `changed` columns; `omitted` counts the fields that are too many
    to be shown."""

    added: list[FieldTypeBody]
    removed: list[FieldTypeBody]
    changed: list[FieldChangeBody]
    omitted: int


class DiffBody(Wire):
    """From one list of columns to another; `reordered` are those, or their fields, that both
    have."""

    added: list[ColumnTypeBody]
    removed: list[ColumnTypeBody]
    changed: list[TypeChangeBody]
    renamed: list[RenameBody]
    fields: FieldsBody
    reordered: bool


class CoverageBody(Wire):
    """What a read has seen of its source, so that nobody takes a sample for the whole.

    `truncated` says that a budget ended it, `unchanged` that the source was the one of the last
    read and nothing was opened.
    """

    files_matched: int
    files_read: int
    bytes_read: int
    truncated: bool
    unchanged: bool
    columns_in_all: int | None = Field(
        None, description="Columns that each of the files read has; where the source has files."
    )
    columns_in_some: list[PresenceBody] | None = Field(
        None, description="The first twenty of the others."
    )


class WarningBody(Wire):
    """What a read that succeeded still has to say of its source, and where it was seen."""

    code: Annotated[str, DescribedAs(WarningCode)]
    sentence: str
    file: str | None
    line: int | None


class PendingBody(Wire):
    """The change that waits for a table, and its class."""

    id: UUID
    change: ChangeClass


class RefreshResult(Wire):
    """What `refresh_schema` and `ingest_file` found; numbers that no read told are null.

    `change` and `diff` are of the columns that went live; what the table's policy holds back waits
    as its `pending_change`, which is told where the source was read.
    """

    columns: int
    schema_version: int
    change: ChangeClass
    diff: DiffBody
    source_version: int | str | None
    row_count: int | None
    size_bytes: int | None
    file_count: int | None
    coverage: CoverageBody
    warnings: list[WarningBody]
    pending_change: PendingBody | None


class PlanResult(Wire):
    """What `plan_refresh` says a refresh would change.

    `change` and `diff` are from the columns that readers see now to the source's, but for what
    somebody has rejected. `waits` is the class of what the table's `policy` would hold back.
    """

    columns: int
    schema_version: int
    change: ChangeClass
    diff: DiffBody
    policy: Policy
    waits: ChangeClass
    source_version: int | str | None
    coverage: CoverageBody
    warnings: list[WarningBody]


class RestoreResult(RefreshResult):
    """What `restore_table` found behind it; `restored_version` is the one that it went back to."""

    restored_version: int | None


class InvalidColumnBody(Wire):
    """A column whose type does not hold for all the data, and where that was seen first."""

    name: str
    file: str | None
    line: int | None
    found: str | None


class ValidationResult(Wire):
    """What `validate_columns` found; `invalid` shows the first of `invalid_count` columns."""

    columns: int
    row_count: int | None
    size_bytes: int | None
    invalid_count: int
    invalid: list[InvalidColumnBody]


class ExpansionResult(Wire):
    """What `expand_batch` made; a table that had a waiting job already got no other one."""

    tables: int
    jobs: int
    deduplicated: int


class TableChangesResult(Wire):
    """To how many tables `change_tables` did what its batch says."""

    action: BatchAction
    tables: int


class MaintenanceResult(Wire):
    """What `maintain_table` left, and what its last attempt did: small files that it put together,
    and files past their retention that it removed."""

    source_version: int | str | None
    row_count: int | None
    file_count: int | None
    size_bytes: int | None
    stored_bytes: int | None
    files_compacted: int
    files_removed: int


class CheckResult(Wire):
    """What `check_file` says of a file that was sent with `dry_run`: what it would do to a table.

    `exists` tells whether the table is there, `columns` what they would be. A file that would be
    refused has a `refusal`; its `diff` shows its own types, and `change` is `breaking`, or null
    where the file itself cannot be read. `row_count` is the file's.
    """

    table: str
    exists: bool
    change: ChangeClass | None
    diff: DiffBody
    columns: list[ColumnTypeBody]
    row_count: int | None
    rows_before: int | None
    refusal: JobErrorBody | None
    warnings: list[WarningBody]


class SourceStepBody(Wire):
    """What became of one step; `code` and `hint` are those of the error that it failed with."""

    step: SourceStep
    outcome: StepOutcome
    detail: str
    code: str | None
    hint: str | None


class GrantBody(Wire):
    """The least that a key must be allowed, as the store wants to be told."""

    title: str
    text: str


class SourceCheckResult(Wire):
    """What `check_source` found of a source that was tried: each step, what was read, and what its
    key must be allowed at the least (null for a folder, and for what is read unsigned)."""

    passed: bool
    url_pattern: str
    format: Annotated[str | None, DescribedAs(TableFormat | None)]
    steps: list[SourceStepBody]
    columns: list[ColumnTypeBody]
    row_count: int | None
    warnings: list[WarningBody]
    grant: GrantBody | None


class CutCellBody(Wire):
    """A text of which only the beginning is shown; `length` is in characters."""

    text: str
    length: int


class BinaryCellBody(Wire):
    """The beginning of a binary value; `length` is in bytes, all of them."""

    base64: str
    length: int


#: A value as a preview shows it; a nested one is JSON in a text.
CellBody: TypeAlias = bool | int | float | str | CutCellBody | BinaryCellBody | None


class PreviewResult(Wire):
    """What `preview_file` shows of a file: at most 50 rows, 500 columns and 1 MiB.

    `rows` are told for ten minutes, to keys of the scope `warehouse_table:read_rows`, where the job
    itself is asked for; elsewhere, otherwise and later they are null. `row_count` is how many they
    are, and `more` says that the file has others. Values of CSV are its texts, as they stand there;
    `error` is what is wrong with the row behind the last one. `has_deleted_rows` says that the
    table's deletion vectors or delete files may take away rows that are shown all the same.
    """

    table_id: UUID
    table: str
    file: str
    columns: list[ColumnTypeBody]
    omitted_columns: int
    row_count: int
    more: bool
    has_deleted_rows: bool = False
    error: JobErrorBody | None = None
    rows: list[list[CellBody]] | None


class ProgressBody(Wire):
    """How far the read has come; `files_total` is null until it is known."""

    phase: str
    files_done: int
    files_total: int | None


_EXAMPLE: dict[str, Any] = {
    "id": "01a2073f-4c89-7708-8323-b39d740573e3",
    "kind": "refresh_schema",
    "table_id": "01a224f5-5d89-737b-ac2f-3c31357dee7d",
    "batch_id": None,
    "state": "succeeded",
    "done": True,
    "attempt": 1,
    "max_attempts": 5,
    "next_run_at": "2026-11-02T10:00:00Z",
    "deduplicated": False,
    "progress": {"phase": "read", "files_done": 3, "files_total": 3},
    "result": {
        "columns": 4,
        "schema_version": 3,
        "change": "additive",
        "diff": {
            "added": [{"name": "price", "type": "Nullable(Float64)"}],
            "removed": [],
            "changed": [
                {
                    "name": "address",
                    "from": "Tuple(city Nullable(String))",
                    "to": "Tuple(city Nullable(String), zip Nullable(String))",
                    "only_fields": True,
                }
            ],
            "renamed": [],
            "fields": {
                "added": [{"path": ["address", "zip"], "type": "Nullable(String)"}],
                "removed": [],
                "changed": [],
                "omitted": 0,
            },
            "reordered": False,
        },
        "source_version": "9f2c51ab",
        "row_count": None,
        "size_bytes": 61,
        "file_count": 3,
        "coverage": {
            "files_matched": 3,
            "files_read": 3,
            "bytes_read": 61,
            "truncated": False,
            "unchanged": False,
        },
        "warnings": [],
        "pending_change": None,
    },
    "error": None,
    "created_at": "2026-11-02T10:00:00Z",
    "started_at": "2026-11-02T10:00:01Z",
    "finished_at": "2026-11-02T10:00:02Z",
}


class JobBody(Wire):
    """A job. `deduplicated` says that it was waiting already when it was asked for."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: UUID
    kind: Annotated[str, DescribedAs(JobKind)]
    table_id: UUID | None
    batch_id: UUID | None
    state: JobState
    done: bool
    attempt: int
    max_attempts: int
    next_run_at: datetime
    deduplicated: bool
    progress: Annotated[dict[str, Any] | None, DescribedAs(ProgressBody | None)]
    result: Annotated[
        dict[str, Any] | None,
        DescribedAs(
            RefreshResult
            | PlanResult
            | RestoreResult
            | ValidationResult
            | ExpansionResult
            | TableChangesResult
            | MaintenanceResult
            | CheckResult
            | SourceCheckResult
            | PreviewResult
            | None
        ),
    ]
    error: JobErrorBody | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class AttemptBody(Wire):
    """One try at a job: when, where, and how it ended.

    `worker` is node, start and process id: `worker@host/5c1f0a/1234`.
    """

    number: int
    worker: str
    started_at: datetime
    ended_at: datetime | None
    #: `succeeded`, `cancelled`, or the code of the error that ended it; null while it runs.
    outcome: str | None
    detail: str | None


class FullJobBody(JobBody):
    """A job with each try at it, the oldest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE | {"attempts": []}]})

    attempts: list[AttemptBody]


def full_job_view(
    job: JobRow, attempts: Sequence[JobAttempt], rows: list[list[Any]] | None = None
) -> FullJobBody:
    """Return a job with its attempts on the wire.

    Args:
        rows: as `job_view` takes them.
    """
    shown = [AttemptBody.model_validate(attempt, from_attributes=True) for attempt in attempts]
    return FullJobBody(**job_view(job, rows=rows).model_dump(), attempts=shown)


def job_view(
    job: JobRow, deduplicated: bool = False, *, rows: list[list[Any]] | None = None
) -> JobBody:
    """Return a job on the wire.

    Args:
        rows: of a preview, where they may be told.
    """
    state = JobState(job.state)
    return JobBody(
        id=job.id,
        kind=job.kind,
        table_id=job.table_id,
        batch_id=job.batch_id,
        state=state,
        done=state.done,
        attempt=job.attempt,
        max_attempts=job.max_attempts,
        next_run_at=job.next_run_at,
        deduplicated=deduplicated,
        progress=job.progress,
        result=_result(job, rows),
        error=None if job.error is None else JobErrorBody.model_validate(job.error),
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
    )


def _result(job: JobRow, rows: list[list[Any]] | None) -> dict[str, Any] | None:
    stored = job.result
    if stored is not None and job.kind == JobKind.PREVIEW_FILE:
        return stored | {"rows": rows}
    if stored is None or "diff" not in stored:
        return stored
    return stored | {"diff": completed(stored["diff"])}
