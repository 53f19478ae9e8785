"""Stepping over rows that surely tell nothing new about the types, at the speed of RE2.

Once a few rows have been looked at singly, most of those that follow are as they are: as many
fields, each a null or a plain spelling of its column's type. One regular expression says so of a
whole row, and RE2 runs it over a thousand of them in a few milliseconds. What it does not match
is looked at singly again, so a pattern may be too narrow but never too wide: but for long numbers,
which are looked at wherever they stand.
"""

from functools import lru_cache
from typing import Final

import re2  # type: ignore[import-untyped]  # google-re2 ships no types

from stocktake.readers.source import Limits
from stocktake.readers.text.values.numbers import find_lossy

#: Characters that are matched at once; a row that is longer is never stepped over.
WINDOW: Final = 1 << 16
#: A longer pattern, of some hundred columns, would take longer to compile than it saves.
_LONGEST_PATTERN: Final = 1 << 16


class Rows:
    """Rows of one shape.

    Args:
        row: one row, in RE2's syntax; it has one line feed.
        exact: whether its numbers must be such as a Float64 gives back.
    """

    def __init__(self, row: bytes, *, exact: bool = True) -> None:
        self._exact = exact
        self._rows = _compiled(b"(?:%b)+" % row)

    def skim(self, text: str, at: int) -> tuple[int, int]:
        r"""Return where the rows end that stand in the text from `at` on, and how many they are.

        >>> Rows(b"[0-9]+\n").skim("a\n1\n22\nb\n", 2)
        (7, 2)
        """
        count, begin = 0, at
        while True:
            window = text[at : at + WINDOW]
            raw = window.encode("utf-8", "surrogatepass")
            found = self._rows.match(raw)
            if found is None:
                break
            end: int = found.end()
            count += raw.count(b"\n", 0, end)
            is_ascii = len(raw) == len(window)
            at += end if is_ascii else len(raw[:end].decode("utf-8", "surrogatepass"))
        return self._until_lossy(text, begin, at, count) if self._exact else (at, count)

    def _until_lossy(self, text: str, begin: int, at: int, count: int) -> tuple[int, int]:
        """Return what `skim` does, less the row with the first number that is lossy and all behind
        it."""
        raw = text[begin:at].encode("utf-8", "surrogatepass")
        lossy = find_lossy(raw)
        if lossy is None:
            return at, count
        # The last of the rows before it ends where its line does.
        before = raw[: raw.rfind(b"\n", 0, lossy) + 1]
        return begin + len(before.decode("utf-8", "surrogatepass")), before.count(b"\n")


def rows_of(row: bytes | None, limits: Limits, *, exact: bool = True) -> Rows | None:
    """Return what finds such rows; None where there is nothing to find them by, or where a row that
    is too long could be among them."""
    if row is None or len(row) > _LONGEST_PATTERN or limits.max_line_bytes < WINDOW:
        return None
    return Rows(row, exact=exact)


@lru_cache(maxsize=16)
def _compiled(pattern: bytes) -> "re2._Regexp":
    options = re2.Options()
    # bytes, of whatever letters
    options.encoding = re2.Options.Encoding.LATIN1
    options.log_errors = False
    compiled = re2.compile(pattern, options)
    # its own cache would keep 128 of them, each with all states that it has been in
    re2.purge()
    return compiled
