"""Which old workbooks (.xls) are opened: by their records (MS-XLS), each held to its bounds.

python-calamine reads all sheets of such a file at once, makes room for whatever a record claims,
and ends with the process where it gets none. So the records are gone through before it sees them,
and those that say nothing of a value are taken away.
"""

import struct
from collections.abc import Iterator
from itertools import pairwise
from typing import Final, NamedTuple

from stocktake.readers.sheets.compound import holding, stream_of
from stocktake.readers.sheets.reach import Reach, ReachError

_STREAMS: Final = ("Workbook", "Book")
#: The kinds of records that a value or its format needs, and how long each is at least.
_BEGIN, _END, _SHEET, _SHARED, _LOCK = 0x809, 0x0A, 0x85, 0xFC, 0x2F
_OF_WORKBOOK: Final = {
    _BEGIN: 4, _END: 0, _SHEET: 8, _SHARED: 8, _LOCK: 0,
    0x42: 2, 0x22: 2, 0x41E: 2, 0xE0: 4,  # code page, epoch, format, and which cells have it
}  # fmt: skip
_CONTINUED: Final = 0x3C
_FORMULA, _SAID, _LABEL, _SHARED_LABEL, _MANY, _FLAG = 0x06, 0x207, 0x204, 0xFD, 0xBD, 0x205
_CELLS: Final = {
    _FORMULA: 22, _LABEL: 10, _SHARED_LABEL: 10, _MANY: 6, _FLAG: 8,
    0x203: 14, 0x27E: 10,  # numbers
}  # fmt: skip
#: Those of which more is to be seen than the place.
_MORE: Final = frozenset({_FORMULA, _LABEL, _SHARED_LABEL, _MANY, _FLAG})
_OF_SHEET: Final = {_BEGIN: 4, _END: 0, _SAID: 4, **_CELLS}
#: What no reader knows stands for what is taken away.
_NOTHING: Final = 0xFFFF
_HEAD: Final = struct.Struct("<HH")
_SHORT, _LONG, _PLACE = struct.Struct("<H"), struct.Struct("<i"), struct.Struct("<HH")
#: Of a formula: where its value stands and the length of its expression, which may be any program.
_VALUE, _EXPRESSION = 6, 20
_IS_ERROR, _NO_FLOAT = 2, b"\xff\xff"
#: Pieces of the shared texts; a full one has 8 KB.
_MOST_PIECES: Final = 1 << 15
#: What `holding` takes.
_MOST_BYTES: Final = 400 * 1024 * 1024


class OldWorkbook(NamedTuple):
    """One that may be opened.

    Attributes:
        data: a compound file of what its values need.
        sheets: what each would become, in their order.
    """

    data: bytes
    sheets: list[Reach]


class LockedError(ValueError):
    """The workbook asks for a password."""


def checked(data: bytes) -> OldWorkbook | None:
    """Return what of an old workbook is to be opened; None where the file holds none.

    Args:
        data: a whole compound file.

    Raises:
        ReachError: it is corrupt.
        LockedError: it asks for a password.
    """
    stream = stream_of(data, _STREAMS)
    if stream is None:
        return None
    if len(stream) > _MOST_BYTES:
        raise ReachError(f"it has more than {_MOST_BYTES:,} bytes")
    kept = bytearray(stream)
    places, shared, end = _workbook(kept)
    sheets = {}
    # What two of them share would be read twice.
    for place, until in pairwise([*sorted(places), len(kept)]):
        if place < end:
            raise ReachError("a sheet begins within what is before it")
        sheets[place], end = _sheet(kept, place, until, shared)
    return OldWorkbook(holding(bytes(kept), _STREAMS[0]), [sheets[place] for place in places])


def _workbook(kept: bytearray) -> tuple[list[int], list[int], int]:
    """Return where the sheets begin, the lengths of the shared texts, and where the first sheet may
    begin."""
    places, shared = list[int](), list[int]()
    for kind, start, end in _records(kept, 0, len(kept), _OF_WORKBOOK):
        if kind == _LOCK:
            raise LockedError
        if kind == _SHEET:
            (place,) = _LONG.unpack_from(kept, start)
            places.append(place)
        elif kind == _SHARED:
            shared = _shared_lengths(_pieces(kept, start, end))
        elif kind == _END:
            return places, shared, end
    raise ReachError("it breaks off")


def _sheet(kept: bytearray, place: int, until: int, shared: list[int]) -> tuple[Reach, int]:
    """Return what a sheet would become, and where it ends."""
    found = Reach()
    for kind, start, end in _records(kept, place, until, _OF_SHEET):
        if kind in _CELLS:
            row, column = _PLACE.unpack_from(kept, start)
            if kind in _MORE:
                column = _look_closer(found, kind, kept, start, end, shared)
            found.add(row, column)
        elif kind == _SAID:
            found.text += _SHORT.unpack_from(kept, start)[0]
        elif kind == _END:
            return found, end
    raise ReachError("a sheet has no end")


