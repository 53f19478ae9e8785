"""The OpenAPI description, put right where the framework knows less than we do."""

from collections.abc import Iterator
from typing import Any, Final

from fastapi import FastAPI

from api.schemas.base import ErrorBody
from api.schemas.batches import BatchBody
from api.schemas.jobs import FullJobBody, JobBody
from api.schemas.tables import TableBody

#: The first paragraph of `/docs`.
ABOUT: Final = """\
Keeps the schemas of Delta, Iceberg, Parquet, ORC, Arrow, Avro, CSV, JSON and Excel tables in object
storage true. Register a table, have its schema read again with `refresh_schema`, and follow the job
that the answer names.

Every request needs an API key, as `Authorization: Bearer KEY`: press **Authorize** and paste it.
`stocktake up` keeps one in its data directory (`.stocktake/api_key`); `stocktake keys create`
makes more. `@current` stands for the project of a key that has just one.

A key has a number of requests that may wait at once (200 by default). One more that asks with
`Prefer: wait=N` or `?wait=N` is answered at once, with the job as it is; an event stream is 429.

HEAD answers wherever GET does, and OPTIONS with the methods that a path takes.

Everything under `/api/projects/` also answers under `/api/environments/`, the same tables and the
same operations, for clients that were written for the older paths of PostHog.
"""

_IDEMPOTENCY_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key and body get the first answer again for 24 hours.",
    "schema": {"type": "string", "pattern": "^[ -~]{1,255}$"},
}
_PREFER: Final = {
    "name": "Prefer",
    "in": "header",
    "required": False,
    "description": "`wait=N`: hold the answer until the job has ended, N seconds at most.",
    "schema": {"type": "string", "examples": ["wait=20"]},
}
#: What a request may be refused with. Written here and not on the routes, where each one costs a
#: pydantic schema at start-up: they were three quarters of it.
_REFUSALS: Final = {
    "400": "The request is not valid.",
    "408": "The request came too slowly.",
    "431": "The request's head is too large.",
    "503": "The service is busy or restarting.",
}
_KEYED: Final = {
    "401": "No API key, or one that does not hold.",
    "403": "The API key does not allow this, or the project has as much as it may have.",
    "404": "No such thing in this project.",
    "429": "Too many requests.",
}
_WRITES: Final = {
    "409": "The thing is in a state that does not allow this.",
    "413": "The body is too large.",
    "422": "The Idempotency-Key was used with another request.",
}
_REFUSAL_REF: Final = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorBody"}}}


def _header(description: str, *, required: bool = True, **schema: Any) -> dict[str, Any]:
    return {
        "description": description,
        "required": required,
        "schema": {"type": "string"} | schema,
    }


_RETRY_AFTER: Final = _header("Seconds until it is worth while to ask again.", type="integer")
_ETAG: Final = _header("Of this state of the job, for If-None-Match.")
#: What answers of a status carry, whatever the route.
_HEADERS: Final = {
    "202": {"Location": _header("The path of the job or batch."), "Retry-After": _RETRY_AFTER},
    "304": {"ETag": _ETAG},
    "401": {"WWW-Authenticate": _header("`Bearer`.")},
    "429": {"Retry-After": _RETRY_AFTER},
    "503": {"Retry-After": _RETRY_AFTER},
}


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the description of this app's routes, made once."""
    if app.openapi_schema is None:
        app.openapi_schema = _corrected(FastAPI.openapi(app))
    return app.openapi_schema


def _corrected(schema: dict[str, Any]) -> dict[str, Any]:
    models = schema["components"]["schemas"]
    models["ErrorBody"] = ErrorBody.model_json_schema()
    for model in (JobBody, FullJobBody, TableBody, BatchBody):
        # The framework leaves out each null, of examples too.
        models[model.__name__]["examples"] = model.model_json_schema()["examples"]
    for path, method, operation in _operations(schema):
        if method == "post" and path.startswith("/api/"):
            operation.setdefault("parameters", []).extend([_IDEMPOTENCY_KEY, _PREFER])
        _add_refusals(operation, reads=method == "get")
        for status, headers in _HEADERS.items():
            if response := operation["responses"].get(status):
                response["headers"] = headers
        for response in operation["responses"].values():
            for media in response.get("content", {}).values():
                # OpenAPI 3.2's, inside a document that says 3.1.
                media.pop("itemSchema", None)
    _drop_unused(schema)
    return schema


def _drop_unused(schema: dict[str, Any]) -> None:
    """Leave out the models that no operation names, such as the framework's own refusals."""
    models, used = schema["components"]["schemas"], set[str]()
    found = _named(schema["paths"])
    while found:
        used |= found
        found = set().union(*(_named(models[name]) for name in found)) - used
    schema["components"]["schemas"] = {name: models[name] for name in models if name in used}


def _named(part: Any) -> set[str]:
    if isinstance(part, dict):
        named = {part["$ref"].rpartition("/")[2]} if isinstance(part.get("$ref"), str) else set()
        return named.union(*map(_named, part.values()))
    return set().union(*map(_named, part)) if isinstance(part, list) else set()


def _add_refusals(operation: dict[str, Any], *, reads: bool) -> None:
    keyed = bool(operation.get("security"))
    # The framework's own shape of a 422 is never sent.
    operation["responses"].pop("422", None)
    refusals = _REFUSALS | (_KEYED if keyed else {}) | (_WRITES if keyed and not reads else {})
    for status, description in refusals.items():
        if status not in operation["responses"]:
            operation["responses"][status] = {"description": description, "content": _REFUSAL_REF}


def _operations(schema: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation
