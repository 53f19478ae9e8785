"""Pages of every list: by a cursor, and bounded by their bytes."""

import json
import threading
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import httpx
import pytest
from sqlalchemy import event, update

from api.edge import answers, pages
from cli import client as cli
from stocktake.db import pages as db_pages
from stocktake.db.models import Job, Schedule, SchemaVersion, Table
from stocktake.db.session import Database
from stocktake.errors import AccessDeniedError, SourceNotFoundError
from stocktake.schema.columns import Column
from stocktake.services import jobs, table_views
from tests.integration.api.conftest import MakeJob, Served
from tests.integration.api.playing import fail_with

MakeTable = Callable[..., UUID]

NEW: Final = {
    "name": "new",
    "format": "CSV",
    "url_pattern": "https://bucket.s3.amazonaws.com/new/*.csv",
    "options": {"public": True},
}
#: Each list, with how to make one more row of it and how to take one away (None: nobody can).
LISTS = ["tables", "jobs", "schedules", "versions", "audit", "projects"]


class Listed:
    """One list and the rows behind it."""

    def __init__(self, kind: str, client: httpx.Client, database: Database, table: UUID) -> None:
        self.kind, self._client, self._database, self._table = kind, client, database, table
        path = {
            "tables": "warehouse_tables/",
            "jobs": "jobs/",
            "schedules": "schedules/",
            "versions": f"warehouse_tables/{table}/schema_versions/",
            "audit": "audit_log/",
            "projects": "/api/projects/",
        }[kind]
        self.path = str(client.base_url.join(path))
        self._made = 0

    def make(self) -> None:
        """Make a row that stands before all others, as the newest does."""
        self._made += 1
        if self.kind == "versions":
            with self._database.write() as session:
                row = {"columns": [], "diff": {}, "change": "none", "source_version": None}
                session.add(SchemaVersion(table_id=self._table, number=self._made, **row))
        elif self.kind == "schedules":
            body = {"name": f"s{self._made}", "cron": "0 3 * * *", "selector": {"all": True}}
            assert self._client.post("schedules/", json=body).status_code == 201
        elif self.kind != "projects":
            url = f"https://bucket.s3.amazonaws.com/{self._made}/*.csv"
            body = {"name": f"t{self._made}", "format": "CSV", "url_pattern": url}
            body["options"] = {"public": True}  # a table, its job, and an entry of the log
            assert self._client.post("warehouse_tables/", json=body).status_code == 201

    def remove(self, row: dict[str, Any]) -> None:
        """Take a row away, where that can be done."""
        if self.kind in ("tables", "schedules"):
            assert self._client.delete(f"{self.path}{row['id']}/").status_code == 204

    def key(self, row: dict[str, Any]) -> Any:
        return row["number"] if self.kind == "versions" else row["id"]

    def pages(self, **query: Any) -> Iterator[dict[str, Any]]:
        page = self._client.get(self.path, params=query)
        while True:
            assert page.status_code == 200, page.text
            yield page.json()
            if page.json()["next"] is None:
                return
            page = self._client.get(page.json()["next"])


@pytest.fixture(params=LISTS)
def listed(
    request: pytest.FixtureRequest,
    connect: Callable[..., httpx.Client],
    make_key: Callable[..., str],
    project_id: int,
    other_project: int,
    database: Database,
    make_table: MakeTable,
) -> Listed:
    client = connect(make_key(["*", "audit_log:read"], project_id, other_project))
    client.base_url = client.base_url.join(f"/api/projects/{project_id}/")
    listed = Listed(request.param, client, database, make_table("first"))
    for _ in range(7):
        listed.make()
    return listed


def test_item_8_by_a_cursor_no_row_is_twice_and_none_is_missed(listed: Listed) -> None:
    """While a row comes with each page, and one that was seen goes."""
    [whole] = listed.pages(limit=1000)
    before = [listed.key(row) for row in whole["results"]]
    seen: list[Any] = []
    for page in listed.pages(limit=1 if listed.kind == "projects" else 2, cursor=""):
        assert page["previous"] is None
        assert page["next"] is None or "cursor=" in page["next"]
        assert page["next"] is None or "offset=" not in page["next"]
        seen += [listed.key(row) for row in page["results"]]
        listed.make()
        listed.remove(page["results"][0])
    assert seen == before
    assert len(seen) >= 2


