"""Which workbooks are not opened: what would swell beyond all bounds, or is locked.

python-calamine takes no limits. A sheet's cells become a rectangle of all rows and columns up to
the last one, however few there are, and an archive's entries are inflated as far as they go.
"""

import io
import re
import zipfile
import zlib
from typing import IO, Final

from stocktake.errors import InvalidSourceError, LimitExceededError, UnsupportedError
from stocktake.readers.files.schemas import Opened
from stocktake.readers.limits import exceeded

ZIP: Final = b"PK\x03\x04"
#: A compound file (MS-CFB): an old workbook, or one that is locked.
COMPOUND: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
#: An archive of as many bytes may swell as it likes: a small one with one value is no bomb.
_RATIO_FROM_BYTES: Final = 1 << 20
#: How many times `max_bytes` an archive may have once inflated.
_MOST_SWELLING: Final = 8
#: Each is an object of Python's.
MOST_CELLS: Final = 10_000_000
_CHUNK_BYTES: Final = 1 << 20

#: Where a cell of an .xlsx sheet is: letters, then a number.
_CELL: Final = re.compile(rb'\br="([A-Z]{1,3})([0-9]{1,7})"')
_SHEET: Final = re.compile(r"xl/worksheets/[^/]*\.xml", re.IGNORECASE)
#: The longest that a place may be, and so what is kept of a chunk for the next.
_PLACE_BYTES: Final = 16

#: The streams in which Excel and others put what a password locks, in UTF-16.
_LOCKED: Final = "EncryptedPackage".encode("utf-16-le")


def check(data: bytes, file: Opened) -> None:
    """Refuse a workbook that is no file to open.

    Args:
        data: the whole file: an archive or a compound file.

    Raises:
        LimitExceededError: it swells too much, or is too large a rectangle.
        UnsupportedError: it is locked by a password.
        InvalidSourceError: the archive is corrupt.
    """
    if data.startswith(COMPOUND):
        if _LOCKED in data:
            raise locked(file)
        return
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check_sizes(archive.infolist(), len(data), file)
            for entry in archive.infolist():
                _check_entry(archive, entry, file)
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError) as exc:
        raise invalid(file, f"as an archive it cannot be read: {exc}") from exc
    except RuntimeError as exc:  # what zipfile raises of an entry that asks for a password
        raise locked(file) from exc


def _check_sizes(entries: list[zipfile.ZipInfo], stored: int, file: Opened) -> None:
    """Hold what the archive's directory says against the limits, before anything is inflated."""
    size = sum(entry.file_size for entry in entries)
    ratio = file.limits.max_decompression_ratio
    if size > _RATIO_FROM_BYTES and size > ratio * stored:
        raise exceeded(
            file.limits,
            "max_decompression_ratio",
            f'The workbook "{file.name}" swells from {stored:,} bytes to {size:,}',
            advice="Write it as CSV or Parquet",
            file=file.name,
        )
    if size > _MOST_SWELLING * file.limits.max_bytes:
        raise exceeded(
            file.limits,
            "max_bytes",
            f'The workbook "{file.name}" has {size:,} bytes once it is inflated, of which '
            f"{_MOST_SWELLING} times the limit are allowed",
            advice="Write it as CSV or Parquet",
            file=file.name,
        )


def _check_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, file: Opened) -> None:
    """Inflate an entry once, to see that it is as long as the directory says: `zipfile` raises
    where it is not."""
    if entry.compress_type not in _METHODS:
        raise InvalidSourceError(
            f'The workbook "{file.name}" is compressed in another way than workbooks are.',
            file=file.name,
        )
    with archive.open(entry) as content:
        if _SHEET.fullmatch(entry.filename):
            _check_rectangle(content, file)
        elif entry.filename == "META-INF/manifest.xml":
            if b"encryption-data" in content.read():
                raise locked(file)
        else:
            while content.read(_CHUNK_BYTES):
                pass


def _check_rectangle(sheet: IO[bytes], file: Opened) -> None:
    columns, rows, before = b"", 0, b""
    while chunk := sheet.read(_CHUNK_BYTES):
        for letters, number in _CELL.findall(before + chunk):
            columns = max(columns, letters, key=lambda each: (len(each), each))
            rows = max(rows, int(number))
        before = chunk[-_PLACE_BYTES:]
    width = 0
    for letter in columns:
        width = width * 26 + letter - ord("A") + 1
    check_cells(width * rows, file)


def check_cells(count: int, file: Opened) -> None:
    """Refuse a sheet of more than `MOST_CELLS`.

    Args:
        count: up to its last row and column.
    """
    if count > MOST_CELLS:
        raise LimitExceededError(
            f'A sheet of "{file.name}" reaches over {count:,} cells; {MOST_CELLS:,} are allowed.',
            hint="No setting raises this: delete rows and columns that are empty but for their "
            "format, or write the sheet as CSV or Parquet.",
            file=file.name,
        )


def locked(file: Opened) -> UnsupportedError:
    """Return the error for a workbook that asks for a password."""
    return UnsupportedError(
        f'The workbook "{file.name}" is locked by a password.',
        code="encrypted_workbook",
        hint="Save it without a password.",
        file=file.name,
    )


def invalid(file: Opened, why: str) -> InvalidSourceError:
    """Return the error for a workbook that is corrupt."""
    return InvalidSourceError(f'The workbook "{file.name}" is corrupt: {why}', file=file.name)
