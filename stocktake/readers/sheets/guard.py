"""Which workbooks are not opened: what would swell beyond all bounds, or is locked.

python-calamine takes no limits. A sheet's cells become a rectangle of all rows and columns up to
the last one, however few there are, and an archive's entries are inflated as far as they go.
"""

import io
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Final

from stocktake.errors import InvalidSourceError, LimitExceededError, UnsupportedError
from stocktake.readers.files.foreign import mismatch
from stocktake.readers.files.schemas import Opened
from stocktake.readers.limits import exceeded
from stocktake.readers.sheets.archive import check_directory, check_names
from stocktake.readers.sheets.binary_reach import BinaryReach, shared_lengths
from stocktake.readers.sheets.compound import COMPOUND, stream_of
from stocktake.readers.sheets.old_workbook import LockedError, checked
from stocktake.readers.sheets.reach import ExcelReach, OdsReach, Reach, ReachError, SharedTexts
from stocktake.readers.sheets.sheet_names import sheet_names

ZIP: Final = b"PK\x03\x04"

_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
#: An archive of as many bytes may swell as it likes: a small one with one value is no bomb.
_RATIO_FROM_BYTES: Final = 1 << 20
#: How many times `max_bytes` an archive may have once inflated.
_MOST_SWELLING: Final = 8
#: Each is an object of Python's.
MOST_CELLS: Final = 10_000_000
_CHUNK_BYTES: Final = 1 << 20

#: What the sheets of an .xlsx have in them, whatever an entry is called: its relations name it.
_SHEET: Final = b"sheetData"
_SHARED: Final = "sharedstrings.xml"
_ODS: Final = "content.xml"
#: Of an .xlsb: which entries are its sheets, and what their cells refer to.
_BINARY: Final = "xl/_rels/workbook.bin.rels"
_SHARED_BINARY: Final = "sharedstrings.bin"

#: The stream in which Excel and others put what a password locks.
_LOCKED: Final = "EncryptedPackage"
#: Of an .ods the element that says so, whatever its prefix; a picture may be called so.
_LOCK: Final = re.compile(rb"<(?:[\w.-]++:)?encryption-data[\s/>]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A workbook that may be opened.

    Attributes:
        data: what to open.
        by_name: what is known of its sheets, where their names are known as well.
        in_order: or else of all of them.
    """

    data: bytes
    by_name: Mapping[str, Reach] = field(default_factory=dict)
    in_order: Sequence[Reach] = ()

    def reach(self, name: str, names: Sequence[str]) -> Reach:
        """Return what is known of a sheet, by its name among all."""
        if len(self.in_order) == len(names):
            return self.in_order[names.index(name)]
        return self.by_name.get(name, Reach())


def check(data: bytes, file: Opened) -> Checked:
    """Refuse a workbook that is no file to open.

    Args:
        data: the whole file: an archive or a compound file.

    Raises:
        LimitExceededError: it swells too much, or is too large a rectangle.
        UnsupportedError: it is locked by a password.
        InvalidSourceError: it is corrupt.
        FormatMismatchError: a compound file is no workbook.
    """
    try:
        return _check_old(data, file) if data.startswith(COMPOUND) else _check_archive(data, file)
    except ReachError as exc:
        raise invalid(file, str(exc)) from exc
    except LockedError as exc:
        raise locked(file) from exc
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError) as exc:
        raise invalid(file, f"as an archive it cannot be read: {exc}") from exc
    except RuntimeError as exc:  # what zipfile raises of an entry that asks for a password
        raise locked(file) from exc


def _check_old(data: bytes, file: Opened) -> Checked:
    found = checked(data)
    if found is None:
        if stream_of(data, (_LOCKED,)) is not None:
            raise LockedError
        what = "an old file of Office that is no workbook, as Word and Outlook write them"
        raise mismatch(file.name, file.source.format.value, what)
    # Whatever sheet is asked for, all of them are read.
    check_cells(sum(each.cells for each in found.sheets), file)
    _check_text(sum(each.text for each in found.sheets), file)
    return Checked(data=found.data, in_order=found.sheets)


def _check_archive(data: bytes, file: Opened) -> Checked:
    check_directory(data)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        check_names(archive.infolist())
        _check_sizes(archive.infolist(), len(data), file)
        for entry in archive.infolist():
            _check_entry(archive, entry, file)
        return _check_reach(archive, data, file)


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
        if entry.filename == "META-INF/manifest.xml" and _LOCK.search(content.read()):
            raise locked(file)
        for _ in _chunks(content):
            pass


def _check_reach(archive: zipfile.ZipFile, data: bytes, file: Opened) -> Checked:
    """Hold what the sheets would become against the limits."""
    entries, shared, binary = archive.infolist(), SharedTexts(), list[int]()
    for entry in entries:
        with archive.open(entry) as content:
            if entry.filename.lower().endswith(_SHARED):
                shared.read(_chunks(content))
            elif entry.filename.lower().endswith(_SHARED_BINARY):
                binary += shared_lengths(content)
    relations, names = _relations(archive), sheet_names(archive)
    by_name, in_order = dict[str, Reach](), list[Reach]()
    for entry in entries:
        name = names.get(entry.filename.lower(), "")
        if entry.filename == _ODS:
            tables = OdsReach()
            _hold(_read(tables, archive, entry), file)
            in_order = tables.sheets
        elif _is_sheet(archive, entry):
            by_name[name] = _read(ExcelReach(shared.lengths), archive, entry)
            _hold(by_name[name], file)
        if _is_named(entry, relations):
            with archive.open(entry) as content:
                sheet = BinaryReach(binary)
                sheet.read(content)
                by_name[name] = sheet
                _hold(sheet, file)
    return Checked(data=data, by_name=by_name, in_order=in_order)


def _relations(archive: zipfile.ZipFile) -> bytes:
    entries = archive.infolist()
    return b"".join(archive.read(each) for each in entries if each.filename.lower() == _BINARY)


def _is_named(entry: zipfile.ZipInfo, relations: bytes) -> bool:
    """Return whether the relations of an .xlsb may name an entry: a picture, taken for records,
    may say anything."""
    name = entry.filename.replace("\\", "/").rpartition("/")[2]
    return bool(relations) and (b"&" in relations or name.lower().encode() in relations.lower())


def _read(
    reach: ExcelReach | OdsReach, archive: zipfile.ZipFile, entry: zipfile.ZipInfo
) -> ExcelReach | OdsReach:
    with archive.open(entry) as content:
        reach.read(_chunks(content))
    return reach


def _hold(reach: Reach, file: Opened) -> None:
    check_cells(reach.cells, file)
    _check_text(reach.text, file)


def _check_text(size: int, file: Opened) -> None:
    if size > _MOST_SWELLING * file.limits.max_bytes:
        raise exceeded(
            file.limits,
            "max_bytes",
            f'The cells of "{file.name}" have {size:,} characters, with those that are '
            f"shared or repeated, of which {_MOST_SWELLING} times the limit are allowed",
            advice="Write it as CSV or Parquet",
            file=file.name,
        )


def _is_sheet(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bool:
    before = b""
    with archive.open(entry) as content:
        for chunk in _chunks(content):
            if _SHEET in before + chunk:
                return True
            before = chunk[-len(_SHEET) :]
    return False


def _chunks(content: IO[bytes]) -> Iterator[bytes]:
    while chunk := content.read(_CHUNK_BYTES):
        yield chunk


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
