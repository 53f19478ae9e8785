"""PATCH, PUT and DELETE of a table."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select

from stocktake.db.models import Base, StoredCredential, Table, Upload
from stocktake.db.session import Database, Ring
from stocktake.schema.columns import Column
from stocktake.security.encryption import Keyring, Sealed
from stocktake.states import JobKind, UploadState
from tests.integration.api.conftest import MakeJob, Served
from tests.integration.api.playing import (
    jobs_of,
    read_columns,
    start_worker,
    states_of,
    table_row,
    take,
    wait_for_a_lock,
)

KEYS = {"access_key": "AKIAEXAMPLE", "access_secret": "wJalrXUtnFEMI"}
URL = "https://bucket.s3.amazonaws.com/orders/*.parquet"
SOURCED = {"external_data_source": {"id": "0190", "source_type": "Stripe"}}


@pytest.fixture
def orders(client: httpx.Client) -> dict[str, Any]:
    """A registered table, as its create was answered."""
    body = {"name": "orders", "format": "Parquet", "url_pattern": URL, "credential": KEYS}
    table: dict[str, Any] = client.post("warehouse_tables/", json=body).json()
    return table


def change(client: httpx.Client, table: dict[str, Any], **fields: Any) -> httpx.Response:
    return client.patch(f"warehouse_tables/{table['id']}/", json=fields)


def stored_pair(served: Served, table_id: str) -> tuple[str, str]:
    with served.database.read() as session:
        table = session.get_one(Table, UUID(table_id))
        row = session.get_one(StoredCredential, table.credential_id)
    keyring = Keyring.of(served.settings.secret_keys)
    pair = keyring.open(
        Sealed(key_id=row.key_id, ciphertext=row.ciphertext),
        project_id=table.project_id,
        credential_id=row.id,
    )
    return pair.access_key, pair.access_secret


@pytest.mark.parametrize("verb", ["PATCH", "PUT"])
def test_sending_back_what_was_got_changes_nothing(
    client: httpx.Client, orders: dict[str, Any], rings: list[Ring], database: Database, verb: str
) -> None:
    path = f"warehouse_tables/{orders['id']}/"
    answer = client.request(verb, path, json=client.get(path).json())
    assert answer.status_code == 200, answer.text
    assert answer.json() == client.get(path).json()
    assert table_row(database, orders["id"]).generation == 1
    assert len(rings) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("url_pattern", "https://bucket.s3.amazonaws.com/orders/2026/*.parquet"),
        ("format", "CSVWithNames"),
        ("options", {"csv_delimiter": ";"}),
        ("credential", {"access_secret": "another"}),
    ],
)
def test_a_change_of_the_source_is_a_new_generation_and_queues_a_refresh(
    client: httpx.Client,
    orders: dict[str, Any],
    database: Database,
    field: str,
    value: Any,
) -> None:
    take(database, jobs_of(database, orders["id"])[0].id)
    answer = change(client, orders, **{field: value})
    assert answer.status_code == 200, answer.text
    if field != "credential":
        assert answer.json()[field] == value
    assert table_row(database, orders["id"]).generation == 2
    assert states_of(database, orders["id"]) == [
        ("refresh_schema", "running"),
        ("refresh_schema", "queued"),
    ]
    assert answer.json()["latest_job"]["state"] == "queued"


def test_a_changed_source_forgets_what_the_readers_remembered(
    client: httpx.Client, make_table: Callable[..., UUID], database: Database
) -> None:
    table_id = make_table(source_state={"version": 3}, validated_state={"version": 3})
    answer = client.patch(f"warehouse_tables/{table_id}/", json={"format": "CSV"})
    assert answer.status_code == 200, answer.text
    table = table_row(database, table_id)
    assert (table.source_state, table.validated_state) == (None, None)


def test_a_changed_source_ends_the_validation_that_waits(
    client: httpx.Client, orders: dict[str, Any], make_job: MakeJob, database: Database
) -> None:
    make_job(table_id=UUID(orders["id"]), kind=JobKind.VALIDATE_COLUMNS)
    change(client, orders, format="CSV")
    validation = next(
        job for job in jobs_of(database, orders["id"]) if job.kind == "validate_columns"
    )
    assert (validation.state, (validation.error or {})["code"]) == ("cancelled", "superseded")


def test_a_waited_change_answers_with_the_new_columns(
    client: httpx.Client, orders: dict[str, Any], served: Served, database: Database
) -> None:
    first = jobs_of(database, orders["id"])[0].id
    read_columns([Column.of("old", "Int64")])(database, first)
    start_worker(served, read_columns([Column.of("new", "Int64")]))
    answer = client.patch(
        f"warehouse_tables/{orders['id']}/",
        json={"format": "CSV"},
        headers={"Prefer": "wait=10"},
    )
    assert [column["key"] for column in answer.json()["columns"]] == ["new"]


def test_a_table_is_renamed_without_a_refresh(
    client: httpx.Client, orders: dict[str, Any], rings: list[Ring], database: Database
) -> None:
    answer = change(client, orders, name="sales.orders")
    assert (answer.status_code, answer.json()["name"]) == (200, "sales.orders")
    assert table_row(database, orders["id"]).generation == 1
    assert len(rings) == 1


def test_a_table_can_take_its_own_name_but_no_other_tables(
    client: httpx.Client, orders: dict[str, Any], make_table: Callable[..., UUID]
) -> None:
    make_table("customers")
    assert change(client, orders, name="orders").status_code == 200
    taken = change(client, orders, name="customers")
    assert (taken.status_code, taken.json()["detail"], taken.json()["attr"]) == (
        400,
        "A table with this name already exists.",
        "name",
    )


def test_read_only_fields_are_ignored(client: httpx.Client, orders: dict[str, Any]) -> None:
    answer = change(client, orders, id="x", created_by=None, columns=[], row_count=5)
    assert answer.status_code == 200
    assert (answer.json()["id"], answer.json()["row_count"]) == (orders["id"], None)


@pytest.mark.parametrize(
    ("fields", "code", "detail", "attr"),
    [
        ({"options": None}, "invalid_input", "Options must be a JSON object.", "options"),
        ({"options": "x"}, "invalid_input", "Options must be a JSON object.", "options"),
        ({"credential": None}, "null", "This field may not be null.", "credential"),
        (
            {"credential": {"access_key": None}},
            "null",
            "This field may not be null.",
            "credential__access_key",
        ),
        (
            {"credential": {"access_key": " "}},
            "blank",
            "Access key can't be blank",
            "credential__access_key",
        ),
        (
            {"credential": {"access_key": "k", "access_secret": ""}},
            "blank",
            "Access secret can't be blank",
            "credential__access_secret",
        ),
        ({"name": None}, "null", "This field may not be null.", "name"),
        ({"name": " "}, "blank", "This field may not be blank.", "name"),
        ({"format": "XML"}, "invalid_input", '"XML" is not a valid choice.', "format"),
        ({"format": None}, "null", "This field may not be null.", "format"),
        (
            {"url_pattern": "http://bucket.s3.amazonaws.com/x"},
            "invalid_input",
            "URL pattern must use https.",
            "url_pattern",
        ),
        (
            {"format": "Delta"},
            "invalid_input",
            "A Delta table is named by its root folder: the URL pattern can't contain wildcards.",
            "url_pattern",
        ),
    ],
)
def test_a_wrong_value_is_refused_and_changes_nothing(
    client: httpx.Client,
    orders: dict[str, Any],
    served: Served,
    fields: dict[str, Any],
    code: str,
    detail: str,
    attr: str,
) -> None:
    answer = change(client, orders, **({"name": "renamed"} | fields))
    body = answer.json()
    assert (answer.status_code, body["code"], body["detail"], body["attr"]) == (
        400,
        code,
        detail,
        attr,
    )
    assert client.get(f"warehouse_tables/{orders['id']}/").json() == orders
    assert stored_pair(served, orders["id"]) == tuple(KEYS.values())


def test_either_key_may_be_changed_alone(
    client: httpx.Client, orders: dict[str, Any], served: Served
) -> None:
    answer = change(client, orders, credential={"access_secret": "new"})
    assert answer.json()["credential"] == orders["credential"]
    assert stored_pair(served, orders["id"]) == (KEYS["access_key"], "new")


def test_the_same_keys_again_are_no_change(
    client: httpx.Client, orders: dict[str, Any], database: Database
) -> None:
    assert change(client, orders, credential=KEYS).status_code == 200
    assert table_row(database, orders["id"]).generation == 1


@pytest.mark.parametrize(
    "url_pattern",
    [
        "https://stranger.s3.amazonaws.com/orders/*.parquet",
        "https://s3.amazonaws.com/stranger/orders/*.parquet",
        "https://storage.googleapis.com/bucket/orders/*.parquet",
    ],
)
def test_another_bucket_or_host_needs_both_keys_again(
    client: httpx.Client, orders: dict[str, Any], url_pattern: str
) -> None:
    for credential in ({}, {"credential": {"access_key": "other"}}):
        answer = change(client, orders, url_pattern=url_pattern, **credential)
        assert (answer.status_code, answer.json()["code"], answer.json()["attr"]) == (
            400,
            "credential_required",
            "credential",
        )
    answer = change(client, orders, url_pattern=url_pattern, credential=KEYS)
    assert (answer.status_code, answer.json()["url_pattern"]) == (200, url_pattern)


def test_a_table_that_is_public_no_more_needs_a_credential(
    client: httpx.Client, make_table: Callable[..., UUID]
) -> None:
    table = {"id": make_table(options={"public": True})}
    answer = change(client, table, options={})
    assert (answer.status_code, answer.json()["code"]) == (400, "credential_required")
    assert change(client, table, options={}, credential=KEYS).status_code == 200


def test_null_where_there_is_no_credential_is_no_change(
    client: httpx.Client, make_table: Callable[..., UUID]
) -> None:
    table = {"id": make_table(options={"public": True})}
    assert change(client, table, credential=None).status_code == 200


def test_a_first_credential_needs_both_keys(
    client: httpx.Client, make_table: Callable[..., UUID]
) -> None:
    table = {"id": make_table(options={"public": True})}
    blank = change(client, table, credential={"access_key": " ", "access_secret": "s"})
    assert (blank.status_code, blank.json()["detail"]) == (400, "Access key can't be blank")
    half = change(client, table, credential={"access_key": "k"})
    assert (half.status_code, half.json()["attr"]) == (400, "credential__access_secret")
    assert change(client, table, credential=KEYS).status_code == 200


@pytest.fixture
def uploaded(client: httpx.Client) -> dict[str, Any]:
    """A table of an upload that no worker has read yet."""
    sent = client.post(
        "warehouse_tables/file/", data={"name": "people"}, files={"file": ("x.csv", b"id\n1\n")}
    )
    table: dict[str, Any] = client.get(f"warehouse_tables/{sent.json()['id']}/").json()
    return table


@pytest.mark.parametrize("fields", [{}, {"url_pattern": URL.replace("orders", "sales")}])
def test_item_2_a_name_that_is_taken_while_it_is_written_is_refused(
    client: httpx.Client, orders: dict[str, Any], database: Database, fields: dict[str, Any]
) -> None:
    second = client.post(
        "warehouse_tables/",
        json={"name": "other", "format": "Parquet", "url_pattern": URL, "credential": KEYS},
    ).json()
    with ThreadPoolExecutor(1) as pool:
        with database.write() as session:
            session.get_one(Table, UUID(second["id"])).name = "taken"
            session.flush()
            asked = pool.submit(change, client, orders, name="taken", **fields)
            wait_for_a_lock(database)
        answer = asked.result()
    assert (answer.status_code, answer.json()["attr"]) == (400, "name")
    assert answer.json()["detail"] == "A table with this name already exists."
    shown = client.get(f"warehouse_tables/{orders['id']}/").json()
    assert (shown["name"], shown["url_pattern"]) == ("orders", URL)


def test_item_2_of_many_renames_to_one_name_at_once_one_wins(client: httpx.Client) -> None:
    body = {"format": "Parquet", "url_pattern": URL, "credential": KEYS}
    made = [
        client.post("warehouse_tables/", json=body | {"name": f"t{i}"}).json() for i in range(10)
    ]
    start = threading.Barrier(len(made))

    def rename(table: dict[str, Any]) -> int:
        start.wait()
        return change(client, table, name="one").status_code

    with ThreadPoolExecutor(len(made)) as pool:
        assert sorted(pool.map(rename, made)) == [200] + [400] * 9


def test_an_uploaded_table_can_be_sent_back_and_renamed(
    client: httpx.Client, uploaded: dict[str, Any], rings: list[Ring]
) -> None:
    answer = client.put(f"warehouse_tables/{uploaded['id']}/", json=uploaded)
    assert (answer.status_code, answer.json()) == (200, uploaded)
    assert change(client, uploaded, name="folk").json()["name"] == "folk"
    assert len(rings) == 1


@pytest.mark.parametrize(
    ("fields", "attr"),
    [
        ({"format": "Delta"}, "format"),
        ({"credential": KEYS}, "credential"),
        ({"url_pattern": URL}, "url_pattern"),
        ({"url_pattern": URL, "credential": KEYS}, "url_pattern"),
    ],
)
def test_item_13_what_makes_no_sense_for_an_uploaded_table_is_refused(
    client: httpx.Client, uploaded: dict[str, Any], fields: dict[str, Any], attr: str
) -> None:
    answer = change(client, uploaded, **fields)
    assert (answer.status_code, answer.json()["attr"]) == (400, attr)
    assert client.get(f"warehouse_tables/{uploaded['id']}/").json() == uploaded


def test_an_upload_that_is_being_read_stops_when_its_table_is_deleted(
    client: httpx.Client, uploaded: dict[str, Any], database: Database
) -> None:
    take(database, jobs_of(database, uploaded["id"])[0].id)
    assert client.delete(f"warehouse_tables/{uploaded['id']}/").status_code == 204
    running = jobs_of(database, uploaded["id"])[0]
    assert (running.state, running.cancel_requested_at is not None) == ("running", True)


def test_deleted_true_deletes(client: httpx.Client, orders: dict[str, Any]) -> None:
    answer = change(client, orders, deleted=True)
    assert (answer.status_code, answer.json()["deleted"]) == (200, True)
    assert client.get(f"warehouse_tables/{orders['id']}/").status_code == 404
    assert change(client, orders, deleted=False).status_code == 404


def test_delete_hides_the_table_and_frees_its_name(
    client: httpx.Client, orders: dict[str, Any]
) -> None:
    path = f"warehouse_tables/{orders['id']}/"
    answer = client.delete(path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert client.get(path).status_code == client.delete(path).status_code == 404
    assert client.get("warehouse_tables/").json()["results"] == []
    body = {"name": "orders", "format": "CSV", "url_pattern": URL, "credential": KEYS}
    assert client.post("warehouse_tables/", json=body).status_code == 201


def test_delete_erases_the_credential_and_ends_the_jobs(
    client: httpx.Client, orders: dict[str, Any], database: Database
) -> None:
    take(database, jobs_of(database, orders["id"])[0].id)
    client.post(f"warehouse_tables/{orders['id']}/refresh_schema/")
    client.delete(f"warehouse_tables/{orders['id']}/")
    running, queued = jobs_of(database, orders["id"])
    assert running.cancel_requested_at is not None
    assert (queued.state, (queued.error or {})["code"]) == ("cancelled", "superseded")
    table = table_row(database, orders["id"])
    assert (table.deleted, table.generation, table.credential_id) == (True, 2, None)
    assert table.deleted_at is not None
    with database.read() as session:
        assert session.query(StoredCredential).count() == 0


def test_nothing_in_the_database_holds_the_keys_of_a_deleted_table(
    client: httpx.Client, orders: dict[str, Any], database: Database
) -> None:
    path = f"warehouse_tables/{orders['id']}/"
    other = {"access_key": "AKIAANOTHER", "access_secret": "Zm9yZ290dGVu"}
    take(database, jobs_of(database, orders["id"])[0].id)
    change(client, orders, credential=other, options={"validate": False})
    client.post(f"{path}refresh_schema/", headers={"Idempotency-Key": "once"})
    with database.read() as session:
        sealed = session.scalars(select(StoredCredential.ciphertext)).one()
    assert repr(sealed) in _everything(database)

    assert client.delete(path, headers={"Idempotency-Key": "twice"}).status_code == 204

    left = _everything(database)
    assert orders["id"].replace("-", "") in left.replace("-", "")  # the row itself stays
    for secret in (repr(sealed), *KEYS.values(), *other.values()):
        assert secret not in left


def _everything(database: Database) -> str:
    """All rows of all tables."""
    with database.read() as session:
        rows = [session.execute(select(each)).all() for each in Base.metadata.sorted_tables]
    return repr(rows)


def test_delete_leaves_the_bytes_of_an_upload_to_the_clock(
    client: httpx.Client, make_table: Callable[..., UUID], database: Database, project_id: int
) -> None:
    with database.write() as session:
        upload = Upload(
            project_id=project_id,
            filename="x.csv",
            object_key="k",
            state=UploadState.ACTIVE.value,
        )
        session.add(upload)
        session.flush()
        upload_id = upload.id
    table_id = make_table(managed=True, upload_id=upload_id)
    client.delete(f"warehouse_tables/{table_id}/")
    with database.read() as session:
        assert session.get_one(Upload, upload_id).state == "superseded"


@pytest.mark.parametrize("verb", ["DELETE", "PATCH"])
def test_a_sourced_table_is_not_deleted(
    client: httpx.Client, make_table: Callable[..., UUID], verb: str
) -> None:
    path = f"warehouse_tables/{make_table(**SOURCED)}/"
    answer = client.request(verb, path, json={"deleted": True})
    assert answer.status_code == 400
    assert answer.json() == {
        "type": "validation_error",
        "code": "invalid_input",
        "detail": "Can't delete a sourced table",
        "attr": None,
        "message": "Can't delete a sourced table",
    }
    assert client.get(path).status_code == 200


def test_the_source_of_a_sourced_table_is_not_changed_but_its_name_is(
    client: httpx.Client, make_table: Callable[..., UUID]
) -> None:
    table = {"id": make_table(**SOURCED)}
    assert change(client, table, name="stripe").status_code == 200
    answer = change(client, table, format="CSV")
    assert (answer.status_code, answer.json()["message"]) == (
        400,
        "The table must be a manually linked table",
    )


@pytest.mark.parametrize("verb", ["PATCH", "DELETE"])
def test_another_tenants_table_is_not_found(
    client: httpx.Client, make_table: Callable[..., UUID], other_project: int, verb: str
) -> None:
    foreign = make_table("theirs", other_project)
    answers = [
        client.request(verb, f"warehouse_tables/{each}/", json={"name": "mine"})
        for each in (foreign, "0190f000-0000-7000-8000-000000000000", "nonsense")
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.text for answer in answers}) == 1


def test_keys_of_another_kind_are_refused_and_change_nothing(
    client: httpx.Client, orders: dict[str, Any]
) -> None:
    sas = {"access_key": "acc", "access_secret": "sv=2024-11-04&sp=rl&sig=c2VjcmV0"}
    answer = change(client, orders, credential=sas)
    assert (answer.status_code, answer.json()["code"]) == (400, "wrong_key_kind")
    azure = "https://acc.blob.core.windows.net/lake/orders/*.parquet"
    answer = change(client, orders, url_pattern=azure, credential=sas)
    assert (answer.status_code, answer.json()["url_pattern"]) == (200, azure)
