"""`update_schema` and the history of schemas."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import update as update_rows

from stocktake.db.models import Job, SchemaVersion
from stocktake.db.session import Database
from stocktake.schema.columns import Column
from tests.integration.api.conftest import Served
from tests.integration.api.playing import (
    jobs_of,
    read_columns,
    start_worker,
    states_of,
    table_row,
)

SOURCE = [Column.of("id", "Int64"), Column.of("name", "Nullable(String)")]
SOURCED = {"external_data_source": {"id": "0190", "source_type": "Stripe"}}


@pytest.fixture
def table(client: httpx.Client, served: Served) -> str:
    """A Parquet table that was read once; the worker reads the same again."""
    start_worker(served, read_columns(SOURCE))
    body = {"name": "orders", "format": "Parquet", "options": {"public": True}}
    url = {"url_pattern": "https://bucket.s3.amazonaws.com/orders/*.parquet"}
    table_id: str = client.post("warehouse_tables/", json=body | url).json()["id"]
    return table_id


def update(client: httpx.Client, table: Any, updates: Any) -> httpx.Response:
    return client.post(f"warehouse_tables/{table}/update_schema/", json={"updates": updates})


def types(client: httpx.Client, table: Any) -> dict[str, str]:
    columns = client.get(f"warehouse_tables/{table}/").json()["columns"]
    return {column["key"]: column["type"] for column in columns}


@pytest.mark.parametrize(
    ("name", "clickhouse", "hogql", "wire"),
    [
        ("integer", "Nullable(Int64)", "IntegerDatabaseField", "integer"),
        ("float", "Nullable(Float64)", "FloatDatabaseField", "float"),
        ("decimal", "Nullable(Decimal)", "DecimalDatabaseField", "decimal"),
        ("string", "Nullable(String)", "StringDatabaseField", "string"),
        ("datetime", "Nullable(DateTime64)", "DateTimeDatabaseField", "datetime"),
        ("date", "Nullable(Date)", "DateDatabaseField", "date"),
        ("boolean", "Nullable(Bool)", "BooleanDatabaseField", "boolean"),
        ("array", "Nullable(Array)", "StringArrayDatabaseField", "array"),
        ("json", "Nullable(Map)", "StringJSONDatabaseField", "json"),
        ("FLOAT", "Nullable(Float64)", "FloatDatabaseField", "float"),
    ],
)
def test_each_type_is_stored_with_its_class(
    client: httpx.Client,
    table: str,
    database: Database,
    name: str,
    clickhouse: str,
    hogql: str,
    wire: str,
) -> None:
    answer = update(client, table, {"id": name})
    assert answer.status_code == 200, answer.text
    stored = table_row(database, table).columns[0]
    assert (stored["clickhouse"], stored["hogql"], stored["override"]) == (clickhouse, hogql, True)
    assert types(client, table) == {"id": wire, "name": "string"}


def test_an_override_survives_a_refresh_and_is_no_new_generation(
    client: httpx.Client, table: str, database: Database
) -> None:
    update(client, table, {"id": "float"})
    client.post(f"warehouse_tables/{table}/refresh_schema/")
    assert types(client, table) == {"id": "float", "name": "string"}
    assert table_row(database, table).generation == 1


def test_a_cleared_override_restores_the_sources_type_and_refreshes(
    client: httpx.Client, table: str, database: Database, served: Served
) -> None:
    update(client, table, {"id": "float", "name": "json"})
    served.rings.rung = []  # nobody works now
    answer = update(client, table, {"id": None})
    assert [column["type"] for column in answer.json()["columns"]] == ["integer", "json"]
    assert states_of(database, table)[-1] == ("refresh_schema", "queued")
    row = table_row(database, table)
    assert (row.columns[0]["clickhouse"], row.columns[0]["override"]) == ("Int64", False)
    assert row.source_state is None


def test_clearing_what_nobody_set_changes_nothing(
    client: httpx.Client, table: str, database: Database
) -> None:
    before = client.get(f"warehouse_tables/{table}/").json()
    assert update(client, table, {"id": None}).json() == before
    assert len(jobs_of(database, table)) == 1


@pytest.mark.parametrize(
    "content", [b"", b"{}", b'{"updates": null}', b'{"updates": {}}', b'{"other": 1}']
)
def test_missing_or_empty_updates_change_nothing(
    client: httpx.Client, table: str, content: bytes
) -> None:
    before = client.get(f"warehouse_tables/{table}/").json()
    path = f"warehouse_tables/{table}/update_schema/"
    answer = client.post(path, content=content, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()) == (200, before)


@pytest.mark.parametrize(
    ("updates", "sentence"),
    [
        ({"x": "float"}, "Column x does not exist on table"),
        ({"id": "float", "x": "nonsense"}, "Column x does not exist on table"),
        (
            {"id": "another_type"},
            "Can not parse type another_type for column id - type does not exist",
        ),
        ({"id": "uuid"}, "Can not parse type uuid for column id - type does not exist"),
        ({"id": 5}, "Can not parse type 5 for column id - type does not exist"),
        (
            {"name": "float", "id": "nope"},
            "Can not parse type nope for column id - type does not exist",
        ),
    ],
)
def test_a_wrong_update_is_refused_and_nothing_of_it_is_done(
    client: httpx.Client, table: str, updates: dict[str, Any], sentence: str
) -> None:
    answer = update(client, table, updates)
    assert (answer.status_code, answer.json()) == (
        400,
        {
            "type": "validation_error",
            "code": "invalid_input",
            "detail": sentence,
            "attr": None,
            "message": sentence,
        },
    )
    assert types(client, table) == {"id": "integer", "name": "string"}


@pytest.mark.parametrize("updates", [["id"], "id", 1])
def test_updates_that_are_no_object_are_400(client: httpx.Client, table: str, updates: Any) -> None:
    assert update(client, table, updates).status_code == 400


def test_the_types_of_a_sourced_table_are_not_ours(
    client: httpx.Client, make_table: Callable[..., UUID]
) -> None:
    answer = update(client, make_table(**SOURCED), {"id": "float"})
    assert (answer.status_code, answer.json()["message"]) == (
        400,
        "The table must be a manually linked table",
    )


def test_a_decimal_that_delta_has_not_is_refused_for_a_managed_table(
    client: httpx.Client, make_table: Callable[..., UUID]
) -> None:
    columns = [Column.of("price", "Nullable(String)").as_dict()]
    ours = make_table("ours", format="Delta", managed=True, columns=columns)
    answer = update(client, ours, {"price": "decimal(39, 2)"})
    assert answer.status_code == 400
    assert "Delta's decimals have 38 digits at most" in answer.json()["message"]
    assert update(client, ours, {"price": "decimal(38, 2)"}).status_code == 200
    theirs = make_table("theirs", format="Parquet", columns=columns)
    assert update(client, theirs, {"price": "decimal(39, 2)"}).status_code == 200


@pytest.mark.parametrize(("options", "validated"), [({}, True), ({"validate": False}, False)])
def test_an_override_of_a_text_table_is_validated_unless_unwanted(
    client: httpx.Client,
    make_table: Callable[..., UUID],
    database: Database,
    options: dict[str, Any],
    validated: bool,
) -> None:
    columns = [Column.of("id", "Nullable(Int64)").as_dict()]
    table_id = make_table(format="CSV", columns=columns, options=options)
    assert update(client, table_id, {"id": "float"}).status_code == 200
    assert states_of(database, table_id) == [("validate_columns", "queued")] * validated


def test_every_change_of_types_is_a_version(
    client: httpx.Client, table: str, database: Database
) -> None:
    update(client, table, {"id": "float"})
    update(client, table, {"id": "float"})
    page = client.get(f"warehouse_tables/{table}/schema_versions/").json()
    assert page["count"] == 2
    newest, oldest = page["results"]
    assert list(newest) == [
        "number",
        "change",
        "column_count",
        "source_version",
        "job_id",
        "created_at",
    ]
    assert (newest["number"], newest["change"], newest["job_id"]) == (2, "widening", None)
    first_job = str(jobs_of(database, table)[0].id)
    assert (oldest["number"], oldest["change"], oldest["job_id"]) == (1, "additive", first_job)
    assert client.get(f"warehouse_tables/{table}/").json()["schema_version"] == 2


def test_a_version_has_its_columns_and_its_diff(client: httpx.Client, table: str) -> None:
    update(client, table, {"id": "float"})
    path = f"warehouse_tables/{table}/schema_versions"
    version = client.get(f"{path}/2/").json()
    assert version["columns"][0] == {
        "name": "id",
        "type": "float",
        "clickhouse": "Nullable(Float64)",
        "nullable": False,
        "override": True,
    }
    changed = {"name": "id", "from": "Int64", "to": "Nullable(Float64)", "only_fields": False}
    diff = client.get(f"{path}/2/diff/").json()
    assert (diff["from_version"], diff["to_version"], diff["change"]) == (1, 2, version["change"])
    assert diff["diff"]["changed"] == version["diff"]["changed"] == [changed]
    first = client.get(f"{path}/1/diff").json()
    assert (first["from_version"], first["change"]) == (None, "additive")
    assert [column["name"] for column in first["diff"]["added"]] == ["id", "name"]


def test_a_field_inside_of_a_column_is_shown_as_that_field(
    client: httpx.Client, served: Served, database: Database, table: str
) -> None:
    """As is that of a version, or of a job, that an earlier release stored without its fields."""
    old, new = "Array(Tuple(a Int64))", "Array(Tuple(a Int64, `b.c` Nullable(Date)))"
    path = f"warehouse_tables/{table}/schema_versions"
    for clickhouse in (old, new):
        start_worker(served, read_columns([*SOURCE, Column.of("o", clickhouse)]))
        client.post(f"warehouse_tables/{table}/refresh_schema/")
    expected = {
        "added": [{"path": ["o", "b.c"], "type": "Nullable(Date)"}],
        "removed": [],
        "changed": [],
        "omitted": 0,
    }
    changed = {"name": "o", "from": old, "to": new, "only_fields": True}
    ways = (f"{path}/3/diff/", f"{path}/3/", f"{path}/3/diff/?against=2")
    for way in ways:
        shown = client.get(way).json()
        assert shown["change"] == "additive"
        assert (shown["diff"]["fields"], shown["diff"]["changed"]) == (expected, [changed])
    without = {"added": [], "removed": [], "renamed": [], "reordered": False}
    without["changed"] = [{"name": "o", "from": old, "to": new}]
    job_id = jobs_of(database, table)[-1].id
    with database.write() as session:
        number = SchemaVersion.number == 3
        session.execute(update_rows(SchemaVersion).where(number).values(diff=without))
        session.execute(
            update_rows(Job).where(Job.id == job_id).values(result={"columns": 3, "diff": without})
        )
    for way in (*ways[:2], f"jobs/{job_id}/"):
        answer = client.get(way).json()
        diff = answer["result"]["diff"] if "result" in answer else answer["diff"]
        assert (diff["fields"], diff["changed"]) == (expected, [changed])


def test_any_two_versions_can_be_compared(client: httpx.Client, table: str) -> None:
    update(client, table, {"id": "float"})
    update(client, table, {"id": None})
    path = f"warehouse_tables/{table}/schema_versions/3/diff/"
    assert client.get(path, params={"against": 1}).json()["change"] == "none"
    assert client.get(path, params={"against": 9}).status_code == 404


@pytest.mark.parametrize("number", ["0", "3", "-1", "x", "2147483648", "9" * 5000])
def test_a_version_that_is_none_is_not_found(client: httpx.Client, table: str, number: str) -> None:
    for path in ("", "diff/"):
        url = f"warehouse_tables/{table}/schema_versions/{number}/{path}"
        assert client.get(url).status_code == 404


def test_versions_come_in_pages(client: httpx.Client, table: str) -> None:
    for name in ("float", "string", "date"):
        update(client, table, {"id": name})
    page = client.get(f"warehouse_tables/{table}/schema_versions/?limit=3").json()
    assert [version["number"] for version in page["results"]] == [4, 3, 2]
    rest = client.get(page["next"]).json()
    assert [version["number"] for version in rest["results"]] == [1]
