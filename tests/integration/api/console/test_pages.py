"""Each page with what it is for, with nothing, and with what should not break it."""

import gzip
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from api.console.assets import FOLDER
from api.console.search import Query
from stocktake.db.models import Job, Table
from stocktake.db.session import Database
from stocktake.schema.columns import Column
from stocktake.states import JobKind
from tests.integration.api.conftest import FinishJob, MakeJob
from tests.integration.api.console.conftest import post, text_of
from tests.integration.api.test_changes import NEW, OLD, settle

MakeTable = Callable[..., UUID]
MOST_BYTES = 100_000
EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
TABS = ("", "/history", "/data", "/files", "/jobs", "/source")


class _Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def _stored(*columns: Column) -> list[dict[str, object]]:
    return [column.as_dict() for column in columns]


@pytest.fixture
def change(make_table: MakeTable, database: Database, client: httpx.Client) -> str:
    """A change that waits, of the table `orders`."""
    table = make_table(columns=_stored(*OLD), schema_version=1, change_policy="manual")
    settle(database, table, NEW)
    return str(client.get("changes/").json()["results"][0]["id"])


def test_an_empty_project_shows_the_ways_in(browser: httpx.Client) -> None:
    for path in ("", "tables"):
        page = text_of(browser.get(path))
        assert "No tables yet" in page
        assert "stocktake tables add" in page
    assert "Nothing waits for you" in text_of(browser.get("changes"))


def test_home_says_what_needs_somebody(
    browser: httpx.Client, make_table: MakeTable, change: str
) -> None:
    make_table("broken", error_code="access_denied")
    page = text_of(browser.get(""))
    assert "What needs you" in page
    assert f"/changes/{change}" in page
    assert "q=code%3Aaccess_denied" in page
    assert "Give the credential permission" in page
    assert 'title="1 change waits"' in page


def test_home_says_that_all_is_well(
    browser: httpx.Client, make_table: MakeTable, database: Database
) -> None:
    table = make_table()
    with database.write() as session:
        row = session.get_one(Table, table)
        row.last_refreshed_at = row.created_at
    page = text_of(browser.get(""))
    assert "Nothing needs you" in page
    assert "Your table is as its files say" in page


def test_tables_are_found_by_words_and_qualifiers(
    browser: httpx.Client, make_table: MakeTable
) -> None:
    make_table("orders")
    make_table("broken_orders", error_code="access_denied")
    make_table("people")

    def found(query: str) -> set[str]:
        page = text_of(browser.get("tables", params={"q": query}))
        return set(re.findall(r'aria-label="Tick (\w+)"', page))

    assert found("") == {"orders", "broken_orders", "people"}
    assert found("orders") == found("table:orders") == {"orders", "broken_orders"}
    assert found("orders state:failed") == found("code:access_denied") == {"broken_orders"}
    assert found("format:csv") == set()
    make_table("sheet", format="CSV")
    assert "/tables?q=format%3ACSV" in text_of(browser.get("tables"))
    assert found("format:csv") == {"sheet"}


def test_where_nothing_matches_the_filter_to_drop_is_named(
    browser: httpx.Client, make_table: MakeTable
) -> None:
    make_table("orders")
    page = text_of(browser.get("tables", params={"q": "orders state:failing"}))
    assert "Nothing matches" in page
    assert re.search(r"Without <code>state:failing</code> there would be .*1 table", page)
    wrong = text_of(browser.get("tables", params={"q": "state:bad"}))
    assert "state:bad is no state" in wrong


def test_a_query_is_a_selector_of_the_same_tables() -> None:
    query = Query.parse("orders state:failed code:not_found")
    assert query.selector == {"search": "orders", "state": "failing", "error_code": "not_found"}
    assert Query.parse("").selector == {"all": True}
    assert Query.parse(query.text) == query


@pytest.mark.parametrize("which", ["ticked", "all"])
def test_tables_are_refreshed_as_a_batch(
    browser: httpx.Client, client: httpx.Client, make_table: MakeTable, which: str
) -> None:
    wanted = make_table("orders")
    make_table("people")
    fields = {"which": which, "q": "orders", "count": "1", "id": str(wanted), "action": "refresh"}
    answer = post(browser, "tables/do", fields)
    assert answer.status_code == 303
    batch = re.search(r"/batches/([0-9a-f-]+)", answer.headers["location"])
    assert batch is not None
    selector = client.get(f"batches/{batch[1]}/").json()["selector"]
    assert selector == ({"search": "orders"} if which == "all" else {"tables": [str(wanted)]})


