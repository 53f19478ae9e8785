"""A CSV file's header: the names of its columns, each once."""

from collections.abc import Iterator, Sequence
from typing import Final

from stocktake.errors import InvalidSourceError
from stocktake.readers.column_names import unique_names
from stocktake.readers.limits import check_names, exceeded
from stocktake.readers.source import Limits, Source
from stocktake.readers.text.csv.dialect import DELIMITERS, Dialect
from stocktake.readers.text.decoding import Text
from stocktake.schema.formats import TableFormat
from stocktake.schema.warnings import ReadWarning, WarningCode

#: Blanks beyond ASCII, and what takes no room at all.
_BLANKS: Final = (
    "\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u200b\u2028\u2029\u202f\u205f\u2060\u3000\ufeff"
)
_SHOWN: Final = 5
_SHOWN_LENGTH: Final = 40


def has_header(source: Source) -> bool:
    """Return whether the first record names the columns."""
    option = source.options.get("csv_header")
    return source.format is TableFormat.CSV_WITH_NAMES if option is None else bool(option)


def names_of(
    head: Sequence[str], dialect: Dialect, text: Text, limits: Limits, *, named: bool
) -> list[str]:
    """Return the columns' names. Where they are not the header's own the text's warnings say so.

    Args:
        head: the first record.
        named: whether it names the columns.

    Raises:
        LimitExceededError: they are too many, or one is too long.
        InvalidSourceError: one cannot be stored.
    """
    if len(head) > limits.max_columns:
        raise exceeded(
            limits,
            "max_columns",
            f"{text.path} has {len(head):,} columns",
            advice="Check the delimiter, split the table",
            file=text.path,
        )
    if not named:
        return [f"c{number}" for number in range(1, len(head) + 1)]
    written = [dialect.unquote(raw)[0] for raw in head]
    names = unique_names([_trimmed(name) for name in written])
    check_names(names, limits, where=f"The header of {text.path}", file=text.path)
    if names != written:
        text.warnings.append(_renamed(written, names, text.path))
    return names


def _trimmed(name: str) -> str:
    r"""Return a name without the blanks beyond ASCII around it. ASCII's own are kept where they are
    all, for they stand in quotes, and ClickHouse keeps them as well.

    >>> _trimmed("City\xa0"), _trimmed(" a "), _trimmed("\ufeff a")
    ('City', ' a ', 'a')
    """
    bare = name.strip(_BLANKS + " \t")
    return name if name.strip(" \t") == bare else bare


def _renamed(written: Sequence[str], names: Sequence[str], path: str) -> ReadWarning:
    changed = [
        f"column {number} is {_short(name)} (there: {_short(there)})"
        for number, (there, name) in enumerate(zip(written, names, strict=True), start=1)
        if there != name
    ]
    more = f" and {len(changed) - _SHOWN:,} more" if len(changed) > _SHOWN else ""
    return ReadWarning(
        code=WarningCode.RENAMED_COLUMNS,
        sentence=f"Not all names are those of the header of {path}: {', '.join(changed[:_SHOWN])}"
        f"{more}. ClickHouse finds them where input_format_with_names_use_header is 0.",
        file=path,
    )


def _short(name: str) -> str:
    return ascii(name if len(name) <= _SHOWN_LENGTH else name[:_SHOWN_LENGTH] + "...")


def telling_header(head: Sequence[str], first: str, dialect: Dialect, source: Source) -> str | None:
    """Return the first line, where it is all of the header and tells the dialect by itself: no
    other delimiter would split it."""
    others = [each for each in DELIMITERS if each != dialect.delimiter and each in first]
    is_sure = bool(source.options.get("csv_delimiter")) or not others
    return first if is_sure and dialect.delimiter.join(head) == first else None


def refuse_lone_returns(head: Sequence[str], dialect: Dialect, path: str) -> None:
    """Refuse lines of which some end in CR alone, and some in LF: a row would be taken for a part
    of the header.

    Raises:
        InvalidSourceError: it is so.
    """
    if any("\r" in raw for raw in _unquoted(head, dialect)):
        raise InvalidSourceError(
            f"{path}, line 1: a carriage return without a line feed, where other lines end in one. "
            "Write the file with LF or CRLF at the end of its lines.",
            file=path,
        )


def _unquoted(head: Sequence[str], dialect: Dialect) -> Iterator[str]:
    """Yield what of the fields stands outside of quotes."""
    for raw in head:
        yield dialect.tail(raw) if dialect.unquote(raw)[1] else raw
