"""A run as text: one Markdown table that reads as well in a terminal, its conditions, and JSON."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Final

from benchmarks.figures import Figure, Outcome, as_dict

HEADINGS: Final = ("figure", "value", "p90", "p99", "max", "n", "target", "met")
BEGIN: Final = "<!-- begin: last run, written by `python -m benchmarks --write-readme` -->"
END: Final = "<!-- end: last run -->"


def number(value: float) -> str:
    """A value with the digits that it deserves.

    >>> number(0.8312), number(4.267), number(17.4), number(312.6), number(1040.0)
    ('0.83', '4.27', '17.4', '313', '1,040')
    """
    size = abs(value)
    if size < 10:
        return f"{value:.2f}"
    return f"{value:.1f}" if size < 100 else f"{value:,.0f}"


def row(figure: Figure) -> tuple[str, ...]:
    """The figure's cells, in the order of `HEADINGS`."""
    spread = figure.spread
    spread_cells = (
        ("", "", "", "")
        if spread is None
        else (*(number(each) for each in (spread.p90, spread.p99, spread.max)), str(spread.count))
    )
    return (figure.name, _with_unit(figure), *spread_cells, _target(figure), _met(figure))


def _with_unit(figure: Figure) -> str:
    return f"{number(figure.value)} {figure.unit}"


def _target(figure: Figure) -> str:
    if figure.target is None:
        return ""
    sign = "<" if figure.target.lower_is_better else ">"
    return f"{sign} {figure.target.bound:g} {figure.unit}"


def _met(figure: Figure) -> str:
    return {None: "", True: "yes", False: "NO"}[figure.met]


def table(figures: Sequence[Figure]) -> str:
    """A Markdown table: names to the left, all else to the right, columns aligned."""
    rows = [HEADINGS, *map(row, figures)]
    # Two at least: a rule of Markdown needs a dash beside its colon.
    widths = [max(2, *(len(cells[column]) for cells in rows)) for column in range(len(HEADINGS))]
    rule = ["-" * widths[0], *(f"{'-' * (width - 1)}:" for width in widths[1:])]
    lines = [_aligned(rows[0], widths), rule, *(_aligned(cells, widths) for cells in rows[1:])]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    first, *others = zip(cells, widths, strict=True)
    return [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]


def text(outcomes: Mapping[str, Outcome], machine: Mapping[str, str]) -> str:
    """The whole report: the table, then the conditions of the machine and of each benchmark."""
    figures = [figure for outcome in outcomes.values() for figure in outcome.figures]
    lines = [table(figures), "", "Conditions:", ""]
    lines += [f"- {name}: {fact}" for name, fact in machine.items()]
    lines += [
        f"- `{name}`: {sentence}"
        for name, outcome in outcomes.items()
        for sentence in outcome.conditions
    ]
    return "\n".join(lines)


def as_json(outcomes: Mapping[str, Outcome], machine: Mapping[str, str]) -> str:
    """The report for a program."""
    content = {
        "machine": dict(machine),
        "benchmarks": {
            name: {
                "figures": [as_dict(figure) for figure in outcome.figures],
                "conditions": list(outcome.conditions),
            }
            for name, outcome in outcomes.items()
        },
    }
    return json.dumps(content, indent=2)


def with_last_run(page: str, report: str) -> str:
    """The page with what stands between the two markers replaced.

    Raises:
        ValueError: the page has not one pair of markers.
    """
    pattern = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    if len(pattern.findall(page)) != 1:
        raise ValueError(f"the page must have one place between {BEGIN!r} and {END!r}")
    return pattern.sub(lambda _: f"{BEGIN}\n\n{report}\n\n{END}", page)
