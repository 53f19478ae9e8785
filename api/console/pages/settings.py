"""Settings of a project, the key that looks, and who did what."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Query, Response
from fastapi.responses import RedirectResponse
from pydantic_core import to_json

from api.console import commands
from api.console.forms import read_form
from api.console.rendering import show
from api.console.routing import Router
from api.console.session import AuditEdge, ReadEdge, WriteEdge
from stocktake.errors import ValidationError
from stocktake.schema.decisions import Policy
from stocktake.security.scopes import KNOWN, allows
from stocktake.services import audit, identity, tables
from stocktake.services.audit import EntryFilter
from stocktake.services.context import Context

router = Router()

_LISTED: Final = 50
_DETAIL: Final = 300
_HOUR: Final = 3600
#: What is neither leaves it as it is.
_PREVIEWS: Final[Mapping[str, bool]] = {"on": True, "off": False}
#: By the first word of an action, the page of what was changed.
_PAGES: Final[Mapping[str, str]] = {
    "table": "tables",
    "job": "jobs",
    "batch": "batches",
    "schedule": "schedules",
    "source": "jobs",
}
Action = Annotated[str, Query(pattern=r"^[a-z_.]{0,64}$")]


@router.get("/p/{project_id}/settings")
async def settings(edge: ReadEdge) -> Response:
    """Show the project's defaults and the key of the session."""

    def work(context: Context) -> Mapping[str, Any]:
        held = edge.caller.scopes
        return {
            "project": identity.get_project(context),
            "policies": list(Policy),
            "user": identity.current_user(context),
            "key": identity.current_key(context),
            "scopes": [(scope, allows(held, scope)) for scope in sorted(KNOWN)],
            "hour": _HOUR,
        }

    return await show(edge, "settings.html", work)


@router.post("/p/{project_id}/settings")
async def change(edge: WriteEdge) -> Response:
    """Set what holds for all tables that say nothing of their own."""
    form = await read_form(edge.request)
    policy = tables.check_policy(form.one("policy") or None)
    stale = _stale_after(form.one("stale_after_hours"))
    previews = _PREVIEWS.get(form.one("row_previews"))

    def work(context: Context) -> int:
        identity.change_project(context, policy=policy, row_previews=previews)
        return identity.set_stale_after(context, stale).id

    project_id = await edge.change(work)
    return RedirectResponse(f"/p/{project_id}/settings?notice=saved", 303)


def _stale_after(hours: str) -> int | None:
    """Return seconds; None where the field is empty."""
    if not hours:
        return None
    try:
        return round(float(hours) * _HOUR)
    except (ValueError, OverflowError) as exc:
        told = "After how many hours a table is stale is a number; nothing is never."
        raise ValidationError(told, attr="stale_after_seconds") from exc


@router.get("/p/{project_id}/settings/audit")
async def audit_log(
    edge: AuditEdge,
    action: Action = "",
    subject: UUID | None = None,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> Response:
    """List who did what in the project, and what was refused, newest first."""
    wanted = EntryFilter(project_id=edge.caller.project_id, action=action or None, subject=subject)

    asked = {"action": wanted.action, "subject": wanted.subject}
    command = commands.command("stocktake audit-log --server", asked)

    def work(context: Context) -> Mapping[str, Any]:
        count, found = audit.page(context.session, wanted, limit=_LISTED, offset=offset)
        return {
            "entries": [(each, _page_of(each.action), _told(each.detail)) for each in found],
            "count": count,
            "offset": offset,
            "limit": _LISTED,
            "wanted": wanted,
            "api": commands.path("audit_log/", asked),
            "command": command,
        }

    return await show(edge, "audit.html", work)


@router.get("/p/{project_id}/settings/keys")
async def list_keys(edge: AuditEdge, offset: Annotated[int, Query(ge=0, le=10**9)] = 0) -> Response:
    """List the keys that were made for the project."""

    def work(context: Context) -> Mapping[str, Any]:
        count, found = identity.keys_of_project(context, limit=_LISTED, offset=offset)
        return {
            "keys": found,
            "count": count,
            "offset": offset,
            "limit": _LISTED,
            "now": datetime.now(UTC),
        }

    return await show(edge, "keys.html", work)


def _page_of(action: str) -> str:
    return _PAGES.get(action.partition(".")[0], "")


def _told(detail: dict[str, Any]) -> str:
    parts = (
        f"{name}: {value if isinstance(value, str) else to_json(value).decode()}"
        for name, value in detail.items()
    )
    return ", ".join(parts)[:_DETAIL]
