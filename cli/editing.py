"""`stocktake tables edit` and `stocktake tables types`: what a table is, and its columns' types."""

from typing import Annotated, Any

import typer

from cli import hints
from cli.access import AccessKey, access_pair
from cli.client import Client
from cli.output import AsJson, say, show_json
from stocktake.errors import CommandError
from stocktake.schema.formats import TableFormat

types = typer.Typer(help="Types of columns that a person has set.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name or id.")]


def edit_table(
    name: Name,
    new_name: Annotated[str | None, typer.Option("--name", help="Call it otherwise.")] = None,
    table_format: Annotated[
        TableFormat | None,
        typer.Option("--format", case_sensitive=False, help="What the files are."),
    ] = None,
    url: Annotated[str | None, typer.Option(help="Where the files are.")] = None,
    access_key: AccessKey = None,
    option: hints.Given = None,
    unset: Annotated[
        list[str] | None, typer.Option("--unset", help="An option to take away; may be repeated.")
    ] = None,
    stale_after: Annotated[
        int | None,
        typer.Option(
            min=0, help="Seconds until a read of it is stale; 0 has it follow the project."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Change a table's name, format, URL, keys, options or age; a change of its source is read
    anew."""
    with Client.from_environment() as client:
        table = client.table(name)
        change: dict[str, Any] = {"name": new_name, "format": table_format, "url_pattern": url}
        change = {field: value for field, value in change.items() if value is not None}
        if stale_after is not None:
            change["stale_after_seconds"] = stale_after or None
        if option or unset:
            gone = unset or ()
            kept = {key: value for key, value in table["options"].items() if key not in gone}
            change["options"] = kept | hints.options_of(option or ())
        # Last: a secret may be asked for.
        if pair := access_pair(access_key):
            change["credential"] = dict(zip(("access_key", "access_secret"), pair, strict=True))
        if not change:
            raise CommandError(
                "Say what to change: --name, --format, --url, --access-key, --option, --unset or "
                "--stale-after."
            )
        changed = client.patch(f"warehouse_tables/{table['id']}/", change)
    if as_json:
        show_json(changed)
        return
    job = changed["latest_job"]
    read = job and not job["done"]
    say(
        f"Changed {changed['name']}."
        + (f" To see it read anew: stocktake jobs watch {job['id']}" if read else "")
    )


@types.command("set")
def set_types(
    name: Name,
    given: Annotated[list[str], typer.Argument(metavar="COLUMN=TYPE", help="Such as zip=string.")],
    as_json: AsJson = False,
) -> None:
    """Set columns' types over the source's; they survive every refresh until they are cleared."""
    _update(name, types_of(given), as_json=as_json)


@types.command("clear")
def clear_types(
    name: Name,
    columns: Annotated[list[str], typer.Argument(metavar="COLUMN", help="A column.")],
    as_json: AsJson = False,
) -> None:
    """Give columns the types of their source again."""
    _update(name, dict.fromkeys(columns), as_json=as_json)


def _update(name: str, updates: dict[str, Any], *, as_json: bool) -> None:
    with Client.from_environment() as client:
        table = client.table(name)
        path = f"warehouse_tables/{table['id']}/update_schema/"
        changed = client.post(path, {"updates": updates})
    if as_json:
        show_json(changed)
        return
    for column in changed["columns"]:
        if column["name"] in updates:
            say(f"{column['name']}: {column['type']}")


def types_of(given: list[str] | tuple[str, ...]) -> dict[str, str]:
    """Read `column=type`, each a column's type.

    Raises:
        CommandError: one is none.

    >>> types_of(["zip=string", "a=b=float"])
    {'zip': 'string', 'a=b': 'float'}
    """
    types = {}
    for each in given:
        # a name may have one of these itself
        name, equals, word = each.rpartition("=")
        if not equals or not name:
            raise CommandError(f"{each!r} is not column=type, for example zip=string")
        types[name] = word
    return types
