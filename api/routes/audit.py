"""The audit log of a project: read only, newest first."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from fastapi.responses import JSONResponse

from api.dependencies import AuditEdge, PageDep, Router
from api.schemas.audit import AuditEntryBody
from api.schemas.base import PageBody
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
) -> JSONResponse:
    """Who did what in the project, and what was refused, newest first."""

    def work(context: Context) -> dict[str, Any]:
        wanted = EntryFilter(project_id=context.caller.project_id, action=action, subject=subject)
        count, found = audit.page(context.session, wanted, limit=page.limit, offset=page.offset)
        return page.body(
            count, [AuditEntryBody.model_validate(each).model_dump(mode="json") for each in found]
        )

    return JSONResponse(await edge.read(work))
