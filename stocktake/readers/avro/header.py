"""The header of an Avro container file: a map of metadata, among it the schema as JSON."""

import json
from dataclasses import dataclass
from typing import Any, Final

#: Fewer bytes of a header than this tell nothing.
_SYNC_BYTES: Final = 16
_SCHEMA, _CODEC = b"avro.schema", b"avro.codec"


class HeaderError(ValueError):
    """The bytes are no header (Avro specification, "Object Container Files")."""


class IncompleteError(HeaderError):
    """The header goes on past what is here.

    Args:
        needed: bytes of the file that it takes at least.
    """

    def __init__(self, needed: int) -> None:
        super().__init__(f"it goes on to byte {needed:,}")
        self.needed = needed


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What begins an Avro file.

    Attributes:
        schema: its JSON, as it stands.
        codec: what blocks are compressed with.
        sync: ends each block.
        size: bytes of the header.
    """

    schema: bytes
    codec: bytes
    sync: bytes
    size: int


def schema_of(stored: bytes) -> Any:
    """Return a header's schema as Python's values.

    Raises:
        HeaderError: it is no JSON.
        RecursionError: it is nested too deep.
    """
    try:
        return json.loads(stored)
    except ValueError as exc:
        raise HeaderError(f"its schema is no JSON: {exc}") from exc


def parse(data: bytes, at: int) -> Header:
    """Read a header.

    Args:
        data: the file's first bytes.
        at: where the magic ends.

    Raises:
        IncompleteError: more of the file is needed.
        HeaderError: it is corrupt.
    """
    found: dict[bytes, bytes] = {}
    while True:
        count, at = long_at(data, at)
        if not count:
            break
        if count < 0:  # its size in bytes follows, for who wants to skip it
            count, (_, at) = -count, long_at(data, at)
        for _ in range(count):
            key, at = _bytes(data, at)
            value, at = _bytes(data, at)
            if key in (_SCHEMA, _CODEC):
                found[key] = value
    end = at + _SYNC_BYTES
    if end > len(data):
        raise IncompleteError(end)
    if _SCHEMA not in found:
        raise HeaderError("it has no schema")
    return Header(
        schema=found[_SCHEMA], codec=found.get(_CODEC, b"null"), sync=data[at:end], size=end
    )


def _bytes(data: bytes, at: int) -> tuple[bytes, int]:
    length, at = long_at(data, at)
    if length < 0:
        raise HeaderError("a length is negative")
    if at + length > len(data):
        raise IncompleteError(at + length)
    return data[at : at + length], at + length


def long_at(data: bytes, at: int) -> tuple[int, int]:
    """Return the number at `at`, zigzag and in groups of seven bits, and where it ends."""
    result = shift = 0
    while shift <= 63:
        if at >= len(data):
            raise IncompleteError(at + 1)
        byte = data[at]
        result, at = result | (byte & 127) << shift, at + 1
        if byte < 128:
            return result >> 1 ^ -(result & 1), at
        shift += 7
    raise HeaderError("a number does not end")
