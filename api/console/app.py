"""Puts the console into the web process."""

from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Final

from fastapi import APIRouter, FastAPI, Request, Response
from starlette.exceptions import HTTPException

from api.console.forms import MAX_FORM_BYTES
from api.console.pages import PAGES
from api.console.refusals import error_page
from api.console.session import Threads
from api.errors import Handler, handler_of
from stocktake.errors import NotFoundError

#: Answers that a program reads, whoever asks: they stay JSON.
_OF_PROGRAMS: Final = ("/api/", "/docs", "/healthz", "/readyz", "/metrics")


def install(app: FastAPI) -> None:
    """Have the app show the console, too."""
    app.state.console_threads = Threads.of_a_process()
    for name in ("assets", "stream", *(f"pages.{page}" for page in PAGES)):
        router: APIRouter = import_module(f"api.console.{name}").router
        app.include_router(router, include_in_schema=False, max_body_size=MAX_FORM_BYTES)
    plain = handler_of(HTTPException(404))
    assert plain is not None  # noqa: S101 - `api.errors` has one
    app.add_exception_handler(HTTPException, _for_people(plain))


def _for_people(plain: Handler) -> Callable[[Request, Exception], Awaitable[Response]]:
    """Return what answers a person who asks for a page that there is not with a page, and all
    others as before."""

    async def answer(request: Request, error: Exception) -> Response:
        wants_page = "text/html" in request.headers.get("accept", "")
        is_missing = isinstance(error, HTTPException) and error.status_code == 404
        if is_missing and wants_page and not request.url.path.startswith(_OF_PROGRAMS):
            return await error_page(request, NotFoundError())
        return await plain(request, error)

    return answer
