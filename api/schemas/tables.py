"""Tables and uploads, in the fields of PostHog's ``warehouse_tables``."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator
from pydantic_core import PydanticCustomError

from api.schemas.base import DescribedAs, OwnBody, SharedBody, StaleAfter, Wire
from api.schemas.jobs import CampBody, JobErrorBody, PlaceBody, WarningBody
from api.schemas.options import TableOptions
from stocktake.db.models import JobRow
from stocktake.schema.decisions import Policy
from stocktake.schema.diff import ChangeClass
from stocktake.schema.formats import FILE_FORMATS, TableFormat
from stocktake.schema.stored_origins import StoredOrigins
from stocktake.schema.wire_names import wire_type
from stocktake.security.scopes import TABLE_WRITE, allows
from stocktake.services.context import Caller
from stocktake.services.table_views import TableView
from stocktake.states import JobKind, JobState, TableState
from stocktake.storage.stores.keys import LONG_SECRET_LENGTH

#: What `upload_file` takes, and `create_from_upload` again.
FileFormat: Any = Literal[*FILE_FORMATS]
ColumnType = Literal[
    "string",
    "integer",
    "float",
    "decimal",
    "boolean",
    "date",
    "datetime",
    "uuid",
    "array",
    "json",
    "unknown",
]
_SECRET: Final[dict[str, Any]] = {"writeOnly": True, "maxLength": 500}


class CredentialIn(BaseModel):
    """Access to the source. What an answer shows of a credential may be sent back with it."""

    model_config = ConfigDict(extra="forbid")

    access_key: str | None = Field(
        None,
        json_schema_extra=_SECRET,
        description="For Azure the storage account's name, or CLIENT_ID@TENANT of an Entra client.",
    )
    access_secret: str | None = Field(
        None,
        json_schema_extra=_SECRET | {"maxLength": LONG_SECRET_LENGTH},
        description="For Azure an account key, a SAS token, a connection string or the client's "
        "secret. Up to 500 characters; a SAS token or a connection string up to 2000.",
    )
    id: Any = Field(None, json_schema_extra={"readOnly": True})
    created_by: Any = Field(None, json_schema_extra={"readOnly": True})
    created_at: Any = Field(None, json_schema_extra={"readOnly": True})

    @model_validator(mode="before")
    @classmethod
    def _one_stranger(cls, sent: Any) -> Any:
        """Leave one of the unknown names: pydantic makes an error of each, of all 30,000."""
        names = sent if isinstance(sent, dict) else ()
        stranger = next((name for name in names if name not in cls.model_fields), None)
        return sent if stranger is None else {stranger: sent[stranger]}


class TableChange(SharedBody):
    """Any of a table's fields. What else an answer holds may be sent back and is ignored."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "orders_2026"}]})

    name: Annotated[str | None, DescribedAs(str)] = Field(
        None, description="Up to 128 characters, unique in the project."
    )
    format: Annotated[str | None, DescribedAs(TableFormat)] = None
    url_pattern: Annotated[str | None, DescribedAs(str)] = Field(
        None,
        description="The files of the table, or the root folder of a Delta or an Iceberg table.",
    )
    credential: CredentialIn | None = None
    options: Annotated[Any, DescribedAs(TableOptions)] = None
    deleted: bool | None = None
    change_policy: Annotated[str | None, DescribedAs(Policy | None)] = Field(
        None,
        description="What of a change at the source goes live by itself; null is as the project "
        "says. The rest waits: see `changes/`.",
    )
    stale_after_seconds: Annotated[Any, DescribedAs(StaleAfter | None)] = Field(
        None,
        description="How old the last good read may be until the table is stale; null is as the "
        "project says.",
    )


class NewTable(TableChange):
    """A table to register. The credential may be left out of one with `options.public`."""

    # The services check what is required, in the order of PostHog's serializer.
    model_config = ConfigDict(
        json_schema_extra={
            "required": ["name", "format", "url_pattern"],
            "examples": [
                {
                    "name": "orders",
                    "format": "Parquet",
                    "url_pattern": "https://bucket.s3.amazonaws.com/orders/*.parquet",
                    "credential": {"access_key": "AKIA…", "access_secret": "…"},
                }
            ],
        },
    )


class SourceToCheck(OwnBody):
    """A source as a table would have it, or the one that a table has.

    A format that is left out is found out.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "url_pattern": "https://bucket.s3.amazonaws.com/orders/*.parquet",
                    "credential": {"access_key": "AKIA…", "access_secret": "…"},
                },
                {"table": "01a224f5-5d89-737b-ac2f-3c31357dee7d"},
            ]
        }
    )

    url_pattern: Annotated[str | None, DescribedAs(str)] = Field(
        None, description="The files, or the root folder of a Delta or an Iceberg table."
    )
    format: Annotated[str | None, DescribedAs(TableFormat | None)] = None
    credential: CredentialIn | None = None
    options: Annotated[Any, DescribedAs(TableOptions)] = None
    table: UUID | None = Field(None, description="A table, in the place of all the others.")

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if self.table is not None and self.model_fields_set != {"table"}:
            raise PydanticCustomError("invalid_input", "Give a table or a source, and not both.")
        return self


class SchemaUpdate(SharedBody):
    """Column types to set over the source's; null clears one again."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"updates": {"id": "float"}}]})

    updates: Annotated[Any, DescribedAs(dict[str, str | None] | None)] = None


class TableRestore(OwnBody):
    """Where to go back to; without a version, to before the last load."""

    model_config = ConfigDict(json_schema_extra={"examples": [{}, {"version": 12}]})

    version: int | None = Field(
        None,
        ge=0,
        le=2**53,
        description="One of the table's, as `source_version` of a load's result tells it.",
    )


class FileToPreview(OwnBody):
    """Of which file the first rows are wanted; of the newest where none is named."""

    model_config = ConfigDict(json_schema_extra={"examples": [{}, {"file": "2026/11/27.parquet"}]})

    file: str | None = Field(
        None,
        description="Its name as `origin` tells it: below the folders that the URL pattern begins "
        "with; of a Delta or an Iceberg table, below the table's own, or as its log spells it.",
    )


class UploadedTable(SharedBody):
    """A table to make of a file that was uploaded before."""

    elsewhere = frozenset({"dry_run", "target", "mode", "key", "partition_by"})

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "upload_id": "01a224f5-5d89-737b-ac2f-3c31357dee7d",
                    "filename": "orders.csv",
                    "file_format": "csv",
                    "table_name": "orders",
                }
            ]
        }
    )

    upload_id: Annotated[str, DescribedAs(UUID)]
    filename: str
    file_format: Annotated[str, DescribedAs(FileFormat)]
    table_name: str
    columns: Annotated[Any, DescribedAs(dict[str, str] | None)] = Field(
        None,
        description="Types of columns, in the words of `update_schema`, such as "
        '`{"zip": "string"}`. The table keeps them.',
    )
    options: Annotated[Any, DescribedAs(TableOptions | None)] = Field(
        None, description="By which the file is read; the table's own from then on."
    )


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


class SideBody(Wire):
    """What some of the last reads found of a column; no type where they found no such column."""

    type: str | None
    reads: int
    newest: PlaceBody


class OriginBody(Wire):
    """Where a column comes from.

    It is in `files` of the `of_files` that were read, which are not all where they are `sampled`;
    both are null where the source tells of no files. `camps` are the files by the type that they
    have, where they differ; `type_since` tells since when it has its type, where a log tells that
    and it is not `first`. An `unstable` column goes there and back between its `swings`.
    """

    first: PlaceBody | None
    newest: PlaceBody | None
    files: int | None
    of_files: int | None
    sampled: bool
    type_since: PlaceBody | None
    camps: list[CampBody]
    unstable: bool
    swings: list[SideBody]


class ColumnBody(Wire):
    """A column; `schema_valid` says whether a read of all the data agreed with its type, `origin`
    where it comes from. In a list, and where nothing is known, that is null."""

    key: str
    name: str
    type: Annotated[str, DescribedAs(ColumnType)]
    schema_valid: bool
    fields: None = None
    table: None = None
    chain: None = None
    origin: Annotated[dict[str, Any] | None, DescribedAs(OriginBody | None)] = None


#: All of a table's at once: for a page of them, one by one takes a tenth of its time.
_COLUMNS: Final = TypeAdapter(list[ColumnBody])


class ShortChangeBody(Wire):
    """The change that waits for a table, with how many of its parts are to be decided."""

    id: UUID
    change: Annotated[str, DescribedAs(ChangeClass)]
    undecided: int
    decided: int
    created_at: datetime


class ShortJobBody(Wire):
    """The latest job of a table."""

    id: UUID
    kind: Annotated[str, DescribedAs(JobKind)]
    state: JobState
    done: bool
    error: JobErrorBody | None
    created_at: datetime
    finished_at: datetime | None


_PLACE: Final[dict[str, Any]] = {
    "file": None,
    "version": None,
    "snapshot": None,
    "at": None,
    "exact": True,
}
_EXAMPLE: Final[dict[str, Any]] = {
    "id": "01a224f5-5d89-737b-ac2f-3c31357dee7d",
    "deleted": False,
    "name": "orders",
    "hogql_name": "orders",
    "format": "Parquet",
    "created_by": None,
    "created_at": "2026-11-02T10:00:00Z",
    "created_via": "api",
    "url_pattern": "https://bucket.s3.amazonaws.com/orders/*.parquet",
    "credential": {
        "id": "01a224f5-5d8a-7d18-9e07-61d0b8b2f0c4",
        "created_by": None,
        "created_at": "2026-11-02T10:00:00Z",
    },
    "columns": [
        {
            "key": "id",
            "name": "id",
            "type": "integer",
            "schema_valid": True,
            "fields": None,
            "table": None,
            "chain": None,
            "origin": {
                "first": _PLACE | {"file": "2026-10.parquet", "at": "2026-10-31T23:00:00Z"},
                "newest": _PLACE | {"file": "2026-11.parquet", "at": "2026-11-02T09:00:00Z"},
                "files": 2,
                "of_files": 2,
                "sampled": False,
                "type_since": None,
                "camps": [],
                "unstable": False,
                "swings": [],
            },
        }
    ],
    "external_data_source": None,
    "external_schema": None,
    "options": {},
    "user_access_level": "editor",
    "row_count": 7,
    "size_bytes": 512,
    "file_count": 1,
    "stored_bytes": None,
    "source_version": "9f2c51ab",
    "schema_version": 1,
    "warnings": [],
    "last_refreshed_at": "2026-11-02T10:00:02Z",
    "latest_job": None,
    "change_policy": None,
    "pending_change": None,
    "state": "fresh",
    "error_code": None,
    "last_change": "none",
    "last_changed_at": None,
    "has_overrides": False,
    "stale_after_seconds": None,
    "former_source": None,
}


_INGESTED_EXAMPLE: Final[dict[str, Any]] = _EXAMPLE | {
    "format": "CSVWithNames",
    "url_pattern": "managed:///uploads/1/01a224f5-5d87-7b02-9c1e-8d6f2b7a9c10",
    "credential": None,
    "job_id": "01a224f5-5d8b-7c3e-a1b4-2f9e6d0c8a57",
    "latest_job": {
        "id": "01a224f5-5d8b-7c3e-a1b4-2f9e6d0c8a57",
        "kind": "ingest_file",
        "state": "succeeded",
        "done": True,
        "error": None,
        "created_at": "2026-11-02T10:00:00Z",
        "finished_at": "2026-11-02T10:00:02Z",
    },
}


class FormerSourceBody(Wire):
    """What a table read before an upload took the place of that. A PATCH of `url_pattern` with this
    one, and of `credential` where the source needs one, has the table read it again, with this
    format, these options and the columns of this version."""

    url_pattern: str
    format: Annotated[str, DescribedAs(TableFormat)]
    options: Annotated[dict[str, Any], DescribedAs(TableOptions)]
    schema_version: int
    replaced_at: datetime


class TableBody(Wire):
    """A table with its columns as they were read last."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: UUID
    deleted: bool
    name: str
    hogql_name: str
    format: Annotated[str, DescribedAs(TableFormat)]
    created_by: BasicUserBody | None
    created_at: datetime
    created_via: str
    url_pattern: str
    credential: CredentialBody | None
    columns: list[ColumnBody]
    external_data_source: dict[str, Any] | None
    external_schema: dict[str, Any] | None
    options: Annotated[dict[str, Any], DescribedAs(TableOptions)]
    user_access_level: Annotated[str, DescribedAs(Literal["viewer", "editor"])]
    row_count: int | None
    size_bytes: int | None
    file_count: int | None
    stored_bytes: int | None = Field(
        description="Of a managed Delta table: what all its files take, those of replaced rows too."
    )
    source_version: int | str | None
    schema_version: int
    warnings: Annotated[list[dict[str, Any]], DescribedAs(list[WarningBody])]
    last_refreshed_at: datetime | None
    latest_job: ShortJobBody | None
    change_policy: Annotated[str | None, DescribedAs(Policy | None)]
    pending_change: ShortChangeBody | None
    state: TableState = Field(
        description="The first that is true: its latest job runs (`reading`), the last read of its "
        "source failed, or all uploads to it (`failing`), a change waits for a decision "
        "(`waiting`), no read has succeeded yet (`never_read`), its last good read is older than "
        "it may be (`stale`), or `fresh`."
    )
    error_code: str | None = Field(
        description="Of the last read of its source that ended, where it failed; of the last "
        "upload while none has succeeded."
    )
    last_change: Annotated[str, DescribedAs(ChangeClass)] = Field(
        description="Class of the newest schema version after the first; `none` without one."
    )
    last_changed_at: datetime | None
    has_overrides: bool = Field(description="Whether a user has set the type of a column.")
    stale_after_seconds: int | None = Field(
        description="After which it is stale; null is as the project says."
    )
    former_source: FormerSourceBody | None


class IngestedTableBody(TableBody):
    """A table that a file was sent to, and the job that reads this file.

    Other files may have been sent to the table meanwhile: `job_id`, `latest_job` and `Location` are
    this one's.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_INGESTED_EXAMPLE]})

    job_id: UUID


class UploadBody(Wire):
    """A file that waits for its table."""

    upload_id: UUID
    filename: str
    file_format: Annotated[str, DescribedAs(FileFormat)]
    size_bytes: int


class FailingBody(Wire):
    """Tables whose last read failed in one way, and what is to be done about it."""

    error_code: str
    hint: str
    tables: int


class TableCountsBody(Wire):
    """A project's tables in numbers. `waiting` are those of which a change waits for a decision,
    whatever their state; `last_refreshed_at` is the newest good read."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "total": 12,
                    "waiting": 1,
                    "by_state": {
                        "reading": 1,
                        "failing": 2,
                        "waiting": 1,
                        "never_read": 0,
                        "stale": 3,
                        "fresh": 5,
                    },
                    "by_format": {"Delta": 4, "Parquet": 8},
                    "failing": [
                        {
                            "error_code": "access_denied",
                            "hint": "Give the credential permission to list and read this path, "
                            "then refresh again.",
                            "tables": 2,
                        }
                    ],
                    "last_refreshed_at": "2026-11-02T10:00:02Z",
                }
            ]
        }
    )

    total: int
    waiting: int
    by_state: dict[TableState, int]
    by_format: dict[str, int]
    failing: list[FailingBody]
    last_refreshed_at: datetime | None


def table_view(view: TableView, caller: Caller, *, columns: bool = True) -> TableBody:
    """Return a table on the wire, as this caller sees it."""
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
        columns=_columns(view) if columns else [],
        external_data_source=table.external_data_source,
        external_schema=table.external_schema,
        options=table.options,
        user_access_level="editor" if allows(caller.scopes, TABLE_WRITE) else "viewer",
        row_count=table.row_count,
        size_bytes=table.size_bytes,
        file_count=table.file_count,
        stored_bytes=table.stored_bytes if table.managed else None,
        source_version=table.source_version,
        schema_version=table.schema_version,
        warnings=table.warnings,
        last_refreshed_at=table.last_refreshed_at,
        latest_job=view.latest_job and short_job(view.latest_job),
        change_policy=table.change_policy,
        pending_change=view.pending and ShortChangeBody.model_validate(view.pending),
        state=view.state,
        error_code=table.error_code,
        last_change=table.last_change,
        last_changed_at=table.last_changed_at,
        has_overrides=table.has_overrides,
        stale_after_seconds=table.stale_after_seconds,
        former_source=table.former_source and FormerSourceBody.model_validate(table.former_source),
    )


def ingested_view(view: TableView, caller: Caller, job: JobRow) -> IngestedTableBody:
    """Return a table on the wire to the caller who sent it the file that this job reads."""
    body = table_view(replace(view, latest_job=job), caller)
    return IngestedTableBody(job_id=job.id, **dict(body))


def _columns(view: TableView) -> list[ColumnBody]:
    if not view.has_origins:
        return _COLUMNS.validate_python([_column(each, None) for each in view.table.columns])
    origins = StoredOrigins(view.table.origins)
    return _COLUMNS.validate_python(
        [
            _column(each, origins.shown(each["name"], override=each["override"]))
            for each in view.table.columns
        ]
    )


def _column(stored: dict[str, Any], origin: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "key": stored["name"],
        "name": stored["name"],
        "type": wire_type(stored["hogql"]),
        "schema_valid": stored["valid"],
        "origin": origin,
    }


def short_job(job: JobRow) -> ShortJobBody:
    """Return a job as its table shows it."""
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
