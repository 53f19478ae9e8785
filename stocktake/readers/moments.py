"""Times as table formats write them: milliseconds since 1970."""

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def moment(milliseconds: object) -> datetime | None:
    """Return the time; None for what is no number, and for a year that no calendar here has.

    >>> str(moment(1_764_460_800_123)), moment("soon"), moment(10**18)
    ('2025-11-30 00:00:00.123000+00:00', None, None)
    """
    if not isinstance(milliseconds, int) or isinstance(milliseconds, bool):
        return None
    try:
        return _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return None
