"""What is done to a managed Delta table: `stocktake tables maintain` and `restore`."""

from typing import Annotated, Any

import typer

from cli.client import Client
from cli.jobs import Wait, follow
from cli.output import AsJson, confirm, say, show_json

_Name = Annotated[str, typer.Argument(help="Name or id of a managed Delta table.")]


def maintain_table(name: _Name, wait: Wait = False, as_json: AsJson = False) -> None:
    """Optimize and vacuum a managed Delta table: fewer files, nothing past its retention."""
    with Client.from_environment() as client:
        table = client.table(name)
        job = client.post(f"warehouse_tables/{table['id']}/maintain/", {})
        _tell(client, job, f"maintains {table['name']}", wait=wait, as_json=as_json)


def restore_table(
    name: _Name,
    version: Annotated[
        int | None, typer.Option(help="Of the table's; the one before the last load if left out.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Undo the last load into a managed Delta table, or go back to a version of it."""
    to = "to before its last load" if version is None else f"to version {version}"
    with Client.from_environment() as client:
        table = client.table(name)
        confirm(f"Take {table['name']} back {to}?", yes=yes)
        body = {} if version is None else {"version": version}
        job = client.post(f"warehouse_tables/{table['id']}/restore/", body)
        _tell(client, job, f"takes {table['name']} back {to}", wait=wait, as_json=as_json)


def _tell(client: Client, job: dict[str, Any], does: str, *, wait: bool, as_json: bool) -> None:
    if wait:
        follow(client, job, as_json=as_json)
    elif as_json:
        show_json(job)
    else:
        say(f"Job {job['id']} {does}. To follow it: stocktake jobs watch {job['id']}")
