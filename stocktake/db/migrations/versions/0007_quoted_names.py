"""Types as ClickHouse prints them: names in them quoted that were not.

Revision: 0007
Follows: 0006

The JSON reader left `true`, `top`, `values` and other words bare, and wrote control characters as
they are; other readers forgot three of those ([ADR 15](docs/adr/0015-types-are-values.md)). What
holds no Tuple has no such name and is not looked at.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from stocktake.schema.types import parse

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_TABLES = sa.table(
    "tables",
    sa.column("id", sa.Uuid()),
    sa.column("columns", sa.JSON()),
    sa.column("source_state", sa.JSON()),
    sa.column("validated_state", sa.JSON()),
)
_VERSIONS = sa.table(
    "schema_versions",
    sa.column("id", sa.Uuid()),
    sa.column("columns", sa.JSON()),
    sa.column("diff", sa.JSON()),
)


def upgrade() -> None:
    for table in (_TABLES, _VERSIONS):
        _mend(table)


def downgrade() -> None:
    """Leave the names quoted: a release before this one reads them as well."""


def _mend(table: sa.TableClause) -> None:
    """One row at a time: a schema may be large, and there may be many."""
    connection = op.get_bind()
    stored = [column for column in table.c if column.name != "id"]
    nested = sa.or_(*(sa.cast(column, sa.Text).contains("Tuple(") for column in stored))
    for identity in connection.scalars(sa.select(table.c.id).where(nested)).all():
        mine = table.c.id == identity
        row = connection.execute(sa.select(*stored).where(mine)).one()._asdict()
        mended = {name: _mended(value) for name, value in row.items()}
        if mended != row:
            changed = {name: value for name, value in mended.items() if value != row[name]}
            connection.execute(sa.update(table).where(mine).values(changed))


def _mended(stored: Any) -> Any:
    """Print anew the types in a list of columns, in a reader's state with one, or in a diff."""
    if isinstance(stored, list):
        return [_retyped(column, "clickhouse") for column in stored]
    if not isinstance(stored, dict):
        return stored
    mended = dict(stored)
    if isinstance(stored.get("columns"), list):
        mended["columns"] = _mended(stored["columns"])
    for name, keys in _IN_DIFFS.items():
        if name in stored:
            mended[name] = [_retyped(each, *keys) for each in stored[name]]
    return mended


#: Under which keys types stand in the parts of a diff.
_IN_DIFFS = {"added": ("type",), "removed": ("type",), "changed": ("from", "to")}


def _retyped(stored: dict[str, Any], *keys: str) -> dict[str, Any]:
    return stored | {key: str(parse(stored[key])) for key in keys}
