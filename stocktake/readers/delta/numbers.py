"""The numbers that files of a log claim, bounded before anything is done with them."""

import re
from collections.abc import Iterable
from typing import Final

#: What a `long` of Delta holds, and an integer of a database.
MOST: Final = 2**63 - 1
_DIGITS: Final = re.compile(r"[0-9]{1,19}")


def whole_number(value: object) -> int | None:
    """Return a value of JSON as a whole number of 0 to `MOST`; None where it is none. `1.0` is 1,
    as for other readers of Delta.

    >>> whole_number(4.0), whole_number("4"), whole_number(4.5), whole_number(float("inf"))
    (4, None, None, None)
    >>> whole_number(True), whole_number(2**63), whole_number(-1)
    (None, None, None)
    """
    if isinstance(value, float):
        # Neither an infinity nor NaN is an integer.
        value = int(value) if value.is_integer() else None
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value <= MOST else None


def version_number(value: object) -> int | None:
    """Return a version as `whole_number` does; other readers take a text of digits for one, too.

    >>> version_number("4"), version_number("4.0"), version_number(4)
    (4, None, 4)
    """
    if isinstance(value, str) and _DIGITS.fullmatch(value.strip()):
        return whole_number(int(value))
    return whole_number(value)


def total(counts: Iterable[int | None]) -> int | None:
    """Return the sum; None where one of them is unknown, or where all are more than `MOST`.

    >>> total([1, 2]), total([1, None]), total([2**62, 2**62])
    (3, None, None)
    """
    summed = 0
    for count in counts:
        if count is None or count < 0 or (summed := summed + count) > MOST:
            return None
    return summed


def without(count: int | None, deleted: int | None) -> int | None:
    """Return what is left of a count; None where it is unknown, or where more went than was there.

    >>> without(5, 2), without(5, 6), without(None, 0)
    (3, None, None)
    """
    if count is None or deleted is None or deleted > count:
        return None
    return count - deleted
