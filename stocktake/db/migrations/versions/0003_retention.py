"""Indexes by which old rows are found and deleted.

Revision: 0003
Follows: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_jobs_upload",
        "jobs",
        ["upload_id"],
        sqlite_where=sa.text("upload_id IS NOT NULL"),
        postgresql_where=sa.text("upload_id IS NOT NULL"),
    )
    op.create_index(
        "ix_jobs_finished",
        "jobs",
        ["finished_at"],
        sqlite_where=sa.text("finished_at IS NOT NULL"),
        postgresql_where=sa.text("finished_at IS NOT NULL"),
    )
    op.create_index("ix_batches_created_at", "batches", ["created_at"])
    op.create_index("ix_schedule_fires_batch_id", "schedule_fires", ["batch_id"])
    op.create_index("ix_audit_log_created_at", "audit_log", ["created_at"])


def downgrade() -> None:
    op.drop_index("ix_audit_log_created_at", table_name="audit_log")
    op.drop_index("ix_schedule_fires_batch_id", table_name="schedule_fires")
    op.drop_index("ix_batches_created_at", table_name="batches")
    op.drop_index("ix_jobs_finished", table_name="jobs")
    op.drop_index("ix_jobs_upload", table_name="jobs")
