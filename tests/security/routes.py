"""Every route of the API, and who may ask it: a new one has to say, or the walks fail."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from fastapi import FastAPI

from stocktake.security.scopes import AUDIT_READ, TABLE_READ, TABLE_READ_ROWS, TABLE_WRITE

#: Asked without a key, and why.
OPEN: Final = {
    "GET /healthz": "says that the process lives, for whoever restarts it",
    "GET /readyz": "says whether requests can be taken, for load balancers",
    "GET /api/schema/": "describes the API, which is public",
    "GET /": "leads to the description",
    "GET /docs": "the same for people",
    "GET /docs/start.js": "a script of it",
    "GET /docs/{name}": "its other files, from a list",
}
#: With a secret that is no API key.
OWN_TOKEN: Final = {"GET /metrics"}
#: With a key, about the key: they name no project.
ACCOUNT: Final = {
    "GET /api/projects/",
    "GET /api/users/@me/",
    "GET /api/personal_api_keys/@current/",
}
PREFIXES: Final = ("/api/projects/{project_id}/", "/api/environments/{project_id}/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A route under a project.

    Attributes:
        scope: what a key needs.
        body: JSON that names nothing outside the project, and that the route takes or refuses
            for what it says; None is none.
        names: what its body or query names of the project's: see `asking` in `test_tenants`.
    """

    scope: str
    body: Any = None
    names: str = ""


_READ, _WRITE = Rule(scope=TABLE_READ), Rule(scope=TABLE_WRITE)
_SCHEDULE: Final = {"name": "nightly", "cron": "0 3 * * *", "selector": {"all": True}}
_TABLE: Final = {
    "name": "walked",
    "format": "CSV",
    "url_pattern": "https://bucket.s3.amazonaws.com/walked.csv",
    "options": {"public": True},
}
_UPLOADED: Final = {"filename": "a.csv", "file_format": "csv", "table_name": "walked"}

#: Below a project, under both prefixes.
PROJECT: Final = {
    "GET ": _READ,
    "PATCH ": Rule(scope=TABLE_WRITE, body={"change_policy": "manual"}),
    "GET audit_log/": Rule(scope=AUDIT_READ),
    "GET jobs/": Rule(scope=TABLE_READ, names="filters"),
    "GET jobs/{job_id}/": _READ,
    "GET jobs/{job_id}/events/": _READ,
    "GET events/": _READ,
    "POST jobs/{job_id}/cancel/": _WRITE,
    "POST jobs/{job_id}/retry/": _WRITE,
    "POST warehouse_tables/file/": _WRITE,
    "POST warehouse_tables/upload_file/": _WRITE,
    "POST warehouse_tables/create_from_upload/": Rule(
        scope=TABLE_WRITE, body=_UPLOADED, names="upload_id"
    ),
    "POST warehouse_tables/check/": Rule(scope=TABLE_WRITE, body={}, names="table"),
    "POST warehouse_tables/refresh/": Rule(scope=TABLE_WRITE, body={}, names="tables"),
    "GET batches/{batch_id}/": _READ,
    "POST batches/{batch_id}/cancel/": _WRITE,
    "GET schedules/": _READ,
    "POST schedules/": Rule(scope=TABLE_WRITE, body=_SCHEDULE, names="selector"),
    "GET schedules/{schedule_id}/": _READ,
    "GET schedules/{schedule_id}/upcoming/": _READ,
    "PATCH schedules/{schedule_id}/": Rule(scope=TABLE_WRITE, body={"name": "stolen"}),
    "DELETE schedules/{schedule_id}/": _WRITE,
    "POST schedules/{schedule_id}/run/": _WRITE,
    "GET changes/": Rule(scope=TABLE_READ, names="filters"),
    "GET changes/{change_id}/": _READ,
    "POST changes/{change_id}/decide/": Rule(scope=TABLE_WRITE, body={"accept": "all"}),
    "POST changes/{change_id}/undo/": _WRITE,
    "GET warehouse_tables/": _READ,
    "POST warehouse_tables/": Rule(scope=TABLE_WRITE, body=_TABLE),
    "GET warehouse_tables/{table_id}/": _READ,
    "PATCH warehouse_tables/{table_id}/": Rule(scope=TABLE_WRITE, body={"name": "stolen"}),
    "PUT warehouse_tables/{table_id}/": Rule(scope=TABLE_WRITE, body={"name": "stolen"}),
    "DELETE warehouse_tables/{table_id}/": _WRITE,
    "POST warehouse_tables/{table_id}/refresh_schema/": _WRITE,
    "GET warehouse_tables/{table_id}/schema/": _READ,
    "POST warehouse_tables/{table_id}/maintain/": _WRITE,
    "POST warehouse_tables/{table_id}/restore/": _WRITE,
    "POST warehouse_tables/{table_id}/preview/": Rule(scope=TABLE_READ_ROWS),
    "POST warehouse_tables/{table_id}/check/": _WRITE,
    "POST warehouse_tables/{table_id}/update_schema/": Rule(
        scope=TABLE_WRITE, body={"updates": {"id": "float"}}
    ),
    "GET warehouse_tables/{table_id}/schema_versions/": _READ,
    "GET warehouse_tables/{table_id}/schema_versions/{number}/": _READ,
    "GET warehouse_tables/{table_id}/schema_versions/{number}/diff/": _READ,
}


def routes_of(app: FastAPI) -> set[str]:
    """Each route as `GET /path`, those outside of the description as well."""
    return {
        f"{method} {path}"
        for path, methods in _paths(app.router.routes, "")
        for method in methods
        if method != "HEAD"
    }


def _paths(routes: Any, prefix: str) -> Iterator[tuple[str, set[str]]]:
    for route in routes:
        if (inner := getattr(route, "original_router", None)) is not None:
            yield from _paths(inner.routes, prefix + route.include_context.prefix)
        else:
            # A mounted app has no methods: all of it is one route.
            yield prefix + route.path, getattr(route, "methods", None) or {"MOUNT"}
