"""A CSV file as a table: its dialect and header are found, its rows are held to one width."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Final

from stocktake.errors import DuplicateColumnError, InvalidSourceError, RaggedRowsError
from stocktake.readers.limits import check_names, exceeded
from stocktake.readers.source import Limits, Source
from stocktake.readers.text.csv.dialect import DELIMITERS, Block, Dialect, dialect_of
from stocktake.readers.text.csv.lines import Lines
from stocktake.readers.text.csv.patterns import row_pattern
from stocktake.readers.text.decoding import Text, mismatch
from stocktake.readers.text.fast_rows import rows_of
from stocktake.readers.text.values.kinds import Kind
from stocktake.schema.formats import TableFormat

_SNIFFED_LINES: Final = 1_000
#: A brace, and a key with its colon, or the object's end, or the line's: a CSV may begin with
#: `{x},y`.
_JSON_OBJECT: Final = re.compile(r'\s*+\[?\s*+\{\s*+(?:"(?:[^"\\]++|\\.)*+"\s*+:|\}|$)')


class Table:
    """The rows of one file, all of the same width.

    Args:
        header: the line that it is, where it tells names and dialect; else None.
        names: of the columns.
        lines: what is left of the text.
        blocks: the records in it.
        path: the file, for messages.
        limits: they bound its lines and what it says of types.
    """

    def __init__(
        self,
        header: str | None,
        names: list[str],
        dialect: Dialect,
        lines: Lines,
        blocks: Iterator[Block],
        path: str,
        limits: Limits,
    ) -> None:
        self.header = header
        self.names = names
        self.dialect = dialect
        self._lines = lines
        self._blocks = blocks
        self.path = path
        self.limits = limits
        self._blank: int | None = None

    def blocks(self) -> Iterator[Block]:
        """Yield the rows; empty lines at the end are left out, though in a file of one column each
        is a null.

        Raises:
            RaggedRowsError: a row is wider or narrower than the others.
        """
        width = len(self.names)
        for block in self._blocks:
            # Nearly every block. Once there was an empty line, a row behind it is a fault: then
            # each is looked at, and the empty line is what the error names.
            if self._blank is None and set(map(len, block.rows)) <= {width}:
                if block.rows:
                    yield block
                continue
            kept = 0
            for line, row in zip(block.lines, block.rows, strict=True):
                if row == [""] and width > 1:
                    self._blank = self._blank or line
                elif self._blank or len(row) != width:
                    found = 1 if self._blank else len(row)
                    raise _ragged(self._blank or line, found, width, self.path)
                else:
                    kept += 1
            if kept:
                yield Block(block.lines[:kept], block.rows[:kept])

    def skip(self, kinds: Sequence[Kind], *, quotes: bool = False) -> int:
        """Skip rows, between two blocks, that surely keep the columns at these kinds; return how
        many.

        Args:
            quotes: whether numbers may stand in quotes.

        Returns:
            How many they are.
        """
        # As in `blocks`: from here on no row may pass unseen.
        if self._blank is not None:
            return 0
        rows = rows_of(row_pattern(tuple(kinds), self.dialect, quotes=quotes), self.limits)
        return self._lines.skip(rows) if rows else 0


def open_table(source: Source, lines: Lines, text: Text, limits: Limits) -> Table | None:
    """Find dialect and header.

    Args:
        lines: of the text, none of them taken yet.

    Returns:
        None where there is not one record.

    Raises:
        RaggedRowsError: a row has more or fewer values than the first; while rows are taken.
        DuplicateColumnError: the header names a column twice.
        FormatMismatchError: the file is JSON.
        JobError: any other, as `stocktake.errors` draws them.
    """
    first = lines.peek(_SNIFFED_LINES)
    _refuse_json(first, text.path, source)
    dialect = dialect_of(source.options, first, limits)
    blocks = dialect.blocks(lines, path=text.path, limits=limits, complete=text.complete)
    block = _from_head(blocks)
    if block is None:
        return None
    head, has_header = block.rows[0], _has_header(source)
    _refuse_lone_returns(head, dialect, text.path)
    names = _names(head, dialect, has_header=has_header, path=text.path, limits=limits)
    header = None
    if has_header:
        block = Block(block.lines[1:], block.rows[1:])
        header = _telling_header(head, first[0], dialect, source)
    return Table(header, names, dialect, lines, chain([block], blocks), text.path, limits)


def _telling_header(head: list[str], first: str, dialect: Dialect, source: Source) -> str | None:
    """Return the first line, where it is all of the header and tells the dialect by itself: no
    other delimiter would split it."""
    others = [each for each in DELIMITERS if each != dialect.delimiter and each in first]
    is_sure = bool(source.options.get("csv_delimiter")) or not others
    return first if is_sure and dialect.delimiter.join(head) == first else None


def _from_head(blocks: Iterator[Block]) -> Block | None:
    """Return the first block with a record that is no empty line, from that record on."""
    for block in blocks:
        for at, row in enumerate(block.rows):
            if row != [""]:
                return Block(block.lines[at:], block.rows[at:])
    return None


def _has_header(source: Source) -> bool:
    option = source.options.get("csv_header")
    return source.format is TableFormat.CSV_WITH_NAMES if option is None else bool(option)


def _refuse_json(first: list[str], path: str, source: Source) -> None:
    if first and _JSON_OBJECT.match(first[0]):
        raise mismatch(path, source.format.value, "JSON")


def _refuse_lone_returns(head: list[str], dialect: Dialect, path: str) -> None:
    """Refuse lines that end in CR alone: all would be taken for one, the header."""
    if any("\r" in raw for raw in head if not dialect.unquote(raw)[1]):
        raise InvalidSourceError(
            f"{path}, line 1: a carriage return without a line feed. Write the file with LF or "
            "CRLF at the end of its lines.",
            file=path,
        )


def _names(
    head: list[str], dialect: Dialect, *, has_header: bool, path: str, limits: Limits
) -> list[str]:
    if len(head) > limits.max_columns:
        raise exceeded(
            limits,
            "max_columns",
            f"{path} has {len(head):,} columns",
            advice="Check the delimiter, split the table",
            file=path,
        )
    if not has_header:
        return [f"c{number}" for number in range(1, len(head) + 1)]
    names = [dialect.unquote(raw)[0] or f"c{number}" for number, raw in enumerate(head, start=1)]
    check_names(names, limits, where=f"The header of {path}", file=path)
    _refuse_duplicates(names, path)
    return names


def _refuse_duplicates(names: list[str], path: str) -> None:
    doubled = sorted(name for name, count in Counter(names).items() if count > 1)
    if doubled:
        listed = ", ".join(map(repr, doubled[:10]))
        raise DuplicateColumnError(f"The header of {path} names twice: {listed}.", file=path)


def _ragged(line: int, found: int, width: int, path: str) -> RaggedRowsError:
    return RaggedRowsError(
        "The provided file has rows with different amount of values: "
        f"{path}, line {line}, has {found}, expected {width}.",
        file=path,
    )
