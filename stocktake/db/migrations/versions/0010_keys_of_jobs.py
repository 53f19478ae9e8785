"""A credential may be a job's, and goes as the job begins.

Revision: 0010
Follows: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("credentials", sa.Column("job_id", sa.Uuid(), nullable=True))
    op.create_index(
        "ix_credentials_job",
        "credentials",
        ["job_id"],
        sqlite_where=sa.text("job_id IS NOT NULL"),
        postgresql_where=sa.text("job_id IS NOT NULL"),
    )


def downgrade() -> None:
    # Nobody else would know whose they are.
    op.execute("DELETE FROM credentials WHERE job_id IS NOT NULL")
    op.drop_index("ix_credentials_job", "credentials")
    op.drop_column("credentials", "job_id")
