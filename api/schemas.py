"""Wire models, and how domain objects become them. Nothing here decides anything."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from stocktake.db.models import ApiKey, Job, Project, SchemaVersion, User
from stocktake.schema.types import wire_type
from stocktake.services.batches import BatchState
from stocktake.services.table_views import TableView
from stocktake.states import JobState, TableFormat

T = TypeVar("T")


class Wire(BaseModel):
    """Base of what goes out: built from attributes, complete, no extra fields."""

    model_config = ConfigDict(from_attributes=True)


class ErrorBody(Wire):
    """Every refusal; `message` repeats `detail` where PostHog's clients read it."""

    type: str
    code: str
    detail: str
    attr: str | None = None
    message: str | None = None


class PageBody(Wire, Generic[T]):
    """One page of a list; `next` and `previous` are full URLs."""

    count: int
    next: str | None
    previous: str | None
    results: list[T]


# --- jobs ---------------------------------------------------------------------------------


class JobErrorBody(Wire):
    """Why the latest attempt at a job ended, in words for the table's owner."""

    code: str
    retryable: bool
    detail: str
    hint: str | None = None
    file: str | None = None


class JobBody(Wire):
    """A job. `deduplicated` says that it was waiting already when it was asked for."""

    id: UUID
    kind: str
    table_id: UUID | None
    batch_id: UUID | None
    state: JobState
    done: bool
    attempt: int
    max_attempts: int
    next_run_at: datetime
    deduplicated: bool
    progress: dict[str, Any] | None
    result: dict[str, Any] | None
    error: JobErrorBody | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


def job_view(job: Job, deduplicated: bool = False) -> JobBody:
    """A job on the wire."""
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
        result=job.result,
        error=None if job.error is None else JobErrorBody.model_validate(job.error),
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
    )


# --- identity -----------------------------------------------------------------------------

#: There is one organization: this installation.
ORGANIZATION_ID = UUID("00000000-0000-0000-0000-000000000001")


class ProjectBody(Wire):
    """A project, as far as PostHog's tools look at one."""

    id: int
    uuid: UUID
    organization: UUID
    name: str
    created_at: datetime
    timezone: str = "UTC"


class OrganizationBody(Wire):
    """The installation, where PostHog has an organization."""

    id: UUID = ORGANIZATION_ID
    name: str = "Stocktake"
    slug: str = "stocktake"
    membership_level: int | None = None
    projects: list[ProjectBody] = []
    teams: list[ProjectBody] = []


class UserBody(Wire):
    """Whom a key belongs to."""

    id: int
    uuid: UUID
    distinct_id: str
    first_name: str
    last_name: str
    email: str
    is_email_verified: bool = True
    is_staff: bool = False
    team: ProjectBody | None
    organization: OrganizationBody
    organizations: list[OrganizationBody]


class KeyBody(Wire):
    """A key without its value."""

    id: UUID
    label: str
    value: None = None
    mask_value: str
    created_at: datetime
    last_used_at: datetime | None
    last_rolled_at: datetime | None = None
    user_id: int
    scopes: list[str]
    scoped_teams: list[int]
    scoped_organizations: list[str]


def project_view(project: Project) -> ProjectBody:
    """A project on the wire."""
    return ProjectBody(
        id=project.id,
        uuid=project.uuid,
        organization=ORGANIZATION_ID,
        name=project.name,
        created_at=project.created_at,
    )


def user_view(user: User, projects: Sequence[Project]) -> UserBody:
    """A user on the wire, in the first of the projects."""
    seen = [project_view(project) for project in projects]
    organization = OrganizationBody(projects=seen, teams=seen)
    return UserBody(
        id=user.id,
        uuid=user.uuid,
        distinct_id=str(user.uuid),
        first_name=user.first_name,
        last_name=user.last_name,
        email=user.email,
        team=seen[0] if seen else None,
        organization=organization,
        organizations=[organization],
    )


def key_view(key: ApiKey) -> KeyBody:
    """A key on the wire."""
    return KeyBody(
        id=key.id,
        label=key.label,
        mask_value=f"{key.prefix}...",
        created_at=key.created_at,
        last_used_at=key.last_used_at,
        user_id=key.user_id,
        scopes=key.scopes,
        scoped_teams=key.project_ids,
        scoped_organizations=[],
    )


# --- tables -------------------------------------------------------------------------------


_SECRET: Final[dict[str, Any]] = {"writeOnly": True, "maxLength": 500}


class CredentialIn(BaseModel):
    """Access to the source. What an answer shows of a credential may be sent back with it."""

    model_config = ConfigDict(extra="forbid")

    access_key: str | None = Field(None, json_schema_extra=_SECRET)
    access_secret: str | None = Field(None, json_schema_extra=_SECRET)
    id: Any = Field(None, json_schema_extra={"readOnly": True})
    created_by: Any = Field(None, json_schema_extra={"readOnly": True})
    created_at: Any = Field(None, json_schema_extra={"readOnly": True})


