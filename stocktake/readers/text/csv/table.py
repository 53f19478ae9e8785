"""A CSV file as a table: its dialect and header are found, its rows are held to one width."""

import re
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Final

from stocktake.errors import RaggedRowsError
from stocktake.readers.files.foreign import mismatch
from stocktake.readers.source import Limits, Source
from stocktake.readers.text.csv.dialect import Block, Dialect, is_blank
from stocktake.readers.text.csv.doubts import doubts
from stocktake.readers.text.csv.header import (
    has_header,
    names_of,
    refuse_lone_returns,
    telling_header,
)
from stocktake.readers.text.csv.lines import Lines
from stocktake.readers.text.csv.patterns import row_pattern
from stocktake.readers.text.csv.sniffing import Sniffed, sniff
from stocktake.readers.text.decoding import Text
from stocktake.readers.text.fast_rows import rows_of
from stocktake.readers.text.values.kinds import Kind
from stocktake.readers.text.values.numbers import FLOAT64
from stocktake.schema.warnings import ReadWarning, WarningCode

_SNIFFED_LINES: Final = 1_000
#: A brace, and a key with its colon, or the object's end, or the line's: a CSV may begin with
#: `{x},y`.
_JSON_OBJECT: Final = re.compile(r'\s*+\[?\s*+\{\s*+(?:"(?:[^"\\]++|\\.)*+"\s*+:|\}|$)')


class Table:
    """The rows of one file, all of the same width.

    Args:
        header: the line that it is, where it tells names and dialect; else None.
        names: of the columns.
        sniffed: how to split the lines, and which of them are no rows.
        lines: what is left of the text.
        blocks: the records in it.
        text: it takes what there is to say of the file.
        limits: they bound its lines and what it says of types.
    """

    def __init__(
        self,
        header: str | None,
        names: list[str],
        sniffed: Sniffed,
        lines: Lines,
        blocks: Iterator[Block],
        text: Text,
        limits: Limits,
    ) -> None:
        self.header = header
        self.names = names
        self.dialect = sniffed.dialect
        self._has_comments = sniffed.has_comments
        self._lines = lines
        self._blocks = blocks
        self.path = text.path
        self._text = text
        self.limits = limits
        self._told = {warning.code for warning in text.warnings} & {WarningCode.BLANK_LINES}

    def blocks(self) -> Iterator[Block]:
        """Yield the rows; blank lines are left out, though in a file of one column each is a null.
        Those before a fault come before it.

        Raises:
            RaggedRowsError: a row is wider or narrower than the others.
        """
        width = len(self.names)
        for block in self._blocks:
            # nearly every block
            if set(map(len, block.rows)) <= {width}:
                if block.rows:
                    yield block
                continue
            kept, fault = list[tuple[int, list[str]]](), None
            for line, row in zip(block.lines, block.rows, strict=True):
                if len(row) == width:
                    kept.append((line, row))
                elif (fault := self._pass_over(line, row)) is not None:
                    break
            if kept:
                lines, rows = zip(*kept, strict=True)
                yield Block(lines, list(rows))
            if fault is not None:
                raise fault

    def _pass_over(self, line: int, row: list[str]) -> RaggedRowsError | None:
        """Tell of a blank line or a comment; any other is the fault that is returned."""
        if len(row) == 1 and is_blank(row[0]):
            self._tell(_blank_lines(self.path, line))
        elif self._has_comments and row[0].startswith("#"):
            self._tell(_comments(self.path, line))
        else:
            return _ragged(line, len(row), len(self.names), self.dialect, self.path)
        return None

    def _tell(self, warning: ReadWarning) -> None:
        if warning.code not in self._told:
            self._told.add(warning.code)
            self._text.warnings.append(warning)

    def skip(self, kinds: Sequence[Kind], *, quotes: bool = False) -> int:
        """Skip rows, between two blocks, that surely keep the columns at these kinds.

        Args:
            quotes: whether values are held to types: numbers may stand in quotes, and be rounded.

        Returns:
            How many they are.
        """
        pattern = row_pattern(tuple(kinds), self.dialect, quotes=quotes)
        # Where values are held to types, ClickHouse's reading counts, which rounds.
        rows = rows_of(pattern, self.limits, exact=FLOAT64 in kinds and not quotes)
        return self._lines.skip(rows) if rows else 0


def open_table(source: Source, lines: Lines, text: Text, limits: Limits) -> Table | None:
    """Find dialect and header.

    Args:
        lines: of the text, none of them taken yet.

    Returns:
        None where there is not one record.

    Raises:
        RaggedRowsError: a row has more or fewer values than the first; while rows are taken.
        FormatMismatchError: the file is JSON.
        JobError: any other, as `stocktake.errors` draws them.
    """
    lines.drop(int(source.options.get("csv_skip_lines") or 0))
    first = lines.peek(_SNIFFED_LINES)
    _refuse_json(first, text.path, source)
    named = has_header(source)
    sniffed = sniff(source.options, first, limits, has_header=named)
    if sniffed.skip:
        lines.drop(sniffed.skip)
        text.warnings.append(_skipped(text.path, sniffed.skip, first))
    dialect = sniffed.dialect
    blocks = dialect.blocks(lines, path=text.path, limits=limits, complete=text.complete)
    block = _from_head(blocks, text)
    if block is None:
        return None
    head = block.rows[0]
    refuse_lone_returns(head, dialect, text.path)
    names = names_of(head, dialect, text, limits, named=named)
    if named:
        text.warnings.extend(
            doubts(source.options, first[sniffed.skip :], head, dialect, text.path)
        )
    header = None
    if named:
        # only the very first line is looked for in other files
        if block.lines[0] == 1:
            header = telling_header(head, first[0], dialect, source)
        block = Block(block.lines[1:], block.rows[1:])
    return Table(header, names, sniffed, lines, chain([block], blocks), text, limits)


def _from_head(blocks: Iterator[Block], text: Text) -> Block | None:
    """Return the first block with a record that is no blank line, from that record on."""
    for block in blocks:
        for at, row in enumerate(block.rows):
            if len(row) > 1 or not is_blank(row[0]):
                return Block(block.lines[at:], block.rows[at:])
            if at == 0:
                text.warnings.append(_blank_lines(text.path, block.lines[0]))
    return None


def _refuse_json(first: list[str], path: str, source: Source) -> None:
    if first and _JSON_OBJECT.match(first[0]):
        raise mismatch(path, source.format.value, "JSON")


def _ragged(line: int, found: int, width: int, dialect: Dialect, path: str) -> RaggedRowsError:
    return RaggedRowsError(
        "The provided file has rows with different amount of values: "
        f"{path}, line {line}, has {found}, expected {width}; the delimiter is "
        f"{dialect.delimiter!r}.",
        file=path,
    )


def _skipped(path: str, count: int, first: list[str]) -> ReadWarning:
    lines = f"{count} lines, the first of which is" if count > 1 else "one line, which is"
    return ReadWarning(
        code=WarningCode.SKIPPED_LINES,
        sentence=f"Passed over before the table in {path}: {lines} {first[0][:60]!a}. ClickHouse "
        f"does so where input_format_csv_skip_first_lines is {count}; options.csv_skip_lines says "
        "another number.",
        file=path,
        line=1,
    )


def _comments(path: str, line: int) -> ReadWarning:
    return ReadWarning(
        code=WarningCode.SKIPPED_LINES,
        sentence=f"Lines of {path} that begin with '#', the first of them line {line}, were passed "
        "over as comments; ClickHouse refuses them.",
        file=path,
        line=line,
    )


def _blank_lines(path: str, line: int) -> ReadWarning:
    return ReadWarning(
        code=WarningCode.BLANK_LINES,
        sentence=f"Blank lines of {path}, the first of them line {line}, were passed over; "
        "ClickHouse refuses them.",
        file=path,
        line=line,
    )
