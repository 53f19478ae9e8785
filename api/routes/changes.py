"""Changes that wait under a policy: list, look, decide, take back."""

from typing import Annotated
from uuid import UUID

from fastapi import Query, Response

from api.edge.answers import Answer
from api.edge.authentication import ReadEdge, WriteEdge
from api.edge.pages import PageDep
from api.edge.routing import Router
from api.schemas.base import PageBody
from api.schemas.changes import (
    ChangeBody,
    DecisionIn,
    FullChangeBody,
    change_view,
    full_change_view,
)
from stocktake.db.pages import place_of
from stocktake.services import changes
from stocktake.services.changes import ChangeFilter
from stocktake.services.context import Context
from stocktake.states import ChangeState

router = Router(tags=["changes"])


@router.get("/changes/", response_model=PageBody[ChangeBody])
async def list_changes(
    edge: ReadEdge,
    page: PageDep,
    state: Annotated[ChangeState | None, Query(description="Changes in this state.")] = None,
    table: Annotated[UUID | None, Query(description="Changes of this table.")] = None,
) -> Response:
    """List the changes that policies did not let go live, newest first. Of each table some that
    have ended are kept."""
    wanted = ChangeFilter(state=state, table_id=table)

    def work(context: Context) -> bytes:
        count, found = changes.list_changes(context, wanted, **page.part)
        return page.body(count, found, change_view, lambda view: place_of(view.change.id))

    return await edge.show(work)


@router.get("/changes/{change_id}/", response_model=FullChangeBody)
async def get_change(edge: ReadEdge, change_id: UUID) -> Response:
    """Show one change with its parts."""
    return await edge.show(lambda context: full_change_view(changes.get_change(context, change_id)))


@router.post("/changes/{change_id}/decide/", response_model=FullChangeBody)
async def decide_change(edge: WriteEdge, change_id: UUID, body: DecisionIn) -> Response:
    """Decide parts of a change that waits; the rest goes on waiting.

    All of it goes live at once, as `applied_as_version`. 409 where a newer read has replaced the
    change, with the id of the one that waits now.
    """
    decision = body.decision()
    return await edge.write(
        lambda context: Answer(body=full_change_view(changes.decide(context, change_id, decision)))
    )


@router.post("/changes/{change_id}/undo/", response_model=FullChangeBody)
async def undo_change(edge: WriteEdge, change_id: UUID) -> Response:
    """Take the last decision of a change back: the columns are as before, and it waits again. Any
    body is ignored. 409 where the table has changed since."""
    return await edge.write(
        lambda context: Answer(body=full_change_view(changes.undo(context, change_id)))
    )
