"""`GET warehouse_tables/{id}/schema/`: as of a time, or of a file; and origins in answers."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy import update as update_rows

from stocktake.db.models import SchemaVersion, Table
from stocktake.db.session import Database
from stocktake.schema.columns import Column
from stocktake.schema.origin import Origin, Origins, Place
from stocktake.schema.stored_origins import stored_origins
from tests.integration.api.conftest import Served
from tests.integration.api.playing import read_columns, start_worker

SOURCE = [Column.of("id", "Int64"), Column.of("name", "Nullable(String)")]
#: When each of the three versions was stored.
TIMES = [datetime(2026, month, 2, 10, tzinfo=UTC) for month in (9, 10, 11)]
FILE = "2026/10/30.parquet"


@pytest.fixture
def table(client: httpx.Client, served: Served, database: Database) -> str:
    """A Parquet table of three versions."""
    start_worker(served, read_columns(SOURCE))
    body = {"name": "orders", "format": "Parquet", "options": {"public": True}}
    url = {"url_pattern": "https://bucket.s3.amazonaws.com/orders/*.parquet"}
    table_id: str = client.post("warehouse_tables/", json=body | url).json()["id"]
    for name in ("float", "string"):
        client.post(f"warehouse_tables/{table_id}/update_schema/", json={"updates": {"id": name}})
    brought = {"brought_by": Place(file=FILE).as_dict()}
    origin = Origin(
        first=Place.of_file("old.parquet", datetime(2026, 8, 1, tzinfo=UTC)),
        newest=Place.of_file("new.parquet", datetime(2026, 10, 20, tzinfo=UTC)),
        files=2,
    )
    origins = Origins(columns={"id": origin}, of_files=3)
    with database.write() as session:
        for number, at in enumerate(TIMES, 1):
            one = SchemaVersion.number == number
            session.execute(update_rows(SchemaVersion).where(one).values(created_at=at))
        third = session.scalars(select(SchemaVersion).where(SchemaVersion.number == 3)).one()
        third.diff = third.diff | {"changed": [{"origin": brought}]}
        row = session.scalars(select(Table)).one()
        row.origins = stored_origins(origins, ["id", "name"])
    return table_id


def ask(client: httpx.Client, table: str, **params: str) -> httpx.Response:
    return client.get(f"warehouse_tables/{table}/schema/", params=params)


@pytest.mark.parametrize(
    ("as_of", "number", "until"),
    [
        # a date is its first moment in UTC
        ("2026-09-03", 1, TIMES[1]),
        ("2026-11-02", 2, TIMES[2]),
        ("2026-11-03", 3, None),
        ("2026-11-02T10:00:00Z", 3, None),
        ("2026-11-02T09:59:59Z", 2, TIMES[2]),
        ("2026-11-02T11:59:59+02:00", 2, TIMES[2]),
        ("2026-11-02T12:00:00+02:00", 3, None),
    ],
)
def test_the_schema_that_was_live_at_a_time_is_shown(
    client: httpx.Client, table: str, as_of: str, number: int, until: datetime | None
) -> None:
    answer = ask(client, table, as_of=as_of)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["number"] == number
    told = found["live_until"]
    assert (told and datetime.fromisoformat(told)) == until
    assert [column["name"] for column in found["columns"]] == ["id", "name"]


def test_a_plus_sign_need_not_be_escaped(client: httpx.Client, table: str) -> None:
    url = f"warehouse_tables/{table}/schema/?as_of=2026-11-02T11:59:59+02:00"
    assert client.get(url).json()["number"] == 2


@pytest.mark.parametrize(
    ("as_of", "said"),
    [
        ("2026-09-02", "first schema was stored at 2026-09-02T10:00:00Z"),
        ("2999-01-01", "has not come yet"),
        ("2026-11-02T10:00:00", "without a zone"),
        ("yesterday", "is no date and no time"),
        ("2026-02-30", "is no date and no time"),
        ("0001-01-01T00:00:00+14:00", "is no date and no time"),
    ],
)
def test_a_time_without_an_answer_is_refused(
    client: httpx.Client, table: str, as_of: str, said: str
) -> None:
    answer = ask(client, table, as_of=as_of)
    assert (answer.status_code, answer.json()["attr"]) == (400, "as_of")
    assert said in answer.json()["detail"]


@pytest.mark.parametrize(
    ("file", "number"),
    [
        # that it brought
        (FILE, 3),
        # that was live when it was written
        ("new.parquet", 2),
        # older than all that is known
        ("old.parquet", 1),
    ],
)
def test_the_schema_of_a_file_is_shown(
    client: httpx.Client, table: str, file: str, number: int
) -> None:
    assert ask(client, table, for_file=file).json()["number"] == number


@pytest.mark.parametrize("file", ["2026/10/3_.parquet", "%", "other.parquet", '"', "\\"])
def test_a_file_that_is_not_remembered_is_not_found(
    client: httpx.Client, table: str, file: str
) -> None:
    answer = ask(client, table, for_file=file)
    assert (answer.status_code, answer.json()["code"]) == (404, "file_not_known")
    assert "as_of" in answer.json()["detail"]


def test_without_a_question_the_present_schema_is_shown(client: httpx.Client, table: str) -> None:
    assert ask(client, table).json()["number"] == 3
    both = ask(client, table, as_of="2026-11-03", for_file=FILE)
    assert (both.status_code, both.json()["attr"]) == (400, "for_file")


def test_another_project_s_table_has_no_schema(client: httpx.Client) -> None:
    other = "01a224f5-5d89-737b-ac2f-3c31357dee7d"
    assert ask(client, other, as_of="2026-11-03").status_code == 404


def test_a_table_shows_the_origins_of_its_columns_and_a_list_does_not(
    client: httpx.Client, table: str
) -> None:
    shown: dict[str, Any] = client.get(f"warehouse_tables/{table}/").json()
    origin = shown["columns"][0]["origin"]
    assert (origin["first"]["file"], origin["newest"]["file"]) == ("old.parquet", "new.parquet")
    assert (origin["files"], origin["of_files"], origin["unstable"]) == (2, 3, False)
    assert shown["columns"][1]["origin"] is None
    (listed,) = client.get("warehouse_tables/").json()["results"]
    assert [column["origin"] for column in listed["columns"]] == [None, None]
    changed = client.patch(f"warehouse_tables/{table}/", json={"name": "sales"}).json()
    assert changed["columns"] == shown["columns"]
