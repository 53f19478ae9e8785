"""Parts of a Parquet footer: the schema that it begins with, and where the column chunks lie.

pyarrow tells both, but decodes the whole footer first, which is tens of megabytes where a writer
left thousands of row groups; and `RowGroupMetaData.column` and its statistics end the whole
process on a corrupt one (a C++ exception that the binding does not expect, seen with pyarrow 26).
So the few bytes that matter are found here, by Thrift's compact protocol; what a schema means and
decoding the data stay pyarrow's work, and raise.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

#: Field ids of parquet.thrift, outermost first; None takes the value as it is.
#: Of `Statistics` null_count; of `ColumnMetaData` path_in_schema, num_values,
#: total_compressed_size, data_page_offset, dictionary_page_offset and statistics; of `RowGroup` its
#: columns, and of each `ColumnChunk` meta_data.
_NULLS: Final = {3: None}
_CHUNK_METADATA: Final = {3: None, 5: None, 7: None, 9: None, 11: None, 12: _NULLS}
_ROW_GROUP: Final = {1: {3: _CHUNK_METADATA}}
_SIZES: Final = {1: {3: {7: None}}}
#: Fields of `FileMetaData`. Every writer puts them in this order.
_SCHEMA, _ROW_COUNT, _ROW_GROUPS = 2, 3, 4

#: The kinds of Thrift's compact protocol; 4 to 6 are integers of 16, 32 and 64 bits.
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12
_INTEGERS: Final = (4, 5, 6)
_FIXED: Final = {_TRUE: 0, _FALSE: 0, _BYTE: 1, _DOUBLE: 8}
#: Far above what parquet.thrift nests: a forged footer ends here, and not with the stack.
_MAX_DEPTH: Final = 32

_Wanted = Mapping[int, Any] | None


class IncompleteError(ValueError):
    """The footer ends before what was looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnChunk:
    """One column of one row group.

    Attributes:
        row_group: its index.
        path: the leaf's path, joined by dots.
        start: the offset of its first page.
        size: its bytes as stored.
        all_null: whether the statistics say that it holds only nulls.
        has_value: whether they say that it does not.
    """

    row_group: int
    path: str
    start: int
    size: int
    all_null: bool
    has_value: bool = False


def schema_range(footer: bytes) -> tuple[int, int]:
    """Return where the list of `SchemaElement` begins and ends.

    Args:
        footer: its first bytes, as many as are here.

    Raises:
        IncompleteError: it goes on past what is here; of a whole footer: it is corrupt.
        ValueError: the footer is corrupt.
    """
    try:
        for field_id, kind, at in _fields(footer):
            if field_id == _SCHEMA and kind == _LIST:
                end = after(footer, at, kind, 0)
                # Lengths are added up, not looked at: the end may lie beyond what is here.
                if end > len(footer):
                    break
                return at, end
            # The schema comes second, or not at all: field ids ascend.
            if field_id >= _SCHEMA:
                raise ValueError("the footer does not begin with a schema")
    except KeyError as exc:
        raise _corrupt() from exc
    except IndexError:
        pass
    raise IncompleteError("the footer ends within its schema")


def row_count(footer: bytes, at: int) -> int:
    """Return the number of rows in all row groups.

    Args:
        footer: without its length and magic; a part that ends some bytes after `at` will do.
        at: where the schema ends.

    Raises:
        ValueError: the footer is corrupt.
    """
    try:
        rows, _ = varint(footer, at + 1)
    except IndexError as exc:
        raise IncompleteError("the footer ends before its number of rows") from exc
    # The field after the schema, an integer of 64 bits. It is zigzag: an odd one is negative.
    if footer[at] != 1 << 4 | _INTEGERS[-1] or rows & 1:
        raise ValueError("the footer has no number of rows")
    return rows >> 1


def footer_of(schema: bytes, row_groups: Sequence[bytes] = ()) -> bytes:
    """Return a footer of one schema and a few row groups, for pyarrow to read.

    Args:
        schema: the bytes of `schema_range`.
        row_groups: each as it stands in a footer.
    """
    # A field begins with a byte: how much further its id is, and its kind. 0x15 is the next field,
    # an integer of 32 bits; 0x19 a list; 0x16 an integer of 64 bits; 0 is the end.
    # So these are version 1, the schema, no rows, the row groups.
    return b"".join((b"\x15\x02\x19", schema, b"\x16\x00\x19", struct_list(row_groups), b"\x00"))


def struct_list(structs: Sequence[bytes]) -> bytes:
    """Return a list of structs, each as it is written."""
    count = len(structs)
    size = bytes([count << 4 | _STRUCT]) if count < 15 else bytes([0xF0 | _STRUCT, *number(count)])
    return b"".join((size, *structs))


