"""A number of each write of a change that waits, for streams of events.

Revision: 0018
Follows: 0017
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # 0: nothing has changed since.
    op.add_column(
        "schema_changes",
        sa.Column("change_number", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
    )
    op.create_index("ix_schema_changes_change_number", "schema_changes", ["change_number"])


def downgrade() -> None:
    op.drop_index("ix_schema_changes_change_number", "schema_changes")
    op.drop_column("schema_changes", "change_number")
