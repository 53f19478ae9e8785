"""Policies of changes, and the changes that wait for a decision.

Revision: 0012
Follows: 0011
"""

import sqlalchemy as sa
from alembic import op

from stocktake.db.clock import UtcDateTime, now

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # All that a read finds goes live, as before.
    op.add_column(
        "projects",
        sa.Column("change_policy", sa.String(20), nullable=False, server_default=sa.text("'auto'")),
    )
    op.add_column(
        "batches", sa.Column("dry_run", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.add_column("tables", sa.Column("change_policy", sa.String(20), nullable=True))
    op.add_column(
        "tables", sa.Column("rejected", sa.JSON(), nullable=False, server_default=sa.text("'[]'"))
    )
    op.create_table(
        "schema_changes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("table_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("change", sa.String(20), nullable=False),
        sa.Column("parts", sa.JSON(), nullable=False),
        sa.Column("undecided", sa.Integer(), nullable=False),
        sa.Column("decided", sa.Integer(), nullable=False),
        sa.Column("proposed", sa.JSON(), nullable=False),
        sa.Column("source_version", sa.JSON(), nullable=True),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False, server_default=now()),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("reason", sa.String(200), nullable=True),
        sa.Column("replaced_by", sa.Uuid(), nullable=True),
        sa.Column("decided_by_id", sa.Integer(), nullable=True),
        sa.Column("decided_at", UtcDateTime(), nullable=True),
        sa.Column("applied_version", sa.Integer(), nullable=True),
        sa.Column("undo", sa.JSON(), nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_schema_changes_project_id_projects"
        ),
        sa.ForeignKeyConstraint(
            ["table_id"], ["tables.id"], name="fk_schema_changes_table_id_tables"
        ),
        sa.ForeignKeyConstraint(
            ["decided_by_id"], ["users.id"], name="fk_schema_changes_decided_by_id_users"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_schema_changes"),
    )
    op.create_index("ix_schema_changes_table", "schema_changes", ["table_id", "id"])
    op.create_index("ix_schema_changes_project_newest", "schema_changes", ["project_id", "id"])
    op.create_index(
        "uq_schema_changes_pending",
        "schema_changes",
        ["table_id"],
        unique=True,
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )


def downgrade() -> None:
    op.drop_table("schema_changes")
    op.drop_column("tables", "rejected")
    op.drop_column("tables", "change_policy")
    op.drop_column("batches", "dry_run")
    op.drop_column("projects", "change_policy")
