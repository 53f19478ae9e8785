"""What the forms of a table's page ask for."""

from uuid import UUID

from fastapi import Response
from fastapi.responses import RedirectResponse

from api.console.forms import Form, read_form
from api.console.routing import Router
from api.console.session import WriteEdge
from stocktake.errors import ConflictError, ValidationError
from stocktake.jobs.queueing import Enqueued
from stocktake.services import (
    refreshes,
    schema_versions,
    source_checks,
    table_changes,
    table_views,
    tables,
)
from stocktake.services.context import Context
from stocktake.services.credentials import CredentialFields
from stocktake.services.tables import TableFields

router = Router()
_CONFIRMED = "yes"


def _to(edge: WriteEdge, path: str, notice: str) -> Response:
    return RedirectResponse(f"/p/{edge.caller.project_id}/{path}?notice={notice}", 303)


@router.post("/p/{project_id}/tables/{table_id}/refresh")
async def refresh(edge: WriteEdge, table_id: UUID) -> Response:
    """Have the source read anew."""
    await edge.change(lambda context: refreshes.request_alone(context, table_id).deduplicated)
    return _to(edge, f"tables/{table_id}/jobs", "refresh")


@router.post("/p/{project_id}/tables/{table_id}/plan")
async def plan(edge: WriteEdge, table_id: UUID) -> Response:
    """Have a job say what a refresh would change."""

    def ask(context: Context) -> Enqueued:
        return refreshes.request_plan(context, table_views.locked(context, table_id))

    job_id = await edge.change(lambda context: ask(context).job.id)
    return _to(edge, f"jobs/{job_id}", "plan")


@router.post("/p/{project_id}/tables/{table_id}/check")
async def check(edge: WriteEdge, table_id: UUID) -> Response:
    """Have a job try the source, step by step."""
    await edge.change(lambda it: source_checks.request_for(it, table_id).job.id)
    return _to(edge, f"tables/{table_id}/source", "check")


@router.post("/p/{project_id}/tables/{table_id}/type")
async def set_type(edge: WriteEdge, table_id: UUID) -> Response:
    """Set the type of the column at a place, or clear it, in the version that the page showed."""
    form = await read_form(edge.request)
    wanted = form.one("type") or None
    updates = await edge.read(lambda context: _updates(context, table_id, form, wanted))
    known = await edge.read(lambda it: schema_versions.types_of_source(it, table_id, updates))
    await edge.change(lambda it: schema_versions.update_types(it, table_id, updates, known).id)
    return _to(edge, f"tables/{table_id}", "type" if wanted else "cleared")


def _updates(
    context: Context, table_id: UUID, form: Form, wanted: str | None
) -> dict[str, str | None]:
    table = table_views.get_view(context, table_id).table
    if form.one("version") != str(table.schema_version):
        raise ConflictError("The table's columns have changed since the page was made.")
    at = form.one("at")
    place = int(at) if at.isdecimal() and len(at) < 8 else len(table.columns)
    if place >= len(table.columns):
        raise ValidationError("The table has no such column.", attr="at")
    return {table.columns[place]["name"]: wanted}


@router.post("/p/{project_id}/tables/{table_id}/policy")
async def set_policy(edge: WriteEdge, table_id: UUID) -> Response:
    """Set which changes go live by themselves; empty is as the project says."""
    form = await read_form(edge.request)
    policy = form.one("policy") or None
    await edge.change(
        lambda it: table_changes.change(it, table_id, {"change_policy": policy})[0].id
    )
    return _to(edge, f"tables/{table_id}/source", "policy")


@router.post("/p/{project_id}/tables/{table_id}/go-back")
async def go_back(edge: WriteEdge, table_id: UUID) -> Response:
    """Have an uploaded table read the source again of which an upload took the place."""
    form = await read_form(edge.request)
    fields: TableFields = {"url_pattern": form.one("url")}
    keys = CredentialFields(
        access_key=form.one("access_key"), access_secret=form.one("access_secret")
    )
    if any(keys.values()):
        fields["credential"] = keys
    await edge.change(lambda it: table_changes.change(it, table_id, fields)[0].id)
    return _to(edge, f"tables/{table_id}/source", "gone_back")


@router.post("/p/{project_id}/tables/{table_id}/delete")
async def delete(edge: WriteEdge, table_id: UUID) -> Response:
    """Delete the table, where the box was ticked."""
    form = await read_form(edge.request)
    if form.one("sure") != _CONFIRMED:
        raise ValidationError("Tick the box beside the button to delete the table.", attr="sure")
    await edge.change(lambda context: tables.delete(context, table_id).id)
    return _to(edge, "tables", "deleted")
