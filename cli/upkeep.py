"""`stocktake tables maintain` and `restore`: of managed Delta tables."""

from typing import Annotated, Any

import typer

from cli.client import Client
from cli.output import confirm, number, say, show_json
from cli.tables import AsJson

_WAIT_SECONDS = 60

_Name = Annotated[str, typer.Argument(help="Name or id.")]


def maintain_table(name: _Name, as_json: AsJson = False) -> None:
    """Put a managed table's small files together, and remove what is past its retention."""
    with Client.from_environment() as client:
        path = f"warehouse_tables/{client.table(name)['id']}/maintain/"
        job = client.post(path, {}, wait_seconds=_WAIT_SECONDS)
    done = "{files_compacted} files put together, {files_removed} removed"
    _tell(job, done, as_json=as_json)


def restore_table(
    name: _Name,
    version: Annotated[
        int | None,
        typer.Option(min=0, help="Of the Delta table; before the last load if left out."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Undo the last load into a managed table, or go back to a version of it."""
    what = "Undo the last load into" if version is None else f"Go back to version {version} of"
    confirm(f"{what} {name}?", yes=yes)
    with Client.from_environment() as client:
        path = f"warehouse_tables/{client.table(name)['id']}/restore/"
        body = {} if version is None else {"version": version}
        job = client.post(path, body, wait_seconds=_WAIT_SECONDS)
    _tell(job, "back at version {restored_version}, {rows} rows", as_json=as_json)


def _tell(job: dict[str, Any], done: str, *, as_json: bool) -> None:
    if as_json:
        show_json(job)
    elif (result := job["result"]) is None:
        say(f"Job {job['id']} goes on. To follow it: stocktake jobs watch {job['id']}")
    else:
        say(done.format(**result, rows=number(result["row_count"])) + ".")
