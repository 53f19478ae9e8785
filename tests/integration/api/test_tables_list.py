"""Listing, retrieving and refreshing tables."""

import unicodedata
from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import event, update

from stocktake.catalog.selection import parse_selector, select_tables
from stocktake.clock import upkeep
from stocktake.db.models import Table
from stocktake.db.session import Database, Ring
from stocktake.errors import AccessDeniedError
from stocktake.jobs import leases
from stocktake.schema.columns import Column
from stocktake.services import table_views
from stocktake.services.context import Caller, Context
from tests.integration.api.conftest import FinishJob, Served
from tests.integration.api.playing import (
    fail_with,
    jobs_of,
    read_columns,
    start_worker,
    table_row,
    take,
)

MakeTable = Callable[..., UUID]
SOURCED = {"external_data_source": {"id": "0190", "source_type": "Stripe"}}
STORED = [Column.of("id", "Int64").as_dict()]


def names(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [table["name"] for table in answer.json()["results"]]


def test_tables_are_listed_newest_first_with_full_urls_of_the_pages(
    client: httpx.Client, make_table: MakeTable
) -> None:
    for number in range(5):
        make_table(f"t{number}")
    path = "warehouse_tables/?limit=2&include_columns=false"
    first = client.get(path)
    assert names(first) == ["t4", "t3"]
    assert list(first.json()) == ["count", "next", "previous", "results"]
    assert (first.json()["count"], first.json()["previous"]) == (5, None)
    assert first.json()["next"].startswith("http://127.0.0.1:")
    second = client.get(first.json()["next"])
    third = client.get(second.json()["next"])
    assert (names(second), names(third)) == (["t2", "t1"], ["t0"])
    assert third.json()["next"] is None
    assert names(client.get(third.json()["previous"])) == ["t2", "t1"]
    assert names(client.get(second.json()["previous"])) == ["t4", "t3"]


def test_a_page_holds_100_tables_unless_told_otherwise(
    client: httpx.Client, make_table: MakeTable
) -> None:
    for number in range(101):
        make_table(f"t{number}")
    page = client.get("warehouse_tables/").json()
    assert (page["count"], len(page["results"])) == (101, 100)


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("ORD", ["orders_eu", "Orders"]),
        ("eu", ["customers_eu", "orders_eu"]),
        ("orders eu", ["orders_eu"]),
        ("_", ["customers_eu", "orders_eu"]),
        ("%", []),
        ("", ["customers_eu", "orders_eu", "Orders"]),
    ],
)
def test_search_looks_into_names_whatever_their_letter_case(
    client: httpx.Client, make_table: MakeTable, search: str, found: list[str]
) -> None:
    for name in ("Orders", "orders_eu", "customers_eu"):
        make_table(name)
    assert names(client.get("warehouse_tables/", params={"search": search})) == found


