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
#: Of each there is one: what the cells refer to, for .xlsx and for .xlsb.
_SHARED: Final = ("sharedstrings.xml", "sharedstrings.bin")


def check_directory(data: bytes) -> None:
    """Refuse an archive in which there may be another directory than the last one.

    Raises:
        ReachError: the directory does not end where the last end record begins, or that record is
            longer than the file.
    """
    at = data.rfind(_SIGNATURE)
    if at < 0 or at + _END.size > len(data):
        return  # which zipfile refuses
    _, size, start, comment = _END.unpack_from(data, at)
    if start + size != at or at + _END.size + comment > len(data):
        raise ReachError("its archive's directory is not where the archive's end says")


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
