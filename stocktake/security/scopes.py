"""What a key may do. ``:write`` implies ``:read``; ``*`` is all."""

from collections.abc import Collection
from typing import Final

TABLE_READ: Final = "warehouse_table:read"
TABLE_WRITE: Final = "warehouse_table:write"
#: Rows of a source are the customer's data, and all else is about it: a key that reads or changes
#: tables does not see them.
TABLE_READ_ROWS: Final = "warehouse_table:read_rows"
#: Who did what is for few eyes: a key that changes tables does not see it.
AUDIT_READ: Final = "audit_log:read"
ALL: Final = "*"

#: What `stocktake keys create --scopes` accepts.
KNOWN: Final = frozenset({TABLE_READ, TABLE_WRITE, TABLE_READ_ROWS, AUDIT_READ, ALL})


def allows(held: Collection[str], needed: str) -> bool:
    """Return whether the scopes of a key cover the one that is needed.

    >>> allows([TABLE_WRITE], TABLE_READ), allows([TABLE_READ], TABLE_WRITE)
    (True, False)
    """
    if ALL in held or needed in held:
        return True
    return needed.endswith(":read") and needed.replace(":read", ":write") in held
