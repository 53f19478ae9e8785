"""Wire models, and how domain objects become them. Nothing here decides anything."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from stocktake.db.models import ApiKey, Job, Project, User
from stocktake.states import JobState

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
