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
    "GET /": "asks who it is, or leads to a project of who has signed in",
    "GET /sign-in": "asks for a key",
    "POST /sign-in": "takes it, and counts the wrong ones",
    "POST /sign-out": "has a browser forget its session",
    "GET /console/{name:path}": "the console's styles and scripts, from a list",
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
#: Of the console, below a project: with a session, which no bearer token is, so that the walks get
#: a 401 of each; `tests/integration/api/console/test_rights.py` walks them with one.
CONSOLE: Final = {
    "GET /p/{project_id}",
    "GET /p/{project_id}/changes",
    "GET /p/{project_id}/changes/{change_id}",
    "GET /p/{project_id}/tables",
    "GET /p/{project_id}/tables/{table_id}",
    "GET /p/{project_id}/tables/{table_id}/data",
    "GET /p/{project_id}/tables/{table_id}/files",
    "GET /p/{project_id}/tables/{table_id}/history",
    "GET /p/{project_id}/tables/{table_id}/jobs",
    "GET /p/{project_id}/tables/{table_id}/source",
    "GET /p/{project_id}/add",
    "POST /p/{project_id}/add",
    "POST /p/{project_id}/add/try",
    "POST /p/{project_id}/add/upload",
    "GET /p/{project_id}/batches",
    "GET /p/{project_id}/batches/{batch_id}",
    "POST /p/{project_id}/batches/{batch_id}/cancel",
    "POST /p/{project_id}/batches/{batch_id}/retry",
    "GET /p/{project_id}/events",
    "GET /p/{project_id}/health",
    "GET /p/{project_id}/health/workers",
    "GET /p/{project_id}/settings",
    "GET /p/{project_id}/settings/audit",
    "GET /p/{project_id}/settings/keys",
    "POST /p/{project_id}/settings",
    "GET /p/{project_id}/schedules",
    "GET /p/{project_id}/schedules/new",
    "GET /p/{project_id}/schedules/{schedule_id}",
    "GET /p/{project_id}/schedules/{schedule_id}/edit",
    "POST /p/{project_id}/schedules/new",
    "POST /p/{project_id}/schedules/{schedule_id}/delete",
    "POST /p/{project_id}/schedules/{schedule_id}/edit",
    "POST /p/{project_id}/schedules/{schedule_id}/pause",
    "POST /p/{project_id}/schedules/{schedule_id}/resume",
    "POST /p/{project_id}/schedules/{schedule_id}/run",
    "GET /p/{project_id}/jobs",
    "GET /p/{project_id}/jobs/{job_id}",
    "GET /p/{project_id}/jobs/{job_id}/raw",
    "POST /p/{project_id}/jobs/{job_id}/cancel",
    "POST /p/{project_id}/jobs/{job_id}/retry",
    "POST /p/{project_id}/changes/{change_id}/decide",
    "POST /p/{project_id}/changes/{change_id}/undo",
    "POST /p/{project_id}/tables/do",
    "POST /p/{project_id}/tables/{table_id}/check",
    "POST /p/{project_id}/tables/{table_id}/data",
    "POST /p/{project_id}/tables/{table_id}/delete",
    "POST /p/{project_id}/tables/{table_id}/go-back",
    "POST /p/{project_id}/tables/{table_id}/plan",
    "POST /p/{project_id}/tables/{table_id}/policy",
    "POST /p/{project_id}/tables/{table_id}/refresh",
    "POST /p/{project_id}/tables/{table_id}/type",
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
    "GET keys/": Rule(scope=AUDIT_READ),
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
    "GET batches/": Rule(scope=TABLE_READ, names="filters"),
    "POST batches/": Rule(
        scope=TABLE_WRITE, body={"action": "refresh", "selector": {"all": True}}, names="selector"
    ),
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
    "GET warehouse_tables/counts/": _READ,
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
