"""Schedules: the list, one of them, and what its buttons do."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import Query, Response
from fastapi.responses import RedirectResponse

from api.console.cron_words import in_words
from api.console.forms import read_form
from api.console.rendering import show
from api.console.routing import Router
from api.console.selectors import as_query, told
from api.console.session import ReadEdge, WriteEdge
from stocktake.errors import ValidationError
from stocktake.services import batch_lists, schedules
from stocktake.services.batch_lists import BatchFilter
from stocktake.services.context import Context
from stocktake.services.schedules import Upcoming

router = Router()

_LISTED: Final = 40
#: Fires and batches that a schedule's page shows.
FIRES: Final = 5
_BATCHES: Final = 5
Offset = Annotated[int, Query(ge=0, le=10**9)]


@router.get("/p/{project_id}/schedules")
async def list_schedules(edge: ReadEdge, offset: Offset = 0) -> Response:
    """List schedules, newest first."""

    def work(context: Context) -> Mapping[str, Any]:
        page = schedules.page(context, limit=_LISTED, offset=offset)
        found = [(each, in_words(each.cron), told(each.selector)) for each in page.schedules]
        return {"found": found, "count": page.count, "offset": offset, "limit": _LISTED}

    return await show(edge, "schedules.html", work)


@router.get("/p/{project_id}/schedules/{schedule_id}")
async def show_schedule(edge: ReadEdge, schedule_id: UUID) -> Response:
    """Show one schedule: its rule in words, its next fires, and the batches that it started."""

    def work(context: Context) -> Mapping[str, Any]:
        schedule = schedules.get(context, schedule_id)
        query = as_query(schedule.selector)
        upcoming = schedules.upcoming(context, schedule_id, count=FIRES)
        mine = BatchFilter(schedule_id=schedule_id)
        count, found = batch_lists.list_batches(context, mine, limit=_BATCHES, offset=0)
        return {
            "schedule": schedule,
            "words": in_words(schedule.cron),
            "selector": told(schedule.selector),
            "query": None if query is None else query.text,
            "upcoming": upcoming,
            "fires": zoned(upcoming, schedule.timezone),
            "batches": found,
            "count": count,
        }

    return await show(edge, "schedule.html", work)


def zoned(upcoming: Upcoming, timezone: str) -> list[tuple[datetime, str]]:
    """Return each fire with what the clocks of its zone show then; nothing where that is UTC."""
    if timezone == "UTC":
        return [(each, "") for each in upcoming.fires]
    # Where there are fires the zone is known.
    return [(each, f"{each.astimezone(ZoneInfo(timezone)):%H:%M}") for each in upcoming.fires]


@router.post("/p/{project_id}/schedules/{schedule_id}/pause")
async def pause(edge: WriteEdge, schedule_id: UUID) -> Response:
    """Have it start nothing until it goes on."""
    await edge.change(lambda it: schedules.change(it, schedule_id, {"paused": True}).id)
    return _to(edge, f"schedules/{schedule_id}", "paused")


@router.post("/p/{project_id}/schedules/{schedule_id}/resume")
async def resume(edge: WriteEdge, schedule_id: UUID) -> Response:
    """Have it go on with its next time."""
    await edge.change(lambda it: schedules.change(it, schedule_id, {"paused": False}).id)
    return _to(edge, f"schedules/{schedule_id}", "resumed")


@router.post("/p/{project_id}/schedules/{schedule_id}/run")
async def run(edge: WriteEdge, schedule_id: UUID) -> Response:
    """Start its batch at once, and lead to that."""
    batch_id = await edge.change(lambda context: schedules.run_now(context, schedule_id).id)
    return _to(edge, f"batches/{batch_id}", "batch")


@router.post("/p/{project_id}/schedules/{schedule_id}/delete")
async def delete(edge: WriteEdge, schedule_id: UUID) -> Response:
    """Delete the schedule, where the box was ticked."""
    form = await read_form(edge.request)
    if form.one("sure") != "yes":
        raise ValidationError("Tick the box beside the button to delete the schedule.", attr="sure")
    await edge.change(lambda context: schedules.remove(context, schedule_id))
    return _to(edge, "schedules", "unscheduled")


def _to(edge: WriteEdge, path: str, notice: str) -> Response:
    return RedirectResponse(f"/p/{edge.caller.project_id}/{path}?notice={notice}", 303)
