"""What a person sees: results on stdout, everything else on stderr, no markup in between.

Where stdout is no terminal, lines are not cut to a width.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, Final

import typer
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from stocktake.errors import CommandError
from stocktake.redaction import harmless
from stocktake.schema.types import element_name

AsJson = Annotated[bool, typer.Option("--json", help="What the API answers, for programs.")]

_PIPED_WIDTH: Final = 10_000
#: Cells of a name that is shortened, at the least.
_SHORTEST_NAME: Final = 12
_STATE_STYLES: Final = {
    "succeeded": "green",
    "failed": "red",
    "cancelled": "yellow",
    "running": "cyan",
    "passed": "green",
    "skipped": "dim",
}


def console() -> Console:
    """Return the console of stdout."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else _PIPED_WIDTH)


def say(text: str) -> None:
    """Write text to stdout, as it is but for control characters."""
    console().print(harmless(text), markup=False, soft_wrap=True)


def complain(text: str, hint: str = "") -> None:
    """Write a problem to stderr."""
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    errors.print(f"[red]Error:[/red] {escape(harmless(text))}")
    if hint:
        errors.print(escape(harmless(hint)))


def note(text: str) -> None:
    """Write something to know about a command to stderr: its result stays alone on stdout."""
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
    """Let a person wait for jobs; Ctrl-C ends the waiting, and says that they go on.

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
    """Write a value for another program."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def show_rows(
    headings: Sequence[str],
    rows: Iterable[Sequence[Any]],
    empty: str,
    *,
    least: Sequence[str] = (),
    names: Sequence[str] = (),
) -> None:
    """Write a table; the sentence `empty` to stderr where there are no rows.

    Where it is wider than the terminal, the columns `least` are left out, in that order, and said
    to be so below; then the values of `names` are shortened in the middle. What is piped has tabs
    between its values, and all of them.
    """
    texts = [[_text(value) for value in row] for row in rows]
    if not texts:
        Console(stderr=True).print(empty, markup=False)
    elif not (out := console()).is_terminal:
        show_piped([headings, *texts])
    else:
        _show_fitting(out, [list(headings), *texts], least, names)


def show_piped(lines: Iterable[Sequence[str]]) -> None:
    """Write each line's values with tabs between them, for other programs."""
    for line in lines:
        sys.stdout.write("\t".join(line) + "\n")


def _show_fitting(
    out: Console, lines: list[list[str]], least: Sequence[str], names: Sequence[str]
) -> None:
    columns = [list(column) for column in zip(*lines, strict=True)]
    gone = _too_many(out, columns, least)
    columns = [column for column in columns if column[0] not in gone]
    for column in columns:
        if (excess := _width(columns) - out.width) > 0 and column[0] in names:
            most = max(_SHORTEST_NAME, max(map(cell_len, column)) - excess)
            column[1:] = [_shortened(text, most) for text in column[1:]]
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        # The first column names the row, and is what people copy.
        table.add_column(escape(column[0]), overflow="fold", no_wrap=column is columns[0])
    for row in zip(*[column[1:] for column in columns], strict=True):
        table.add_row(*map(_styled, row))
    out.print(table)
    if gone:
        note(f"Left out at this width: {', '.join(gone)}. A wider terminal shows them, or --json.")


def _too_many(out: Console, columns: list[list[str]], least: Sequence[str]) -> list[str]:
    """Return the headings to leave out."""
    gone: list[str] = []
    for heading in least:
        if _width(column for column in columns if column[0] not in gone) <= out.width:
            break
        gone.append(heading)
    return gone


def _width(columns: Iterable[list[str]]) -> int:
    widths = [max(map(cell_len, column)) + 2 for column in columns]
    return sum(widths) - 2


