"""Whether an archive is one to python-calamine and to `zipfile`, by which it is measured.

Where the two could take different directories, or different entries for one name, what is measured
would not be what is read.
"""

import struct
import zipfile
from collections import Counter
from collections.abc import Sequence
from typing import Final

from stocktake.readers.sheets.reach import ReachError

#: The end of central directory record, without the comment (APPNOTE.TXT 4.3.16).
_END: Final = struct.Struct("<4s8xIIH")
_SIGNATURE: Final = b"PK\x05\x06"
#: Before it stands, where a writer takes ZIP64 for any archive, a record of wider numbers and a
#: locator of that (4.3.14, 4.3.15).
_WIDE: Final = struct.Struct("<4sQ28xQQ")
_LOCATOR: Final = struct.Struct("<4s4xQ4x")
_WIDE_SIGNATURE, _LOCATOR_SIGNATURE = b"PK\x06\x06", b"PK\x06\x07"
#: Of the wide record, behind its first two fields.
_WIDE_LENGTH: Final = 44
_IS_WIDE: Final = 0xFFFFFFFF
_ELSEWHERE: Final = "its archive's directory is not where the archive's end says"
#: Of each there is one: what the cells refer to, for .xlsx and for .xlsb.
_SHARED: Final = ("sharedstrings.xml", "sharedstrings.bin")


def check_directory(data: bytes) -> None:
    """Refuse an archive in which there may be another directory than the last one.

    Raises:
        ReachError: the directory does not end where the last end record begins, that record is
            longer than the file, or a ZIP64 record before it says something else.
    """
    at = data.rfind(_SIGNATURE)
    if at < 0 or at + _END.size > len(data):
        return  # which zipfile refuses
    _, size, start, comment = _END.unpack_from(data, at)
    end = at
    locator = at - _LOCATOR.size
    if data.startswith(_LOCATOR_SIGNATURE, max(locator, 0)):
        end = locator - _WIDE.size
        size, start = _wide(data, end, locator, (size, start))
    if start + size != end or at + _END.size + comment > len(data):
        raise ReachError(_ELSEWHERE)


def _wide(data: bytes, at: int, locator: int, told: tuple[int, int]) -> tuple[int, int]:
    """Return a directory's size and start by its wide record, which has to agree with all that is
    told of it elsewhere."""
    if at < 0:
        raise ReachError(_ELSEWHERE)
    _, place = _LOCATOR.unpack_from(data, locator)
    signature, length, *wide = _WIDE.unpack_from(data, at)
    agree = all(each in (number, _IS_WIDE) for each, number in zip(told, wide, strict=True))
    if signature != _WIDE_SIGNATURE or (place, length) != (at, _WIDE_LENGTH) or not agree:
        raise ReachError(_ELSEWHERE)
    size, start = wide
    return size, start


def check_names(entries: Sequence[zipfile.ZipInfo]) -> None:
    """Refuse an archive of which two entries answer to one name.

    Raises:
        ReachError: two names are alike but for their letters' case and their slashes, or there are
            two tables of shared texts.
    """
    names = [entry.filename.lower().replace("\\", "/") for entry in entries]
    name, count = Counter(names).most_common(1)[0] if names else ("", 0)
    if count > 1:
        raise ReachError(f"its archive has {count} entries that are called {name[:100]!r}")
    for shared in _SHARED:
        if sum(each.endswith(shared) for each in names) > 1:
            raise ReachError(f"its archive has more than one {shared}")
