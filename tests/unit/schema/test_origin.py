"""The order of a column's camps, whichever file was read first."""

from datetime import UTC, datetime
from itertools import permutations

from stocktake.schema.origin import Camp, Origin, Place
from stocktake.schema.types import parse


def camp(type_: str, files: int, name: str, day: int) -> Camp:
    place = Place.of_file(name, datetime(2026, 11, day, tzinfo=UTC))
    return Camp(type=parse(type_), files=files, first=place, newest=place)


def test_camps_stand_by_size_then_by_age_then_by_name() -> None:
    camps = (
        camp("String", 2, "z.csv", 9),
        camp("Int64", 1, "y.csv", 1),
        camp("Float64", 1, "a.csv", 2),
        camp("Date", 1, "b.csv", 2),
    )
    for order in permutations(camps):
        assert Origin.of_camps(order).camps == camps
