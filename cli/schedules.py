"""`stocktake schedules`, through the API."""

from fnmatch import fnmatchcase
from typing import Annotated, Any

import typer

from cli.client import Client
from cli.output import confirm, moment, note, say, show_json, show_rows
from cli.tables import AsJson
from stocktake.errors import CommandError
from stocktake.schema.folding import fold

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
        selected(schedule["selector"]),
        moment(schedule["last_fire_at"]),
        "paused" if schedule["paused"] else moment(schedule["next_fire_at"]),
        schedule["id"],
    )


def selected(selector: dict[str, Any]) -> str:
    """Return which tables a selector means, for a column.

    >>> selected({"all": True}), selected({"tables": ["a", "b"]})
    ('all', '2 tables')
    >>> selected({"name_glob": "g*", "format": "Delta", "stale_for_seconds": 60})
    'g*, format Delta, stale for 60 s'
    """
    if "tables" in selector:
        count = len(selector["tables"])
        return f"{count} table{'' if count == 1 else 's'}"
    parts = {"name_glob": "{}", "format": "format {}", "stale_for_seconds": "stale for {} s"}
    return (
        ", ".join(text.format(selector[name]) for name, text in parts.items() if name in selector)
        or "all"
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
) -> None:
    """Refresh tables by the clock."""
    if [everything, glob is not None, bool(table)].count(True) != 1:
        raise CommandError("Say which tables: one of --all, --glob or --table.")
    with Client.from_environment() as client:
        selector: dict[str, Any] = {"all": True}
        if glob is not None:
            selector = {"name_glob": glob}
        elif table:
            selector = {"tables": [client.table(one)["id"] for one in table]}
        body = {"name": name, "cron": cron, "timezone": timezone, "selector": selector}
        if any(one["name"] == name for one in client.all("schedules/")):
            raise CommandError(f"There is a schedule {name!r} already: remove it, or name another.")
        made = client.post("schedules/", body)
        matches = any(_matches(selector, one["name"]) for one in client.all("warehouse_tables/"))
    say(f"Added {name}; first run at {moment(made['next_fire_at'])}.")
    if not matches:
        note(
            f"No table is meant by it yet ({selected(selector)}); those that are registered until "
            "it runs will be."
        )


def _matches(selector: dict[str, Any], name: str) -> bool:
    """Return whether a schedule made here means the table; the server holds what a glob is."""
    if "name_glob" not in selector:
        return True
    # A bracket is a letter to the server, and to fnmatch the begin of a set.
    return fnmatchcase(fold(name), fold(selector["name_glob"]).replace("[", "[[]"))


@app.command("remove")
def remove_schedule(
    name: Annotated[str, typer.Argument(help="Name or id.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a schedule; what it started goes on."""
    with Client.from_environment() as client:
        found = [one for one in client.all("schedules/") if name in (one["name"], one["id"])]
        if len(found) != 1:
            raise CommandError(_not_one(name, found))
        confirm(f"Remove schedule {found[0]['name']}?", yes=yes)
        client.delete(f"schedules/{found[0]['id']}/")
    say(f"Removed {found[0]['name']}.")


def _not_one(name: str, found: list[dict[str, Any]]) -> str:
    if found:
        ids = ", ".join(one["id"] for one in found)
        return f"{len(found)} schedules are called {name!r}. Name one by its id: {ids}."
    return f"There is no schedule {name!r}. `stocktake schedules list` shows those known."
