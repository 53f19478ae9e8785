"""Tables of a flatbuffer, as far as Arrow's schemas need them.

A flatbuffer is offsets all over, so that a forged one of a few kilobytes may refer to one table a
million times, or to itself: pyarrow builds what that adds up to before it says how much it is. Here
each step is one look-up, and who walks counts them.
"""

import struct
from collections.abc import Iterator
from typing import Final

_SIZES: Final = {"?": 1, "B": 1, "H": 2, "h": 2, "I": 4, "i": 4, "q": 8}


class FlatbufferError(ValueError):
    """The bytes are no flatbuffer of that shape."""


class Table:
    """One table.

    Args:
        data: the whole flatbuffer.
        at: where the table begins.

    Raises (every method):
        FlatbufferError: an offset leads outside.
    """

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self._at = at
        self._fields = at - _number(data, at, "i")
        self._fields_size = _number(data, self._fields, "H")

    @classmethod
    def root(cls, data: bytes) -> "Table":
        """Return the table that the flatbuffer is."""
        return cls(data, _number(data, 0, "I"))

    def number(self, field: int, kind: str, default: int = 0) -> int:
        """Return a number or a flag.

        Args:
            field: its place in the table's declaration, counted from 0.
            kind: as `struct` spells it.
            default: what stands for a number that is left out.
        """
        at = self._field(field)
        return default if at is None else _number(self._data, at, kind)

    def table(self, field: int) -> "Table | None":
        """Return a table; None where it is left out."""
        at = self._target(field)
        return None if at is None else Table(self._data, at)

    def text(self, field: int) -> str:
        """Return a text; empty where it is left out."""
        at = self._target(field)
        if at is None:
            return ""
        raw = self._data[at + 4 : at + 4 + _number(self._data, at, "I")]
        try:
            return raw.decode()
        except UnicodeDecodeError as exc:
            raise FlatbufferError("a text is no UTF-8") from exc

    def length(self, field: int) -> int:
        """Return how many elements a vector claims to have."""
        at = self._target(field)
        return 0 if at is None else _number(self._data, at, "I")

    def tables(self, field: int) -> Iterator["Table"]:
        """Yield the tables of a vector."""
        at = self._target(field)
        for index in range(self.length(field)):
            element = (at or 0) + 4 + 4 * index
            yield Table(self._data, element + _number(self._data, element, "I"))

    def structs(self, field: int, size: int) -> Iterator[bytes]:
        """Yield the structures of a vector, as they stand, each of so many bytes."""
        at = self._target(field)
        for index in range(self.length(field)):
            start = (at or 0) + 4 + size * index
            element = self._data[start : start + size]
            if len(element) < size:
                raise FlatbufferError("a vector leads outside of it")
            yield element

    def _field(self, field: int) -> int | None:
        entry = 4 + 2 * field
        if entry + 2 > self._fields_size:
            return None
        offset = _number(self._data, self._fields + entry, "H")
        return self._at + offset if offset else None

    def _target(self, field: int) -> int | None:
        at = self._field(field)
        return None if at is None else at + _number(self._data, at, "I")


def _number(data: bytes, at: int, kind: str) -> int:
    # `struct` takes a negative offset for one from the end.
    if at < 0 or at + _SIZES[kind] > len(data):
        raise FlatbufferError("an offset leads outside of the schema")
    return int(struct.unpack_from("<" + kind, data, at)[0])
