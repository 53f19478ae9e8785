"""The kinds of dates and date-times in texts, as ClickHouse's best-effort parser reads them.

A kind says more than its type: how far its dates reach, and what its days of three numbers tell of
the order of day and month. ``01/02/2024`` tells nothing, ``31/01/2024`` that the day is first; one
column has one order.
"""

import re
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Final, NamedTuple

from stocktake.readers.text.values.parse_dates import (
    SURE_DATE,
    SURE_DATE32,
    SURE_DATETIME,
    SURE_DATETIME64,
    Parts,
    instant_of,
    match_moment,
)

STRING: Final = "String"
#: Days that Date holds, and that are a DateTime's, too; that Date alone holds.
DATE: Final = "Date"
LATE_DATE: Final = "Date, late"
#: Days that Date32 holds, and that are a DateTime64's, too; that Date32 alone holds.
DATE32: Final = "Date32"
FAR_DATE: Final = "Date32, far"
DATETIME: Final = "DateTime"
DATETIME64: Final = "DateTime64(9)"


class Order(StrEnum):
    """What the values of a column tell of the order of day and month."""

    NOTHING = ""
    #: Each value may be read both ways.
    EITHER = "either"
    DAY_FIRST = "day first"
    #: Each value can only be read so, as ClickHouse does.
    MONTH_FIRST = "month first"
    #: Some can only be read so; of the others ClickHouse would take the month for the day.
    MONTH_FIRST_IN_ALL = "month first in all"


class Time(NamedTuple):
    """What a kind of dates or date-times is.

    Attributes:
        type: ClickHouse's.
        order: of day and month; dates have the year first.
    """

    type: str
    order: Order = Order.NOTHING


_DATES: Final = (DATE, LATE_DATE, DATE32, FAR_DATE)
#: By kind. In all spellings that are not year first, ClickHouse takes a day for a date-time.
TIMES: Final = MappingProxyType(
    {kind: Time(kind.partition(",")[0]) for kind in _DATES}
    | {
        f"{type_}, {order}" if order else type_: Time(type_, order)
        for type_ in (DATETIME, DATETIME64)
        for order in Order
    }
)
_KINDS: Final = MappingProxyType({time: kind for kind, time in TIMES.items() if kind not in _DATES})
DATETIMES: Final = frozenset(kind for kind, time in TIMES.items() if time.type == DATETIME)
DATETIMES64: Final = frozenset(kind for kind, time in TIMES.items() if time.type == DATETIME64)

_SLASHED: Final = MappingProxyType(
    {
        Order.EITHER: "(?:0?[1-9]|1[0-2])/(?:0?[1-9]|1[0-2])",
        Order.DAY_FIRST: "(?:0?[1-9]|1[0-9]|2[0-8])/(?:0?[1-9]|1[0-2])",
        Order.MONTH_FIRST: "(?:0?[1-9]|1[0-2])/(?:1[3-9]|2[0-8])",
        Order.MONTH_FIRST_IN_ALL: "(?:0?[1-9]|1[0-2])/(?:0?[1-9]|1[0-9]|2[0-8])",
    }
)
_SLASHED_YEAR: Final = "/(?:19[789][0-9]|20[0-9]{2})"


def _sure(kind: str, time: Time) -> str:
    if kind in _DATES:
        return SURE_DATE if kind in (DATE, LATE_DATE) else SURE_DATE32
    slashed = f"|{_SLASHED[time.order]}{_SLASHED_YEAR}" if time.order else ""
    if time.type == DATETIME:
        return f"{SURE_DATE}|{SURE_DATETIME}{slashed}"
    return f"{SURE_DATE32}|{SURE_DATETIME64}{slashed}"


#: By kind, a pattern of common spellings that surely leave a column at it.
SURE_TIMES: Final = MappingProxyType({kind: _sure(kind, time) for kind, time in TIMES.items()})
_DATE_ALONE: Final = re.compile(SURE_DATE)
_DATETIME_ALONE: Final = re.compile(SURE_DATETIME)
#: The last day of ClickHouse's Date, which begins at 1970-01-01.
_LAST_DATE: Final = (2149, 6, 6)
_DATETIME_YEARS: Final = range(1970, 2106)
_DATETIME64_YEARS: Final = range(1678, 2262)
_NANOSECOND_DIGITS: Final = 9


