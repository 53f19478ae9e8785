"""The numbers by which changes of rows are found: each write of a row gives it a newer one.

On PostgreSQL a sequence's: a number may become visible after a larger one, since its transaction
commits later (`stocktake.services.feed` knows how to read them). SQLite has one writer at a time
and no sequences: the next after the newest of all rows, and no less than the time, so that none is
given again when the newest row is removed.
"""

from typing import Any, Final

from sqlalchemy import BigInteger
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

SEQUENCE: Final = "change_numbers"
#: The tables whose rows have one.
NUMBERED: Final = ("tables", "jobs", "batches", "schema_changes")


class next_change(FunctionElement[int]):  # noqa: N801 - reads as the SQL function it is
    """The next number; in one statement on SQLite the same one for all rows."""

    type = BigInteger()
    inherit_cache = True
    name = "stocktake_next_change"


@compiles(next_change, "sqlite")
def _sqlite(_element: next_change, _compiler: Any, **_: Any) -> str:
    newest = ", ".join(
        f"coalesce((SELECT max(change_number) FROM {table}), 0) + 1"  # noqa: S608 - names of ours
        for table in NUMBERED
    )
    # Milliseconds: in numbers that JavaScript holds, too.
    milliseconds = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
    return f"max({milliseconds}, {newest})"


@compiles(next_change, "postgresql")
def _postgresql(_element: next_change, _compiler: Any, **_: Any) -> str:
    return f"nextval('{SEQUENCE}')"
