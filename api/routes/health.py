"""Liveness, readiness, metrics, and the description of the API."""

import asyncio
import hmac
import re
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

import swagger_ui_bundle  # type: ignore[import-untyped]  # ships no types
from fastapi import Request, Response
from fastapi.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
)
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import SecretStr

from api.edge.authentication import Bearer
from api.edge.edge import Parts, PartsDep
from api.edge.routing import Router
from stocktake.errors import NotAuthenticatedError, NotFoundError
from stocktake.monitoring import readiness
from stocktake.monitoring.readiness import Readiness
from stocktake.monitoring.workers import Workers

router = Router(tags=["service"])

#: Balancers wait for some seconds only, and take silence for a dead process.
_READY_SECONDS: Final = 4.0
#: Twice what the question takes where all is well.
_WORKERS_SECONDS: Final = 1.0
_SWAGGER: Final = Path(swagger_ui_bundle.swagger_ui_path)
_ASSETS: Final = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}
_DOCS_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Stocktake API</title>
<link rel="icon" href="/docs/favicon-32x32.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
# The bundled Swagger UI shows OpenAPI 3.1 well enough, but refuses its version number.
_START: Final = """fetch("/api/schema/")
  .then((response) => response.json())
  .then((spec) => SwaggerUIBundle({
    spec: { ...spec, openapi: "3.0.3" },
    dom_id: "#swagger-ui",
    persistAuthorization: false,
  }));
"""


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Say whether the process is alive; asks nothing else."""
    return {"status": "ok"}


@router.get(
    "/readyz", responses={503: {"description": "Not ready: `checks` says where, `reasons` why."}}
)
async def readyz(parts: PartsDep) -> JSONResponse:
    """Say whether requests can be taken and will be worked on, and which part is at fault:
    database, clock, broker or worker. Jobs are accepted without the last three, and wait for them:
    a load balancer should ask `/healthz`.
    """
    found = await look(parts)
    body = found.as_dict() | {"doorbell": _doorbell(parts)}
    return JSONResponse(body, 200 if found.ready else 503, headers=_retry(found.ready))


async def look(parts: Parts) -> Readiness:
    """Return how each part is; of a database that gives no answer in time, that it does not."""
    try:
        async with asyncio.timeout(_READY_SECONDS):
            return await parts.readiness()
    except TimeoutError:
        return readiness.unanswered(_READY_SECONDS)


async def look_at_workers(parts: Parts) -> Workers:
    """Return the workers that answer soon; a broker that keeps the question waiting took none."""
    try:
        async with asyncio.timeout(_WORKERS_SECONDS):
            return await parts.workers()
    except TimeoutError:
        return Workers(reached=False)


def _retry(ready: bool) -> dict[str, str]:
    return {} if ready else {"Retry-After": "2"}


def _doorbell(parts: Parts) -> dict[str, int]:
    counts = {name: getattr(parts.doorbell, name, None) for name in ("published", "dropped")}
    return {name: count for name, count in counts.items() if isinstance(count, int)}


@router.get(
    "/metrics",
    response_class=PlainTextResponse,
    # beside the token: nothing, where none is set
    openapi_extra={"security": [{}]},
)
async def metrics(request: Request, parts: PartsDep, credentials: Bearer) -> Response:
    """Give Prometheus' text: with the token from the settings; without one, on this machine
    only."""
    _require_reader(request, parts.process.settings.metrics_token, credentials)
    return Response(await parts.metrics(), media_type=CONTENT_TYPE_LATEST)


def _require_reader(request: Request, token: SecretStr | None, credentials: Bearer) -> None:
    if token is None:
        if not _is_local(request):
            raise NotAuthenticatedError(
                "The metrics are for this machine only, as STOCKTAKE_METRICS_TOKEN is not set."
            )
        return
    given = credentials.credentials if credentials is not None else ""
    if not hmac.compare_digest(
        given.encode("utf-8", "surrogatepass"), token.get_secret_value().encode()
    ):
        raise NotAuthenticatedError("The metrics need their own token as a bearer token.")


#: What proxies say of whom they ask for, under all the names that they have for it.
_FORWARDING: Final = re.compile(
    r"^via$|forwarded|original|envoy|proxy|client|connecting|real|remote|peer"
    r"|^(cf|fastly|akamai|cloudfront|x-(amz|amzn|azure|appengine|goog|arr|ms|vercel|nf))-"
)


def _is_local(request: Request) -> bool:
    if any(_FORWARDING.search(name) for name in request.headers):
        return False  # a proxy on this machine, that asks for another
    try:
        return ip_address(request.client.host if request.client else "").is_loopback
    except ValueError:
        return False


@router.get("/api/schema/")
async def schema(request: Request) -> dict[str, Any]:
    """Give this description, as OpenAPI."""
    described: dict[str, Any] = request.app.openapi()
    return described


@router.get("/docs", response_class=HTMLResponse, include_in_schema=False)
async def docs() -> HTMLResponse:
    """Show Swagger UI, from this server alone."""
    return HTMLResponse(_PAGE, headers={"Content-Security-Policy": _DOCS_POLICY})


@router.get("/docs/start.js", include_in_schema=False)
async def docs_start() -> Response:
    """Give the script that starts Swagger UI: the policy allows none inside the page."""
    return Response(_START, media_type="text/javascript")


@router.get("/docs/{name}", include_in_schema=False)
async def docs_asset(name: str) -> FileResponse:
    """Give one of Swagger UI's own files."""
    if name not in _ASSETS:
        raise NotFoundError
    return FileResponse(_SWAGGER / name, media_type=_ASSETS[name])
