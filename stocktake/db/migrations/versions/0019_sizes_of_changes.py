"""Bytes of the changes that wait, which count against what a project may store.

Revision: 0019
Follows: 0018
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "schema_changes",
        sa.Column("size_bytes", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
    )
    lengths = " + ".join(
        f"COALESCE(LENGTH(CAST({column} AS TEXT)), 2)" for column in ("parts", "proposed", "undo")
    )
    op.execute(f"UPDATE schema_changes SET size_bytes = {lengths}")  # noqa: S608 - words of ours
    op.create_index("ix_schema_changes_size", "schema_changes", ["project_id", "size_bytes"])


def downgrade() -> None:
    op.drop_index("ix_schema_changes_size", "schema_changes")
    op.drop_column("schema_changes", "size_bytes")
