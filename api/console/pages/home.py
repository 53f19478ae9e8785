"""What needs somebody: the first page of a project."""

from collections.abc import Mapping
from typing import Any

from fastapi import Response
from fastapi.responses import RedirectResponse

from api.console.rendering import show
from api.console.routing import Router
from api.console.session import AccountEdge, ReadEdge
from stocktake.services import identity
from stocktake.services.context import Context

router = Router()


@router.get("/")
async def start(edge: AccountEdge) -> Response:
    """Lead to the only project of the key, or let choose one."""
    mine = edge.caller.project_ids
    if len(mine) == 1:
        return RedirectResponse(f"/p/{mine[0]}", 303)
    return await show(edge, "projects.html", _projects)


def _projects(context: Context) -> Mapping[str, Any]:
    return {"found": identity.list_projects(context)}


@router.get("/p/{project_id}")
async def home(edge: ReadEdge) -> Response:
    """Show what waits, fails or is old."""
    return await show(edge, "home.html", lambda _: {})
