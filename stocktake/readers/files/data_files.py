"""Which names a table's log may give its data files, and what is said of one that is none."""

import re
from typing import Final

from stocktake.errors import SourceNotFoundError, UnsupportedError
from stocktake.storage.stores.protocol import MAX_KEY_BYTES

#: What no key of a data file has, and no store is asked for.
_ODD: Final = re.compile(r"[\\\x00-\x1f\x7f]")


def is_below(name: str) -> bool:
    """Return whether a name is one of a file below the folder that it is relative to.

    >>> is_below("day=1/a.parquet"), is_below("../a"), is_below("/a"), is_below("a//b")
    (True, False, False, False)
    """
    climbs = any(part in ("", ".", "..") for part in name.split("/"))
    return not (climbs or _ODD.search(name) or len(name) > MAX_KEY_BYTES)


def no_such_file(name: str | None) -> SourceNotFoundError:
    """Return the error for a name that is none of the current version's files; None for a table
    that has no file at all."""
    if name is None:
        return SourceNotFoundError(
            "The table has no rows yet: its current version has no data file.",
            hint="Write to the table first.",
        )
    return SourceNotFoundError(
        f'The current version of the table has no data file "{name}".',
        hint="Name a file by its path below the table's root, or as the table's log names it, or "
        "leave it out for the newest one; a compaction replaces files.",
    )


def elsewhere(path: str, title: str) -> UnsupportedError:
    """Return the error for a file that lies elsewhere than below the table's root: whoever writes
    a table does not say what a worker opens.

    Args:
        title: of the table's format.
    """
    return UnsupportedError(
        f'The table has the file "{path[:200]}", which is not below its own root: it is not '
        "opened.",
        code="preview_unsupported",
        hint=f"Files of {title} tables are shown from the table's own folder alone. Of a clone, "
        "look at the table that it was made of.",
    )
