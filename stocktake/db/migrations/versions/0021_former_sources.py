"""What a table read before an upload took the place of that.

Revision: 0021
Follows: 0020
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("tables", sa.Column("former_source", sa.JSON(none_as_null=True)))


def downgrade() -> None:
    op.drop_column("tables", "former_source")
