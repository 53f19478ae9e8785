"""How far a sheet reaches and how much text its cells hold, by its XML alone.

Told by a parser, not by an expression: an attribute may be spelled in many ways, left out, or stand
in a comment, and an entry may have any name. What the parser refuses is corrupt.
"""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final
from xml.parsers import expat

from stocktake.readers.sheets.plain_runs import EXCEL_ROWS, ODS_ROWS, SHARED_TEXTS, left_of

Attributes = dict[str, str]
Start = Callable[[str, Attributes], None]

#: Where a cell or a row of an .xlsx sheet is: letters, of a cell alone, then a number.
_PLACE: Final = re.compile(r"([A-Za-z]*+)([0-9]{1,20}+)")
#: Of plain cells: their columns, their rows, the shared texts that they refer to.
_CELL: Final = re.compile(rb'<c r="([A-Z]++[0-9]++)"')
_COLUMNS: Final = re.compile(rb'<c r="([A-Z]++)')
_ROWS: Final = re.compile(rb'<c r="[A-Z]++([0-9]++)')
_REFERENCES: Final = re.compile(rb' t="s"><v>([0-9]++)')
_SHARED_TEXT: Final = re.compile(r"<t[^<>]*+>([^<]*+)</t>")
_END_OF_ROW: Final = b"</table:table-row>"
#: Of a number: what has more is none.
_MOST_DIGITS: Final = 18
#: What says nothing of a cell's value.
_EMPTY: Final = frozenset({"style-name", "number-columns-repeated", "content-validation-name"})
#: The type that LibreOffice says of a cell whose formula failed, beside that of a text; the text
#: of another cell may be the same word.
_ERROR, _TYPE = "error", "value-type"
_FIRST_LETTER: Final = ord("A") - 1


class ReachError(ValueError):
    """The XML is none, or says what no sheet says."""


class Reach:
    """Counts what one sheet becomes.

    Attributes:
        rows: up to the last one that has a value.
        columns: likewise.
        text: characters of all cells: a text that is shared or repeated counts each time.
        errors: cells that hold an error, such as `#DIV/0!`.
        first_error: row and column of the first of them, counted from 0.
    """

    def __init__(self) -> None:
        self.rows = self.columns = self.text = self.errors = 0
        self.first_error: tuple[int, int] | None = None

    @property
    def cells(self) -> int:
        """Cells of the rectangle."""
        return self.rows * self.columns

    def add(self, row: int, column: int) -> None:
        """Count a cell, by its row and column from 0."""
        if row >= self.rows:
            self.rows = row + 1
        if column >= self.columns:
            self.columns = column + 1

    def add_error(self, row: int, column: int, times: int = 1) -> None:
        """Count a cell that holds an error, in as many places as it is repeated."""
        self.errors += times
        self.first_error = self.first_error or (row, column)


class ExcelReach(Reach):
    """That of a sheet of an .xlsx.

    Args:
        shared: the lengths of the workbook's shared texts, in order.
    """

    def __init__(self, shared: list[int]) -> None:
        super().__init__()
        self._shared = shared
        self._row, self._column = -1, 0
        self._rows_begun = 0
        self._refers = False
        self._value = ""

    def read(self, chunks: Iterable[bytes]) -> None:
        """Go through a sheet.

        Raises:
            ReachError: see there.
        """
        parser = expat.ParserCreate("utf-8")
        self._parser = parser
        parser.StartElementHandler = self._start
        feed(parser, left_of(chunks, EXCEL_ROWS, lambda: self._rows_begun, self._take))

    def _take(self, rows: bytes) -> None:
        """Count plain rows, after one that counted."""
        columns = map(bytes.decode, set(_COLUMNS.findall(rows)))
        self.columns = max(self.columns, *(_place(f"{each}0")[0] for each in columns), 0)
        self.rows = max(self.rows, *map(int, set(_ROWS.findall(rows))), 0)
        places = list(map(int, _REFERENCES.findall(rows)))
        try:
            self.text += sum(map(self._shared.__getitem__, places))
        except IndexError:
            for place in places:
                self._add_shared(place)
        last = rows[rows.rindex(b"<row ") :]
        self._row = int(last[8 : last.index(b'"', 8)]) - 1
        cells = _CELL.findall(last)
        self._column = _place(cells[-1].decode())[0] if cells else 0

    def _add_shared(self, place: int) -> None:
        self.text += self._shared[place] if place < len(self._shared) else 0

    def _start(self, name: str, attributes: Attributes) -> None:
        # What a sheet has most of comes first.
        if name == "v" and not self._refers:
            return
        local = name if name == "c" else local_name(name)
        if local == "c":
            self._cell(attributes)
        elif local == "v" and self._refers:
            self._value = ""
            self._parser.CharacterDataHandler = self._said
            self._parser.EndElementHandler = self._end
        elif local == "row":
            place = attributes.get("r")
            self._row = self._row + 1 if place is None else _place(place)[1] - 1
            self._column = 0
            self._rows_begun += 1

    def _cell(self, attributes: Attributes) -> None:
        row = self._row
        if (place := attributes.get("r")) is not None:
            self._column, number = _place(place)
            row = number - 1
        else:
            self._column += 1
        kind = attributes.get("t")
        self._refers = kind == "s"
        if row >= self.rows:
            self.rows = row + 1
        if self._column > self.columns:
            self.columns = self._column
        if kind == "e":
            self.add_error(row, self._column - 1)

    def _said(self, text: str) -> None:
        # The longest number is enough: a stranger's text may come in pieces without end.
        self._value = (self._value + text)[: _MOST_DIGITS + 1]

    def _end(self, name: str) -> None:
        if local_name(name) != "v":
            return
        self._parser.CharacterDataHandler = self._parser.EndElementHandler = None
        if self._value:
            self._add_shared(_digits(self._value, "a shared text"))


class SharedTexts:
    """Measures the texts that the cells of an .xlsx refer to.

    Attributes:
        lengths: in characters, in order.
    """

    def __init__(self) -> None:
        self.lengths: list[int] = []
        self._inside = False

    def read(self, chunks: Iterable[bytes]) -> None:
        """Go through the entry that has them.

        Raises:
            ReachError: see there.
        """
        left = left_of(chunks, SHARED_TEXTS, self._ended, self._take)
        parse(left, self._start, self._end, self._said)

    def _ended(self) -> int:
        return len(self.lengths) - self._inside

    def _take(self, texts: bytes) -> None:
        """Measure plain texts, after one that counted."""
        self.lengths += map(len, _SHARED_TEXT.findall(texts.decode()))

    def _start(self, name: str, _: Attributes) -> None:
        if local_name(name) == "si":
            if self._inside:  # python-calamine counts the two as one
                raise ReachError("a shared text stands in another one")
            self._inside = True
            self.lengths.append(0)

    def _end(self, name: str) -> None:
        if local_name(name) == "si":
            self._inside = False

    def _said(self, text: str) -> None:
        if self.lengths:
            self.lengths[-1] += len(text)


class OdsReach(Reach):
    """The cells and the text of all sheets of an .ods, for all are read whichever is asked for.

    Attributes:
        sheets: of each, in order, the errors alone.
    """

    def __init__(self) -> None:
        super().__init__()
        self.sheets: list[Reach] = []
        self._cells_before = 0
        self._row = self._column = 0
        self._times = self._columns_times = 1
        self._row_columns = self._row_text = self._said_here = 0
        self._filled = False
        self._open_cells = self._rows_ended = 0

    @property
    def cells(self) -> int:
        """Cells of the rectangles of all sheets."""
        return self._cells_before + super().cells

    def read(self, chunks: Iterable[bytes]) -> None:
        """Go through the entry that has all sheets.

        Raises:
            ReachError: see there.
        """
        left = left_of(chunks, ODS_ROWS, lambda: self._rows_ended, self._take)
        parse(left, self._start, self._end, self._said)

    def _take(self, rows: bytes) -> None:
        """Count plain rows, after one that counted."""
        # Each with a value has a type; those behind the last of them count for nothing.
        widths = [
            row.count(b"<table:table-cell", 0, max(row.rfind(b" office:value-type="), 0))
            for row in rows.split(_END_OF_ROW)[:-1]
        ]
        last = next((at for at in range(len(widths), 0, -1) if widths[at - 1]), 0)
        if last:
            self.rows = max(self.rows, self._row + last)
            self.columns = max(self.columns, *widths)
        self._row += len(widths)
        # More than their text, and no more than the entry has.
        self.text += len(rows)

    def _start(self, name: str, attributes: Attributes) -> None:
        local = local_name(name)
        if local == "table":
            self._cells_before = self.cells
            self._row = self.rows = self.columns = 0
            self.sheets.append(Reach())
        elif local == "table-row":
            self._times = _number(attributes, "number-rows-repeated")
            self._column = self._row_columns = self._row_text = 0
        elif local in ("table-cell", "covered-table-cell"):
            self._open_cells += 1
            self._columns_times = _number(attributes, "number-columns-repeated")
            said = [value for key, value in attributes.items() if local_name(key) not in _EMPTY]
            self._filled, self._said_here = bool(said), sum(map(len, said))
            if self.sheets and _ERROR in said and _is_error(attributes):
                times = self._times * self._columns_times
                self.sheets[-1].add_error(self._row, self._column, times)
        elif local == "s":
            self._said_here += _number(attributes, "c")

    def _said(self, text: str) -> None:
        self._filled, self._said_here = (
            self._filled or not text.isspace(),
            self._said_here + len(text),
        )

    def _end(self, name: str) -> None:
        local = local_name(name)
        if local in ("table-cell", "covered-table-cell"):
            self._open_cells -= 1
            self._column += self._columns_times
            self._row_text += self._columns_times * self._said_here
            if self._filled:
                self._row_columns = self._column
        elif local == "table-row":
            # within a cell a row is of another table
            self._rows_ended += not self._open_cells
            self._row += self._times
            if self._row_columns:
                self.rows = max(self.rows, self._row)
                self.columns = max(self.columns, self._row_columns)
                self.text += self._times * self._row_text


def parse(
    chunks: Iterable[bytes], start: Start, end: Callable[[str], None], said: Callable[[str], None]
) -> None:
    """Go through XML. Raises what `feed` raises."""
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = said
    feed(parser, chunks)


def feed(parser: expat.XMLParserType, chunks: Iterable[bytes]) -> None:
    """Give XML to a parser, which takes it for UTF-8 as python-calamine does, whatever it says.

    Raises:
        ReachError: it is none, or declares entities, which may stand for any amount of text.
    """
    parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        for chunk in chunks:
            parser.Parse(chunk, False)
        parser.Parse(b"", True)
    except expat.ExpatError as exc:
        raise ReachError(f"its XML cannot be read: {exc}") from exc


def _refuse_doctype(*_: object) -> None:
    raise ReachError("its XML declares a document type, as no workbook does")


@lru_cache(maxsize=256)  # a sheet has a few, millions of times
def local_name(name: str) -> str:
    """Return a name without its prefix."""
    return name.rpartition(":")[2]


def _place(said: str) -> tuple[int, int]:
    match = _PLACE.fullmatch(said)
    if match is None:
        raise ReachError(f"a cell or a row is at {said[:20]!a}")
    column = 0
    for letter in match[1][:8].upper():
        column = column * 26 + ord(letter) - _FIRST_LETTER
    return column, int(match[2])


def _is_error(attributes: Attributes) -> bool:
    return any(local_name(key) == _TYPE and said == _ERROR for key, said in attributes.items())


def _number(attributes: Attributes, wanted: str) -> int:
    for key, value in attributes.items():
        if local_name(key) == wanted:
            return _digits(value, wanted)
    return 1


def _digits(said: str, what: str) -> int:
    if not (said.isdecimal() and len(said) <= _MOST_DIGITS):
        raise ReachError(f"the number of {what} is {said[:20]!a}")
    return int(said)
