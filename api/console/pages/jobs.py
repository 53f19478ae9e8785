"""The history of jobs, and one job with each try at it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Query, Response
from fastapi.responses import RedirectResponse
from pydantic_core import to_json

from api.console import commands, differences
from api.console.charts import WIDTH, seconds_of, timeline
from api.console.job_search import JobQuery
from api.console.rendering import show
from api.console.results import UNTOLD
from api.console.routing import Router
from api.console.session import ReadEdge, WriteEdge
from api.schemas.jobs import full_job_view
from stocktake.db.models import Job, JobAttempt
from stocktake.services import jobs, table_views
from stocktake.services.context import Context
from stocktake.services.jobs import JobFilter
from stocktake.states import JobKind, JobState

router = Router()

_LISTED: Final = 40
#: Of one page, each: names and sentences may be long.
_INVALID: Final = 60
_COLUMNS: Final = 60
_WARNINGS: Final = 20
_ATTEMPTS: Final = 50
#: Characters of a job's JSON that its page shows; all of it is behind a link.
_RAW_SHOWN: Final = 12_000
_INDENT: Final = 2
Offset = Annotated[int, Query(ge=0, le=10**9)]
Code = Annotated[str, Query(max_length=64)]


@router.get("/p/{project_id}/jobs")
async def list_jobs(
    edge: ReadEdge,
    state: str = "",
    kind: str = "",
    code: Code = "",
    table: UUID | None = None,
    batch: UUID | None = None,
    offset: Offset = 0,
    q: str = "",
) -> Response:
    """List the jobs that the chips ask for, newest first; what is typed in the box becomes
    chips."""
    query = JobQuery.parse(q)
    if q and not query.wrong and (found := await _found(edge, query)):
        return RedirectResponse(found, 303)
    wanted = JobFilter(
        state=JobState(state) if state in tuple(JobState) else None,
        kind=JobKind(kind) if kind in tuple(JobKind) else None,
        error_code=code.strip() or None,
        table_id=table,
        batch_id=batch,
    )

    asked = _asked(wanted)

    def work(context: Context) -> Mapping[str, Any]:
        count, rows = jobs.list_jobs(context, wanted, limit=_LISTED, offset=offset)
        found = list(rows)
        ids = {job.table_id for job in found if job.table_id} | ({table} if table else set())
        names = table_views.names_of(context, ids)
        return {
            "jobs": found,
            "names": names,
            "seconds": {job.id: seconds_of(job) for job in found},
            "count": count,
            "offset": offset,
            "limit": _LISTED,
            "wanted": wanted,
            "query": query,
            "text": q or _text(wanted, names),
            "undone": any(not JobState(job.state).done for job in found),
            "api": commands.path("jobs/", asked),
            "command": commands.command("stocktake jobs list", asked),
            "filtered": wanted != JobFilter(),
            "states": [each.value for each in JobState],
            "kinds": [each.value for each in JobKind],
        }

    return await show(edge, "jobs.html", work)


async def _found(edge: ReadEdge, query: JobQuery) -> str | None:
    """Return the address of the jobs that were asked for; None where no one table is called so."""
    asked: dict[str, Any] = dict(query.asked)
    if query.table:
        ids = await edge.read(lambda it: table_views.ids_named(it, query.table, limit=2))
        if len(ids) != 1:
            return None
        asked["table"] = ids[0]
    return commands.path(f"/p/{edge.caller.project_id}/jobs", asked)


def _text(wanted: JobFilter, names: Mapping[UUID, str]) -> str:
    """Return what one would type for the filter, but for what is told by an id alone."""
    named = names.get(wanted.table_id) if wanted.table_id else None
    typed = {"state": wanted.state, "kind": wanted.kind, "code": wanted.error_code, "table": named}
    return " ".join(f"{name}:{value}" for name, value in typed.items() if value)


def _asked(wanted: JobFilter) -> dict[str, Any]:
    """Return the query by which the API and the command line list the same jobs."""
    return {
        "state": wanted.state,
        "kind": wanted.kind,
        "table": wanted.table_id,
        "batch": wanted.batch_id,
        "error_code": wanted.error_code,
    }


@router.get("/p/{project_id}/jobs/{job_id}")
async def show_job(edge: ReadEdge, job_id: UUID, line: Offset = 0) -> Response:
    """Show one job: what became of it, each try, and what it found, from a line of it on."""

    def work(context: Context) -> Mapping[str, Any]:
        job, attempts = jobs.with_attempts(context, job_id)
        raw = _raw(job, attempts)
        ids = {job.table_id} if job.table_id else set()
        return {
            "job": job,
            "done": JobState(job.state).done,
            "names": table_views.names_of(context, ids),
            "attempts": attempts[-_ATTEMPTS:],
            "seconds": seconds_of(job),
            "spans": timeline(job, attempts[-_ATTEMPTS:], datetime.now(UTC)),
            "width": WIDTH,
            "result": _told(job, line),
            "raw": raw[:_RAW_SHOWN],
            "raw_is_cut": len(raw) > _RAW_SHOWN,
            "most": _INVALID,
            "most_columns": _COLUMNS,
            "most_warnings": _WARNINGS,
        }

    return await show(edge, "job.html", work)


def _told(job: Job, line: int) -> dict[str, Any]:
    """Return a job's result, with its diff as pages tell it; None is what it does not tell."""
    result = {**UNTOLD, **(job.result or {})}
    if result["diff"]:
        return result | {"diff": differences.told(result["diff"], line)}
    return result


def _raw(job: Job, attempts: Sequence[JobAttempt]) -> str:
    return to_json(full_job_view(job, attempts), indent=_INDENT).decode()


@router.get("/p/{project_id}/jobs/{job_id}/raw")
async def show_raw(edge: ReadEdge, job_id: UUID) -> Response:
    """Give a job as the API does, all of it."""
    return await edge.show(lambda it: _raw(*jobs.with_attempts(it, job_id)).encode())


@router.post("/p/{project_id}/jobs/{job_id}/cancel")
async def cancel(edge: WriteEdge, job_id: UUID) -> Response:
    """End a job that waits; ask the worker of one that runs to stop."""
    await edge.change(lambda context: jobs.cancel_job(context, job_id).id)
    return _to(edge, job_id, "cancelled")


@router.post("/p/{project_id}/jobs/{job_id}/retry")
async def retry(edge: WriteEdge, job_id: UUID) -> Response:
    """Queue what an ended job was to do once more, and lead to that job."""
    new_id = await edge.change(lambda context: jobs.retry_job(context, job_id).job.id)
    return _to(edge, new_id, "retried")


def _to(edge: WriteEdge, job_id: UUID, notice: str) -> Response:
    url = f"/p/{edge.caller.project_id}/jobs/{job_id}?notice={notice}"
    return RedirectResponse(url, 303)
