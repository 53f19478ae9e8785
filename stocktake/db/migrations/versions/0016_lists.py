"""What lists are filtered and sorted by, after which time a table is stale, and batches that do
something else than to refresh.

Revision: 0016
Follows: 0015
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from stocktake.db.clock import UtcDateTime

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_LISTED = (
    "project_id",
    "deleted",
    "format",
    "error_code",
    "pending",
    "last_refreshed_at",
    "stale_at",
    "last_change",
    "has_overrides",
    "last_changed_at",
    "size_bytes",
    "row_count",
    "created_at",
    "folded_name",
    "name",
    "id",
)


def _added() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("error_code", sa.String(64), nullable=True),
        sa.Column("pending", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("last_change", sa.String(20), nullable=False, server_default=sa.text("'none'")),
        sa.Column("last_changed_at", UtcDateTime(), nullable=True),
        sa.Column("has_overrides", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("stale_after_seconds", sa.Integer(), nullable=True),
        sa.Column("stale_at", UtcDateTime(), nullable=True),
    )


def _of_batches() -> tuple[sa.Column[Any], ...]:
    refresh = sa.text("'refresh'")
    return (
        sa.Column("action", sa.String(20), nullable=False, server_default=refresh),
        sa.Column("arguments", sa.JSON(), nullable=True),
        sa.Column("tables", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("expected", sa.Integer(), nullable=True),
    )


def upgrade() -> None:
    op.add_column("projects", sa.Column("stale_after_seconds", sa.Integer(), nullable=True))
    for column in _added():
        op.add_column("tables", column)
    _fill()
    op.create_index("ix_tables_listed", "tables", list(_LISTED))
    op.create_index(
        "ix_jobs_listed",
        "jobs",
        ["project_id", "state", "kind", "created_at", "id"],
        sqlite_where=sa.text("finished_at IS NOT NULL"),
        postgresql_where=sa.text("finished_at IS NOT NULL"),
    )
    for column in _of_batches():
        op.add_column("batches", column)
    op.execute(
        "UPDATE batches SET tables = "
        "(SELECT count(*) FROM batch_items WHERE batch_items.batch_id = batches.id)"
    )
    op.create_index("ix_batches_project_newest", "batches", ["project_id", "id"])


def _fill() -> None:
    """Tell of the tables what their jobs, versions, changes and columns say already."""
    postgresql = op.get_bind().dialect.name == "postgresql"
    code = "error ->> 'code'" if postgresql else "json_extract(error, '$.code')"
    op.execute(
        "UPDATE tables SET error_code = "  # noqa: S608 - words of ours
        f"(SELECT {code} FROM jobs WHERE jobs.id = tables.latest_job_id) WHERE latest_job_id IN "
        "(SELECT id FROM jobs WHERE state = 'failed' AND kind IN ('refresh_schema', 'ingest_file'))"
    )
    op.execute(
        f"UPDATE tables SET pending = {'true' if postgresql else '1'} WHERE id IN "  # noqa: S608
        "(SELECT table_id FROM schema_changes WHERE state = 'pending')"
    )
    for column, of in (("last_change", "change"), ("last_changed_at", "created_at")):
        op.execute(
            f"UPDATE tables SET {column} = "  # noqa: S608
            f"(SELECT {of} FROM schema_versions AS v "
            "WHERE v.table_id = tables.id AND v.number = tables.schema_version) "
            "WHERE schema_version > 1 AND EXISTS (SELECT 1 FROM schema_versions AS v "
            "WHERE v.table_id = tables.id AND v.number = tables.schema_version)"
        )
    # As `json.dumps` writes it. A name cannot hold it: its quotes would be escaped.
    op.execute(
        f"UPDATE tables SET has_overrides = {'true' if postgresql else '1'} "  # noqa: S608
        """WHERE CAST(columns AS TEXT) LIKE '%"override": true%'"""
    )


def downgrade() -> None:
    op.drop_index("ix_batches_project_newest", "batches")
    for column in reversed(_of_batches()):
        op.drop_column("batches", column.name)
    op.drop_index("ix_jobs_listed", "jobs")
    op.drop_index("ix_tables_listed", "tables")
    for column in reversed(_added()):
        op.drop_column("tables", column.name)
    op.drop_column("projects", "stale_after_seconds")
