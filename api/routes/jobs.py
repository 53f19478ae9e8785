"""Jobs: the history, one job, its events, cancel and retry."""

import math
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import Depends, Query, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import AwareDatetime, BeforeValidator
from pydantic_core import to_json

from api.edge.answers import LARGE_BYTES, Answer
from api.edge.authentication import ReadEdge, WriteEdge
from api.edge.edge import Edge
from api.edge.pages import PageDep
from api.edge.routing import Router
from api.errors import body_of, refusal_of
from api.schemas.base import PageBody
from api.schemas.jobs import FullJobBody, JobBody, full_job_view, job_view
from stocktake.db.models import JobAttempt, JobRow
from stocktake.db.pages import place_of
from stocktake.errors import RequestError, ThrottledError
from stocktake.services import jobs, previews
from stocktake.services.context import Context
from stocktake.services.jobs import JobFilter
from stocktake.states import JobKind, JobState

router = Router(tags=["jobs"])

#: A stream ends after this long and the client comes back, with whatever rights it has by then.
STREAM_SECONDS: Final = 900.0
#: When a stream that was one too many may be asked for again.
STREAM_RETRY_SECONDS: Final = 5
_LONGEST_RETRY_AFTER: Final = 60


def accepted(context: Context, job: JobRow, deduplicated: bool = False) -> Answer:
    """Return the 202 of a submit: the job, where to look for it, and when."""
    return Answer(
        status=202,
        body=job_view(job, deduplicated),
        headers={"Location": job_url(context, job.id), "Retry-After": "1"},
        job_id=job.id,
    )


def ended(context: Context, job_id: UUID, deduplicated: bool = False) -> Answer:
    """Return the answer to a submit that was waited for: 200 with the job, or 400 where it has
    failed.
    """
    job = jobs.get_job(context, job_id)
    if job.state == JobState.FAILED:
        return failed(context, job, deduplicated)
    headers = {"Location": job_url(context, job_id)}
    rows = previews.rows_of(context, job)
    shown = job_view(job, deduplicated, rows=rows)
    kept = None if rows is None else job_view(job, deduplicated)
    return Answer(body=shown, kept=kept, headers=headers)


def failed(context: Context, job: JobRow, deduplicated: bool = False) -> Answer:
    """Give PostHog's answer to a request whose source it could not read, and the job beside it."""
    error = job.error or {}
    body = body_of("validation_error", "invalid_input", error.get("detail", ""))
    shown = job_view(job, deduplicated).model_dump(mode="json")
    return Answer(
        status=400,
        body=body | {"error": error, "job": shown},
        headers={"Location": job_url(context, job.id)},
    )


def job_url(context: Context, job_id: UUID) -> str:
    """Return the path of a job."""
    return f"/api/projects/{context.caller.project_id}/jobs/{job_id}/"


def _no_number(text: Any) -> Any:
    """Refuse what pydantic would take for seconds since 1970."""
    if isinstance(text, str) and "-" not in text[1:]:
        raise ValueError("must be a time as in 2026-11-01T00:00:00Z")
    return text


_Written = Annotated[AwareDatetime, BeforeValidator(_no_number)]


def _filter(
    state: JobState | None = None,
    kind: JobKind | None = None,
    table: UUID | None = None,
    batch: UUID | None = None,
    error_code: Annotated[
        str | None,
        Query(max_length=64, description="Of jobs that ended so, unless `state` says otherwise."),
    ] = None,
    created_after: Annotated[
        _Written | None, Query(description="With its zone; the moment itself is in.")
    ] = None,
    created_before: Annotated[
        _Written | None, Query(description="With its zone; the moment itself is in.")
    ] = None,
) -> JobFilter:
    return JobFilter(
        state=state,
        kind=kind,
        table_id=table,
        batch_id=batch,
        error_code=error_code,
        created_after=created_after,
        created_before=created_before,
    )


@router.get("/jobs/", response_model=PageBody[JobBody])
async def list_jobs(
    edge: ReadEdge,
    page: PageDep,
    wanted: Annotated[JobFilter, Depends(_filter)],
    order_by: Annotated[
        Literal["created_at", "-created_at"],
        Query(description="Behind a hyphen the newest first."),
    ] = "-created_at",
) -> Response:
    """List the history of jobs, newest first unless told otherwise."""
    oldest_first = order_by == "created_at"

    def work(context: Context) -> bytes:
        count, found = jobs.list_jobs(context, wanted, oldest_first=oldest_first, **page.part)
        return page.body(count, found, job_view, lambda job: place_of(job.id))

    return await edge.show(work)


@router.get(
    "/jobs/{job_id}/",
    response_model=FullJobBody,
    responses={304: {"description": "Nothing changed since the ETag in If-None-Match."}},
)
async def get_job(
    edge: ReadEdge,
    job_id: UUID,
    wait: Annotated[
        int | None, Query(ge=0, description="Seconds to wait for the job's end, up to 60.")
    ] = None,
) -> Response:
    """Show a job: always 200, also when the job failed; its failure is in the body."""
    asked = edge.preference
    seconds = min(wait, 60) if wait is not None else asked.seconds if asked.applied else 0
    if seconds:
        # First of all: what is not there is a 404 at once, and not after the wait.
        job = await edge.read(lambda context: jobs.get_job(context, job_id))
        if not JobState(job.state).done:
            await edge.wait_for_end(job_id, seconds)
    more_headers = asked.applied if wait is None else {}
    tags = edge.request.headers.get("if-none-match", "")

    def work(context: Context) -> Answer:
        job, attempts = jobs.with_attempts(context, job_id)
        rows = previews.rows_of(context, job)
        return _represent(job, attempts, rows, tags, more_headers)

    return await edge.show(work)


