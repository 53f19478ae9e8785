"""Which compression a file has, by an option or by its first bytes, and which is not read."""

import re
from types import MappingProxyType
from typing import Final

from stocktake.errors import UnsupportedError
from stocktake.readers.text.decoders import hadoop_codec, is_zlib
from stocktake.readers.text.encoding import decodes, wide_encoding

BROTLI: Final = "br"
_MAGIC: Final = (
    (b"\x1f\x8b\x08", "gz"),
    (b"\x28\xb5\x2f\xfd", "zst"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x04\x22\x4d\x18", "lz4"),
)
#: Frames that zstd and lz4 step over (RFC 8878, 3.1.2): the first byte is 0x50 to 0x5f.
_SKIPPABLE: Final = tuple(bytes([first]) + b"\x2a\x4d\x18" for first in range(0x50, 0x60))
MAGIC_BYTES: Final = 4
#: Of the codecs that have such frames, by the first bytes of a frame that is none.
FRAMED: Final = MappingProxyType({b"\x28\xb5\x2f\xfd": "zst", b"\x04\x22\x4d\x18": "lz4"})
#: What is not decompressed, by its first bytes, and where they stand.
_UNSUPPORTED: Final = (
    (0, b"PK\x03\x04", "ZIP"),
    (0, b"7z\xbc\xaf\x27\x1c", "7-Zip"),
    (0, b"Rar!\x1a\x07", "RAR"),
    (257, b"ustar", "tar"),
    (0, b"\x1f\x9d", "compress (.Z)"),
    (0, b"\x1f\xa0", "compress (.Z)"),
    (0, b"\x89LZO\x00\r\n\x1a\n", "LZO"),
    (0, b"LZIP\x01", "lzip"),
    (0, b"\xff\x06\x00\x00sNaPpY", "Snappy's framing format (.sz)"),
    (0, b"\x02\x21\x4c\x18", "LZ4's legacy frames"),
    (0, b"\x82SNAPPY\0", "snappy-java's framing"),
    *((0, bytes([first]) + b"\xb5\x2f\xfd", "Zstandard before 0.8") for first in range(0x22, 0x28)),
)
#: What has no first bytes of its own, by how names end.
_RAW: Final = (
    ((".snappy", ".sz"), "Snappy without Hadoop's framing"),
    ((".lz4",), "LZ4 without frames"),
    ((".lzo", ".lzo_deflate"), "LZO"),
)
#: No text has them, but lengths do.
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")
#: A workbook's parts, by the names that Office gives them.
_OFFICE: Final = (b"[Content_Types].xml", b"xl/", b"_rels/", b"docProps/", b"mimetype")
#: Layers: gzip in gzip is what some proxy and some upload make together.
MOST_LAYERS: Final = 2
_BZ2_MAGIC: Final = tuple(b"BZh%d" % level for level in range(1, 10))
#: What follows the level: a block, or the end of a stream that has none. `BZh9` alone may begin a
#: CSV.
_BZ2_BODIES: Final = (b"1AY&SY", b"\x17rE8P\x90")

_ALIASES: Final = MappingProxyType(
    {
        "gzip": "gz",
        "zstd": "zst",
        "bzip2": "bz2",
        "bz": "bz2",
        "lzma": "xz",
        "brotli": BROTLI,
        "zlib": "deflate",
    }
)
_CODECS: Final = frozenset({"gz", "zst", "bz2", "xz", "lz4", BROTLI, "deflate", "snappy"})
_KNOWN: Final = ("gzip", "zstd", "bz2", "xz", "lz4", "brotli", "deflate", "snappy")


def detect(head: bytes, option: str | None = None, name: str = "") -> str | None:
    """Return the codec by the option, else by the first bytes; None for plain text.

    A name such as ``.gz`` decides nothing: where the first bytes do not agree, some proxy has
    decompressed the file on its way, or it never was compressed. Brotli alone has no first bytes
    of its own: a file of that name that holds control characters is it.

    Args:
        name: the file's.

    Raises:
        UnsupportedError: the option names a codec that is not known.
    """
    wanted = (option or "auto").lower()
    wanted = _ALIASES.get(wanted, wanted)
    if wanted == "none":
        return None
    if wanted == "auto":
        return _by_first_bytes(head, name.lower())
    if wanted not in _CODECS:
        raise UnsupportedError(
            f"options.compression is {option!r}; known are auto, none, {', '.join(_KNOWN)}.",
            code="unsupported_compression",
        )
    # Hadoop's framing has the codec's name, too.
    is_hadoop = wanted == "lz4" and hadoop_codec(head) == "lz4"
    return "hadoop-lz4" if is_hadoop else wanted


def _by_first_bytes(head: bytes, name: str) -> str | None:
    if head.startswith(_BZ2_MAGIC) and head[4:10] in _BZ2_BODIES:
        return "bz2"
    if codec := next((codec for magic, codec in _MAGIC if head.startswith(magic)), None):
        return codec
    if head.startswith(_SKIPPABLE):
        return _behind_skippable(head)
    if head.startswith(b"]\x00\x00") and head[4:5] in (b"\x00", b"\x01", b"\x02", b"\x04"):
        return "xz"
    if codec := hadoop_codec(head):
        # What lengths and a first byte say of lz4, some letters of two bytes say, too.
        if codec == "lz4":
            return None if wide_encoding(head) else "hadoop-lz4"
        return codec
    # `x^` may begin a text.
    if is_zlib(head) and (head[1:2] != b"^" or name.endswith((".deflate", ".zlib", ".zz"))):
        return "deflate"
    if name.endswith(".br") and _has_no_text(head) and not decodes(head, "utf-8"):
        return BROTLI
    return None


def _has_no_text(head: bytes) -> bool:
    return not head.isascii() or any(byte < 0x09 for byte in head)


def _behind_skippable(head: bytes) -> str:
    at = 0
    while head.startswith(_SKIPPABLE, at):
        at += 2 * MAGIC_BYTES + int.from_bytes(head[at + 4 : at + 8], "little")
    return FRAMED.get(head[at : at + MAGIC_BYTES], "zst")


def _raw(head: bytes, name: str) -> str | None:
    """Return what a file is compressed with that is one block alone, by its name; None for a
    text."""
    found = next((title for ends, title in _RAW if name.lower().endswith(ends)), None)
    is_text = _CONTROL.search(head) is None and decodes(head, "utf-8")
    return None if is_text else found


def refuse_unsupported(head: bytes, file: str, name: str) -> None:
    """Refuse an archive, or a compression that is not decompressed.

    Args:
        file: for messages.
        name: the file's, or nothing where a layer of compression is off already.

    Raises:
        UnsupportedError: naming it.
    """
    titles = (title for at, magic, title in _UNSUPPORTED if head.startswith(magic, at))
    found = next(titles, None) or _raw(head, name)
    is_office = found == "ZIP" and head[30:].startswith(_OFFICE)
    if found and not is_office:
        raise UnsupportedError(
            f"{file} is compressed, or packed, by {found}, which is not read.",
            code="unsupported_compression",
            hint=f"Store it plain, or compressed by one of {', '.join(_KNOWN)}.",
            file=file,
        )
