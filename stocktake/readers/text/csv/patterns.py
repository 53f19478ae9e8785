r"""What CSV fields surely keep a column at its kind, as patterns over many fields at once.

A field that does not match is inferred, and joined; so the patterns hold what is common and cheap
to tell. One goes over a column's fields, by the standard library; the other over whole rows, by
RE2, which matches the text before it is split (`stocktake.readers.text.fast_rows`).
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from stocktake.readers.text.csv.dialect import DELIMITERS, Dialect
from stocktake.readers.text.values.dates import STRING, SURE_TIMES
from stocktake.readers.text.values.kinds import Kind
from stocktake.readers.text.values.numbers import (
    BOOL,
    FLOAT64,
    NUMBER_KINDS,
    SURE_FLOAT,
    SURE_INTEGERS,
    find_lossy,
)

#: Joins a column's fields so that one match tests them all; a field that holds it is tested alone.
_SEPARATOR: Final = "\x1f"
#: No exponent in a number: to ClickHouse `1e10` is a text.
_TOKENS: Final = {
    **SURE_INTEGERS,
    FLOAT64: SURE_FLOAT,
    BOOL: r"true|false",
    **SURE_TIMES,
}
_NEVER_QUOTED: Final = NUMBER_KINDS
_PLAIN_QUOTES: Final = ('"', "'", "")
_PLAIN_NULL: Final = re.compile(r"[A-Za-z0-9_.\\/#-]*")


def keeps(kind: Kind, values: Sequence[str], dialect: Dialect) -> bool:
    """Return whether the fields, without quotes around numbers, surely keep a column at its
    kind."""
    if kind is not None and not (isinstance(kind, str) and kind in _TOKENS):
        return False
    if not all_match(block_pattern(kind, dialect, quotes=False), values):
        return False
    return kind != FLOAT64 or not _has_lossy(values)


def _has_lossy(values: Sequence[str]) -> bool:
    return find_lossy(_SEPARATOR.join(values).encode()) is not None


def all_match(pattern: re.Pattern[str], values: Sequence[str]) -> bool:
    """Return whether each field is as the `block_pattern` says."""
    joined = _SEPARATOR.join(values)
    # a field that holds the separator would be taken for two
    return pattern.fullmatch(joined) is not None and joined.count(_SEPARATOR) == len(values) - 1


@lru_cache(maxsize=256)
def block_pattern(kind: str | None, dialect: Dialect, *, quotes: bool) -> re.Pattern[str]:
    """Return what matches fields joined by the separator where each is a null or surely of the
    kind.

    Args:
        kind: one that has a sure spelling; None for nulls alone.
        quotes: whether numbers may stand in quotes.
    """
    nulls = sorted(dialect.nulls, key=len, reverse=True)
    token = _token(kind, dialect, nulls, quotes=quotes)
    cell = rf"\ *+(?:{token})\ *+(?={_SEPARATOR}|\Z)"
    return re.compile(f"{cell}(?:{_SEPARATOR}{cell})*+")


def _token(kind: str | None, dialect: Dialect, nulls: Sequence[str], *, quotes: bool) -> str:
    token = f"(?:{_TOKENS[kind]})|" if kind else ""
    if kind and dialect.quote and (quotes or kind not in _NEVER_QUOTED):
        quote = re.escape(dialect.quote)
        token += f"{quote}(?:{_TOKENS[kind]}){quote}|"
    return token + "|".join(map(re.escape, nulls))


@lru_cache(maxsize=16)
def row_pattern(kinds: tuple[Kind, ...], dialect: Dialect, *, quotes: bool = False) -> bytes | None:
    """Return what matches a row of one line, with its line feed, that surely keeps each column at
    its kind.

    Args:
        kinds: of the columns; any field will do where it is String.
        quotes: whether numbers may stand in quotes.

    Returns:
        A pattern in RE2's syntax; None where a kind has no sure spelling, where delimiter and
        quotes are not the common ones, or where a row may be a comment.
    """
    if dialect.comment or dialect.delimiter not in DELIMITERS or dialect.quote not in _PLAIN_QUOTES:
        return None
    # Whatever else an option names is left to the look at single fields: a delimiter in it, say.
    nulls = [null for null in sorted(dialect.nulls) if _PLAIN_NULL.fullmatch(null)]
    cells = []
    for kind in kinds:
        if kind == STRING:
            cells.append(_any_field(dialect))
        elif kind is None or (isinstance(kind, str) and kind in _TOKENS):
            cells.append(f" *(?:{_token(kind, dialect, nulls, quotes=quotes)}) *")
        else:
            return None
    return (re.escape(dialect.delimiter).join(cells) + "\n").encode()


def _any_field(dialect: Dialect) -> str:
    """Return a field that begins and ends on its line; whatever follows its closing quote
    is of it."""
    d, q, blanks = re.escape(dialect.delimiter), re.escape(dialect.quote), dialect.blanks
    if not q:
        return rf"[^{d}\n]*"
    # No line feed in the quotes, and no quote right behind them, which would be one that is
    # doubled.
    quoted = rf"{q}(?:[^{q}\n]|{q}{q})*{q}(?:[^{q}{d}\n][^{d}\n]*)?"
    return rf"[{blanks}]*(?:[^{blanks}{q}{d}\n][^{d}\n]*|{quoted})?"
