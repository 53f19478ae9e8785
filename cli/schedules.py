"""`stocktake schedules`, through the API."""

from typing import Annotated, Any

import typer

from cli import filters
from cli.client import Client
from cli.output import AsJson, confirm, moment, note, say, show_json, show_rows
from stocktake.errors import CommandError

_WHICH = "Say which tables: one of --all, --glob, --table or --selector."

_Jitter = Annotated[
    float | None,
    typer.Option(min=0, help="Seconds by which a run may be late, drawn anew for each."),
]

app = typer.Typer(help="Schedules: cron rules that refresh tables.", no_args_is_help=True)


@app.command("list")
def list_schedules(as_json: AsJson = False) -> None:
    """List the schedules, newest first."""
    with Client.from_environment() as client:
        found = list(client.all("schedules/"))
    if as_json:
        show_json(found)
        return
    show_rows(
        ("NAME", "CRON", "TIME ZONE", "TABLES", "LAST", "NEXT", "ID"),
        [_row(schedule) for schedule in found],
        empty="No schedules yet: `stocktake schedules add` makes one.",
        least=("LAST", "TIME ZONE", "TABLES"),
        names=("NAME",),
    )


def _row(schedule: dict[str, Any]) -> tuple[Any, ...]:
    return (
        schedule["name"],
        schedule["cron"],
        schedule["timezone"],
        filters.told(schedule["selector"]),
        moment(schedule["last_fire_at"]),
        "paused" if schedule["paused"] else moment(schedule["next_fire_at"]),
        schedule["id"],
    )


@app.command("add")
def add_schedule(
    name: Annotated[str, typer.Argument(help="Unique in the project.")],
    cron: Annotated[
        str,
        typer.Option(
            help='Five fields, as "0 6 * * *", or @daily; days also L (the last), LW, mon#1, 5L.'
        ),
    ],
    timezone: Annotated[str, typer.Option(help="An IANA name.")] = "UTC",
    everything: Annotated[bool, typer.Option("--all", help="All tables.")] = False,
    glob: Annotated[str | None, typer.Option(help="Tables whose name matches.")] = None,
    table: Annotated[list[str] | None, typer.Option(help="A table; may be repeated.")] = None,
    selector: filters.Selector = None,
    jitter: _Jitter = None,
    as_json: AsJson = False,
) -> None:
    """Refresh tables by the clock."""
    with Client.from_environment() as client:
        meant = _selector(client, everything, glob, table, selector)
        if meant is None:
            raise CommandError(_WHICH)
        body: dict[str, Any] = {"name": name, "cron": cron, "timezone": timezone, "selector": meant}
        if jitter is not None:
            body["jitter_seconds"] = jitter
        if any(one["name"] == name for one in client.all("schedules/")):
            raise CommandError(f"There is a schedule {name!r} already: remove it, or name another.")
        made = client.post("schedules/", body)
        tables = client.get(f"schedules/{made['id']}/upcoming/", count=1)["tables"]
    if as_json:
        show_json(made)
        return
    say(f"Added {name}; first run at {moment(made['next_fire_at'])}.")
    if not tables:
        note(
            f"No table is meant by it yet ({filters.told(meant)}); those that are registered until "
            "it runs will be."
        )


def _selector(
    client: Client,
    everything: bool,
    glob: str | None,
    tables: list[str] | None,
    selector: str | None,
) -> dict[str, Any] | None:
    """Return which tables are meant; None where nothing says so."""
    match [everything, glob is not None, bool(tables), selector is not None].count(True):
        case 0:
            return None
        case 1:
            pass
        case _:
            raise CommandError(_WHICH)
    if selector is not None:
        return filters.parsed(selector)
    if glob is not None:
        return {"name_glob": glob}
    return {"tables": [client.table(one)["id"] for one in tables]} if tables else {"all": True}


