"""Which tables a command means, in the words of the API's lists and selectors."""

import json
from typing import Annotated, Any, Final

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


#: By the field of a selector, what it asks for.
_TOLD: Final = {
    "name_glob": "{}",
    "search": "with {} in the name",
    "state": "state {}",
    "stale_for_seconds": "stale for {} s",
    "error_code": "error {}",
    "last_change": "last change {}",
}


def told(selector: dict[str, Any]) -> str:
    """Return which tables a selector means, in a few words.

    >>> told({"all": True}), told({"tables": ["a", "b"]})
    ('all', '2 tables')
    >>> told({"name_glob": "g*", "format": "Delta", "stale_for_seconds": 60})
    'g*, format Delta, stale for 60 s'
    >>> told({"state": "failing", "has_overrides": False})
    'state failing, without overrides'
    """
    if "tables" in selector:
        count = len(selector["tables"])
        return f"{count:,} table{'' if count == 1 else 's'}"
    return ", ".join(_part(*each) for each in selector.items() if each[0] != "all") or "all"


def _part(name: str, value: Any) -> str:
    if name == "has_overrides":
        return "with overrides" if value else "without overrides"
    return _TOLD.get(name, name.replace("_", " ") + " {}").format(value)


def _schedule_id(client: Client, name: str) -> str:
    for each in client.all("schedules/"):
        if name in (each["name"], each["id"]):
            return str(each["id"])
    raise CommandError(f"There is no schedule {name!r}: `stocktake schedules list` shows them.")
