"""The stream of an old workbook, out of a compound file (MS-CFB) and into a new one.

python-calamine follows a compound file's chains and counts wherever they lead. So they are followed
here, each step within the file, and it is given a file of our own that holds the stream alone.
"""

import struct
from collections.abc import Iterator
from typing import Final

from stocktake.readers.sheets.reach import ReachError

#: Begins every compound file.
COMPOUND: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

#: By the shift that a header has, the bytes of a sector.
_SECTOR_BYTES: Final = {9: 512, 12: 4096}
_MINI_BYTES: Final = 64
#: A shorter stream stands in the root's, in small sectors.
_MINI_BELOW: Final = 4096
#: Of sectors; what is above them says what a sector is for.
_LAST, _END, _FREE, _TABLE = 0xFFFFFFFA, 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD
_HEADER: Final = struct.Struct("<8s16xHHHHH6xIIIIIIIII")
_IN_HEADER: Final = 109
_ENTRY_BYTES: Final = 128
#: Of an entry: where its name ends and the stream stands.
_NAME_LENGTH, _START, _SIZE = 64, 116, 120


def stream_of(data: bytes, names: tuple[str, ...]) -> bytes | None:
    """Return the first stream of one of the names; None where there is none.

    Args:
        data: the whole compound file.

    Raises:
        ReachError: a chain leads outside of the file, or around.
    """
    return _Compound(data).stream(names)


class _Compound:
    """Sectors by their numbers, and the chains that they are in."""

    def __init__(self, data: bytes) -> None:
        if len(data) < min(_SECTOR_BYTES.values()):
            raise ReachError("its header breaks off")
        _, _, _, _, shift, mini, _, _, directory, _, least, first, _, more, _ = _HEADER.unpack(
            data[: _HEADER.size]
        )
        if shift not in _SECTOR_BYTES or 1 << mini != _MINI_BYTES or least != _MINI_BELOW:
            raise ReachError("its header is none of a compound file")
        self._data = data
        self._size = _SECTOR_BYTES[shift]
        self._sectors = -(-len(data) // self._size)
        self._next = self._numbers(self._table(more))
        self._entries = b"".join(self._chain(directory))
        self._mini_table = first

    def stream(self, names: tuple[str, ...]) -> bytes | None:
        for name in names:
            for at in range(0, len(self._entries) - _ENTRY_BYTES + 1, _ENTRY_BYTES):
                entry = self._entries[at : at + _ENTRY_BYTES]
                if _name(entry).lower() == name.lower():
                    return self._content(entry)
        return None

    def _content(self, entry: bytes) -> bytes:
        start, size = struct.unpack_from("<II", entry, _START)
        if size >= _MINI_BELOW:
            return b"".join(self._chain(start))[:size]
        small = b"".join(self._chain(*struct.unpack_from("<I", self._entries, _START)))
        follows = self._numbers(self._chain(self._mini_table))
        places = _followed(start, follows, len(follows))
        return b"".join(small[at * _MINI_BYTES : (at + 1) * _MINI_BYTES] for at in places)[:size]

    def _table(self, more: int) -> Iterator[bytes]:
        """Yield the sectors that say which one follows which: the header names the first of them,
        and a chain of sectors the others."""
        named = list(struct.unpack_from(f"<{_IN_HEADER}I", self._data, _HEADER.size))
        # Each says it of many; twice as many as it takes are enough for every writer.
        most = _IN_HEADER + 2 * len(self._data) // (self._size * self._size // 4)
        while more < _LAST:
            *numbers, more = self._numbers([self._sector(more)])
            named += numbers
            if len(named) > most + self._size:
                raise ReachError("the table of its sectors is larger than the file")
        named = [number for number in named if number < _LAST]
        if len(named) > most:
            raise ReachError("the table of its sectors is larger than the file")
        return map(self._sector, named)

    def _chain(self, start: int) -> Iterator[bytes]:
        return map(self._sector, _followed(start, self._next, self._sectors))

    def _sector(self, number: int) -> bytes:
        # The header has the room of one.
        sector = self._data[(number + 1) * self._size : (number + 2) * self._size]
        if not sector:
            raise ReachError(f"sector {number:,} is outside of the file")
        # Some writers leave out what the last one has no use for.
        return sector.ljust(self._size, b"\0")

    def _numbers(self, sectors: Iterator[bytes] | list[bytes]) -> list[int]:
        return [number for each in sectors for (number,) in struct.iter_unpack("<I", each)]


def _followed(start: int, follows: list[int], most: int) -> Iterator[int]:
    """Yield the numbers of a chain, of so many at most: a longer one leads around."""
    at = start
    for _ in range(most + 1):
        if at == _END:
            return
        if at >= len(follows):
            raise ReachError("a chain of sectors leads outside of the file")
        yield at
        at = follows[at]
    raise ReachError("a chain of sectors has no end")


def _name(entry: bytes) -> str:
    (length,) = struct.unpack_from("<H", entry, _NAME_LENGTH)
    return entry[: min(length, _NAME_LENGTH)].decode("utf-16-le", "replace").rstrip("\0")


def holding(stream: bytes, name: str) -> bytes:
    r"""Return a compound file that holds one stream.

    Args:
        stream: of 400 MB at most: the header alone says where the table of its sectors is.

    >>> stream_of(holding(b"abc", "Book"), ("Book",)).rstrip(b"\0")
    b'abc'
    """
    size = _SECTOR_BYTES[12]
    length = max(len(stream), _MINI_BELOW)
    count = -(-length // size)
    # Behind the stream its entry, and behind that the table.
    tables = -(-(count + 1) // (size // 4 - 1))
    chain = [*range(1, count), _END, _END, *[_TABLE] * tables]
    chain += [_FREE] * (tables * (size // 4) - len(chain))
    header = _HEADER.pack(
        COMPOUND, 0x3E, 4, 0xFFFE, 12, 6, 1, tables, count, 0, _MINI_BELOW, _END, 0, _END, 0
    )
    places = [*range(count + 1, count + 1 + tables)]
    places += [_FREE] * (_IN_HEADER - tables)
    entries = _entry("Root Entry", 5, 0, 0) + _entry(name, 2, 0, length)
    return b"".join(
        (
            (header + struct.pack(f"<{_IN_HEADER}I", *places)).ljust(size, b"\0"),
            stream.ljust(count * size, b"\0"),
            entries.ljust(size, b"\0"),
            struct.pack(f"<{len(chain)}I", *chain),
        )
    )


def _entry(name: str, kind: int, start: int, size: int) -> bytes:
    spelled = (name + "\0").encode("utf-16-le")
    linked = struct.pack("<BBIII36x", kind, 1, _FREE, _FREE, 1 if kind == 5 else _FREE)
    return (
        spelled.ljust(_NAME_LENGTH, b"\0")
        + struct.pack("<H", len(spelled))
        + linked
        + struct.pack("<IQ", start, size)
    )
