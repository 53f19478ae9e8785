"""The first rows of one of a table's files, for somebody who wants to see what is in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Query, Response
from fastapi.responses import RedirectResponse
from markupsafe import escape
from pydantic_core import to_json

from api.console import words
from api.console.forms import read_form
from api.console.rendering import show
from api.console.routing import Router
from api.console.session import ReadEdge, RowsEdge
from stocktake.db.models import Job
from stocktake.errors import NotFoundError
from stocktake.jobs.arguments import PreviewArguments
from stocktake.schema.stored_origins import StoredOrigins
from stocktake.services import identity, jobs, previews, table_views
from stocktake.services.context import Context
from stocktake.services.previews import MAX_FILE_NAME
from stocktake.states import JobKind, JobState

router = Router()

#: Characters of a value, and bytes of all of a page's values with what is around them.
_CELL: Final = 120
_MOST_BYTES: Final = 60_000
_AROUND: Final = 40
#: Files that are offered by their names.
_FILES: Final = 12
Offset = Annotated[int, Query(ge=0, le=10**6)]


@dataclass(frozen=True, slots=True)
class _Cell:
    """A value as a page shows it: `kind` is a class of the style."""

    text: str
    kind: str = ""


@router.get("/p/{project_id}/tables/{table_id}/data")
async def show_data(
    edge: ReadEdge,
    table_id: UUID,
    file: Annotated[str, Query(max_length=MAX_FILE_NAME)] = "",
    job: UUID | None = None,
    offset: Offset = 0,
) -> Response:
    """Show the rows that a job has read, some columns at a time, or what is to be done for it."""

    def work(context: Context) -> Mapping[str, Any]:
        view = table_views.get_view(context, table_id, columns=False)
        read = _preview_of(context, table_id, job)
        result = (read and read.result) or {}
        rows = None if read is None else previews.rows_of(context, read)
        shown = _fitting(result.get("columns", ()), rows or [], offset)
        return {
            "table": view.table,
            "view": view,
            "tab": "data",
            "file": result.get("file") or file,
            "files": StoredOrigins(view.table.origins).files[:_FILES],
            "allowed": identity.get_project(context).row_previews,
            "job": read,
            "done": read is not None and JobState(read.state).done,
            "result": result,
            "columns": shown,
            "rows": None if rows is None else [[_cell(row[at]) for at, _ in shown] for row in rows],
            "count": len(result.get("columns", ())),
            "offset": offset,
        }

    return await show(edge, "table_data.html", work)


def _preview_of(context: Context, table_id: UUID, job_id: UUID | None) -> Job | None:
    """Return the preview of this table that the address names; None where there is none, or no
    more."""
    if job_id is None:
        return None
    try:
        job = jobs.get_job(context, job_id)
    except NotFoundError:
        return None
    if job.kind != JobKind.PREVIEW_FILE:
        return None
    return job if PreviewArguments.of(job.arguments or {}).table_id == table_id else None


def _fitting(
    columns: list[dict[str, Any]], rows: list[list[Any]], offset: int
) -> list[tuple[int, dict[str, Any]]]:
    """Return columns from a place on, at least one and as many as a page bears, with their
    places."""
    found: list[tuple[int, dict[str, Any]]] = []
    used = 0
    for at, column in list(enumerate(columns))[offset:]:
        used += sum(_bytes(_cell(row[at]).text) for row in rows) + 4 * _bytes(column["name"])
        if found and used > _MOST_BYTES:
            break
        found.append((at, column))
    return found


def _bytes(text: str) -> int:
    return len(escape(words.cut(text, _CELL)).encode()) + _AROUND


def _cell(value: Any) -> _Cell:
    if value is None:
        return _Cell("null", "quiet")
    if isinstance(value, dict):
        unit = "characters" if "text" in value else "bytes"
        beginning = value.get("text", value.get("base64", ""))
        return _Cell(f"{words.cut(beginning, _CELL)} ({value['length']:,} {unit})")
    text = value if isinstance(value, str) else to_json(value).decode()
    return _Cell(words.cut(text, _CELL))


@router.post("/p/{project_id}/tables/{table_id}/data")
async def read_rows(edge: RowsEdge, table_id: UUID) -> Response:
    """Have a job read the first rows of a file, and show them when it has."""
    form = await read_form(edge.request)
    file = form.one("file") or None
    job_id = await edge.change(lambda context: previews.request(context, table_id, file).job.id)
    asked = {"file": file or "", "job": str(job_id)}
    url = f"/p/{edge.caller.project_id}/tables/{table_id}/data?{urlencode(asked)}"
    return RedirectResponse(url, 303)
