"""Rows of sources for people to look at, for minutes, where a project allows it.

Revision: 0017
Follows: 0016
"""

import sqlalchemy as sa
from alembic import op

from stocktake.db.clock import UtcDateTime, now

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Off: keys of scope `*` are older than this.
    op.add_column(
        "projects",
        sa.Column("row_previews", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.create_table(
        "previews",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("key_id", sa.String(64), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False, server_default=now()),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_previews_project_id_projects"
        ),
        sa.PrimaryKeyConstraint("job_id", name="pk_previews"),
    )
    op.create_index("ix_previews_project_id", "previews", ["project_id"])
    op.create_index("ix_previews_created_at", "previews", ["created_at"])


def downgrade() -> None:
    op.drop_table("previews")
    op.drop_column("projects", "row_previews")
