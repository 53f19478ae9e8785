"""Decompression of text files as a stream: which codec, how much it may swell, where it ends."""

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator
from types import MappingProxyType
from typing import Final, Protocol

import lz4.frame  # type: ignore[import-untyped]  # lz4 ships no types
import zstandard

from stocktake.errors import InvalidSourceError, UnsupportedError
from stocktake.readers.limits import exceeded
from stocktake.readers.source import Limits

_INPUT_BYTES: Final = 4096
_OUTPUT_BYTES: Final = 1 << 20
#: Below this many bytes of output no ratio is judged: a small file of one value is no bomb.
_RATIO_FROM_BYTES: Final = 1 << 20
_MAX_WINDOW_BYTES: Final = 128 * 1024 * 1024
#: A zstd block is 4 bytes at least and 128 KiB at most; python-zstandard takes no output limit.
_ZSTD_SLICE_BYTES: Final = 512

_MAGIC: Final = (
    (b"\x1f\x8b\x08", "gz"),
    (b"\x28\xb5\x2f\xfd", "zst"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x04\x22\x4d\x18", "lz4"),
)
_BZ2_MAGIC: Final = tuple(b"BZh%d" % level for level in range(1, 10))
#: What follows the level: a block, or the end of a stream that has none. `BZh9` alone may begin a
#: CSV.
_BZ2_BODIES: Final = (b"1AY&SY", b"\x17rE8P\x90")

_ALIASES: Final = MappingProxyType(
    {"gzip": "gz", "zstd": "zst", "bzip2": "bz2", "lzma": "xz", "bz": "bz2"}
)


class _Decoder(Protocol):
    """The interface that bz2, lzma and lz4 share."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes | None: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Gzip:
    """zlib behind the interface of bz2 and lzma."""

    def __init__(self) -> None:
        # 16 for gzip's header and checksum, 15 for the largest window (zlib's manual,
        # inflateInit2).
        self._stream = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def needs_input(self) -> bool:
        return not self._stream.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        # zlib does not keep what it had no room for: it hands that back and wants it again.
        return self._stream.decompress(self._stream.unconsumed_tail + data, max_length)


class _Zstd:
    """zstandard behind the interface of bz2 and lzma; fed in slices to bound each output."""

    def __init__(self) -> None:
        decompressor = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW_BYTES)
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


_DECODERS: Final[MappingProxyType[str, Callable[[], _Decoder]]] = MappingProxyType(
    {
        "gz": _Gzip,
        "zst": _Zstd,
        "bz2": bz2.BZ2Decompressor,
        "xz": lambda: lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_MAX_WINDOW_BYTES),
        "lz4": lz4.frame.LZ4FrameDecompressor,
    }
)

#: bz2 raises OSError, lz4 RuntimeError.
_CORRUPT = (zlib.error, lzma.LZMAError, zstandard.ZstdError, OSError, RuntimeError, EOFError)


def detect(head: bytes, option: str | None = None) -> str | None:
    """Return the codec by the option, else by the first bytes; None for plain text.

    A name such as ``.gz`` decides nothing: where the first bytes do not agree, some proxy has
    decompressed the file on its way, or it never was compressed.

    Raises:
        UnsupportedError: the option names a codec that is not known.
    """
    name = (option or "auto").lower()
    name = _ALIASES.get(name, name)
    if name == "none":
        return None
    if name != "auto":
        if name not in _DECODERS:
            raise UnsupportedError(
                f"options.compression is {option!r}; known are auto, none, {', '.join(_DECODERS)}.",
                code="unsupported_compression",
            )
        return name
    if head.startswith(_BZ2_MAGIC) and head[4:10] in _BZ2_BODIES:
        return "bz2"
    return next((codec for magic, codec in _MAGIC if head.startswith(magic)), None)


def decompress(
    chunks: Iterable[bytes], codec: str, *, limits: Limits, file: str, whole: bool
) -> Iterator[bytes]:
    """Yield the decompressed bytes, in pieces of bounded size.

    Args:
        codec: what `detect` said.
        limits: `max_decompression_ratio` is judged after the first MiB of output.
        file: for messages.
        whole: whether `chunks` go to the file's end, so that a stream that breaks off is corrupt.

    Raises:
        InvalidSourceError: the stream is corrupt, breaks off, or wants too large a window.
        LimitExceededError: the ratio is exceeded.
    """
    bytes_in, bytes_out = 0, 0
    decoder: _Decoder | None = None
    for given in _slices(chunks):
        bytes_in += len(given)
        rest = given
        while rest or (decoder and not decoder.needs_input):
            decoder = decoder or _DECODERS[codec]()
            piece = _step(decoder, rest, codec, file)
            # The decoder keeps what it was given, and is asked on with nothing until it needs more.
            rest = b""
            bytes_out += len(piece)
            _check_ratio(bytes_in, bytes_out, limits, file)
            if piece:
                yield piece
            if decoder.eof:
                # another member may follow; zeros are padding
                rest, decoder = (decoder.unused_data or b"").lstrip(b"\0"), None
    # A decoder that is left has not seen its stream's end.
    if whole and (decoder or not bytes_in):
        raise InvalidSourceError(
            f"{file} breaks off: its {codec} stream has no end. The upload was cut short.",
            file=file,
        )


def _slices(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield small pieces: the ratio is judged by what the decoder was given so far."""
    for chunk in chunks:
        for start in range(0, len(chunk), _INPUT_BYTES):
            yield chunk[start : start + _INPUT_BYTES]


def _step(decoder: _Decoder, chunk: bytes, codec: str, file: str) -> bytes:
    try:
        return decoder.decompress(chunk, _OUTPUT_BYTES)
    except MemoryError as exc:
        raise _corrupt(codec, file) from exc
    except _CORRUPT as exc:
        raise _corrupt(codec, file) from exc


def _corrupt(codec: str, file: str) -> InvalidSourceError:
    return InvalidSourceError(
        f"{file} is not readable as {codec}: the stream is corrupt, or asks for a window above "
        f"{_MAX_WINDOW_BYTES >> 20} MiB.",
        file=file,
    )


def _check_ratio(bytes_in: int, bytes_out: int, limits: Limits, file: str) -> None:
    most = limits.max_decompression_ratio
    if bytes_out > _RATIO_FROM_BYTES and bytes_out > bytes_in * most:
        raise exceeded(
            limits,
            "max_decompression_ratio",
            f"{file} swells to more than {most} times its size when decompressed",
            advice="Store it with a weaker compression, or plain",
            file=file,
        )
