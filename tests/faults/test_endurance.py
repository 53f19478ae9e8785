"""Endurance: what grows is told, what does not is not; and a load of some thousand jobs passes."""

import subprocess
import sys
from collections.abc import Callable
from functools import partial

import pytest

from tests.faults.trends import SPAN, Bound, Sample, Trends

BOUNDS = {
    "child": {
        "memory_mib": Bound(slope=10, most=400),
        "threads": Bound(slope=10, most=200),
        "descriptors": Bound(slope=10, most=500),
        "connections": Bound(slope=10, most=500),
    }
}


def trends(jobs: range, **figures: Callable[[int], float]) -> Trends:
    """One child, whose figures are made of its jobs."""
    steady = {"memory_mib": 180, "threads": 50, "descriptors": 100, "connections": 40}
    found = Trends(warm_up=200)
    for done in jobs:
        values = steady | {name: figure(done) for name, figure in figures.items()}
        found.samples["child 7"].append(Sample(jobs=done, **values))  # type: ignore[arg-type]  # floats do
    return found


def told(found: Trends) -> list[str]:
    return [line.split(": ")[1].split(" ")[0] for line in found.broken(BOUNDS)]


def test_what_is_steady_is_not_told_of() -> None:
    def noise(done: int) -> float:
        return 180 + done * 7919 % 23

    assert told(trends(range(0, 1000, 25), memory_mib=noise, connections=noise)) == []


@pytest.mark.parametrize("what", ["memory_mib", "threads", "descriptors", "connections"])
def test_what_grows_with_each_job_is_told_of(what: str) -> None:
    assert told(trends(range(0, 1000, 25), **{what: lambda done: 50 + done / 50})) == [what]


def test_growth_up_to_the_warm_up_and_one_step_behind_it_are_no_trend() -> None:
    def steps(done: int) -> float:
        return min(done, 200) / 2 + (20 if done > 500 else 0)

    assert told(trends(range(0, 1000, 25), descriptors=steps)) == []


def test_what_is_too_much_is_told_of_though_it_does_not_grow() -> None:
    assert told(trends(range(0, 1000, 25), descriptors=lambda _: 694)) == ["descriptors"]


def _line(slope: float, done: int) -> float:
    return 40 + slope * done


@pytest.mark.parametrize(("growing", "expected"), [(1, []), (3, ["connections"])])
def test_of_several_children_the_one_in_the_middle_counts(
    growing: int, expected: list[str]
) -> None:
    found = Trends(warm_up=200)
    for child in range(4):
        slope = 1 / 20 if child < growing else 0.0
        each = trends(range(0, 1000, 25), connections=partial(_line, slope))
        found.samples[f"child {child}"] = each.samples["child 7"]
    assert told(found) == expected


@pytest.mark.parametrize("jobs", [range(200, 200 + SPAN, 10), range(200, 900, 100)])
def test_a_process_that_was_hardly_seen_is_not_judged(jobs: range) -> None:
    assert told(trends(jobs, memory_mib=lambda done: done * 100)) == []


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_no_process_grows_with_the_jobs_that_it_has_done(database: str) -> None:
    command = [sys.executable, "-m", "tests.faults.endurance", "--jobs", "5000"]
    done = subprocess.run(
        [*command, "--database", database], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "child" in done.stdout
