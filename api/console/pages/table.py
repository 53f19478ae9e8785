"""A table: its columns, how they changed, its files, its jobs, its source."""

from collections.abc import Mapping
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Query, Response

from api.console import words
from api.console.charts import bars, seconds_of
from api.console.differences import told
from api.console.rendering import show
from api.console.results import UNTOLD
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
        shown = matching[offset : offset + _COLUMNS]
        return _frame(view, "columns") | {
            "columns": [_column(at, column, origins) for at, column in shown],
            "reasons": _reasons(context, table_id, [column for _, column in shown]),
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


def _reasons(
    context: Context, table_id: UUID, columns: list[dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Return what the last read of all the data found against the types of these columns, by their
    names; of the first hundred or so that it found wrong."""
    if all(column["valid"] for column in columns):
        return {}
    wanted = JobFilter(state=JobState.SUCCEEDED, kind=JobKind.VALIDATE_COLUMNS, table_id=table_id)
    job = _last(context, wanted)
    return {each["name"]: each for each in ((job and job.result) or {}).get("invalid", ())}


@router.get("/p/{project_id}/tables/{table_id}/history")
async def show_history(
    edge: ReadEdge,
    table_id: UUID,
    offset: Offset = 0,
    to: Number = None,
    since: Number = None,
    line: Offset = 0,
) -> Response:
    """Show a table's versions, and what is different between two of them, from a line on."""

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
                "diff": told(found.diff, line),
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


@router.get("/p/{project_id}/tables/{table_id}/source")
async def show_source(edge: ReadEdge, table_id: UUID) -> Response:
    """Show where a table's bytes are, what became of the last try, its policy, and how it ends."""

    def work(context: Context) -> Mapping[str, Any]:
        view = table_views.get_view(context, table_id, columns=False)
        check = _last(context, JobFilter(kind=JobKind.CHECK_SOURCE, table_id=table_id))
        return _frame(view, "source") | {
            "policies": list(Policy),
            "inherited": identity.get_project(context).change_policy,
            "check": check,
            "done": check is not None and JobState(check.state).done,
            "result": {**UNTOLD, **((check and check.result) or {})},
            "most_columns": _COLUMNS,
        }

    return await show(edge, "table_source.html", work)


def _last(context: Context, wanted: JobFilter) -> Job | None:
    return next(jobs.list_jobs(context, wanted, limit=1, offset=0)[1], None)
