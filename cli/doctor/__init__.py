"""`stocktake doctor`: looks at every part that the service stands on, and says what to do.

Each `look_at_*` asks a real part; each `judge_*` says what its answer means.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from cli.database import database_url
from cli.doctor.findings import Area, Finding, Verdict
from cli.output import console, show_json, show_piped
from stocktake.errors import CommandError
from stocktake.redaction import harmless

if TYPE_CHECKING:
    from stocktake.settings import Settings

_STYLES: Final = {
    Verdict.OK: "green",
    Verdict.WARNING: "yellow",
    Verdict.FAILED: "bold red",
    Verdict.SKIPPED: "dim",
}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Check database, broker, store, workers, clock, versions, secrets and limits.

    Run it where the service runs, with its environment, or in the folder of a `stocktake up`. The
    exit status is 1 where a check failed, and 0 otherwise.
    """
    import logging

    import structlog

    # What the parts would log is what the findings say.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    findings = list(examine())
    if as_json:
        show_json({"healthy": _healthy(findings), "checks": [each.as_dict() for each in findings]})
    else:
        show(findings)
    if not _healthy(findings):
        raise typer.Exit(1)


def _healthy(findings: Iterable[Finding]) -> bool:
    return all(each.verdict is not Verdict.FAILED for each in findings)


def examine() -> Iterator[Finding]:
    """Yield all findings, in the order in which they are shown."""
    # Late: `stocktake --help` needs none of it.
    from cli.doctor import machine, processes, stores
    from stocktake.db.session import ANSWER_SECONDS, Database
    from stocktake.settings import read_settings

    settings = of_stack_here(read_settings())
    database: Database | None = None
    try:
        database = Database(database_url(), answer_seconds=ANSWER_SECONDS)
    except CommandError as exc:
        yield Area("database").failed("answers", "not found", str(exc))
    else:
        found = list(stores.look_at_database(database))
        yield from found
        if found[0].verdict is Verdict.FAILED:
            database = None
    yield from stores.look_at_broker(settings)
    yield from stores.look_at_stores(settings)
    yield from processes.look_at_processes(database, settings)
    yield from machine.look_at_versions()
    yield from machine.look_at_secrets(settings, database)
    yield from machine.look_at_limits(settings)
    if database is not None:
        database.dispose()


def of_stack_here(settings: "Settings") -> "Settings":
    """Return the settings, with what a `stocktake up` of this data directory made up for itself."""
    from pydantic import SecretStr

    from stocktake.settings import listed

    files = {
        "broker_url": settings.data_dir / "broker" / "url",
        "secret_keys": settings.data_dir / "secret_key",
    }
    made: dict[str, Any] = {
        name: SecretStr(file.read_text(encoding="utf-8").strip())
        for name, file in files.items()
        if name not in settings.model_fields_set and file.exists()
    }
    if "secret_keys" in made:
        keys = listed(made["secret_keys"].get_secret_value())
        made["secret_keys"] = tuple(SecretStr(key) for key in keys)
    return settings.model_copy(update=made)


def show(findings: list[Finding]) -> None:
    """Write the findings, by area."""
    out = console()
    if not out.is_terminal:
        show_piped(
            (each.area, each.verdict, each.check, harmless(each.found), harmless(each.todo))
            for each in findings
        )
        out.print(_summary(findings))
        return
    widest = max(len(each.check) for each in findings)
    for area, group in groupby(findings, key=lambda each: each.area):
        out.print(f"[bold]{escape(area)}[/bold]")
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True, min_width=len(Verdict.WARNING))
        table.add_column(no_wrap=True, min_width=widest)
        table.add_column(overflow="fold")
        for each in group:
            found = escape(harmless(each.found))
            if each.todo:
                found += f"\n[bold]→ {escape(harmless(each.todo))}[/bold]"
            style = _STYLES[each.verdict]
            table.add_row(f"[{style}]{each.verdict}[/{style}]", escape(each.check), found)
        out.print(Padding(table, (0, 0, 1, 2), expand=False))
    out.print(_summary(findings))


def _summary(findings: list[Finding]) -> str:
    counts = dict.fromkeys(Verdict, 0)
    for each in findings:
        counts[each.verdict] += 1
    if counts[Verdict.FAILED]:
        text = f"[bold red]{counts[Verdict.FAILED]} of {len(findings)} checks failed.[/bold red]"
    else:
        text = f"[green]All is well:[/green] {counts[Verdict.OK]} checks."
    if counts[Verdict.WARNING]:
        text += f" [yellow]{counts[Verdict.WARNING]} to look at.[/yellow]"
    return text
