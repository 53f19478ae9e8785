"""`stocktake batches`: what is done to many tables, through the API."""

from typing import Annotated, Any

import typer

from cli import filters
from cli.client import Client
from cli.output import (
    AsJson,
    confirm,
    going_on,
    moment,
    say,
    show_fields,
    show_json,
    show_rows,
)
from cli.progress import await_batch, progress
from stocktake.errors import CommandError
from stocktake.schema.decisions import Policy
from stocktake.states import BatchAction

app = typer.Typer(help="What is done to many tables.", no_args_is_help=True)

BatchId = Annotated[str, typer.Argument(help="Id of a batch, as `stocktake batches list` has it.")]


@app.command("list")
def list_batches(
    action: Annotated[BatchAction | None, typer.Option(help="Those that do this.")] = None,
    state: Annotated[
        str | None, typer.Option(help="expanding, running, finished, cancelled or failed.")
    ] = None,
    schedule: Annotated[
        str | None, typer.Option(help="Name or id of the schedule that started them.")
    ] = None,
    plans: Annotated[
        bool | None, typer.Option("--plans/--no-plans", help="Whether they change nothing.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, at most.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the newest batches."""
    with Client.from_environment() as client:
        wanted = filters.selector(
            client, action=action, state=state, schedule=schedule, dry_run=plans
        )
        found = client.get("batches/", **filters.as_query(wanted), limit=limit)["results"]
    if as_json:
        show_json(found)
        return
    show_rows(
        ("ID", "ACTION", "STATE", "TABLES", "CREATED"),
        [
            (
                each["id"],
                "plan" if each["dry_run"] else each["action"],
                each["state"],
                each["tables"],
                moment(each["created_at"]),
            )
            for each in found
        ],
        empty="No batches.",
        least=("CREATED",),
    )


@app.command("show")
def show_batch(batch_id: BatchId, as_json: AsJson = False) -> None:
    """Show one batch with its counters and its first errors."""
    with Client.from_environment() as client:
        batch = client.get(f"batches/{batch_id}/")
    if as_json:
        show_json(batch)
    else:
        _show(batch)


@app.command("cancel")
def cancel_batch(batch_id: BatchId, as_json: AsJson = False) -> None:
    """End what waits of a batch, and ask what runs to stop."""
    with Client.from_environment() as client:
        batch = client.post(f"batches/{batch_id}/cancel/", {})
    if as_json:
        show_json(batch)
    else:
        say(f"Batch {batch['id']} is {batch['state']}.")


@app.command("start")
def start_batch(
    action: Annotated[BatchAction, typer.Argument(help="What to do.")],
    search: filters.Search = None,
    state: filters.State = None,
    table_format: filters.Format = None,
    error_code: filters.ErrorCode = None,
    last_change: filters.LastChange = None,
    overrides: filters.Overrides = None,
    schedule: filters.OfSchedule = None,
    selector: filters.Selector = None,
    everything: Annotated[bool, typer.Option("--all", help="All tables.")] = False,
    policy: Annotated[
        Policy | None,
        typer.Option(help="Of the action policy; the project's if left out."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the end.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Refresh, delete, or set the policy of changes of all tables that match; with --wait, status 1
    unless all of it succeeds."""
    with Client.from_environment() as client:
        wanted = filters.selector(
            client,
            search=search,
            state=state,
            format=table_format,
            error_code=error_code,
            last_change=last_change,
            has_overrides=overrides,
            schedule=schedule,
        )
        if (bool(wanted), selector is not None, everything).count(True) != 1:
            raise CommandError(
                "Say which tables, by --state and others, or give --selector or --all."
            )
        # What was written as JSON is sent as it is: one that is empty means no table, and not all.
        meant = wanted or ({"all": True} if everything else filters.parsed(selector))
        if action is BatchAction.DELETE and not yes:
            which = "the tables that the selector means"
            if selector is None:
                query = filters.as_query(wanted) | {"limit": 1, "include_columns": "false"}
                which = f"{client.get('warehouse_tables/', **query)['count']} tables"
            confirm(f"Delete {which}, and the files uploaded to them?", yes=yes)
        body: dict[str, Any] = {"action": action, "selector": meant}
        if action is BatchAction.POLICY:
            body["change_policy"] = policy
        batch = client.post("batches/", body)
        if wait:
            doing = going_on(f"stocktake batches show {batch['id']}")
            with doing, progress(action, quiet=as_json) as look:
                batch = await_batch(client, batch, look)
    if as_json:
        show_json(batch)
    elif wait:
        _show(batch)
    else:
        say(f"Batch {batch['id']}. To see how far it is: stocktake batches show {batch['id']}")
    if wait and (batch["errors"] or batch["counts"]["succeeded"] < batch["total"]):
        raise typer.Exit(1)


def _show(batch: dict[str, Any]) -> None:
    counts = ", ".join(f"{number} {state}" for state, number in batch["counts"].items() if number)
    show_fields(
        (
            ("Id", batch["id"]),
            ("Action", "plan" if batch["dry_run"] else batch["action"]),
            *((name.replace("_", " "), value) for name, value in batch["arguments"].items()),
            ("Selected", filters.told(batch["selector"])[:200]),
            ("State", batch["state"]),
            ("Tables", batch["total"]),
            ("So far", f"{batch['finished_share']:.0%}" + (f" ({counts})" if counts else "")),
            ("Created", moment(batch["created_at"])),
        )
    )
    for error in batch["errors"]:
        say(f"{error['table_name'] or 'The batch'}: {error['code']}: {error['detail']}")
