"""What is done to tables, each operation once."""

import unicodedata
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from stocktake.client.answers import (
    FullSchemaVersion,
    Job,
    LiveSchema,
    SchemaVersion,
    Table,
    TableCounts,
    VersionDiff,
)
from stocktake.client.decoding import decode
from stocktake.client.errors import NotFoundError, UnexpectedAnswerError
from stocktake.client.pages import PAGE_SIZE, all_of, first, flag, one, part
from stocktake.client.requests import Flow, Request, Stream, json_of
from stocktake.client.waiting import Deadline, Wait, ended, first_wait

#: Of a table's policy: it has none of its own.
_AS_PROJECT: Final = "project"


def list_tables(
    *,
    search: str | None = None,
    state: str | None = None,
    format: str | None = None,  # noqa: A002 - as the API calls it
    error_code: str | None = None,
    last_change: str | None = None,
    has_overrides: bool | None = None,
    schedule: str | None = None,
    order_by: str | None = None,
    include_columns: bool = True,
    page_size: int = PAGE_SIZE,
) -> Stream[Table]:
    """Iterate over the project's tables, newest first unless told otherwise.

    Args:
        search: words that the name must hold, in any letter case.
        state: fresh, stale, failing, reading, waiting or never_read.
        error_code: of the last read, where it failed.
        last_change: additive, widening, breaking or none.
        has_overrides: whether a user has set the type of a column.
        schedule: id of one that names the tables.
        order_by: such as `name`, or `-size_bytes`.
        include_columns: False is quicker where tables have many.
    """
    return all_of(
        Table,
        "warehouse_tables/",
        page_size=page_size,
        search=search,
        state=state,
        format=format,
        error_code=error_code,
        last_change=last_change,
        has_overrides=flag(has_overrides),
        schedule=schedule,
        order_by=order_by,
        include_columns=None if include_columns else "false",
    )


def count_tables() -> Flow[TableCounts]:
    """Count the project's tables by state, by format, and by what failed."""
    return (yield from one(TableCounts, Request(method="GET", path="warehouse_tables/counts/")))


def get_table(table: str | Table) -> Flow[Table]:
    """Return a table by its name or its id.

    Raises:
        NotFoundError: the project has none.
    """
    return (yield from one(Table, Request(method="GET", path=(yield from path_of(table)))))


def create_table(
    name: str,
    *,
    format: str,  # noqa: A002 - as the API calls it
    url_pattern: str,
    access_key: str | None = None,
    access_secret: str | None = None,
    options: Mapping[str, Any] | None = None,
    change_policy: str | None = None,
    stale_after_seconds: int | None = None,
    wait: Wait = False,
) -> Flow[Table]:
    """Register a table; a job reads its columns.

    Args:
        access_key, access_secret: to its source; with `options={"public": True}` it needs none.
        change_policy: `auto`, `additive_only` or `manual`; the project's if left out.
        stale_after_seconds: how old its last good read may be; as the project says if left out.
        wait: for the first read; with its end the table has its columns.

    Raises:
        JobFailedError: it was waited for, and the source cannot be read. A read that failed within
            the first minute leaves no table.
        NotEndedError: it was waited for, and has not ended in time.
    """
    body = _body(
        name=name,
        format=format,
        url_pattern=url_pattern,
        credential=_credential(access_key, access_secret),
        options=options,
        change_policy=change_policy,
        stale_after_seconds=stale_after_seconds,
    )
    request = Request(method="POST", path="warehouse_tables/", body=body, once=True)
    return (yield from _table_after(request, wait))


def edit_table(
    table: str | Table,
    *,
    name: str | None = None,
    format: str | None = None,  # noqa: A002 - as the API calls it
    url_pattern: str | None = None,
    access_key: str | None = None,
    access_secret: str | None = None,
    options: Mapping[str, Any] | None = None,
    change_policy: str | None = None,
    stale_after_seconds: int | None = None,
    wait: Wait = False,
) -> Flow[Table]:
    """Change what is given; a change of its source queues a refresh, for which `wait` waits.

    Args:
        change_policy: `project` has it follow the project again.
        stale_after_seconds: 0 has it follow the project again.

    Raises:
        JobFailedError, NotEndedError: as above.
    """
    body = _body(
        name=name,
        format=format,
        url_pattern=url_pattern,
        credential=_credential(access_key, access_secret),
        options=options,
        change_policy=change_policy,
        stale_after_seconds=stale_after_seconds,
    )
    if change_policy == _AS_PROJECT:
        body["change_policy"] = None
    if stale_after_seconds == 0:
        body["stale_after_seconds"] = None
    request = Request(method="PATCH", path=(yield from path_of(table)), body=body)
    return (yield from _table_after(request, wait))


def delete_table(table: str | Table) -> Flow[None]:
    """Delete a table. Its files stay where they are, but for uploads."""
    yield Request(method="DELETE", path=(yield from path_of(table)))


def refresh_table(table: str | Table, *, wait: Wait = False) -> Flow[Job]:
    """Have the table's source read again.

    Args:
        wait: True until the job has ended, or for how many seconds.

    Raises:
        JobFailedError: it was waited for, and failed or was cancelled.
        NotEndedError: it was waited for, and has not ended in time.
    """
    return (yield from _job_of(table, "refresh_schema", wait))


