"""Bulk refreshes: start one, look at it, cancel it."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import Query, Response

from api.edge.answers import Answer
from api.edge.authentication import ReadEdge, WriteEdge
from api.edge.routing import Router
from api.schemas.batches import BatchBody, SelectorIn
from stocktake.services import batches
from stocktake.services.batches import BatchView
from stocktake.services.context import Context

router = Router(tags=["batches"])

#: Seconds until a look at an unfinished batch is worth while.
RETRY_AFTER: Final = "1"


def accepted(context: Context, batch: BatchView) -> Answer:
    """Return the 202 of a bulk refresh: the batch, and where to look for it."""
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


@router.get("/batches/{batch_id}/", response_model=BatchBody)
async def get_batch(edge: ReadEdge, batch_id: UUID) -> Response:
    """Show a bulk refresh: its jobs by state, the share that has ended, and the first errors."""

    def work(context: Context) -> Answer:
        batch = batches.get(context, batch_id)
        headers = {} if batch.done else {"Retry-After": RETRY_AFTER}
        return Answer(body=BatchBody.model_validate(batch), headers=headers)

    return await edge.show(work)


@router.post("/batches/{batch_id}/cancel/", status_code=202, response_model=BatchBody)
async def cancel_batch(edge: WriteEdge, batch_id: UUID) -> Response:
    """End the batch's queued jobs, and ask its running ones to stop."""
    return await edge.write(lambda context: accepted(context, batches.cancel(context, batch_id)))
