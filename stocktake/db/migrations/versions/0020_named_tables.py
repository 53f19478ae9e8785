"""Indexes by which tables are listed: by what failed first, and one of names.

Revision: 0020
Follows: 0019
"""

from typing import Final

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_OWNER: Final = ["project_id", "deleted"]
_FAILURE: Final = ["error_code", "pending"]
_READ: Final = ["last_refreshed_at", "stale_at", "last_change", "has_overrides"]
_SORTED_BY: Final = ["last_changed_at", "size_bytes", "row_count", "created_at", "folded_name"]


def upgrade() -> None:
    op.drop_index("ix_tables_listed", "tables")
    columns = [*_OWNER, *_FAILURE, "format", *_READ, *_SORTED_BY, "id"]
    op.create_index("ix_tables_listed", "tables", columns)
    op.create_index("ix_tables_named", "tables", [*_OWNER, "folded_name", "id", "created_at"])


def downgrade() -> None:
    op.drop_index("ix_tables_named", "tables")
    op.drop_index("ix_tables_listed", "tables")
    columns = [*_OWNER, "format", *_FAILURE, *_READ, *_SORTED_BY, "name", "id"]
    op.create_index("ix_tables_listed", "tables", columns)
