"""Policies and pending changes over HTTP: lists, decisions, what is refused, and repetitions."""

import json
from collections.abc import Callable, Iterator
from uuid import UUID

import httpx
import pytest

from stocktake.catalog import changes
from stocktake.db.models import SchemaChange, Table
from stocktake.db.session import Database
from stocktake.schema.columns import Column
from stocktake.schema.decisions import Verdict, column_changes
from stocktake.services import changes as service
from stocktake.services.changes import Decision
from tests.integration.api.conftest import MakeKey

MakeTable = Callable[..., UUID]
OLD = (Column.of("id", "Int64"), Column.of("n", "Int32"))
NEW = (Column.of("id", "Int64"), Column.of("n", "String"), Column.of("note", "Nullable(Date)"))


def settle(database: Database, table_id: UUID, fresh: tuple[Column, ...]) -> None:
    """What a refresh writes that found these columns."""
    with database.write() as session:
        table = session.get_one(Table, table_id)
        live = changes.settle(session, table, fresh, sampled=False, source_version="v", job_id=None)
        table.columns = [column.as_dict() for column in live]


@pytest.fixture
def table(make_table: MakeTable, database: Database) -> UUID:
    """A table under `manual`, of which a change waits."""
    stored = [column.as_dict() for column in OLD]
    table_id = make_table(columns=stored, schema_version=1, change_policy="manual")
    settle(database, table_id, NEW)
    return table_id


@pytest.fixture
def change(client: httpx.Client, table: UUID) -> str:
    """Its change."""
    (found,) = client.get("changes/").json()["results"]
    return str(found["id"])


def columns(client: httpx.Client, table: UUID) -> dict[str, str]:
    return {
        each["name"]: each["type"]
        for each in client.get(f"warehouse_tables/{table}/").json()["columns"]
    }


def test_a_table_shows_its_columns_and_the_change_that_waits(
    client: httpx.Client, table: UUID, change: str
) -> None:
    for body in (
        client.get(f"warehouse_tables/{table}/").json(),
        client.get("warehouse_tables/").json()["results"][0],
    ):
        assert body["change_policy"] == "manual"
        shown = body["pending_change"]
        assert (shown["id"], shown["change"]) == (change, "breaking")
        assert (shown["undecided"], shown["decided"]) == (2, 0)
        assert [each["name"] for each in body["columns"]] == ["id", "n"]


def test_a_change_is_shown_with_its_parts_and_the_diff(
    client: httpx.Client, table: UUID, change: str
) -> None:
    body = client.get(f"changes/{change}/").json()
    assert (body["table_id"], body["table_name"], body["state"]) == (
        str(table),
        "orders",
        "pending",
    )
    assert [(part["name"], part["change"], part["pinnable"]) for part in body["parts"]] == [
        ("n", "breaking", True),
        ("note", "additive", False),
    ]
    assert body["parts"][0]["before"] == [{"name": "n", "type": "Int32", "nullable": False}]
    assert body["diff"]["changed"] == [
        {"name": "n", "from": "Int32", "to": "String", "only_fields": False}
    ]


def test_the_list_is_filtered_and_paged(
    client: httpx.Client, table: UUID, change: str, make_table: MakeTable, database: Database
) -> None:
    other = make_table("other", columns=[], schema_version=1, change_policy="manual")
    settle(database, other, NEW)
    client.post(f"changes/{change}/decide/", json={"accept": "all"})

    def ids(**query: object) -> list[str]:
        return [
            each["table_name"] for each in client.get("changes/", params=query).json()["results"]
        ]

    assert ids() == ["other", "orders"]
    assert ids(state="pending") == ["other"]
    assert ids(state="decided", table=str(table)) == ["orders"]
    page = client.get("changes/", params={"limit": 1, "cursor": ""}).json()
    assert (page["count"], len(page["results"])) == (2, 1)
    assert client.get(page["next"]).json()["results"][0]["id"] == change
    assert client.get("changes/", params={"state": "nope"}).status_code == 400


