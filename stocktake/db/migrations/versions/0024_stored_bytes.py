"""Indexes of what managed tables and uploads store, whose sum each new schema version asks for.

Revision: 0024
Follows: 0023
"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_tables_stored",
        "tables",
        ["project_id", "managed", "format", "stored_bytes", "size_bytes"],
        sqlite_where=sa.text("managed = 1"),
        postgresql_where=sa.text("managed = true"),
    )
    op.create_index("ix_uploads_stored", "uploads", ["project_id", "state", "size_bytes"])


def downgrade() -> None:
    op.drop_index("ix_uploads_stored", "uploads")
    op.drop_index("ix_tables_stored", "tables")
