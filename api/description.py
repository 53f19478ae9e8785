"""The OpenAPI description, put right where the framework knows less than we do."""

from collections.abc import Iterator
from typing import Any, Final

from fastapi import FastAPI

from api.schemas.base import ErrorBody

#: The first paragraph of `/docs`.
ABOUT: Final = """\
Keeps the schemas of Delta, Parquet, CSV and JSON tables in object storage true. Register a table,
have its schema read again with `refresh_schema`, and follow the job that the answer names.

Every request needs an API key, as `Authorization: Bearer KEY`: press **Authorize** and paste it.
`stocktake up` keeps one in its data directory (`.stocktake/api_key`); `stocktake keys create`
makes more. `@current` stands for the project of a key that has just one.

Everything under `/api/projects/` also answers under `/api/environments/`, the same tables and the
same operations, for clients that were written for the older paths of PostHog.
"""

_IDEMPOTENCY_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key and body get the first answer again for 24 hours.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
_PREFER: Final = {
    "name": "Prefer",
    "in": "header",
    "required": False,
    "description": "`wait=N`: hold the answer until the job has ended, N seconds at most.",
    "schema": {"type": "string", "examples": ["wait=20"]},
}
#: What any route under a project may refuse with. Written here and not on the routes, where each
#: one costs a pydantic schema at start-up: they were three quarters of it.
_REFUSALS: Final = {
    "400": "The request is not valid.",
    "401": "No API key, or one that does not hold.",
    "403": "The API key does not allow this, or the project has as much as it may have.",
    "404": "No such thing in this project.",
    "409": "The thing is in a state that does not allow this.",
    "413": "The body is too large.",
    "422": "The Idempotency-Key was used with another request.",
    "429": "Too many requests.",
    "503": "The service is busy or restarting.",
}
_NOT_FOR_READS: Final = frozenset({"409", "413", "422"})
_REFUSAL_REF: Final = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorBody"}}}


def describe(app: FastAPI) -> dict[str, Any]:
    """The description of this app's routes, made once."""
    if app.openapi_schema is None:
        app.openapi_schema = _corrected(FastAPI.openapi(app))
    return app.openapi_schema


def _corrected(schema: dict[str, Any]) -> dict[str, Any]:
    schema["components"]["schemas"]["ErrorBody"] = ErrorBody.model_json_schema()
    for path, method, operation in _operations(schema):
        if method == "post" and path.startswith("/api/"):
            operation.setdefault("parameters", []).extend([_IDEMPOTENCY_KEY, _PREFER])
        if operation.get("security"):
            _add_refusals(operation, reads=method == "get")
        for response in operation["responses"].values():
            for media in response.get("content", {}).values():
                # OpenAPI 3.2's, inside a document that says 3.1.
                media.pop("itemSchema", None)
    return schema


def _add_refusals(operation: dict[str, Any], *, reads: bool) -> None:
    for status, description in _REFUSALS.items():
        if not (reads and status in _NOT_FOR_READS):
            operation["responses"][status] = {
                "description": description,
                "content": _REFUSAL_REF,
            }
        else:
            # The framework's own shape of a 422, which is never sent.
            operation["responses"].pop(status, None)


def _operations(schema: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation
