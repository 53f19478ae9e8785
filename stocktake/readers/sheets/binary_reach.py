"""How far a sheet of an .xlsb reaches, by its records (MS-XLSB 2.1.4)."""

import io
import struct
from collections.abc import Iterator
from typing import IO, Final, cast

from stocktake.readers.sheets.reach import Reach, ReachError

_ROW, _FIRST_CELL, _LAST_CELL, _SHARED_CELL = 0, 1, 11, 7
#: Cells that hold an error: as a value, and as that of a formula.
_ERRORS: Final = (3, 11)
_SHARED_TEXT: Final = 19
_SHEET_DATA: Final = 145
#: Where a cell's number of a shared text stands, and a shared text's length.
_TEXT_AT, _LENGTH_AT = 8, 1
_BUFFER_BYTES: Final = 1 << 20
_NUMBER: Final = struct.Struct("<I")
#: Rows that there may be; python-calamine ends a sheet at the first one beyond.
_MOST_ROWS: Final = 1 << 20


class BinaryReach(Reach):
    """That of an entry of an .xlsb, of which the relations say whether it is a sheet.

    Args:
        shared: the lengths of the workbook's shared texts, in order.
    """

    def __init__(self, shared: list[int]) -> None:
        super().__init__()
        self._shared = shared
        self._row = 0
        self._begun = False

    def read(self, content: IO[bytes]) -> None:
        """Go through an entry. What is none of records says nothing.

        Raises:
            ReachError: a cell's record is too short.
        """
        for kind, body in records(content):
            if kind == _SHEET_DATA:
                self._begun = True
            elif self._begun and kind == _ROW:
                self._row = _number(body, 0)
            elif self._begun and _FIRST_CELL <= kind <= _LAST_CELL and self._row <= _MOST_ROWS:
                column = _number(body, 0)
                self.add(self._row, column)
                if kind in _ERRORS:
                    self.add_error(self._row, column)
                if kind == _SHARED_CELL:
                    place = _number(body, _TEXT_AT)
                    self.text += self._shared[place] if place < len(self._shared) else 0


def shared_lengths(content: IO[bytes]) -> list[int]:
    """Return the lengths of the texts that the cells of an .xlsb refer to, in order.

    Raises:
        ReachError: a record is too short.
    """
    found = records(content)
    return [_number(body, _LENGTH_AT) for kind, body in found if kind == _SHARED_TEXT]


def records(content: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield the records of an entry, each with its kind."""
    # An entry of an archive is a raw file, but for its type.
    buffered = io.BufferedReader(cast("io.RawIOBase", content), _BUFFER_BYTES)
    while head := buffered.read(1):
        kind, length = head[0], 0
        if kind & 128:
            kind = kind & 127 | (buffered.read(1) or b"\0")[0] << 7 & 0x3F80
        for shift in (0, 7, 14, 21):
            byte = (buffered.read(1) or b"\0")[0]
            length |= (byte & 127) << shift
            if byte < 128:
                break
        yield kind, buffered.read(length)


def _number(body: bytes, at: int) -> int:
    if at + _NUMBER.size > len(body):
        raise ReachError("a record is too short")
    return int(_NUMBER.unpack_from(body, at)[0])
