"""Lists of tables: filters, orders and counts; how tables stand."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import event, text

from stocktake.catalog.listing import Moment, sorting
from stocktake.catalog.selection import live
from stocktake.catalog.tables import note_refreshed
from stocktake.catalog.versions import add_version
from stocktake.db import models
from stocktake.db.models import Project, SchemaChange, Table
from stocktake.db.pages import part_of
from stocktake.db.session import Database
from stocktake.errors import AccessDeniedError, SourceNotFoundError
from stocktake.schema.columns import Column
from stocktake.schema.diff import diff
from stocktake.states import ChangeState, TableState
from tests.integration.api.conftest import MakeJob, Served
from tests.integration.api.playing import fail_with, start_worker, table_row, take

MakeTable = Callable[..., UUID]
NOW = datetime.now(UTC)
DAY = timedelta(days=1)


def names(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [table["name"] for table in answer.json()["results"]]


@pytest.fixture
def one_of_each(
    database: Database, project_id: int, make_table: MakeTable, make_job: MakeJob
) -> dict[TableState, str]:
    """A table in each state, which is its name."""
    with database.write() as session:
        session.get_one(Project, project_id).stale_after_seconds = 3600
    read = {"last_refreshed_at": NOW}
    reading = make_table("reading", error_code="access_denied", **read)
    make_table("failing", error_code="access_denied", pending=True, **read)
    make_table("waiting", pending=True, **read)
    make_table("never_read")
    make_table("stale", last_refreshed_at=NOW - DAY)
    make_table("fresh", **read)
    job_id = make_job(table_id=reading)
    take(database, job_id)
    with database.write() as session:
        session.get_one(Table, reading).latest_job_id = job_id
    return {state: state.value for state in TableState}


def test_each_table_has_a_state_and_is_found_by_it(
    client: httpx.Client, one_of_each: dict[TableState, str]
) -> None:
    for state in TableState:
        answer = client.get(f"warehouse_tables/?state={state}")
        assert names(answer) == [state.value]
        [table] = answer.json()["results"]
        assert (table["state"], answer.json()["count"]) == (state.value, 1)
        alone = client.get(f"warehouse_tables/{table['id']}/").json()
        assert alone["state"] == state.value


def test_a_list_by_state_begins_with_what_wants_to_be_looked_at(
    client: httpx.Client, one_of_each: dict[TableState, str]
) -> None:
    order = ["failing", "waiting", "never_read", "stale", "reading", "fresh"]
    assert names(client.get("warehouse_tables/?order_by=state")) == order
    assert names(client.get("warehouse_tables/?order_by=-state")) == order[::-1]


def test_tables_are_counted(
    client: httpx.Client,
    make_table: MakeTable,
    other_project: int,
    one_of_each: dict[TableState, str],
) -> None:
    make_table("gone", deleted=True)
    make_table("theirs", project=other_project)
    make_table("more", format="CSV", error_code="source_not_found", last_refreshed_at=NOW - DAY)
    counts = client.get("warehouse_tables/counts/").json()
    states = {state.value: 1 for state in TableState} | {"failing": 2}
    assert counts.pop("by_state") == states
    assert datetime.fromisoformat(counts.pop("last_refreshed_at")) == NOW
    failing = {each["error_code"]: each for each in counts.pop("failing")}
    assert {code: each["tables"] for code, each in failing.items()} == {
        "access_denied": 1,
        "source_not_found": 1,
    }
    assert failing["access_denied"]["hint"] == AccessDeniedError.default_hint
    assert counts == {"total": 7, "waiting": 2, "by_format": {"CSV": 1, "Parquet": 6}}


def test_counts_of_nothing(client: httpx.Client) -> None:
    counts = client.get("warehouse_tables/counts/").json()
    assert (counts["total"], counts["failing"], counts["last_refreshed_at"]) == (0, [], None)
    assert set(counts["by_state"].values()) == {0}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("format=CSV", ["c"]),
        ("format=json", ["c", "b", "a"]),
        ("error_code=access_denied", ["b"]),
        ("last_change=breaking", ["c"]),
        ("last_change=none", ["b", "a"]),
        ("has_overrides=true", ["a"]),
        ("has_overrides=false", ["c", "b"]),
        ("has_overrides=false&format=CSV", ["c"]),
        ("has_overrides=false&search=B", ["b"]),
        ("state=failing&format=CSV", []),
        ("error_code=%00", []),
    ],
)
def test_filters(client: httpx.Client, make_table: MakeTable, query: str, found: list[str]) -> None:
    set_type = Column.of("id", "Int64", override=True).as_dict()
    make_table("a", columns=[set_type])
    make_table("b", error_code="access_denied")
    make_table("c", format="CSV", last_change="breaking")
    answer = client.get(f"warehouse_tables/?{query}")
    assert names(answer) == found
    assert answer.json()["count"] == len(found)


@pytest.mark.parametrize(
    ("query", "attr"),
    [
        ("state=broken", "state"),
        ("format=Parkett", "format"),
        ("last_change=big", "last_change"),
        ("order_by=columns", "order_by"),
        ("schedule=nightly", "schedule"),
        ("sate=fresh", "sate"),
        ("errorcode=internal", "errorcode"),
    ],
)
def test_what_no_filter_is_is_refused(client: httpx.Client, query: str, attr: str) -> None:
    answer = client.get(f"warehouse_tables/?{query}")
    assert (answer.status_code, answer.json()["attr"]) == (400, attr)


@pytest.mark.parametrize(
    ("order_by", "found"),
    [
        ("name", ["apples", "bananas", "Zebras"]),
        ("size_bytes", ["apples", "Zebras", "bananas"]),
        ("row_count", ["bananas", "apples", "Zebras"]),
        ("last_refreshed_at", ["Zebras", "bananas", "apples"]),
        ("last_changed_at", ["bananas", "apples", "Zebras"]),
        ("created_at", ["Zebras", "apples", "bananas"]),
    ],
)
@pytest.mark.parametrize("begin", ["", "&cursor="])
def test_orders_in_both_directions_page_by_page(
    client: httpx.Client, make_table: MakeTable, order_by: str, found: list[str], begin: str
) -> None:
    make_table(
        "Zebras", size_bytes=2**40, row_count=9, created_at=NOW - 3 * DAY, last_changed_at=NOW
    )
    make_table(
        "apples",
        row_count=1,
        created_at=NOW - 2 * DAY,
        last_changed_at=NOW - DAY,
        last_refreshed_at=NOW,
    )
    make_table("bananas", size_bytes=2**41, created_at=NOW - DAY, last_refreshed_at=NOW - DAY)
    for order, wanted in ((order_by, found), (f"-{order_by}", found[::-1])):
        url, seen = f"warehouse_tables/?order_by={order}&limit=1{begin}", list[str]()
        while url:
            page = client.get(url)
            seen += names(page)
            url = page.json()["next"]
        assert seen == wanted


@pytest.mark.parametrize("name", models.INDEXED_ORDERS)
@pytest.mark.parametrize("direction", ["", "-"])
def test_a_page_is_the_first_rows_of_an_index(
    database: Database, project_id: int, name: str, direction: str
) -> None:
    """And not what is left once 100,000 tables are sorted."""
    asked = list[str]()

    def explain(_: Any, cursor: Any, statement: str, parameters: Any, *__: Any) -> None:
        if "ORDER BY" in statement:
            words = "EXPLAIN QUERY PLAN" if database.sqlite else "EXPLAIN"
            plan = cursor.execute(f"{words} {statement}", parameters).fetchall()
            asked.append(" ".join(str(row[-1]) for row in plan))

    with database.read() as session:
        moment = Moment.of(session, project_id)
        if not database.sqlite:  # which sorts few rows rather than look at an index
            for way in ("sort", "seqscan", "bitmapscan"):
                session.execute(text(f"SET LOCAL enable_{way} = off"))
        keys, ascending = sorting(f"{direction}{name}", moment)
        query = live(project_id).with_only_columns(*keys)
        page = part_of(query, *keys, limit=3, ascending=ascending)
        event.listen(database.engine, "before_cursor_execute", explain)
        try:
            session.execute(page)
        finally:
            event.remove(database.engine, "before_cursor_execute", explain)
    [plan] = asked
    assert f"ix_tables_by_{name}" in plan
    assert not re.search("(?i)sort|temp b-tree", plan), plan


def test_a_schedule_finds_the_tables_that_it_names(
    client: httpx.Client, make_table: MakeTable
) -> None:
    first, _ = make_table("sales_eu"), make_table("sales_us")
    make_table("stock")
    rule = {"cron": "0 3 * * *"}

    def made(selector: dict[str, Any]) -> str:
        body = {"name": "s", "selector": selector} | rule
        answer = client.post("schedules/", json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def found(selector: dict[str, Any]) -> list[str]:
        return names(client.get(f"warehouse_tables/?schedule={made(selector)}"))

    assert found({"name_glob": "SALES_*"}) == ["sales_us", "sales_eu"]
    assert found({"tables": [str(first)]}) == ["sales_eu"]
    assert found({"all": True}) == ["stock", "sales_us", "sales_eu"]
    assert found({"stale_for_seconds": 1, "search": "stock"}) == ["stock"]
    assert names(client.get(f"warehouse_tables/?schedule={first}")) == []
    nested = {"name": "s", "selector": {"schedule": made({"all": True})}} | rule
    assert client.post("schedules/", json=nested).json()["attr"] == "selector__schedule"


def test_a_read_that_failed_is_told_until_one_succeeds(
    client: httpx.Client, served: Served, make_table: MakeTable, database: Database
) -> None:
    table_id = make_table()

    start_worker(served, fail_with(SourceNotFoundError("Nothing there.")))
    client.post(f"warehouse_tables/{table_id}/refresh_schema/")
    failed = client.get(f"warehouse_tables/{table_id}/").json()
    assert (failed["state"], failed["error_code"]) == ("failing", "source_not_found")
    with database.write() as session:
        note_refreshed(session, [table_id])
    read = client.get(f"warehouse_tables/{table_id}/").json()
    assert (read["state"], read["error_code"]) == ("fresh", None)


def test_a_version_after_the_first_is_the_last_change(
    database: Database, make_table: MakeTable
) -> None:
    table_id = make_table()
    columns = [(), (Column.of("id", "Int64"),), (Column.of("id", "Int64"), Column.of("b", "Date"))]
    for before, after in pairwise(columns):
        with database.write() as session:
            add_version(session, session.get_one(Table, table_id), diff(before, after))
        row = table_row(database, table_id)
        told = (row.last_change, row.last_changed_at is not None)
        assert told == (("none", False) if row.schema_version == 1 else ("additive", True))


def test_a_pending_change_is_noted_on_its_table(
    database: Database, make_table: MakeTable, project_id: int
) -> None:
    table_id = make_table()
    with database.write() as session:
        change = SchemaChange(
            project_id=project_id,
            table_id=table_id,
            state=ChangeState.PENDING,
            change="additive",
            parts=[],
            undecided=1,
            decided=0,
            proposed=[],
        )
        session.add(change)
    assert table_row(database, table_id).pending
    with database.write() as session:
        session.get_one(SchemaChange, change.id).state = ChangeState.DECIDED
    assert not table_row(database, table_id).pending


def test_a_table_is_stale_by_its_own_number_or_its_projects(
    client: httpx.Client, make_table: MakeTable, database: Database, project_id: int
) -> None:
    table_id = make_table(last_refreshed_at=NOW - DAY)
    path = f"warehouse_tables/{table_id}/"

    def state(seconds: Any) -> tuple[str, int | None]:
        answer = client.patch(path, json={"stale_after_seconds": seconds})
        assert answer.status_code == 200, answer.text
        told = answer.json()["state"]
        for each in ("stale", "fresh"):
            found = names(client.get(f"warehouse_tables/?state={each}"))
            assert len(found) == (told == each)
        counts = client.get("warehouse_tables/counts/").json()["by_state"]
        assert {each: counts[each] for each in counts if counts[each]} == {told: 1}
        return told, answer.json()["stale_after_seconds"]

    assert state(None) == ("fresh", None)
    assert state(3600) == ("stale", 3600)
    assert state(2 * 86_400) == ("fresh", 2 * 86_400)
    project = client.patch("", json={"stale_after_seconds": 60}).json()
    assert project["stale_after_seconds"] == 60
    assert client.get(path).json()["state"] == "fresh"
    assert state(None) == ("stale", None)
    assert client.patch("", json={"change_policy": "auto"}).json()["stale_after_seconds"] == 60
    assert (
        client.patch("", json={"stale_after_seconds": None}).json()["stale_after_seconds"] is None
    )
    actions = [each["action"] for each in client.get("audit_log/").json()["results"]]
    assert {"table.stale_after", "project.stale_after"} <= set(actions)


@pytest.mark.parametrize("seconds", [0, -1, 1.5, True, "60", 10**12])
def test_an_age_that_is_none_is_refused(
    client: httpx.Client, make_table: MakeTable, seconds: Any
) -> None:
    for path in ("", f"warehouse_tables/{make_table()}/"):
        answer = client.patch(path, json={"stale_after_seconds": seconds})
        assert (answer.status_code, answer.json()["attr"]) == (400, "stale_after_seconds")
