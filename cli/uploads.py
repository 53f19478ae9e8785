"""`stocktake upload`: a file as a table's content, or its rows into a managed Delta table."""

import json
import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import hints
from cli.client import Client
from cli.editing import types_of
from cli.output import (
    AsJson,
    describe_diff,
    describe_warning,
    note,
    number,
    say,
    show_json,
)
from stocktake.errors import CommandError
from stocktake.jobs.arguments import Mode, Target
from stocktake.schema.formats import UPLOADABLE, TableFormat, format_of_file

_WAIT_SECONDS = 60


def _uploadable(word: str) -> TableFormat:
    """Return a format that a file may be, in any letter case.

    Raises:
        BadParameter: there is no file of it.
    """
    for each in UPLOADABLE:
        if each.lower() == word.lower():
            return each
    raise typer.BadParameter(f"{word!r} is none of {', '.join(UPLOADABLE)}.")


def upload(
    file: Annotated[Path, typer.Argument(help="The file to send.", exists=True, dir_okay=False)],
    table: Annotated[
        str | None,
        typer.Option(
            help="Its name, of letters, digits and underscores; the file's without its ending if "
            "left out."
        ),
    ] = None,
    table_format: Annotated[
        TableFormat | None,
        typer.Option(
            "--format",
            parser=_uploadable,
            metavar=f"<{'|'.join(UPLOADABLE).lower()}>",
            help="What the file is; as its name ends if left out.",
        ),
    ] = None,
    target: Annotated[
        Target, typer.Option(help="delta loads its rows into a managed Delta table.")
    ] = Target.FILE,
    mode: Annotated[Mode | None, typer.Option(help="Of a load; append if left out.")] = None,
    key: Annotated[
        str | None, typer.Option(help="Of --mode merge: the columns that tell a row, as id,region.")
    ] = None,
    partition_by: Annotated[
        str | None,
        typer.Option(help="Of a managed Delta table's first load: its partition columns, as a,b."),
    ] = None,
    type_: Annotated[
        list[str] | None,
        typer.Option(
            "--type", help="column=type, such as zip=string; the table keeps it; may be repeated."
        ),
    ] = None,
    option: hints.Given = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Change nothing; say what the file would do.")
    ] = False,
    replace_source: Annotated[
        bool,
        typer.Option(
            "--replace-source",
            help="Take the place of files of your own that the table reads; else that is refused.",
        ),
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Send a file to a table, new or not. A dry run ends with status 1 if it would be refused.

    It is one step; upload_file and create_from_upload of the API are the same in two, for clients
    of PostHog's.
    """
    fields = {
        "name": table,
        "format": table_format or format_of_file(file.name),
        "target": target,
        "mode": mode,
        "key": key,
        "partition_by": partition_by,
        "columns": _object(types_of(type_ or ())),
        "options": _object(hints.options_of(option or ())),
        "dry_run": "true" if dry_run else None,
        "replace_source": _replace_source(replace_source, target),
    }
    sent = {name: str(value) for name, value in fields.items() if value is not None}
    with Client.from_environment() as client:
        if wait or dry_run:
            note(f"Waiting for {file.name} to be read, for up to {_WAIT_SECONDS} s.")
        answer = client.send_file(
            "warehouse_tables/file/",
            file,
            sent,
            wait_seconds=_WAIT_SECONDS if wait or dry_run else 0,
        )
    if as_json:
        show_json(answer)
    if dry_run:
        _judge(answer, quiet=as_json)
    else:
        _report(answer, quiet=as_json)


def _replace_source(given: bool, target: Target) -> str | None:
    # Without a word the API has it so, as PostHog does.
    return "true" if given else None if target is Target.DELTA else "false"


def _judge(job: dict[str, Any], *, quiet: bool) -> None:
    verdict = job["result"]
    if job["done"] and verdict is None:
        raise _failure(job)
    if verdict is None:
        raise CommandError(f"Not read yet. To follow it: stocktake jobs watch {job['id']}")
    refusal = verdict["refusal"]
    if not quiet:
        say(f"{verdict['table']}: {verdict['change'] or 'unreadable'}")
        for line in describe_diff(verdict["diff"]):
            say(f"  {line}")
        for warning in verdict["warnings"]:
            say(describe_warning(warning))
    if refusal:
        raise CommandError(f"It would be refused: {refusal['detail']}\n{refusal['hint']}")
    if not quiet:
        say(f"It would be taken, with {_rows(verdict['row_count'])}. Nothing was changed.")


def _report(table: dict[str, Any], *, quiet: bool) -> None:
    job = table["latest_job"]
    if job["error"]:
        raise CommandError(f"{_failure(job)}\n{_left(table)}")
    if quiet:
        return
    if job["state"] == "succeeded":
        say(f"{table['name']} has {_rows(table['row_count'])}.")
        for warning in table["warnings"]:
            say(describe_warning(warning))
    else:
        say(f"Sent to {table['name']}. To follow it: stocktake jobs watch {table['job_id']}")


def _left(table: dict[str, Any]) -> str:
    """Return what an upload that failed leaves behind."""
    if table["last_refreshed_at"]:
        return f"The table {table['name']} is as it was."
    return (
        f"The table {table['name']} is there, and has nothing in it. Upload to it again, or remove "
        f"it: stocktake tables remove {shlex.quote(table['name'])}"
    )


def _rows(count: int | None) -> str:
    """Return how many rows there are, for people.

    >>> _rows(1), _rows(28298), _rows(None)
    ('1 row', '28,298 rows', 'an unknown number of rows')
    """
    if count == 1:
        return "1 row"
    return f"{number(count) or 'an unknown number of'} rows"


def _failure(job: dict[str, Any]) -> CommandError:
    error = job["error"] or {}
    told = error.get("detail") or f"The job is {job['state']}."
    return CommandError("\n".join(filter(None, (told, error.get("hint")))))


def _object(values: dict[str, Any]) -> str | None:
    return json.dumps(values) if values else None
