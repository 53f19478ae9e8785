"""Tables that their root folder names: how one is told where files, or another table, were asked
for."""

from collections.abc import Iterable
from itertools import islice
from typing import Final

from stocktake.readers.files.listing import relative_name
from stocktake.readers.source import Source
from stocktake.schema.formats import TableFormat
from stocktake.storage.places.globs import literal

_FOLDERS: Final = tuple(
    {each.facts.folder: each.facts for each in TableFormat if each.is_folder}.values()
)
#: What is looked at of a folder: one page of a listing.
_LOOKED_AT: Final = 1000


def table_at(source: Source) -> str | None:
    """Return what people call the table whose root folder the source's path is, of another format
    than the source's; None where it is none. A round trip for each format of folders."""
    root = literal(source.path).strip("/")
    for facts in _FOLDERS:
        inside = f"{root}/{facts.folder}/".lstrip("/")
        if facts is source.format.facts:
            continue
        for info in islice(source.store.list(inside), _LOOKED_AT):
            if facts.is_proved_by(info.path.removeprefix(inside)):
                return facts.title
    return None


def table_among(source: Source, paths: Iterable[str]) -> str | None:
    """Return what people call the table to which one of the files that a pattern matched belongs:
    a file of its log or its metadata."""
    weak = [each for each in _FOLDERS if each.folder_file]
    strong = {each.folder: each.title for each in _FOLDERS if not each.folder_file}
    for path in paths:
        parts = path.split("/")
        if found := strong.keys() & parts:
            return strong[found.pop()]
        # A folder that the pattern itself spells out is meant.
        *folders, name = relative_name(source, path).split("/")
        for each in weak:
            if folders and folders[-1] == each.folder and each.is_proved_by(name):
                return each.title
    return None
