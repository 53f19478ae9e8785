"""Which types a user had set of what a table read before, in a column of its own: lists of tables
have the rest, and these are as large as the table's columns.

Revision: 0023
Follows: 0022
"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

_MOVED = {
    "sqlite": (
        "json_extract(former_source, '$.overrides')",
        "json_remove(former_source, '$.overrides')",
    ),
    "postgresql": (
        "former_source -> 'overrides'",
        "(CAST(former_source AS jsonb) - 'overrides')::json",
    ),
}
_MOVED_BACK = {
    "sqlite": "json_set(former_source, '$.overrides', json(coalesce(former_overrides, '[]')))",
    "postgresql": "(CAST(former_source AS jsonb) || jsonb_build_object('overrides', "
    "coalesce(former_overrides, '[]'::json)))::json",
}


def upgrade() -> None:
    op.add_column("tables", sa.Column("former_overrides", sa.JSON(none_as_null=True)))
    overrides, rest = _MOVED[op.get_bind().dialect.name]
    op.execute(
        f"UPDATE tables SET former_overrides = {overrides}, "  # noqa: S608 - words of ours
        f"former_source = {rest} "
        "WHERE former_source IS NOT NULL"
    )


def downgrade() -> None:
    both = _MOVED_BACK[op.get_bind().dialect.name]
    op.execute(
        f"UPDATE tables SET former_source = {both} "  # noqa: S608 - words of ours
        "WHERE former_source IS NOT NULL"
    )
    op.drop_column("tables", "former_overrides")
