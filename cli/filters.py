"""Which tables a command means, in the words of the API's lists and selectors."""

import json
from typing import Annotated, Any

import typer

from cli.client import Client
from stocktake.errors import CommandError
from stocktake.schema.diff import ChangeClass
from stocktake.schema.formats import TableFormat
from stocktake.states import TableState

Search = Annotated[str | None, typer.Option(help="Words that the name must hold.")]
State = Annotated[TableState | None, typer.Option(help="Those that stand so.")]
Format = Annotated[
    TableFormat | None,
    typer.Option("--format", case_sensitive=False, help="Those whose files are such."),
]
ErrorCode = Annotated[
    str | None, typer.Option(help="Those whose last read failed so, as source_not_found.")
]
LastChange = Annotated[
    ChangeClass | None, typer.Option(help="Class of the newest version after the first.")
]
Overrides = Annotated[
    bool | None,
    typer.Option("--overrides/--no-overrides", help="Whether a type was set by a person."),
]
OfSchedule = Annotated[
    str | None, typer.Option("--schedule", help="Name or id of one that would refresh them.")
]

Selector = Annotated[
    str | None, typer.Option(help='Of the API, as JSON: \'{"name_glob": "sales_*"}\'.')
]


def parsed(selector: str | None) -> dict[str, Any]:
    """Return what `--selector` says; nothing where it was not given.

    Raises:
        BadParameter: it is no JSON object.
    """
    try:
        found = json.loads(selector or "{}")
    except ValueError as exc:
        raise typer.BadParameter(f"--selector is no JSON: {exc}.") from exc
    if not isinstance(found, dict):
        raise typer.BadParameter("--selector must be a JSON object.")
    return found


def selector(client: Client, **wanted: Any) -> dict[str, Any]:
    """Return what is asked for of the filters, as the API's selectors have it.

    Raises:
        CommandError: there is no schedule of that name.
    """
    found = {name: value for name, value in wanted.items() if value is not None}
    if "schedule" in found:
        found["schedule"] = _schedule_id(client, found["schedule"])
    return found


def as_query(wanted: dict[str, Any]) -> dict[str, Any]:
    """Return a selector as a list's query."""
    return {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in wanted.items()
    }


def _schedule_id(client: Client, name: str) -> str:
    for each in client.all("schedules/"):
        if name in (each["name"], each["id"]):
            return str(each["id"])
    raise CommandError(f"There is no schedule {name!r}: `stocktake schedules list` shows them.")
