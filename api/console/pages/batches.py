"""What was done to many tables at once: the list, one of them, and what failed once more."""

from collections.abc import Mapping
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Query, Response
from fastapi.responses import RedirectResponse

from api.console import commands
from api.console.rendering import show
from api.console.routing import Router
from api.console.selectors import told
from api.console.session import ReadEdge, WriteEdge
from stocktake.services import batch_failures, batch_lists, batches
from stocktake.services.batch_lists import BatchFilter
from stocktake.services.batches import BatchState, BatchView
from stocktake.services.context import Context
from stocktake.states import BatchAction, JobState

router = Router()

_LISTED: Final = 40
#: The parts of the bar of a batch, from its left.
_BAR: Final = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)
_WIDTH: Final = 720
Offset = Annotated[int, Query(ge=0, le=10**9)]


@router.get("/p/{project_id}/batches")
async def list_batches(
    edge: ReadEdge,
    state: str = "",
    action: str = "",
    schedule: UUID | None = None,
    offset: Offset = 0,
) -> Response:
    """List the batches that the chips ask for, newest first."""
    wanted = BatchFilter(
        state=BatchState(state) if state in tuple(BatchState) else None,
        action=BatchAction(action) if action in tuple(BatchAction) else None,
        schedule_id=schedule,
    )

    asked = {"state": wanted.state, "action": wanted.action}

    def work(context: Context) -> Mapping[str, Any]:
        count, found = batch_lists.list_batches(context, wanted, limit=_LISTED, offset=offset)
        return {
            "batches": [(each, told(each.selector)) for each in found],
            "undone": any(
                each.state in (BatchState.EXPANDING, BatchState.RUNNING) for each in found
            ),
            "count": count,
            "offset": offset,
            "limit": _LISTED,
            "wanted": wanted,
            "api": commands.path("batches/", asked | {"schedule": schedule}),
            "command": commands.command("stocktake batches list", asked),
            "filtered": wanted != BatchFilter(),
            "states": [each.value for each in BatchState],
            "actions": [each.value for each in BatchAction],
        }

    return await show(edge, "batches.html", work)


@router.get("/p/{project_id}/batches/{batch_id}")
async def show_batch(edge: ReadEdge, batch_id: UUID) -> Response:
    """Show how far one batch is, and what failed."""

    def work(context: Context) -> Mapping[str, Any]:
        batch = batches.get(context, batch_id)
        failed = batch.counts[JobState.FAILED]
        return {
            "batch": batch,
            "selector": told(batch.selector),
            "failures": batch_failures.by_code(context, batch_id) if failed else (),
            "bar": _bar(batch),
            "width": _WIDTH,
        }

    return await show(edge, "batch.html", work)


def _bar(batch: BatchView) -> list[tuple[str, float, float]]:
    """Return the parts of the bar: the state, where it begins and how wide it is."""
    parts, begin = [], 0.0
    for state in _BAR:
        width = round(_WIDTH * batch.counts[state] / (batch.total or 1), 1)
        if width:
            parts.append((state.value, begin, width))
        begin += width
    return parts


@router.post("/p/{project_id}/batches/{batch_id}/cancel")
async def cancel(edge: WriteEdge, batch_id: UUID) -> Response:
    """End what waits of a batch, and ask what runs to stop."""
    await edge.change(lambda context: batches.cancel(context, batch_id).id)
    return _to(edge, batch_id, "cancelled")


@router.post("/p/{project_id}/batches/{batch_id}/retry")
async def retry(edge: WriteEdge, batch_id: UUID) -> Response:
    """Start a batch of the tables that failed, and lead to it."""
    new_id = await edge.change(lambda context: batch_failures.refresh_again(context, batch_id).id)
    return _to(edge, new_id, "batch")


def _to(edge: WriteEdge, batch_id: UUID, notice: str) -> Response:
    url = f"/p/{edge.caller.project_id}/batches/{batch_id}?notice={notice}"
    return RedirectResponse(url, 303)
