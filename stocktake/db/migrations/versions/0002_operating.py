"""What operating it asks for: canaries, counters, a job's request, attempts by their end.

Revision: 0002
Follows: 0001
"""

import sqlalchemy as sa
from alembic import op

from stocktake.db.clock import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "canaries",
        sa.Column("queue", sa.String(length=20), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("sent_at", UtcDateTime(), nullable=False),
        sa.Column("rung_at", UtcDateTime(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=True),
        sa.Column("worker", sa.String(length=200), nullable=True),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("last_ended_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("queue", name="pk_canaries"),
    )
    op.create_table(
        "counters",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("label", sa.String(length=64), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.Column("counted_to", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("name", "label", name="pk_counters"),
    )
    op.add_column("jobs", sa.Column("request_id", sa.String(length=64), nullable=True))
    op.create_index("ix_job_attempts_ended_at", "job_attempts", ["ended_at"])


def downgrade() -> None:
    op.drop_index("ix_job_attempts_ended_at", "job_attempts")
    op.drop_column("jobs", "request_id")
    op.drop_table("counters")
    op.drop_table("canaries")