def overlap(chunk_sizes: Iterable[int], file_bytes: int) -> bool:
    """Return whether column chunks of these sizes, in bytes, have more than their file: a row group
    that is named a million times would become more rows than a disk holds."""
    return sum(max(0, each) for each in chunk_sizes) > file_bytes


class Footer:
    """A whole footer (parquet-format, `FileMetaData`), read so far as it is asked for.

    Args:
        data: without its length and magic.

    Raises:
        ValueError: it is corrupt.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._schema = schema_range(data)
        #: Where the row groups lie that were read.
        self._row_groups: list[tuple[int, int]] = []

    def column_chunks(self, until: Sequence[str] = ()) -> list[ColumnChunk]:
        """Return the column chunks of the row groups.

        Args:
            until: paths of leaves; the row groups after the first ones that have a value of each,
                by their statistics, are left out. All of them where this is empty.

        Raises:
            ValueError: the footer is corrupt.
        """
        chunks: list[ColumnChunk] = []
        left = set(until)
        try:
            for index, group in enumerate(self._groups()):
                found = [_chunk(index, column[3]) for column in group.get(1, [])]
                chunks += found
                left -= {each.path for each in found if each.has_value}
                if until and not left:
                    break
        except (IndexError, KeyError, TypeError, AttributeError) as exc:
            raise _corrupt() from exc
        return chunks

    def chunk_sizes(self) -> list[int]:
        """Return the bytes of each column chunk.

        Raises:
            ValueError: the footer is corrupt.
        """
        try:
            return [
                column.get(3, {}).get(7, 0)
                for group in self._groups(_SIZES)
                for column in group.get(1, [])
            ]
        except (IndexError, KeyError, TypeError, AttributeError) as exc:
            raise _corrupt() from exc

    def narrowed(self, row_groups: Sequence[int]) -> bytes:
        """Return the footer with a few of its row groups, counted from 0 again.

        Args:
            row_groups: the indexes of some that `column_chunks` has read, ascending.
        """
        start, end = self._schema
        groups = [self._data[slice(*self._row_groups[index])] for index in row_groups]
        return footer_of(self._data[start:end], groups)

    def _groups(self, wanted: _Wanted = _ROW_GROUP) -> Iterator[dict[int, Any]]:
        """Yield one after the other: a file of many is mostly row groups that nobody asks for."""
        self._row_groups = []
        for field_id, _, at in _fields(self._data, _SCHEMA, self._schema[1]):
            if field_id == _ROW_GROUPS:
                size, kind, start = list_header(self._data, at)
                reader = _Compact(self._data, start)
                for _ in range(size):
                    start = reader.at
                    group = reader.value(kind, wanted, 1)
                    self._row_groups.append((start, reader.at))
                    yield group
                return


def _fields(footer: bytes, field_id: int = 0, at: int = 0) -> Iterator[tuple[int, int, int]]:
    """Yield id, kind and place of the footer's fields after one that ends at `at`, each skipped
    when the next is asked for."""
    while header := footer[at]:
        # No step in the id: its long form, which is for ids that do not ascend.
        if header < 16:
            raise ValueError("the fields of the footer are not in their order")
        field_id, at = field_id + (header >> 4), at + 1
        yield field_id, header & 15, at
        at = after(footer, at, header & 15, 0)


def _corrupt() -> ValueError:
    return ValueError("the Parquet footer is not what parquet.thrift describes")


def _chunk(row_group: int, fields: dict[int, Any]) -> ColumnChunk:
    # Some writers leave 0 for a dictionary that is not there.
    start = min(fields[9], fields.get(11) or fields[9])
    if start < 0 or fields[7] < 0:
        raise ValueError("a column chunk lies outside the file")
    # num_values counts the nulls, too (parquet.thrift).
    nulls = fields.get(12, {}).get(3)
    return ColumnChunk(
        row_group=row_group,
        path=".".join(str(name, "utf-8") for name in fields[3]),
        start=start,
        size=fields[7],
        all_null=nulls == fields[5],
        has_value=nulls is not None and 0 <= nulls < fields[5],
    )


class _Compact:
    """Reads Thrift's compact protocol. What is not wanted is stepped over, not built: that is
    nearly all of the footer, and where the time goes."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self.at = at

    def value(self, kind: int, wanted: _Wanted, depth: int) -> Any:
        """Return the value at the cursor; of structs, the wanted fields by their ids."""
        if kind in _INTEGERS:
            zigzag = self._varint()
            return zigzag >> 1 ^ -(zigzag & 1)
        if kind == _BINARY:
            return self._take(self._varint())
        if depth > _MAX_DEPTH:
            raise ValueError("nested too deep")
        if kind == _STRUCT:
            return self._struct(wanted, depth + 1)
        if kind in (_LIST, _SET):
            return self._list(wanted, depth + 1)
        self.at = after(self._data, self.at, kind, depth)
        return None

    def _struct(self, wanted: _Wanted, depth: int) -> dict[int, Any]:
        wanted = wanted or {}
        data, at = self._data, self.at
        fields: dict[int, Any] = {}
        field_id = 0
        while header := data[at]:
            if header > 15:
                field_id, at = field_id + (header >> 4), at + 1
            else:
                zigzag, at = varint(data, at + 1)
                field_id = zigzag >> 1 ^ -(zigzag & 1)
            if field_id in wanted:
                self.at = at
                fields[field_id] = self.value(header & 15, wanted[field_id], depth)
                at = self.at
            else:
                at = after(data, at, header & 15, depth)
        self.at = at + 1
        return fields

    def _list(self, wanted: _Wanted, depth: int) -> list[Any]:
        size, kind, self.at = list_header(self._data, self.at)
        # In a collection a boolean takes a byte too; so a forged size ends where the data does.
        kind = _BYTE if kind in (_TRUE, _FALSE) else kind
        return [self.value(kind, wanted, depth) for _ in range(size)]

    def _varint(self) -> int:
        read, self.at = varint(self._data, self.at)
        return read

    def _take(self, length: int) -> bytes:
        end = self.at + length
        if end > len(self._data):
            raise IndexError("the footer ends early")
        taken = self._data[self.at : end]
        self.at = end
        return taken


def varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the number at `at`, and where it ends."""
    byte = data[at]
    if byte < 128:
        return byte, at + 1
    result, shift = byte & 127, 7
    while shift <= 63:
        at += 1
        byte = data[at]
        result |= (byte & 127) << shift
        if byte < 128:
            return result, at + 1
        shift += 7
    raise ValueError("a number is too long")


def number(value: int) -> bytes:
    """Return a number as `varint` reads it."""
    written = bytearray()
    while value > 127:
        written.append(value & 127 | 128)
        value >>= 7
    return bytes([*written, value])


def list_header(data: bytes, at: int) -> tuple[int, int, int]:
    """Return a list's size and the kind of its elements, and where they begin."""
    header = data[at]
    size, at = (header >> 4, at + 1) if header >> 4 != 15 else varint(data, at + 1)
    return size, header & 15, at


def after(data: bytes, at: int, kind: int, depth: int) -> int:
    """Return where the value at `at` ends. Reading there is an IndexError where it lies past the
    end.
    """
    if kind in _INTEGERS:
        return at + 1 if data[at] < 128 else varint(data, at)[1]
    if kind == _BINARY:
        length, at = varint(data, at)
        return at + length
    if kind == _STRUCT:
        return _after_struct(data, at, depth + 1)
    if kind in (_LIST, _SET):
        return _after_list(data, at, depth + 1)
    if kind == _MAP:
        return _after_map(data, at, depth + 1)
    return at + _FIXED[kind]


def _after_struct(data: bytes, at: int, depth: int) -> int:
    if depth > _MAX_DEPTH:
        raise ValueError("nested too deep")
    while header := data[at]:
        at = at + 1 if header > 15 else varint(data, at + 1)[1]
        kind = header & 15
        # the two kinds that statistics are made of, without a call for each
        if kind in _INTEGERS and data[at] < 128:
            at += 1
        elif kind == _BINARY and data[at] < 128:
            at += 1 + data[at]
        else:
            at = after(data, at, kind, depth)
    return at + 1


def _after_list(data: bytes, at: int, depth: int) -> int:
    if depth > _MAX_DEPTH:
        raise ValueError("nested too deep")
    size, kind, at = list_header(data, at)
    # The last byte of an integer has no highest bit, and all before it have: in a run of ASCII each
    # byte is a whole one.
    if kind in _INTEGERS and data[at : at + size].isascii():
        return at + size
    kind = _BYTE if kind in (_TRUE, _FALSE) else kind
    for _ in range(size):
        # Some kinds are stepped over by their length alone: without this a forged size of billions
        # would be counted to its end.
        if at >= len(data):
            raise IndexError("the footer ends early")
        at = _after_struct(data, at, depth + 1) if kind == _STRUCT else after(data, at, kind, depth)
    return at


def _after_map(data: bytes, at: int, depth: int) -> int:
    if depth > _MAX_DEPTH:
        raise ValueError("nested too deep")
    size, at = varint(data, at)
    # An empty map has no byte for its kinds.
    if not size:
        return at
    kinds, at = data[at], at + 1
    for _ in range(size):
        for kind in (kinds >> 4, kinds & 15):
            if at >= len(data):
                raise IndexError("the footer ends early")
            at = after(data, at, _BYTE if kind in (_TRUE, _FALSE) else kind, depth)
    return at
