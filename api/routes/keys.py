"""The keys of a project: read only; they are made and revoked by the operator's commands."""

from fastapi import Response

from api.edge.authentication import AuditEdge
from api.edge.pages import PageDep
from api.edge.routing import Router
from api.schemas.base import PageBody
from api.schemas.identity import ProjectKeyBody, project_key_view
from stocktake.db.pages import place_of
from stocktake.services import identity
from stocktake.services.context import Context

router = Router(tags=["identity"])


@router.get("/keys/", response_model=PageBody[ProjectKeyBody])
async def list_keys(edge: AuditEdge, page: PageDep) -> Response:
    """List the keys that were made for the project, newest first, those that hold no more too."""

    def work(context: Context) -> bytes:
        count, found = identity.keys_of_project(context, **page.part)
        return page.body(count, found, project_key_view, lambda key: place_of(key.id))

    return await edge.show(work)
