"""Schema versions: a table's columns as they were, and what changed from one to another."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from api.schemas.base import DescribedAs, Wire
from api.schemas.jobs import DiffBody
from api.schemas.tables import ColumnType
from stocktake.db.models import SchemaVersion
from stocktake.schema.diff import ChangeClass, completed
from stocktake.schema.wire_names import wire_type
from stocktake.services.live_schemas import LiveSchema

Change = Annotated[str, DescribedAs(ChangeClass)]


class VersionBody(Wire):
    """One schema version, without its columns."""

    number: int
    change: Change
    column_count: int
    source_version: int | str | None
    job_id: UUID | None
    created_at: datetime


class VersionColumnBody(Wire):
    """A column of a schema version."""

    name: str
    type: Annotated[str, DescribedAs(ColumnType)]
    clickhouse: str
    nullable: bool
    override: bool


class FullVersionBody(VersionBody):
    """One schema version."""

    columns: list[VersionColumnBody]
    diff: Annotated[dict[str, Any], DescribedAs(DiffBody)]


class LiveSchemaBody(FullVersionBody):
    """The schema version that was live, from `created_at` until `live_until`; null for the present
    one."""

    live_until: datetime | None


class VersionDiffBody(Wire):
    """From one schema version to another; `from_version` is null where there is none before."""

    from_version: int | None
    to_version: int
    change: Change
    diff: Annotated[dict[str, Any], DescribedAs(DiffBody)]


def version_view(version: SchemaVersion, column_count: int) -> VersionBody:
    """Return a schema version in a list."""
    return VersionBody(
        number=version.number,
        change=version.change,
        column_count=column_count,
        source_version=version.source_version,
        job_id=version.job_id,
        created_at=version.created_at,
    )


def full_version_view(version: SchemaVersion) -> FullVersionBody:
    """Return a schema version with its columns and its diff from the one before."""
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
    short = version_view(version, len(columns)).model_dump()
    return FullVersionBody(**short, columns=columns, diff=completed(version.diff))


def live_schema_view(found: LiveSchema) -> LiveSchemaBody:
    """Return a schema version that was live, and until when."""
    full = full_version_view(found.version)
    return LiveSchemaBody(**dict(full), live_until=found.live_until)
