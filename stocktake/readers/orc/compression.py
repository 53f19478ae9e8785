"""The compression of an ORC footer: pieces of bounded size, each by itself."""

from collections.abc import Iterator
from typing import Final

from stocktake.readers.files.swelling import (
    CORRUPT,
    Decompress,
    SwollenError,
    decompress_lz4,
    decompress_snappy,
    decompress_zstd,
    inflate,
)
from stocktake.readers.orc.footer import FooterError

#: A piece's header: its length as stored, and whether it is stored as it is.
_HEADER_BYTES: Final = 3
#: No writer has larger blocks: the length of a piece has 23 bits.
_MAX_BLOCK_BYTES: Final = 1 << 23
#: Of a footer; a full one has 64 KB as a rule.
_MOST_PIECES: Final = 100_000

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
    at = count = 0
    while at < len(data):
        count += 1
        if count > _MOST_PIECES:
            raise FooterError(f"it has more than {_MOST_PIECES:,} compressed pieces")
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


def _bounded(decompress: Decompress, piece: bytes, most: int) -> bytes:
    try:
        plain = decompress(piece, most)
    except (*CORRUPT, SwollenError) as exc:
        raise FooterError(f"a compressed piece is corrupt: {str(exc)[:100]}") from exc
    if len(plain) > most:
        raise FooterError(f"a compressed piece has more than {most:,} bytes")
    return plain


_CODECS: Final[dict[str, Decompress]] = {
    "zlib": inflate,
    "snappy": decompress_snappy,
    "LZ4": decompress_lz4,
    "zstd": decompress_zstd,
}
