"""The blocks of an Avro file, decompressed one by one, each held to what it may be.

fastavro takes a block's word for how many rows it has, and decompresses it however far it swells.
"""

import bz2
import io
import json
import lzma
from collections.abc import Iterator
from types import MappingProxyType
from typing import IO, Any, Final

from stocktake.errors import LimitExceededError
from stocktake.readers.avro.header import Header, IncompleteError, long_at
from stocktake.readers.files.swelling import (
    CORRUPT,
    Decompress,
    SwollenError,
    allowed,
    decompress_lz4,
    decompress_snappy,
    decompress_zstd,
    inflate,
)
from stocktake.readers.source import Limits
from stocktake.schema.formats import TableFormat

MAGIC: Final = TableFormat.AVRO.facts.magic
_BLOCK: Final = "A block of the file"
_CHECKSUM_BYTES: Final = 4
_LENGTH_BYTES: Final = 4
#: Of a number, at most.
_LONG_BYTES: Final = 10
_MAX_WINDOW_BYTES: Final = 1 << 27
#: Rows that take no bytes, of which a file may claim any number.
MOST_EMPTY_ROWS: Final = 10_000_000


class Plain(io.RawIOBase):
    """A file with another header, and with its blocks as they are without compression.

    Args:
        header: that of the file.
        schema: what stands in the new one.
        local: the file, behind its header.
        empty: whether a row takes no bytes.

    Raises (while it is read):
        ValueError: a block is corrupt.
        LimitExceededError: it swells too much, or has rows without end.
    """

    def __init__(
        self, header: Header, schema: Any, local: IO[bytes], limits: Limits, *, empty: bool
    ) -> None:
        entries = ((b"avro.schema", json.dumps(schema).encode()), (b"avro.codec", b"null"))
        pieces = [MAGIC, _long(len(entries))]
        for key, value in entries:
            pieces += [_long(len(key)), key, _long(len(value)), value]
        self._here = io.BytesIO(b"".join((*pieces, _long(0), header.sync)))
        self._blocks = _blocks(header, local, limits, empty=empty)

    def read(self, size: int = -1) -> bytes:
        data = self._here.read(size)
        while (size < 0 or len(data) < size) and (block := next(self._blocks, None)) is not None:
            self._here = io.BytesIO(block)
            data += self._here.read(size - len(data) if size >= 0 else -1)
        return data


def _blocks(header: Header, local: IO[bytes], limits: Limits, *, empty: bool) -> Iterator[bytes]:
    decompress = _CODECS.get(header.codec)
    if decompress is None:
        raise ValueError(f"its codec is {header.codec[:20]!r}")
    rows, end = 0, _end(local)
    while (count := _read_long(local)) is not None:
        size = _read_long(local)
        left = end - local.tell()
        # Room would be made for whatever it claims.
        data = local.read(size) if size is not None and 0 <= size <= left else b""
        mark = local.read(len(header.sync))
        if count < 0 or len(data) != size or mark != header.sync:
            raise ValueError("a block breaks off, or has no mark at its end")
        most = allowed(len(data), limits)
        try:
            plain = decompress(data, most.most)
        except SwollenError as exc:
            raise most.error(_BLOCK, limits) from exc
        except (*CORRUPT, lzma.LZMAError, EOFError) as exc:
            raise ValueError(f"a block is corrupt: {str(exc)[:100]}") from exc
        most.check(len(plain), _BLOCK, limits)
        rows += count
        _check_rows(count, len(plain), rows, is_empty=empty)
        yield b"".join((_long(count), _long(len(plain)), plain, mark))


def _check_rows(count: int, size: int, rows: int, *, is_empty: bool) -> None:
    if not is_empty and count > size:
        raise ValueError(f"a block of {size:,} bytes claims {count:,} rows")
    if is_empty and rows > MOST_EMPTY_ROWS:
        raise LimitExceededError(
            f"The file claims {rows:,} rows that take no bytes; {MOST_EMPTY_ROWS:,} are allowed.",
            hint="No setting raises this: leave out columns that are null in every row.",
        )


def _end(local: IO[bytes]) -> int:
    here = local.tell()
    end = local.seek(0, io.SEEK_END)
    local.seek(here)
    return end


def _read_long(local: IO[bytes]) -> int | None:
    """Return the next number; None at the end of the file."""
    start = local.tell()
    here = local.read(_LONG_BYTES)
    if not here:
        return None
    try:
        number, end = long_at(here, 0)
    except IncompleteError as exc:
        raise ValueError("the file breaks off within a block") from exc
    local.seek(start + end)
    return number


def _long(value: int) -> bytes:
    value <<= 1
    written = bytearray()
    while value > 127:
        written.append(value & 127 | 128)
        value >>= 7
    return bytes([*written, value])


def _as_it_is(block: bytes, most: int) -> bytes:  # noqa: ARG001  # the shape of Decompress
    return block


def _snappy(block: bytes, most: int) -> bytes:
    return decompress_snappy(block[:-_CHECKSUM_BYTES], most)


def _bzip2(block: bytes, most: int) -> bytes:
    return bz2.BZ2Decompressor().decompress(block, most + 1)


def _xz(block: bytes, most: int) -> bytes:
    return lzma.LZMADecompressor(memlimit=_MAX_WINDOW_BYTES).decompress(block, most + 1)


def _lz4(block: bytes, most: int) -> bytes:
    size = int.from_bytes(block[:_LENGTH_BYTES], "little")
    if size > most:
        raise SwollenError(f"it claims {size:,} bytes")
    return decompress_lz4(block[_LENGTH_BYTES:], size)


_CODECS: Final = MappingProxyType[bytes, Decompress](
    {
        b"null": _as_it_is,
        b"deflate": inflate,
        b"snappy": _snappy,
        b"bzip2": _bzip2,
        b"xz": _xz,
        b"zstandard": decompress_zstd,
        b"lz4": _lz4,
    }
)
