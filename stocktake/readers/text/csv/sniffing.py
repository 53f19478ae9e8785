"""Which delimiter a CSV file has, and where its table begins, by its first lines.

The delimiter is the one that scores best in the measure of G. van den Burg, A. Nazábal and
C. Sutton, "Wrangling messy CSV files by detecting row and type patterns" (2019): how much it splits
the rows, and how alike, times the share of the fields that look whole. So a delimiter that cuts
through quotes, decimal commas or sentences loses, whatever it splits.
"""

import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, islice
from typing import Any, Final, NamedTuple

from stocktake.readers.source import Limits
from stocktake.readers.text.csv.beginning import (
    Beginning,
    Numbered,
    beginning,
    begins_at_once,
    is_number,
)
from stocktake.readers.text.csv.dialect import DELIMITERS, Dialect, dialects_of, is_blank
from stocktake.readers.text.csv.lines import Lines
from stocktake.readers.text.decoding import Text

#: Excel's first line, which is no row: what it separates fields by, and what follows.
_EXCEL: Final = re.compile(r'"?sep= ?(\\t|[^"])"?(.*)', re.IGNORECASE)
#: A tab may be what it names.
_AROUND: Final = " \r\n"
_RECORDS: Final = 200
_FIELDS: Final = 5_000
#: Of a row that is not split at all; no more than a tie-breaker.
_LEAST: Final = 1e-3

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
    may_skip = options.get("csv_skip_lines") is None
    excel = _excel(sample[0]) if sample and may_skip else None
    if excel:
        sample = sample[1:]
    dialects = dialects_of(options, excel)
    present = "\n".join(sample)
    likely = [each for each in dialects if each.delimiter in present]
    if len(likely) == 1 and begins_at_once(_records(likely[0], sample, limits), present):
        found = Sniffed(likely[0])
    else:
        best = _best(likely, sample, limits, has_header=has_header, may_skip=may_skip)
        found = best or Sniffed(dialects[0])
    return found._replace(skip=found.skip + 1) if excel else found


def _excel(line: str) -> str | None:
    """Return the delimiter that Excel's first line names; None where it is no such line."""
    found = _EXCEL.fullmatch(line.strip(_AROUND))
    # Saved again by Excel, it has as many of them as the table has columns.
    if found is None or found[2].replace(found[1], ""):
        return None
    return found[1].replace("\\t", "\t")


def _best(
    likely: list[Dialect], sample: list[str], limits: Limits, *, has_header: bool, may_skip: bool
) -> Sniffed | None:
    """Return the best that splits the row that its table begins with; None where none does."""
    readings = [
        _read(each, sample, limits, has_header=has_header, may_skip=may_skip) for each in likely
    ]
    readings = [each for each in readings if each.is_split]
    if len(readings) > 1:
        return max(readings, key=_score).sniffed
    return readings[0].sniffed if readings else None


def _read(
    dialect: Dialect, sample: list[str], limits: Limits, *, has_header: bool, may_skip: bool
) -> _Reading:
    records = list(islice(_records(dialect, sample, limits), _RECORDS))
    found = Beginning(0, [row for _, row in records], has_comments=False)
    if may_skip:
        found = beginning(records, sample, dialect, has_header=has_header)
    sniffed = Sniffed(dialect, found.skip, has_comments=found.has_comments)
    return _Reading(sniffed, found.rows, is_split=bool(found.rows) and len(found.rows[0]) > 1)


def _records(dialect: Dialect, sample: list[str], limits: Limits) -> Iterator[Numbered]:
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
    is_cut = dialect.delimiter != "," and _COMMA.search(text) and not is_number(text)
    return 0.5 if is_cut else 1.0


def _known(dialect: Dialect) -> str:
    return dialect.delimiter if dialect.delimiter in _OTHERS else ","
