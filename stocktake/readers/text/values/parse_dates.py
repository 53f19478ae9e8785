"""A text that was taken for a date or a date-time, made into one.

The rules are those of ClickHouse's ``parseDateTimeBestEffort``: the day before the month unless
only the other way round is a date, two digits of a year are 1970..2069, no zone is UTC.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from stocktake.readers.text.values.dates import SURE_DATE, SURE_DATETIME64, match_moment

_SURE: Final = re.compile(f"{SURE_DATE}|{SURE_DATETIME64}")
_MONTHS: Final = [
    "jan",
    "feb",
    "mar",
    "apr",
    "may",
    "jun",
    "jul",
    "aug",
    "sep",
    "oct",
    "nov",
    "dec",
]
_MONTH_WORD: Final = re.compile(rf"\b({'|'.join(_MONTHS)})", re.IGNORECASE)
_OFFSET: Final = re.compile(r"([+-])(\d\d):?(\d\d)?")


def instant(text: str) -> datetime:
    """Return the moment, aware UTC, to the microsecond; what is finer is cut.

    Raises:
        ValueError: the text is none, or names a day or an hour that does not exist.

    >>> instant("31/01/24 1:05 PM").isoformat(), instant("2024-01-31").isoformat()
    ('2024-01-31T13:05:00+00:00', '2024-01-31T00:00:00+00:00')
    """
    if _SURE.fullmatch(text):
        # Python reads each sure spelling, and cuts nanoseconds as well.
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    parts = match_moment(text)
    if parts is None:
        raise ValueError(f"no date: {len(text)} characters")
    zone = (parts["zone"] or "").upper()
    hour, minute, second, microsecond = _clock(parts["time"], zone)
    year, month, day = _day(parts, text)
    found = datetime(year, month, day, hour, minute, second, microsecond, UTC)
    return found - _offset(zone)


def _day(parts: dict[str, str | None], text: str) -> tuple[int, int, int]:
    if parts["year"]:
        return int(parts["year"]), int(parts["month"] or 0), int(parts["day"] or 0)
    if parts["one"]:
        day, month = int(parts["one"]), int(parts["two_s"] or parts["two_d"] or 0)
        if month > 12:
            day, month = month, day
        return _year(parts["year_b"]), month, day
    year = parts["year_c"] or parts["year_d"] or parts["year_e"]
    return _year(year), _month(text), int(parts["day_c"] or parts["day_d"] or 0)


def _year(digits: str | None) -> int:
    year = int(digits or 0)
    if len(digits or "") > 2:
        return year
    return year + (1900 if year >= 70 else 2000)


def _month(text: str) -> int:
    """Return the month's number by its first three letters; a weekday's name holds none of them."""
    match = _MONTH_WORD.search(text)
    if match is None:
        raise ValueError("no month's name")
    return _MONTHS.index(match[1].lower()) + 1


def _clock(time: str | None, zone: str) -> tuple[int, int, int, int]:
    whole, _, fraction = (time or "").lstrip("T ").partition(".")
    numbers = [int(number) for number in whole.split(":") if number]
    hour, minute, second = [*numbers, 0, 0, 0][:3]
    if "PM" in zone and hour < 12:
        hour += 12
    if "AM" in zone and hour == 12:
        hour = 0
    # Six digits, filled up or cut.
    return hour, minute, second, int(f"{fraction:0<6.6}")


def _offset(zone: str) -> timedelta:
    match = _OFFSET.search(zone)
    if match is None:
        return timedelta()
    offset = timedelta(hours=int(match[2]), minutes=int(match[3] or 0))
    return -offset if match[1] == "-" else offset
