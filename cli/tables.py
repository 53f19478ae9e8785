"""`stocktake tables` and `stocktake refresh`, through the API."""

import sys
from collections.abc import Iterator
from typing import Annotated, Any, Final

import click
import typer

from cli import filters, hints
from cli.access import AccessKey, with_keys
from cli.client import Client
from cli.output import (
    AsJson,
    complain,
    confirm,
    describe_diff,
    describe_divided,
    describe_place,
    describe_waiting,
    describe_warning,
    going_on,
    moment,
    note,
    number,
    say,
    show_fields,
    show_json,
    show_rows,
    size,
)
from cli.progress import await_batch, progress
from stocktake.errors import CommandError
from stocktake.schema.decisions import Policy
from stocktake.schema.formats import TableFormat, format_of_file
from stocktake.states import JobKind

app = typer.Typer(help="Registered tables.", no_args_is_help=True)

#: The longest that the API grants.
_CREATE_WAIT_SECONDS: Final = 60


@app.command("list")
def list_tables(
    search: filters.Search = None,
    state: filters.State = None,
    table_format: filters.Format = None,
    error_code: filters.ErrorCode = None,
    last_change: filters.LastChange = None,
    overrides: filters.Overrides = None,
    schedule: filters.OfSchedule = None,
    order_by: Annotated[
        str | None, typer.Option(help="Such as name, state or -size_bytes; the newest first.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the tables, newest first unless told otherwise."""
    with Client.from_environment() as client:
        wanted = filters.selector(
            client,
            search=search,
            state=state,
            format=table_format,
            error_code=error_code,
            last_change=last_change,
            has_overrides=overrides,
            schedule=schedule,
        )
        query = filters.as_query(wanted) | {"order_by": order_by}
        found = list(client.all("warehouse_tables/", **query))
    if as_json:
        show_json(found)
        return
    show_rows(
        ("NAME", "STATE", "FORMAT", "COLUMNS", "ROWS", "SIZE", "VERSION", "REFRESHED"),
        [_row(table) for table in found],
        empty="No table is like that."
        if wanted
        else "No tables yet: `stocktake tables add` registers one.",
        least=("VERSION", "SIZE", "COLUMNS", "FORMAT"),
        names=("NAME",),
    )


@app.command("counts")
def count_tables(as_json: AsJson = False) -> None:
    """Count the tables by state and by format, and those that fail by what failed."""
    with Client.from_environment() as client:
        counts = client.get("warehouse_tables/counts/")
    if as_json:
        show_json(counts)
        return
    show_fields(
        (
            ("Tables", counts["total"]),
            *((state.replace("_", " "), n) for state, n in counts["by_state"].items()),
            ("To decide", counts["waiting"]),
            *counts["by_format"].items(),
            ("Last read", moment(counts["last_refreshed_at"])),
        )
    )
    for each in counts["failing"]:
        say(f"{_count(each['tables'], 'table')}: {each['error_code']}. {each['hint']}")


def _row(table: dict[str, Any]) -> tuple[Any, ...]:
    return (
        table["name"],
        table["error_code"] if table["state"] == "failing" else table["state"],
        table["format"],
        len(table["columns"]),
        number(table["row_count"]),
        size(table["size_bytes"]),
        table["schema_version"],
        moment(table["last_refreshed_at"]),
    )


@app.command("show")
def show_table(
    name: Annotated[str, typer.Argument(help="Name or id.")], as_json: AsJson = False
) -> None:
    """Show one table with its columns."""
    with Client.from_environment() as client:
        # By its id: what lists leave out, such as who brought a column, is told here alone.
        table = client.get(f"warehouse_tables/{client.table(name)['id']}/")
        types = {} if as_json else _types(client, table)
        invalid = [] if as_json else list(_invalid(client, table))
    if as_json:
        show_json(table)
        return
    job = table["latest_job"] or {}
    error = job.get("error") or {}
    show_fields(
        (
            ("Name", table["name"]),
            ("Id", table["id"]),
            ("Format", table["format"]),
            ("Source", table["url_pattern"]),
            *_former(table),
            ("Rows", number(table["row_count"])),
            ("Files", number(table["file_count"])),
            ("Size", size(table["size_bytes"])),
            *_stored(table),
            ("Source version", table["source_version"]),
            ("Schema version", table["schema_version"]),
            ("State", table["state"]),
            ("Policy", table["change_policy"] or "the project's"),
            ("Refreshed", moment(table["last_refreshed_at"])),
            ("Latest job", job.get("state")),
            *(((_failed(job), error["detail"]),) if error else ()),
        )
    )
    say("")
    show_rows(
        ("COLUMN", "TYPE", "VALID", "FILES", "FIRST IN"),
        [
            (
                one["name"],
                types.get(one["name"], one["type"]),
                "yes" if one["schema_valid"] else "no",
                *_origin(one.get("origin")),
            )
            for one in table["columns"]
        ],
        empty="No columns: the source was not read yet.",
        least=("FIRST IN", "FILES"),
        names=("COLUMN",),
    )
    for line in invalid:
        say(line)
    for line in describe_divided(table["columns"]):
        say(line)
    for warning in table["warnings"]:
        say(describe_warning(warning))
    if waiting := table["pending_change"]:
        say(describe_waiting(table["name"], waiting))


def _failed(job: dict[str, Any]) -> str:
    """Return what failed of a table: an upload leaves it as it was."""
    return "Upload failed" if job["kind"] == JobKind.INGEST_FILE else "Error"


def _former(table: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return what it read before an upload took the place of that."""
    former = table.get("former_source")
    return (("Read before", f"{former['url_pattern']} ({former['format']})"),) if former else ()


def _origin(origin: dict[str, Any] | None) -> tuple[str | None, str | None]:
    """Return in how many files a column is, and the first place that has it."""
    if origin is None or origin["first"] is None:
        return None, None
    files = None if origin["files"] is None else f"{origin['files']:,} of {origin['of_files']:,}"
    if files and origin["sampled"]:
        files += " read"
    return files, describe_place(origin["first"] | {"at": None}, 24)


def _invalid(client: Client, table: dict[str, Any]) -> Iterator[str]:
    """Yield for each column whose type does not hold what the last read of all the data found."""
    invalid = [one for one in table["columns"] if not one["schema_valid"]]
    if not invalid:
        return
    wanted = {"table": table["id"], "kind": "validate_columns", "state": "succeeded", "limit": 1}
    last = next(iter(client.get("jobs/", **wanted)["results"]), None) or {}
    reasons = {each["name"]: each for each in (last.get("result") or {}).get("invalid", ())}
    yield "Not valid: the type does not hold for all rows."
    for one in invalid:
        yield f"  {one['name']}: {_reason(one['type'], reasons.get(one['name']))}"


def _reason(type_: str, found: dict[str, Any] | None) -> str:
    """Describe what is not of a column's type.

    >>> _reason("integer", {"found": "String", "file": "a.csv", "line": 3})
    'found String in a.csv, line 3: no integer'
    """
    if found is None or found["found"] is None:
        return f"a read of all the data found values that are no {type_}"
    file = found["file"] and f" in {found['file']}"
    line = found["line"] and f", line {found['line']:,}"
    return f"found {str(found['found'])[:60]}{file or ''}{line or ''}: no {type_}"


def _stored(table: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    """Return the line that says how much a managed Delta table takes with what was replaced."""
    stored = table["stored_bytes"]
    return () if stored in (None, table["size_bytes"]) else (("Stored", size(stored)),)


def _types(client: Client, table: dict[str, Any]) -> dict[str, str]:
    """Return the columns' types in ClickHouse's words, as `stocktake inspect` and all diffs have
    them.
    """
    if not table["schema_version"]:
        return {}
    version = client.get(
        f"warehouse_tables/{table['id']}/schema_versions/{table['schema_version']}/"
    )
    return {one["name"]: one["clickhouse"] for one in version["columns"]}


@app.command("add")
def add_table(
    name: Annotated[str, typer.Argument(help="Any, unique in the project.")],
    url: Annotated[str, typer.Option(help="The files, with globs, or a table's root folder.")],
    table_format: Annotated[
        TableFormat | None,
        typer.Option(
            "--format",
            case_sensitive=False,
            help="What the files are; as their names end, or asked for, if left out.",
        ),
    ] = None,
    access_key: AccessKey = None,
    public: Annotated[bool, typer.Option("--public", help="Read unsigned, without keys.")] = False,
    option: hints.Given = None,
    policy: Annotated[
        Policy | None,
        typer.Option(help="What of a change goes live by itself; as the project if left out."),
    ] = None,
    stale_after: Annotated[
        int | None,
        typer.Option(min=1, help="Seconds until a read is stale; as the project if left out."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the first read.")] = False,
    as_json: AsJson = False,
) -> None:
    """Register a table; a job reads its columns."""
    known = table_format or format_of_file(url) or _asked_format(url)
    body: dict[str, Any] = {"name": name, "format": known, "url_pattern": url}
    if options := hints.options_of(option or ()) | ({"public": True} if public else {}):
        body["options"] = options
    held = {"change_policy": policy, "stale_after_seconds": stale_after}
    body |= {name: value for name, value in held.items() if value is not None}
    with Client.from_environment() as client:
        if wait:
            note(f"Waiting for the first read of {name}, for up to {_CREATE_WAIT_SECONDS} s.")
        seconds = _CREATE_WAIT_SECONDS if wait else 0
        table = _create(client, body, access_key, wait_seconds=seconds)
    if as_json:
        show_json(table)
    elif table["columns"]:
        say(f"Added {name} ({table['id']}): {_count(len(table['columns']), 'column')}.")
    else:
        job = table["latest_job"]["id"]
        say(f"Added {name} ({table['id']}). To see its columns read: stocktake jobs watch {job}")


def _asked_format(url: str) -> TableFormat:
    """Ask a person at a terminal for the format that the URL does not tell."""
    hints.require_url(url)
    if not sys.stdin.isatty():
        raise CommandError(
            "The URL does not tell the format: say --format, as Delta or Parquet. "
            "`stocktake tables check URL` finds it out."
        )
    names = click.Choice([str(each) for each in TableFormat], case_sensitive=False)
    return TableFormat(typer.prompt("Format", type=names, err=True))


def _create(
    client: Client, body: dict[str, Any], access_key: str | None, *, wait_seconds: int
) -> dict[str, Any]:
    def send(asked: dict[str, Any]) -> dict[str, Any]:
        return dict(client.post("warehouse_tables/", asked, wait_seconds=wait_seconds))

    try:
        return with_keys(send, body, access_key)
    except CommandError as exc:
        raise CommandError(f"{exc}\n{hints.for_refusal(str(exc))}".strip()) from exc


def _count(number_of: int, what: str) -> str:
    return f"{number_of} {what}" + ("" if number_of == 1 else "s")


@app.command("remove")
def remove_table(
    name: Annotated[str, typer.Argument(help="Name or id.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Forget a table; its files stay where they are, but for uploads."""
    with Client.from_environment() as client:
        table = client.table(name)
        confirm(f"Remove table {table['name']}, and the files uploaded to it?", yes=yes)
        client.delete(f"warehouse_tables/{table['id']}/")
    if as_json:
        show_json({"id": table["id"], "name": table["name"], "deleted": True})
    else:
        say(f"Removed {table['name']}.")


def refresh(
    names: Annotated[list[str] | None, typer.Argument(help="Names or ids of tables.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All tables.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Have the columns of tables read again; with --wait, status 1 if a read fails."""
    if bool(names) == everything:
        raise CommandError("Name the tables to refresh, or give --all.")
    with Client.from_environment() as client:
        tables = {} if everything else {one["id"]: one for one in map(client.table, names or ())}
        batch = client.post(
            "warehouse_tables/refresh/", {"tables": list(tables)} if tables else {"all": True}
        )
        if wait:
            doing = going_on(f"stocktake jobs list --batch {batch['id']}")
            with doing, progress(quiet=as_json) as look:
                batch = await_batch(client, batch, look)
        if as_json:
            show_json(batch)
        elif wait:
            _report(client, batch)
        else:
            say(f"Batch {batch['id']}. Its jobs: stocktake jobs list --batch {batch['id']}")
    if not wait:
        return
    if not batch["total"] and everything:
        note("There was nothing to refresh: `stocktake tables add` registers a table.")
    missing = max(0, len(tables) - batch["total"])
    if missing:
        complain(
            f"{_count(missing, 'table')} not refreshed: no upload was accepted there yet, or the "
            "table belongs to an external source."
        )
    if missing or batch["counts"]["succeeded"] < batch["total"] or batch["errors"]:
        raise typer.Exit(1)


def _report(client: Client, batch: dict[str, Any]) -> None:
    """Say what changed, table by table, and what failed."""
    names = {one["id"]: one["name"] for one in client.all("warehouse_tables/")}
    changed = 0
    todo: dict[str, str] = {}
    for job in client.all("jobs/", batch=batch["id"], kind="refresh_schema"):
        todo[job["id"]] = (job["error"] or {}).get("hint") or ""
        result = job["result"] or {}
        name = names.get(job["table_id"], job["table_id"])
        if result.get("change", "none") != "none":
            changed += 1
            say(f"{name}: {result['change']}")
            for line in describe_diff(result["diff"]):
                say(f"  {line}")
        for warning in result.get("warnings", ()):
            say(f"{name}: {describe_warning(warning)}")
        if waiting := result.get("pending_change"):
            say(f"{name}: {describe_waiting(name, waiting)}")
    for error in batch["errors"]:
        say(f"{error['table_name']}: failed, {error['code']}: {error['detail']}")
        if hint := todo.get(error["job_id"]):
            say(f"  {hint}")
    counts = batch["counts"]
    say(f"{counts['succeeded']} refreshed, {changed} changed, {counts['failed']} failed.")
