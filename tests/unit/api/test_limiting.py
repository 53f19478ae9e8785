"""What the limits count, for how long, and in how much memory."""

import tracemalloc
from ipaddress import IPv6Address
from uuid import UUID, uuid4

import pytest

from api.edge.rate_limits import RateLimits
from stocktake.errors import ThrottledError
from stocktake.settings import Settings

MIB = 1024 * 1024
MANY = 50_000
LIMIT = 3


class Clock:
    """Stands still until it is told."""

    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limits(clock: Clock) -> RateLimits:
    settings = Settings(
        refused_keys_per_minute=LIMIT, rate_limit_per_minute=LIMIT, rate_limit_per_hour=2 * LIMIT
    )
    return RateLimits(settings, clock)


def _address(number: int) -> str:
    """One of a network of its own."""
    return str(IPv6Address((0x20010DB8 << 96) + (number << 64)))


def _failures(limits: RateLimits, *addresses: str) -> list[int]:
    """Of each failure that is one too many, its place."""
    refused = []
    for place, address in enumerate(addresses):
        try:
            limits.count_failure(address)
        except ThrottledError:
            refused.append(place)
    return refused


def _wait_seconds(limits: RateLimits, key: UUID) -> int | None:
    try:
        limits.count_request(key)
    except ThrottledError as error:
        return error.retry_after_seconds
    return None


def test_a_window_moves_and_says_when_there_is_room(limits: RateLimits, clock: Clock) -> None:
    key = uuid4()
    for _ in range(LIMIT):
        assert _wait_seconds(limits, key) is None
        clock.seconds += 10
    assert _wait_seconds(limits, key) == 30
    assert _wait_seconds(limits, uuid4()) is None
    clock.seconds += 29.5
    assert _wait_seconds(limits, key) == 1
    clock.seconds += 0.5
    assert _wait_seconds(limits, key) is None
    assert _wait_seconds(limits, key) == 10


def test_the_longer_window_holds_by_itself(limits: RateLimits, clock: Clock) -> None:
    key = uuid4()
    for _ in range(2 * LIMIT):
        assert _wait_seconds(limits, key) is None
        clock.seconds += 60
    assert _wait_seconds(limits, key) == 3600 - 2 * LIMIT * 60


def test_a_flood_of_addresses_takes_bounded_memory_and_gets_no_more_tries(
    limits: RateLimits, clock: Clock
) -> None:
    tracemalloc.start()
    try:
        for _ in range(2):
            assert len(_failures(limits, *map(_address, range(MANY)))) > MANY - 5000
            assert tracemalloc.get_traced_memory()[0] < 10 * MIB
            clock.seconds += 60
            # All are forgotten, and counted apart again.
            assert _failures(limits, _address(MANY)) == []
            assert tracemalloc.get_traced_memory()[0] < MIB
            clock.seconds += 60
    finally:
        tracemalloc.stop()


def test_who_came_before_a_flood_keeps_a_count_of_its_own(limits: RateLimits) -> None:
    before = "192.0.2.1"
    assert _failures(limits, before) == []
    _failures(limits, *map(_address, range(MANY)))
    assert _failures(limits, *[before] * LIMIT) == [LIMIT - 1]


@pytest.mark.parametrize(
    "addresses",
    [
        ["192.0.2.1", "::ffff:192.0.2.1", "::ffff:c000:201", "192.0.2.1"],
        ["2001:db8::1", "2001:db8::2", "2001:DB8:0:0:ffff::", "2001:db8::%eth0"],
        ["unknown", "", "forged-1", "z" * 20_000],
    ],
    ids=["mapped", "one network", "no address"],
)
def test_what_is_one_address(limits: RateLimits, addresses: list[str]) -> None:
    assert _failures(limits, *addresses) == [LIMIT]


def test_what_is_two_addresses(limits: RateLimits) -> None:
    for address in ("192.0.2.1", "192.0.2.2", "::ffff:192.0.2.3", "2001:db8::", "2001:db8:0:1::"):
        assert _failures(limits, *[address] * (LIMIT + 1)) == [LIMIT]


def test_who_comes_again_does_not_keep_the_others_from_being_forgotten(
    limits: RateLimits, clock: Clock
) -> None:
    first, *later = "192.0.2.1", *map(_address, range(MANY))
    _failures(limits, first, *later)
    clock.seconds += 59
    assert _failures(limits, first) == []
    clock.seconds += 2
    assert _failures(limits, *[_address(MANY)] * LIMIT, *[_address(MANY + 1)] * LIMIT) == []


def test_a_wait_that_keeps_much_counts_as_several() -> None:
    limits = RateLimits(Settings(max_waits_per_key=LIMIT))
    key = uuid4()
    with limits.waiting(key, weight=10 * LIMIT) as alone:
        assert alone
        with limits.waiting(key) as beside:
            assert not beside
    with limits.waiting(key) as first, limits.waiting(key, weight=LIMIT) as heavy:
        assert first
        assert not heavy
        with limits.waiting(key, weight=LIMIT - 1) as fits:
            assert fits
