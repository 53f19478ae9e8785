"""`stocktake changes` and `stocktake policy`: what waits for a decision, and what never does."""

import sys
from difflib import get_close_matches
from typing import Annotated, Any

import typer

from cli.client import Client
from cli.output import (
    AsJson,
    describe_diff,
    describe_divided,
    describe_place,
    moment,
    note,
    say,
    show_fields,
    show_json,
    show_rows,
)
from stocktake.errors import CommandError
from stocktake.redaction import harmless
from stocktake.schema.decisions import Policy, Verdict
from stocktake.states import ChangeState

app = typer.Typer(help="Changes of schemas that wait for a decision.", no_args_is_help=True)

Which = Annotated[
    str, typer.Argument(metavar="CHANGE", help="Its id, or the name of the table it waits for.")
]
Columns = Annotated[list[str], typer.Argument(help="Columns, by their names before or now.")]


@app.command("list")
def list_changes(
    state: Annotated[
        ChangeState | None, typer.Option(help="Those in this state; all if left out.")
    ] = None,
    table: Annotated[str | None, typer.Option(help="Of this table.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the changes that policies did not let go live, newest first."""
    with Client.from_environment() as client:
        table_id = client.table(table)["id"] if table else None
        found = list(client.all("changes/", state=state, table=table_id))
    if as_json:
        show_json(found)
        return
    show_rows(
        ("ID", "TABLE", "STATE", "CHANGE", "TO DECIDE", "DECIDED", "FOUND"),
        [
            (
                each["id"],
                each["table_name"],
                each["state"],
                each["change"],
                each["undecided"],
                each["decided"],
                moment(each["created_at"]),
            )
            for each in found
        ],
        empty="No change waits.",
        least=("DECIDED", "FOUND"),
        names=("TABLE",),
    )


@app.command("show")
def show_change(which: Which, as_json: AsJson = False) -> None:
    """Show one change, with what is to be decided of it."""
    with Client.from_environment() as client:
        change = _found(client, which)
    if as_json:
        show_json(change)
        return
    show_fields(
        (
            ("Change", change["id"]),
            ("Table", change["table_name"]),
            ("State", change["state"]),
            ("Let through" if change["state"] == "decided" else "Class", change["change"]),
            ("Source version", change["source_version"]),
            ("Found", moment(change["created_at"])),
            *_ending(change),
        )
    )
    say("")
    show_rows(
        ("COLUMN", "CLASS", "BEFORE", "NOW", "FIRST IN", "DECISION"),
        [
            (
                part["name"],
                part["change"],
                _columns(part["before"], part["name"]),
                _columns(part["after"], part["name"]),
                _first(part["origin"]),
                part["decision"],
            )
            for part in change["parts"]
        ],
        empty="Nothing is left to decide.",
        least=("FIRST IN",),
        names=("COLUMN",),
    )
    for line in describe_divided(change["parts"]):
        say(line)


def _first(origin: dict[str, Any] | None) -> str | None:
    first = (origin or {}).get("first")
    return None if first is None else describe_place(first | {"at": None}, 24)


def _ending(change: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return what became of a change."""
    decided_by = change["decided_by"] or {}
    told = (
        ("Replaced by", change["replaced_by"]),
        ("Withdrawn", change["reason"]),
        ("Decided", moment(change["decided_at"])),
        ("By", decided_by.get("email")),
        ("Applied as", change["applied_as_version"] and f"version {change['applied_as_version']}"),
    )
    return [(name, value) for name, value in told if value]


def _columns(columns: list[dict[str, Any]], name: str) -> str:
    """Return the columns with their types; the one that the row is called by needs no name."""
    if [each["name"] for each in columns] == [name]:
        return str(columns[0]["type"])
    return ", ".join(f"{each['name']} {each['type']}" for each in columns)


def _found(client: Client, which: str) -> dict[str, Any]:
    """Return the change with this id, or the newest one of the table of this name."""
    if which.count("-") == 4:
        return dict(client.get(f"changes/{which}/"))
    table = client.table(which)
    waiting = table["pending_change"]
    newest = client.get("changes/", table=table["id"], limit=1)["results"]
    if waiting is None and not newest:
        raise CommandError(f"No change of {table['name']} waits, and none has.")
    return dict(client.get(f"changes/{waiting['id'] if waiting else newest[0]['id']}/"))


@app.command("accept")
def accept(
    which: Which,
    columns: Annotated[
        list[str] | None, typer.Argument(help="Columns, by their names before or now.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that is undecided.")] = False,
    additive: Annotated[
        bool, typer.Option("--additive", help="New columns, and new fields in columns.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Take columns as the source has them; they go live at once."""
    chosen = (bool(columns), everything, additive).count(True)
    if chosen > 1 or (not chosen and not stdin_is_a_terminal()):
        raise typer.BadParameter(
            "Name the columns to accept, or give --all or --additive, one of the three."
        )
    if not chosen:
        _ask(which)
        everything = True
    body: dict[str, Any] = {"accept": "all" if everything else "additive"}
    if columns:
        body = {"columns": dict.fromkeys(columns, Verdict.ACCEPT)}
    _decide(which, body, as_json=as_json)


def stdin_is_a_terminal() -> bool:
    """Return whether there is somebody to ask."""
    return sys.stdin.isatty()


def _ask(which: str) -> None:
    """Show what waits, and ask whether all of it is accepted.

    Raises:
        Abort: it is not.
    """
    with Client.from_environment() as client:
        change = _found(client, which)
    if not change["undecided"]:
        raise CommandError(f"Nothing of the change of {change['table_name']} is left to decide.")
    for line in describe_diff(change["diff"]):
        say(f"  {line}")
    question = f"Accept all {change['undecided']} of {change['table_name']}?"
    typer.confirm(harmless(question), abort=True, err=True)


@app.command("pin")
def pin(which: Which, columns: Columns, as_json: AsJson = False) -> None:
    """Keep the old types of columns, as types that a user has set."""
    _decide(which, {"columns": dict.fromkeys(columns, Verdict.PIN)}, as_json=as_json)


@app.command("reject")
def reject(which: Which, columns: Columns, as_json: AsJson = False) -> None:
    """Leave columns as they are, until the source says something else of them."""
    _decide(which, {"columns": dict.fromkeys(columns, Verdict.REJECT)}, as_json=as_json)


def _decide(which: str, body: dict[str, Any], *, as_json: bool) -> None:
    with Client.from_environment() as client:
        before = _found(client, which)
        change = client.post(f"changes/{before['id']}/decide/", body)
    if as_json:
        show_json(change)
        return
    say(f"{change['table_name']}: {_outcome(before, change, body)}")
    if change["undecided"]:
        say("Still waiting:")
        for line in describe_diff(change["diff"]):
            say(f"  {line}")


def _outcome(before: dict[str, Any], change: dict[str, Any], body: dict[str, Any]) -> str:
    """Say what came of a decision, without calling applied what only stays."""
    version = change["applied_as_version"]
    if before["undecided"] == change["undecided"]:
        return "nothing new was decided."
    if body.get("accept") or Verdict.ACCEPT in body["columns"].values():
        return f"applied as version {version}."
    return f"decided; its columns are version {version}."


@app.command("undo")
def undo(which: Which, as_json: AsJson = False) -> None:
    """Take the last decision back: the columns are as before, and wait again."""
    with Client.from_environment() as client:
        change_id = _found(client, which)["id"]
        change = client.post(f"changes/{change_id}/undo/", {})
    if as_json:
        show_json(change)
    else:
        say(f"{change['table_name']} has its columns of before; {change['undecided']} wait again.")


def _policy(word: str) -> Policy:
    if word in set(Policy):
        return Policy(word)
    words = ", ".join(map(repr, map(str, Policy)))
    near = get_close_matches(word.lower(), [*map(str, Policy)], n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    raise typer.BadParameter(f"{word!r} is no policy: it is one of {words}{hint}")


def policy(
    table: Annotated[
        str | None, typer.Argument(help="Name or id; the project's default if left out.")
    ] = None,
    set_to: Annotated[
        Policy | None,
        typer.Option(
            "--set",
            parser=_policy,
            metavar="auto|additive_only|manual",
            help="Of changes to come: what goes live by itself.",
        ),
    ] = None,
    clear: Annotated[
        bool, typer.Option("--clear", help="Have the table follow the project again.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show or set what of a change goes live by itself: of a table, or of all of the project.

    auto: all of it. additive_only: new columns. manual: nothing. The rest waits:
    `stocktake changes list`.
    """
    if clear and (set_to or table is None):
        raise CommandError("--clear is of one table, and without --set.")
    with Client.from_environment() as client:
        project = client.get("")
        path = f"warehouse_tables/{client.table(table)['id']}/" if table else ""
        if set_to or clear:
            answer = client.patch(path, {"change_policy": set_to})
        else:
            answer = client.get(path) if path else project
    own, default = answer["change_policy"], project["change_policy"]
    if as_json:
        show_json({"change_policy": own, "project_default": own if table is None else default})
        return
    say(own or f"{default} (the project's)")
    waiting = answer.get("pending_change")
    if waiting and (set_to or clear):
        note(f"Change {waiting['id']} waits already, and goes on waiting.")
