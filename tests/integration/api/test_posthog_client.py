"""A client of PostHog's, talking to us: its paths, its order, and each key that it reads."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from stocktake.schema.columns import Column
from tests.integration.api.conftest import Served
from tests.integration.api.playing import read_columns, start_worker

KEYS = {"access_key": "AKIAEXAMPLE", "access_secret": "wJalrXUtnFEMI"}
URL = "https://bucket.s3.amazonaws.com/orders/*.parquet"
#: In the order of the contract: PostHog's own keys, then ours.
POSTHOG_KEYS = [
    "id",
    "deleted",
    "name",
    "hogql_name",
    "format",
    "created_by",
    "created_at",
    "created_via",
    "url_pattern",
    "credential",
    "columns",
    "external_data_source",
    "external_schema",
    "options",
    "user_access_level",
]
OUR_KEYS = [
    "row_count",
    "size_bytes",
    "file_count",
    "stored_bytes",
    "source_version",
    "schema_version",
    "warnings",
    "last_refreshed_at",
    "latest_job",
    "change_policy",
    "pending_change",
    "state",
    "error_code",
    "last_change",
    "last_changed_at",
    "has_overrides",
    "stale_after_seconds",
    "former_source",
]


class PostHogClient:
    """What PostHog's tools send, under either prefix, with or without the slash."""

    def __init__(self, http: httpx.Client, base: str, slash: str) -> None:
        self._http, self._base, self._slash = http, base, slash

    def call(self, verb: str, path: str = "", **more: Any) -> httpx.Response:
        parts = [self._base, "warehouse_tables", *filter(None, path.split("/"))]
        return self._http.request(verb, "/".join(parts) + self._slash, **more)


@pytest.fixture(params=["projects/{id}", "environments/{id}", "projects/@current"])
def base(request: pytest.FixtureRequest, project_id: int) -> str:
    return f"/api/{request.param.format(id=project_id)}"


@pytest.fixture(params=["/", ""], ids=["slash", "no slash"])
def posthog(
    request: pytest.FixtureRequest,
    connect: Callable[..., httpx.Client],
    make_key: Callable[..., str],
    base: str,
    served: Served,
) -> PostHogClient:
    start_worker(
        served,
        read_columns([Column.of("id", "Int64"), Column.of("tags", "Array(Nullable(String))")]),
    )
    return PostHogClient(connect(make_key(["*"])), base, request.param)


def test_a_tables_whole_life(posthog: PostHogClient) -> None:
    created = posthog.call(
        "POST",
        json={
            "name": "orders",
            "format": "Parquet",
            "url_pattern": URL,
            "credential": KEYS,
            "options": {"csv_allow_double_quotes": True},
        },
        headers={"Prefer": "wait=10"},
    )
    assert created.status_code == 201, created.text
    table = created.json()
    assert list(table) == POSTHOG_KEYS + OUR_KEYS
    check_table(table)
    check_reads(posthog, table)
    check_changes(posthog, table["id"])
    check_delete(posthog, table["id"])


def check_table(table: dict[str, Any]) -> None:
    assert (table["deleted"], table["name"], table["hogql_name"]) == (False, "orders", "orders")
    assert (table["format"], table["url_pattern"]) == ("Parquet", URL)
    assert (table["created_via"], table["user_access_level"]) == ("api", "editor")
    assert table["external_data_source"] is table["external_schema"] is None
    assert table["options"] == {"csv_allow_double_quotes": True}
    assert table["created_at"].endswith("Z")
    assert table["credential"]["created_by"] is None
    assert set(table["credential"]) == {"id", "created_by", "created_at"}
    assert list(table["created_by"]) == [
        "id",
        "uuid",
        "distinct_id",
        "first_name",
        "last_name",
        "email",
        "is_email_verified",
        "hedgehog_config",
        "role_at_organization",
    ]
    assert table["created_by"]["is_email_verified"] is True
    assert table["columns"] == [column("id", "integer"), column("tags", "array")]
    assert (table["row_count"], table["size_bytes"], table["source_version"]) == (7, 512, 3)
    assert table["schema_version"] == 1
    assert table["latest_job"]["state"] == "succeeded"