class TableChange(BaseModel):
    """Any of a table's fields. What else an answer holds may be sent back and is ignored."""

    name: str | None = Field(None, description="Up to 128 characters, unique in the project.")
    format: str | None = Field(None, json_schema_extra={"enum": list(TableFormat)})
    url_pattern: str | None = Field(
        None, description="The files of the table, or the root of a Delta table."
    )
    credential: CredentialIn | None = None
    options: Any = Field(
        None, json_schema_extra={"type": "object"}, description="How to read the files."
    )
    deleted: bool | None = None


class NewTable(TableChange):
    """A table to register. The credential may be left out of one with `options.public`."""

    # The services check what is required, in the order of PostHog's serializer.
    model_config = ConfigDict(
        json_schema_extra={"required": ["name", "format", "url_pattern"]},
    )


class SchemaUpdate(BaseModel):
    """Column types to set over the source's; null clears one again."""

    updates: Any = Field(
        None,
        json_schema_extra={
            "type": "object",
            "additionalProperties": {"type": ["string", "null"]},
        },
        examples=[{"id": "float"}],
    )


class UploadedTable(BaseModel):
    """A table to make of a file that was uploaded before."""

    upload_id: str
    filename: str
    file_format: str = Field(json_schema_extra={"enum": ["csv", "json", "parquet"]})
    table_name: str


class BasicUserBody(Wire):
    """Who made a thing."""

    id: int
    uuid: UUID
    distinct_id: str | None = None
    first_name: str
    last_name: str
    email: str
    is_email_verified: bool = True
    hedgehog_config: None = None
    role_at_organization: None = None


class CredentialBody(Wire):
    """That a credential is there. Its keys never come back."""

    id: UUID
    created_by: None = None
    created_at: datetime


class ColumnBody(Wire):
    """A column; `schema_valid` says whether a read of all the data agreed with its type."""

    key: str
    name: str
    type: str
    schema_valid: bool
    fields: None = None
    table: None = None
    chain: None = None


class ShortJobBody(Wire):
    """The latest job of a table."""

    id: UUID
    kind: str
    state: JobState
    done: bool
    error: JobErrorBody | None
    created_at: datetime
    finished_at: datetime | None


class TableBody(Wire):
    """A table with its columns as they were read last."""

    id: UUID
    deleted: bool
    name: str
    hogql_name: str
    format: str
    created_by: BasicUserBody | None
    created_at: datetime
    created_via: str
    url_pattern: str
    credential: CredentialBody | None
    columns: list[ColumnBody]
    external_data_source: dict[str, Any] | None
    external_schema: dict[str, Any] | None
    options: dict[str, Any]
    user_access_level: str
    row_count: int | None
    size_bytes: int | None
    source_version: int | str | None
    schema_version: int
    last_refreshed_at: datetime | None
    latest_job: ShortJobBody | None


class UploadBody(Wire):
    """A file that waits for its table."""

    upload_id: UUID
    filename: str
    file_format: str
    size_bytes: int


class VersionBody(Wire):
    """One schema version, without its columns."""

    number: int
    change: str
    column_count: int
    source_version: int | str | None
    job_id: UUID | None
    created_at: datetime


class VersionColumnBody(Wire):
    """A column of a schema version."""

    name: str
    type: str
    clickhouse: str
    nullable: bool
    override: bool


class FullVersionBody(VersionBody):
    """One schema version."""

    columns: list[VersionColumnBody]
    diff: dict[str, Any]


class VersionDiffBody(Wire):
    """From one schema version to another; `from_version` is null where there is none before."""

    from_version: int | None
    to_version: int
    change: str
    diff: dict[str, Any]


def table_view(view: TableView, *, columns: bool = True) -> TableBody:
    """A table on the wire."""
    table = view.table
    return TableBody(
        id=table.id,
        deleted=table.deleted,
        name=table.name,
        hogql_name=table.name,
        format=table.format,
        created_by=view.created_by and BasicUserBody.model_validate(view.created_by),
        created_at=table.created_at,
        created_via=table.created_via,
        url_pattern=table.url_pattern,
        credential=view.credential
        and CredentialBody(id=view.credential.id, created_at=view.credential.created_at),
        columns=[_column(stored) for stored in table.columns] if columns else [],
        external_data_source=table.external_data_source,
        external_schema=table.external_schema,
        options=table.options,
        user_access_level="editor",
        row_count=table.row_count,
        size_bytes=table.size_bytes,
        source_version=table.source_version,
        schema_version=table.schema_version,
        last_refreshed_at=table.last_refreshed_at,
        latest_job=view.latest_job and short_job(view.latest_job),
    )


