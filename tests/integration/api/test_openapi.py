"""The description is valid and true, and nothing that it describes can be made to fail."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from api.app import create_app
from api.console import assets
from api.console import routing as console
from api.edge.routing import Router
from api.schemas import jobs
from stocktake.schema.formats import OPTIONS
from stocktake.settings import Settings

OPERATIONS: Final = {
    "cancel_batch",
    "cancel_job",
    "change_project",
    "change_schedule",
    "change_table",
    "check_file",
    "create_from_upload",
    "create_schedule",
    "create_table",
    "decide_change",
    "delete_schedule",
    "delete_table",
    "diff_schema_version",
    "get_batch",
    "get_change",
    "get_current_key",
    "get_current_user",
    "get_job",
    "get_project",
    "get_schedule",
    "get_schema_version",
    "get_table",
    "healthz",
    "list_audit_log",
    "list_keys",
    "list_changes",
    "list_jobs",
    "list_projects",
    "list_schedules",
    "list_schema_versions",
    "list_tables",
    "metrics",
    "put_table",
    "readyz",
    "refresh_schema",
    "refresh_tables",
    "retry_job",
    "run_schedule",
    "schema",
    "stream_events",
    "stream_job_events",
    "undo_change",
    "update_schema",
    "upload_file",
    "upload_table",
}
UNKNOWN: Final = "00000000-0000-7000-8000-000000000000"
#: What a hostile or broken client sends.
BODIES: Final = {
    "nothing": b"",
    "half an object": b'{"name": ',
    "a list": b"[]",
    "a text": b'"x"',
    "a number": b"1",
    "null": b"null",
    "an empty object": b"{}",
    "too deep": b"[" * 100_000,
    "a deep object": b'{"options":' * 1000 + b"1" + b"}" * 1000,
    "a long integer": b'{"name": ' + b"9" * 5000 + b"}",
    "a surrogate": rb'{"name": "\ud800", "selector": {"all": true}, "cron": "\udfff"}',
    "a null character": rb'{"name": "a\u0000b", "format": "CSV\u0000", "updates": {"\u0000": "x"}}',
    "NaN": b'{"name": NaN, "options": {"a": NaN}, "jitter_seconds": NaN}',
    "infinity": b'{"jitter_seconds": 1e999, "stale_for_seconds": -1e999, "options": {"a": 1e999}}',
    "no UTF-8": b'{"name": "\xff"}',
    "wrong types": b'{"name": {}, "format": 1, "url_pattern": [], "credential": "x", '
    b'"options": 1, "deleted": "maybe", "updates": [], "tables": {}, "cron": 1, "paused": "x", '
    b'"timezone": [], "selector": "x", "upload_id": 1, "filename": {}, "file_format": 1}',
    "wrong values": b'{"name": "", "format": "Excel", "url_pattern": "", "credential": {}, '
    b'"updates": {"": ""}, "tables": ["x"], "cron": "* * *", "timezone": "Mars", '
    b'"selector": {}, "upload_id": "x", "filename": "", "file_format": "x", "all": 7}',
    "huge values": b'{"name": "'
    + b"n" * 100_000
    + b'", "format": "CSV", "url_pattern": "https://'
    + b"h" * 100_000
    + b'", "jitter_seconds": 1e308, "stale_for_seconds": 1e308}',
    "duplicate keys": b'{"name": "a", "name": {"b": 1}}',
}


@pytest.fixture(scope="module")
def description() -> dict[str, Any]:
    return dict(create_app(Settings()).openapi())


def _operations(description: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def test_the_description_is_valid_openapi(description: dict[str, Any]) -> None:
    validate(description)


def test_every_option_that_is_looked_at_is_described(description: dict[str, Any]) -> None:
    schemas = description["components"]["schemas"]
    assert schemas["TableOptions"]["properties"].keys() == OPTIONS.keys()
    for body in ("NewTable", "TableChange", "TableBody"):
        options = schemas[body]["properties"]["options"]
        assert options["$ref"] == "#/components/schemas/TableOptions"


def test_the_description_says_where_a_key_is_and_what_the_second_prefix_is(
    description: dict[str, Any],
) -> None:
    for word in ("Authorize", "stocktake keys create", "/api/environments/"):
        assert word in description["info"]["description"]


def test_the_document_of_the_api_has_each_route_and_no_other(description: dict[str, Any]) -> None:
    page = (Path(__file__).parents[3] / "docs" / "http-api.md").read_text()
    below = "/api/projects/{project_id}/"
    told = {
        (method.lower(), path if path.startswith("/") else below + path)
        for method, path in re.findall(r"^\| ([A-Z]+) `([^`]+)` \| \S", page, re.MULTILINE)
    }
    known = {(method, path) for path, method, _ in _operations(description) if method != "head"}
    assert told == known


def test_the_server_answers_with_it(anonymous: httpx.Client, description: dict[str, Any]) -> None:
    for path in ("/api/schema/", "/api/schema"):
        assert anonymous.get(path).json()["paths"].keys() == description["paths"].keys()


def test_item_15_each_operation_is_described_once_and_keeps_its_id(
    description: dict[str, Any],
) -> None:
    """Generated clients call their functions by it: none of these may go or change."""
    ids = [operation["operationId"] for _, _, operation in _operations(description)]
    assert len(ids) == len(set(ids))
    assert not OPERATIONS - set(ids)
    assert not [path for path in description["paths"] if "environments" in path]


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_both_prefixes_offer_the_same(client: httpx.Client, description: dict[str, Any]) -> None:
    """None is unknown under the older one: another method at least is told so there."""
    for path in description["paths"]:
        older = path.replace("/api/projects/{", "/api/environments/{")
        url = str(client.base_url.copy_with(path=_fill(older, _project(client))))
        assert client.request("TRACE", url).status_code == 405, older


def test_item_15_it_says_where_the_server_is(description: dict[str, Any]) -> None:
    assert [server["url"] for server in description["servers"]] == ["/"]


def test_item_15_every_model_is_used_and_none_is_the_frameworks(
    description: dict[str, Any],
) -> None:
    told = json.dumps(description)
    for name in description["components"]["schemas"]:
        assert f'"#/components/schemas/{name}"' in told, name
    assert "HTTPValidationError" not in told


def test_item_15_nothing_that_is_known_is_described_as_any_object(
    description: dict[str, Any],
) -> None:
    schemas = description["components"]["schemas"]
    typed = {
        "JobBody": ("kind", "state", "progress", "result"),
        "FullVersionBody": ("diff", "change"),
        "VersionDiffBody": ("diff", "change"),
        "BatchBody": ("selector", "state"),
        "ScheduleBody": ("selector",),
        "TableBody": ("format", "options"),
        "NewTable": ("format", "options", "credential"),
        "RefreshResult": ("change", "diff", "coverage"),
    }
    results = {name for name in vars(jobs) if name.endswith("Result")}
    assert results
    assert results <= schemas.keys()
    for model, fields in typed.items():
        for field in fields:
            assert "$ref" in json.dumps(schemas[model]["properties"][field]), (model, field)
    for model, field in (
        ("ColumnBody", "type"),
        ("VersionColumnBody", "type"),
        ("UploadBody", "file_format"),
        ("TableBody", "user_access_level"),
        ("ErrorBody", "type"),
    ):
        assert schemas[model]["properties"][field]["enum"], (model, field)
    assert schemas["SelectorIn"]["additionalProperties"] is False


def test_item_15_no_required_field_of_a_request_may_be_null(description: dict[str, Any]) -> None:
    schemas = description["components"]["schemas"]
    for model in ("NewTable", "UploadedTable", "ScheduleIn"):
        for field in schemas[model]["required"]:
            assert "null" not in json.dumps(schemas[model]["properties"][field]), (model, field)


def test_item_15_what_is_sent_and_what_is_answered_have_examples_that_hold(
    description: dict[str, Any],
) -> None:
    schemas = description["components"]["schemas"]
    bodies = {
        media["schema"]["$ref"].rpartition("/")[2]
        for _, _, operation in _operations(description)
        for media in operation.get("requestBody", {}).get("content", {}).values()
        if "$ref" in media["schema"]
    }
    assert len(bodies) >= 6
    for name in bodies | {"JobBody", "FullJobBody", "TableBody", "BatchBody", "ErrorBody"}:
        assert schemas[name]["examples"], name
        for example in schemas[name]["examples"]:
            whole = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": schemas}}
            Draft202012Validator(whole).validate(example)


def test_every_route_says_how_it_refuses(description: dict[str, Any]) -> None:
    """That it refuses so, and with these headers, is held by `tests/fuzz/test_api.py`."""
    for path, method, operation in _operations(description):
        refusals = {"400", "408", "431", "503"}
        if "{project_id}" in path:
            assert operation["security"] == [{"HTTPBearer": []}], path
            refusals |= {"401", "403", "404", "429"}
            refusals |= set() if method == "get" else {"409", "413", "422"}
        assert refusals <= operation["responses"].keys(), path
        assert "Retry-After" in operation["responses"]["503"]["headers"], path


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_another_method_is_told_all_that_the_path_takes(client: httpx.Client) -> None:
    """The framework alone names those of the first route with the path."""
    for path, takes in (
        ("schedules/", "GET, HEAD, OPTIONS, POST"),
        (f"schedules/{UNKNOWN}/", "DELETE, GET, HEAD, OPTIONS, PATCH"),
    ):
        answer = client.put(path)
        assert (answer.status_code, answer.headers["Allow"]) == (405, takes)


def test_every_route_parses_json_strictly() -> None:
    app = create_app(Settings())
    routers = [route.original_router for route in app.router.routes if _is_included(route)]
    assert len(routers) >= 4
    # The console takes forms only, and its files nothing.
    others = [router for router in routers if not isinstance(router, Router | console.Router)]
    assert others == [assets.router]


def _is_included(route: Any) -> bool:
    return hasattr(route, "original_router")


@pytest.mark.parametrize("name", BODIES)
def test_no_body_ends_in_a_500(
    client: httpx.Client, description: dict[str, Any], name: str
) -> None:
    for path, method, _ in _operations(description):
        if method == "get" or "/projects/{project_id}/" not in path:
            continue
        url = str(client.base_url.copy_with(path=_fill(path, _project(client))))
        for headers in ({"Content-Type": "application/json"}, {}):
            answer = client.request(method, url, content=BODIES[name], headers=headers)
            assert answer.status_code < 500, (method, path, answer.text)
            if answer.status_code >= 400:
                assert {"type", "code", "detail", "attr"} <= answer.json().keys(), path


def _project(client: httpx.Client) -> int:
    return int(client.base_url.path.split("/")[3])


def _fill(path: str, project_id: int) -> str:
    filled = path.replace("{project_id}", str(project_id)).replace("{number}", "1")
    while "{" in filled:
        start, end = filled.index("{"), filled.index("}")
        filled = filled[:start] + UNKNOWN + filled[end + 1 :]
    return filled


@pytest.mark.parametrize("key", ["\ud800", "\x00"])
def test_text_that_no_database_stores_is_refused_with_its_field(
    client: httpx.Client, key: str
) -> None:
    escaped = f"\\u{ord(key):04x}"
    body = f'{{"name": "{escaped}", "format": "CSV", "url_pattern": "x"}}'
    answer = client.post(
        "warehouse_tables/", content=body, headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, answer.json()["attr"]) == (400, "name")


def test_a_body_that_is_no_json_is_told_where(client: httpx.Client) -> None:
    answer = client.post("warehouse_tables/", content=b'{"name": }')
    assert (answer.status_code, answer.json()["code"]) == (400, "parse_error")
    assert "line 1, column 10" in answer.json()["detail"]