def test_item_8_who_began_with_an_offset_goes_on_with_it(listed: Listed) -> None:
    seen = []
    for page in listed.pages(limit=1 if listed.kind == "projects" else 3):
        assert page["next"] is None or "cursor" not in page["next"]
        seen += [listed.key(row) for row in page["results"]]
    [whole] = listed.pages(limit=1000)
    assert seen == [listed.key(row) for row in whole["results"]]


def test_item_8_a_row_that_is_committed_late_costs_no_other_one(
    client: httpx.Client, make_table: MakeTable
) -> None:
    """It has its place from before: on a part that was shown, or further on."""
    begun = datetime.now(UTC)
    for number in range(6):
        make_table(f"t{number}", created_at=begun + timedelta(seconds=2 * number))
    page = client.get("warehouse_tables/", params={"cursor": "", "limit": 3}).json()
    seen = [row["name"] for row in page["results"]]
    make_table("passed", created_at=begun + timedelta(seconds=9))
    make_table("ahead", created_at=begun + timedelta(seconds=3))
    while page["next"]:
        page = client.get(page["next"]).json()
        seen += [row["name"] for row in page["results"]]
    assert seen == ["t5", "t4", "t3", "t2", "ahead", "t1", "t0"]
    anew = client.get("warehouse_tables/", params={"cursor": ""}).json()
    assert [row["name"] for row in anew["results"]][:3] == ["t5", "passed", "t4"]
    said = client.get(str(client.base_url.join("/api/schema/"))).json()
    [described] = [
        parameter["description"]
        for parameter in said["paths"]["/api/projects/{project_id}/jobs/"]["get"]["parameters"]
        if parameter["name"] == "cursor"
    ]
    assert "committed after that page is shown only where it stands further on" in described


def test_item_8_rows_of_one_moment_are_each_shown_once(
    client: httpx.Client, make_table: MakeTable
) -> None:
    """As those that one transaction makes are."""
    moment = datetime.now(UTC)
    made = {make_table(f"t{number}", created_at=moment) for number in range(5)}
    page = client.get("warehouse_tables/", params={"cursor": "", "limit": 2}).json()
    seen = [row["id"] for row in page["results"]]
    while page["next"]:
        page = client.get(page["next"]).json()
        seen += [row["id"] for row in page["results"]]
    assert sorted(seen) == sorted(map(str, made))


