"""Which names of columns nobody can hold, and what those are called that have no own."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
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


def unique_names(names: Sequence[str]) -> list[str]:
    """Return the names with a number behind each that is taken, as DuckDB does; a column without
    one is called by its position, after all others are.

    >>> unique_names(["a", "a", "a_1", "a"]), unique_names(["c2", "", "x"])
    (['a', 'a_1', 'a_1_1', 'a_2'], ['c2', 'c2_1', 'x'])
    """
    taken = Counter[str]()
    found = dict[int, str]()
    for at in sorted(range(len(names)), key=lambda at: not names[at]):
        name = names[at] or f"c{at + 1}"
        while taken[name]:
            taken[name] += 1
            name = f"{name}_{taken[name] - 1}"
        taken[name] = 1
        found[at] = name
    return [found[at] for at in range(len(names))]
