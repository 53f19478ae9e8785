"""Decoders of compressed streams behind one interface, each step's output bounded."""

import hashlib
import io
from collections.abc import Iterator
from typing import Final, Protocol

import lz4.block  # type: ignore[import-untyped]  # lz4 ships no types
import pyarrow as pa
import zstandard
from isal import igzip_lib

MAX_WINDOW_BYTES: Final = 128 * 1024 * 1024
#: A zstd block is 4 bytes at least and 128 KiB at most; python-zstandard takes no output limit.
_ZSTD_SLICE_BYTES: Final = 512
#: Of a block in Hadoop's framing, whose buffers are 256 KiB as a rule.
_MAX_BLOCK_BYTES: Final = 16 * 1024 * 1024
_LENGTH: Final = 4
_ZLIB_HEADER_BYTES: Final = 2
#: Of a gzip member's header: what each has, and which fields follow.
_GZIP_HEADER_BYTES: Final = 10
_HAS_CHECKSUM, _HAS_EXTRA, _HAS_NAME, _HAS_COMMENT = 2, 4, 8, 16
#: What is longer is given as it is: nobody's name is.
_MOST_GZIP_HEADER_BYTES: Final = 1 << 17
#: Hadoop splits a block into pieces of its buffer's size.
_LEAST_PIECE_BYTES: Final = 1 << 15
#: What SHA-512 takes at once.
_BLOCK: Final = bytes(128)


class Decoder(Protocol):
    """The interface that bz2, lzma, lz4 and igzip share."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes | None: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class Zstd:
    """zstandard behind the interface of bz2 and lzma; fed in slices to bound each output."""

    def __init__(self) -> None:
        decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES)
        self._stream = decompressor.decompressobj()
        self._data = b""
        self._at = 0

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def needs_input(self) -> bool:
        return self._at >= len(self._data)

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data + self._data[self._at :]

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        if data:
            self._data, self._at = self._data[self._at :] + data, 0
        pieces, size = [], 0
        while self._at < len(self._data) and not self.eof and size < max_length:
            # Whole blocks come out of each slice, some 16 MiB at most: 128 blocks of 128 KiB.
            end = self._at + _ZSTD_SLICE_BYTES
            pieces.append(self._stream.decompress(self._data[self._at : end]))
            self._at, size = end, size + len(pieces[-1])
        return b"".join(pieces)


class Deflate:
    """DEFLATE in zlib's framing, as the standard has it, or without any, as some writers have."""

    def __init__(self) -> None:
        self._stream = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_ZLIB)
        self._held: bytes | None = b""

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def needs_input(self) -> bool:
        return self._stream.needs_input

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        if self._held is not None:
            data = self._held + data
            if len(data) < _ZLIB_HEADER_BYTES:
                self._held = data
                return b""
            self._held = None
            if not is_zlib(data):
                self._stream = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_DEFLATE)
        return _inflate(self._stream, data, max_length)


class Gzip:
    """One member of a gzip file, by ISA-L, which takes half of zlib's time. It is given a header as
    a whole: in one that is cut, of a checksum of its own or of a name behind other fields, it loses
    its place."""

    def __init__(self) -> None:
        self._stream = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
        self._held: bytes | None = b""

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def needs_input(self) -> bool:
        return self._stream.needs_input

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        if self._held is not None:
            data = self._held + data
            if len(data) < _MOST_GZIP_HEADER_BYTES and not _has_header(data):
                self._held = data
                return b""
            self._held = None
        return _inflate(self._stream, data, max_length)


def _inflate(stream: igzip_lib.IgzipDecompressor, data: bytes, max_length: int) -> bytes:
    try:
        return stream.decompress(data, max_length)
    finally:
        # ISA-L leaves the upper halves of the vector registers in use, and from then on all that
        # works with their lower halves takes twice its time (Intel's optimization manual, "Mixing
        # AVX code with SSE code"): regular expressions, and Arrow's casts. OpenSSL clears them
        # (vzeroupper).
        hashlib.sha512(_BLOCK)


def _has_header(member: bytes) -> bool:
    """Return whether the header of a gzip member is whole (RFC 1952, 2.3)."""
    if len(member) < _GZIP_HEADER_BYTES:
        return False
    flags, at = member[3], _GZIP_HEADER_BYTES
    if flags & _HAS_EXTRA:
        at += 2 + int.from_bytes(member[at : at + 2], "little")
    for _ in range((flags & _HAS_NAME > 0) + (flags & _HAS_COMMENT > 0)):
        if (end := member.find(b"\0", at)) < 0:
            return False
        at = end + 1
    return len(member) >= at + (flags & _HAS_CHECKSUM)  # of two bytes