def column(name: str, type_: str) -> dict[str, Any]:
    return {
        "key": name,
        "name": name,
        "type": type_,
        "schema_valid": True,
        "fields": None,
        "table": None,
        "chain": None,
        "origin": None,
    }


def check_reads(posthog: PostHogClient, table: dict[str, Any]) -> None:
    page = posthog.call("GET").json()
    assert page == {"count": 1, "next": None, "previous": None, "results": [table]}
    found = posthog.call("GET", params={"search": "ORD", "limit": 100, "offset": 0})
    assert found.json()["results"] == [table]
    one = posthog.call("GET", table["id"])
    assert (one.status_code, one.json()) == (200, table)


def check_changes(posthog: PostHogClient, table_id: str) -> None:
    patched = posthog.call("PATCH", table_id, json={"name": "sales"})
    assert (patched.status_code, patched.json()["name"]) == (200, "sales")
    refreshed = posthog.call("POST", f"{table_id}/refresh_schema", json=patched.json())
    assert refreshed.status_code == 202
    assert refreshed.json()["table_id"] == table_id
    waited = posthog.call("POST", f"{table_id}/refresh_schema", headers={"Prefer": "wait=10"})
    assert (waited.status_code, waited.json()["state"]) == (200, "succeeded")
    updated = posthog.call("POST", f"{table_id}/update_schema", json={"updates": {"id": "float"}})
    assert updated.status_code == 200
    assert posthog.call("GET", table_id).json()["columns"][0] == column("id", "float")
    unknown = posthog.call("POST", f"{table_id}/update_schema", json={"updates": {"x": "float"}})
    assert (unknown.status_code, unknown.json()["message"]) == (
        400,
        "Column x does not exist on table",
    )


def check_delete(posthog: PostHogClient, table_id: str) -> None:
    assert posthog.call("DELETE", table_id).status_code == 204
    gone = posthog.call("GET", table_id)
    assert (gone.status_code, gone.json()) == (
        404,
        {"type": "invalid_request", "code": "not_found", "detail": "Not found.", "attr": None},
    )
    assert posthog.call("GET").json()["results"] == []


def test_a_file_becomes_a_table(posthog: PostHogClient) -> None:
    sent = posthog.call(
        "POST",
        "file",
        data={"name": "people", "format": "CSVWithNames"},
        files={"file": ("people.csv", b"id,tags\n1,a\n")},
    )
    assert sent.status_code == 201, sent.text
    assert list(sent.json()) == [*POSTHOG_KEYS, *OUR_KEYS, "job_id"]
    table = posthog.call("GET", sent.json()["id"]).json()
    assert [each["key"] for each in table["columns"]] == ["id", "tags"]
    missing = posthog.call("POST", "file", data={"name": "people"})
    assert (missing.status_code, missing.json()["message"]) == (400, "No file provided")


def test_two_steps_make_a_table(posthog: PostHogClient) -> None:
    stored = posthog.call("POST", "upload_file", files={"file": ("people.csv", b"id,tags\n")})
    assert stored.status_code == 201
    body = stored.json() | {"table_name": "people"}
    body.pop("size_bytes")
    made = posthog.call("POST", "create_from_upload", json=body)
    assert (made.status_code, made.json()["name"]) == (201, "people")


def test_a_key_that_is_missing_or_wrong_is_401(posthog: PostHogClient) -> None:
    missing = posthog.call("GET", headers={"Authorization": ""})
    assert (missing.status_code, missing.json()["code"]) == (401, "not_authenticated")
    wrong = posthog.call("GET", headers={"Authorization": "Bearer stk_nonsense"})
    assert (wrong.status_code, wrong.json()["code"]) == (401, "authentication_failed")