def plan_refresh(table: str | Table, *, wait: Wait = True) -> Flow[Job]:
    """Ask what a refresh would change, and store nothing: `result` has the change and the diff.

    Raises:
        JobFailedError, NotEndedError: as of `refresh_table`.
        UnexpectedAnswerError: the service is of a release that knows no plans, and refreshed.
    """
    job = yield from _job_of(table, "refresh_schema", wait, query={"dry_run": "true"})
    if job.kind != "plan_refresh":
        raise UnexpectedAnswerError(f"This service makes no plans: it began a {job.kind}.")
    return job


def maintain_table(table: str | Table, *, wait: Wait = False) -> Flow[Job]:
    """Optimize and vacuum a managed Delta table."""
    return (yield from _job_of(table, "maintain", wait))


def restore_table(
    table: str | Table, *, version: int | None = None, wait: Wait = False
) -> Flow[Job]:
    """Undo the last load into a managed Delta table, or go back to a version of it."""
    return (yield from _job_of(table, "restore", wait, _body(version=version)))


def set_types(table: str | Table, types: Mapping[str, str | None]) -> Flow[Table]:
    """Set column types over the source's; None clears one again."""
    path = f"{(yield from path_of(table))}update_schema/"
    request = Request(method="POST", path=path, body={"updates": dict(types)})
    return (yield from one(Table, request))


def history(table: str | Table, *, page_size: int = PAGE_SIZE) -> Stream[SchemaVersion]:
    """Iterate over a table's schema versions, newest first."""
    path = f"{(yield from path_of(table))}schema_versions/"
    yield from all_of(SchemaVersion, path, page_size=page_size)


def get_version(table: str | Table, number: int) -> Flow[FullSchemaVersion]:
    """Return a schema version with its columns."""
    path = f"{(yield from path_of(table))}schema_versions/{number}/"
    return (yield from one(FullSchemaVersion, Request(method="GET", path=path)))


def live_schema(
    table: str | Table, *, as_of: datetime | date | str | None = None, for_file: str | None = None
) -> Flow[LiveSchema]:
    """Return the schema that was live at a time, or that a file was first seen under; the present
    one where neither is given.

    Args:
        as_of: aware; a day, or a text of ISO 8601.
        for_file: its name, as a column's `origin` tells it.

    Raises:
        NotFoundError: the table has no schema yet, or no such file is known.
        RefusedError: the time is before its first schema.
    """
    path = f"{(yield from path_of(table))}schema/"
    time = as_of if as_of is None or isinstance(as_of, str) else as_of.isoformat()
    request = Request(method="GET", path=path, query={"as_of": time, "for_file": for_file})
    return (yield from one(LiveSchema, request))


def diff(
    table: str | Table, number: int | None = None, *, against: int | None = None
) -> Flow[VersionDiff]:
    """Return what changed up to a schema version.

    Args:
        number: of the version; the table's present one if left out.
        against: another version; the one before if left out.
    """
    path = yield from path_of(table)
    if number is None:
        number = (yield from one(Table, Request(method="GET", path=path))).schema_version
    request = Request(
        method="GET", path=f"{path}schema_versions/{number}/diff/", query={"against": against}
    )
    return (yield from one(VersionDiff, request))


def path_of(table: str | Table) -> Flow[str]:
    """Return the path of a table that is given as itself, by its id or by its name."""
    return f"warehouse_tables/{part((yield from id_of(table)))}/"


def id_of(table: str | Table) -> Flow[str]:
    """Return the id of a table that is given as itself, by its id or by its name.

    Raises:
        NotFoundError: the project has none of this name.
    """
    if isinstance(table, Table):
        return table.id
    try:
        return str(UUID(table))
    except ValueError:
        pass
    composed = unicodedata.normalize("NFC", table)  # as names are stored
    # The search finds parts of names, in any letter case: which one is meant is told here.
    found = yield from first(
        list_tables(search=table, include_columns=False),
        lambda each: each.name in (table, composed),
    )
    if found is None:
        raise NotFoundError(f"There is no table {table!r}.", code="not_found", status=404)
    return found.id


def _job_of(
    table: str | Table,
    action: str,
    wait: Wait,
    body: Any = None,
    query: Mapping[str, str] | None = None,
) -> Flow[Job]:
    deadline = Deadline(wait)
    request = Request(
        method="POST",
        path=f"{(yield from path_of(table))}{action}/",
        query=query or {},
        body=body or {},
        wait_seconds=first_wait(wait),
        once=True,
    )
    job = yield from one(Job, request)
    return (yield from ended(job, deadline)) if wait else job


def _table_after(request: Request, wait: Wait) -> Flow[Table]:
    """Return the table that a request makes or changes, after the read that comes of it."""
    deadline = Deadline(wait)
    answer = yield replace(request, wait_seconds=first_wait(wait))
    table = decode(Table, json_of(answer))
    # A change that needs no read names no job.
    if not wait or "location" not in answer.headers or table.latest_job is None:
        return table
    known_end = table.latest_job.done
    yield from ended(table.latest_job, deadline)
    if known_end:
        return table
    return (yield from one(Table, Request(method="GET", path=f"warehouse_tables/{table.id}/")))


def _credential(access_key: str | None, access_secret: str | None) -> dict[str, str] | None:
    keys = _body(access_key=access_key, access_secret=access_secret)
    return keys or None


def _body(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
