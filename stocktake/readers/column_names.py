"""Which names of columns nobody can hold."""

import re
from collections.abc import Iterable
from typing import Final

from stocktake.errors import InvalidSourceError

_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")


def refuse_names(names: Iterable[str], where: str, *, file: str | None = None) -> None:
    """Refuse names that neither a database nor ClickHouse can hold, nor an answer of the API.

    Args:
        where: what has the names, for the message.
        file: the file at fault.

    Raises:
        InvalidSourceError: one is empty, or has a NUL or half of a surrogate pair.
    """
    for name in names:
        if not name or _UNSTORABLE.search(name):
            raise InvalidSourceError(
                f"{where}: a column is named {ascii(name)[:80]}, which cannot be stored. Rename "
                "it at the source.",
                file=file,
            )
