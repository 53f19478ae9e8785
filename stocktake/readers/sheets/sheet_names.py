"""Which entry of an archive is which sheet: for what is said of it, and no more."""

import struct
import zipfile
from collections.abc import Iterator
from typing import Final

from stocktake.readers.sheets.binary_reach import records
from stocktake.readers.sheets.reach import Attributes, ReachError, local_name, parse

_FOLDER: Final = "xl/"
_BOOK, _BINARY_BOOK = "xl/workbook.xml", "xl/workbook.bin"
_RELATIONS: Final = ("xl/_rels/workbook.xml.rels", "xl/_rels/workbook.bin.rels")
#: Of an .xlsb: names a sheet, behind two numbers.
_BUNDLE: Final = 156
_NAMES_AT: Final = 8


def sheet_names(archive: zipfile.ZipFile) -> dict[str, str]:
    """Return the names of the sheets by those of their entries, in small letters; of none where
    the workbook does not tell.

    Raises:
        ReachError: the XML that has them is none.
    """
    entries = {entry.filename.lower(): entry for entry in archive.infolist()}
    relations, named = dict[str, str](), dict[str, str]()
    for place in _RELATIONS:
        if place in entries:
            relations |= _said(archive.read(entries[place]), "Relationship", "Id", "Target")
    if _BOOK in entries:
        named = _said(archive.read(entries[_BOOK]), "sheet", "id", "name")
    if _BINARY_BOOK in entries:
        with archive.open(entries[_BINARY_BOOK]) as content:
            named |= _bundled(body for kind, body in records(content) if kind == _BUNDLE)
    return {_path(relations[each]): name for each, name in named.items() if each in relations}


def _said(xml: bytes, element: str, key: str, value: str) -> dict[str, str]:
    """Return two attributes of each such element, the second by the first."""
    found = dict[str, str]()

    def start(name: str, attributes: Attributes) -> None:
        known = {local_name(each): said for each, said in attributes.items()}
        if local_name(name) == element and key in known and value in known:
            found[known[key]] = known[value]

    parse([xml], start, lambda _: None, lambda _: None)
    return found


def _path(target: str) -> str:
    return (target[1:] if target.startswith("/") else _FOLDER + target).lower()


def _bundled(bodies: Iterator[bytes]) -> dict[str, str]:
    found = {}
    for body in bodies:
        relation, at = _wide(body, _NAMES_AT)
        found[relation], _ = _wide(body, at)
    return found


def _wide(body: bytes, at: int) -> tuple[str, int]:
    if at + 4 > len(body):
        raise ReachError("a record is too short")
    (length,) = struct.unpack_from("<I", body, at)
    end = at + 4 + 2 * length
    return body[at + 4 : end].decode("utf-16-le", "replace"), end
