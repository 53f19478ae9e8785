"""Jobs that a sweep may take.

Revision: 0015
Follows: 0014
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Unknown is no: what an older release made is done one by one, as it was made.
    op.add_column("jobs", sa.Column("sweepable", sa.Boolean(), nullable=True))


def downgrade() -> None:
    op.drop_column("jobs", "sweepable")
