"""Batches: start one, list them, look at one, cancel it."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import Depends, Query, Response

from api.edge.answers import Answer
from api.edge.authentication import ReadEdge, WriteEdge
from api.edge.pages import PageDep
from api.edge.routing import Router
from api.schemas.base import PageBody
from api.schemas.batches import BatchBody, BatchIn, ListedBatchBody, SelectorIn
from stocktake.db.pages import place_of
from stocktake.services import batch_lists, batches
from stocktake.services.batch_lists import BatchFilter
from stocktake.services.batches import BatchState, BatchView
from stocktake.services.context import Context
from stocktake.states import BatchAction

router = Router(tags=["batches"])

#: Seconds until a look at an unfinished batch is worth while.
RETRY_AFTER: Final = "1"


def accepted(context: Context, batch: BatchView) -> Answer:
    """Return the 202 of a batch: the batch, and where to look for it."""
    return Answer(
        status=202,
        body=BatchBody.model_validate(batch),
        headers={
            "Location": f"/api/projects/{context.caller.project_id}/batches/{batch.id}/",
            "Retry-After": RETRY_AFTER,
        },
    )


@router.post("/warehouse_tables/refresh/", status_code=202, response_model=BatchBody)
async def refresh_tables(
    edge: WriteEdge,
    selector: SelectorIn,
    dry_run: Annotated[
        bool, Query(description="Say what would change (`plan_refresh`), and store nothing.")
    ] = False,
) -> Response:
    """Refresh many tables under one id. Sourced tables are skipped."""
    return await edge.write(
        lambda context: accepted(
            context, batches.create(context, selector.as_sent(), dry_run=dry_run)
        )
    )


@router.post("/batches/", status_code=202, response_model=BatchBody)
async def create_batch(edge: WriteEdge, body: BatchIn) -> Response:
    """Refresh, delete, or set the policy of changes of all tables that a selector names, under one
    id. Sourced tables are neither refreshed nor deleted. What is deleted are the tables of now that
    the selector still names when their turn comes."""
    policy = {"change_policy": body.change_policy}
    arguments = policy if body.action is BatchAction.POLICY else None

    def work(context: Context) -> Answer:
        selector = body.selector.as_sent()
        made = batches.create(
            context, selector, action=body.action, arguments=arguments, attr="selector"
        )
        return accepted(context, made)

    return await edge.write(work)


def _wanted(
    action: BatchAction | None = None,
    state: BatchState | None = None,
    schedule: Annotated[UUID | None, Query(description="Those that a schedule started.")] = None,
    dry_run: bool | None = None,
) -> BatchFilter:
    return BatchFilter(action=action, state=state, schedule_id=schedule, dry_run=dry_run)


@router.get("/batches/", response_model=PageBody[ListedBatchBody])
async def list_batches(
    edge: ReadEdge, page: PageDep, wanted: Annotated[BatchFilter, Depends(_wanted)]
) -> Response:
    """List what was done to many tables, newest first, without the counters."""

    def work(context: Context) -> bytes:
        count, found = batch_lists.list_batches(context, wanted, **page.part)
        show = ListedBatchBody.model_validate
        return page.body(count, found, show, lambda batch: place_of(batch.id))

    return await edge.show(work)


@router.get("/batches/{batch_id}/", response_model=BatchBody)
async def get_batch(edge: ReadEdge, batch_id: UUID) -> Response:
    """Show a batch: its jobs by state, the share that has ended, and the first errors."""

    def work(context: Context) -> Answer:
        batch = batches.get(context, batch_id)
        headers = {} if batch.done else {"Retry-After": RETRY_AFTER}
        return Answer(body=BatchBody.model_validate(batch), headers=headers)

    return await edge.show(work)


@router.post("/batches/{batch_id}/cancel/", status_code=202, response_model=BatchBody)
async def cancel_batch(edge: WriteEdge, batch_id: UUID) -> Response:
    """End the batch's queued jobs, and ask its running ones to stop."""
    return await edge.write(lambda context: accepted(context, batches.cancel(context, batch_id)))
