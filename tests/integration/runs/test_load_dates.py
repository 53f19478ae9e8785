"""A column's dates are loaded in one order of day and month: as all its values tell, or not."""

import json
from typing import Any

import pytest

from stocktake.errors import SchemaConflictError
from tests.integration.runs.conftest import Desk
from tests.integration.runs.test_load import delta, rows

MOMENTS = b"n,d\n0,2024-06-30 00:00:00\n"


def csv(*days: str) -> bytes:
    return "".join(["n,d\n", *(f"{n},{day}\n" for n, day in enumerate(days, 1))]).encode()


def days_of(desk: Desk) -> list[str]:
    return [str(row["d"].date()) for row in sorted(rows(desk), key=lambda row: row["n"])[1:]]


@pytest.mark.parametrize(
    ("days", "option", "read"),
    [
        # each value may be read both ways, but not all of them
        (["01/02/2024", "01/31/2024"], None, ["2024-01-02", "2024-01-31"]),
        (["01/31/2024", "01/02/2024", ""], None, ["2024-01-31", "2024-01-02"]),
        (["01/02/2024", "31/01/2024"], None, ["2024-02-01", "2024-01-31"]),
        (["1/2/2024 10:00", "31-01-2024"], None, ["2024-02-01", "2024-01-31"]),
        (["01/02/2024", "03/04/2024"], None, ["2024-02-01", "2024-04-03"]),
        (["01/02/2024", "03/04/2024"], "month_first", ["2024-01-02", "2024-03-04"]),
        (["05/05/2024", "2024-01-02"], None, ["2024-05-05", "2024-01-02"]),
        (["31/01/24", "01/02/24"], None, ["2024-01-31", "2024-02-01"]),
        (["01/31/24", "01/02/24"], "month_first", ["2024-01-31", "2024-01-02"]),
    ],
)
def test_the_order_is_that_of_all_values_of_the_file(
    desk: Desk, days: list[str], option: str | None, read: list[str]
) -> None:
    desk.load(MOMENTS)
    if option:
        desk.load(csv(*filter(None, days)), options=json.dumps({"date_order": option}))
    else:
        desk.load(csv(*filter(None, days)))
    assert days_of(desk) == read


@pytest.mark.parametrize(
    ("days", "option", "line", "value"),
    [
        (["01/31/2024", "31/01/2024"], None, 3, "31/01/2024"),
        (["01/02/2024", "31/01/2024", "01/31/2024"], None, 4, "01/31/2024"),
        (["01/02/24", "01/31/24"], None, 3, "01/31/24"),
        (["01/31/24", "01/02/24"], None, 3, "01/02/24"),
        (["01/02/2024", "01/31/2024"], "day_first", 3, "01/31/2024"),
        (["01/02/2024", "31/01/2024"], "month_first", 3, "31/01/2024"),
    ],
)
def test_what_contradicts_the_others_is_refused_with_its_place(
    desk: Desk, days: list[str], option: str | None, line: int, value: str
) -> None:
    desk.load(MOMENTS)
    sent: dict[str, Any] = {"options": json.dumps({"date_order": option})} if option else {}
    error = desk.fail(desk.send(csv(*days), target="delta", **sent), SchemaConflictError)

    assert f"line {line}: column 'd' holds {value}" in error.detail
    assert "in another order" in error.detail
    assert delta(desk).version() == 1


def test_dates_inside_of_lists_have_one_order_too(desk: Desk) -> None:
    fields = {"filename": "x.json", "format": "JSONEachRow", "target": "delta"}
    desk.load(b'{"n": 0, "d": ["2024-06-30 00:00:00"]}', **fields)
    desk.load(b'{"n": 1, "d": ["01/02/2024", "01/31/2024"]}', **fields)
    found = sorted(rows(desk), key=lambda row: row["n"])
    assert [str(day.date()) for day in found[1]["d"]] == ["2024-01-02", "2024-01-31"]

    job_id = desk.send(b'{"n": 2, "d": ["31/01/2024", "01/31/2024"]}', **fields)
    assert "in another order" in desk.fail(job_id, SchemaConflictError).detail


def test_an_order_that_nothing_tells_is_warned_of(desk: Desk) -> None:
    desk.load(MOMENTS)
    told = desk.result(desk.load(csv("01/02/2024")).claim.job_id)["warnings"]
    assert [warning["code"] for warning in told] == ["date_order"]
    told = desk.result(desk.load(csv("01/13/2024")).claim.job_id)["warnings"]
    assert told == []


def test_a_new_column_has_the_readers_type(desk: Desk) -> None:
    desk.load(csv("01/02/2024", "01/31/2024"))
    assert [row["d"] for row in rows(desk)] == ["01/02/2024", "01/31/2024"]
    desk.load(csv("31/01/2024", "01/02/2024"), mode="replace")
    assert [str(row["d"].date()) for row in rows(desk)] == ["2024-01-31", "2024-02-01"]
