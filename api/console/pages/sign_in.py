"""Signing in with an API key, and out."""

from typing import Any, Final

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from api.console.forms import SMALL_BYTES, read_form
from api.console.rendering import Frame, render
from api.console.routing import Router
from api.console.session import COOKIE, keep, own_parts, seal
from api.edge.authentication import authenticated
from stocktake.errors import CredentialUnavailableError, NotAuthenticatedError, RequestError
from stocktake.services import identity

router = Router()

#: Of a form that anybody may send.
_MAX_FIELDS: Final = 8


@router.get("/sign-in")
async def sign_in_page(request: Request) -> Response:
    """Show the form; an install without a key shows how to make one."""
    return await _form(request, {"next": "/", "detail": ""}, 200)


async def _form(request: Request, values: dict[str, Any], status: int) -> Response:
    return render("sign_in.html", Frame(request, None), values, status)


@router.post("/sign-in")
async def sign_in(request: Request) -> Response:
    """Look the key up, and have the browser keep a sealed name of it."""
    form = await read_form(request, most_bytes=SMALL_BYTES, most_fields=_MAX_FIELDS)
    parts = own_parts(request)
    target = _inside(form.one("next"))
    try:
        caller = await authenticated(request, parts, form.one("key"))
        if caller.key_id is None:
            raise identity.invalid_key()
        value = seal(parts.process.keyring, caller.key_id)
    except NotAuthenticatedError:
        told = "This key does not hold: it is not known here, was revoked, or has expired."
        return await _form(request, {"next": target, "detail": told}, 401)
    except CredentialUnavailableError as error:
        raise RequestError(f"{error} {error.hint}") from error
    response = RedirectResponse(target, 303)
    keep(request, response, value)
    return response


def _inside(target: str) -> str:
    """Return where to go on: a path of this server, and of no other."""
    if not target.startswith("/") or target.startswith(("//", "/\\")) or not target.isprintable():
        return "/"
    return target


@router.post("/sign-out")
async def sign_out(request: Request) -> Response:
    """Have the browser forget."""
    response = RedirectResponse("/sign-in", 303)
    if COOKIE in request.cookies:
        keep(request, response, "")
    return response
