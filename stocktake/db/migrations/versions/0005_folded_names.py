"""Names as searches compare them.

Revision: 0005
Follows: 0004
"""

import sqlalchemy as sa
from alembic import op

from stocktake.schema.folding import fold

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_TABLES = sa.table(
    "tables", sa.column("id", sa.Uuid()), sa.column("name"), sa.column("folded_name")
)


def upgrade() -> None:
    op.add_column(
        "tables", sa.Column("folded_name", sa.Text(), nullable=False, server_default=sa.text("''"))
    )
    # Here, as no database folds all letters whatever its locale.
    connection = op.get_bind()
    rows = connection.execute(sa.select(_TABLES.c.id, _TABLES.c.name)).all()
    if rows:
        connection.execute(
            sa.update(_TABLES)
            .where(_TABLES.c.id == sa.bindparam("the_table"))
            .values(folded_name=sa.bindparam("as_folded")),
            [{"the_table": row.id, "as_folded": fold(row.name)} for row in rows],
        )


def downgrade() -> None:
    op.drop_column("tables", "folded_name")
