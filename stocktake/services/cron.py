"""When a cron rule fires: pure functions over aware times, all of them answered in UTC.

Summer time, as Debian's cron has it. A rule that names its minute and hour (``30 2 * * *``) fires
once a day: where the clock jumps over that time, at the first minute after the gap; where the
time comes twice, the first time. A rule with ``*`` in its minute or hour follows real time: it
has no fire in the gap and fires in both passes of the repeated hour.

Beside numbers, names, lists, ranges and steps a rule may say ``L`` for the last day of the month,
``LW`` for its last day from Monday to Friday, ``mon#1`` for the first Monday of the month, and
``5L`` for its last Friday.
"""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from cronsim import CronSim, CronSimError

from stocktake.errors import ValidationError, did_you_mean

_SECOND: Final = timedelta(seconds=1)
_DAY: Final = timedelta(days=1)
#: The widest change of a clock that zones know; how far to look around one.
_WIDEST_CHANGE: Final = timedelta(hours=3)
_FIELDS: Final = 5
#: What crontab(5) calls nicknames; @reboot has no time.
_NICKNAMES: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
#: By what cronsim calls a field.
_RANGES: Final = {
    "minute": "Minutes go from 0 to 59.",
    "hour": "Hours go from 0 to 23.",
    "day-of-month": "Days go from 1 to 31, as far as the month has them, or are L or LW.",
    "month": "Months go from 1 to 12, or from JAN to DEC.",
    "day-of-week": "Days of the week go from 0 (Sunday) to 7 (Sunday), or from SUN to SAT.",
}
_MAX_LENGTH: Final = 100
#: In the system's folder of zones, and none: what this machine's clock shows, and what stands in
#: for a zone or a rule that is not set. Each machine would fire by its own.
_NO_ZONES: Final = frozenset({"localtime", "Factory", "posixrules", "posixtime"})
_OTHER_TREES: Final = ("posix/", "right/", "SystemV/", "build/")


@cache
def _zones() -> frozenset[str]:
    found = available_timezones() - _NO_ZONES
    return frozenset(name for name in found if not name.startswith(_OTHER_TREES))


def check_timezone(name: str) -> None:
    """Raise ValidationError where `name` is no IANA time zone."""
    if name not in _zones():
        raise ValidationError(
            f"{name[:64]!r} is not a known time zone; use an IANA name such as Europe/Berlin.",
            attr="timezone",
        )


def check_cron(expression: str, timezone: str, now: datetime) -> None:
    """Check that the rule is a cron rule of five fields that will fire.

    Five fields have a minute as their smallest step, which is the shortest interval allowed.

    Raises:
        ValidationError: it is none, or no date fits it.
    """
    if len(expression) > _MAX_LENGTH:
        raise ValidationError(
            f"A cron rule has at most {_MAX_LENGTH} characters; found {len(expression)}.",
            attr="cron",
        )
    if expression.startswith("@") and expression not in _NICKNAMES:
        told = did_you_mean(expression[:20], _NICKNAMES)
        raise ValidationError(f"{expression!r} is no cron rule; {told}", attr="cron")
    if len(fields(expression).split()) != _FIELDS:
        raise ValidationError(
            "A cron rule has five fields: minute, hour, day of month, month, day of week. "
            f"Found {len(expression.split())}.",
            attr="cron",
        )
    try:
        following = next_after(expression, timezone, now)
    except CronSimError as exc:
        wrong = f"{expression!r} is not a cron rule: {exc}."
        told = _RANGES.get(str(exc).removeprefix("Bad "), "")
        raise ValidationError(f"{wrong} {told}".strip(), attr="cron") from exc
    if following is None:
        raise ValidationError(f"No date fits the cron rule {expression!r}.", attr="cron")


def is_known(expression: str, timezone: str, now: datetime) -> bool:
    """Return whether the zone and the rule, which were known when they were accepted, are so here
    too.
    """
    try:
        _fires(expression, timezone, now)
    except (ZoneInfoNotFoundError, CronSimError):
        return False
    return True


def next_after(expression: str, timezone: str, moment: datetime) -> datetime | None:
    """Return the first fire later than `moment`; None where no date fits.

    >>> next_after("0 6 * * *", "Europe/Berlin", datetime(2026, 7, 1, 12, tzinfo=UTC))
    datetime.datetime(2026, 7, 2, 4, 0, tzinfo=datetime.timezone.utc)
    """
    # Begun early and filtered: in a repeated hour the wall clock alone cannot tell the passes.
    for fire in _fires(expression, timezone, moment - _WIDEST_CHANGE):
        if fire > moment:
            return fire
    return None