def _shortened(text: str, most: int) -> str:
    """Return the text in at most so many cells: its two ends tell it from others.

    >>> _shortened("orders_of_the_northern_region_2026", 16)
    'orders_o…on_2026'
    """
    if cell_len(text) <= most:
        return text
    head = set_cell_size(text, most // 2).rstrip()
    tail = text[-((most - 1) // 2) :]
    while cell_len(head) + 1 + cell_len(tail) > most:
        tail = tail[1:]
    return f"{head}…{tail}"


def show_fields(fields: Iterable[tuple[str, Any]]) -> None:
    """Name and value, one pair a line."""
    lines = [(name, _text(value)) for name, value in fields]
    out = console()
    if not out.is_terminal:
        show_piped(lines)
        return
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in lines:
        table.add_row(name, _styled(text))
    out.print(table)


def _text(value: Any) -> str:
    return "-" if value is None or value == "" else harmless(str(value))


def _styled(text: str) -> str:
    style = _STATE_STYLES.get(text)
    return f"[{style}]{escape(text)}[/{style}]" if style else escape(text)


def moment(value: str | None) -> str | None:
    """Return a time of the API's, short enough for a column.

    >>> moment("2026-11-02T10:00:00.123456Z")
    '2026-11-02 10:00:00Z'
    """
    return None if value is None else value[:19].replace("T", " ") + "Z"  # all of them are UTC


def size(value: int | None) -> str | None:
    """Return a number of bytes for people.

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
    """Return a count for people.

    >>> number(28298)
    '28,298'
    """
    return None if value is None else f"{value:,}"


def describe_warning(warning: dict[str, Any]) -> str:
    """Describe what a read had to say, in one line.

    >>> describe_warning(
    ...     {"code": "blank_lines", "sentence": "2 were skipped.", "file": "a.csv", "line": 3}
    ... )
    'Warning: a.csv, line 3: 2 were skipped. (blank_lines)'
    """
    place = ", line ".join(str(warning[key]) for key in ("file", "line") if warning[key])
    # Many a sentence names its file itself.
    place = "" if (warning["file"] or "") in warning["sentence"] else place
    return f"Warning: {place and place + ': '}{warning['sentence']} ({warning['code']})"


def describe_diff(diff: dict[str, Any]) -> list[str]:
    """Describe a schema diff, one line a column, or a field where only fields of it changed.

    >>> describe_diff({"changed": [{"name": "id", "from": "Int32", "to": "Int64"}]})
    ['~ id  Int32 → Int64']
    >>> describe_diff({"fields": {"added": [{"path": ["o", "a", "b.c"], "type": "Int8"}]}})
    ['+ o.a.`b.c`  Int8']
    """
    lines = []
    for column in diff.get("added", ()):
        lines += [f"+ {column['name']}  {column['type']}", *_describe_brought(column)]
    lines += [f"- {column['name']}  {column['type']}" for column in diff.get("removed", ())]
    lines += [f"~ {one['from']} is now called {one['to']}" for one in diff.get("renamed", ())]
    for one in diff.get("changed", ()):
        if not one.get("only_fields"):
            lines += [f"~ {one['name']}  {one['from']} → {one['to']}", *_describe_brought(one)]
    return lines + _describe_fields(diff.get("fields", {}))


def _describe_brought(change: dict[str, Any]) -> list[str]:
    """Describe who brought a column or its type, in lines below it."""
    origin = change.get("origin")
    if not origin:
        return []
    lines = [f"    by {describe_place(origin['brought_by'])}"]
    if origin["camps"]:
        lines += [f"    {line}" for line in describe_camps(origin["camps"])]
    elif origin["files"] is not None:
        lines.append(f"    {describe_presence(origin)}")
    return lines


def describe_waiting(table: str, pending: dict[str, Any]) -> str:
    """Say that a change of the table waits, and where to look at it."""
    return f"A change waits ({pending['change']}): stocktake changes show {table}"


def describe_presence(origin: dict[str, Any]) -> str:
    """Return in how many of the files read a column is.

    >>> describe_presence({"files": 2, "of_files": 12, "sampled": True})
    'in 2 of 12 read files'
    """
    kind = "read files" if origin["sampled"] else "files"
    return f"in {origin['files']:,} of {origin['of_files']:,} {kind}"


def describe_place(place: dict[str, Any], most: int = 36) -> str:
    """Return a file, version or snapshot, with its time; so short that a line holds it.

    >>> place = {"file": None, "version": 7, "snapshot": None, "exact": False}
    >>> describe_place(place | {"at": "2026-11-27T10:00:00+00:00"})
    'version 7, 2026-11-27 10:00:00Z, or before'
    """
    name = place["file"] and _shortened(place["file"], most)
    if place["version"] is not None:
        name = f"version {place['version']}"
    if place["snapshot"] is not None:
        name = f"snapshot {place['snapshot']}"
    parts = [name, moment(place["at"]), None if place["exact"] else "or before"]
    return ", ".join(part for part in parts if part)


def describe_camps(camps: Iterable[dict[str, Any]]) -> list[str]:
    """Describe the files of each type of a column, a line for each type; long where short ones
    would read alike, as those of nested columns do."""
    camps, lines = list(camps), []
    short = [_shortened(camp["type"], 18) for camp in camps]
    if len(set(short)) < len(short):
        short = [camp["type"] for camp in camps]
    for camp, kind in zip(camps, short, strict=True):
        first, newest = camp["first"]["file"] or "", camp["newest"]["file"] or ""
        names = (
            _shortened(first, 36)
            if first == newest
            else f"{_shortened(first, 18)} … {_shortened(newest, 18)}"
        )
        files = "1 file" if camp["files"] == 1 else f"{camp['files']:,} files"
        lines.append(f"{kind} in {files}: {names}")
    return lines


def _describe_fields(fields: dict[str, Any]) -> list[str]:
    lines = [f"+ {_path(field)}  {field['type']}" for field in fields.get("added", ())]
    lines += [f"- {_path(field)}  {field['type']}" for field in fields.get("removed", ())]
    lines += [
        f"~ {_path(field)}  {field['from']} → {field['to']}" for field in fields.get("changed", ())
    ]
    if omitted := fields.get("omitted"):
        lines.append(f"~ {omitted:,} more fields")
    return lines


def _path(field: dict[str, Any]) -> str:
    """Return the names as SQL spells them, so that a dot in one is no step."""
    return ".".join(map(element_name, field["path"]))


def describe_job(job: dict[str, Any]) -> str:
    """Return how far a job has come, in one line."""
    line = f"{job['state']}, attempt {job['attempt']} of {job['max_attempts']}"
    if job["state"] == "running" and job["progress"]:
        done, total = job["progress"]["files_done"], job["progress"]["files_total"]
        line += f", {job['progress']['phase']}: {done} of {total or '?'} files"
    if job["state"] == "queued" and job["error"]:
        line += f", next at {moment(job['next_run_at'])} after {job['error']['code']}"
    return line


def describe_divided(columns: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Yield which files have which type, of columns on which they differ."""
    for one in columns:
        if camps := (one.get("origin") or {}).get("camps"):
            yield f"{_shortened(one['name'], 72)}:"
            yield from (f"  {line}" for line in describe_camps(camps))
