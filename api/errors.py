"""Domain errors, and what the framework and the database raise, as status and body: one table."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts
from sqlalchemy.exc import InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from api.schemas.base import UNKNOWN_KEY
from stocktake import errors

#: What a client should wait before it tries again while the database is away.
UNAVAILABLE_SECONDS: Final = 2
#: On every answer; a page that needs more sets its own policy.
SECURITY_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
}

_STATUSES: Final = MappingProxyType(
    {
        errors.ValidationError: (400, "validation_error"),
        errors.NotAuthenticatedError: (401, "authentication_error"),
        errors.PermissionDeniedError: (403, "authentication_error"),
        errors.QuotaExceededError: (403, "invalid_request"),
        errors.NotFoundError: (404, "invalid_request"),
        errors.ConflictError: (409, "invalid_request"),
        errors.PayloadTooLargeError: (413, "invalid_request"),
        errors.UnprocessableError: (422, "invalid_request"),
        errors.ThrottledError: (429, "throttled_error"),
    }
)

#: Pydantic's error types, as code and sentence of Django REST Framework, whose clients we serve.
_RULES: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "missing": ("required", "This field is required."),
        "string_too_long": (
            "max_length",
            "Ensure this field has no more than {max_length} characters.",
        ),
        "string_too_short": ("blank", "This field may not be blank."),
        "string_type": ("invalid_input", "Not a valid string."),
        "bool_type": ("invalid_input", "Must be a valid boolean."),
        "bool_parsing": ("invalid_input", "Must be a valid boolean."),
        "int_type": ("invalid_input", "A valid integer is required."),
        "int_parsing": ("invalid_input", "A valid integer is required."),
        "int_from_float": ("invalid_input", "A valid integer is required."),
        "int_parsing_size": ("invalid_input", "The integer has too many digits."),
        "uuid_parsing": ("invalid_input", "Must be a valid UUID."),
        "uuid_type": ("invalid_input", "Must be a valid UUID."),
        "list_type": ("not_a_list", "Expected a list of items."),
        "json_invalid": ("parse_error", "JSON parse error: {error}."),
        "extra_forbidden": ("invalid_input", "This field is not known here."),
    }
)
_OBJECT_TYPES: Final = frozenset({"dict_type", "model_type", "model_attributes_type"})
_WANTED: Final = "Send a JSON object, with Content-Type: application/json."
#: Parts of a pydantic location that name a branch of a union, not a field.
_BRANCH: Final = re.compile(r"[a-z-]+\[.*\]|[A-Z]\w+|str|int|float|bool|none|dict|list|uuid")

log = structlog.get_logger(__name__)


def body_of(
    type_: str,
    code: str,
    detail: str,
    attr: str | None = None,
    *,
    legacy_message: bool = False,
    hint: str = "",
) -> dict[str, Any]:
    """Return the body of a refusal; both of PostHog's shapes where it sends ``{"message"}``."""
    body: dict[str, Any] = {"type": type_, "code": code, "detail": detail, "attr": attr}
    body |= {"hint": hint} if hint else {}
    return body | {"message": detail} if legacy_message else body


def answer_for(error: errors.RequestError) -> JSONResponse:
    """Return the answer to a refused request."""
    status, body = refusal_of(error)
    return JSONResponse(body, status, headers=_headers(error))


def refusal_of(error: errors.RequestError) -> tuple[int, dict[str, Any]]:
    """Return its status, and its body."""
    status, type_ = next(
        (known for kind, known in _STATUSES.items() if isinstance(error, kind)),
        (400, "invalid_request"),
    )
    return status, body_of(
        type_,
        error.code,
        error.detail,
        error.attr,
        legacy_message=error.legacy_message,
        hint=error.hint,
    )


def _headers(error: errors.RequestError) -> dict[str, str]:
    if isinstance(error, errors.ThrottledError):
        return {"Retry-After": str(error.retry_after_seconds)}
    if isinstance(error, errors.NotAuthenticatedError):
        return {"WWW-Authenticate": 'Bearer realm="api"'}
    return {}


def too_large() -> errors.PayloadTooLargeError:
    """Return the refusal of a body beyond the limit of its route."""
    return errors.PayloadTooLargeError("The request's body is too large.")


def unavailable() -> JSONResponse:
    """Return the answer while the database is away or has no connection to spare."""
    body = body_of(
        "server_error", "service_unavailable", "The service is busy or restarting. Try again soon."
    )
    return JSONResponse(body, 503, headers={"Retry-After": str(UNAVAILABLE_SECONDS)})


