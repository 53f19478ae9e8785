"""`stocktake tables check`: try a source, step by step, and say what its key must be allowed."""

from typing import Annotated, Any

import typer

from cli import hints
from cli.access import AccessKey, with_keys
from cli.client import Client
from cli.output import AsJson, describe_warning, note, say, show_json, show_rows
from stocktake.errors import CommandError
from stocktake.schema.formats import TableFormat

_WAIT_SECONDS = 60


def check_source(
    source: Annotated[
        str, typer.Argument(help="A URL pattern, or the name or id of a table.", metavar="URL|NAME")
    ],
    table_format: Annotated[
        TableFormat | None,
        typer.Option(
            "--format", case_sensitive=False, help="What the files are; found out if left out."
        ),
    ] = None,
    access_key: AccessKey = None,
    public: Annotated[bool, typer.Option("--public", help="Read unsigned, without keys.")] = False,
    option: hints.Given = None,
    as_json: AsJson = False,
) -> None:
    """Try whether a source can be read, and register nothing; status 1 if it cannot.

    No key is kept.
    """
    with Client.from_environment() as client:
        if "://" in source:
            body: dict[str, Any] = {"url_pattern": source, "format": table_format}
            if options := hints.options_of(option or ()) | ({"public": True} if public else {}):
                body["options"] = options
        else:
            body, access_key = {"table": client.table(source)["id"]}, None

        def send(asked: dict[str, Any]) -> dict[str, Any]:
            return dict(client.post("warehouse_tables/check/", asked, wait_seconds=_WAIT_SECONDS))

        job = with_keys(send, body, access_key)
    if as_json:
        show_json(job)
    result = job["result"]
    if result is None:
        raise CommandError(f"Not tried yet. To follow it: stocktake jobs watch {job['id']}")
    if not as_json:
        _show(result)
    if not result["passed"]:
        raise typer.Exit(1)


def _show(result: dict[str, Any]) -> None:
    steps = result["steps"]
    show_rows(
        ("STEP", "OUTCOME", "FOUND"),
        [(each["step"].upper(), each["outcome"], each["detail"]) for each in steps],
        empty="",
        names=(),
    )
    for each in steps:
        if each["hint"]:
            say(f"\n{each['hint']}")
    if result["columns"]:
        say("")
        show_rows(
            ("COLUMN", "TYPE"),
            [(each["name"], each["type"]) for each in result["columns"]],
            empty="",
            names=("COLUMN",),
        )
    for warning in result["warnings"]:
        say(describe_warning(warning))
    if grant := result["grant"]:
        say(f"\n{grant['title']} allows the least that this pattern needs:\n\n{grant['text']}")
    if result["passed"]:
        note(f"To register it: stocktake tables add NAME --format {result['format']} --url URL")