def _column(stored: dict[str, Any]) -> ColumnBody:
    return ColumnBody(
        key=stored["name"],
        name=stored["name"],
        type=wire_type(stored["hogql"]),
        schema_valid=stored["valid"],
    )


def short_job(job: Job) -> ShortJobBody:
    """A job as its table shows it."""
    state = JobState(job.state)
    return ShortJobBody(
        id=job.id,
        kind=job.kind,
        state=state,
        done=state.done,
        error=None if job.error is None else JobErrorBody.model_validate(job.error),
        created_at=job.created_at,
        finished_at=job.finished_at,
    )


def version_view(version: SchemaVersion) -> VersionBody:
    """A schema version in a list."""
    return VersionBody(
        number=version.number,
        change=version.change,
        column_count=len(version.columns),
        source_version=version.source_version,
        job_id=version.job_id,
        created_at=version.created_at,
    )


def full_version_view(version: SchemaVersion) -> FullVersionBody:
    """A schema version with its columns and its diff from the one before."""
    columns = [
        VersionColumnBody(
            name=stored["name"],
            type=wire_type(stored["hogql"]),
            clickhouse=stored["clickhouse"],
            nullable=stored["nullable"],
            override=stored["override"],
        )
        for stored in version.columns
    ]
    short = version_view(version).model_dump()
    return FullVersionBody(**short, columns=columns, diff=version.diff)


# --- batches and schedules ----------------------------------------------------------------


class SelectorIn(BaseModel):
    """Which tables: `tables`, or `all`, or any of the other three together. One kind only."""

    # The service checks the values: a selector is kept as it was sent.
    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [{"all": True}, {"name_glob": "sales_*", "stale_for_seconds": 3600}]
        },
    )

    tables: Any = Field(
        None, json_schema_extra={"type": "array", "items": {"type": "string", "format": "uuid"}}
    )
    all: Any = Field(None, json_schema_extra={"type": "boolean"})
    name_glob: Any = Field(
        None, json_schema_extra={"type": "string"}, description="`*` and `?`; case is ignored."
    )
    format: Any = Field(None, json_schema_extra={"type": "string", "enum": list(TableFormat)})
    stale_for_seconds: Any = Field(
        None,
        json_schema_extra={"type": "number", "minimum": 0},
        description="Tables whose last good refresh is this old, or missing.",
    )

    def as_sent(self) -> dict[str, Any]:
        """What the client gave, and nothing else."""
        return self.model_dump(exclude_unset=True)


class BatchErrorBody(Wire):
    """Why one table was not refreshed; no table where the batch itself could not be expanded."""

    table_id: UUID | None
    table_name: str | None
    job_id: UUID
    code: str
    detail: str


class BatchBody(Wire):
    """A bulk refresh; `counts` are its jobs by state."""

    id: UUID
    state: BatchState
    done: bool
    selector: dict[str, Any]
    schedule_id: UUID | None
    expand_job_id: UUID
    total: int
    counts: dict[str, int]
    deduplicated: int
    finished_share: float
    errors: list[BatchErrorBody]
    created_at: datetime
    expanded_at: datetime | None
    cancelled_at: datetime | None


class ScheduleIn(BaseModel):
    """A cron rule that starts bulk refreshes."""

    name: str
    cron: str = Field(examples=["0 6 * * *"], description="Five fields.")
    timezone: str = Field("UTC", description="An IANA name, such as `Europe/Berlin`.")
    jitter_seconds: float = Field(
        0.0, description="Each fire starts up to this much later, always by the same amount."
    )
    selector: SelectorIn
    paused: bool = False

    def as_sent(self) -> dict[str, Any]:
        """What the client gave, and nothing else."""
        return self.model_dump(exclude_unset=True)


class ScheduleChange(BaseModel):
    """Any of a schedule's fields. What else an answer holds may be sent back and is ignored."""

    # Defaults that are never used: `as_sent` leaves out what was not given, null is refused.
    name: str = ""
    cron: str = ""
    timezone: str = ""
    jitter_seconds: float = 0.0
    selector: SelectorIn = Field(default_factory=SelectorIn)
    paused: bool = False

    def as_sent(self) -> dict[str, Any]:
        """What the client gave, and nothing else."""
        return self.model_dump(exclude_unset=True)


class ScheduleBody(Wire):
    """A schedule. `next_fire_at` is the rule's time, without its jitter; null while paused."""

    id: UUID
    name: str
    cron: str
    timezone: str
    jitter_seconds: float
    selector: dict[str, Any]
    paused: bool
    next_fire_at: datetime | None
    last_fire_at: datetime | None
    created_at: datetime
