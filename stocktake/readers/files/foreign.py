"""What a file is that begins with other bytes than its table's format does."""

from typing import Final

from stocktake.errors import FormatMismatchError
from stocktake.schema.formats import TableFormat

#: Binary formats by their first bytes.
FOREIGN: Final = (
    *((each.facts.magic, each.facts.title) for each in TableFormat if each.facts.magic),
    (b"PARE", "encrypted Parquet"),
    (b"FEA1", "Feather of version 1"),
    (b"PK\x03\x04", "a ZIP archive, as .xlsx files are"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"MSCF\0", "a cabinet archive"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel workbook"),
    (b"\x7fELF", "a program"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"\x89HDF\r\n\x1a\n", "HDF5"),
    (b"\x89PNG\r\n\x1a\n", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"RDX3\n", "R's data"),
    (b"Salted__", "data encrypted by OpenSSL"),
)
PGP: Final = "a message encrypted by PGP"
#: What stands where a file should be, or hides it, though it may be a text to its end.
STAND_INS: Final = (
    (b"%PDF-", "a PDF"),
    (b"version https://git-lfs.github.com/spec/", "a pointer of Git LFS, not the file itself"),
    (b"-----BEGIN PGP MESSAGE-----", PGP),
    (b"age-encryption.org/", "data encrypted by age"),
    (b"\x1e{", "a JSON text sequence of RFC 7464"),
)
#: What tells all of them.
HEAD_BYTES: Final = 16
#: Beside them, of files that are never read compressed.
_COMPRESSED: Final = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"BZh", "bzip2"),
)
#: What OpenPGP encrypts begins with a packet (RFC 9580, 4.2) of a session key: by its first byte,
#: the versions that there are of it. Where the version stands the length before it says.
_PGP: Final = {
    0x84: b"\3\6", 0x85: b"\3\6", 0xC1: b"\3\6", 0x8C: b"\4\5\6", 0x8D: b"\4\5\6", 0xC3: b"\4\5\6",
}  # fmt: skip
_LONG: Final = (0x85, 0x8D)
_NEW: Final = 0xC0
_TWO_BYTES: Final = range(192, 224)
_MARKUP: Final = (b"<html", b"<!doctype", b"<?xml", b"<table")
_DECOMPRESS: Final = "Decompress the files: the format compresses what is in them itself."


def looks_like(head: bytes) -> str | None:
    r"""Return what a file is by its first `HEAD_BYTES`; None for what is not known.

    >>> looks_like(b"\x1f\x8b\x08"), looks_like(b"version https://")
    ('a file compressed with gzip', 'a pointer of Git LFS, not the file itself')
    """
    if codec := _codec(head):
        return f"a file compressed with {codec}"
    if is_pgp(head):
        return PGP
    if head.lstrip(b"\xef\xbb\xbf \r\n\t").lower().startswith(_MARKUP):
        return "an HTML or XML page"
    known = ((begins[:HEAD_BYTES], title) for begins, title in (*FOREIGN, *STAND_INS))
    return next((title for begins, title in known if head.startswith(begins)), None)


def is_pgp(head: bytes) -> bool:
    r"""Return whether bytes begin as what OpenPGP encrypts, in binary.

    >>> is_pgp(bytes.fromhex("8c0d0407")), is_pgp(bytes.fromhex("85010c03")), is_pgp(b"a,b")
    (True, True, False)
    """
    versions = _PGP.get(head[0]) if len(head) > 3 else None
    if versions is None:
        return False
    is_long = head[1] in _TWO_BYTES if head[0] >= _NEW else head[0] in _LONG
    return head[2 + is_long] in versions


def hint_for(head: bytes) -> str | None:
    """Return what to do about a file that is compressed; None for any other."""
    return _DECOMPRESS if _codec(head) else None


def mismatch(path: str, declared: str, found: str) -> FormatMismatchError:
    """Return the error for a source of another format than its table's.

    Args:
        path: of the file, or of the root folder of another table.
        declared: the table's format.
        found: what it looks like.
    """
    return FormatMismatchError(f"{path} is declared {declared}, but looks like {found}.", file=path)


def unlike(
    table_format: TableFormat, name: str, head: bytes, *, hint: str | None = None
) -> FormatMismatchError:
    r"""Return the error for a file that does not begin as its table's binary format does.

    Args:
        name: of the file.
        head: its first `HEAD_BYTES`.
        hint: where a better one is known than that the format must be set.

    >>> unlike(TableFormat.PARQUET, "x", b"\x1f\x8b\x08").detail
    '"x" is declared Parquet, but looks like a file compressed with gzip.'
    """
    found = looks_like(head)
    looks = f"looks like {found}" if found else f"is no {table_format.facts.title} file"
    return FormatMismatchError(
        f'"{name}" is declared {table_format.value}, but {looks}.',
        hint=hint or hint_for(head),
        file=name,
    )


def _codec(head: bytes) -> str | None:
    return next((codec for magic, codec in _COMPRESSED if head.startswith(magic)), None)
