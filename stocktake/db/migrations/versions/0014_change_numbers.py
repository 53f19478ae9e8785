"""A number of each change of a table, a job and a batch, for streams of events.

Revision: 0014
Follows: 0013
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_NUMBERED = ("tables", "jobs", "batches")


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("CREATE SEQUENCE change_numbers")
    for table in _NUMBERED:
        # 0: nothing has changed since.
        op.add_column(
            table,
            sa.Column(
                "change_number", sa.BigInteger(), nullable=False, server_default=sa.text("0")
            ),
        )
        op.create_index(f"ix_{table}_change_number", table, ["change_number"])


def downgrade() -> None:
    for table in _NUMBERED:
        op.drop_index(f"ix_{table}_change_number", table)
        op.drop_column(table, "change_number")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP SEQUENCE change_numbers")
