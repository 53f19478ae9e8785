"""Of what was rung for, the oldest ring of each project and queue, for the clock.

Revision: 0011
Follows: 0010
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_WHERE = sa.text("state = 'queued' AND rung_at IS NOT NULL")


def upgrade() -> None:
    _index("project_id", "queue", "rung_at")


def downgrade() -> None:
    _index("project_id")


def _index(*columns: str) -> None:
    op.drop_index("ix_jobs_rung", table_name="jobs")
    op.create_index(
        "ix_jobs_rung", "jobs", list(columns), sqlite_where=_WHERE, postgresql_where=_WHERE
    )
