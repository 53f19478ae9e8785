"""The compression of an ORC footer: pieces of bounded size, each by itself."""

import zlib
from collections.abc import Callable, Iterator
from typing import Final

import lz4.block  # type: ignore[import-untyped]  # lz4 ships no types
import pyarrow as pa
import zstandard

from stocktake.readers.orc.footer import FooterError

#: A piece's header: its length as stored, and whether it is stored as it is.
_HEADER_BYTES: Final = 3
#: No writer has larger blocks: the length of a piece has 23 bits.
_MAX_BLOCK_BYTES: Final = 1 << 23

#: `CompressionKind`'s names, by their numbers.
KINDS: Final = ("none", "zlib", "snappy", "LZO", "LZ4", "zstd", "Brotli")


def decompressed(data: bytes, kind: int, block_size: int) -> Iterator[bytes]:
    """Yield the pieces of a footer, decompressed.

    Args:
        kind: one of `readable`.
        block_size: as the postscript has it: the most that a piece may be.

    Raises:
        FooterError: a piece is corrupt, or more than it may be.
    """
    decompress, most = _CODECS[KINDS[kind]], min(block_size, _MAX_BLOCK_BYTES)
    at = 0
    while at < len(data):
        header = int.from_bytes(data[at : at + _HEADER_BYTES], "little")
        start, length = at + _HEADER_BYTES, header >> 1
        at = start + length
        if at > len(data):
            raise FooterError("a compressed piece leads outside of it")
        piece = data[start:at]
        yield piece if header & 1 else _bounded(decompress, piece, most)


def readable(kind: int) -> bool:
    """Return whether a footer can be read of the compression of that place in `KINDS`."""
    return KINDS[kind] in _CODECS


def _bounded(decompress: Callable[[bytes, int], bytes], piece: bytes, most: int) -> bytes:
    try:
        plain = decompress(piece, most)
    except (zlib.error, zstandard.ZstdError, lz4.block.LZ4BlockError, pa.ArrowException) as exc:
        raise FooterError(f"a compressed piece is corrupt: {str(exc)[:100]}") from exc
    if len(plain) > most:
        raise FooterError(f"a compressed piece has more than {most:,} bytes")
    return plain


def _zlib(piece: bytes, most: int) -> bytes:
    # Without a header or a checksum.
    return zlib.decompressobj(wbits=-15).decompress(piece, most + 1)


def _snappy(piece: bytes, most: int) -> bytes:
    # It begins with its length, for which room would be made unseen.
    size = shift = 0
    for byte in piece[:5]:
        size, shift = size | (byte & 127) << shift, shift + 7
        if byte < 128:
            break
    if size > most:
        raise FooterError(f"a compressed piece claims {size:,} bytes")
    return bytes(pa.Codec("snappy").decompress(piece, size, asbytes=True))


def _lz4(piece: bytes, most: int) -> bytes:
    return bytes(lz4.block.decompress(piece, uncompressed_size=most))


def _zstd(piece: bytes, most: int) -> bytes:
    decompressor = zstandard.ZstdDecompressor(max_window_size=_MAX_BLOCK_BYTES)
    with decompressor.stream_reader(piece) as reader:
        return reader.read(most + 1)


_CODECS: Final[dict[str, Callable[[bytes, int], bytes]]] = {
    "zlib": _zlib,
    "snappy": _snappy,
    "LZ4": _lz4,
    "zstd": _zstd,
}
