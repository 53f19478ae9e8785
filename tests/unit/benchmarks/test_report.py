"""Records as text."""

import pytest

from benchmarks.figures import Figure, Target, distributed, ratio
from benchmarks.report import lines, number, section, table, text, with_section
from benchmarks.results import Record

RUN = {
    "run": "2026-11-29 02:00",
    "run as": "`python -m benchmarks`",
    "machine": "2 cores",
    "disk": "slow",
    "versions": "Python 3.11",
    "measured": "2026-11-29 02:10",
    "load": "8.1 to 9",
}
WAIT = distributed("wait", [1.0, 2.0, 4.0], "ms", Target(bound=20.0))
SLOW = Figure(name="start of all", value=12.0, unit="s", target=Target(bound=10.0))
MANY = Figure(name="jobs", value=470.2, unit="/s", target=Target(bound=400, lower_is_better=False))

BEGIN = "<!-- begin: cats, written by `python -m benchmarks --write-readme` -->"
END = "<!-- end: cats -->"


def record(*figures: Figure, **more: object) -> Record:
    said = {"benchmark": "waiting", "database": "sqlite", "facts": RUN}
    return Record(**said | more, figures=figures)  # type: ignore[arg-type]


def test_a_table_shows_value_spread_target_verdict_and_conditions() -> None:
    nowhere = record(database=None, facts=RUN | {"measured": "2026-11-23 07:29"})

    assert table([(WAIT, record()), (SLOW, nowhere)]).splitlines() == [
        "| figure       | database |   value |  p90 |  p99 |  max |  n |  target | met |     load |         measured |",  # noqa: E501
        "| ------------ | -------- | ------: | ---: | ---: | ---: | -: | ------: | --: | -------: | ---------------: |",  # noqa: E501
        "| wait         | SQLite   | 2.00 ms | 4.00 | 4.00 | 4.00 |  3 | < 20 ms | yes | 8.1 to 9 | 2026-11-29 02:10 |",  # noqa: E501
        "| start of all |          |  12.0 s |      |      |      |    |  < 10 s |  NO | 8.1 to 9 | 2026-11-23 07:29 |",  # noqa: E501
    ]


def test_a_figure_that_should_be_high_has_its_target_the_other_way_round() -> None:
    assert "> 400 /s | yes |" in table([(MANY, record())])


def test_a_figure_without_target_has_empty_cells_for_it() -> None:
    [*_, last] = table([(WAIT, record()), (ratio("frozen : quiet", 3.0, 2.0), record())]).split(
        "\n"
    )

    assert last.split("|")[3].strip() == "1.50 x"
    assert [cell.strip() for cell in last.split("|")[8:10]] == ["", ""]


def test_all_lines_of_a_table_are_equally_long() -> None:
    shown = table([(each, record()) for each in (WAIT, SLOW, MANY)]).splitlines()

    assert len({len(each) for each in shown}) == 1


@pytest.mark.parametrize(
    ("value", "shown"), [(0.004, "0.00"), (9.994, "9.99"), (42.04, "42.0"), (1234.5, "1,234")]
)
def test_a_number_has_about_three_digits(value: float, shown: str) -> None:
    assert number(value) == shown


def test_a_figure_stands_beside_itself_on_the_other_database() -> None:
    shown = section("waiting", [record(WAIT, SLOW), record(WAIT, SLOW, database="postgresql")])

    cells = [row.split("|")[1:3] for row in shown.splitlines() if row.startswith("| ")][2:]
    assert [" ".join(each).split() for each in cells] == [
        ["wait", "SQLite"],
        ["wait", "PostgreSQL"],
        ["start", "of", "all", "SQLite"],
        ["start", "of", "all", "PostgreSQL"],
    ]


def test_a_condition_of_several_parts_is_said_once() -> None:
    both = [record(WAIT, conditions=["one client"]), record(SLOW, conditions=["one client", "two"])]

    assert section("waiting", both).splitlines()[-2:] == ["- one client", "- two"]


def test_a_condition_of_one_run_alone_names_it() -> None:
    older = RUN | {"run": "2026-11-23 07:29"}
    both = [
        record(WAIT, conditions=["one client", "on a desk"], facts=older),
        record(SLOW, conditions=["one client", "on a shelf"]),
    ]

    assert section("waiting", both).splitlines()[-3:] == [
        "- one client",
        "- on a desk (run of 2026-11-23 07:29)",
        "- on a shelf (run of 2026-11-29 02:00)",
    ]


def test_the_report_ends_with_what_each_run_was_taken_on_the_newest_first() -> None:
    older = RUN | {"run": "2026-11-23 07:29", "machine": "4 cores"}
    shown = text([record(WAIT, facts=older), record(SLOW), record(MANY)])

    assert shown.splitlines()[-2:] == [
        "- run of 2026-11-29 02:00 UTC, `python -m benchmarks`: 2 cores; disk: slow; Python 3.11",
        "- run of 2026-11-23 07:29 UTC, `python -m benchmarks`: 4 cores; disk: slow; Python 3.11",
    ]


def test_a_benchmark_that_failed_is_named_with_its_reason_after_all_figures() -> None:
    failed = record(benchmark="broker", failure="TimeoutError: the end of all jobs did not come")
    shown = text([failed, record(WAIT)])

    failure = "- broker on sqlite: TimeoutError: the end of all jobs did not come"
    assert shown.index("| wait") < shown.index("### Failed") < shown.index(failure)


def test_figures_of_a_part_are_lines_of_which_the_values_stand_below_each_other() -> None:
    assert lines([WAIT, ratio("frozen : quiet", 3.0, 2.0)]).splitlines() == [
        "  wait              2.00 ms   p99 4.00, n 3   target < 20 ms: yes",
        "  frozen : quiet     1.50 x",
    ]


def test_a_section_replaces_only_what_is_between_its_markers() -> None:
    page = f"before\n{BEGIN}\nold \\1\n{END}\nafter\n"

    changed = with_section(page, "cats", "new \\g<0>")

    assert changed == f"before\n{BEGIN}\n\nnew \\g<0>\n\n{END}\nafter\n"


@pytest.mark.parametrize("page", ["no markers", f"{BEGIN}{END} twice {BEGIN}{END}"])
def test_a_page_without_one_place_for_it_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="one place"):
        with_section(page, "cats", "new")
