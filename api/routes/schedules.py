"""Schedules: cron rules that start bulk refreshes."""

from typing import Annotated
from uuid import UUID

from fastapi import Query, Response

from api.edge.answers import Answer
from api.edge.authentication import ReadEdge, WriteEdge
from api.edge.pages import PageDep
from api.edge.routing import Router
from api.routes.batches import accepted
from api.schemas.base import PageBody
from api.schemas.batches import (
    BatchBody,
    ScheduleBody,
    ScheduleChange,
    ScheduleIn,
    UpcomingBody,
)
from stocktake.db.pages import place_of
from stocktake.services import schedules
from stocktake.services.context import Context

router = Router(tags=["schedules"])

_view = ScheduleBody.model_validate


@router.get("/schedules/", response_model=PageBody[ScheduleBody])
async def list_schedules(edge: ReadEdge, page: PageDep) -> Response:
    """List the project's schedules, newest first."""

    def work(context: Context) -> bytes:
        found = schedules.page(context, **page.part)
        return page.body(
            found.count, found.schedules, _view, lambda schedule: place_of(schedule.id)
        )

    return await edge.show(work)


@router.post("/schedules/", status_code=201, response_model=ScheduleBody)
async def create_schedule(edge: WriteEdge, schedule: ScheduleIn) -> Response:
    """Add a schedule."""
    return await edge.write(
        lambda context: Answer(
            status=201, body=_view(schedules.create(context, schedule.as_sent()))
        )
    )


@router.get("/schedules/{schedule_id}/", response_model=ScheduleBody)
async def get_schedule(edge: ReadEdge, schedule_id: UUID) -> Response:
    """Show a schedule, with its last and next fire."""
    return await edge.show(lambda context: _view(schedules.get(context, schedule_id)))


@router.get("/schedules/{schedule_id}/upcoming/", response_model=UpcomingBody)
async def upcoming_fires(
    edge: ReadEdge,
    schedule_id: UUID,
    count: Annotated[int, Query(ge=1, le=50, description="How many times.")] = 5,
) -> Response:
    """Show when a schedule fires next, and how many tables it means."""
    return await edge.show(
        lambda context: UpcomingBody.model_validate(
            schedules.upcoming(context, schedule_id, count=count)
        )
    )


@router.patch("/schedules/{schedule_id}/", response_model=ScheduleBody)
async def change_schedule(edge: WriteEdge, schedule_id: UUID, change: ScheduleChange) -> Response:
    """Change any of its fields; a new rule or zone plans the next fire anew."""
    return await edge.write(
        lambda context: Answer(body=_view(schedules.change(context, schedule_id, change.as_sent())))
    )


@router.delete("/schedules/{schedule_id}/", status_code=204)
async def delete_schedule(edge: WriteEdge, schedule_id: UUID) -> Response:
    """Delete a schedule. The bulk refreshes that it started stay."""

    def work(context: Context) -> Answer:
        schedules.remove(context, schedule_id)
        return Answer(status=204)

    return await edge.write(work)


@router.post("/schedules/{schedule_id}/run/", status_code=202, response_model=BatchBody)
async def run_schedule(edge: WriteEdge, schedule_id: UUID) -> Response:
    """Start the schedule's bulk refresh at once, paused or not."""
    return await edge.write(lambda it: accepted(it, schedules.run_now(it, schedule_id)))
