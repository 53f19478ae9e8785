"""`stocktake tables history` and `diff`: which schemas a table had, and who brought what."""

from typing import Annotated, Any

import typer

from cli.client import Client
from cli.output import AsJson, describe_diff, moment, say, show_json, show_rows
from stocktake.errors import CommandError

_Name = Annotated[str, typer.Argument(help="Name or id.")]


def show_history(
    name: _Name,
    as_of: Annotated[
        str | None,
        typer.Option(help="Show the schema of then: 2026-11-01, or a time with its zone."),
    ] = None,
    for_file: Annotated[
        str | None,
        typer.Option(help="Show the schema that was live when this file was first seen."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List a table's schema versions, or show the one that was live at a time."""
    with Client.from_environment() as client:
        path = f"warehouse_tables/{client.table(name)['id']}/"
        if as_of is None and for_file is None:
            found: Any = list(client.all(f"{path}schema_versions/"))
        else:
            found = client.get(f"{path}schema/", as_of=as_of, for_file=for_file)
    if as_json:
        show_json(found)
    elif isinstance(found, list):
        _show_versions(found)
    else:
        _show_live(found)


def _show_versions(versions: list[dict[str, Any]]) -> None:
    show_rows(
        ("VERSION", "CHANGE", "COLUMNS", "STORED", "SOURCE VERSION"),
        [
            (
                one["number"],
                one["change"],
                one["column_count"],
                moment(one["created_at"]),
                one["source_version"],
            )
            for one in versions
        ],
        empty="No versions: the source was not read yet.",
        least=("SOURCE VERSION", "COLUMNS"),
    )


def _show_live(version: dict[str, Any]) -> None:
    until = moment(version["live_until"])
    since = f"Version {version['number']}, live from {moment(version['created_at'])}"
    say(f"{since} until {until}." if until else f"{since} until now.")
    show_rows(
        ("COLUMN", "TYPE"),
        [(one["name"], one["clickhouse"]) for one in version["columns"]],
        empty="No columns.",
        names=("COLUMN",),
    )


def show_diff(
    name: _Name,
    version: Annotated[int | None, typer.Argument(help="The present one if left out.")] = None,
    against: Annotated[int | None, typer.Option(help="The one before if left out.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what changed up to a schema version, and which file or commit brought it."""
    with Client.from_environment() as client:
        table = client.table(name)
        number = version or table["schema_version"]
        if not number:
            raise CommandError(f"{table['name']} has no schema yet: its source was not read.")
        path = f"warehouse_tables/{table['id']}/schema_versions/{number}/diff/"
        absent = f"There is no such version: `stocktake tables history {table['name']}` lists all."
        found = client.get(path, absent=absent, against=against)
    if as_json:
        show_json(found)
        return
    before = "nothing" if found["from_version"] is None else f"version {found['from_version']}"
    say(f"From {before} to version {found['to_version']}: {found['change']}")
    for line in describe_diff(found["diff"]):
        say(line)