def fires_until(expression: str, timezone: str, moment: datetime) -> Iterator[datetime]:
    """Yield the fires up to and including `moment`, latest first."""
    # As in `next_after`: begun beyond, as the passes of a repeated hour have one time on the wall.
    for fire in _fires(expression, timezone, moment + _WIDEST_CHANGE, reverse=True):
        if fire <= moment:
            yield fire


def fields(expression: str) -> str:
    """Return a rule as five fields, one that has a nickname too.

    >>> fields("@daily")
    '0 0 * * *'
    """
    return _NICKNAMES.get(expression, expression)


def _fires(
    expression: str, timezone: str, begin: datetime, *, reverse: bool = False
) -> Iterator[datetime]:
    zone, expression = ZoneInfo(timezone), fields(expression)
    # Made in either case: a rule that is wrong raises here, and not with the first fire that
    # somebody takes from a generator. `is_known` stands on it.
    local = CronSim(expression, begin.astimezone(zone), reverse=reverse)
    minute, hour, *_ = expression.split()
    if minute.startswith("*") or hour.startswith("*"):
        return _in_real_time(expression, zone, begin, reverse=reverse)
    return (fire.astimezone(UTC) for fire in local)


def _in_real_time(
    expression: str, zone: ZoneInfo, begin: datetime, *, reverse: bool
) -> Iterator[datetime]:
    """Yield the fires of a rule for each minute whose time on the wall fits it.

    From one change of the zone's clocks to the next by an unchanging offset, as CronSim knows
    changes of whole hours only: it took steps of an hour over the half hour of Lord Howe.
    """
    direction = -1 if reverse else 1
    at, fire = begin, begin
    while True:
        offset = _offset(zone, at + direction * _SECOND)
        for wall in CronSim(expression, (at + offset).replace(tzinfo=None), reverse=reverse):
            fire = (wall - offset).replace(tzinfo=UTC)
            # A fire that is far, or under another offset, is not believed: the clocks may change
            # before it comes.
            if abs(fire - at) > 2 * _DAY or _offset(zone, fire) != offset:
                break
            yield fire
            at = fire
        else:
            return
        beyond = at + direction * _DAY if abs(fire - at) > 2 * _DAY else fire
        if _offset(zone, beyond) == offset:
            at = fire - direction * _DAY  # nothing before it: changes move a fire by hours only
        else:
            at = _before_change(zone, offset, at, beyond)


def _before_change(zone: ZoneInfo, offset: timedelta, at: datetime, beyond: datetime) -> datetime:
    """Return the last second of an offset, on the way from one time that has it to one that has
    not.
    """
    # By halves: zoneinfo tells the offset of a moment, and not when it changes.
    while abs(beyond - at) > _SECOND:
        middle = at + timedelta(seconds=(beyond - at) // _SECOND // 2)
        if _offset(zone, middle) == offset:
            at = middle
        else:
            beyond = middle
    return at


def _offset(zone: ZoneInfo, moment: datetime) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()


def jitter(schedule_id: UUID, fire_at: datetime, jitter_seconds: float) -> timedelta:
    """Return how much later than `fire_at` this schedule really starts, below `jitter_seconds`.

    A hash and no draw: two clocks agree on it.
    """
    digest = hashlib.sha256(schedule_id.bytes + fire_at.astimezone(UTC).isoformat().encode())
    share = int.from_bytes(digest.digest()[:8], "big") / 2**64
    return timedelta(seconds=share * jitter_seconds)


def starts_at(schedule_id: UUID, fire_at: datetime, jitter_seconds: float) -> datetime:
    """Return when this fire really starts: its jitter later."""
    return fire_at + jitter(schedule_id, fire_at, jitter_seconds)


def latest_due(
    schedule_id: UUID,
    *,
    cron: str,
    timezone: str,
    jitter_seconds: float,
    next_fire_at: datetime,
    now: datetime,
) -> datetime:
    """Return the latest fire that is due, of those from `next_fire_at` on, which is due itself.

    A clock that was away thus starts one batch for all the fires it missed.
    """
    for fire in fires_until(cron, timezone, now):
        if fire <= next_fire_at:
            break
        if starts_at(schedule_id, fire, jitter_seconds) <= now:
            return fire
    return next_fire_at
