"""Which delimiter a CSV file has, and where its table begins, by its first lines.

The delimiter is the one that scores best in the measure of G. van den Burg, A. Nazábal and
C. Sutton, "Wrangling messy CSV files by detecting row and type patterns" (2019): how much it splits
the rows, and how alike, times the share of the fields that look whole. So a delimiter that cuts
through quotes, decimal commas or sentences loses, whatever it splits.

Lines before the table (a title, comments) are passed over only where nothing else could be meant.
"""

import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice
from typing import Any, Final, NamedTuple

from stocktake.readers.source import Limits
from stocktake.readers.text.csv.dialect import DELIMITERS, Dialect, dialects_of, is_blank
from stocktake.readers.text.csv.lines import Lines
from stocktake.readers.text.decoding import Text

#: Excel's first line, which is no row: what it separates fields by.
_EXCEL: Final = re.compile(r'"?sep=([^"])"?', re.IGNORECASE)
_RECORDS: Final = 200
_FIELDS: Final = 5_000
_MOST_SKIPPED: Final = 30
_COMMENT: Final = "#"
#: A comment that has as many fields as the table: more than a name that begins with the character.
_SURE_COMMENT: Final = re.compile(r"#[#!\s-]")
#: Of a row that is not split at all; no more than a tie-breaker.
_LEAST: Final = 1e-3

_NUMBER: Final = (
    r"[-+$€£%]?+ ?+"
    r"(?:[0-9]++(?:[.,][0-9]++)?+|[0-9]{1,3}+(?:[.,' ][0-9]{3}){1,9}+(?:[.,][0-9]++)?+)"
    r" ?+[$€£%]?+"
)
_IS_NUMBER: Final = re.compile(_NUMBER)
_IS_TYPED: Final = re.compile(
    rf"{_NUMBER}|[0-9]{{1,4}}[-/.][0-9]{{1,2}}[-/.][0-9]{{1,4}}(?:[T ][0-9:.Zz+-]*+)?+"
    r"|[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?+|true|false",
    re.IGNORECASE,
)
#: What stands in a field beside its letters where it was cut at the wrong place: a delimiter, but
#: not one that a blank follows, as in a sentence.
_OTHERS: Final = {
    delimiter: re.compile(
        f"[{''.join(each for each in DELIMITERS if each not in (delimiter, ','))}](?! )"
    )
    for delimiter in DELIMITERS
}
_COMMA: Final = re.compile(r",(?! )")


class Sniffed(NamedTuple):
    """What the first lines say.

    Attributes:
        skip: lines before the table.
        has_comments: whether lines that begin with `#`, and have not the table's width, are none
            of its rows.
    """

    dialect: Dialect
    skip: int = 0
    has_comments: bool = False


class _Reading(NamedTuple):
    """The first lines as one dialect has them.

    Attributes:
        rows: of the table, as far as it is sure where it begins.
        is_split: whether the dialect splits the row that it begins with.
    """

    sniffed: Sniffed
    rows: list[list[str]]
    is_split: bool


def sniff(
    options: dict[str, Any], sample: list[str], limits: Limits, *, has_header: bool
) -> Sniffed:
    """Return the dialect, by the options, and by the first lines where they leave it open; and how
    many lines stand before the table.

    Args:
        sample: the first lines, those left out that `csv_skip_lines` counts.

    Raises:
        UnsupportedError: an option is no single character.
    """
    excel = _EXCEL.fullmatch(sample[0].strip()) if sample else None
    dialects = dialects_of(options, excel[1] if excel else None)
    if excel:
        return Sniffed(dialects[0], skip=1)
    present = "\n".join(sample)
    likely = [each for each in dialects if each.delimiter in present]
    if not likely:
        return Sniffed(dialects[0])
    may_skip = options.get("csv_skip_lines") is None
    readings = [
        _read(each, sample, limits, has_header=has_header, may_skip=may_skip) for each in likely
    ]
    readings = [each for each in readings if each.is_split]
    if len(readings) > 1:
        return max(readings, key=_score).sniffed
    return readings[0].sniffed if readings else Sniffed(dialects[0])


def _read(
    dialect: Dialect, sample: list[str], limits: Limits, *, has_header: bool, may_skip: bool
) -> _Reading:
    numbered = list(islice(_records(dialect, sample, limits), _RECORDS))
    rows = [row for _, row in numbered]
    width = next((len(row) for row in reversed(rows) if not _is_comment(row)), 1)
    aside = [_is_comment(row) and len(row) != width for row in rows]
    ragged = [at for at, row in enumerate(rows) if len(row) != width and not aside[at]]
    plain = _Reading(Sniffed(dialect), rows, bool(rows) and len(rows[0]) > 1)
    if width == 1 or not may_skip:
        return plain
    start = next((at for at, is_aside in enumerate(aside) if not is_aside), 0)
    start = max(ragged[-1] + 1 if ragged else 0, start)
    while start < len(rows) and not aside[start] and _SURE_COMMENT.match(rows[start][0]):
        start += 1
    if not start and not any(aside):
        return plain
    line = numbered[start][0] - 1 if start < len(rows) else 0
    table = [row for row, is_aside in zip(rows[start:], aside[start:], strict=True) if not is_aside]
    before = rows[:start]
    is_apart = all(map(_is_comment, before)) or any(map(is_blank, sample[:line]))
    if not (
        line <= _MOST_SKIPPED
        and _could_precede(before, dialect, width, is_apart=is_apart)
        and _is_table(table, dialect, has_header=has_header, is_apart=is_apart)
    ):
        return plain
    return _Reading(Sniffed(dialect, skip=line, has_comments=any(aside)), table, is_split=True)


def _records(
    dialect: Dialect, sample: list[str], limits: Limits
) -> Iterator[tuple[int, list[str]]]:
    """Yield the records that are no blank lines, each with its line."""
    text = Text(path="the sample", chunks=iter(["\n".join(sample)]), complete=True)
    # what is too long is told where it is read
    limits = replace(limits, max_line_bytes=sys.maxsize)
    lines = Lines(text, limits)
    blocks = dialect.blocks(lines, path=text.path, limits=limits, complete=False)
    for block in blocks:
        for line, row in zip(block.lines, block.rows, strict=True):
            if len(row) > 1 or not is_blank(row[0]):
                yield line, row


def _is_comment(row: Sequence[str]) -> bool:
    return row[0].startswith(_COMMENT)


# --- where the table begins -----------------------------------------------------------------


def _could_precede(
    before: Sequence[Sequence[str]], dialect: Dialect, width: int, *, is_apart: bool
) -> bool:
    """Return whether each row is a title: narrower than the table; and a text of its own, unless
    a blank line stands behind it."""
    return all(
        _is_comment(row)
        or (len(row) < width and (is_apart or _is_sentence(dialect.delimiter.join(row), dialect)))
        for row in before
    )


def _is_sentence(text: str, dialect: Dialect) -> bool:
    parts = text.split(dialect.delimiter)
    return all(part.startswith(" ") for part in parts[1:]) and not (
        _COMMA.search(text) or _OTHERS[","].search(text) or _IS_TYPED.fullmatch(text.strip())
    )


def _is_table(
    rows: Sequence[Sequence[str]], dialect: Dialect, *, has_header: bool, is_apart: bool
) -> bool:
    """Return whether a table begins here: names, all of them texts, over some column that is none;
    where there is no header such a column is enough."""
    # the header, and what it is one of
    if len(rows) < 2:
        return False
    typed = [_is_typed_column(column, dialect) for column in zip(*rows[has_header:], strict=True)]
    if not has_header:
        return is_apart or any(typed)
    names = [dialect.unquote(raw)[0] for raw in rows[0]]
    are_texts = [bool(name) and not _IS_TYPED.fullmatch(name) for name in names]
    # years are names, too
    return (
        are_texts[0]
        if is_apart
        else all(are_texts) and len(set(names)) == len(names) and any(typed)
    )


def _is_typed_column(raws: Sequence[str], dialect: Dialect) -> bool:
    values = [dialect.unquote(raw)[0] for raw in raws if dialect.strip(raw) not in dialect.nulls]
    return bool(values) and all(map(_IS_TYPED.fullmatch, values))


# --- how well a delimiter fits ----------------------------------------------------------------


def _score(reading: _Reading) -> float:
    widths = Counter(map(len, reading.rows))
    split = sum(count * max(width - 1, _LEAST) / width for width, count in widths.items())
    fields = list(islice(chain.from_iterable(reading.rows), _FIELDS))
    whole = sum(_wholeness(raw, reading.sniffed.dialect) for raw in fields)
    return split / len(widths) * whole / len(fields)


def _wholeness(raw: str, dialect: Dialect) -> float:
    """Return 1 for a field that looks as if it was written as one, 0 for one that was cut out of
    others, and something between for one that holds a comma."""
    text, quoted = dialect.unquote(raw)
    if quoted:
        return float(dialect.is_closed(raw))
    if (dialect.quote and dialect.quote in text) or _OTHERS[_known(dialect)].search(text):
        return 0.0
    is_cut = dialect.delimiter != "," and _COMMA.search(text) and not _IS_NUMBER.fullmatch(text)
    return 0.5 if is_cut else 1.0


def _known(dialect: Dialect) -> str:
    return dialect.delimiter if dialect.delimiter in _OTHERS else ","
