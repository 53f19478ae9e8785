"""The readers' table as Markdown: an input's readers one below the other."""

from collections.abc import Sequence
from typing import Final

from benchmarks.readers_figures import RIVAL, SHEETS_RIVAL, Measured, times_faster
from benchmarks.report import number

HEADINGS: Final = (
    "input",
    "where",
    "reader",
    "fresh s",
    "warm s",
    f"{RIVAL} ({SHEETS_RIVAL}) : it",
    "requests",
    "MB",
    "idle MiB",
    "peak above idle",
)
#: Columns of text; the others hold numbers and stand to the right.
_TEXTS: Final = 3


def row(one: Measured, found: Sequence[Measured]) -> tuple[str, ...]:
    """Return the cells of one measurement, in the order of `HEADINGS`."""
    name = (one.label, one.where, one.peer)
    if one.error is not None:
        return (*name, one.error, *[""] * (len(HEADINGS) - len(name) - 1))
    times = times_faster(one, found)
    return (
        *name,
        _seconds(one.fresh_seconds),
        _seconds(one.warm_seconds),
        "" if times is None else f"{times:.1f} x",
        "" if one.requests is None else f"{one.requests:.0f}",
        "" if one.megabytes is None else number(one.megabytes),
        "" if one.idle_mib is None else f"{one.idle_mib:.0f}",
        "" if one.grown_mib is None else f"{one.grown_mib:.0f}",
    )


def _seconds(value: float | None) -> str:
    """Round to three digits that count.

    >>> _seconds(0.00312), _seconds(0.412), _seconds(12.345)
    ('.0031', '.412', '12.3')
    """
    if value is None:
        return ""
    if value < 0.01:
        return f"{value:.4f}".removeprefix("0")
    return f"{value:.3f}".removeprefix("0") if value < 1 else f"{value:.1f}"


def table(found: Sequence[Measured]) -> str:
    """Return all measurements as one Markdown table."""
    rows = [HEADINGS, *(row(each, found) for each in found)]
    widths = [max(len(cells[column]) for cells in rows) for column in range(len(HEADINGS))]
    rule = tuple(
        "-" * width if column < _TEXTS else "-" * (width - 1) + ":"
        for column, width in enumerate(widths)
    )
    return "\n".join(
        f"| {' | '.join(_aligned(cells, widths))} |" for cells in (rows[0], rule, *rows[1:])
    )


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [
        cell.ljust(width) if column < _TEXTS else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