def test_a_decision_is_told_as_a_version_and_undone_by_one_call(
    client: httpx.Client, table: UUID, change: str
) -> None:
    body = {"columns": {"n": "pin"}, "accept": "all"}
    answer = client.post(f"changes/{change}/decide/", json=body)
    decided = answer.json()
    assert (answer.status_code, decided["state"], decided["applied_as_version"]) == (
        200,
        "decided",
        2,
    )
    assert decided["decided_by"]["email"]
    assert decided["can_be_undone"]
    assert columns(client, table) == {"id": "integer", "n": "integer", "note": "date"}
    assert client.get(f"warehouse_tables/{table}/").json()["pending_change"] is None
    versions = client.get(f"warehouse_tables/{table}/schema_versions/").json()
    assert versions["results"][0]["number"] == 2

    undone = client.post(f"changes/{change}/undo/")
    assert (undone.status_code, undone.json()["state"]) == (200, "pending")
    assert columns(client, table) == {"id": "integer", "n": "integer"}
    assert client.post(f"changes/{change}/undo/").status_code == 409


def test_no_decision_of_another_source_is_undone(
    client: httpx.Client, table: UUID, change: str
) -> None:
    client.post(f"changes/{change}/decide/", json={"accept": "all"}).raise_for_status()
    assert client.get(f"changes/{change}/").json()["can_be_undone"]
    moved = client.patch(f"warehouse_tables/{table}/", json={"format": "JSONEachRow"})
    assert moved.status_code == 200, moved.text
    assert not client.get(f"changes/{change}/").json()["can_be_undone"]
    assert client.post(f"changes/{change}/undo/").status_code == 409
    assert client.get(f"warehouse_tables/{table}/").json()["pending_change"] is None


def test_a_decision_on_a_replaced_change_names_the_newer_one(
    client: httpx.Client, table: UUID, change: str, database: Database
) -> None:
    settle(database, table, (*NEW, Column.of("more", "Int8")))
    (newer,) = client.get("changes/", params={"state": "pending"}).json()["results"]
    answer = client.post(f"changes/{change}/decide/", json={"accept": "all"})
    assert (answer.status_code, answer.json()["code"]) == (409, "change_replaced")
    assert newer["id"] in answer.json()["detail"]
    assert client.get(f"changes/{change}/").json()["replaced_by"] == newer["id"]


def test_a_repetition_under_a_key_is_the_first_answer(
    client: httpx.Client, table: UUID, change: str
) -> None:
    def decide() -> httpx.Response:
        return client.post(
            f"changes/{change}/decide/", json={"accept": "all"}, headers={"Idempotency-Key": "k"}
        )

    first = decide()
    client.post(f"changes/{change}/undo/")
    again = decide()
    assert again.json() == first.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    assert columns(client, table) == {"id": "integer", "n": "integer"}


@pytest.mark.parametrize(
    ("body", "attr"),
    [
        ({}, "columns"),
        ({"columns": {"n": "maybe"}}, "columns__n"),
        ({"columns": {"nope": "accept"}}, "columns"),
        ({"accept": "some"}, "accept"),
        ({"acept": "all"}, "acept"),
    ],
)
def test_what_is_no_decision_is_refused(
    client: httpx.Client, change: str, body: object, attr: str
) -> None:
    answer = client.post(f"changes/{change}/decide/", json=body)
    assert (answer.status_code, answer.json()["attr"]) == (400, attr), answer.text


def test_what_was_decided_is_looked_through_once_for_all_columns_of_a_request() -> None:
    """For each of 10,000 it took five seconds, under SQLite's only write lock."""
    looks = 0

    class Parts(list[dict[str, object]]):
        def __iter__(self) -> Iterator[dict[str, object]]:
            nonlocal looks
            looks += 1
            return super().__iter__()

    live = [Column.of(f"c{number}", "Int32") for number in range(50)]
    fresh = [Column.of(f"c{number}", "String") for number in range(50)]
    parts = column_changes(tuple(live), tuple(fresh))
    decided = [part.as_dict() | {"decision": "accept"} for part in parts[:-1]]
    change = SchemaChange(parts=Parts([*decided, parts[-1].as_dict()]))
    asked = Decision(columns=dict.fromkeys((column.name for column in live), Verdict.ACCEPT))
    assert service._verdicts(change, parts[-1:], asked) == {"c49": Verdict.ACCEPT}
    assert looks == 1