@app.command("edit")
def edit_schedule(
    name: Annotated[str, typer.Argument(help="Name or id.")],
    new_name: Annotated[str | None, typer.Option("--name", help="Call it otherwise.")] = None,
    cron: Annotated[str | None, typer.Option(help="Five fields, or @daily.")] = None,
    timezone: Annotated[str | None, typer.Option(help="An IANA name.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All tables.")] = False,
    glob: Annotated[str | None, typer.Option(help="Tables whose name matches.")] = None,
    table: Annotated[list[str] | None, typer.Option(help="A table; may be repeated.")] = None,
    selector: filters.Selector = None,
    jitter: _Jitter = None,
    as_json: AsJson = False,
) -> None:
    """Change a schedule's rule, its time zone, its name, its jitter or its tables."""
    with Client.from_environment() as client:
        sent = {
            "name": new_name,
            "cron": cron,
            "timezone": timezone,
            "selector": _selector(client, everything, glob, table, selector),
            "jitter_seconds": jitter,
        }
        change = {field: value for field, value in sent.items() if value is not None}
        if not change:
            raise CommandError(
                "Say what to change: --cron, --timezone, --name, --jitter or the tables."
            )
        changed = client.patch(_path(client, name), change)
    _say(changed, f"Changed {changed['name']}; {_next(changed)}.", as_json=as_json)


def _say(answer: dict[str, Any], sentence: str, *, as_json: bool) -> None:
    if as_json:
        show_json(answer)
    else:
        say(sentence)


@app.command("pause")
def pause_schedule(
    name: Annotated[str, typer.Argument(help="Name or id.")], as_json: AsJson = False
) -> None:
    """Let a schedule rest; what it misses is not made up for."""
    with Client.from_environment() as client:
        paused = client.patch(_path(client, name), {"paused": True})
    told = f"Paused {paused['name']}. To go on: stocktake schedules resume {name}"
    _say(paused, told, as_json=as_json)


@app.command("resume")
def resume_schedule(
    name: Annotated[str, typer.Argument(help="Name or id.")], as_json: AsJson = False
) -> None:
    """Let a paused schedule go on."""
    with Client.from_environment() as client:
        resumed = client.patch(_path(client, name), {"paused": False})
    _say(resumed, f"Resumed {resumed['name']}; {_next(resumed)}.", as_json=as_json)


@app.command("run")
def run_schedule(
    name: Annotated[str, typer.Argument(help="Name or id.")], as_json: AsJson = False
) -> None:
    """Start a schedule's refreshes at once, paused or not."""
    with Client.from_environment() as client:
        batch = client.post(f"{_path(client, name)}run/", {})
    told = f"Batch {batch['id']}. Its jobs: stocktake jobs list --batch {batch['id']}"
    _say(batch, told, as_json=as_json)


@app.command("next")
def show_next(
    name: Annotated[str, typer.Argument(help="Name or id.")],
    count: Annotated[int, typer.Option(min=1, max=50, help="How many times.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Show when a schedule runs next, and how many tables it means."""
    with Client.from_environment() as client:
        schedule = _found(client, name)
        coming = client.get(f"schedules/{schedule['id']}/upcoming/", count=count)
    if as_json:
        show_json(coming)
        return
    for fire in coming["fires"]:
        say(moment(fire) or "")
    count_of = coming["tables"]
    note(f"{count_of} table{'' if count_of == 1 else 's'} now.")
    if schedule["paused"]:
        note("It is paused: these are the times that it would run at.")


def _next(schedule: dict[str, Any]) -> str:
    following = moment(schedule["next_fire_at"])
    return f"next run at {following}" if following else "it is paused"


def _path(client: Client, name: str) -> str:
    return f"schedules/{_found(client, name)['id']}/"


def _found(client: Client, name: str) -> dict[str, Any]:
    """Return the schedule of this name, or with this id."""
    found = [one for one in client.all("schedules/") if name in (one["name"], one["id"])]
    if len(found) != 1:
        raise CommandError(_not_one(name, found))
    return found[0]


@app.command("remove")
def remove_schedule(
    name: Annotated[str, typer.Argument(help="Name or id.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete a schedule; what it started goes on."""
    with Client.from_environment() as client:
        schedule = _found(client, name)
        confirm(f"Remove schedule {schedule['name']}?", yes=yes)
        client.delete(f"schedules/{schedule['id']}/")
    gone = {"id": schedule["id"], "name": schedule["name"], "deleted": True}
    _say(gone, f"Removed {schedule['name']}.", as_json=as_json)


def _not_one(name: str, found: list[dict[str, Any]]) -> str:
    if found:
        ids = ", ".join(one["id"] for one in found)
        return f"{len(found)} schedules are called {name!r}. Name one by its id: {ids}."
    return f"There is no schedule {name!r}. `stocktake schedules list` shows those known."
