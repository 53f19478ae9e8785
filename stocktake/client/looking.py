"""Looking at sources: whether one can be read, and a few rows of a table's file."""

from collections.abc import Mapping
from typing import Any

from stocktake.client.answers import Job, PreviewedRows, SourceCheck, Table
from stocktake.client.decoding import decode
from stocktake.client.pages import one, part
from stocktake.client.requests import Flow, Request
from stocktake.client.tables import id_of, path_of
from stocktake.client.waiting import Deadline, Wait, ended, first_wait


def check_source(
    source: str | Table,
    *,
    format: str | None = None,  # noqa: A002 - as the API calls it
    access_key: str | None = None,
    access_secret: str | None = None,
    options: Mapping[str, Any] | None = None,
    wait: Wait = True,
) -> Flow[SourceCheck]:
    """Try whether a source can be read, step by step, and register nothing. No key is kept.

    Args:
        source: a URL pattern; or a table, by itself, its name or its id, whose own keys are tried.
        format: what the files are; found out if left out.
        wait: until the job has ended, or for how many seconds.

    Raises:
        JobFailedError: there is no verdict. A source that cannot be read is one, with what to do.
        NotEndedError: it has not ended in time.
    """
    if isinstance(source, Table) or "://" not in source:
        body: dict[str, Any] = {"table": (yield from id_of(source))}
    else:
        keys = {"access_key": access_key, "access_secret": access_secret}
        credential = {name: value for name, value in keys.items() if value is not None}
        given = {"format": format, "credential": credential, "options": options}
        body = {"url_pattern": source} | {name: value for name, value in given.items() if value}
    job = yield from _ended("warehouse_tables/check/", body, wait)
    return decode(SourceCheck, _found(job))


def preview(
    table: str | Table, *, file: str | None = None, wait: Wait = True
) -> Flow[PreviewedRows]:
    """Return the first rows of one of a table's files. The service keeps them for ten minutes.

    Args:
        file: its name, as a column's `origin` tells it; the newest if left out.
        wait: until the job has ended, or for how many seconds.

    Raises:
        PermissionDeniedError: the key lacks the scope `warehouse_table:read_rows`, or the project
            allows no previews.
        JobFailedError: the file cannot be read, or is none of the table's.
        NotEndedError: it has not ended in time.
    """
    path = f"{(yield from path_of(table))}preview/"
    job = yield from _ended(path, {} if file is None else {"file": file}, wait)
    if _found(job).get("rows") is None:
        # An answer that was kept under an Idempotency-Key is without them.
        job = yield from one(Job, Request(method="GET", path=f"jobs/{part(job.id)}/"))
    return decode(PreviewedRows, _found(job))


def _ended(path: str, body: dict[str, Any], wait: Wait) -> Flow[Job]:
    deadline = Deadline(wait)
    request = Request(method="POST", path=path, body=body, wait_seconds=first_wait(wait), once=True)
    return (yield from ended((yield from one(Job, request)), deadline))


def _found(job: Job) -> Mapping[str, Any]:
    return {} if job.result is None else job.result.raw