def is_zlib(head: bytes) -> bool:
    r"""Return whether bytes begin with zlib's header (RFC 1950).

    >>> is_zlib(b"x\x9c"), is_zlib(b"x,y")
    (True, False)
    """
    return len(head) > 1 and head[0] == 0x78 and (head[0] * 256 + head[1]) % 31 == 0


class Hadoop:
    """The framing of Hadoop's block compressors: the length of a block, then pieces of it, each
    behind its compressed length. Lengths have four bytes, the highest first.

    Args:
        codec: snappy or lz4.

    Raises:
        ValueError: a piece is corrupt, a length too large or against another; while decompressing.
    """

    unused_data = b""

    def __init__(self, codec: str) -> None:
        self._codec = codec
        self._data = bytearray()
        # what is still to come of the block at hand
        self._block = 0

    @property
    def eof(self) -> bool:
        # Blocks follow each other up to the file's end.
        return not self._data and not self._block

    @property
    def needs_input(self) -> bool:
        return self._piece_end() is None

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        self._data += data
        pieces, size = [], 0
        while size < max_length and (end := self._piece_end()) is not None:
            pieces.append(self._decoded(bytes(self._data[_LENGTH:end])))
            size += len(pieces[-1])
            self._block -= len(pieces[-1])
            del self._data[:end]
        return b"".join(pieces)

    def _piece_end(self) -> int | None:
        """Return where the next piece ends; None where more bytes are needed."""
        while not self._block:
            if len(self._data) < _LENGTH:
                return None
            self._block = self._length()
            del self._data[:_LENGTH]
        if len(self._data) < _LENGTH:
            return None
        end = _LENGTH + self._length()
        return end if len(self._data) >= end else None

    def _length(self) -> int:
        length = int.from_bytes(self._data[:_LENGTH])
        if length > _MAX_BLOCK_BYTES:
            raise ValueError("a block is too long")
        return length

    def _decoded(self, piece: bytes) -> bytes:
        if not piece:
            return b""
        if self._codec == "lz4":
            return self._decoded_lz4(piece)
        length = snappy_length(piece)
        if length is None or length > self._block:
            raise ValueError("a piece is longer than its block")
        return bytes(pa.Codec("snappy").decompress(piece, length, asbytes=True))

    def _decoded_lz4(self, piece: bytes) -> bytes:
        try:
            found: bytes = lz4.block.decompress(piece, uncompressed_size=self._block)
        except lz4.block.LZ4BlockError as exc:
            raise ValueError("a piece is corrupt") from exc
        return found


def hadoop_codec(head: bytes) -> str | None:
    """Return which codec of Hadoop's a file begins as: snappy or lz4; None for any other.

    A text of ASCII does not: the lengths begin with a NUL, which in UTF-16 and UTF-32 stands where
    the piece begins, too, and no piece begins with it.
    """
    if len(head) <= 2 * _LENGTH:
        return None
    block, piece = (int.from_bytes(head[at : at + _LENGTH]) for at in (0, _LENGTH))
    if not (0 < block <= _MAX_BLOCK_BYTES and 0 < piece <= block + block // 6 + 32):
        return None
    length = snappy_length(head[2 * _LENGTH :])
    if length == block or (length and _LEAST_PIECE_BYTES <= length < block):
        return "snappy"
    # The first sequence of a block has literals: nothing is there to be repeated.
    return "lz4" if head[2 * _LENGTH] >= 1 << 4 else None


def snappy_length(piece: bytes) -> int | None:
    """Return how many bytes a piece of snappy says that it has; None where that is too many."""
    length = 0
    for at, byte in enumerate(piece[:5]):
        length |= (byte & 0x7F) << (7 * at)
        if byte < 0x80:
            return length if length <= _MAX_BLOCK_BYTES else None
    return None


class _Fed(io.RawIOBase):
    """Chunks as a file."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self.ended = False

    def readable(self) -> bool:
        return True

    def read(self, _size: int = -1) -> bytes:
        chunk = next(self._chunks, b"")
        self.ended = not chunk
        return chunk


def decode_brotli(chunks: Iterator[bytes], *, whole: bool, most: int) -> Iterator[bytes]:
    """Yield what a stream of Brotli holds, of which pyarrow reads files alone.

    Args:
        chunks: small ones: no more are taken than are needed.
        whole: whether they go to the stream's end.
        most: bytes of a piece.

    Raises:
        EOFError: the stream has no end, but should.
        OSError: it is corrupt.
    """
    fed = _Fed(chunks)
    stream = pa.CompressedInputStream(pa.PythonFile(fed, mode="r"), "brotli")
    while True:
        try:
            piece = stream.read(most)
        except OSError as exc:
            if not fed.ended:
                raise
            if whole:
                raise EOFError from exc
            return
        if not piece:
            return
        yield piece
