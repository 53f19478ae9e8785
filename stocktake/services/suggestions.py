"""What a URL tells of itself before anything is read: its store, its format, a name for a table."""

import re
from dataclasses import dataclass
from typing import Final

from stocktake.schema.formats import TableFormat, format_of_file
from stocktake.services import tables
from stocktake.services.context import Context
from stocktake.storage.places import globs, guard
from stocktake.storage.places.providers import match_host
from stocktake.storage.places.urls import Location

_LONGEST_NAME: Final = 60
_LETTER: Final = re.compile(r"[A-Za-z]{2}")
_ENDING: Final = re.compile(r"(?:\.[A-Za-z0-9]{1,8}){1,2}$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """What can be said of a URL.

    Attributes:
        store: the service, as its users call it.
        format: None where no ending tells.
        name: for a table; may be taken, and empty where nothing fits.
        is_pattern: whether it has a wildcard.
        wider: the same URL for all such files beside it; None where it is one already, or tells
            no ending.
        needs_key: whether it is read with a key, unless it is public.
    """

    store: str
    location: Location
    format: TableFormat | None
    name: str
    is_pattern: bool
    wider: str | None
    needs_key: bool


def suggest(context: Context, url: str) -> Suggestion:
    """Say what a URL that somebody has pasted tells. Nothing is asked, no name is looked up.

    Raises:
        ValidationError: it may not be opened.
    """
    location = guard.check(tables.checked_url(url), context.process.guard)
    is_pattern = globs.is_glob(location.pattern)
    known = match_host(location.host) if location.host else None
    return Suggestion(
        store=(known and known.store) or _STORES.get(location.provider, location.provider),
        location=location,
        format=format_of_file(location.key),
        name=_name(location),
        is_pattern=is_pattern,
        wider=None if is_pattern else _wider(url),
        needs_key=tables.needs_credential(location, {}),
    )


#: Where no known host tells it.
_STORES: Final = {"file": "A folder of the service's machine", "s3_compatible": "A store like S3"}


def _name(location: Location) -> str:
    """Return the last part of the path that is no wildcard, as a table may be called."""
    parts = [part for part in location.key.split("/") if part and "=" not in part]
    plain = [_ENDING.sub("", part) for part in parts if not globs.is_glob(part)]
    # A number or a date names a part of a table, and not the table.
    found = next((part for part in reversed(plain) if _LETTER.search(part)), location.bucket)
    name = re.sub(r"\W+", "_", found, flags=re.ASCII).strip("_")[:_LONGEST_NAME]
    return f"_{name}" if name[:1].isdigit() else name


def _wider(url: str) -> str | None:
    folder, slash, file = url.rpartition("/")
    ending = _ENDING.search(file)
    if not slash or ending is None or format_of_file(file) is None:
        return None
    return f"{folder}/*{ending[0]}"
