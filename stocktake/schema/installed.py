"""Formats that other packages add: entry points of the group ``stocktake.formats``.

An entry point's name is the format's, as a table stores it; what it names is the format's `Facts`.
Every process loads that module when it starts, so it must be cheap; the reader that the facts name
is loaded where a source is read. Both run with all rights of the process that loads them.
"""

import re
from collections.abc import Iterable, Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from stocktake.schema.facts import Facts

GROUP: Final = "stocktake.formats"
#: As long as the database's column; letters and digits, as ClickHouse's formats have.
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9]{0,19}")


class InstalledFormatError(ImportError):
    """A package that is installed adds a format that cannot be used. No process starts with it: its
    tables would fail one by one, and nobody would know why."""


def installed(known: Iterable[tuple[str, Facts]]) -> Iterator[tuple[str, Facts]]:
    """Yield name and facts of each format that an installed package adds, by its name.

    Args:
        known: the formats that there are; their names are taken, in any letter case, and so is
            what uploads call them.

    Raises:
        InstalledFormatError: one cannot be loaded, or is no format; it names the package.
    """
    taken = {name.lower(): facts.file_format for name, facts in known}
    for point in sorted(entry_points(group=GROUP), key=lambda each: each.name):
        if not _NAME.fullmatch(point.name):
            raise _refused(point, "its name must be a letter and up to 19 letters and digits")
        if point.name.lower() in taken:
            raise _refused(point, "there is a format of that name")
        facts = _loaded(point)
        if facts.file_format and facts.file_format in taken.values():
            raise _refused(point, f"another format is called {facts.file_format!a} in uploads")
        taken[point.name.lower()] = facts.file_format
        yield point.name, facts


def _loaded(point: EntryPoint) -> Facts:
    try:
        facts = point.load()
    except Exception as exc:  # whatever a stranger's module raises while it is imported
        raise _refused(point, f"it cannot be loaded: {exc}") from exc
    if not isinstance(facts, Facts):
        raise _refused(point, f"{point.value} is no stocktake.schema.facts.Facts")
    return facts


def _refused(point: EntryPoint, why: str) -> InstalledFormatError:
    package = point.dist.name if point.dist else "an unknown package"
    return InstalledFormatError(
        f"The package {package} adds the format {point.name!a}, which cannot be used: {why}. "
        "Mend or uninstall it."
    )
