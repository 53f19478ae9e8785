"""A route of the console: who may ask from where, its headers, and refusals as pages."""

from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute

from api.console.refusals import error_page
from stocktake.errors import PermissionDeniedError

_SAFE: Final = frozenset({"GET", "HEAD"})


class PageRoute(APIRoute):
    """A route that answers with pages, errors too."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return FastAPI's handler, behind a look at where the request comes from."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                if request.method not in _SAFE:
                    require_own_page(request)
                return await handler(request)
            except Exception as error:  # noqa: BLE001 - each becomes a page; faults are logged there
                return await error_page(request, error)

        return handle


def require_own_page(request: Request) -> None:
    """Refuse what another site's page sends in the name of who has signed in here.

    Browsers say where a request comes from in `Sec-Fetch-Site`, or over plain HTTP in `Origin`. One
    that says neither is none that any browser of today sends.

    Raises:
        PermissionDeniedError: it does not come from a page of ours.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        # "none": typed in, or sent again by who has reloaded the page.
        ours = site in ("same-origin", "none")
    else:
        origin = request.headers.get("origin", "")
        ours = origin.partition("://")[2] == request.headers.get("host") and "://" in origin
    if not ours:
        raise PermissionDeniedError(
            "This came from another site's page, so nothing was done. Open the console itself and "
            "try there.",
            code="cross_site",
        )


class Router(APIRouter):
    """A router of pages. All of the console's are of it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(route_class=PageRoute, **kwargs)
