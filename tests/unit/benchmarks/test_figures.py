"""What figures say of measurements and targets."""

import json

import pytest

from benchmarks.figures import (
    Figure,
    Target,
    as_dict,
    distributed,
    from_dict,
    percentile,
    ratio,
    spread_of,
)


@pytest.mark.parametrize(
    ("share", "expected"), [(0.01, 1.0), (0.5, 50.0), (0.9, 90.0), (0.99, 99.0), (1.0, 100.0)]
)
def test_a_percentile_is_the_nearest_rank(share: float, expected: float) -> None:
    assert percentile([float(n) for n in range(1, 101)], share) == expected


def test_a_single_measurement_is_all_of_its_percentiles() -> None:
    spread = spread_of([7.0])

    assert (spread.median, spread.p90, spread.p99, spread.max, spread.count) == (7, 7, 7, 7, 1)


def test_the_spread_does_not_depend_on_the_order_of_measuring() -> None:
    spread = spread_of([5.0, 1.0, 9.0, 3.0])

    assert (spread.median, spread.p90, spread.max) == (4.0, 9.0, 9.0)


def test_no_measurements_have_no_spread() -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        spread_of([])


def test_the_value_of_a_distribution_is_its_median() -> None:
    figure = distributed("wait", [1.0, 2.0, 30.0], "ms", Target(bound=3.0))

    assert figure.value == 2.0
    assert figure.met is True


@pytest.mark.parametrize(
    ("lower_is_better", "value", "met"),
    [(True, 19.9, True), (True, 20.0, False), (False, 20.0, False), (False, 20.1, True)],
)
def test_a_target_is_met_on_its_good_side_only(
    lower_is_better: bool, value: float, met: bool
) -> None:
    target = Target(bound=20.0, lower_is_better=lower_is_better)

    assert Figure(name="wait", value=value, unit="ms", target=target).met is met


def test_a_figure_without_a_target_is_neither_met_nor_missed() -> None:
    assert ratio("a : b", 6.0, 4.0).met is None


def test_json_carries_the_spread_the_target_and_the_verdict() -> None:
    figure = distributed("wait", [1.0, 2.0, 6.0], "ms", Target(bound=1.0))
    said = as_dict(figure)

    assert said["met"] is False
    assert said["target"] == {"bound": 1.0, "lower_is_better": True}
    assert said["spread"] == {"count": 3, "median": 2.0, "p90": 6.0, "p99": 6.0, "max": 6.0}
    assert from_dict(json.loads(json.dumps(said))) == figure


def test_a_bare_figure_survives_as_json_holds_it() -> None:
    figure = ratio("a : b", 6.0, 4.0)

    assert from_dict(as_dict(figure)) == figure
