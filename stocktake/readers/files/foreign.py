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
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel workbook"),
    (b"\x7fELF", "a program"),
    (b"SQLite format 3\0", "an SQLite database"),
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


def mismatch(path: str, declared: str, found: str) -> FormatMismatchError:
    """Return the error for a source of another format than its table's.

    Args:
        path: of the file, or of the root folder of another table.
        declared: the table's format.
        found: what it looks like.
    """
    return FormatMismatchError(
        f"The table is declared {declared}, but {path} looks like {found}.", file=path
    )


def unlike(
    table_format: TableFormat, name: str, head: bytes, *, hint: str | None = None
) -> FormatMismatchError:
    r"""Return the error for a file that does not begin as its table's binary format does.

    Args:
        name: of the file.
        head: its first `HEAD_BYTES`.
        hint: where a better one is known than that the format must be set.

    >>> unlike(TableFormat.PARQUET, "x", b"\x1f\x8b\x08").detail
    'The table is declared Parquet, but "x" looks like a file compressed with gzip.'
    """
    declared = f"The table is declared {table_format.value}, but"
    for magic, codec in _COMPRESSED:
        if head.startswith(magic):
            return FormatMismatchError(
                f'{declared} "{name}" looks like a file compressed with {codec}.',
                hint=hint or "Decompress the files: the format compresses what is in them itself.",
                file=name,
            )
    found = next((title for magic, title in FOREIGN if head.startswith(magic)), None)
    looks = f"looks like {found}" if found else f"is no {table_format.facts.title} file"
    return FormatMismatchError(f'{declared} "{name}" {looks}.', hint=hint, file=name)
