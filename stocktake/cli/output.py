"""What a person sees: results on stdout, everything else on stderr, no markup in between.

Where stdout is no terminal, lines are not cut to a width.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from stocktake.errors import CommandError
from stocktake.redaction import harmless

_PIPED_WIDTH: Final = 10_000
_STATE_STYLES: Final = {
    "succeeded": "green",
    "failed": "red",
    "cancelled": "yellow",
    "running": "cyan",
}


def console() -> Console:
    """The console of stdout."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else _PIPED_WIDTH)


def say(text: str) -> None:
    """Text on stdout, as it is but for control characters."""
    console().print(harmless(text), markup=False, soft_wrap=True)


def complain(text: str, hint: str = "") -> None:
    """A problem, on stderr."""
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    errors.print(f"[red]Error:[/red] {escape(harmless(text))}")
    if hint:
        errors.print(escape(harmless(hint)))


def note(text: str) -> None:
    """Something to know about a command, on stderr: its result stays alone on stdout."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(harmless(text), markup=False)


def confirm(question: str, *, yes: bool) -> None:
    """Ask a person at a terminal; a script says --yes.

    Raises:
        Abort: the answer is no.
        CommandError: there is nobody to ask.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise CommandError(f"{question} There is no terminal to ask at: say --yes.")
    typer.confirm(harmless(question), abort=True, err=True)


@contextmanager
def going_on(command: str) -> Iterator[None]:
    """Within, a person waits for jobs; Ctrl-C ends the waiting, and says that they go on.

    Args:
        command: that shows them.

    Raises:
        Exit: with 130, at Ctrl-C.
    """
    try:
        yield
    except KeyboardInterrupt:
        note(f"What was asked for goes on. To see it: {command}")
        raise typer.Exit(130) from None


def show_json(value: Any) -> None:
    """A value for another program."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def show_rows(headings: Sequence[str], rows: Iterable[Sequence[Any]], empty: str) -> None:
    """A table; the sentence `empty` on stderr where there are no rows."""
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for number, heading in enumerate(headings):
        # The first column names the row, and is what people copy.
        table.add_column(heading, overflow="fold", no_wrap=number == 0)
    for row in rows:
        table.add_row(*[_cell(value) for value in row])
    if table.row_count:
        console().print(table)
    else:
        Console(stderr=True).print(empty, markup=False)


def show_fields(fields: Iterable[tuple[str, Any]]) -> None:
    """Name and value, one pair a line."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in fields:
        table.add_row(name, _cell(value))
    console().print(table)


def _cell(value: Any) -> str:
    text = "-" if value is None or value == "" else escape(harmless(str(value)))
    style = _STATE_STYLES.get(text)
    return f"[{style}]{text}[/{style}]" if style else text


def moment(value: str | None) -> str | None:
    """A time of the API's, short enough for a column.

    >>> moment("2026-11-02T10:00:00.123456Z")
    '2026-11-02 10:00:00'
    """
    return None if value is None else value[:19].replace("T", " ")


def size(value: int | None) -> str | None:
    """A number of bytes for people.

    >>> size(999), size(1_536), size(5_000_000)
    ('999 B', '1.5 KiB', '4.8 MiB')
    """
    if value is None:
        return None
    if value < 1024:
        return f"{value} B"
    amount = float(value)
    for unit in ("KiB", "MiB", "GiB"):
        amount /= 1024
        if amount < 1024:
            return f"{amount:.1f} {unit}"
    return f"{amount / 1024:.1f} TiB"


def number(value: int | None) -> str | None:
    """A count for people.

    >>> number(28298)
    '28,298'
    """
    return None if value is None else f"{value:,}"


def describe_diff(diff: dict[str, Any]) -> list[str]:
    """A schema diff, one line a column.

    >>> describe_diff({"changed": [{"name": "id", "from": "Int32", "to": "Int64"}]})
    ['~ id  Int32 → Int64']
    """
    lines = [f"+ {column['name']}  {column['type']}" for column in diff.get("added", ())]
    lines += [f"- {column['name']}  {column['type']}" for column in diff.get("removed", ())]
    lines += [f"~ {one['from']} is now called {one['to']}" for one in diff.get("renamed", ())]
    return lines + [
        f"~ {one['name']}  {one['from']} → {one['to']}" for one in diff.get("changed", ())
    ]