def test_who_may_only_read_decides_nothing(
    connect: Callable[..., httpx.Client], make_key: MakeKey, change: str, project_id: int
) -> None:
    reader = connect(make_key(["warehouse_table:read"]))
    path = f"/api/projects/{project_id}/changes/{change}/"
    assert reader.get(path).status_code == 200
    for action in ("decide/", "undo/"):
        assert reader.post(path + action, json={"accept": "all"}).status_code == 403


def test_a_policy_is_set_for_a_table_and_for_all_of_a_project(
    client: httpx.Client, table: UUID, project_id: int
) -> None:
    path = f"warehouse_tables/{table}/"
    assert client.get("").json()["change_policy"] == "auto"
    assert client.patch("", json={"change_policy": "additive_only"}).json()["change_policy"] == (
        "additive_only"
    )
    sent_back = client.patch("", json=client.get("").json() | {"change_policy": "manual"})
    assert sent_back.json()["change_policy"] == "manual"
    assert client.patch("", json={"change_policy": "often"}).status_code == 400
    for policy in ("auto", None):
        body = client.patch(path, json={"change_policy": policy}).json()
        assert body["change_policy"] == policy
        assert body["pending_change"] is not None
    refused = client.patch(path, json={"change_policy": "manul"}).json()
    assert refused["attr"] == "change_policy"
    assert "did you mean 'manual'" in refused["detail"]
    entries = client.get("audit_log/", params={"action": "table.policy"}).json()["results"]
    assert [entry["detail"]["new"] for entry in entries] == [None, "auto"]


def test_a_table_may_be_registered_with_its_policy(client: httpx.Client) -> None:
    body = {
        "name": "new",
        "format": "Parquet",
        "options": {"public": True},
        "url_pattern": "https://bucket.s3.amazonaws.com/orders/*.parquet",
        "change_policy": "manual",
    }
    assert client.post("warehouse_tables/", json=body).json()["change_policy"] == "manual"


def test_ended_changes_are_kept_up_to_so_many_bytes_the_newest(
    client: httpx.Client, table: UUID, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(6):
        settle(database, table, (*NEW, Column.of(f"c{number}", "Int64")))
    found = client.get("changes/").json()["results"]
    assert len(found) == 7

    with database.read() as session:
        parts = session.get_one(SchemaChange, UUID(found[1]["id"])).parts
    monkeypatch.setattr(changes, "_KEPT_BYTES", 2.5 * len(json.dumps(parts)))
    settle(database, table, (*NEW, Column.of("last", "Int64")))

    left = client.get("changes/").json()["results"]
    assert [each["id"] for each in left[1:]] == [each["id"] for each in found[:2]]
    assert [each["state"] for each in left] == ["pending", "replaced", "replaced"]


@pytest.mark.parametrize(
    ("columns", "accept", "through"),
    [
        ({"n": "reject"}, "additive", "additive"),
        ({"n": "pin"}, "additive", "additive"),
        ({"n": "accept", "note": "reject"}, None, "breaking"),
        ({"n": "reject", "note": "reject"}, None, "none"),
        ({}, "all", "breaking"),
    ],
)
def test_a_decided_change_has_the_class_of_what_was_let_through(
    client: httpx.Client, change: str, columns: dict[str, str], accept: str | None, through: str
) -> None:
    body = {"columns": columns} | ({"accept": accept} if accept else {})
    decided = client.post(f"changes/{change}/decide/", json=body).json()
    assert (decided["state"], decided["change"]) == ("decided", through)
    assert [part["change"] for part in decided["parts"]] == ["breaking", "additive"]
    (listed,) = client.get("changes/").json()["results"]
    assert listed["change"] == through
    undone = client.post(f"changes/{change}/undo/").json()
    assert (undone["state"], undone["change"]) == ("pending", "breaking")


def test_a_change_that_is_decided_in_part_has_the_class_of_what_waits(
    client: httpx.Client, change: str
) -> None:
    body = {"columns": {"n": "reject"}}
    partly = client.post(f"changes/{change}/decide/", json=body).json()
    assert (partly["state"], partly["change"]) == ("pending", "additive")
    whole = client.post(f"changes/{change}/decide/", json={"accept": "all"}).json()
    assert (whole["state"], whole["change"]) == ("decided", "additive")
