"""The audit log of a project: read only, newest first."""

from typing import Annotated
from uuid import UUID

from fastapi import Query, Response

from api.edge.authentication import AuditEdge
from api.edge.pages import PageDep
from api.edge.routing import Router
from api.schemas.audit import AuditEntryBody
from api.schemas.base import PageBody
from stocktake.db.pages import place_of
from stocktake.services import audit
from stocktake.services.audit import EntryFilter
from stocktake.services.context import Context

router = Router(tags=["audit"])

Action = Annotated[
    str | None,
    Query(pattern=r"^[a-z_.]{1,64}$", description="Such as `table.create` or `refused`."),
]
Subject = Annotated[UUID | None, Query(description="The id of what was changed.")]


@router.get("/audit_log/", response_model=PageBody[AuditEntryBody])
async def list_audit_log(
    edge: AuditEdge, page: PageDep, action: Action = None, subject: Subject = None
) -> Response:
    """List who did what in the project, and what was refused, newest first."""

    def work(context: Context) -> bytes:
        wanted = EntryFilter(project_id=context.caller.project_id, action=action, subject=subject)
        count, found = audit.page(context.session, wanted, **page.part)
        return page.body(
            count, found, AuditEntryBody.model_validate, lambda entry: place_of(entry.id)
        )

    return await edge.show(work)