def test_no_more_tables_are_deleted_than_the_page_said(
    browser: httpx.Client, client: httpx.Client, make_table: MakeTable
) -> None:
    make_table("orders")
    page = text_of(browser.get("tables", params={"q": "orders"}))
    count = re.findall(r'name="count" value="(\d+)"', page)[0]
    make_table("orders_of_today")
    fields = {"which": "all", "q": "orders", "action": "delete", "sure": "yes"}
    for said in (count, "", "many"):
        answer = post(browser, "tables/do", fields | {"count": said})
        assert answer.status_code == 409, answer.text
    assert (
        "2 tables match by now, and the page said 1"
        in post(browser, "tables/do", fields | {"count": count}).text
    )
    assert client.get("batches/").json()["count"] == 0
    assert post(browser, "tables/do", fields | {"count": "2"}).status_code == 303


def test_tables_are_scheduled_as_they_were_chosen(
    browser: httpx.Client, client: httpx.Client, make_table: MakeTable
) -> None:
    wanted = make_table("orders")
    make_table("people")
    fields = {"which": "all", "q": "orders", "action": "schedule"}
    answer = post(browser, "tables/do", fields)
    assert answer.headers["location"].endswith("/schedules/new?tables=orders")
    answer = post(
        browser, "tables/do", {"which": "ticked", "id": str(wanted), "action": "schedule"}
    )
    form = answer.headers["location"].partition("/schedules/")[2]
    page = text_of(browser.get(f"schedules/{form}"))
    assert "as now: 1 named table" in page
    assert f'name="id" value="{wanted}"' in page
    sent = {"name": "n", "cron": "0 6 * * *", "timezone": "UTC", "which": "same"}
    sent["id"] = str(wanted)
    assert "cron" in text_of(post(browser, "schedules/new", {**sent, "cron": "never"}), 400)
    assert post(browser, "schedules/new", sent).status_code == 303
    (made,) = client.get("schedules/").json()["results"]
    assert made["selector"] == {"tables": [str(wanted)]}


def test_a_list_is_copied_with_its_filters(browser: httpx.Client, make_table: MakeTable) -> None:
    make_table("orders")
    page = text_of(browser.get("tables", params={"q": "a set:no", "order": "-row_count"}))
    assert "stocktake tables list --search a --no-overrides --order-by=-row_count" in page
    assert "warehouse_tables/?search=a&amp;has_overrides=false&amp;order_by=-row_count" in page
    page = text_of(browser.get("jobs?state=failed&code=x"))
    assert "stocktake jobs list --state failed --error-code x" in page


def test_nothing_ticked_and_a_delete_that_is_not_sure_are_refused(
    browser: httpx.Client, make_table: MakeTable
) -> None:
    assert "Tick the tables first" in text_of(
        post(browser, "tables/do", {"action": "refresh"}), 400
    )
    fields = {"id": str(make_table()), "action": "delete"}
    assert "Tick the box" in text_of(post(browser, "tables/do", fields), 400)
    assert text_of(post(browser, "tables/do", {**fields, "action": "nothing"}), 400)


def test_a_table_is_refreshed_tried_and_planned_and_leads_to_its_job(
    browser: httpx.Client, database: Database, make_table: MakeTable
) -> None:
    table = make_table()
    for action in ("refresh", "check", "plan"):
        answer = post(browser, f"tables/{table}/{action}")
        assert answer.status_code == 303, answer.text
    with database.read() as session:
        kinds = {job.kind for job in session.query(Job)}
    assert kinds == {"refresh_schema", "check_source", "plan_refresh"}


def test_a_type_is_set_in_place_and_cleared(
    browser: httpx.Client, client: httpx.Client, make_table: MakeTable
) -> None:
    table = make_table(columns=_stored(*OLD), schema_version=1)
    page = text_of(browser.get(f"tables/{table}?edit=1"))
    assert 'name="at" value="1"' in page
    fields = {"at": "1", "version": "1", "type": "float"}
    assert post(browser, f"tables/{table}/type", fields).status_code == 303
    columns = client.get(f"warehouse_tables/{table}/").json()["columns"]
    assert columns[1]["type"] == "float"
    assert "set by you" in text_of(browser.get(f"tables/{table}"))
    stale = post(browser, f"tables/{table}/type", fields)
    assert "have changed since" in text_of(stale, 409)


def test_a_type_that_does_not_hold_is_told_with_what_was_found(
    browser: httpx.Client, make_table: MakeTable, make_job: MakeJob, finish_job: FinishJob
) -> None:
    columns = [each | {"valid": False} for each in _stored(*OLD)]
    table = make_table(columns=columns, schema_version=1)
    assert "values that are no integer" in text_of(browser.get(f"tables/{table}"))
    found = {"name": "n", "file": "a.csv", "line": 7, "found": EVIL}
    job = make_job(table_id=table, kind=JobKind.VALIDATE_COLUMNS)
    finish_job(job, {"invalid": [found], "invalid_count": 1, "columns": 2})
    page = text_of(browser.get(f"tables/{table}"))
    assert "<code>a.csv</code>, line 7: no integer" in page
    assert "<script>alert" not in page


