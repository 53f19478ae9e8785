"""Records as text: Markdown tables that read as well in a terminal, and their conditions."""

import re
from collections.abc import Sequence
from typing import Final

from benchmarks.figures import Figure
from benchmarks.results import Record

HEADINGS: Final = (
    *("figure", "database", "value", "p90", "p99", "max", "n"),
    *("target", "met", "load", "measured"),
)
#: Columns of words; the others hold numbers.
_WORDS: Final = 2
_DATABASES: Final = {None: "", "sqlite": "SQLite", "postgresql": "PostgreSQL"}


def number(value: float) -> str:
    """Return a value with the digits that it deserves.

    >>> number(0.8312), number(4.267), number(17.4), number(312.6), number(1040.0)
    ('0.83', '4.27', '17.4', '313', '1,040')
    """
    size = abs(value)
    if size < 10:
        return f"{value:.2f}"
    return f"{value:.1f}" if size < 100 else f"{value:,.0f}"


def row(figure: Figure, record: Record) -> tuple[str, ...]:
    """Return the figure's cells, in the order of `HEADINGS`."""
    return (
        figure.name,
        _DATABASES[record.database],
        _with_unit(figure),
        *_spread(figure),
        _target(figure),
        _met(figure),
        record.facts["load"],
        record.facts["measured"],
    )


def _spread(figure: Figure) -> tuple[str, ...]:
    if (spread := figure.spread) is None:
        return ("", "", "", "")
    return (*(number(each) for each in (spread.p90, spread.p99, spread.max)), str(spread.count))


def _with_unit(figure: Figure) -> str:
    return f"{number(figure.value)} {figure.unit}"


def _target(figure: Figure) -> str:
    if figure.target is None:
        return ""
    sign = "<" if figure.target.lower_is_better else ">"
    return f"{sign} {figure.target.bound:g} {figure.unit}"


def _met(figure: Figure) -> str:
    return {None: "", True: "yes", False: "NO"}[figure.met]


def table(lines: Sequence[tuple[Figure, Record]]) -> str:
    """Return a Markdown table: words to the left, all else to the right, columns aligned."""
    rows = [HEADINGS, *(row(figure, record) for figure, record in lines)]
    # Two at least: a rule of Markdown needs a dash beside its colon.
    widths = [max(2, *(len(cells[column]) for cells in rows)) for column in range(len(HEADINGS))]
    rule = [
        "-" * width if column < _WORDS else "-" * (width - 1) + ":"
        for column, width in enumerate(widths)
    ]
    aligned = [_aligned(rows[0], widths), rule, *(_aligned(cells, widths) for cells in rows[1:])]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in aligned)


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [
        cell.ljust(width) if column < _WORDS else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]


def text(records: Sequence[Record]) -> str:
    """Return the whole report: a table for each benchmark, its conditions, and what failed."""
    names = dict.fromkeys(record.benchmark for record in records if record.figures)
    parts = [section(name, [each for each in records if each.benchmark == name]) for name in names]
    failed = [f"- {each.label}: {each.failure}" for each in records if each.failure is not None]
    if failed:
        parts += ["### Failed", "\n".join(failed)]
    return "\n\n".join([*parts, runs(records)])


def section(name: str, records: Sequence[Record]) -> str:
    """Write one benchmark: its table, with databases one below the other, and its conditions."""
    lines = [(figure, record) for record in records for figure in record.figures]
    order = list(dict.fromkeys(figure.name for figure, _ in lines))
    databases = list(_DATABASES)
    lines.sort(key=lambda it: (order.index(it[0].name), databases.index(it[1].database)))
    described = "\n".join(f"- {sentence}" for sentence in _conditions(records))
    return "\n\n".join([f"### {name}", table(lines), described])


def _conditions(records: Sequence[Record]) -> list[str]:
    """Return each sentence once; where the figures are of several runs, with those that it holds
    for.
    """
    runs_of: dict[str, set[str]] = {}
    for record in records:
        for sentence in record.conditions:
            runs_of.setdefault(sentence, set()).add(record.facts["run"])
    everywhere = {record.facts["run"] for record in records if record.figures}
    return [
        sentence if held >= everywhere else f"{sentence} (run of {', '.join(sorted(held))})"
        for sentence, held in runs_of.items()
    ]


def runs(records: Sequence[Record]) -> str:
    """Return what the runs were taken on, the newest first; the tables name a run by its
    `measured`.
    """
    shared = {each.facts["run"]: each.facts for each in records}
    lines = [
        f"- run of {name} UTC, {facts['run as']}: {facts['machine']}; disk: {facts['disk']}; "
        f"{facts['versions']}"
        for name, facts in sorted(shared.items(), reverse=True)
    ]
    return "\n".join(lines)


def lines(figures: Sequence[Figure]) -> str:
    """Return the figures of one part for a terminal, as soon as they are known."""
    width = max((len(each.name) for each in figures), default=0)
    return "\n".join(f"  {each.name:<{width}}{_told(each)}" for each in figures)


def _told(figure: Figure) -> str:
    spread = f"   p99 {number(figure.spread.p99)}, n {figure.spread.count}" if figure.spread else ""
    target = f"   target {_target(figure)}: {_met(figure)}" if figure.target else ""
    return f" {_with_unit(figure):>10}{spread}{target}"


def with_section(page: str, name: str, content: str) -> str:
    """Return the page with what stands between the two markers of this name replaced.

    Raises:
        ValueError: the page has not one pair of them.
    """
    begin = f"<!-- begin: {name}, written by `python -m benchmarks --write-readme` -->"
    end = f"<!-- end: {name} -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if len(pattern.findall(page)) != 1:
        raise ValueError(f"the page must have one place between {begin!r} and {end!r}")
    return pattern.sub(lambda _: f"{begin}\n\n{content}\n\n{end}", page)