def _look_closer(
    found: Reach, kind: int, kept: bytearray, start: int, end: int, shared: list[int]
) -> int:
    """Count what else than its place a cell says, and return its column; take away the expression
    of a formula."""
    row, column = _PLACE.unpack_from(kept, start)
    if kind == _MANY:
        (last,) = _SHORT.unpack_from(kept, end - _SHORT.size)
        if end - start != 6 + 6 * (last - column + 1):
            raise ReachError("a record has not as many cells as it says")
        return int(last)
    is_error = False
    if kind == _SHARED_LABEL:
        (place,) = _LONG.unpack_from(kept, start + 6)
        found.text += shared[place] if 0 <= place < len(shared) else 0
    elif kind == _LABEL:
        found.text += _SHORT.unpack_from(kept, start + 6)[0]
    elif kind == _FLAG:
        is_error = kept[start + 7] != 0
    else:
        _SHORT.pack_into(kept, start + _EXPRESSION, 0)
        is_error = kept[start + _VALUE] == _IS_ERROR and kept[start + 12 : start + 14] == _NO_FLOAT
    if is_error:
        found.add_error(row, column)
    return int(column)


def _records(
    kept: bytearray, at: int, until: int, known: dict[int, int]
) -> Iterator[tuple[int, int, int]]:
    """Yield the known records, each with where its body begins and ends; of the others the kind is
    taken away."""
    head, size = _HEAD.unpack_from, _HEAD.size
    while at + size <= until:
        kind, length = head(kept, at)
        start = at + size
        at = start + length
        if at > until:
            raise ReachError("a record leads outside of its sheet")
        if (least := known.get(kind)) is not None:
            if length < least:
                raise ReachError("a record is too short")
            yield kind, start, at
        elif kind != _CONTINUED:
            _SHORT.pack_into(kept, start - size, _NOTHING)


def _pieces(kept: bytearray, start: int, end: int) -> list[bytes]:
    """Return a record's body, and those of the records that continue it."""
    pieces = [bytes(kept[start:end])]
    while len(kept) - end > _HEAD.size:
        kind, length = _HEAD.unpack_from(kept, end)
        if kind != _CONTINUED:
            break
        start = end + _HEAD.size
        end = start + length
        pieces.append(bytes(kept[start:end]))
        if end > len(kept) or len(pieces) > _MOST_PIECES:
            raise ReachError("its shared texts lead outside of it")
    return pieces


def _shared_lengths(pieces: list[bytes]) -> list[int]:
    """Return the lengths of the shared texts (MS-XLS 2.4.265), in order."""
    (count,) = _LONG.unpack_from(pieces[0], 4)
    pieces[0] = pieces[0][8:]
    if not 0 <= count <= sum(map(len, pieces)):
        raise ReachError(f"it claims {count:,} shared texts")
    left = _Left(pieces)
    return [left.text() for _ in range(count)]


class _Left:
    """What is left of the pieces of the shared texts."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = iter(pieces)
        self._piece = next(self._pieces)
        self._at = 0

    def text(self) -> int:
        """Step over a text; its length in characters."""
        if self._at >= len(self._piece):
            self._go_on()
        length, flags = self._number(_SHORT), self._byte()
        runs = self._number(_SHORT) if flags & 8 else 0
        more = self._number(_LONG) if flags & 4 else 0
        if more < 0:
            raise ReachError("a shared text claims a negative length")
        left = length
        while left:
            width = 2 if flags & 1 else 1
            here = min((len(self._piece) - self._at) // width, left)
            self._at, left = self._at + here * width, left - here
            if left:
                # Where a text goes on it says anew how wide its characters are.
                self._go_on()
                flags = self._byte()
        self._skip(4 * runs + more)
        return length

    def _skip(self, size: int) -> None:
        while size:
            if self._at >= len(self._piece):
                self._go_on()
            here = min(len(self._piece) - self._at, size)
            self._at, size = self._at + here, size - here

    def _go_on(self) -> None:
        piece = next(self._pieces, None)
        if piece is None:
            raise ReachError("its shared texts break off")
        self._piece, self._at = piece, 0

    def _byte(self) -> int:
        if self._at >= len(self._piece):
            raise ReachError("its shared texts break off")
        self._at += 1
        return self._piece[self._at - 1]

    def _number(self, shape: struct.Struct) -> int:
        if self._at + shape.size > len(self._piece):
            raise ReachError("its shared texts break off")
        (number,) = shape.unpack_from(self._piece, self._at)
        self._at += shape.size
        return int(number)
