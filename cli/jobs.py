"""`stocktake jobs`, through the API."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from cli.client import Client
from cli.output import (
    AsJson,
    describe_diff,
    describe_job,
    describe_warning,
    going_on,
    moment,
    number,
    say,
    show_fields,
    show_json,
    show_rows,
)
from stocktake.states import JobKind, JobState

app = typer.Typer(help="Jobs: what was asked for, and what became of it.", no_args_is_help=True)

JobId = Annotated[str, typer.Argument(help="Id of a job, as `stocktake jobs list` shows it.")]
Wait = Annotated[
    bool, typer.Option("--wait", help="Wait for the end; status 1 unless it succeeds.")
]
_WAIT_SECONDS: Final = 2
TIMES: Final = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]


@app.command("list")
def list_jobs(
    state: Annotated[
        JobState | None, typer.Option(help="Those in this state; all if left out.")
    ] = None,
    kind: Annotated[JobKind | None, typer.Option(help="Those of this kind.")] = None,
    table: Annotated[str | None, typer.Option(help="Name or id of a table.")] = None,
    batch: Annotated[str | None, typer.Option(help="Id of a batch.")] = None,
    error_code: Annotated[str | None, typer.Option(help="Those that ended so.")] = None,
    after: Annotated[
        datetime | None, typer.Option(formats=TIMES, help="Made then or later, in UTC.")
    ] = None,
    before: Annotated[
        datetime | None, typer.Option(formats=TIMES, help="Made then or before, in UTC.")
    ] = None,
    oldest_first: Annotated[bool, typer.Option("--oldest-first", help="In this order.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, at most.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the newest jobs, or the oldest."""
    with Client.from_environment() as client:
        table_id = client.table(table)["id"] if table else None
        page = client.get(
            "jobs/",
            state=state,
            kind=kind,
            table=table_id,
            batch=batch,
            error_code=error_code,
            created_after=after and after.replace(tzinfo=UTC).isoformat(),
            created_before=before and before.replace(tzinfo=UTC).isoformat(),
            order_by="created_at" if oldest_first else None,
            limit=limit,
        )
        if as_json:
            show_json(page["results"])
            return
        names = {one["id"]: one["name"] for one in client.all("warehouse_tables/")}
    show_rows(
        ("ID", "KIND", "TABLE", "STATE", "ATTEMPT", "CREATED", "ERROR"),
        [_row(job, names) for job in page["results"]],
        empty="No jobs.",
        least=("ATTEMPT", "CREATED", "ERROR"),
        names=("TABLE",),
    )


def _row(job: dict[str, Any], names: dict[str, str]) -> tuple[Any, ...]:
    error = job["error"] or (job["result"] or {}).get("refusal") or {}
    return (
        job["id"],
        job["kind"],
        names.get(job["table_id"], job["table_id"]) or _checked(job),
        job["state"],
        f"{job['attempt']}/{job['max_attempts']}",
        moment(job["created_at"]),
        error.get("code"),
    )


def _checked(job: dict[str, Any]) -> str | None:
    """Return the table that a dry run was for, whose job is of none."""
    table: str | None = (job["result"] or {}).get("table")
    return table


@app.command("show")
def show_job(job_id: JobId, as_json: AsJson = False) -> None:
    """Show one job with its result or its error."""
    with Client.from_environment() as client:
        job = client.job(job_id)
    if as_json:
        show_json(job)
    else:
        _show(job)


@app.command("watch")
def watch_job(job_id: JobId, as_json: AsJson = False) -> None:
    """Follow a job to its end; status 1 unless it succeeds."""
    with Client.from_environment() as client:
        follow(client, client.job(job_id), as_json=as_json)


def follow(client: Client, job: dict[str, Any], *, as_json: bool) -> None:
    """Show how far a job is until it has ended, and then all of it.

    Raises:
        Exit: with 1, unless it succeeds.
    """
    said = None
    with going_on(f"stocktake jobs watch {job['id']}"):
        while not job["done"]:
            if not as_json and (line := describe_job(job)) != said:
                say(line)
                said = line
            job = client.job(job["id"], wait=_WAIT_SECONDS)
    if as_json:
        show_json(job)
    else:
        _show(job)
    if job["state"] != "succeeded":
        raise typer.Exit(1)


@app.command("cancel")
def cancel_job(job_id: JobId, as_json: AsJson = False) -> None:
    """Cancel a job that has not ended."""
    with Client.from_environment() as client:
        job = client.job(job_id, "cancel")
    if as_json:
        show_json(job)
    else:
        say(f"Job {job['id']} is {job['state'] if job['done'] else 'being cancelled'}.")


@app.command("retry")
def retry_job(job_id: JobId, wait: Wait = False, as_json: AsJson = False) -> None:
    """Do an ended job again, as a new job."""
    with Client.from_environment() as client:
        job = client.job(job_id, "retry")
        if wait:
            follow(client, job, as_json=as_json)
            return
    if as_json:
        show_json(job)
    else:
        say(f"Job {job['id']} does it again. To follow it: stocktake jobs watch {job['id']}")


def _show(job: dict[str, Any]) -> None:
    result = job["result"] or {}
    # What a dry run would meet is its result.
    error = job["error"] or result.get("refusal") or {}
    columns = result.get("columns")
    show_fields(
        (name, value)
        for name, value, always in (
            ("Id", job["id"], True),
            ("Kind", job["kind"], True),
            ("State", job["state"], True),
            ("Table", _checked(job), False),
            ("Attempt", f"{job['attempt']} of {job['max_attempts']}", True),
            ("Created", moment(job["created_at"]), True),
            ("Started", moment(job["started_at"]), True),
            ("Finished", moment(job["finished_at"]), True),
            ("Error" if job["error"] else "Would be refused", error.get("code"), False),
            ("", error.get("detail"), False),
            ("What to do", error.get("hint"), False),
            ("Source version", result.get("source_version"), False),
            ("Schema version", result.get("schema_version"), False),
            ("Columns", len(columns) if isinstance(columns, list) else columns, False),
            ("Rows", number(result.get("row_count")), False),
            ("Files", number(result.get("file_count")), False),
            ("Files compacted", result.get("files_compacted"), False),
            ("Files removed", result.get("files_removed"), False),
            ("Change", result.get("change"), False),
        )
        if always or value is not None
    )
    for line in describe_diff(result.get("diff", {})):
        say(f"  {line}")
    for warning in result.get("warnings", ()):
        say(describe_warning(warning))
    for attempt in job["attempts"]:
        _show_attempt(attempt)


def _show_attempt(attempt: dict[str, Any]) -> None:
    started, ended = moment(attempt["started_at"]), moment(attempt["ended_at"])
    times = f"{started} to {ended}" if ended else f"since {started}"
    say("")
    show_fields(
        (name, value)
        for name, value in (
            (f"Attempt {attempt['number']}", attempt["outcome"] or "running"),
            ("", attempt["detail"]),
            ("", f"{times} on {attempt['worker']}"),
        )
        if value is not None
    )
