"""Who asks, for which project, and whether the key may."""

import re
from dataclasses import dataclass, replace
from typing import Annotated, Final

from anyio import to_thread
from fastapi import Depends, Path, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.edge.edge import Edge, Parts, PartsDep, _require_scope
from api.edge.query_names import require_known
from stocktake.errors import (
    NotAuthenticatedError,
    NotFoundError,
    RequestError,
    ValidationError,
)
from stocktake.security.scopes import AUDIT_READ, TABLE_READ, TABLE_READ_ROWS, TABLE_WRITE
from stocktake.services import identity
from stocktake.services.context import Caller

#: Project ids are PostgreSQL integers.
_PROJECT_ID: Final = re.compile(r"[0-9]{1,9}", re.ASCII)


_bearer = HTTPBearer(auto_error=False, description="An API key, `stk_…`.")


def _plaintext(credentials: HTTPAuthorizationCredentials | None) -> str:
    if credentials is None or not credentials.credentials:
        raise NotAuthenticatedError("Authentication credentials were not provided.")
    return credentials.credentials


Bearer = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


ProjectId = Annotated[
    str, Path(description="The project's id, or `@current` where the key belongs to one.")
]


async def account_edge(request: Request, parts: PartsDep, credentials: Bearer) -> Edge:
    """Return the edge of a request that names no project: its caller's project is 0."""
    caller = getattr(request.state, "caller", None)  # known already where a body was read
    if caller is None:
        caller = await authenticated(request, parts, _plaintext(credentials))
    return Edge(request, parts, caller)


async def authenticated(request: Request, parts: Parts, plaintext: str) -> Caller:
    """Return whose key this is, and count the request.

    Raises:
        NotAuthenticatedError: nobody's.
        ThrottledError: a request too many of the key, or of wrong keys from this address.
    """

    def look_up() -> Caller:
        with parts.process.database.read() as session:
            return identity.authenticate(session, plaintext)

    try:
        caller = await to_thread.run_sync(look_up)
    except NotAuthenticatedError:
        # It raises a 429 in the refusal's place where there were too many.
        parts.limits.count_failure(request.client.host if request.client else "unknown")
        raise
    parts.keys.remember(plaintext, caller)
    begin_request(request, parts, caller)
    return caller


def begin_request(request: Request, parts: Parts, caller: Caller) -> None:
    """Count a request of a known key, until its answer is sent.

    Raises:
        ThrottledError: one too many.
    """
    # For the line in the log, which would mask it as a key with the letters that all begin with.
    request.state.key_prefix = (caller.key_prefix or "").removeprefix("stk_") or None
    if caller.key_id is not None:
        parts.limits.count_request(caller.key_id)
        request.state.until_sent.enter_context(parts.limits.under_way(caller.key_id))
        parts.afterwards.used(caller.key_id)


AccountEdge = Annotated[Edge, Depends(account_edge)]


@dataclass(frozen=True, slots=True)
class InProject:
    """A dependency that gives the edge of a request to a project, with a key of this scope."""

    scope: str

    async def __call__(self, edge: AccountEdge, project_id: ProjectId) -> Edge:
        """Admit the caller, as FastAPI asks: after the body, so `admit` is asked before where there
        is one.
        """
        return self.admit(edge, project_id)

    def admit(self, edge: Edge, project_id: str) -> Edge:
        """Return the edge of the project.

        Raises:
            RequestError: the key lacks the scope, or knows no such project; or the query has a
                name that must not be passed over.
        """
        try:
            caller = _in_project(edge.caller, project_id, self.scope)
        except RequestError as refusal:
            edge.parts.afterwards.refused(edge.caller, self.scope, refusal.code)
            raise
        require_known(edge.request)
        return Edge(edge.request, edge.parts, caller, self.scope)


def _in_project(caller: Caller, project_id: str, scope: str) -> Caller:
    caller = replace(caller, project_id=_project(caller, project_id))
    _require_scope(caller, scope)
    return caller


def _project(caller: Caller, text: str) -> int:
    bound = caller.project_ids
    if text == "@current":
        if len(bound) != 1:
            raise ValidationError(
                "@current needs an API key that belongs to exactly one project.",
                attr="project_id",
            )
        return bound[0]
    if not _PROJECT_ID.fullmatch(text):
        raise NotFoundError
    # Not asked whether it exists: another tenant's is like one that does not.
    if int(text) not in bound:
        raise NotFoundError
    return int(text)


ReadEdge = Annotated[Edge, Depends(InProject(TABLE_READ))]


AuditEdge = Annotated[Edge, Depends(InProject(AUDIT_READ))]


RowsEdge = Annotated[Edge, Depends(InProject(TABLE_READ_ROWS))]


WriteEdge = Annotated[Edge, Depends(InProject(TABLE_WRITE))]
