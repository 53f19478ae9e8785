"""The requests that come most often, past the framework: a submit, and the look at a job or table.

To match routes, to solve dependencies and to authenticate in a transaction of its own is half of
what such a request costs. Here the same functions are called as the framework would call them; a
request with anything unusual about it goes the framework's way, and so does every refusal that is
known before the work begins.
"""

import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from uuid import UUID

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from api.edge.authentication import InProject, _in_project, begin_request
from api.edge.edge import Edge, Parts
from api.errors import handler_of
from api.wire.strict_json import MAX_JSON_BYTES
from stocktake.errors import NotAuthenticatedError, RequestError
from stocktake.services.context import Caller

Endpoint: TypeAlias = Callable[[Edge, UUID], Awaitable[Response]]

_UUID: Final = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_OF_BODIES: Final = (b"content-length", b"transfer-encoding")
_BEARER: Final = re.compile(rb"Bearer (stk_[a-z0-9]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class _HotRoute:
    route: APIRoute
    path: re.Pattern[str]
    id_name: str
    endpoint: Endpoint
    scope: str


def hot_routes(routes: Sequence[Any], endpoints: Sequence[Endpoint]) -> Iterator[_HotRoute]:
    """Yield those of a router's routes whose functions these are."""
    for route in routes:
        if isinstance(route, APIRoute) and route.endpoint in endpoints:
            [id_name] = re.findall(r"{(\w+)}", route.path)
            path = re.escape(route.path).replace(re.escape(f"{{{id_name}}}"), f"({_UUID})")
            [access] = (
                each.call
                for each in route.dependant.dependencies
                if isinstance(each.call, InProject)
            )
            yield _HotRoute(
                route=route,
                path=re.compile(rf"/api/(?:projects|environments)/([0-9]{{1,9}}){path}"),
                id_name=id_name,
                endpoint=route.endpoint,
                scope=access.scope,
            )


class HotRoutes:
    """The middleware; what it does not take it hands on.

    Args:
        routes: of `hot_routes`.
    """

    def __init__(self, app: ASGIApp, routes: Sequence[_HotRoute]) -> None:
        self._app = app
        self._by_method: dict[str, list[_HotRoute]] = {}
        for each in routes:
            for method in each.route.methods or ():
                self._by_method.setdefault(method, []).append(each)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        hot = self._hot(scope) if scope["type"] == "http" else None
        if hot is None:
            await self._app(scope, receive, send)
            return
        route, project_id, row_id = hot
        parts: Parts = scope["app"].state.parts
        plaintext = _plaintext(scope)
        caller = plaintext and _recalled(parts, plaintext, project_id, route.scope)
        if not plaintext or not caller:
            await self._app(scope, receive, send)
            return
        scope["route"] = route.route
        scope["path_params"] = {"project_id": project_id, route.id_name: row_id}
        request = Request(scope, receive, send)
        try:
            begin_request(request, parts, caller)
            edge = Edge(request, parts, caller, route.scope, recalled=True)
            response = await route.endpoint(edge, UUID(row_id))
        except Exception as exc:
            if isinstance(exc, NotAuthenticatedError):
                parts.keys.forget(plaintext)
            if (handler := handler_of(exc)) is None:
                raise
            response = await handler(request, exc)
        await response(scope, receive, send)

    def _hot(self, scope: Scope) -> tuple[_HotRoute, str, str] | None:
        if scope["query_string"]:
            return None
        for route in self._by_method.get(scope["method"], ()):
            if (found := route.path.fullmatch(scope["path"])) is not None:
                return route, found[1], found[2]
        return None


def _plaintext(scope: Scope) -> str | None:
    """Return the key of a request whose body, if it has one, is within its limit."""
    key = None
    for name, value in scope["headers"]:
        if name == b"authorization":
            key = _BEARER.fullmatch(value)
        elif name in _OF_BODIES and not _is_small(value):
            return None
    return key and key[1].decode("ascii")


def _is_small(length: bytes) -> bool:
    return length.isdigit() and int(length) <= MAX_JSON_BYTES


def _recalled(parts: Parts, plaintext: str, project_id: str, scope: str) -> Caller | None:
    """Return a remembered caller that may do this: refusals are the framework's way's to make."""
    caller = parts.keys.recall(plaintext)
    try:
        return caller and _in_project(caller, project_id, scope)
    except RequestError:
        return None
