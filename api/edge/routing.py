"""Routes that look at key, project and what their path names before they read a body."""

from functools import partial
from typing import Any, Final
from uuid import UUID

from anyio import CapacityLimiter
from fastapi import APIRouter, Request

from api.edge.authentication import InProject, _bearer, _plaintext, authenticated
from api.edge.edge import Edge, parts_of
from api.wire.strict_json import StrictRoute
from stocktake.db.models import Schedule, SchemaChange, Table
from stocktake.errors import (
    NotFoundError,
)
from stocktake.services.context import Context

#: What paths name, whose bodies are not read where the project has no such thing.
_NAMED: Final[dict[str, type[Table | Schedule | SchemaChange]]] = {
    "table_id": Table,
    "schedule_id": Schedule,
    "change_id": SchemaChange,
}


class _KeyedRoute(StrictRoute):
    async def admit(self, request: Request) -> CapacityLimiter:
        parts, plaintext = parts_of(request), _plaintext(await _bearer(request))
        edge = Edge(request, parts, await authenticated(request, parts, plaintext))
        request.state.caller = edge.caller
        for dependency in self.dependant.dependencies:
            if isinstance(dependency.call, InProject):
                edge = dependency.call.admit(edge, request.path_params["project_id"])
                await _require_named(edge)
        return parts.parsing


async def _require_named(edge: Edge) -> None:
    """Raise NotFoundError where the path names what the project does not have.

    An answer that is kept under an Idempotency-Key outlives the thing that it was about.
    """
    if "idempotency-key" in edge.request.headers:
        return
    for name, text in edge.request.path_params.items():
        if name in _NAMED:
            await edge.read(partial(Context.require, model=_NAMED[name], row_id=_row_id(text)))


def _row_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as exc:
        raise NotFoundError from exc


class Router(APIRouter):
    """A router that reads bodies of known keys only, and strictly. All our routers are of it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(route_class=_KeyedRoute, **kwargs)
