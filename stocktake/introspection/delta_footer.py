"""Where the column chunks of a Parquet file lie, and which hold only nulls.

pyarrow tells this too, chunk by chunk, but `RowGroupMetaData.column` and its statistics end the
whole process on a corrupt footer (a C++ exception that the binding does not expect, seen with
pyarrow 26). So the few numbers are read here, from Thrift's compact protocol; decoding the data
stays pyarrow's work, and raises.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

#: Field ids of parquet.thrift, outermost first; None takes the value as it is.
_NULLS: Final = {3: None}
_CHUNK_METADATA: Final = {3: None, 5: None, 7: None, 9: None, 11: None, 12: _NULLS}
_FILE_METADATA: Final = {4: {1: {3: _CHUNK_METADATA}}}

_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12
_INTEGERS: Final = (4, 5, 6)
_MAX_DEPTH: Final = 32

_Wanted = Mapping[int, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnChunk:
    """One column of one row group.

    Attributes:
        row_group: its index.
        path: the leaf's path, joined by dots.
        start: the offset of its first page.
        size: its bytes as stored.
        all_null: whether the statistics say that it holds only nulls.
    """

    row_group: int
    path: str
    start: int
    size: int
    all_null: bool


def column_chunks(footer: bytes) -> list[ColumnChunk]:
    """The column chunks of a file, by its Thrift footer (parquet-format, `FileMetaData`).

    Raises:
        ValueError: the footer is corrupt.
    """
    try:
        groups = _Compact(footer).value(_STRUCT, _FILE_METADATA, 0).get(4, [])
        return [
            _chunk(index, column[3])
            for index, group in enumerate(groups)
            for column in group.get(1, [])
        ]
    except (IndexError, KeyError, TypeError, AttributeError) as exc:
        raise ValueError("the Parquet footer is not what parquet.thrift describes") from exc


def _chunk(row_group: int, fields: dict[int, Any]) -> ColumnChunk:
    # Some writers leave 0 for a dictionary that is not there.
    start = min(fields[9], fields.get(11) or fields[9])
    if start < 0 or fields[7] < 0:
        raise ValueError("a column chunk lies outside the file")
    return ColumnChunk(
        row_group=row_group,
        path=".".join(str(name, "utf-8") for name in fields[3]),
        start=start,
        size=fields[7],
        all_null=fields.get(12, {}).get(3) == fields[5],
    )


class _Compact:
    """Reads Thrift's compact protocol; what is not wanted is stepped over, not built."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def value(self, kind: int, wanted: _Wanted, depth: int) -> Any:
        """The value at the cursor; of structs, the wanted fields by their ids."""
        if depth > _MAX_DEPTH:
            raise ValueError("nested too deep")
        if kind in _INTEGERS:
            number = self._varint()
            return number >> 1 ^ -(number & 1)
        if kind == _BINARY:
            return self._take(self._varint())
        if kind == _STRUCT:
            return self._struct(wanted, depth + 1)
        if kind in (_LIST, _SET):
            return self._list(wanted, depth + 1)
        if kind == _MAP:
            return self._map(depth + 1)
        return self._take({_TRUE: 0, _FALSE: 0, _BYTE: 1, _DOUBLE: 8}[kind])

    def _struct(self, wanted: _Wanted, depth: int) -> dict[int, Any]:
        fields: dict[int, Any] = {}
        field_id = 0
        while header := self._byte():
            delta = header >> 4
            field_id = field_id + delta if delta else self.value(_INTEGERS[0], None, depth)
            inner = wanted.get(field_id) if wanted else None
            found = self.value(header & 15, inner, depth)
            if wanted and field_id in wanted:
                fields[field_id] = found
        return fields

    def _list(self, wanted: _Wanted, depth: int) -> list[Any]:
        header = self._byte()
        size, kind = header >> 4, header & 15
        if size == 15:
            size = self._varint()
        return [self._element(kind, wanted, depth) for _ in range(size)]

    def _map(self, depth: int) -> None:
        size = self._varint()
        kinds = self._byte() if size else 0
        for _ in range(size):
            self._element(kinds >> 4, None, depth)
            self._element(kinds & 15, None, depth)

    def _element(self, kind: int, wanted: _Wanted, depth: int) -> Any:
        # In a collection a boolean takes a byte too; so a forged size ends where the data does.
        return self.value(_BYTE if kind in (_TRUE, _FALSE) else kind, wanted, depth)

    def _varint(self) -> int:
        result = shift = 0
        while True:
            byte = self._byte()
            result |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return result
            if shift > 63:
                raise ValueError("a number is too long")

    def _byte(self) -> int:
        byte = self._data[self._at]
        self._at += 1
        return byte

    def _take(self, length: int) -> bytes:
        end = self._at + length
        if end > len(self._data):
            raise IndexError("the footer ends early")
        taken = self._data[self._at : end]
        self._at = end
        return taken
