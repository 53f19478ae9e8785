"""When rules fire: summer time, jitter, and what a clock that was away makes up for."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.schemas.batches import ScheduleIn
from stocktake.errors import ValidationError
from stocktake.services import cron

BERLIN = "Europe/Berlin"
NEW_YORK = "America/New_York"
LORD_HOWE = "Australia/Lord_Howe"  # moves its clocks by half an hour
NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)


def _next(rule: str, zone: str, *wall: int, count: int = 1, fold: int = 0) -> list[str]:
    """The next fires after a local time, as local times with their offsets."""
    place = ZoneInfo(zone)
    moment = datetime(*wall, tzinfo=place, fold=fold).astimezone(UTC)
    fires = []
    for _ in range(count):
        following = cron.next_after(rule, zone, moment)
        assert following is not None
        moment = following
        fires.append(moment.astimezone(place).strftime("%m-%d %H:%M%z"))
    return fires


def test_a_rule_follows_the_wall_clock_of_its_zone() -> None:
    assert _next("0 6 * * *", BERLIN, 2026, 1, 10) == ["01-10 06:00+0100"]
    assert _next("0 6 * * *", BERLIN, 2026, 7, 10) == ["07-10 06:00+0200"]


def test_a_daily_rule_in_the_spring_gap_fires_at_the_first_minute_after_it() -> None:
    """Berlin, 29 March 2026: 02:00 to 03:00 does not exist."""
    assert _next("30 2 * * *", BERLIN, 2026, 3, 28, 12, count=2) == [
        "03-29 03:00+0200",
        "03-30 02:30+0200",
    ]


def test_two_times_in_the_gap_are_one_fire() -> None:
    assert _next("0,30 2 * * *", BERLIN, 2026, 3, 28, 12, count=2) == [
        "03-29 03:00+0200",
        "03-30 02:00+0200",
    ]


def test_an_hourly_rule_has_no_fire_in_the_gap() -> None:
    assert _next("30 * * * *", BERLIN, 2026, 3, 29, 1, count=3) == [
        "03-29 01:30+0100",
        "03-29 03:30+0200",
        "03-29 04:30+0200",
    ]


def test_a_daily_rule_in_the_autumn_fold_fires_in_the_first_pass_only() -> None:
    """Berlin, 25 October 2026: 02:00 to 03:00 comes twice."""
    assert _next("30 2 * * *", BERLIN, 2026, 10, 24, 12, count=2) == [
        "10-25 02:30+0200",
        "10-26 02:30+0100",
    ]


def test_a_daily_rule_planned_inside_the_second_pass_waits_for_the_next_day() -> None:
    assert _next("30 2 * * *", BERLIN, 2026, 10, 25, 2, 15, fold=1) == ["10-26 02:30+0100"]


def test_an_hourly_rule_fires_in_both_passes_of_the_fold() -> None:
    assert _next("30 * * * *", BERLIN, 2026, 10, 25, 1, 45, count=3) == [
        "10-25 02:30+0200",
        "10-25 02:30+0100",
        "10-25 03:30+0100",
    ]


def test_a_fire_of_the_first_pass_is_found_from_inside_the_second() -> None:
    second_pass = datetime(2026, 10, 25, 2, 15, tzinfo=ZoneInfo(BERLIN), fold=1).astimezone(UTC)
    latest = next(cron.fires_until("30 2 * * *", BERLIN, second_pass))
    assert latest == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


@given(
    rule=st.sampled_from(
        ["* * * * *", "*/7 * * * *", "30 2 * * *", "0,30 1,2,3 * * *", "15 */2 * * *", "0 0 1 * *"]
    ),
    zone=st.sampled_from([BERLIN, NEW_YORK, LORD_HOWE, "UTC", "Asia/Kolkata"]),
    begin=st.sampled_from(
        # around the changes of 2026 in these zones
        [datetime(2026, month, day, tzinfo=UTC) for month, day in ((3, 28), (10, 24), (3, 7))]
        + [datetime(2026, month, day, tzinfo=UTC) for month, day in ((10, 31), (4, 4), (10, 3))]
    ),
    minutes=st.integers(0, 2 * 24 * 60),
)
def test_looking_back_finds_what_looking_forward_found(
    rule: str, zone: str, begin: datetime, minutes: int
) -> None:
    moment = begin + timedelta(minutes=minutes)
    latest = next(cron.fires_until(rule, zone, moment))
    assert latest <= moment
    following = cron.next_after(rule, zone, latest)
    assert following is not None
    assert following > moment


#: Around a change of the clocks, one of them of half an hour and for good.
CHANGES = [
    (LORD_HOWE, datetime(2026, 4, 3, tzinfo=UTC)),
    (LORD_HOWE, datetime(2026, 10, 2, tzinfo=UTC)),
    (BERLIN, datetime(2026, 3, 27, tzinfo=UTC)),
    (BERLIN, datetime(2026, 10, 23, tzinfo=UTC)),
    (NEW_YORK, datetime(2026, 10, 30, tzinfo=UTC)),
    ("Asia/Pyongyang", datetime(2015, 8, 13, tzinfo=UTC)),
    ("Antarctica/Troll", datetime(2026, 3, 27, tzinfo=UTC)),
]


@pytest.mark.parametrize(("zone", "begin"), CHANGES)
@pytest.mark.parametrize(
    ("rule", "fits"),
    [
        ("*/20 * * * *", lambda wall: wall.minute % 20 == 0),
        ("45 * * * *", lambda wall: wall.minute == 45),
        ("30 * * * *", lambda wall: wall.minute == 30),
        ("*/15 2 * * *", lambda wall: wall.hour == 2 and wall.minute % 15 == 0),
        ("15 */2 * * *", lambda wall: wall.hour % 2 == 0 and wall.minute == 15),
        ("*/30 2 25 10 *", lambda wall: (wall.month, wall.day, wall.hour) == (10, 25, 2)
            and wall.minute % 30 == 0),
    ],
)  # fmt: skip
def test_item_16_a_rule_fires_the_same_forwards_and_backwards(
    zone: str, begin: datetime, rule: str, fits: Callable[[datetime], bool]
) -> None:
    """At each minute whose time on the wall fits, counted one by one; asked from near and far."""
    place, end = ZoneInfo(zone), begin + timedelta(days=4)
    minutes = (begin + timedelta(minutes=count) for count in range(1, 4 * 24 * 60 + 1))
    wanted = [each for each in minutes if fits(each.astimezone(place))]
    forwards, moment = [], begin
    while (following := cron.next_after(rule, zone, moment)) and following <= end:
        forwards.append(moment := following)
    backwards = list(takewhile(lambda fire: fire > begin, cron.fires_until(rule, zone, end)))
    assert forwards == wanted
    assert backwards[::-1] == wanted
    if wanted and rule.endswith("25 10 *"):
        assert cron.next_after(rule, zone, begin - timedelta(days=200)) == wanted[0]
        assert next(cron.fires_until(rule, zone, end + timedelta(days=200))) == wanted[-1]


@given(
    rule=st.sampled_from(["30 2 * * *", "0,15 1,2,3 * * *", "10 0-4 * * *"]),
    change=st.sampled_from(CHANGES),
)
def test_item_16_a_daily_rule_fires_the_same_forwards_and_backwards(
    rule: str, change: tuple[str, datetime]
) -> None:
    zone, begin = change
    end = begin + timedelta(days=4)
    forwards, moment = [], begin
    while (following := cron.next_after(rule, zone, moment)) and following <= end:
        forwards.append(moment := following)
    backwards = list(takewhile(lambda fire: fire > begin, cron.fires_until(rule, zone, end)))
    assert backwards[::-1] == forwards
    assert len(forwards) >= 4


@pytest.mark.parametrize(
    ("rule", "day"),
    [
        ("0 6 L * *", 31),
        ("0 6 LW 10 *", 30),  # 31 October 2026 is a Saturday
        ("0 6 * * mon#1", 6),
        ("0 6 * * 5L", 31),
    ],
)
def test_item_16_the_documented_words_of_a_rule_mean_what_they_say(rule: str, day: int) -> None:
    cron.check_cron(rule, "UTC", NOON)
    fire = cron.next_after(rule, "UTC", NOON)
    assert fire is not None
    assert fire.day == day
    documented = ScheduleIn.model_fields["cron"].description or ""
    assert all(f"`{word}`" in documented for word in ("L", "LW", "mon#1", "5L"))


@pytest.mark.parametrize("name", ["localtime", "Factory", "posixrules", "posix/UTC", "right/UTC"])
def test_item_16_what_each_machine_would_read_otherwise_is_no_zone(name: str) -> None:
    with pytest.raises(ValidationError) as refused:
        cron.check_timezone(name)
    assert refused.value.attr == "timezone"


def test_item_16_trees_of_some_machines_alone_hold_no_zones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = {"Europe/Berlin", "SystemV/EST5", "build/etc/localtime", "posix/UTC", "right/UTC"}
    monkeypatch.setattr(cron, "available_timezones", lambda: found)
    assert cron._zones.__wrapped__() == {"Europe/Berlin"}


@given(
    rule=st.sampled_from(["* * * * *", "*/5 2 * * *", "30 2 * * *", "0 */3 * * 1-5"]),
    zone=st.sampled_from([BERLIN, NEW_YORK, LORD_HOWE]),
    minutes=st.integers(0, 366 * 24 * 60),
)
def test_the_next_fire_is_later_and_a_whole_minute(rule: str, zone: str, minutes: int) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes, seconds=17)
    following = cron.next_after(rule, zone, moment)
    assert following is not None
    assert following > moment
    assert (following.second, following.microsecond, following.tzinfo) == (0, 0, UTC)


@pytest.mark.parametrize(
    "rule",
    [
        "",
        "* * * *",
        "*/5 * * * * *",
        "60 * * * *",
        "x * * * *",
        "* * * * * # x",
        "0 0 30 2 *",
        "@reboot",
    ],
)
def test_a_rule_that_is_none_is_refused(rule: str) -> None:
    with pytest.raises(ValidationError) as refused:
        cron.check_cron(rule, "UTC", NOON)
    assert refused.value.attr == "cron"


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("60 * * * *", "Minutes go from 0 to 59."),
        ("* 24 * * *", "Hours go from 0 to 23."),
        ("* * 0 * *", "Days go from 1 to 31"),
        ("0 0 31 2 *", "as far as the month has them"),
        ("* * * 13 *", "from JAN to DEC"),
        ("* * * * 8", "from SUN to SAT"),
    ],
)
def test_a_refusal_tells_what_the_field_may_be(rule: str, told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        cron.check_cron(rule, "UTC", NOON)


@pytest.mark.parametrize("rule", ["* * * * *", "0 6 * * MON-FRI", "0 0 L * *", "0 0 29 2 *"])
def test_a_rule_of_five_fields_is_taken(rule: str) -> None:
    cron.check_cron(rule, BERLIN, NOON)


@pytest.mark.parametrize(
    "name", ["", "Berlin", "../etc/passwd", "/etc/localtime", "CEST", "x" * 200]
)
def test_a_zone_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ValidationError) as refused:
        cron.check_timezone(name)
    assert refused.value.attr == "timezone"


def test_jitter_is_the_same_for_every_clock_and_differs_between_fires_and_schedules() -> None:
    schedule = UUID(int=7)
    fires = list(islice(cron.fires_until("0 * * * *", "UTC", NOON), 50))
    drawn = [cron.jitter(schedule, each, 600.0) for each in fires]
    elsewhere = [each.astimezone(ZoneInfo(BERLIN)) for each in fires]
    assert drawn == [cron.jitter(schedule, each, 600.0) for each in elsewhere]
    assert all(timedelta() <= each < timedelta(seconds=600) for each in drawn)
    assert len(set(drawn)) == 50
    assert cron.jitter(UUID(int=8), NOON, 600.0) != cron.jitter(schedule, NOON, 600.0)
    assert cron.jitter(schedule, NOON, 0.0) == timedelta()


def _latest(rule: str, planned: datetime, now: datetime, jitter_seconds: float = 0.0) -> datetime:
    return cron.latest_due(
        uuid4(),
        cron=rule,
        timezone="UTC",
        jitter_seconds=jitter_seconds,
        next_fire_at=planned,
        now=now,
    )


def test_a_clock_that_was_away_makes_up_for_the_latest_fire_it_missed() -> None:
    planned = NOON - timedelta(hours=2)
    assert _latest("*/10 * * * *", planned, NOON + timedelta(minutes=3)) == NOON


def test_a_fire_that_was_not_missed_is_itself_the_latest() -> None:
    assert _latest("0 12 * * *", NOON, NOON + timedelta(seconds=1)) == NOON


def test_a_fire_whose_jitter_has_not_passed_is_not_the_latest_that_is_due() -> None:
    planned = NOON - timedelta(hours=2)
    for _ in range(20):
        fire = _latest("* * * * *", planned, NOON, jitter_seconds=3600.0)
        assert planned <= fire <= NOON
    schedule = UUID(int=7)
    due = cron.latest_due(
        schedule,
        cron="* * * * *",
        timezone="UTC",
        jitter_seconds=600.0,
        next_fire_at=planned,
        now=NOON,
    )
    assert cron.starts_at(schedule, due, 600.0) <= NOON
    later = [due + timedelta(minutes=n) for n in range(1, 11) if due + timedelta(minutes=n) <= NOON]
    assert all(cron.starts_at(schedule, each, 600.0) > NOON for each in later)


@pytest.mark.parametrize(
    ("nickname", "fields"),
    [("@daily", "0 0 * * *"), ("@hourly", "0 * * * *"), ("@weekly", "0 0 * * 0")],
)
def test_a_nickname_is_the_rule_that_it_stands_for(nickname: str, fields: str) -> None:
    moment = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    cron.check_cron(nickname, "Europe/Berlin", moment)
    expected = cron.next_after(fields, "Europe/Berlin", moment)
    assert cron.next_after(nickname, "Europe/Berlin", moment) == expected


@pytest.mark.parametrize(
    ("nickname", "told"),
    [("@dayly", "did you mean '@daily'?"), ("@reboot", "expected '@annually'")],
)
def test_a_nickname_that_is_none_is_told(nickname: str, told: str) -> None:
    with pytest.raises(ValidationError) as refused:
        cron.check_cron(nickname, "UTC", datetime(2026, 3, 1, tzinfo=UTC))
    assert told in refused.value.detail