def test_the_last_try_of_a_source_is_shown_with_it(
    browser: httpx.Client, make_table: MakeTable, make_job: MakeJob, finish_job: FinishJob
) -> None:
    table = make_table()
    job = make_job(table_id=table, kind=JobKind.CHECK_SOURCE)
    page = text_of(browser.get(f"tables/{table}/source"))
    assert "It waits for a worker" in page
    assert 'hx-trigger="every 2s"' in page
    step = {"step": "list", "outcome": "failed", "detail": "403", "code": "denied", "hint": "Ask."}
    result = {"passed": False, "url_pattern": "https://b/x.csv", "format": "CSV", "steps": [step]}
    finish_job(job, result | {"columns": [], "row_count": None, "warnings": [], "grant": None})
    page = text_of(browser.get(f"tables/{table}/source"))
    assert "The source cannot be read" in page
    assert f"/jobs/{job}" in page
    assert "every 2s" not in page


def test_a_table_that_is_being_read_shows_what_becomes_of_it(
    browser: httpx.Client, client: httpx.Client, make_table: MakeTable, finish_job: FinishJob
) -> None:
    """Its page promises the columns as soon as a worker has read them."""
    table = make_table(columns=[])
    assert "changes from:body" not in text_of(browser.get(f"tables/{table}"))
    assert post(browser, f"tables/{table}/refresh").status_code == 303
    job = client.get(f"warehouse_tables/{table}/").json()["latest_job"]["id"]
    page = text_of(browser.get(f"tables/{table}"))
    assert page.index('<div id="live" hx-get=') < page.index("<h1>") < page.index("No columns")
    finish_job(UUID(job), {})
    assert "changes from:body" not in text_of(browser.get(f"tables/{table}"))


def test_a_policy_is_set_and_a_table_deleted(
    browser: httpx.Client, client: httpx.Client, make_table: MakeTable
) -> None:
    table = make_table()
    post(browser, f"tables/{table}/policy", {"policy": "manual"})
    assert client.get(f"warehouse_tables/{table}/").json()["change_policy"] == "manual"
    assert post(browser, f"tables/{table}/delete").status_code == 400
    assert post(browser, f"tables/{table}/delete", {"sure": "yes"}).status_code == 303
    assert client.get(f"warehouse_tables/{table}/").status_code == 404


def test_a_change_is_decided_column_by_column_and_taken_back(
    browser: httpx.Client, client: httpx.Client, change: str
) -> None:
    page = text_of(browser.get(f"changes/{change}"))
    # The worst first, in words.
    assert page.index("breaking</span>") < page.index("additive</span>")
    offered = _offered(page)
    fields = {offered["n"]: "pin", offered["note"]: "accept"}
    answer = post(browser, f"changes/{change}/decide", fields)
    assert answer.status_code == 303, answer.text
    body = client.get(f"changes/{change}/").json()
    assert {part["name"]: part["decision"] for part in body["parts"]} == {
        "n": "pin",
        "note": "accept",
    }
    assert post(browser, f"changes/{change}/undo").status_code == 303
    assert client.get(f"changes/{change}/").json()["state"] == "pending"
    _accept_all(browser, change)
    assert client.get(f"changes/{change}/").json()["state"] == "decided"


def _offered(page: str) -> dict[str, str]:
    """The field of each column that can be decided, by the column's name."""
    found = re.findall(r'<select name="(part-\w+)" aria-label="Decision for ([^"]+)"', page)
    return {column: field for field, column in found}


def _accept_all(browser: httpx.Client, change: str) -> None:
    seen = re.findall(r'name="seen" value="(\w+)"', text_of(browser.get(f"changes/{change}")))
    answer = post(browser, f"changes/{change}/decide", {"accept": "all", "seen": seen[0]})
    assert answer.status_code == 303, answer.text


def test_a_page_that_shows_what_waits_no_more_decides_nothing(
    browser: httpx.Client, client: httpx.Client, change: str
) -> None:
    """Parts come and go while it is open: each word is about the column that it was beside."""
    page = text_of(browser.get(f"changes/{change}"))
    offered, seen = _offered(page), re.findall(r'name="seen" value="(\w+)"', page)
    table = client.get(f"changes/{change}/").json()["table_id"]
    # Somebody else sets its type, and the part falls away.
    update = {"updates": {"n": "string"}}
    assert client.post(f"warehouse_tables/{table}/update_schema/", json=update).status_code == 200
    for fields in ({offered["n"]: "accept"}, {"accept": "all", "seen": seen[0]}):
        answer = post(browser, f"changes/{change}/decide", fields)
        assert answer.status_code == 409, answer.text
        assert "not what the page showed" in answer.text
    parts = client.get(f"changes/{change}/").json()["parts"]
    assert [(part["name"], part["decision"]) for part in parts] == [("note", None)]


