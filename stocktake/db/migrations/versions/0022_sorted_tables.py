"""Indexes of what tables are sorted by, and of what their states are told by.

Revision: 0022
Follows: 0021
"""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_OWNER: Final = ["project_id", "deleted"]
_TOLD_BY: Final = ["error_code", "pending", "format", "last_refreshed_at", "stale_at"]
#: What stands for no value, as statements write it.
_NO_TIME: Final = {"sqlite": "0001-01-01 00:00:00.000000", "postgresql": "0001-01-01 00:00:00+00"}


def upgrade() -> None:
    op.create_index("ix_tables_states", "tables", [*_OWNER, *_TOLD_BY, "id"])
    no_time = f"'{_NO_TIME[op.get_bind().dialect.name]}'"
    for name, none in (("last_changed_at", no_time), ("size_bytes", "-1"), ("row_count", "-1")):
        key = sa.text(f"coalesce({name}, {none})")
        op.create_index(f"ix_tables_by_{name}", "tables", [*_OWNER, key, "id"])


def downgrade() -> None:
    for name in ("row_count", "size_bytes", "last_changed_at"):
        op.drop_index(f"ix_tables_by_{name}", "tables")
    op.drop_index("ix_tables_states", "tables")
