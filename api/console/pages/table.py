"""A table: its columns, how they changed, its files, its jobs, its source."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Query, Response

from api.console import words
from api.console.differences import told
from api.console.rendering import show
from api.console.routing import Router
from api.console.session import ReadEdge
from stocktake.db.models import Job
from stocktake.schema.decisions import Policy
from stocktake.schema.folding import fold
from stocktake.schema.stored_origins import StoredOrigins
from stocktake.schema.wire_names import OVERRIDE_WORDS, wire_type
from stocktake.services import identity, jobs, schema_versions, table_views
from stocktake.services.context import Context
from stocktake.services.jobs import JobFilter
from stocktake.services.table_views import TableView
from stocktake.states import JobKind, JobState

router = Router()

#: Of one page, each: names and types may be long.
_COLUMNS: Final = 60
_VERSIONS: Final = 50
_JOBS: Final = 40
#: Reads that opened nothing, behind which the last one that did is looked for.
_LOOKED_BACK: Final = 20
_BAR_HEIGHT: Final = 26
Offset = Annotated[int, Query(ge=0, le=10**9)]
Number = Annotated[int | None, Query(ge=1, le=2**31 - 1)]


def _frame(view: TableView, tab: str) -> dict[str, Any]:
    return {"table": view.table, "view": view, "tab": tab}


@router.get("/p/{project_id}/tables/{table_id}")
async def show_columns(
    edge: ReadEdge,
    table_id: UUID,
    offset: Offset = 0,
    find: Annotated[str, Query(max_length=words.MAX_SEARCH)] = "",
    edit: Annotated[int, Query(ge=-1, le=10**6)] = -1,
) -> Response:
    """Show a table's columns, some of them at a time."""

    def work(context: Context) -> Mapping[str, Any]:
        view = table_views.get_view(context, table_id)
        wanted = fold(find)
        matching = [
            (at, column)
            for at, column in enumerate(view.table.columns)
            if wanted in fold(column["name"])
        ]
        origins = StoredOrigins(view.table.origins)
        return _frame(view, "columns") | {
            "columns": [
                _column(at, column, origins) for at, column in matching[offset : offset + _COLUMNS]
            ],
            "count": len(matching),
            "all_columns": len(view.table.columns),
            "offset": offset,
            "limit": _COLUMNS,
            "find": find,
            "edit": edit,
            "words": OVERRIDE_WORDS,
        }

    return await show(edge, "table_columns.html", work)


def _column(at: int, stored: dict[str, Any], origins: StoredOrigins) -> dict[str, Any]:
    return stored | {
        "at": at,
        "wire": wire_type(stored["hogql"]),
        "origin": origins.shown(stored["name"], override=stored["override"]),
    }


@router.get("/p/{project_id}/tables/{table_id}/history")
async def show_history(
    edge: ReadEdge, table_id: UUID, offset: Offset = 0, to: Number = None, since: Number = None
) -> Response:
    """Show a table's versions, and what is different between two of them."""

    def work(context: Context) -> Mapping[str, Any]:
        view = table_views.get_view(context, table_id, columns=False)
        page = schema_versions.list_versions(context, table_id, limit=_VERSIONS, offset=offset)
        compared = None
        if page.count:
            number = to or view.table.schema_version
            found = schema_versions.compare(context, table_id, number, against=since)
            compared = {
                "before": found.before,
                "after": found.after,
                "change": found.change,
                "diff": told(found.diff),
            }
        return _frame(view, "history") | {
            "versions": page.versions,
            "count": page.count,
            "offset": offset,
            "limit": _VERSIONS,
            "compared": compared,
        }

    return await show(edge, "table_history.html", work)


@router.get("/p/{project_id}/tables/{table_id}/files")
async def show_files(edge: ReadEdge, table_id: UUID) -> Response:
    """Show what the last good read has seen of the source."""

    def work(context: Context) -> Mapping[str, Any]:
        view = table_views.get_view(context, table_id, columns=False)
        wanted = JobFilter(state=JobState.SUCCEEDED, kind=JobKind.REFRESH_SCHEMA, table_id=table_id)
        coverage, last = None, None
        for job in jobs.list_jobs(context, wanted, limit=_LOOKED_BACK, offset=0)[1]:
            coverage, last = (job.result or {}).get("coverage"), job
            if coverage and not coverage["unchanged"]:
                break
        return _frame(view, "files") | {"job": last, "coverage": coverage}

    return await show(edge, "table_files.html", work)


@router.get("/p/{project_id}/tables/{table_id}/jobs")
async def show_jobs(edge: ReadEdge, table_id: UUID, offset: Offset = 0) -> Response:
    """Show a table's jobs, newest first."""

    def work(context: Context) -> Mapping[str, Any]:
        view = table_views.get_view(context, table_id, columns=False)
        wanted = JobFilter(table_id=table_id)
        count, rows = jobs.list_jobs(context, wanted, limit=_JOBS, offset=offset)
        found = list(rows)
        return _frame(view, "jobs") | {
            "jobs": found,
            "bars": bars(found),
            "seconds": {job.id: seconds_of(job) for job in found},
            "count": count,
            "offset": offset,
            "limit": _JOBS,
        }

    return await show(edge, "table_jobs.html", work)


def seconds_of(job: Job) -> float | None:
    """Return how long a job's last attempt took; None where it has not ended."""
    if job.started_at is None or job.finished_at is None:
        return None
    return max(0.0, (job.finished_at - job.started_at).total_seconds())


def bars(found: Sequence[Job]) -> list[dict[str, Any]]:
    """Return the durations of ended jobs as bars, the oldest first."""
    timed = [(job, seconds) for job in found if (seconds := seconds_of(job)) is not None]
    longest = max((seconds for _, seconds in timed), default=0) or 1
    return [
        {
            "height": round(seconds / longest * _BAR_HEIGHT, 1),
            "bad": job.state == JobState.FAILED,
            "told": f"{job.kind} {job.state}: {words.duration(seconds)}",
        }
        for job, seconds in reversed(timed)
    ]


@router.get("/p/{project_id}/tables/{table_id}/source")
async def show_source(edge: ReadEdge, table_id: UUID) -> Response:
    """Show where a table's bytes are, its policy, and how it ends."""

    def work(context: Context) -> Mapping[str, Any]:
        view = table_views.get_view(context, table_id, columns=False)
        return _frame(view, "source") | {
            "policies": list(Policy),
            "inherited": identity.get_project(context).change_policy,
        }

    return await show(edge, "table_source.html", work)
