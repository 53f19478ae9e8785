"""The spellings of dates and date-times, and the moment that a text spells.

The rules are those of ClickHouse's ``parseDateTimeBestEffort``: the day before the month unless
only the other way round is a date, two digits of a year are 1970..2069, no zone is UTC. Days and
hours that do not exist are no moment, though ClickHouse makes the next day of some.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

_DAY = (
    r"-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])"
    r"|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
)
_CLOCK = r"[T ](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
_OFFSET = r"(?:Z|[+-](?:0[0-9]|1[0-4]):?[0-5][0-9])?"
#: Patterns of the common spelling, cheap to match, which are surely of the kind.
#: Narrower than the types, so that no day need be compared and no zone added: Date and DateTime
#: together end in 2106, and 64 bits of nanoseconds reach from 1677 to 2262.
SURE_DATE: Final = rf"(?:19[7-9][0-9]|20[0-9]{{2}}|210[0-5]){_DAY}"
_DATETIME_DAY = rf"(?:197[1-9]|19[89][0-9]|20[0-9]{{2}}|210[0-4]){_DAY}"
SURE_DATETIME: Final = rf"{_DATETIME_DAY}{_CLOCK}{_OFFSET}"
_DATETIME64_DAY = rf"(?:1[89][0-9]{{2}}|2[01][0-9]{{2}}){_DAY}"
SURE_DATE32: Final = _DATETIME64_DAY
SURE_DATETIME64: Final = rf"{_DATETIME64_DAY}{_CLOCK}(?:\.[0-9]{{1,9}})?{_OFFSET}"
_SURE: Final = re.compile(f"{SURE_DATE32}|{SURE_DATETIME64}")

_MONTHS: Final = (
    *("jan", "feb", "mar", "apr", "may", "jun"),
    *("jul", "aug", "sep", "oct", "nov", "dec"),
)
_MONTH = f"(?i:{'|'.join(_MONTHS)})"
_LONG_MONTH = f"{_MONTH}(?i:uary|ruary|ch|il|e|y|ust|tember|ober|ember)?"
_WEEKDAY = r"(?:(?i:mon|tue|wed|thu|fri|sat|sun)[a-z]{0,6},?\ )?"
_ZONE = r"\ ?(?:Z|UTC|GMT|MSK|MSD|AM|PM|[+-](?:0\d|1[0-4])(?::?[0-5]\d)?)"
#: Four ways to a day: year first; numbers alone; the day before the month's name; behind it. Then a
#: time, which a comma may part from a day of numbers, and up to two of zone and AM or PM.
_MOMENT: Final = re.compile(
    rf"""
    (?:
        (?:
            (?P<year>\d{{4}})[-/](?P<month>\d\d?)[-/](?P<day>\d\d?)
          | (?P<one>\d\d?)(?:/(?P<two_s>\d\d?)/|-(?P<two_d>\d\d?)-)(?P<year_b>\d{{4}}|\d\d)
        )
        (?P<comma>,\ {{0,4}}(?=\d\d?:))?
      | {_WEEKDAY}(?P<day_c>\d\d?)(?:[ -]{_LONG_MONTH}[ -](?P<year_c>\d{{4}})
            |-{_MONTH}-(?P<year_e>\d\d))
      | {_WEEKDAY}{_LONG_MONTH}\ (?P<day_d>\d\d?),?\ (?P<year_d>\d{{4}})
    )
    (?P<time>(?:T|\ {{1,4}}|(?<=[,\ ]))\d\d?(?::\d\d?(?::\d\d?(?P<fraction>\.\d{{0,18}})?)?)?)?
    (?P<zone>{_ZONE}(?:{_ZONE})?)?
    """,
    re.VERBOSE | re.ASCII,
)
_LONGEST_MOMENT: Final = 64
_BLANKS: Final = " \t\r\n"
_MONTH_WORD: Final = re.compile(rf"\b({'|'.join(_MONTHS)})", re.IGNORECASE)
_OFFSET_IN_ZONE: Final = re.compile(r"([+-])(\d\d):?(\d\d)?")
#: Moscow's time and its summer time, the only zones with a name that ClickHouse knows.
_NAMED_OFFSETS: Final = {"MSK": timedelta(hours=3), "MSD": timedelta(hours=4)}

Parts = Mapping[str, str | None]


def match_moment(text: str) -> Parts | None:
    """Return the parts of a text that may be a date or a date-time, by their names in the pattern;
    None for any other."""
    match = _MOMENT.fullmatch(text.strip(_BLANKS)) if len(text) <= _LONGEST_MOMENT else None
    return match.groupdict() if match else None


def instant(text: str, *, month_first: bool = False) -> datetime:
    """Return the moment, aware UTC, to the microsecond; what is finer is cut.

    Args:
        month_first: whether 01/02 is the second of January.

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
    return instant_of(parts, text, month_first=month_first)


def instant_of(parts: Parts, text: str, *, month_first: bool = False) -> datetime:
    """Return the moment of a text that `match_moment` took apart. Raises what `instant` raises."""
    zone = (parts["zone"] or "").upper()
    hour, minute, second, microsecond = _clock(parts["time"], zone)
    year, month, day = _day(parts, text, month_first=month_first)
    found = datetime(year, month, day, hour, minute, second, microsecond, UTC)
    try:
        return found - _offset(zone)
    except OverflowError as exc:
        raise ValueError("the zone leads out of the calendar") from exc


def _day(parts: Parts, text: str, *, month_first: bool) -> tuple[int, int, int]:
    if parts["year"]:
        return int(parts["year"]), int(parts["month"] or 0), int(parts["day"] or 0)
    if parts["one"]:
        day, month = int(parts["one"]), int(parts["two_s"] or parts["two_d"] or 0)
        if month > 12 or (month_first and day <= 12):
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
    for name, offset in _NAMED_OFFSETS.items():
        if name in zone:
            return offset
    match = _OFFSET_IN_ZONE.search(zone)
    if match is None:
        return timedelta()
    offset = timedelta(hours=int(match[2]), minutes=int(match[3] or 0))
    return -offset if match[1] == "-" else offset
