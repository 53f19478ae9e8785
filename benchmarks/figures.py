"""The figures of a benchmark, held against targets, with the conditions that they hold under."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How single measurements are distributed, in the unit of their figure."""

    count: int
    median: float
    p90: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a figure must reach: a bound, and the side on which it is good to be."""

    bound: float
    lower_is_better: bool = True

    def met_by(self, value: float) -> bool:
        """Return whether the value is on the good side; the bound itself is not."""
        return value < self.bound if self.lower_is_better else value > self.bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the table.

    Attributes:
        value: what is held against the target: the median where there is a spread.
        target: None for a figure that only stands beside another.
    """

    name: str
    value: float
    unit: str
    target: Target | None = None
    spread: Spread | None = None

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        return None if self.target is None else self.target.met_by(self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a benchmark has found so far and not yet told; it tells as soon as it knows.

    Attributes:
        conditions: sentences without which the figures mean little.
        rows: single measurements, as JSON holds them, for a table of their own.
    """

    figures: Sequence[Figure]
    conditions: Sequence[str] = field(default=())
    rows: Sequence[Mapping[str, Any]] = field(default=())


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest measurement that at least this share of all do not exceed (nearest rank).

    Args:
        ordered: ascending, not empty.
        share: above 0, at most 1.

    >>> percentile([1.0, 2.0, 3.0, 4.0], 0.5), percentile([1.0, 2.0, 3.0, 4.0], 0.99)
    (2.0, 4.0)
    """
    return ordered[math.ceil(share * len(ordered)) - 1]


def spread_of(measurements: Sequence[float]) -> Spread:
    """Return the distribution of these measurements.

    Raises:
        ValueError: there are none.
    """
    if not measurements:
        raise ValueError("nothing was measured: a distribution needs one value at least")
    ordered = sorted(measurements)
    return Spread(
        count=len(ordered),
        median=statistics.median(ordered),
        p90=percentile(ordered, 0.90),
        p99=percentile(ordered, 0.99),
        max=ordered[-1],
    )


def distributed(
    name: str, measurements: Sequence[float], unit: str, target: Target | None = None
) -> Figure:
    """Return a figure over many measurements, whose value is their median."""
    spread = spread_of(measurements)
    return Figure(name=name, value=spread.median, unit=unit, target=target, spread=spread)


def ratio(name: str, of: float, to: float, target: Target | None = None) -> Figure:
    """Return how many times `to` the first value is.

    >>> ratio("frozen : running", 3.0, 2.0).value
    1.5
    """
    return Figure(name=name, value=of / to, unit="x", target=target)


def as_dict(figure: Figure) -> dict[str, Any]:
    """Return the figure as JSON can hold it; whether its target was met stands there for other
    readers.
    """
    return asdict(figure) | {"met": figure.met}


def from_dict(stored: Mapping[str, Any]) -> Figure:
    """Read what `as_dict` gave."""
    target, spread = stored["target"], stored["spread"]
    return Figure(
        name=stored["name"],
        value=stored["value"],
        unit=stored["unit"],
        target=target and Target(**target),
        spread=spread and Spread(**spread),
    )