def test_a_form_that_does_not_fit_the_change_decides_nothing(
    browser: httpx.Client, change: str
) -> None:
    offered = _offered(text_of(browser.get(f"changes/{change}")))
    for fields, status in (
        ({offered["n"]: "burn"}, 400),
        ({"accept": "some"}, 400),
        ({}, 400),
        ({"part-0": "accept"}, 409),
        ({"accept": "all"}, 409),
    ):
        assert post(browser, f"changes/{change}/decide", fields).status_code == status, fields


def test_history_tells_what_changed_in_text(
    browser: httpx.Client, client: httpx.Client, change: str, database: Database
) -> None:
    _accept_all(browser, change)
    table = client.get(f"changes/{change}/").json()["table_id"]
    page = text_of(browser.get(f"tables/{table}/history"))
    assert page.index("type changed") < page.index("added</span>")


def _pages(table: UUID, change: str) -> Iterator[str]:
    yield from ("", "tables", "changes", f"changes/{change}")
    yield from (f"tables/{table}{tab}" for tab in TABS)


def test_hostile_names_are_text(
    browser: httpx.Client, make_table: MakeTable, database: Database, client: httpx.Client
) -> None:
    old = (Column.of(EVIL, "Int64"), Column.of("n", "Int32"))
    table = make_table(EVIL, columns=_stored(*old), schema_version=1, change_policy="manual")
    settle(database, table, (*old, Column.of(EVIL + "2", "String")))
    change = client.get("changes/").json()["results"][0]["id"]
    for path in _pages(table, change):
        page = text_of(browser.get(path))
        for tag, attributes in _Tags(page).seen:
            assert tag != "script" or attributes.get("src", "").startswith("/console/"), path
            assert not any(name.startswith("on") for name in attributes), path
            assert tag != "img" or attributes["src"].startswith("/console/"), path
    evil = text_of(browser.get("tables", params={"q": EVIL}))
    assert "<script>alert" not in evil


def test_pages_stay_small(
    browser: httpx.Client, make_table: MakeTable, database: Database, client: httpx.Client
) -> None:
    """5,000 columns, and names of 10,000 characters."""
    old = [Column.of(f"c{at}" + "n" * 10_000 * (at < 70), "Int64") for at in range(5_000)]
    new = [Column.of(each.name, "String") for each in old]
    table = make_table("t" * 128, columns=_stored(*old), schema_version=1, change_policy="manual")
    for at in range(60):
        make_table(f"{at}_" + "t" * 120, error_code="access_denied")
    settle(database, table, tuple(new))
    change = client.get("changes/").json()["results"][0]["id"]
    for path in _pages(table, change):
        answer = browser.get(path)
        text_of(answer)
        assert len(answer.content) < MOST_BYTES, path
    last = text_of(browser.get(f"tables/{table}?offset=4980"))
    assert "c4999" in last


def test_a_store_that_fails_at_length_is_told_in_short(
    browser: httpx.Client,
    make_table: MakeTable,
    make_job: MakeJob,
    fail_job: Callable[..., None],
) -> None:
    table = make_table()
    for _ in range(45):
        fail_job(make_job(table_id=table), f"The store says {EVIL}: " + "no " * 10_000)
    for path in (f"tables/{table}", f"tables/{table}/jobs", "jobs"):
        answer = browser.get(path)
        page = text_of(answer)
        assert "access_denied" in page, path
        assert "<script>alert" not in page, path
        assert len(answer.content) < MOST_BYTES, path


def test_scripts_and_styles_are_small_and_of_this_server(anonymous: httpx.Client) -> None:
    page = text_of(anonymous.get("/sign-in"))
    urls = re.findall(r'(?:src|href)="(/console/[^"]+)"', page)
    total = 0
    for url in {*urls, "/console/vendor/pico.min.css?v=2.1.1"}:
        answer = anonymous.get(url, headers={"Accept-Encoding": "gzip"})
        assert (answer.status_code, answer.headers["content-encoding"]) == (200, "gzip")
        assert "immutable" in answer.headers["cache-control"]
        total += len(gzip.compress(answer.content))
    assert total <= 40_000
    assert anonymous.get("/console/../app.py").status_code == 404
    assert anonymous.get("/console/%2e%2e/app.py").status_code == 404


def test_styles_name_nothing_elsewhere() -> None:
    for file in (*FOLDER.glob("*.css"), *FOLDER.glob("*.js")):
        assert "http" not in file.read_text().replace("http://www.w3.org", ""), file
    assert "@import" in Path(FOLDER / "console.css").read_text()
