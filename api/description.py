"""The OpenAPI description, put right where the framework knows less than we do."""

from collections.abc import Iterator
from typing import Any, Final

from fastapi import FastAPI

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


def describe(app: FastAPI) -> dict[str, Any]:
    """The description of this app's routes, made once."""
    if app.openapi_schema is None:
        app.openapi_schema = _corrected(FastAPI.openapi(app))
    return app.openapi_schema


def _corrected(schema: dict[str, Any]) -> dict[str, Any]:
    for path, method, operation in _operations(schema):
        if method == "post" and path.startswith("/api/"):
            operation.setdefault("parameters", []).extend([_IDEMPOTENCY_KEY, _PREFER])
        for response in operation["responses"].values():
            for media in response.get("content", {}).values():
                # OpenAPI 3.2's, inside a document that says 3.1.
                media.pop("itemSchema", None)
    return schema


def _operations(schema: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation
