"""The tables. Names of constraints follow one convention, so that Alembic can name them back."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final, TypeAlias
from uuid import UUID

import uuid_utils
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    ColumnElement,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Row,
    String,
    Text,
    UniqueConstraint,
    Uuid,
    event,
    func,
    literal,
    text,
    update,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, validates

from stocktake.db.change_numbers import next_change
from stocktake.db.clock import UtcDateTime, now
from stocktake.db.words import Word
from stocktake.schema.folding import fold

#: None is SQL's NULL, never JSON's.
Json = JSON(none_as_null=True)


def new_id() -> UUID:
    """Return a UUIDv7: ids sort by the time they were made."""
    return UUID(bytes=uuid_utils.uuid7().bytes)


class Base(DeclarativeBase):
    """Declarative base with the naming convention."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own idiom
        datetime: UtcDateTime,
        dict[str, Any]: Json,
        list[Any]: Json,
        UUID: Uuid,
    }


class Numbered:
    """A row whose every write gives it a newer number (`stocktake.db.change_numbers`)."""

    change_number: Mapped[int] = mapped_column(
        BigInteger,
        default=next_change(),
        onupdate=next_change(),
        server_default=text("0"),
        index=True,
    )


class Project(Base):
    """The tenant."""

    __tablename__ = "projects"

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[UUID] = mapped_column(default=new_id, unique=True)
    name: Mapped[str] = mapped_column(String(200))
    #: `Policy` of the tables that have none of their own.
    change_policy: Mapped[str] = mapped_column(Word(20), server_default=text("'auto'"))
    #: After which tables that say nothing of their own are stale; None: never.
    stale_after_seconds: Mapped[int | None]
    #: Whether rows of its tables may be looked at.
    row_previews: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    created_at: Mapped[datetime] = mapped_column(server_default=now())


class User(Base):
    """Who made a thing, in the shape that PostHog's clients expect."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[UUID] = mapped_column(default=new_id, unique=True)
    first_name: Mapped[str] = mapped_column(String(200), default="")
    last_name: Mapped[str] = mapped_column(String(200), default="")
    email: Mapped[str] = mapped_column(String(320), unique=True)
    created_at: Mapped[datetime] = mapped_column(server_default=now())


class ApiKey(Base):
    """A key, of which only the hash is kept. It is bound to projects."""

    __tablename__ = "api_keys"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    label: Mapped[str] = mapped_column(String(200), default="")
    prefix: Mapped[str] = mapped_column(String(20))
    sha256: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    scopes: Mapped[list[Any]]
    project_ids: Mapped[list[Any]]
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime] = mapped_column(server_default=now())
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


class StoredCredential(Base):
    """An access key and secret, encrypted together."""

    __tablename__ = "credentials"
    # Those of jobs are few: they go as their jobs begin.
    __table_args__ = (
        Index(
            "ix_credentials_job",
            "job_id",
            sqlite_where=text("job_id IS NOT NULL"),
            postgresql_where=text("job_id IS NOT NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"), index=True)
    key_id: Mapped[str] = mapped_column(String(64))
    ciphertext: Mapped[bytes] = mapped_column(LargeBinary)
    #: The job that it is for, which takes it as it begins; None for a table's.
    job_id: Mapped[UUID | None]
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime] = mapped_column(server_default=now())


def _folded_name(context: Any) -> str:
    return fold(context.get_current_parameters()["name"])


class Table(Numbered, Base):
    """A registered warehouse table with its cached columns.

    `generation` counts changes to what the table *is* (URL, format, options, credential,
    deleted): a result read under an older one is thrown away.
    """

    __tablename__ = "tables"
    __table_args__ = (
        Index(
            # Of live tables only: a deleted one's name is free.
            "uq_tables_live_name",
            "project_id",
            "name",
            unique=True,
            sqlite_where=text("deleted = 0"),
            postgresql_where=text("deleted = false"),
        ),
        Index("ix_tables_project_newest", "project_id", "created_at", "id"),
        # Their sums are asked for with each new version, and a row is long.
        Index("ix_tables_schema_bytes", "project_id", "schema_bytes"),
        Index(
            "ix_tables_stored",
            *("project_id", "managed", "format", "stored_bytes", "size_bytes"),
            sqlite_where=text("managed = 1"),
            postgresql_where=text("managed = true"),
        ),
        # For the clock, which looks each minute for those that are to be maintained.
        Index(
            "ix_tables_managed",
            "id",
            sqlite_where=text("managed = 1 AND deleted = 0"),
            postgresql_where=text("managed = true AND deleted = false"),
        ),
        # All by which tables are found, as a row is long. In the order of the groups of
        # `services.table_counts`, which then need no sorting.
        Index(
            "ix_tables_listed",
            *("project_id", "deleted", "error_code", "pending", "format"),
            *("last_refreshed_at", "stale_at", "last_change", "has_overrides"),
            *("last_changed_at", "size_bytes", "row_count", "created_at", "folded_name", "id"),
        ),
        # Half as long, for looking at all of them: by states, and by the last read.
        Index(
            "ix_tables_states",
            *("project_id", "deleted", "error_code", "pending", "format"),
            *("last_refreshed_at", "stale_at", "id"),
        ),
        # For counting all, searching, and sorting by name: half as long as a row of the other.
        Index("ix_tables_named", "project_id", "deleted", "folded_name", "id", "created_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str] = mapped_column(String(128))
    #: The name as searches compare it; written with it.
    folded_name: Mapped[str] = mapped_column(Text, default=_folded_name, server_default=text("''"))
    format: Mapped[str] = mapped_column(String(20))
    url_pattern: Mapped[str] = mapped_column(String(500))
    credential_id: Mapped[UUID | None] = mapped_column(ForeignKey("credentials.id"))
    options: Mapped[dict[str, Any]] = mapped_column(default=dict)
    #: `Column.as_dict` for each, in the source's order.
    columns: Mapped[list[Any]] = mapped_column(default=list)
    #: Where the columns come from, and what is remembered of those that swing: see
    #: `schema.stored_origins`. Loaded where it is asked for.
    origins: Mapped[dict[str, Any] | None] = mapped_column(Json, deferred=True)
    #: Whether the bytes are ours: an upload or a managed Delta table.
    managed: Mapped[bool] = mapped_column(Boolean, default=False)
    #: The live upload of a managed file table.
    upload_id: Mapped[UUID | None]
    #: What it read before an upload took the place of that, and may go back to
    #: (`catalog.sources`).
    former_source: Mapped[dict[str, Any] | None] = mapped_column(Json)
    #: The columns of it whose types a user had set, as `columns` has them; as large as those, so
    #: loaded where it is asked for.
    former_overrides: Mapped[list[Any] | None] = mapped_column(Json, deferred=True)
    external_data_source: Mapped[dict[str, Any] | None] = mapped_column(Json)
    external_schema: Mapped[dict[str, Any] | None] = mapped_column(Json)
    created_via: Mapped[str] = mapped_column(String(20), default="api")
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime] = mapped_column(server_default=now())
    deleted: Mapped[bool] = mapped_column(Boolean, default=False)
    deleted_at: Mapped[datetime | None]

    generation: Mapped[int] = mapped_column(Integer, default=1)
    #: The readers' own memory of the last good read (`Introspection.state`).
    source_state: Mapped[dict[str, Any] | None] = mapped_column(Json)
    #: The source state of the last whole-file validation.
    validated_state: Mapped[dict[str, Any] | None] = mapped_column(Json)
    #: A Delta version, or a fingerprint; JSON keeps an integer an integer.
    source_version: Mapped[Any | None] = mapped_column(Json)
    schema_version: Mapped[int] = mapped_column(Integer, default=0)
    row_count: Mapped[int | None] = mapped_column(BigInteger)
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    file_count: Mapped[int | None] = mapped_column(BigInteger)
    #: Of a managed Delta table: what its data files are on disk, those of replaced rows too, as of
    #: the Delta version beside it. None: not counted yet; upkeep counts.
    stored_bytes: Mapped[int | None] = mapped_column(BigInteger)
    stored_version: Mapped[int | None] = mapped_column(BigInteger)
    #: Of a managed Delta table: commits that upkeep has not seen.
    loads_since_upkeep: Mapped[int] = mapped_column(Integer, default=0, server_default=text("0"))
    maintained_at: Mapped[datetime | None]
    #: `ReadWarning.as_dict` for each of the last read.
    warnings: Mapped[list[Any]] = mapped_column(default=list, server_default=text("'[]'"))
    last_refreshed_at: Mapped[datetime | None]
    #: Of the last read of its source that ended, where it failed; of its last upload while none
    #: has succeeded (`catalog.listing` has who writes this, and what else only lists ask for).
    error_code: Mapped[str | None] = mapped_column(String(64))
    #: Whether a change waits for a decision.
    pending: Mapped[bool] = mapped_column(Boolean, default=False, server_default=text("false"))
    #: The class of the newest schema version after the first, and when it came.
    last_change: Mapped[str] = mapped_column(
        Word(20), default="none", server_default=text("'none'")
    )
    last_changed_at: Mapped[datetime | None]
    #: Whether a user has set the type of a column.
    has_overrides: Mapped[bool] = mapped_column(
        Boolean, default=False, server_default=text("false")
    )
    #: After which it is stale; None: as the project says.
    stale_after_seconds: Mapped[int | None]
    #: When it becomes so by its own number, without another read.
    stale_at: Mapped[datetime | None]
    latest_job_id: Mapped[UUID | None]
    #: What of a change goes live by itself (`Policy`); None: as the project says.
    change_policy: Mapped[str | None] = mapped_column(Word(20))
    #: `ColumnChange.refused` for each that somebody rejected, while the source says the same.
    rejected: Mapped[list[Any]] = mapped_column(default=list, server_default=text("'[]'"))
    #: Of all of its schema versions, as JSON: they count against the project's stored bytes.
    schema_bytes: Mapped[int] = mapped_column(BigInteger, default=0, server_default=text("0"))

    @validates("name")
    def _fold(self, _key: str, name: str) -> str:
        self.folded_name = fold(name)
        return name

    @validates("columns")
    def _note_overrides(self, _key: str, columns: list[Any]) -> list[Any]:
        self.has_overrides = any(column.get("override") for column in columns)
        return columns


# What stands for no value, the least of all. Statements have them written out: with a parameter
# an expression is another one than the index has, to SQLite.
NO_TIME: Final = literal(datetime(1, 1, 1, tzinfo=UTC), UtcDateTime(), literal_execute=True)
_NO_NUMBER: Final = literal(-1, BigInteger(), literal_execute=True)
#: Of what a table may have none, and is sorted by all the same: each has an index, of which a page
#: is the first rows.
INDEXED_ORDERS: Final[Mapping[str, ColumnElement[Any]]] = MappingProxyType(
    {
        "last_changed_at": func.coalesce(Table.last_changed_at, NO_TIME),
        "size_bytes": func.coalesce(Table.size_bytes, _NO_NUMBER),
        "row_count": func.coalesce(Table.row_count, _NO_NUMBER),
    }
)
for _name, _key in INDEXED_ORDERS.items():
    Index(f"ix_tables_by_{_name}", Table.project_id, Table.deleted, _key, Table.id)


class SchemaVersion(Base):
    """One numbered snapshot of a table's columns, with the diff from the one before."""

    __tablename__ = "schema_versions"
    __table_args__ = (UniqueConstraint("table_id", "number"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    table_id: Mapped[UUID] = mapped_column(ForeignKey("tables.id"))
    number: Mapped[int]
    columns: Mapped[list[Any]]
    diff: Mapped[dict[str, Any]]
    change: Mapped[str] = mapped_column(String(20))
    source_version: Mapped[Any | None] = mapped_column(Json)
    #: The job that found it; None where a user's override made it.
    job_id: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(server_default=now())


class SchemaChange(Numbered, Base):
    """What a policy did not let go live: it waits until somebody decides, column by column."""

    __tablename__ = "schema_changes"
    __table_args__ = (
        Index(
            # One at a time waits for a table.
            "uq_schema_changes_pending",
            "table_id",
            unique=True,
            sqlite_where=text("state = 'pending'"),
            postgresql_where=text("state = 'pending'"),
        ),
        Index("ix_schema_changes_table", "table_id", "id"),
        Index("ix_schema_changes_project_newest", "project_id", "id"),
        # Summed by it alone, as the schemas of tables are.
        Index("ix_schema_changes_size", "project_id", "size_bytes"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    table_id: Mapped[UUID] = mapped_column(ForeignKey("tables.id"))
    state: Mapped[str] = mapped_column(Word(20))
    #: The worst of its parts.
    change: Mapped[str] = mapped_column(String(20))
    #: `ColumnChange.as_dict` for each, with what was decided of it.
    parts: Mapped[list[Any]]
    #: How many of them are to be decided, and how many are.
    undecided: Mapped[int]
    decided: Mapped[int]
    #: All columns as the source has them; emptied when it can neither be decided nor undone.
    proposed: Mapped[list[Any]]
    source_version: Mapped[Any | None] = mapped_column(Json)
    job_id: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(server_default=now())
    #: When it stopped waiting, and why, where nobody had decided it.
    ended_at: Mapped[datetime | None]
    reason: Mapped[str | None] = mapped_column(String(200))
    #: The one that a newer read of the source put in its place.
    replaced_by: Mapped[UUID | None]
    #: Of the last decision: who, when, and the table's schema version with it.
    decided_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    decided_at: Mapped[datetime | None]
    applied_version: Mapped[int | None]
    #: What was before the last decision, while it can be undone.
    undo: Mapped[dict[str, Any] | None] = mapped_column(Json)
    #: Of `parts`, `proposed` and `undo` as JSON: they count against the project's stored bytes.
    size_bytes: Mapped[int] = mapped_column(BigInteger, default=0, server_default=text("0"))


@event.listens_for(SchemaChange, "before_insert")
@event.listens_for(SchemaChange, "before_update")
def _weigh(_mapper: Any, _connection: Connection, change: SchemaChange) -> None:
    large: tuple[Any, ...] = (change.parts, change.proposed, change.undo or [])
    change.size_bytes = sum(len(json.dumps(each)) for each in large)


@event.listens_for(SchemaChange, "after_insert")
@event.listens_for(SchemaChange, "after_update")
def _note_pending(_mapper: Any, connection: Connection, change: SchemaChange) -> None:
    """Note on a table whether a change waits for it: whoever writes one has locked the table, and
    what was replaced is written before what waits in its place."""
    waits = change.state == "pending"
    noted = TABLES.c.id == change.table_id, TABLES.c.pending.is_not(waits)
    connection.execute(update(TABLES).where(*noted).values(pending=waits))


class Upload(Base):
    """A file on its way into managed storage, or there. The row exists before the bytes."""

    __tablename__ = "uploads"
    __table_args__ = (
        # For the clock, which looks for what has been in a state for too long.
        Index("ix_uploads_state", "state", "changed_at"),
        # Their sum is asked for with each new schema version.
        Index("ix_uploads_stored", "project_id", "state", "size_bytes"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    #: The cleaned name, for people; the object's key is made from the id.
    filename: Mapped[str] = mapped_column(String(255))
    file_format: Mapped[str | None] = mapped_column(String(20))
    object_key: Mapped[str] = mapped_column(String(200))
    state: Mapped[str] = mapped_column(Word(20))
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime] = mapped_column(server_default=now())
    changed_at: Mapped[datetime] = mapped_column(server_default=now())


class Batch(Numbered, Base):
    """Something that is done to many tables. Of a refresh `expand_batch` makes the jobs in chunks,
    and counters are queries; `change_tables` does all else itself."""

    __tablename__ = "batches"
    __table_args__ = (
        Index("ix_batches_created_at", "created_at"),
        Index("ix_batches_project_newest", "project_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"), index=True)
    #: A `BatchAction`, and what it needs to know beside the tables.
    action: Mapped[str] = mapped_column(
        Word(20), default="refresh", server_default=text("'refresh'")
    )
    arguments: Mapped[dict[str, Any] | None] = mapped_column(Json)
    selector: Mapped[dict[str, Any]]
    #: Tables that were taken so far, and, where no jobs are made for them, how many there were.
    tables: Mapped[int] = mapped_column(Integer, default=0, server_default=text("0"))
    expected: Mapped[int | None]
    #: Whether its jobs say what a refresh would change, and store nothing.
    dry_run: Mapped[bool] = mapped_column(Boolean, default=False, server_default=text("false"))
    schedule_id: Mapped[UUID | None]
    #: The last table that was expanded: a second run goes on from here.
    expanded_to: Mapped[UUID | None]
    expanded_at: Mapped[datetime | None]
    cancelled_at: Mapped[datetime | None]
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime] = mapped_column(server_default=now())


class BatchItem(Base):
    """One table of a batch and the job that serves it, which may be one that was queued already."""

    __tablename__ = "batch_items"

    batch_id: Mapped[UUID] = mapped_column(ForeignKey("batches.id"), primary_key=True)
    table_id: Mapped[UUID] = mapped_column(ForeignKey("tables.id"), primary_key=True)
    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id"), index=True)


class Job(Numbered, Base):
    """One unit of queued work. The row is the truth; the Celery message only rings for it.

    Two partial unique indexes hold single flight in the database itself: at most one job of a
    table and kind runs, and at most one that was never attempted waits behind it. Uploads are
    data and never collapse, so `ingest_file` is left out of the second.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        Index(
            "uq_jobs_waiting",
            "table_id",
            "kind",
            unique=True,
            sqlite_where=text("state = 'queued' AND attempt = 0 AND kind <> 'ingest_file'"),
            postgresql_where=text("state = 'queued' AND attempt = 0 AND kind <> 'ingest_file'"),
        ),
        Index(
            "uq_jobs_running",
            "table_id",
            "kind",
            unique=True,
            sqlite_where=text("state = 'running'"),
            postgresql_where=text("state = 'running'"),
        ),
        Index("ix_jobs_due", "state", "next_run_at"),
        Index("ix_jobs_project_newest", "project_id", "id"),
        # For lists of what has ended, by any of these: a row is long. The clock's ticks would take
        # one of all jobs, too.
        Index(
            "ix_jobs_listed",
            "project_id",
            "state",
            "kind",
            "created_at",
            "id",
            sqlite_where=text("finished_at IS NOT NULL"),
            postgresql_where=text("finished_at IS NOT NULL"),
        ),
        Index("ix_jobs_table", "table_id", "id"),
        # What a table waits for, beside a history of thousands.
        Index("ix_jobs_table_state", "table_id", "state", "next_run_at"),
        Index("ix_jobs_batch", "batch_id", "state"),
        # For retention. Most jobs have no upload; a row that is deleted looks for its children.
        Index(
            "ix_jobs_upload",
            "upload_id",
            sqlite_where=text("upload_id IS NOT NULL"),
            postgresql_where=text("upload_id IS NOT NULL"),
        ),
        # Jobs that wait for a place, in the order in which a project's are rung for.
        Index(
            "ix_jobs_unrung",
            "project_id",
            "queue",
            "next_run_at",
            "id",
            sqlite_where=text("state = 'queued' AND rung_at IS NULL"),
            postgresql_where=text("state = 'queued' AND rung_at IS NULL"),
        ),
        # What a project has under way, beside a history of thousands, and what the clock rings for
        # again: whoever was rung for longest ago first.
        Index(
            "ix_jobs_rung",
            "project_id",
            "queue",
            "rung_at",
            sqlite_where=text("state = 'queued' AND rung_at IS NOT NULL"),
            postgresql_where=text("state = 'queued' AND rung_at IS NOT NULL"),
        ),
        Index(
            "ix_jobs_running",
            "project_id",
            sqlite_where=text("state = 'running'"),
            postgresql_where=text("state = 'running'"),
        ),
        # Whose project has had its turn in the reserve.
        Index(
            "ix_jobs_yielded",
            "project_id",
            sqlite_where=text("yielded_at IS NOT NULL"),
            postgresql_where=text("yielded_at IS NOT NULL"),
        ),
        Index(
            # For retention, which looks for the oldest.
            "ix_jobs_finished",
            "finished_at",
            sqlite_where=text("finished_at IS NOT NULL"),
            postgresql_where=text("finished_at IS NOT NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    kind: Mapped[str] = mapped_column(Word(20))
    queue: Mapped[str] = mapped_column(Word(20))
    table_id: Mapped[UUID | None] = mapped_column(ForeignKey("tables.id"))
    batch_id: Mapped[UUID | None] = mapped_column(ForeignKey("batches.id"))
    upload_id: Mapped[UUID | None] = mapped_column(ForeignKey("uploads.id"))
    retry_of: Mapped[UUID | None]
    #: What the kind needs beside the ids (`jobs.arguments`).
    arguments: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))

    state: Mapped[str] = mapped_column(Word(20))
    #: The fence: counts claims, and every write by an attempt must carry it.
    attempt: Mapped[int] = mapped_column(Integer, default=0)
    max_attempts: Mapped[int]
    #: The table's generation when the running attempt claimed.
    generation: Mapped[int | None]
    next_run_at: Mapped[datetime] = mapped_column(server_default=now())
    #: None: nobody rang for it, or the ring found no place for it.
    rung_at: Mapped[datetime | None]
    rings: Mapped[int] = mapped_column(Integer, default=0)
    #: Whether a sweep may take it with others of its batch: what it reads was known when it was
    #: made. None of those that no batch made, and of an older release's.
    sweepable: Mapped[bool | None]
    #: When it gave up a child of the reserve, if it waits for one of the others since.
    yielded_at: Mapped[datetime | None]
    lease_expires_at: Mapped[datetime | None]
    #: ``node/start/pid`` of the child that holds the lease.
    worker: Mapped[str | None] = mapped_column(String(200))
    cancel_requested_at: Mapped[datetime | None]
    #: The `X-Request-ID` of the request that led to it, for logs.
    request_id: Mapped[str | None] = mapped_column(String(64))

    progress: Mapped[dict[str, Any] | None] = mapped_column(Json)
    result: Mapped[dict[str, Any] | None] = mapped_column(Json)
    error: Mapped[dict[str, Any] | None] = mapped_column(Json)
    #: Raised by every write, so that a watcher or an ETag sees each change.
    revision: Mapped[int] = mapped_column(Integer, default=0)
    created_at: Mapped[datetime] = mapped_column(server_default=now())
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class Preview(Base):
    """Rows that a job has read for somebody to look at: sealed, and gone minutes later."""

    __tablename__ = "previews"

    job_id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"), index=True)
    key_id: Mapped[str] = mapped_column(String(64))
    ciphertext: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(server_default=now(), index=True)


class JobAttempt(Base):
    """One try at a job by one worker: when, where, and why it ended."""

    __tablename__ = "job_attempts"
    # For `counters.tally_attempts`, and for whether any worker did something lately.
    __table_args__ = (Index("ix_job_attempts_ended_at", "ended_at"),)

    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    worker: Mapped[str] = mapped_column(String(200))
    started_at: Mapped[datetime] = mapped_column(server_default=now())
    ended_at: Mapped[datetime | None]
    #: ``succeeded``, ``cancelled``, or the error's code.
    outcome: Mapped[str | None] = mapped_column(String(64))
    detail: Mapped[str | None] = mapped_column(Text)


class Schedule(Base):
    """A cron rule that starts batches."""

    __tablename__ = "schedules"
    __table_args__ = (Index("ix_schedules_due", "paused", "next_fire_at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"), index=True)
    name: Mapped[str] = mapped_column(String(128))
    cron: Mapped[str] = mapped_column(String(100))
    timezone: Mapped[str] = mapped_column(String(64), default="UTC")
    jitter_seconds: Mapped[float] = mapped_column(Float, default=0.0)
    selector: Mapped[dict[str, Any]]
    paused: Mapped[bool] = mapped_column(Boolean, default=False)
    #: The next minute the rule names, without its jitter.
    next_fire_at: Mapped[datetime | None]
    last_fire_at: Mapped[datetime | None]
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime] = mapped_column(server_default=now())


class ScheduleFire(Base):
    """That a schedule fired for one moment. Its unique key makes two clocks safe."""

    __tablename__ = "schedule_fires"

    schedule_id: Mapped[UUID] = mapped_column(
        ForeignKey("schedules.id", ondelete="CASCADE"), primary_key=True
    )
    fire_at: Mapped[datetime] = mapped_column(primary_key=True)
    batch_id: Mapped[UUID] = mapped_column(ForeignKey("batches.id"), index=True)
    fired_at: Mapped[datetime] = mapped_column(server_default=now())


class IdempotencyKey(Base):
    """The first answer to a POST, kept for 24 hours. Written in the job's transaction."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (
        Index("ix_idempotency_keys_created_at", "created_at"),
        # Summed by it alone: the answers are large.
        Index("ix_idempotency_keys_size", "project_id", "size_bytes"),
    )

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    #: SHA-256 over method, path and body.
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary(32))
    #: None while the first request is still running.
    status: Mapped[int | None]
    headers: Mapped[dict[str, Any] | None] = mapped_column(Json)
    body: Mapped[Any | None] = mapped_column(Json)
    created_at: Mapped[datetime] = mapped_column(server_default=now())
    #: Of the body.
    size_bytes: Mapped[int] = mapped_column(default=0, server_default=text("0"))


class AuditEntry(Base):
    """Who did what, written in the transaction of the change; never updated."""

    __tablename__ = "audit_log"
    __table_args__ = (
        Index("ix_audit_log_project", "project_id", "id"),
        Index("ix_audit_log_created_at", "created_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[int | None] = mapped_column(ForeignKey("projects.id"))
    user_id: Mapped[int | None]
    key_prefix: Mapped[str | None] = mapped_column(String(20))
    action: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str | None] = mapped_column(String(64))
    detail: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(server_default=now())


class ClockBeat(Base):
    """When each clock last finished a good tick: `/readyz` asks here, not the broker."""

    __tablename__ = "clock_beats"

    node: Mapped[str] = mapped_column(String(200), primary_key=True)
    ticked_at: Mapped[datetime] = mapped_column(server_default=now())


class WorkerPool(Base):
    """How many children a worker has for a queue's jobs, told by them; gone with its last word's
    lease."""

    __tablename__ = "worker_pools"

    #: ``node/start``, of the names by which its children claim.
    worker: Mapped[str] = mapped_column(String(200), primary_key=True)
    queue: Mapped[str] = mapped_column(Word(20), primary_key=True)
    #: For anybody's jobs, of all of the worker's queues; some more are in reserve.
    places: Mapped[int]
    #: How many of them one project's jobs may take.
    project_places: Mapped[int]
    expires_at: Mapped[datetime]


class Canary(Base):
    """A round trip through the queue that no customer asked for: `/readyz` looks at its age.

    One row for each queue that is tested, and so at most one canary that has not ended.
    """

    __tablename__ = "canaries"

    queue: Mapped[str] = mapped_column(Word(20), primary_key=True)
    #: The present round's; its message carries it.
    id: Mapped[UUID]
    sent_at: Mapped[datetime]
    rung_at: Mapped[datetime]
    #: None until a worker child took this round's message.
    started_at: Mapped[datetime | None]
    worker: Mapped[str | None] = mapped_column(String(200))
    #: None until this round has ended.
    ended_at: Mapped[datetime | None]
    #: When any round ended last.
    last_ended_at: Mapped[datetime | None]


class Counter(Base):
    """A total of something that leaves no row of its own, over all processes, for `/metrics`."""

    __tablename__ = "counters"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    label: Mapped[str] = mapped_column(String(64), primary_key=True, default="")
    value: Mapped[int] = mapped_column(BigInteger)
    #: Where the total is taken from rows: those up to this moment are in it.
    counted_to: Mapped[datetime | None]


#: For the statements of an ordinary job, which load no entity: that costs more than they do.
JOBS = Base.metadata.tables[Job.__tablename__]
JOB_ATTEMPTS = Base.metadata.tables[JobAttempt.__tablename__]
TABLES = Base.metadata.tables[Table.__tablename__]
CREDENTIALS = Base.metadata.tables[StoredCredential.__tablename__]
#: A job as statements give it: an entity, or a row with the columns that are asked of it.
JobRow: TypeAlias = Job | Row[*tuple[Any, ...]]