def _represent(
    job: JobRow,
    attempts: Sequence[JobAttempt],
    rows: list[list[Any]] | None,
    known_tags: str,
    more_headers: Mapping[str, str],
) -> Answer:
    tag = f'"{job.id}-{job.revision}"'
    # What must not be kept is not for a cache either.
    caching = "private, no-cache" if rows is None else "no-store"
    headers = {"ETag": tag, "Cache-Control": caching, **more_headers}
    if not JobState(job.state).done:
        headers["Retry-After"] = str(_retry_after(job))
    if _matches(known_tags, tag):
        # With the headers of the 200 that it stands for (RFC 9110, 15.4.5).
        return Answer(status=304, headers=headers)
    return Answer(body=full_job_view(job, attempts, rows), headers=headers)


def _retry_after(job: JobRow) -> int:
    """Return whole seconds until a look is worth while: at once, or when a backed-off retry
    is due."""
    if job.state != JobState.QUEUED:
        return 1
    due = math.ceil((job.next_run_at - datetime.now(UTC)).total_seconds())
    return max(1, min(due, _LONGEST_RETRY_AFTER))


def _matches(header: str, tag: str) -> bool:
    # Compared weakly, as If-None-Match is (RFC 9110, 13.1.2).
    given = [part.strip().removeprefix("W/") for part in header.split(",")]
    return tag in given or "*" in given


@dataclass(frozen=True, slots=True)
class _Sight:
    """A job as a stream shows it, and that as JSON."""

    job: JobBody
    revision: int
    data: str


@dataclass(frozen=True, slots=True)
class _Stream:
    edge: Edge
    first: _Sight

    async def wait_for_turn(self, sight: _Sight) -> None:
        """Wait, before a large end, for the project's turn, and keep it until all is sent: a
        hundred streams that sent one job's result at once held the event loop for four seconds."""
        if sight.job.done and len(sight.data) > LARGE_BYTES:
            await self.edge.wait_to_send()


async def _granted(edge: ReadEdge, job_id: UUID) -> AsyncIterator[_Stream]:
    """Yield a stream that has its place among those that wait until it ends, and its first job.

    Both are taken here, as a stream that has begun can't be refused.
    """
    first = await edge.read(partial(_sight, job_id=job_id))
    with edge.parts.limits.waiting(edge.caller.key_id) as granted:
        if not granted or edge.parts.hub.is_full:
            raise ThrottledError(STREAM_RETRY_SECONDS)
        yield _Stream(edge, first)


def _sight(context: Context, job_id: UUID) -> _Sight:
    job = jobs.get_job(context, job_id)
    shown = job_view(job)
    return _Sight(shown, job.revision, to_json(shown).decode())


@router.get("/jobs/{job_id}/events/", response_class=EventSourceResponse)
async def stream_job_events(
    stream: Annotated[_Stream, Depends(_granted)],
) -> AsyncIterator[ServerSentEvent]:
    """Send the job's life as server-sent events: `state`, `progress`, and `end` as the last one; or
    `refused`, with the body of the refusal, seconds after the key was revoked, expired or was cut.
    """
    edge, now, before = stream.edge, stream.first, None
    while True:
        await stream.wait_for_turn(now)
        for name in _events(before, now.job):
            yield ServerSentEvent(event=name, id=str(now.revision), raw_data=now.data, retry=1000)
        if now.job.done:
            return
        before = now.job
        try:
            changed = await edge.parts.hub.wait_for_change(
                now.job.id, now.revision, STREAM_SECONDS, edge.holder
            )
        except RequestError as refusal:
            yield ServerSentEvent(event="refused", data=refusal_of(refusal)[1])
            return
        if not changed:
            return
        now = await edge.read(partial(_sight, job_id=now.job.id))


def _events(before: JobBody | None, now: JobBody) -> list[str]:
    names = []
    if before is None or (before.state, before.attempt) != (now.state, now.attempt):
        names.append("state")
    if now.progress is not None and (before is None or before.progress != now.progress):
        names.append("progress")
    return [*names, "end"] if now.done else names


@router.post("/jobs/{job_id}/cancel/", status_code=202, response_model=JobBody)
async def cancel_job(edge: WriteEdge, job_id: UUID) -> Response:
    """Cancel a job: a queued one at once, a running one as soon as its worker sees it."""
    return await edge.write(lambda context: accepted(context, jobs.cancel_job(context, job_id)))


@router.post(
    "/jobs/{job_id}/retry/",
    status_code=202,
    response_model=JobBody,
    responses={200: {"model": JobBody, "description": "The job has ended within the wait."}},
)
async def retry_job(edge: WriteEdge, job_id: UUID) -> Response:
    """Queue a new job that does again what an ended one was to do; 200 if it was waited for,
    and 400 if it failed."""

    def work(context: Context) -> Answer:
        new = jobs.retry_job(context, job_id)
        answer = accepted(context, new.job, new.deduplicated)
        shared = new.deduplicated
        return replace(answer, after_wait=lambda later: ended(later, new.job.id, shared))

    return await edge.write(work, wait=True)