@pytest.mark.parametrize(
    ("name", "search"),
    [
        ("ÉCOLE_ärzte", "école ÄRZTE"),
        ("\u00e9cole", "e\u0301COLE"),
        ("e\u0301cole", "\u00c9"),
        ("Straße", "STRASSE"),
        ("İstanbul", "i\u0307stanbul"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
        ("Заказы", "ЗАКАЗЫ"),
        ("50%_Ä", "%_ä"),
    ],
)
def test_item_10_search_ignores_case_and_composition_beyond_ascii(
    client: httpx.Client, database: Database, name: str, search: str
) -> None:
    url = "https://bucket.s3.amazonaws.com/orders/*.parquet"
    body = {"format": "Parquet", "url_pattern": url, "options": {"public": True}}
    for each in (name, "other"):
        made = client.post("warehouse_tables/", json=body | {"name": each})
        assert made.status_code == 201, made.text
    composed = unicodedata.normalize("NFC", name)
    found = client.get("warehouse_tables/", params={"search": search})
    assert names(found) == [composed]
    last_word = search.rsplit(maxsplit=1)[-1]
    assert _found(client, database, last_word) == [composed]
    renamed = client.patch(
        f"warehouse_tables/{found.json()['results'][0]['id']}/", json={"name": "Ünder_score"}
    )
    assert renamed.json()["name"] == "Ünder_score"
    assert names(client.get("warehouse_tables/", params={"search": "üNDER"})) == ["Ünder_score"]
    assert names(client.get("warehouse_tables/", params={"search": search})) == []


def test_item_10_two_spellings_of_one_name_are_one(client: httpx.Client) -> None:
    url = "https://bucket.s3.amazonaws.com/orders/*.parquet"
    body = {"format": "Parquet", "url_pattern": url, "options": {"public": True}}
    assert client.post("warehouse_tables/", json=body | {"name": "caf\u00e9"}).status_code == 201
    again = client.post("warehouse_tables/", json=body | {"name": "cafe\u0301"})
    assert (again.status_code, again.json()["attr"]) == (400, "name")
    assert again.json()["detail"].startswith("A table with this name already exists")


def test_item_10_names_that_an_older_release_writes_are_found(
    client: httpx.Client,
    make_table: MakeTable,
    database: Database,
    served: Served,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It knows nothing of folded names: of its new rows none has one, and of those that it renames
    each keeps that of the name before."""
    for name in ("untouched", "a", "b", "ORDERS"):
        make_table(name)
    _write_as_before(database, "ORDERS", folded_name="")
    _write_as_before(database, "a", name="E\u0301COLE", folded_name="")
    _write_as_before(database, "b", name="Straße")
    monkeypatch.setattr(upkeep.fold_names, "__kwdefaults__", {"after": None, "limit": 2})
    clock = upkeep.Upkeep(database, served.settings, served.parts.process.storage)
    while clock.run():
        pass
    searches = ("untouched", "orders", "\u00e9cole", "STRASSE", "b")
    found = [_found(client, database, search) for search in searches]
    assert found == [["untouched"], ["ORDERS"], ["E\u0301COLE"], ["Straße"], []]


def _write_as_before(database: Database, old: str, **values: str) -> None:
    with database.write() as session:
        session.execute(update(Table).where(Table.name == old).values(**values))


def _found(client: httpx.Client, database: Database, search: str) -> list[str]:
    """What both ways to search find, which is one and the same."""
    shown = client.get("warehouse_tables/", params={"search": search})
    selector = parse_selector({"name_glob": f"*{search}*"})
    project = int(client.base_url.path.split("/")[3])
    with database.write() as session:
        selected = select_tables(session, project, selector, after=None, limit=10).ids
    assert {row["id"] for row in shown.json()["results"]} == set(map(str, selected))
    return names(shown)


@pytest.mark.parametrize(
    "hidden", ["\u200b", "\u202e", "\u2066", "\ufeff", "\u00ad", "\u2028", "\t", "\u3164", "\ufe0f"]
)
def test_item_10_a_character_that_nobody_sees_is_refused(
    client: httpx.Client, make_table: MakeTable, hidden: str
) -> None:
    url = "https://bucket.s3.amazonaws.com/orders/*.parquet"
    body = {"format": "Parquet", "url_pattern": url, "options": {"public": True}}
    name = f"or{hidden}ders"
    path = f"warehouse_tables/{make_table()}/"
    schedule = {"name": name, "cron": "0 3 * * *", "selector": {"all": True}}
    for refused in (
        client.post("warehouse_tables/", json=body | {"name": name}),
        client.patch(path, json={"name": name}),
        client.post("schedules/", json=schedule),
    ):
        assert (refused.status_code, refused.json()["attr"]) == (400, "name")
        assert f"U+{ord(hidden):04X}" in refused.json()["detail"]


def test_deleted_tables_and_those_of_others_are_left_out(
    client: httpx.Client, make_table: MakeTable, other_project: int
) -> None:
    make_table("mine")
    make_table("gone", deleted=True)
    make_table("theirs", other_project)
    assert names(client.get("warehouse_tables/")) == ["mine"]


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "offset=-1", "limit=" + "9" * 5000])
def test_a_page_that_makes_no_sense_is_refused(client: httpx.Client, query: str) -> None:
    assert client.get(f"warehouse_tables/?{query}").status_code == 400


def test_columns_may_be_left_out_of_lists_and_tables(
    client: httpx.Client, make_table: MakeTable
) -> None:
    path = f"warehouse_tables/{make_table(columns=STORED)}/"
    [listed] = client.get("warehouse_tables/").json()["results"]
    [short] = client.get("warehouse_tables/?include_columns=false").json()["results"]
    assert [column["key"] for column in listed["columns"]] == ["id"]
    assert short["columns"] == client.get(f"{path}?include_columns=false").json()["columns"] == []
    assert client.get(path).json() == listed
    assert short | {"columns": listed["columns"]} == listed


def test_a_page_costs_six_queries_whatever_its_length(
    served: Served, database: Database, client: httpx.Client, project_id: int
) -> None:
    for number in range(3):
        body = {"name": f"t{number}", "format": "CSV", "options": {"public": True}}
        url = {"url_pattern": "https://bucket.s3.amazonaws.com/x.csv"}
        assert client.post("warehouse_tables/", json=body | url).status_code == 201
    statements: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        statements.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    with database.read() as session:
        context = Context(
            session=session,
            caller=Caller(project_id=project_id, user_id=None),
            process=served.parts.process,
        )
        page = table_views.list_views(context, limit=10, offset=0)
        seen = [
            (view.created_by and view.created_by.email, view.latest_job and view.latest_job.state)
            for view in page.views
        ]
    event.remove(database.engine, "before_cursor_execute", note)
    assert [state for _, state in seen] == ["queued"] * 3
    asked = [each for each in statements if each.startswith(("SELECT", "WITH"))]
    assert len(asked) == 6, "\n\n".join(asked)


def test_a_sourced_table_is_listed(client: httpx.Client, make_table: MakeTable) -> None:
    make_table(**SOURCED)
    [table] = client.get("warehouse_tables/").json()["results"]
    assert table["external_data_source"] == SOURCED["external_data_source"]


def test_a_refresh_is_a_job_that_is_polled(
    client: httpx.Client,
    make_table: MakeTable,
    rings: list[Ring],
    finish_job: FinishJob,
    project_id: int,
) -> None:
    table_id = make_table()
    answer = client.post(f"warehouse_tables/{table_id}/refresh_schema/")
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert (job["kind"], job["state"], job["done"]) == ("refresh_schema", "queued", False)
    assert (job["table_id"], job["deduplicated"]) == (str(table_id), False)
    assert answer.headers["location"] == f"/api/projects/{project_id}/jobs/{job['id']}/"
    assert answer.headers["retry-after"].isdigit()
    assert [str(ring.job_id) for ring in rings] == [job["id"]]
    latest = client.get(f"warehouse_tables/{table_id}/").json()["latest_job"]
    assert (latest["id"], latest["state"]) == (job["id"], "queued")
    finish_job(UUID(job["id"]), {"columns": 1})
    polled = client.get(client.base_url.join(answer.headers["location"])).json()
    assert (polled["state"], polled["result"]) == ("succeeded", {"columns": 1})


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"name": null, "format": 5}', b"[1, 2]", b"not json"]
)
def test_any_body_of_a_refresh_is_ignored(
    client: httpx.Client, make_table: MakeTable, body: bytes
) -> None:
    path = f"warehouse_tables/{make_table()}/refresh_schema/"
    headers = {"Content-Type": "application/json"}
    assert client.post(path, content=body, headers=headers).status_code == 202


def test_refreshes_that_wait_are_one_and_the_one_behind_a_running_is_another(
    client: httpx.Client, make_table: MakeTable, database: Database
) -> None:
    table_id = make_table()
    path = f"warehouse_tables/{table_id}/refresh_schema/"
    first, second = client.post(path).json(), client.post(path).json()
    assert (second["id"], second["deduplicated"]) == (first["id"], True)
    take(database, UUID(first["id"]))
    third = client.post(path).json()
    assert (third["id"] != first["id"], third["deduplicated"]) == (True, False)
    assert len(jobs_of(database, table_id)) == 2


def test_a_refresh_that_is_waited_for_answers_200_with_the_ended_job(
    client: httpx.Client, make_table: MakeTable, served: Served
) -> None:
    start_worker(served, read_columns([Column.of("id", "Int64")]))
    path = f"warehouse_tables/{make_table()}/refresh_schema/"
    answer = client.post(path, headers={"Prefer": "wait=10"})
    assert (answer.status_code, answer.json()["state"]) == (200, "succeeded")
    assert answer.headers["preference-applied"] == "wait=10"
    assert answer.json()["result"] == {"columns": 1, "change": "additive"}


@pytest.mark.parametrize("asked", ["wait=10", ""])
def test_item_4_a_waited_refresh_that_failed_is_400_with_the_job_beside(
    serve: Callable[..., Served],
    connect: Callable[..., httpx.Client],
    make_key: Callable[..., str],
    project_id: int,
    make_table: MakeTable,
    asked: str,
) -> None:
    """Also where the operator has every client wait."""
    served = serve(default_wait_seconds=0.0 if asked else 60.0)
    start_worker(served, fail_with(AccessDeniedError()))
    base = f"{served.url}/api/projects/{project_id}/"
    with connect(make_key(["*"]), base) as client:
        path = f"warehouse_tables/{make_table()}/refresh_schema/"
        answer = client.post(path, headers={"Prefer": asked} if asked else {})
        body = answer.json()
        said = "Access was denied when reading the provided file"
        assert answer.status_code == 400
        assert (body["type"], body["code"], body["detail"]) == (
            "validation_error", "invalid_input", said
        )  # fmt: skip
        assert (body["error"]["code"], body["job"]["state"]) == ("access_denied", "failed")
        assert body["job"]["error"] == body["error"]
        assert answer.headers["location"].endswith(f"/jobs/{body['job']['id']}/")
        polled = client.get(f"jobs/{body['job']['id']}/")
        assert (polled.status_code, polled.json()["state"]) == (200, "failed")
        long_polled = client.get(f"jobs/{body['job']['id']}/", params={"wait": 5})
        assert long_polled.status_code == 200


def test_item_4_a_waited_retry_that_failed_is_400_too(
    client: httpx.Client, make_table: MakeTable, served: Served, database: Database
) -> None:
    start_worker(served, fail_with(AccessDeniedError()))
    table_id = make_table()
    client.post(f"warehouse_tables/{table_id}/refresh_schema/")
    [job] = jobs_of(database, table_id)
    headers = {"Prefer": "wait=10", "Idempotency-Key": "once"}
    first, again = (client.post(f"jobs/{job.id}/retry/", headers=headers) for _ in range(2))
    assert (first.status_code, first.json()["job"]["state"]) == (400, "failed")
    assert (again.status_code, again.json()) == (400, first.json())


def test_item_4_a_waited_refresh_that_was_cancelled_has_not_failed(
    client: httpx.Client, make_table: MakeTable, served: Served
) -> None:
    def cancel(database: Database, job_id: UUID) -> None:
        claim = take(database, job_id)
        with database.write() as session:
            leases.cancel(session, claim)

    start_worker(served, cancel)
    path = f"warehouse_tables/{make_table()}/refresh_schema/"
    answer = client.post(path, headers={"Prefer": "wait=10"})
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")


def test_a_failed_refresh_keeps_the_columns_of_the_last_good_one(
    client: httpx.Client, make_table: MakeTable, served: Served
) -> None:
    start_worker(served, fail_with(AccessDeniedError()))
    path = f"warehouse_tables/{make_table(columns=STORED)}/"
    client.post(f"{path}refresh_schema/")
    table = client.get(path).json()
    assert [column["key"] for column in table["columns"]] == ["id"]
    assert table["latest_job"]["error"]["code"] == "access_denied"


def test_a_sourced_table_is_not_refreshed(
    client: httpx.Client, make_table: MakeTable, database: Database
) -> None:
    table_id = make_table(**SOURCED)
    answer = client.post(f"warehouse_tables/{table_id}/refresh_schema/")
    assert (answer.status_code, answer.json()["message"]) == (
        400,
        "The table must be a manually linked table",
    )
    assert jobs_of(database, table_id) == []
    assert table_row(database, table_id).latest_job_id is None


@pytest.mark.parametrize("path", ["", "refresh_schema/", "update_schema/", "schema_versions/"])
def test_what_is_not_the_projects_is_not_found(
    client: httpx.Client, make_table: MakeTable, other_project: int, path: str
) -> None:
    gone = make_table("gone", deleted=True)
    foreign = make_table("theirs", other_project)
    verb = "POST" if path.endswith("schema/") else "GET"
    for each in (gone, foreign, "0190f000-0000-7000-8000-000000000000", "file", "%00"):
        answer = client.request(verb, f"warehouse_tables/{each}/{path}")
        assert answer.status_code == 404 or (each == "file" and answer.status_code == 405), each


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("POST", ""),
        ("PATCH", "{id}/"),
        ("PUT", "{id}/"),
        ("DELETE", "{id}/"),
        ("POST", "{id}/refresh_schema/"),
        ("POST", "{id}/update_schema/"),
        ("POST", "file/"),
        ("POST", "upload_file/"),
        ("POST", "create_from_upload/"),
    ],
)
def test_a_key_that_may_only_read_changes_nothing(
    client: httpx.Client,
    make_key: Callable[..., str],
    make_table: MakeTable,
    verb: str,
    path: str,
) -> None:
    client.headers["Authorization"] = f"Bearer {make_key(['warehouse_table:read'])}"
    target = f"warehouse_tables/{path.format(id=make_table())}"
    answer = client.request(verb, target, json={})
    assert answer.status_code == 403
    assert answer.json()["detail"] == "API key missing required scope 'warehouse_table:write'"
    assert client.get("warehouse_tables/").json()["count"] == 1


@pytest.mark.parametrize("search", ["a " * 2000, "x" * 201])
def test_a_search_too_long_for_any_name_is_refused(client: httpx.Client, search: str) -> None:
    answer = client.get("warehouse_tables/", params={"search": search})
    assert (answer.status_code, answer.json()["attr"]) == (400, "search")


def test_the_longest_search_is_answered(client: httpx.Client) -> None:
    answer = client.get("warehouse_tables/", params={"search": "a " * 100})
    assert answer.json()["results"] == []


def test_item_16_a_key_that_may_only_read_is_a_viewer(
    connect: Callable[..., httpx.Client],
    make_key: Callable[..., str],
    make_table: MakeTable,
    project_id: int,
) -> None:
    path = f"/api/projects/{project_id}/warehouse_tables/"
    table_id = make_table()
    for scope, level in (
        ("warehouse_table:read", "viewer"),
        ("warehouse_table:write", "editor"),
        ("*", "editor"),
    ):
        reader = connect(make_key([scope]))
        [listed] = reader.get(path).json()["results"]
        got = reader.get(f"{path}{table_id}/").json()
        assert (listed["user_access_level"], got["user_access_level"]) == (level, level)
