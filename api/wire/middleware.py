"""What every request passes through: request id, access log, headers, HEAD, slashes."""

import asyncio
import re
import time
from collections.abc import Callable, MutableMapping
from contextlib import AsyncExitStack
from typing import Any, Final
from uuid import uuid4

import structlog
from anyio import CancelScope
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import SECURITY_HEADERS, answer_for, too_large, unavailable

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)

#: Characters of a path in the log.
_SHOWN_PATH: Final = 200

#: Called after each request with method, route, status and seconds.
Observer = Callable[[str, str, int, float], None]

log = structlog.get_logger(__name__)


class SlashMiddleware:
    """Answers every path with and without the trailing slash, without a redirect.

    The routes under ``/api/`` are declared with it and all others without.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on the request with the path as it is declared."""
        if scope["type"] == "http":
            scope = dict(scope) | {"path": _declared(scope["path"])}
        await self._app(scope, receive, send)


def _declared(path: str) -> str:
    if path.startswith("/api/"):
        return path if path.endswith("/") else f"{path}/"
    return path.rstrip("/") or "/"


class HeadMiddleware:
    """Answers HEAD as it would GET, without the body (RFC 9110, 9.3.2)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on the request as a GET; a stream ends before its first event."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.body":
                more = message.get("more_body", False)
                message = {"type": "http.response.body", "body": b""}
                await send(message)
                if more:
                    rest.cancel()
                return
            await send(message)

        scope["method"] = "GET"  # in place: whoever logs the request looks for its route here
        with CancelScope() as rest:
            await self._app(scope, receive, send_head)


class TooLargeMiddleware:
    """Gives our form to the framework's answer to a Content-Length beyond a route's limit.

    It answers before any exception handler could, in plain text.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on the request, and watch for a plain 413."""
        replaced = False

        async def send_in_form(message: Message) -> None:
            nonlocal replaced
            if message["type"] == "http.response.start" and _is_plain_413(message):
                replaced = True
                await answer_for(too_large())(scope, receive, send)
            elif not replaced:
                await send(message)

        await self._app(scope, receive, send_in_form)


def _is_plain_413(message: Message) -> bool:
    content_type = Headers(raw=message["headers"]).get("content-type", "")
    return message["status"] == 413 and content_type.startswith("text/plain")


class RequestMiddleware:
    """Gives each request an id, logs and measures it, and sets the headers of every answer.

    What a request has until its client has taken the answer, or has gone, it enters into the
    state's `until_sent`.

    Args:
        observe: told of each request at its end, for the metrics.
    """

    def __init__(self, app: ASGIApp, observe: Observer) -> None:
        self._app = app
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        until_sent = AsyncExitStack()
        scope.setdefault("state", {}).update(request_id=request_id, until_sent=until_sent)
        started, status, method = time.perf_counter(), 500, scope["method"]
        begun = False

        async def send_with_headers(message: Message) -> None:
            nonlocal status, begun
            if message["type"] == "http.response.start":
                status, begun = message["status"], True
                _set_headers(message, request_id)
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                async with until_sent:
                    await self._app(scope, receive, send_with_headers)
            except asyncio.CancelledError:
                # The process stops, and has given the request all the time that it may. Whether it
                # was done or not, its client asks again with the same key.
                if begun:
                    raise
                await unavailable()(scope, receive, send_with_headers)
            finally:
                self._note(scope, method, status, time.perf_counter() - started)

    def _note(self, scope: Scope, method: str, status: int, seconds: float) -> None:
        route = route_of(scope)
        self._observe(method, route, status, seconds)
        state, found = scope.get("state", {}), scope.get("path_params") or {}
        log.info(
            "request",
            method=method,
            route=route,
            # Without its query, which may hold anything.
            path=scope["path"][:_SHOWN_PATH],
            project=found.get("project_id"),
            key=state.get("key_prefix"),
            status=status,
            milliseconds=round(seconds * 1000, 1),
        )


def route_of(scope: MutableMapping[str, Any]) -> str:
    """Return the path template that served a request, or ``none``: few values, none of a
    client's."""
    return getattr(scope.get("route"), "path", None) or "none"


def _request_id(scope: Scope) -> str:
    for name, value in scope.get("headers", ()):
        if name == b"x-request-id":
            given = value.decode("latin-1")
            return given if _REQUEST_ID.fullmatch(given) else uuid4().hex
    return uuid4().hex


def _set_headers(message: Message, request_id: str) -> None:
    # As bytes, and not by Starlette's dictionary, which would look through all for each.
    headers = [each for each in message["headers"] if each[0] != b"x-request-id"]
    present = {name for name, _ in headers}
    headers.append((b"x-request-id", request_id.encode("ascii")))
    message["headers"] = headers + [each for each in _SECURITY if each[0] not in present]


_SECURITY: Final = [
    (name.lower().encode("ascii"), value.encode("ascii"))
    for name, value in SECURITY_HEADERS.items()
]
