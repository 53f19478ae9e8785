"""`stocktake plan`: what a refresh would change, for CI; its exit status tells the worst of it."""

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Annotated, Any, Final

import typer

from cli.client import Client
from cli.output import describe_diff, going_on, say, show_json
from cli.tables import Look, await_batch, progress
from stocktake.schema.decisions import worst
from stocktake.schema.diff import ChangeClass

#: What a change costs those who read the table. 1 is a read that failed, 2 a wrong command.
STATUS: Final = {
    ChangeClass.NONE: 0,
    ChangeClass.ADDITIVE: 0,
    ChangeClass.WIDENING: 3,
    ChangeClass.BREAKING: 4,
}
FAILED: Final = 1


def plan(
    names: Annotated[list[str] | None, typer.Argument(help="Names or ids of tables.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All tables.")] = False,
    selector: Annotated[
        str | None, typer.Option(help='Of the API, as JSON: \'{"name_glob": "sales_*"}\'.')
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Say what a refresh would change, and change nothing.

    Ends with status 0 where that is nothing, or new columns alone; 3 where a type would widen; 4
    where it would break readers; 1 where a source cannot be read; 2 is a wrong command.
    """
    if (bool(names), everything, selector is not None).count(True) != 1:
        raise typer.BadParameter("Name the tables to plan for, or give --all or --selector.")
    wanted: dict[str, Any] = {"all": True} if everything else _parsed(selector)
    with Client.from_environment() as client:
        if names:
            wanted = {"tables": list(dict.fromkeys(client.table(each)["id"] for each in names))}
        batch = client.post("warehouse_tables/refresh/", wanted, dry_run="true")
        shown: AbstractContextManager[Look] = nullcontext(_silent) if as_json else progress()
        with going_on(f"stocktake jobs list --batch {batch['id']}"), shown as look:
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


def _parsed(selector: str | None) -> dict[str, Any]:
    try:
        parsed = json.loads(selector or "{}")
    except ValueError as exc:
        raise typer.BadParameter(f"--selector is no JSON: {exc}.") from exc
    if not isinstance(parsed, dict):
        raise typer.BadParameter("--selector must be a JSON object.")
    return parsed


def _silent(batch: dict[str, Any], waits_for: str) -> None:
    """Show no progress: the answer stands alone."""


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


def _show(found: list[dict[str, Any]], missing: int) -> None:
    for each in found:
        if each["error"]:
            say(f"{each['table']}: failed, {each['error']['code']}: {each['error']['detail']}")
            continue
        if each["change"] == ChangeClass.NONE:
            continue
        held = each["waits"] != ChangeClass.NONE
        say(f"{each['table']}: {each['change']}" + (", of which some would wait" if held else ""))
        for line in describe_diff(each["diff"]):
            say(f"  {line}")
    failed = sum(1 for each in found if each["error"]) + missing
    changed = sum(1 for each in found if each["change"] not in (None, ChangeClass.NONE))
    say(f"{len(found)} read, {changed} would change, {failed} failed. Nothing was changed.")
