"""Data files as a log names them: which of its names are one file, and which lie elsewhere.

The schema and the counts stand in the log; but for a preview of one none of them is opened.
"""

import re
from typing import Final
from urllib.parse import unquote

#: A data file, as the protocol tells them apart: its path, and the id of its deletion vector.
Key = tuple[str, str]

#: The storage type of a deletion vector that an absolute path names.
ABSOLUTE: Final = "p"
#: Without any of these, or a slash at its beginning, a path is a plain one below the folder; nearly
#: all paths have none.
SUSPECT: Final = ("%", ":", "\\", "..")
_SUSPECT: Final = re.compile(r"[%:\\]|\.\.|^/")
#: A scheme or a drive with a slash behind it, or a slash alone. A colon without one is no more than
#: a character of a name: `time=10:00/a.parquet`.
_ABSOLUTE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[/\\]|[/\\]")


def canonical(path: str) -> str:
    """Return the one spelling of a `path`, which is percent-encoded where it need not be, too, and
    a local one with or without its scheme.

    >>> canonical("day=1%202/x"), canonical("file:/t/x"), canonical("file:///t/x")
    ('day=1 2/x', '/t/x', '/t/x')
    """
    if "%" in path:
        path = unquote(path)
    return "/" + path.removeprefix("file:").lstrip("/") if path.startswith("file:/") else path


def vector_id(storage: object, path: object, offset: object) -> str:
    """Return the id of a deletion vector (Delta protocol, "Derived Fields").

    >>> vector_id("u", "ab^-aqEH.-t@S}K{vb[*k^", 4), vector_id("i", "wi5b", None)
    ('uab^-aqEH.-t@S}K{vb[*k^@4', 'iwi5b')
    """
    return f"{storage}{path}" if offset is None else f"{storage}{path}@{offset}"


def lies_elsewhere(path: str) -> bool:
    """Return whether a `path`, percent-encoded as the protocol has it, is absolute or climbs out of
    the table's folder. An absolute one may lead back into it.

    >>> lies_elsewhere("day=1/part%20one.parquet"), lies_elsewhere("p=a%2F..%2Fb/x")
    (False, False)
    >>> lies_elsewhere("a/%2e%2e/%2e%2e/b"), lies_elsewhere("s3://b/k")
    (True, True)
    """
    if not _SUSPECT.search(path):
        return False
    plain = unquote(path)
    return _ABSOLUTE.match(plain) is not None or _climbs(re.split(r"[/\\]", plain))


def _climbs(parts: list[str]) -> bool:
    depth = 0
    for part in parts:
        depth += -1 if part == ".." else part not in ("", ".")
        if depth < 0:
            return True
    return False
