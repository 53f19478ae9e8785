"""A run as text."""

import json

import pytest

from benchmarks.figures import Figure, Outcome, Target, distributed, ratio
from benchmarks.report import BEGIN, END, as_json, number, table, text, with_last_run

WAIT = distributed("wait", [1.0, 2.0, 4.0], "ms", Target(bound=20.0))
SLOW = Figure(name="start of all", value=12.0, unit="s", target=Target(bound=10.0))
MANY = Figure(name="jobs", value=470.2, unit="/s", target=Target(bound=400, lower_is_better=False))


def test_a_table_shows_value_spread_target_and_verdict() -> None:
    lines = table([WAIT, SLOW]).splitlines()

    assert lines == [
        "| figure       |   value |  p90 |  p99 |  max |  n |  target | met |",
        "| ------------ | ------: | ---: | ---: | ---: | -: | ------: | --: |",
        "| wait         | 2.00 ms | 4.00 | 4.00 | 4.00 |  3 | < 20 ms | yes |",
        "| start of all |  12.0 s |      |      |      |    |  < 10 s |  NO |",
    ]


def test_a_figure_that_should_be_high_has_its_target_the_other_way_round() -> None:
    assert "> 400 /s | yes |" in table([MANY])


def test_a_figure_without_target_has_empty_cells_for_it() -> None:
    last = table([WAIT, ratio("frozen : quiet", 3.0, 2.0)]).splitlines()[-1]

    assert last.split("|")[2].strip() == "1.50 x"
    assert [cell.strip() for cell in last.split("|")[-3:-1]] == ["", ""]


def test_all_lines_of_a_table_are_equally_long() -> None:
    assert len({len(line) for line in table([WAIT, SLOW, MANY]).splitlines()}) == 1


@pytest.mark.parametrize(
    ("value", "shown"), [(0.004, "0.00"), (9.994, "9.99"), (42.04, "42.0"), (1234.5, "1,234")]
)
def test_a_number_has_about_three_digits(value: float, shown: str) -> None:
    assert number(value) == shown


def test_the_report_ends_with_the_conditions_of_the_machine_and_of_each_benchmark() -> None:
    outcomes = {"waiting": Outcome(figures=[WAIT], conditions=["one client"])}

    assert text(outcomes, {"machine": "2 cores"}).splitlines()[-2:] == [
        "- machine: 2 cores",
        "- `waiting`: one client",
    ]


def test_json_has_the_figures_under_their_benchmark() -> None:
    outcomes = {"waiting": Outcome(figures=[WAIT], conditions=["one client"])}

    said = json.loads(as_json(outcomes, {"machine": "2 cores"}))

    assert said["machine"] == {"machine": "2 cores"}
    assert said["benchmarks"]["waiting"]["conditions"] == ["one client"]
    assert [figure["value"] for figure in said["benchmarks"]["waiting"]["figures"]] == [2.0]


def test_the_last_run_replaces_only_what_is_between_the_markers() -> None:
    page = f"before\n{BEGIN}\nold \\1\n{END}\nafter\n"

    assert with_last_run(page, "new \\g<0>") == f"before\n{BEGIN}\n\nnew \\g<0>\n\n{END}\nafter\n"


@pytest.mark.parametrize("page", ["no markers", f"{BEGIN}{END} twice {BEGIN}{END}"])
def test_a_page_without_one_place_for_it_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="one place"):
        with_last_run(page, "new")
