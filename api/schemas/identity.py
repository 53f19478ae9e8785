"""Projects, users and keys, in the shapes that PostHog's tools ask for first."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import ConfigDict, Field, StrictBool

from api.schemas.base import DescribedAs, OwnBody, StaleAfter, Wire
from stocktake.db.models import ApiKey, Project, User
from stocktake.schema.decisions import Policy

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
    change_policy: Annotated[str, DescribedAs(Policy)]
    stale_after_seconds: int | None = Field(
        description="How old the last good read of a table may be until it is stale; null: any."
    )
    row_previews: bool


class ProjectChange(OwnBody):
    """What is set for all tables of a project. What else an answer holds may be sent back and is
    ignored."""

    answered = frozenset(ProjectBody.model_fields)
    model_config = ConfigDict(json_schema_extra={"examples": [{"change_policy": "additive_only"}]})

    change_policy: Policy | None = Field(
        None, description="What of a change at a source goes live by itself; the rest waits."
    )
    stale_after_seconds: Annotated[Any, DescribedAs(StaleAfter | None)] = Field(
        None, description="How old the last good read of a table may be; null: any age."
    )
    row_previews: StrictBool | None = Field(
        None,
        description="Whether rows of the tables may be looked at, by keys of the scope "
        "`warehouse_table:read_rows`.",
    )


class OrganizationBody(Wire):
    """The installation, where PostHog has an organization."""

    id: UUID = ORGANIZATION_ID
    name: str = "Stocktake"
    slug: str = "stocktake"
    membership_level: int | None = None
    projects: list[ProjectBody] = Field(default_factory=list)
    teams: list[ProjectBody] = Field(default_factory=list)


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


class ProjectKeyBody(Wire):
    """A key that was made for the project, without its value, and without its other projects."""

    id: UUID
    label: str
    mask_value: str
    scopes: list[str]
    user_id: int
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None = Field(description="When it ends by itself; null: never.")
    revoked_at: datetime | None


def project_view(project: Project) -> ProjectBody:
    """Return a project on the wire."""
    return ProjectBody(
        id=project.id,
        uuid=project.uuid,
        organization=ORGANIZATION_ID,
        name=project.name,
        created_at=project.created_at,
        change_policy=project.change_policy,
        stale_after_seconds=project.stale_after_seconds,
        row_previews=project.row_previews,
    )


def user_view(user: User, projects: Sequence[Project]) -> UserBody:
    """Return a user on the wire, in the first of the projects."""
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


def project_key_view(key: ApiKey) -> ProjectKeyBody:
    """Return one of a project's keys on the wire."""
    return ProjectKeyBody(
        id=key.id,
        label=key.label,
        mask_value=_masked(key),
        scopes=key.scopes,
        user_id=key.user_id,
        created_at=key.created_at,
        last_used_at=key.last_used_at,
        expires_at=key.expires_at,
        revoked_at=key.revoked_at,
    )


def _masked(key: ApiKey) -> str:
    return f"{key.prefix}..."


def key_view(key: ApiKey) -> KeyBody:
    """Return a key on the wire."""
    return KeyBody(
        id=key.id,
        label=key.label,
        mask_value=_masked(key),
        created_at=key.created_at,
        last_used_at=key.last_used_at,
        user_id=key.user_id,
        scopes=key.scopes,
        scoped_teams=key.project_ids,
        scoped_organizations=[],
    )
