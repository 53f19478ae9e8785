"""`stocktake plan` and `stocktake check`: what a refresh, or a file, would change, for CI; the exit
status tells the worst of it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from cli import filters, hints
from cli.client import Client
from cli.output import AsJson, complain, describe_diff, describe_warning, going_on, say, show_json
from cli.progress import await_batch, progress
from stocktake.errors import CommandError
from stocktake.schema.decisions import Policy, worst
from stocktake.schema.diff import ChangeClass
from stocktake.schema.formats import TableFormat

#: What a change costs those who read the table. 1 is a read that failed, 2 a wrong command.
STATUS: Final = {
    ChangeClass.NONE: 0,
    ChangeClass.ADDITIVE: 0,
    ChangeClass.WIDENING: 3,
    ChangeClass.BREAKING: 4,
}
FAILED: Final = 1
_WAIT_SECONDS: Final = 60


def plan(
    names: Annotated[list[str] | None, typer.Argument(help="Names or ids of tables.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All tables.")] = False,
    selector: filters.Selector = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Say what a refresh would change, and change nothing.

    Ends with status 0 where that is nothing, or new columns alone; 3 where a type would widen; 4
    where it would break readers; 1 where a source cannot be read; 2 is a wrong command.
    """
    if (bool(names), everything, selector is not None).count(True) != 1:
        raise typer.BadParameter("Name the tables to plan for, or give --all or --selector.")
    wanted: dict[str, Any] = {"all": True} if everything else filters.parsed(selector)
    with Client.from_environment() as client:
        if names:
            wanted = {"tables": list(dict.fromkeys(client.table(each)["id"] for each in names))}
        batch = client.post("warehouse_tables/refresh/", wanted, dry_run="true")
        doing = going_on(f"stocktake jobs list --batch {batch['id']}")
        with doing, progress("Planning", quiet=as_json) as look:
            batch = await_batch(client, batch, look)
        found = list(_found(client, batch))
    missing = max(0, len(wanted.get("tables", ())) - batch["total"])
    answers = [each["change"] for each in found if each["error"] is None]
    change = worst(answers)
    if as_json:
        show_json({"change": change, "batch_id": batch["id"], "tables": found, "missing": missing})
    else:
        _show(found, missing)
    complete = len(answers) == batch["total"] and not missing and not batch["errors"]
    raise typer.Exit(STATUS[change] if complete else FAILED)


def check(
    file: Annotated[
        str,
        typer.Argument(help="A file that has not landed; or the URL of one where the table's are."),
    ],
    table: Annotated[str, typer.Option(help="Name or id of the table it is for.")],
    table_format: Annotated[
        TableFormat | None,
        typer.Option(
            "--format", case_sensitive=False, help="What the file is; as the table if left out."
        ),
    ] = None,
    option: hints.Given = None,
    as_json: AsJson = False,
) -> None:
    """Say what a file would do to a table's schema before it lands there, and change nothing.

    Ends as `stocktake plan` does: 0 for nothing and for new columns, 3 where a type would widen, 4
    where it would break readers, 1 where the file cannot be read, 2 is a wrong command.
    """
    is_url = "://" in file
    if not (is_url or Path(file).is_file()):
        raise typer.BadParameter(f"There is no file {file!r}.")
    options = hints.options_of(option or ())
    fields = {"format": table_format, "options": json.dumps(options) if options else None}
    sent = {name: str(value) for name, value in fields.items() if value is not None}
    with Client.from_environment() as client:
        path = f"warehouse_tables/{client.table(table)['id']}/check/"
        if is_url:
            sent["url_pattern"] = file
        job = client.send_file(
            path, None if is_url else Path(file), sent, wait_seconds=_WAIT_SECONDS
        )
    if as_json:
        show_json(job)
    verdict = job["result"]
    if verdict is None:
        told = (job["error"] or {}).get("detail")
        raise CommandError(told or f"Not read yet: stocktake jobs watch {job['id']}")
    if not as_json:
        _show_verdict(verdict)
    change = verdict["change"]
    raise typer.Exit(FAILED if change is None else STATUS[ChangeClass(change)])


def _show_verdict(verdict: dict[str, Any]) -> None:
    say(f"{verdict['table']}: {verdict['change'] or 'unreadable'}")
    for line in describe_diff(verdict["diff"]):
        say(f"  {line}")
    for warning in verdict["warnings"]:
        say(describe_warning(warning))
    if refusal := verdict["refusal"]:
        complain(refusal["detail"], refusal["hint"] or "")


def _found(client: Client, batch: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what each table's read came to."""
    names = {
        one["id"]: one["name"] for one in client.all("warehouse_tables/", include_columns="false")
    }
    for job in client.all("jobs/", batch=batch["id"], kind="plan_refresh"):
        result = job["result"] or {}
        kept = ("change", "diff", "policy", "waits", "source_version", "warnings")
        error = None if result else job["error"] or {"code": job["state"], "detail": ""}
        yield {
            "table": names.get(job["table_id"], job["table_id"]),
            "table_id": job["table_id"],
            "job_id": job["id"],
            "error": error,
            **{name: result.get(name) for name in kept},
        }


def _waits(planned: dict[str, Any]) -> str:
    if planned["waits"] == ChangeClass.NONE:
        return ""
    what = "all of it" if planned["policy"] == Policy.MANUAL else "what is not additive"
    return f"; {what} would wait (policy {planned['policy']})"


def _show(found: list[dict[str, Any]], missing: int) -> None:
    for each in found:
        if each["error"]:
            say(f"{each['table']}: failed, {each['error']['code']}: {each['error']['detail']}")
            if hint := each["error"].get("hint"):
                say(f"  {hint}")
            continue
        if each["change"] == ChangeClass.NONE:
            continue
        say(f"{each['table']}: {each['change']}" + _waits(each))
        for line in describe_diff(each["diff"]):
            say(f"  {line}")
    failed = sum(1 for each in found if each["error"]) + missing
    changed = sum(1 for each in found if each["change"] not in (None, ChangeClass.NONE))
    read = sum(1 for each in found if not each["error"])
    say(f"{read} read, {changed} would change, {failed} failed. Nothing was changed.")
