"""Decompression of text files as a stream: which codec, how much it may swell, where it ends."""

import bz2
import lzma
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Final, cast

import lz4.frame  # type: ignore[import-untyped]  # lz4 ships no types
import zstandard
from isal import igzip_lib

from stocktake.errors import InvalidSourceError
from stocktake.readers.limits import exceeded
from stocktake.readers.source import Limits
from stocktake.readers.text.decoders import (
    MAX_WINDOW_BYTES,
    Decoder,
    Deflate,
    Gzip,
    Hadoop,
    Zstd,
    decode_brotli,
)
from stocktake.readers.text.detection import BROTLI, FRAMED, MAGIC_BYTES

_INPUT_BYTES: Final = 4096
_OUTPUT_BYTES: Final = 1 << 20
_GZIP: Final = b"\x1f\x8b"
#: Of Brotli: what a sample that is cut has of the last piece is lost.
_BROTLI_BYTES: Final = 1 << 14
#: Below this many bytes of output no ratio is judged: a small file of one value is no bomb.
_RATIO_FROM_BYTES: Final = 1 << 20

_DECODERS: Final[MappingProxyType[str, Callable[[], Decoder]]] = MappingProxyType(
    {
        "gz": Gzip,
        "zst": Zstd,
        "bz2": bz2.BZ2Decompressor,
        # FORMAT_AUTO reads the .lzma of old, too.
        "xz": lambda: lzma.LZMADecompressor(format=lzma.FORMAT_AUTO, memlimit=MAX_WINDOW_BYTES),
        "lz4": lz4.frame.LZ4FrameDecompressor,
        "deflate": Deflate,
        "snappy": partial(Hadoop, "snappy"),
        "hadoop-lz4": partial(Hadoop, "lz4"),
    }
)
#: Those of which zeros behind a member are padding: none begins with one.
_PADDED: Final = frozenset({"gz", "zst", "bz2", "xz", "lz4"})
#: Those whose streams say how much memory they need.
_WINDOWED: Final = frozenset({"zst", "xz", BROTLI})
#: bz2 raises OSError, lz4 RuntimeError, snappy ValueError.
_CORRUPT: tuple[type[Exception], ...] = (
    # its stub says that it is an instance
    cast("type[Exception]", igzip_lib.IsalError),
    *(lzma.LZMAError, zstandard.ZstdError),
    *(OSError, RuntimeError, EOFError, ValueError),
)


@dataclass(slots=True)
class Taken:
    """How many bytes were given to a decoder so far."""

    size: int = 0


def decompress(
    chunks: Iterable[bytes],
    codec: str,
    *,
    limits: Limits,
    file: str,
    whole: bool,
    taken: Taken | None = None,
    outer: Taken | None = None,
) -> Iterator[bytes]:
    """Yield the decompressed bytes, in pieces of bounded size.

    Args:
        codec: what `detect` said.
        limits: `max_decompression_ratio` is judged after the first MiB of output.
        file: for messages.
        whole: whether `chunks` go to the file's end, so that a stream that breaks off is corrupt.
        taken: counts what is taken of the chunks.
        outer: of the layer around this one, where `chunks` were decompressed themselves: what they
            swell to is judged by it.

    Raises:
        InvalidSourceError: the stream is corrupt, breaks off, or wants too large a window.
        LimitExceededError: the ratio is exceeded.
    """
    own = taken or Taken()
    slices = _slices(chunks, own)
    if codec == BROTLI:
        pieces = _of_brotli(slices, file, whole=whole)
    else:
        pieces = _of_members(slices, codec, file, whole=whole)
    bytes_out = 0
    for piece in pieces:
        bytes_out += len(piece)
        _check_ratio((outer or own).size, bytes_out, limits, file)
        yield piece


def _of_brotli(slices: Iterator[bytes], file: str, *, whole: bool) -> Iterator[bytes]:
    try:
        yield from decode_brotli(slices, whole=whole, most=_BROTLI_BYTES)
    except EOFError as exc:
        raise _breaks_off(BROTLI, file) from exc
    except OSError as exc:
        raise _corrupt(BROTLI, file) from exc


def _of_members(slices: Iterator[bytes], codec: str, file: str, *, whole: bool) -> Iterator[bytes]:
    decoder: Decoder | None = None
    rest, is_empty, has_ended = b"", True, False
    for given in slices:
        rest, is_empty = rest + given, False
        if decoder is None and has_ended and codec in _PADDED:
            rest = rest.lstrip(b"\0")
        while rest or (decoder and not decoder.needs_input):
            if decoder is None:
                # what begins may be of the other codec, as its first bytes will say
                if codec in FRAMED.values() and len(rest) < MAGIC_BYTES:
                    break
                codec = FRAMED.get(rest[:MAGIC_BYTES], codec)
                # ISA-L looks at a header once it has ten bytes, which what is none may not have
                if codec == "gz" and not _GZIP.startswith(rest[: len(_GZIP)]):
                    raise _corrupt(codec, file)
                decoder = _DECODERS[codec]()
            piece = _step(decoder, rest, codec, file)
            # The decoder keeps what it was given, and is asked on with nothing until it needs more.
            rest = b""
            if piece:
                yield piece
            if decoder.eof:
                # another member may follow
                rest, decoder, has_ended = (decoder.unused_data or b"").lstrip(b"\0"), None, True
    # A decoder that is left has not seen its stream's end.
    if whole and (decoder or rest or is_empty):
        raise _breaks_off(codec, file)


def _breaks_off(codec: str, file: str) -> InvalidSourceError:
    return InvalidSourceError(
        f"{file} breaks off: its {codec} stream has no end. The upload was cut short.",
        file=file,
    )


def _slices(chunks: Iterable[bytes], taken: Taken) -> Iterator[bytes]:
    """Yield small pieces: the ratio is judged by what the decoder was given so far."""
    for chunk in chunks:
        for start in range(0, len(chunk), _INPUT_BYTES):
            piece = chunk[start : start + _INPUT_BYTES]
            taken.size += len(piece)
            yield piece


def _step(decoder: Decoder, chunk: bytes, codec: str, file: str) -> bytes:
    try:
        return decoder.decompress(chunk, _OUTPUT_BYTES)
    except MemoryError as exc:
        raise _corrupt(codec, file) from exc
    except _CORRUPT as exc:
        raise _corrupt(codec, file) from exc


def _corrupt(codec: str, file: str) -> InvalidSourceError:
    asks = (
        f", or asks for a window above {MAX_WINDOW_BYTES >> 20} MiB" if codec in _WINDOWED else ""
    )
    return InvalidSourceError(
        f"{file} is not readable as {codec}: the stream is corrupt{asks}.", file=file
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
