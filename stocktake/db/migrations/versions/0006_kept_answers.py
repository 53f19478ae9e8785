"""How large the answers are that are kept under Idempotency-Keys.

Revision: 0006
Follows: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # What was kept before counts as nothing, and is gone within a day.
    op.add_column(
        "idempotency_keys",
        sa.Column("size_bytes", sa.Integer(), nullable=False, server_default=sa.text("0")),
    )
    op.create_index("ix_idempotency_keys_size", "idempotency_keys", ["project_id", "size_bytes"])


def downgrade() -> None:
    op.drop_index("ix_idempotency_keys_size", "idempotency_keys")
    op.drop_column("idempotency_keys", "size_bytes")
