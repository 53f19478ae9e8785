"""Dates and date-times in texts, as ClickHouse's best-effort parser takes them for one."""

import re
from typing import Any, Final

STRING: Final = "String"
DATE: Final = "Date"
DATETIME: Final = "DateTime"
DATETIME64: Final = "DateTime64(9)"

_DAY = r"-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_CLOCK = r"[T ][0-9]{2}:[0-9]{2}:[0-9]{2}"
_OFFSET = r"(?:Z|[+-][0-9]{2}:?[0-9]{2})?"
#: Patterns of the common spelling, cheap to match, which are surely of the kind.
#: Narrower than the types, so that no day need be compared: Date ends in 2149, DateTime in 2106,
#: and 64 bits of nanoseconds reach from 1677 to 2262.
SURE_DATE: Final = rf"(?:19[7-9][0-9]|20[0-9]{{2}}|21[0-3][0-9]){_DAY}"
_DATETIME_DAY = rf"(?:19[7-9][0-9]|20[0-9]{{2}}|210[0-5]){_DAY}"
SURE_DATETIME: Final = rf"{_DATETIME_DAY}(?:{_CLOCK}{_OFFSET})?"
SURE_DATETIME64: Final = (
    rf"(?:1[89][0-9]{{2}}|2[01][0-9]{{2}}){_DAY}(?:{_CLOCK}(?:\.[0-9]{{1,9}})?{_OFFSET})?"
)
_DATE_ALONE: Final = re.compile(SURE_DATE)
_DATETIME_ALONE: Final = re.compile(SURE_DATETIME)

_MONTH = "(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"
_LONG_MONTH = f"{_MONTH}(?i:uary|ruary|ch|il|e|y|ust|tember|ober|ember)?"
_WEEKDAY = r"(?:(?i:mon|tue|wed|thu|fri|sat|sun)[a-z]{0,6},?\ )?"
_ZONE = r"\ ?(?:Z|UTC|GMT|AM|PM|[+-]\d\d(?::?\d\d)?)"
#: Four ways to a day: year first; numbers alone; the day before the month's name; behind it. Then a
#: time, and up to two of zone and AM or PM.
_MOMENT: Final = re.compile(
    rf"""
    (?:
        (?P<year>\d{{4}})[-/](?P<month>\d\d?)[-/](?P<day>\d\d?)
      | (?P<one>\d\d?)(?:/(?P<two_s>\d\d?)/|-(?P<two_d>\d\d?)-)(?P<year_b>\d{{4}}|\d\d)
      | {_WEEKDAY}(?P<day_c>\d\d?)(?:[ -]{_LONG_MONTH}[ -](?P<year_c>\d{{4}})
            |-{_MONTH}-(?P<year_e>\d\d))
      | {_WEEKDAY}{_LONG_MONTH}\ (?P<day_d>\d\d?),?\ (?P<year_d>\d{{4}})
    )
    (?P<time>(?:T|\ {{1,4}})\d\d?(?::\d\d?(?::\d\d(?P<fraction>\.\d{{0,18}})?)?)?)?
    (?P<zone>{_ZONE}(?:{_ZONE})?)?
    """,
    re.VERBOSE | re.ASCII,
)
_LONGEST_MOMENT: Final = 64
_BLANKS: Final = " \t\r\n"
#: The last day of ClickHouse's Date, which begins at 1970-01-01.
_LAST_DATE: Final = (2149, 6, 6)
_DATETIME_YEARS: Final = range(1970, 2106)
_DATETIME64_YEARS: Final = range(1678, 2262)


def infer_text(text: str) -> str:
    """Return Date, DateTime, DateTime64(9) or String, for a text without its quotes.

    >>> infer_text("2024-01-31"), infer_text("1950-01-31"), infer_text("31.01.2024")
    ('Date', 'DateTime64(9)', 'String')
    """
    # Nothing is shorter than `1/1/24`.
    if not 6 <= len(text) <= _LONGEST_MOMENT:
        return STRING
    if _DATE_ALONE.fullmatch(text):
        return DATE
    if _DATETIME_ALONE.fullmatch(text):
        return DATETIME
    if not (match := _MOMENT.fullmatch(text.strip(_BLANKS))):
        return STRING
    parts = match.groupdict()
    if parts["year"]:
        return _year_first(parts)
    if parts["one"] and not _is_day_and_month(parts):
        return STRING
    digits = parts["year_b"] or parts["year_c"] or parts["year_d"] or parts["year_e"]
    # two digits are 1970..2069, all of which DateTime holds
    return _moment(int(digits) if len(digits) == 4 else 2000, parts["fraction"])


def match_moment(text: str) -> dict[str, str | None] | None:
    """Return the parts of a text that `infer_text` may take for a date or a date-time, by their
    names in the pattern; None for any other."""
    match = _MOMENT.fullmatch(text.strip(_BLANKS)) if len(text) <= _LONGEST_MOMENT else None
    return match.groupdict() if match else None


def _year_first(parts: dict[str, Any]) -> str:
    day = year, month, day_of_month = tuple(int(parts[key]) for key in ("year", "month", "day"))
    if not (1 <= month <= 12 and 1 <= day_of_month <= 31):
        return STRING
    if parts["time"] or parts["zone"]:
        return _moment(year, parts["fraction"])
    return DATE if year >= 1970 and day <= _LAST_DATE else _moment(year, "out of Date's range")


def _moment(year: int, fraction: str | None) -> str:
    if year not in _DATETIME64_YEARS:
        return STRING
    return DATETIME if fraction is None and year in _DATETIME_YEARS else DATETIME64


def _is_day_and_month(parts: dict[str, Any]) -> bool:
    # Either may be the month: which one it is makes no other type.
    low, high = sorted((int(parts["one"]), int(parts["two_s"] or parts["two_d"])))
    return 1 <= low <= 12 and high <= 31