def infer_text(text: str, *, short_years: bool = False) -> str:
    """Return the kind of a text without its quotes: of a date, of a date-time, or String.

    Args:
        short_years: whether a year may have two digits, which do not say the century.

    >>> infer_text("2024-01-31"), infer_text("1950-01-31"), infer_text("31.01.2024")
    ('Date', 'Date32', 'String')
    """
    # Nothing is shorter than `1/1/24`.
    if len(text) < 6:
        return STRING
    if _DATE_ALONE.fullmatch(text):
        return DATE
    if _DATETIME_ALONE.fullmatch(text):
        return DATETIME
    parts = match_moment(text)
    if parts is None or not (short_years or _has_century(parts)):
        return STRING
    try:
        found = instant_of(parts, text)
    except ValueError:
        return STRING
    # ClickHouse reads no blank into a Date.
    if parts["year"] and not (parts["time"] or parts["zone"]) and text == text.strip():
        return _date(found.year, (found.year, found.month, found.day))
    return _datetime(found.year, parts["fraction"] or "", _order(parts))


def _has_century(parts: Parts) -> bool:
    return not parts["year_e"] and len(parts["year_b"] or "four") == 4


def _date(year: int, day: tuple[int, int, int]) -> str:
    if year in _DATETIME_YEARS:
        return DATE
    if year >= 1970 and day <= _LAST_DATE:
        return LATE_DATE
    return DATE32 if year in _DATETIME64_YEARS else FAR_DATE


def _datetime(year: int, fraction: str, order: Order) -> str:
    # What is finer than nanoseconds would be cut.
    if year not in _DATETIME64_YEARS or fraction[_NANOSECOND_DIGITS + 1 :].strip("0"):
        return STRING
    type_ = DATETIME if not fraction and year in _DATETIME_YEARS else DATETIME64
    return _KINDS[Time(type_, order)]


def _order(parts: Parts) -> Order:
    if not parts["one"]:
        return Order.NOTHING
    one, two = int(parts["one"]), int(parts["two_s"] or parts["two_d"] or 0)
    # The same day both ways tells as little, and loses nothing.
    if one == two:
        return Order.NOTHING
    if max(one, two) <= 12:
        return Order.EITHER
    return Order.DAY_FIRST if one > 12 else Order.MONTH_FIRST


@lru_cache(maxsize=1_024)
def join_times(a: str, b: str) -> str:
    """Return the kind that holds what both do; String where none does.

    >>> join_times(DATE, DATETIME), join_times(DATE32, DATETIME), join_times(FAR_DATE, DATETIME)
    ('DateTime', 'DateTime64(9)', 'String')
    """
    if a in _DATES and b in _DATES:
        return max(a, b, key=_DATES.index)
    if FAR_DATE in (a, b):
        return STRING
    order = join_orders(TIMES[a].order, TIMES[b].order)
    if order is None:
        return STRING
    is_short = all(kind == DATE or kind in DATETIMES for kind in (a, b))
    return _KINDS[Time(DATETIME if is_short else DATETIME64, order)]


def join_orders(a: Order, b: Order) -> Order | None:
    """Return what both tell; None where they contradict each other.

    >>> join_orders(Order.EITHER, Order.MONTH_FIRST), join_orders(Order.EITHER, Order.DAY_FIRST)
    (<Order.MONTH_FIRST_IN_ALL: 'month first in all'>, <Order.DAY_FIRST: 'day first'>)
    """
    told = {a, b} - {Order.NOTHING}
    if len(told) < 2:
        return told.pop() if told else Order.NOTHING
    if told == {Order.EITHER, Order.DAY_FIRST}:
        return Order.DAY_FIRST
    return None if Order.DAY_FIRST in told else Order.MONTH_FIRST_IN_ALL
