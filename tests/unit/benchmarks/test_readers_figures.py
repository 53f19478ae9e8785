"""What the readers' measurements are held against, and how they are shown."""

from dataclasses import replace

import pytest

from benchmarks import chart
from benchmarks.readers_figures import Measured, figures, rival_of, times_faster
from benchmarks.readers_table import HEADINGS, row, table

DELTA = Measured(
    input="files_1m",
    what="Delta, 1,000,000 files",
    where="local",
    peer="ours",
    fresh_seconds=0.5,
    warm_seconds=0.01,
    idle_mib=90.0,
    peak_mib=101.0,
)
RIVAL = replace(DELTA, peer="chdb", warm_seconds=0.05, idle_mib=260.0, peak_mib=280.0)
CSV = replace(DELTA, input="csv_one", what="CSV, one file")


def targets(*found: Measured) -> dict[str, float | None]:
    return {each.name: each.target and each.target.bound for each in figures(found)}


def test_speed_is_how_many_of_our_reads_fit_into_one_of_the_rivals() -> None:
    assert times_faster(DELTA, [DELTA, RIVAL]) == pytest.approx(5)


def test_a_rival_elsewhere_or_without_a_figure_is_none() -> None:
    elsewhere = replace(RIVAL, where="S3")
    failed = replace(RIVAL, warm_seconds=None, error="fails")
    assert rival_of(DELTA, [DELTA, elsewhere]) is None
    assert times_faster(DELTA, [DELTA, failed]) is None
    assert all("faster" not in each.name for each in figures([DELTA, failed]))


def test_an_unchanged_delta_table_is_held_against_the_rivals_ordinary_read() -> None:
    unchanged = replace(DELTA, unchanged=True, where="S3")
    assert rival_of(unchanged, [replace(RIVAL, where="S3")]) == replace(RIVAL, where="S3")


def test_unchanged_files_are_held_against_the_rivals_unchanged_ones() -> None:
    unchanged = replace(CSV, unchanged=True)
    plain = replace(CSV, peer="chdb")
    cached = replace(plain, unchanged=True)
    assert rival_of(unchanged, [plain, cached]) is cached


@pytest.mark.parametrize(
    ("where", "unchanged", "bound"),
    [("local", False, 4), ("local", True, 4), ("S3", False, 2.5), ("S3", True, 10)],
)
def test_targets_of_a_delta_table(where: str, unchanged: bool, bound: float) -> None:
    ours = replace(DELTA, where=where, unchanged=unchanged)  # type: ignore[arg-type]
    found = targets(ours, replace(RIVAL, where=where))  # type: ignore[arg-type]
    assert [value for name, value in found.items() if "faster" in name] == [bound]


def test_unchanged_files_have_no_target() -> None:
    unchanged = replace(CSV, unchanged=True)
    assert [*targets(unchanged, replace(unchanged, peer="chdb")).values()] == [None]


def test_memory_is_promised_for_delta_alone_and_counts_from_idle() -> None:
    found = [each for each in figures([DELTA, CSV]) if "peak" in each.name]
    assert [(each.value, each.met) for each in found] == [(11.0, True)]


def test_a_million_files_are_held_against_a_hundred() -> None:
    few = replace(DELTA, input="files_100", warm_seconds=0.004)
    [flat] = [each for each in figures([DELTA, few]) if "100 files" in each.name]
    assert (flat.value, flat.met) == (2.5, False)


def test_a_row_has_a_cell_for_each_heading() -> None:
    s3 = replace(DELTA, where="S3", requests=3.0, megabytes=0.25)
    assert row(s3, [s3, replace(RIVAL, where="S3")]) == (
        *("Delta, 1,000,000 files", "S3", "ours", ".500", ".010"),
        *("5.0 x", "3", "0.25", "90", "11"),
    )


def test_a_reader_that_failed_says_so_in_its_row() -> None:
    cells = row(replace(DELTA, error=">60 s"), [])
    assert cells[3] == ">60 s"
    assert len(cells) == len(HEADINGS)


def test_all_lines_of_the_table_are_of_one_width() -> None:
    assert len({len(line) for line in table([DELTA, RIVAL, CSV]).splitlines()}) == 1


def test_measurements_survive_as_json_holds_them() -> None:
    assert Measured.from_dict(DELTA.as_dict()) == DELTA


def test_a_curve_has_the_points_that_were_measured() -> None:
    few = replace(DELTA, input="files_100", warm_seconds=0.004)
    failed = replace(DELTA, input="files_10k", warm_seconds=None, error="fails")
    remote = replace(few, where="S3", warm_seconds=9.0)
    series = chart.SERIES["files in the checkpoint"]
    found = chart.points([DELTA, few, failed, remote, RIVAL], series, "ours", "warm_seconds")
    assert found == [(100, 0.004), (1_000_000, 0.01)]
