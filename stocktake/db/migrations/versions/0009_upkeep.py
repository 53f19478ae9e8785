"""How many files a table has, and what upkeep knows of a managed Delta table.

Revision: 0009
Follows: 0008
"""

import sqlalchemy as sa
from alembic import op

from stocktake.db.clock import UtcDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Unknown until the next read; upkeep counts what managed tables store.
    op.add_column("tables", sa.Column("file_count", sa.BigInteger(), nullable=True))
    op.add_column("tables", sa.Column("stored_bytes", sa.BigInteger(), nullable=True))
    op.add_column("tables", sa.Column("stored_version", sa.BigInteger(), nullable=True))
    op.add_column(
        "tables",
        sa.Column("loads_since_upkeep", sa.Integer(), nullable=False, server_default=sa.text("0")),
    )
    op.add_column("tables", sa.Column("maintained_at", UtcDateTime(), nullable=True))
    op.create_index(
        "ix_tables_managed",
        "tables",
        ["id"],
        sqlite_where=sa.text("managed = 1 AND deleted = 0"),
        postgresql_where=sa.text("managed = true AND deleted = false"),
    )


def downgrade() -> None:
    op.drop_index("ix_tables_managed", "tables")
    for name in (
        "maintained_at",
        "loads_since_upkeep",
        "stored_version",
        "stored_bytes",
        "file_count",
    ):
        op.drop_column("tables", name)