def test_item_8_the_command_line_goes_by_a_cursor(
    client: httpx.Client,
    make_table: MakeTable,
    make_key: Callable[..., str],
    project_id: int,
    served: Served,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Though rows come and go; and a search holds on each page."""
    monkeypatch.setattr(cli, "_PAGE", 2)
    for number in range(6):
        make_table(f"even_{number}" if number % 2 == 0 else f"odd_{number}")
        make_table(f"unwanted{number}")
    seen = []
    with cli.Client(served.url, make_key(), str(project_id)) as command_line:
        for row in command_line.all("warehouse_tables/", search="_"):
            seen.append(row["name"])
            make_table(f"new_{row['name']}")
            if row["name"] == "odd_5":
                assert client.delete(f"warehouse_tables/{row['id']}/").status_code == 204
        newest = next(command_line.all("warehouse_tables/", search="_even"))
        assert newest["name"] == "new_even_0"
    assert seen == ["odd_5", "even_4", "odd_3", "even_2", "odd_1", "even_0"]


def test_item_8_filters_hold_on_each_page(client: httpx.Client, make_table: MakeTable) -> None:
    for number in range(6):
        make_table(f"{'even' if number % 2 == 0 else 'odd'}_{number}")
    first = client.get("warehouse_tables/", params={"cursor": "", "limit": 2, "search": "even"})
    second = client.get(first.json()["next"])
    names = [row["name"] for page in (first, second) for row in page.json()["results"]]
    assert names == ["even_4", "even_2", "even_0"]
    assert second.json()["next"] is None


@pytest.mark.parametrize("few", [0, 3, 10_000])
@pytest.mark.parametrize(
    "query",
    [
        "warehouse_tables/?search=even",
        "warehouse_tables/?format=CSV&state=failing&order_by=-size_bytes",
        "warehouse_tables/?format=CSV",
        "jobs/?error_code=access_denied",
        "jobs/?error_code=access_denied&order_by=created_at",
    ],
)
def test_few_that_match_are_found_and_counted_as_many_are(
    client: httpx.Client,
    make_table: MakeTable,
    make_job: MakeJob,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    query: str,
    few: int,
) -> None:
    for module in (db_pages, table_views, jobs):
        monkeypatch.setattr(module, "FEW", few)
    for number in range(4):
        table = make_table(f"even_{number}", format="CSV", size_bytes=number or None)
        make_table(f"odd_{number}", format="Parquet")
        error = AccessDeniedError("a") if number else SourceNotFoundError("b")
        fail_with(error)(database, make_job(table_id=table))
    whole = client.get(query).json()
    ids = [row["id"] for row in whole["results"]]
    assert whole["count"] == len(ids) == (3 if "jobs" in query else 4)
    for begin in ("&cursor=", "&offset=0"):
        url, seen = f"{query}&limit=1{begin}", list[str]()
        while url:
            page = client.get(url).json()
            assert page["count"] == whole["count"]
            seen += [row["id"] for row in page["results"]]
            url = page["next"]
        assert seen == ids
    beyond = client.get(f"{query}&offset=9").json()
    assert (beyond["count"], beyond["results"]) == (whole["count"], [])


def _encoded(value: Any) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "!!!!",
        "é",
        _encoded({}),
        _encoded([]),
        _encoded(["2026-01-01", "x"]),
        _encoded(["2026-01-01T00:00:00", "0190f000-0000-7000-8000-000000000000"]),
        _encoded([1e308, None]),
        _encoded([10**40]),
        "A" * 201,
    ],
)
@pytest.mark.parametrize("path", ["warehouse_tables/", "jobs/", "/api/projects/"])
def test_item_8_a_cursor_that_the_list_did_not_give_is_400(
    client: httpx.Client, path: str, cursor: str
) -> None:
    answer = client.get(str(client.base_url.join(path)), params={"cursor": cursor})
    assert (answer.status_code, answer.json()["attr"]) == (400, "cursor")


def test_item_8_a_cursor_and_an_offset_at_once_are_400(client: httpx.Client) -> None:
    answer = client.get("jobs/", params={"cursor": "", "offset": 3})
    assert (answer.status_code, answer.json()["attr"]) == (400, "cursor")


# --- large answers ------------------------------------------------------------------------


@pytest.fixture
def wide(make_table: MakeTable, database: Database) -> list[str]:
    """Twelve tables of a thousand columns, of which some 4 fit on a page; the newest first."""
    columns = [Column.of(f"column_{number}", "Nullable(Int64)").as_dict() for number in range(1000)]
    names = [f"wide_{number}" for number in range(12)]
    for name in names:
        make_table(name)
    with database.write() as session:
        session.execute(update(Table).values(columns=columns))
    return names[::-1]


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    list_views = table_views.list_views
    monkeypatch.setattr(
        table_views,
        "list_views",
        lambda *args, **more: list_views(*args, schema_bytes=450_000, **more),
    )


@pytest.mark.parametrize("begin", [{}, {"cursor": ""}])
@pytest.mark.usefixtures("small_pages")
def test_item_7_a_page_of_wide_tables_ends_early_and_next_goes_on(
    client: httpx.Client, wide: list[str], begin: dict[str, str]
) -> None:
    answer = client.get("warehouse_tables/", params=begin)
    seen, lengths = [], []
    while True:
        page = answer.json()
        assert page["count"] == 12
        assert all(len(row["columns"]) == 1000 for row in page["results"])
        seen += [row["name"] for row in page["results"]]
        lengths.append(len(page["results"]))
        if page["next"] is None:
            break
        answer = client.get(page["next"])
    assert seen == wide
    assert len(lengths) > 2
    assert min(lengths) >= 1


def test_item_7_without_columns_the_page_is_whole(
    client: httpx.Client, wide: list[str], small_pages: None
) -> None:
    page = client.get("warehouse_tables/", params={"include_columns": "false"}).json()
    assert [row["name"] for row in page["results"]] == wide
    assert page["next"] is None


def test_item_7_one_table_larger_than_a_page_is_shown(
    client: httpx.Client, wide: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "MAX_PAGE_BYTES", 10)
    page = client.get("warehouse_tables/").json()
    assert [row["name"] for row in page["results"]] == wide[:1]
    again = client.get(page["next"]).json()
    assert [row["name"] for row in again["results"]] == wide[1:2]


#: Of each kind of answer that is as large as a table's columns, or as a selector.
ANSWERS: Final = [
    ("GET", "warehouse_tables/", None),
    ("GET", "{table}/", None),
    ("PATCH", "{table}/", {"name": "another"}),
    ("PATCH", "{table}/", {"url_pattern": "https://bucket.s3.amazonaws.com/x/*.parquet"}),
    ("POST", "warehouse_tables/", NEW),
    ("POST", "{table}/update_schema/", {"updates": {}}),
    ("POST", "{table}/refresh_schema/", None),
    ("GET", "{table}/schema_versions/", None),
    ("GET", "{table}/schema_versions/1/", None),
    ("GET", "{table}/schema_versions/1/diff/", None),
    ("GET", "jobs/", None),
    ("GET", "jobs/{job}/", None),
    ("GET", "jobs/{job}/?wait=1", None),
    ("POST", "jobs/{job}/cancel/", None),
    ("POST", "schedules/", {"name": "s", "cron": "0 3 * * *", "selector": {"all": True}}),
    ("POST", "warehouse_tables/refresh/", {"all": True}),
]


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)  # no database has a say in it
@pytest.mark.parametrize(("method", "path", "body"), ANSWERS)
def test_item_7_no_answer_is_made_json_on_the_event_loop(
    client: httpx.Client,
    make_table: MakeTable,
    make_job: MakeJob,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    path: str,
    body: dict[str, Any] | None,
) -> None:
    """While one is being made, `/healthz` answers."""
    table = make_table(options={"public": True})
    _add_versions(database, table, 1)
    path = path.format(table=f"warehouse_tables/{table}", job=make_job())
    begun, go_on = threading.Event(), threading.Event()
    to_json = answers.to_json

    def slowly(value: Any) -> bytes:
        begun.set()
        assert go_on.wait(60)
        return to_json(value)

    for module in (answers, pages):
        monkeypatch.setattr(module, "to_json", slowly)
    with ThreadPoolExecutor(1) as pool:
        try:
            asked = pool.submit(client.request, method, path, json=body)
            assert begun.wait(60)
            health = httpx.get(str(client.base_url.join("/healthz")), timeout=30)
        finally:
            go_on.set()
        assert health.status_code == 200
        assert asked.result().is_success, asked.result().text


def _add_versions(database: Database, table: UUID, count: int) -> None:
    columns = [Column.of("id", "Int64").as_dict()]
    row = {"columns": columns, "diff": {}, "change": "none", "source_version": None}
    with database.write() as session:
        session.add_all(
            SchemaVersion(table_id=table, number=number + 1, **row) for number in range(count)
        )


@pytest.fixture
def loaded() -> Iterator[list[Any]]:
    """What the process takes from the database."""
    rows: list[Any] = []
    kinds = (Job, Schedule, SchemaVersion)

    def note(row: Any, _: Any) -> None:
        rows.append(row)

    for kind in kinds:
        event.listen(kind, "load", note)
    yield rows
    for kind in kinds:
        event.remove(kind, "load", note)


@pytest.mark.parametrize("path", ["jobs/", "schedules/"])
def test_item_7_a_page_takes_no_more_rows_than_it_shows(
    client: httpx.Client,
    make_job: MakeJob,
    monkeypatch: pytest.MonkeyPatch,
    loaded: list[Any],
    path: str,
) -> None:
    """But a few: a result holds a whole diff, and a selector 10,000 ids."""
    for number in range(30):
        if path == "jobs/":
            make_job()
        else:
            body = {"name": f"s{number}", "cron": "0 3 * * *", "selector": {"all": True}}
            assert client.post(path, json=body).status_code == 201
    monkeypatch.setattr(pages, "MAX_PAGE_BYTES", 10)
    loaded.clear()
    page = client.get(path, params={"cursor": ""}).json()
    assert (page["count"], len(page["results"])) == (30, 1)
    assert page["next"] is not None
    assert 1 < len(loaded) < 10


def test_item_7_a_list_of_versions_takes_no_columns(
    client: httpx.Client, make_table: MakeTable, database: Database, loaded: list[Any]
) -> None:
    _add_versions(database, table := make_table(), 3)
    page = client.get(f"warehouse_tables/{table}/schema_versions/").json()
    assert [row["column_count"] for row in page["results"]] == [1, 1, 1]
    assert len(loaded) == 3
    assert not any({"columns", "diff"} & row.__dict__.keys() for row in loaded)
