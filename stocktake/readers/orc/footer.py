"""The parts of an ORC file's tail (orc_proto.proto) that tell its columns and rows.

The library that pyarrow reads ORC with decompresses a footer however far it swells and builds all
of it, statistics of every column included. Here the schema and the number of rows are taken, and
the rest is stepped over.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

#: Field numbers of `PostScript`.
_FOOTER_LENGTH, _COMPRESSION, _BLOCK_SIZE = 1, 2, 3
#: Of `Footer`, of `Type`, and of `StripeInformation`: how long the parts of a stripe are.
_STRIPES, _TYPES, _ROW_COUNT = 3, 4, 6
_SUBTYPES, _FIELD_NAMES = 2, 3
_NUMBERS: Final = {1: "kind", 5: "precision", 6: "scale"}
_LENGTHS: Final = frozenset({2, 3, 4})

#: Of a footer: there is one for each stripe, and two for each type.
_MOST_FIELDS: Final = 1_000_000
#: Of a stripe; there are seven, and some for keys.
_MOST_OF_STRIPE: Final = 100

#: The kinds of protobuf's wire: a varint, 64 bits, bytes, 32 bits.
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_WIDTHS: Final = {_FIXED64: 8, _FIXED32: 4}


class FooterError(ValueError):
    """The bytes are not what orc_proto.proto describes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostScript:
    """What ends an ORC file, and is never compressed.

    Attributes:
        footer_length: bytes of the footer before it, as stored.
        compression: the number of a `CompressionKind`.
        block_size: bytes that one compressed piece may have once decompressed.
    """

    footer_length: int
    compression: int
    block_size: int


@dataclass(slots=True, kw_only=True)
class OrcType:
    """One type of the list that is the schema; the first one is the row's.

    Attributes:
        kind: the number of a `Kind`.
        subtypes: the places in that list of what it holds.
        names: of a struct's fields.
        fields: how many of the message were gone through, known or not.
    """

    kind: int = 0
    subtypes: list[int] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    precision: int = 0
    scale: int = 0
    fields: int = 0


def post_script(data: bytes) -> PostScript:
    """Read a postscript.

    Raises:
        FooterError: it is corrupt.
    """
    found = {number: value for number, value in _fields(data) if isinstance(value, int)}
    return PostScript(
        footer_length=found.get(_FOOTER_LENGTH, 0),
        compression=found.get(_COMPRESSION, 0),
        # As the specification has it, where it is left out.
        block_size=found.get(_BLOCK_SIZE, 256 * 1024),
    )


def types_and_rows(footer: bytes, most: int, size: int) -> tuple[tuple[bytes, ...], int]:
    """Read the types of the schema, as they stand, and the number of rows off a decompressed
    footer.

    Args:
        most: types that there may be.
        size: bytes of the file, which its stripes share: one that is named a million times would
            become more rows than a disk holds.

    Raises:
        FooterError: it is corrupt, or has more.
    """
    types, rows, taken = list[bytes](), 0, 0
    for count, (number, value) in enumerate(_fields(footer)):
        if count == _MOST_FIELDS:
            raise FooterError(f"it has more than {_MOST_FIELDS:,} fields")
        if number == _TYPES and not isinstance(value, int):
            if len(types) >= most:
                raise FooterError(f"it has more than {most:,} types")
            types.append(bytes(value))
        elif number == _ROW_COUNT and isinstance(value, int):
            rows = value
        elif number == _STRIPES and not isinstance(value, int):
            taken += _stripe_length(bytes(value))
            if taken > size:
                raise FooterError("its stripes overlap")
    return tuple(types), rows


def _stripe_length(data: bytes) -> int:
    parts = list(islice(_fields(data), _MOST_OF_STRIPE + 1))
    if len(parts) > _MOST_OF_STRIPE:
        raise FooterError(f"a stripe has more than {_MOST_OF_STRIPE} fields")
    return sum(part for number, part in parts if number in _LENGTHS and isinstance(part, int))


def orc_type(data: bytes, most: int) -> OrcType:
    """Read one type.

    Args:
        most: names that it may have, and types in it.

    Raises:
        FooterError: it is corrupt, or has more.
    """
    made = OrcType()
    for made.fields, (number, value) in enumerate(_fields(data), start=1):
        # What is compressed may be a name of no bytes, millions of times, or a field of none.
        if made.fields > 2 * most + 100 or len(made.names) > most or len(made.subtypes) > most:
            raise FooterError(f"it has more than {most:,} types")
        if number == _FIELD_NAMES and not isinstance(value, int):
            made.names.append(_text(bytes(value)))
        elif number == _SUBTYPES:
            # Packed as a rule, and one by one where a writer does not know that.
            more = [value] if isinstance(value, int) else islice(_packed(bytes(value)), most + 1)
            made.subtypes += more
        elif number in _NUMBERS and isinstance(value, int):
            setattr(made, _NUMBERS[number], value)
    return made


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as exc:
        raise FooterError("a field's name is no UTF-8") from exc


def _packed(data: bytes) -> Iterator[int]:
    at = 0
    while at < len(data):
        value, at = _varint(data, at)
        yield value


def _fields(data: bytes) -> Iterator[tuple[int, int | memoryview]]:
    """Yield the fields of a message: each with its number, a length or a number as such."""
    view, at, size = memoryview(data), 0, len(data)
    while at < size:
        # Nearly all keys and lengths are of one byte, and a call takes longer than all else here.
        key, at = (data[at], at + 1) if data[at] < 128 else _varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if kind == _BYTES:
            is_short = at < size and data[at] < 128
            length, at = (data[at], at + 1) if is_short else _varint(data, at)
        else:
            length = _WIDTHS.get(kind, -1)
        if length < 0 or at + length > size:
            raise FooterError("a field leads outside of its message")
        yield number, view[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the number at `at`, and where it ends."""
    result = shift = 0
    while at < len(data) and shift <= 63:
        byte = data[at]
        result, at = result | (byte & 127) << shift, at + 1
        if byte < 128:
            return result, at
        shift += 7
    raise FooterError("a number does not end")