def validation_error(problems: Sequence[Any]) -> errors.RequestError:
    """Return the first of pydantic's problems as our error; a path that does not parse is a 404."""
    first = problems[0]
    place = tuple(first["loc"])
    if place[:1] == ("path",):
        return errors.NotFoundError()
    code, detail = _sentence(first)
    fields = () if first["type"] == "json_invalid" else _fields(place)
    if first["type"] == UNKNOWN_KEY:
        fields = (*fields, first["ctx"]["key"])
    return errors.ValidationError(detail, code=code, attr="__".join(fields) or None)


def _fields(place: tuple[Any, ...]) -> tuple[str, ...]:
    return tuple(str(part) for part in place[1:] if not _is_branch(part))


def _is_branch(part: Any) -> bool:
    return isinstance(part, str) and _BRANCH.fullmatch(part) is not None


def _sentence(problem: Any) -> tuple[str, str]:
    kind = problem["type"]
    # Before the rules: pydantic names the type that it missed, and Django REST Framework says that
    # it was null.
    if kind != "missing" and problem.get("input", ...) is None:
        return "null", "This field may not be null."
    if kind == "missing" and tuple(problem["loc"]) == ("body",):
        return "required", f"The request has no body. {_WANTED}"
    if kind in _OBJECT_TYPES:
        if isinstance(problem.get("input"), bytes):  # of another content type
            return "invalid_input", f"Invalid data. {_WANTED}"
        got = type(problem.get("input")).__name__
        return "invalid_input", f"Invalid data. Expected a dictionary, but got {got}."
    if kind in _RULES:
        code, sentence = _RULES[kind]
        return code, sentence.format_map(problem.get("ctx") or {})
    # A value error of our own: pydantic puts "Value error, " before its sentence.
    return "invalid_input", str(problem["msg"]).removeprefix("Value error, ")


async def _request_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, errors.RequestError)  # noqa: S101 - registered for this class
    return answer_for(error)


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class
    return answer_for(validation_error(error.errors()))


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class
    if isinstance(error.__cause__, errors.RequestError):
        # Ours, raised while the framework read a body, and wrapped by it.
        return answer_for(error.__cause__)
    if error.status_code == 405 and request.method == "OPTIONS":
        return Response(status_code=204, headers={"Allow": _methods(request)})
    if error.status_code == 413:
        return answer_for(too_large())
    type_, code, detail = {
        400: ("validation_error", "parse_error", "The request's body could not be parsed."),
        404: ("invalid_request", "not_found", "Not found."),
        405: ("invalid_request", "method_not_allowed", f'Method "{request.method}" not allowed.'),
    }.get(error.status_code, ("invalid_request", "error", str(error.detail)))
    headers = {"Allow": _methods(request)} if error.status_code == 405 else error.headers
    return JSONResponse(body_of(type_, code, detail), error.status_code, headers=headers)


def _methods(request: Request) -> str:
    """Return all that the path takes; the framework names the methods of its first route alone."""
    path = request.scope["path"]
    routes = iter_route_contexts(request.app.routes)
    takes = (route.methods for route in routes if route.methods and route.path_regex.match(path))
    methods = {"OPTIONS"}.union(*takes)
    return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))


async def _database_away(_: Request, error: Exception) -> JSONResponse:
    log.warning("database_unavailable", reason=type(error).__name__)
    return unavailable()


async def _client_gone(_: Request, __: Exception) -> JSONResponse:
    """Answer for the log and the figures; the client has hung up before its body was complete."""
    return answer_for(
        errors.ValidationError(
            "The connection closed before the request was complete.", code="parse_error"
        )
    )


async def _internal(request: Request, _: Exception) -> JSONResponse:
    # Outside of our middleware, so the headers that it adds elsewhere are set here.
    body = body_of("server_error", "error", "A server error occurred.")
    request_id = request.scope.get("state", {}).get("request_id", "")
    return JSONResponse(body, 500, headers=SECURITY_HEADERS | {"X-Request-ID": request_id})


Handler: TypeAlias = Callable[[Request, Exception], Awaitable[Response]]
_HANDLERS: Final[Mapping[type[Exception], Handler]] = MappingProxyType(
    {
        errors.RequestError: _request_error,
        RequestValidationError: _invalid,
        HTTPException: _http_error,
        OperationalError: _database_away,
        InterfaceError: _database_away,
        # Also PostgreSQL's word for a transaction that it ended for standing still.
        InternalError: _database_away,
        PoolTimeoutError: _database_away,
        ClientDisconnect: _client_gone,
    }
)


def handler_of(error: Exception) -> Handler | None:
    """Return what answers for an exception; None where it is a fault of ours."""
    return next((_HANDLERS[kind] for kind in type(error).__mro__ if kind in _HANDLERS), None)


def register(app: FastAPI) -> None:
    """Have the app answer by this module's table."""
    for kind, handler in _HANDLERS.items():
        app.add_exception_handler(kind, handler)
    app.add_exception_handler(Exception, _internal)
