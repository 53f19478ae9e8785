"""Where the table begins in a CSV file: lines before it are titles, and some are comments.

They are passed over only where nothing else could be meant: a row too short is a fault, and a table
of its own is none that may be left out.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from typing import Final, NamedTuple

from stocktake.readers.text.csv.dialect import DELIMITERS, Dialect, is_blank

_MOST_LINES: Final = 30
#: Of a table: the header, and what it is one of.
_LEAST_ROWS: Final = 2
#: In a narrower one a row of one field may be anything.
_LEAST_PADDED_WIDTH: Final = 3
_COMMENT: Final = "#"
#: A comment that has as many fields as the table: more than a name that begins with the character.
_SURE_COMMENT: Final = re.compile(r"#[#!\s-]")
#: What parts fields, but not sentences.
_DELIMITER: Final = re.compile(f"[{''.join(DELIMITERS)}](?! )")

#: A number as people write it: signs, currencies, and groups of three digits.
_DIGITS: Final = (
    r"[-+$€£%]?+ ?+"
    r"(?:[0-9]++(?:[.,][0-9]++)?|[0-9]{1,3}(?:[.,' ][0-9]{3}){1,9}(?:[.,][0-9]++)?)"
    r" ?+[$€£%]?+"
)
_NUMBER: Final = re.compile(_DIGITS)
_TYPED: Final = re.compile(
    rf"{_DIGITS}|[0-9]{{1,4}}[-/.][0-9]{{1,2}}[-/.][0-9]{{1,4}}(?:[T ][0-9:.Zz+-]*+)?"
    r"|[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?|true|false",
    re.IGNORECASE,
)

#: What is surely a column's name: no unit is as long.
_NAME: Final = re.compile(r'"?[A-Za-z_][A-Za-z_ ]{3,}"?')

#: A record and the line that it begins on, counted from 1.
Numbered = tuple[int, list[str]]


class Beginning(NamedTuple):
    """Where it is.

    Attributes:
        skip: lines before the table.
        rows: of the table, as far as they were given.
        has_comments: whether lines that begin with `#`, and have not the table's width, are none
            of its rows.
    """

    skip: int
    rows: list[list[str]]
    has_comments: bool


def beginning(
    records: Sequence[Numbered], lines: Sequence[str], dialect: Dialect, *, has_header: bool
) -> Beginning:
    """Return where the table begins: at the first record, unless another is sure.

    Args:
        records: the first ones, without blank lines.
        lines: the first ones, of which the records are.
    """
    rows = [row for _, row in records]
    first = Beginning(0, rows, has_comments=False)
    if has_header and _is_split_title(rows) and _is_table(rows[1:], dialect, has_header=True):
        return Beginning(records[1][0] - 1, rows[1:], has_comments=False)
    width = next((len(row) for row in reversed(rows) if not _is_comment(row)), 1)
    if width == 1:
        return first
    aside = [_is_comment(row) and len(row) != width for row in rows]
    start = _start(rows, aside, width, has_header=has_header)
    table = [row for row, is_aside in zip(rows[start:], aside[start:], strict=True) if not is_aside]
    if not (start or any(aside)) or len(table) < _LEAST_ROWS:
        return first
    skip = records[start][0] - 1
    before = records[:start]
    is_apart = _is_apart([row for _, row in before], lines[:skip])
    is_sure = (
        skip <= _MOST_LINES
        and all(_could_precede(row, dialect, width, is_apart=is_apart) for _, row in before)
        and not any(_is_table(run, dialect, has_header=True) for run in _runs(before))
        and (is_apart or _is_table(table, dialect, has_header=has_header))
    )
    return Beginning(skip, table, has_comments=any(aside)) if is_sure else first


def begins_at_once(records: Iterator[Numbered], text: str) -> bool:
    """Return whether nothing in the first records hints at titles or comments, so that they need no
    further look. Rows of one field do.

    Args:
        text: the lines that they are of.
    """
    if text.startswith(_COMMENT) or f"\n{_COMMENT}" in text:
        return False
    rows = [row for _, row in islice(records, _MOST_LINES + 1)]
    if len(set(map(len, rows))) != 1 or len(rows[0]) == 1:
        return False
    return not (_is_padded(rows[0]) or _is_split_title(rows))


def is_number(text: str) -> bool:
    """Return whether a text is a number, maybe with a decimal comma or with groups of digits.

    >>> is_number("1.234,50 €"), is_number("1,a")
    (True, False)
    """
    return _NUMBER.fullmatch(text) is not None


def _start(
    rows: Sequence[list[str]], aside: Sequence[bool], width: int, *, has_header: bool
) -> int:
    """Return where the rows of one width begin, which are neither comments nor titles that were
    filled up to it."""
    ragged = [at for at, row in enumerate(rows) if len(row) != width and not aside[at]]
    start = ragged[-1] + 1 if ragged else 0
    while start < len(rows) and (
        aside[start]
        or _SURE_COMMENT.match(rows[start][0])
        or (has_header and _is_padded(rows[start]))
    ):
        start += 1
    return start


def _is_comment(row: Sequence[str]) -> bool:
    return row[0].startswith(_COMMENT)


def _is_padded(row: Sequence[str]) -> bool:
    """Return whether a title was filled up with empty fields, as spreadsheets do."""
    return len(row) >= _LEAST_PADDED_WIDTH and not any(raw.strip() for raw in row[1:])


def _is_split_title(rows: Sequence[Sequence[str]]) -> bool:
    """Return whether the first row may be a sentence that was split, by chance in as many fields as
    the table has: blanks follow its commas, and those of no other row, and a quarter, a year or
    a number is in it. The one below it has names: a row of units, which are short, may stand below
    a header that was written by hand."""
    if len(rows) < _LEAST_ROWS + 2 or len({*map(len, rows)}) != 1:
        return False
    title, names, *below = rows
    return (
        all(raw.startswith(" ") for raw in title[1:])
        and any(letter.isdecimal() for raw in title for letter in raw)
        and not any(raw.startswith(" ") for row in (names, *below) for raw in row)
        and all(_NAME.fullmatch(raw) for raw in names)
    )


def _is_apart(before: Sequence[list[str]], lines: Sequence[str]) -> bool:
    """Return whether a blank line, or comments alone, set the table apart from what is before."""
    if all(map(_is_comment, before)):
        return True
    return is_blank(lines[-1]) and not any(map(_is_padded, before))


def _could_precede(row: Sequence[str], dialect: Dialect, width: int, *, is_apart: bool) -> bool:
    """Return whether a row is a title: narrower than the table, and a text of its own unless the
    table stands apart."""
    if _is_comment(row) or _is_padded(row):
        return True
    return len(row) < width and (is_apart or _is_sentence(row, dialect))


def _is_sentence(row: Sequence[str], dialect: Dialect) -> bool:
    if len(row) == 1 and dialect.unquote(row[0])[1]:
        return dialect.is_closed(row[0])
    text = dialect.delimiter.join(row)
    is_cut = any(not raw.startswith(" ") for raw in row[1:]) or _DELIMITER.search(text)
    return not is_cut and not _TYPED.fullmatch(text.strip())


def _runs(records: Sequence[Numbered]) -> Iterator[list[list[str]]]:
    """Yield the rows that follow each other without a blank line, are of one width, and so many
    that they may be a table of their own."""
    run = [row for _, row in records[:1]]
    for (line, row), (next_line, next_row) in pairwise([*records, (0, [])]):
        if next_line == line + 1 and len(next_row) == len(row):
            run.append(next_row)
            continue
        if len(run) > _LEAST_ROWS and len(row) > 1:
            yield run
        run = [next_row]


def _is_table(rows: Sequence[Sequence[str]], dialect: Dialect, *, has_header: bool) -> bool:
    """Return whether these are surely a table: names, all of them texts, over some column that is
    none; where there is no header such a column is enough."""
    typed = [_is_typed_column(column, dialect) for column in zip(*rows[has_header:], strict=True)]
    if not has_header:
        return any(typed)
    # the first may have none: an index
    names = [dialect.unquote(raw)[0] for raw in rows[0]]
    are_texts = all(names[1:]) and not any(map(_TYPED.fullmatch, names))
    return are_texts and len(set(names)) == len(names) and any(typed)


def _is_typed_column(raws: Sequence[str], dialect: Dialect) -> bool:
    values = [dialect.unquote(raw)[0] for raw in raws if dialect.strip(raw) not in dialect.nulls]
    return bool(values) and all(map(_TYPED.fullmatch, values))
