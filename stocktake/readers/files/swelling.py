"""How far what is compressed within a file may swell, and its decompression up to that.

One block, or one batch, is in memory as a whole; so it is the block that is bounded.
"""

import zlib
from collections.abc import Callable
from typing import Final, NamedTuple

import lz4.block  # type: ignore[import-untyped]  # lz4 ships no types
import pyarrow as pa
import zstandard

from stocktake.errors import LimitExceededError
from stocktake.readers.limits import exceeded
from stocktake.readers.source import Limits

#: How many times `max_bytes` one block may have once it is decompressed.
_MOST_TIMES: Final = 8
_MAX_WINDOW_BYTES: Final = 1 << 27
#: What the libraries raise on a block that is corrupt.
CORRUPT: Final = (
    zlib.error, zstandard.ZstdError, lz4.block.LZ4BlockError, pa.ArrowException, OSError,
)  # fmt: skip

#: Decompresses a block, one byte more than it may have at most.
Decompress = Callable[[bytes, int], bytes]


class SwollenError(ValueError):
    """A block claims more bytes than it may have."""


class Allowed(NamedTuple):
    """What a block may become.

    Attributes:
        most: bytes.
        limit: the field of the limits that says so.
    """

    most: int
    limit: str

    def check(self, size: int, what: str, limits: Limits) -> None:
        """Refuse a size beyond it.

        Args:
            what: has the size, for the message.

        Raises:
            LimitExceededError: naming the setting.
        """
        if size > self.most:
            raise self.error(what, limits)

    def error(self, what: str, limits: Limits) -> LimitExceededError:
        """Return what `check` raises."""
        times = f", of which {_MOST_TIMES} times the limit are allowed" * (
            self.limit == "max_bytes"
        )
        return exceeded(
            limits,
            self.limit,
            f"{what} has more than {self.most:,} bytes once it is decompressed{times}",
            advice="Write smaller blocks, or with a weaker compression",
        )


def allowed(stored: int, limits: Limits) -> Allowed:
    """Return what may become of a block of so many bytes: `max_bytes` in any case, beyond that as
    many times its size as `max_decompression_ratio` says."""
    ratio = Allowed(
        max(limits.max_bytes, stored * limits.max_decompression_ratio), "max_decompression_ratio"
    )
    return min(ratio, Allowed(_MOST_TIMES * limits.max_bytes, "max_bytes"))


def inflate(block: bytes, most: int) -> bytes:
    """Decompress DEFLATE without a header or a checksum: a `Decompress`."""
    return zlib.decompressobj(wbits=-15).decompress(block, most + 1)


def decompress_snappy(block: bytes, most: int) -> bytes:
    """Decompress a raw block of Snappy: a `Decompress`.

    Raises:
        SwollenError: see there.
    """
    # It begins with its length, for which room would be made unseen.
    size = shift = 0
    for byte in block[:5]:
        size, shift = size | (byte & 127) << shift, shift + 7
        if byte < 128:
            break
    if size > most:
        raise SwollenError(f"it claims {size:,} bytes")
    return bytes(pa.Codec("snappy").decompress(block, size, asbytes=True))


def decompress_lz4(block: bytes, most: int) -> bytes:
    """Decompress a raw block of LZ4: a `Decompress`."""
    return bytes(lz4.block.decompress(block, uncompressed_size=most))


def decompress_zstd(block: bytes, most: int) -> bytes:
    """Decompress frames of Zstandard: a `Decompress`."""
    decompressor = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW_BYTES)
    with decompressor.stream_reader(block, read_across_frames=True) as reader:
        return reader.read(most + 1)
