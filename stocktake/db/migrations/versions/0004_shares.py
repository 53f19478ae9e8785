"""Places for jobs, and the bytes of stored schemas.

Revision: 0004
Follows: 0003
"""

import sqlalchemy as sa
from alembic import op

from stocktake.db.clock import UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_INDEXES = {
    "ix_jobs_unrung": (
        ["project_id", "queue", "next_run_at", "id"],
        "state = 'queued' AND rung_at IS NULL",
    ),
    "ix_jobs_rung": (["project_id"], "state = 'queued' AND rung_at IS NOT NULL"),
    "ix_jobs_running": (["project_id"], "state = 'running'"),
    "ix_jobs_yielded": (["project_id"], "yielded_at IS NOT NULL"),
}


def upgrade() -> None:
    op.create_table(
        "worker_pools",
        sa.Column("worker", sa.String(200), nullable=False),
        sa.Column("queue", sa.String(20), nullable=False),
        sa.Column("places", sa.Integer(), nullable=False),
        sa.Column("project_places", sa.Integer(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("worker", "queue", name=op.f("pk_worker_pools")),
    )
    op.add_column("jobs", sa.Column("yielded_at", UtcDateTime(), nullable=True))
    for name, (columns, where) in _INDEXES.items():
        op.create_index(
            name, "jobs", columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where)
        )
    op.add_column(
        "tables",
        sa.Column("schema_bytes", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
    )
    op.create_index("ix_tables_schema_bytes", "tables", ["project_id", "schema_bytes"])
    op.execute(
        "UPDATE tables SET schema_bytes = COALESCE((SELECT SUM("
        "LENGTH(CAST(v.columns AS TEXT)) + LENGTH(CAST(v.diff AS TEXT))) "
        "FROM schema_versions v WHERE v.table_id = tables.id), 0)"
    )


def downgrade() -> None:
    op.drop_index("ix_tables_schema_bytes", table_name="tables")
    op.drop_column("tables", "schema_bytes")
    for name in _INDEXES:
        op.drop_index(name, table_name="jobs")
    op.drop_column("jobs", "yielded_at")
    op.drop_table("worker_pools")
