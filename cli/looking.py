"""`stocktake preview` and `stocktake previews`: the first rows of a file, and who allows them."""

from enum import StrEnum
from typing import Annotated, Any

import typer

from cli.client import Client
from cli.output import AsJson, complain, note, say, show_json, show_rows
from stocktake.errors import CommandError

_WAIT_SECONDS = 60


class Switch(StrEnum):
    """On or off."""

    ON = "on"
    OFF = "off"


def preview(
    table: Annotated[str, typer.Argument(help="Name or id.")],
    file: Annotated[
        str | None,
        typer.Option(
            help="One of its files, as `tables show` or the table's log names it; else the newest."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the first rows of one file of a table; nothing keeps them.

    The key needs the scope warehouse_table:read_rows, and the project must allow it.
    """
    with Client.from_environment() as client:
        path = f"warehouse_tables/{client.table(table)['id']}/preview/"
        body = {} if file is None else {"file": file}
        job = client.post(path, body, wait_seconds=_WAIT_SECONDS)
    if as_json:
        show_json(job)
    if (result := job["result"]) is None:
        raise CommandError(
            f"Not read yet. To follow it: stocktake jobs watch {job['id']}; its rows stand in "
            "`stocktake jobs show --json` for ten minutes."
        )
    if not as_json:
        _show(result)


def _show(result: dict[str, Any]) -> None:
    names = [each["name"] for each in result["columns"]]
    show_rows(
        names,
        [[_cell(value) for value in row] for row in result["rows"] or ()],
        empty=f"{result['file']} has no rows.",
        least=names[:1:-1],  # from the last on: a terminal has no room for hundreds
        names=names,
    )
    others = [f"{result['omitted_columns']:,} more columns"] if result["omitted_columns"] else []
    others += ["more rows"] if result["more"] else []
    if error := result.get("error"):
        complain(error["detail"], error["hint"])
    if result.get("has_deleted_rows"):
        note("Rows that are deleted from the table may be among these.")
    note(f"{result['file']}" + (f" has {' and '.join(others)}." if others else ""))


def _cell(value: Any) -> str | None:
    if isinstance(value, dict):
        if "base64" in value:
            return f"{value['base64'][:16]}… ({value['length']:,} bytes)"
        return f"{value['text'][:40]}… ({value['length']:,} characters)"
    if value is None:
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)


def previews(
    set_to: Annotated[
        Switch | None, typer.Option("--set", help="Whether rows of its tables may be looked at.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show or set whether the project allows to look at rows of its tables."""
    with Client.from_environment() as client:
        change = {"row_previews": set_to is Switch.ON}
        project = client.get("") if set_to is None else client.patch("", change)
    if as_json:
        show_json({"row_previews": project["row_previews"]})
    else:
        say((Switch.ON if project["row_previews"] else Switch.OFF).value)
