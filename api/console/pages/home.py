"""What needs somebody: the first page of a project."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from fastapi import Response
from fastapi.responses import RedirectResponse

from api.console.rendering import show
from api.console.routing import Router
from api.console.session import AccountEdge, ReadEdge
from stocktake.services import changes, identity, jobs, schedule_troubles, table_counts
from stocktake.services.changes import ChangeFilter
from stocktake.services.context import Context
from stocktake.states import ChangeState, JobState, TableState

router = Router()

#: Changes and schedules that are named.
_SHOWN: Final = 5
_HOURS: Final = 24
_TALLEST: Final = 52


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
    return await show(edge, "home.html", _what_needs_somebody)


def _what_needs_somebody(context: Context) -> Mapping[str, Any]:
    counts = table_counts.count_tables(context)
    pending = ChangeFilter(state=ChangeState.PENDING)
    waiting, newest = changes.list_changes(context, pending, limit=_SHOWN, offset=0)
    hours = jobs.ended_by_hour(context, _HOURS)
    return {
        "counts": counts,
        "waiting": waiting,
        "newest": newest,
        "schedules": schedule_troubles.troubles(context, limit=_SHOWN),
        "good": counts.by_state[TableState.FRESH] + counts.by_state[TableState.READING],
        "bars": _bars(hours),
        "succeeded": sum(states.get(JobState.SUCCEEDED, 0) for _, states in hours),
        "failed": sum(states.get(JobState.FAILED, 0) for _, states in hours),
    }


def _bars(hours: list[tuple[datetime, dict[JobState, int]]]) -> list[dict[str, Any]]:
    """Return the hours as bars: what succeeded, and on top of it what failed."""
    most = max((sum(states.values()) for _, states in hours), default=0) or 1
    bars = []
    for begin, states in hours:
        good, bad = states.get(JobState.SUCCEEDED, 0), states.get(JobState.FAILED, 0)
        bars.append(
            {
                "good": _height(good, most),
                "bad": _height(bad, most),
                "told": f"{begin:%H}:00 UTC: {good} succeeded, {bad} failed",
                "hour": f"{begin:%H}",
            }
        )
    return bars


def _height(count: int, most: int) -> float:
    """Return a bar's height; one job of thousands is still seen."""
    return 0 if not count else max(2.0, round(count / most * _TALLEST, 1))
