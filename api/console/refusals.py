"""Refusals and faults, as pages; the status and the sentence of each are `api.errors`' own."""

import json
from typing import Any, Final

import structlog
from fastapi import Request, Response

from api.console.rendering import Frame, render
from api.errors import body_of, handler_of
from stocktake.errors import NotAuthenticatedError

_TITLES: Final = {
    400: "That does not work",
    401: "Sign in",
    403: "Your key may not do this",
    404: "There is nothing here",
    405: "That does not work",
    409: "It is not as it was",
    413: "That is too large",
    422: "That does not work",
    429: "Too many requests",
    503: "Busy, or restarting",
}
_PASSED_ON: Final = ("retry-after", "allow")

log = structlog.get_logger(__name__)


async def error_page(request: Request, error: Exception) -> Response:
    """Return the page that tells of an error, with the status that the API would answer."""
    status, told, headers = await _told(request, error)
    edge = getattr(request.state, "console_edge", None)
    if isinstance(error, NotAuthenticatedError):
        return _sign_in(request, status, told)
    values = {
        "status": status,
        "title": _TITLES.get(status, "Something broke on our side"),
        "detail": told["detail"],
        "code": told["code"],
        "retry_after": headers.get("retry-after"),
    }
    response = render("error.html", Frame(request, edge), values, status)
    response.headers.update({name: headers[name] for name in _PASSED_ON if name in headers})
    return response


async def _told(request: Request, error: Exception) -> tuple[int, dict[str, Any], Any]:
    handler = handler_of(error)
    if handler is None:
        log.error("console_failed", exc_info=error)
        return 500, body_of("server_error", "error", "A server error occurred."), {}
    answer = await handler(request, error)
    return answer.status_code, json.loads(bytes(answer.body) or b"{}"), answer.headers


def _sign_in(request: Request, status: int, told: dict[str, Any]) -> Response:
    """Ask who it is, at the address that was asked for, and go on there."""
    came_from_afar = request.headers.get("sec-fetch-site") == "cross-site"
    if request.method == "GET" and came_from_afar and not request.cookies:
        # A link on another site: browsers send a strict cookie only to what our own page asks.
        return render("again.html", Frame(request, None), {}, 200)
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    values = {"next": here if request.method == "GET" else "/", "detail": told["detail"]}
    return render("sign_in.html", Frame(request, None), values, status)
