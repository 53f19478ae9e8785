"""What is done to jobs."""

import json
from datetime import datetime
from typing import Final

import httpx

from stocktake.client.answers import Job, Table
from stocktake.client.decoding import decode
from stocktake.client.errors import ServerError, ThrottledError
from stocktake.client.events import next_event
from stocktake.client.pages import PAGE_SIZE, all_of, one, part
from stocktake.client.refusals import refusal_in, refusal_of
from stocktake.client.requests import (
    Flow,
    Listen,
    Pause,
    Request,
    Shown,
    Stream,
    retry_after,
)
from stocktake.client.tables import id_of
from stocktake.client.waiting import Deadline, Wait, ended, first_wait

#: Between two looks at a job whose stream was refused or lost.
_LOOK_SECONDS: Final = 1.0


def list_jobs(
    *,
    state: str | None = None,
    kind: str | None = None,
    table: str | Table | None = None,
    batch: str | None = None,
    error_code: str | None = None,
    created_after: datetime | None = None,
    created_before: datetime | None = None,
    order_by: str | None = None,
    page_size: int = PAGE_SIZE,
) -> Stream[Job]:
    """Iterate over the history of jobs, newest first unless told otherwise.

    Args:
        state: queued, running, succeeded, failed or cancelled.
        table: name or id.
        error_code: of those that ended so, unless a state is asked for, too.
        created_after, created_before: aware.
        order_by: `created_at` begins with the oldest.
    """
    table_id = None if table is None else (yield from id_of(table))
    yield from all_of(
        Job,
        "jobs/",
        page_size=page_size,
        state=state,
        kind=kind,
        table=table_id,
        batch=batch,
        error_code=error_code,
        created_after=created_after and created_after.isoformat(),
        created_before=created_before and created_before.isoformat(),
        order_by=order_by,
    )


def get_job(job: str | Job) -> Flow[Job]:
    """Return a job as it is now."""
    return (yield from one(Job, Request(method="GET", path=path_of(job))))


def cancel_job(job: str | Job) -> Flow[Job]:
    """Cancel a job: a queued one at once, a running one as soon as its worker sees it."""
    return (yield from one(Job, Request(method="POST", path=f"{path_of(job)}cancel/", body={})))


def retry_job(job: str | Job, *, wait: Wait = False) -> Flow[Job]:
    """Queue a new job that does again what an ended one was to do.

    Raises:
        JobFailedError, NotEndedError: as `wait_for_job`, where it was waited for.
    """
    deadline = Deadline(wait)
    request = Request(
        method="POST",
        path=f"{path_of(job)}retry/",
        body={},
        wait_seconds=first_wait(wait),
        once=True,
    )
    new = yield from one(Job, request)
    return (yield from ended(new, deadline)) if wait else new


def wait_for_job(job: str | Job, *, timeout_seconds: float | None = None) -> Flow[Job]:
    """Return a job once it has succeeded.

    Raises:
        JobFailedError: it failed or was cancelled.
        NotEndedError: the time is over.
    """
    now = yield from get_job(job)
    return (yield from ended(now, Deadline(timeout_seconds)))


def watch_job(job: str | Job) -> Stream[Job]:
    """Show a job as it is, with each change, and its end; a lost stream is opened again."""
    shown: Job | None = None
    while shown is None or not shown.done:
        try:
            answer: httpx.Response = yield Listen(
                Request(method="GET", path=f"{path_of(job)}events/")
            )
            if not answer.is_success:
                raise refusal_of(answer, retry_after(answer))
            while (event := (yield from next_event())) is not None:
                if event.name == "refused":
                    raise refusal_in(event.data)
                now = decode(Job, json.loads(event.data))
                if now != shown:
                    yield Shown(now)
                    shown = now
        except (httpx.TransportError, ThrottledError, ServerError):
            # No stream to be had: looks do as well. They are tried again as all requests are.
            now = yield from get_job(job)
            if now != shown:
                yield Shown(now)
                shown = now
        if not shown or not shown.done:
            yield Pause(_LOOK_SECONDS)


def path_of(job: str | Job) -> str:
    """Return a job's path."""
    return f"jobs/{part(job if isinstance(job, str) else job.id)}/"
