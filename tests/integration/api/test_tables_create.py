"""POST warehouse_tables/, with and without a wait."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from pydantic import SecretStr

from stocktake.db.models import AuditEntry, StoredCredential, Table
from stocktake.db.session import Database, Ring
from stocktake.errors import (
    AccessDeniedError,
    SourceNotFoundError,
    StorageThrottledError,
)
from stocktake.schema.columns import Column
from stocktake.storage.places import spellings
from tests.integration.api.conftest import Served
from tests.integration.api.playing import (
    fail_with,
    jobs_of,
    read_columns,
    start_worker,
    table_row,
)

KEYS = {"access_key": "AKIAEXAMPLE", "access_secret": "wJalrXUtnFEMI"}
URL = "https://bucket.s3.amazonaws.com/orders/*.parquet"
COLUMNS = [Column.of("id", "Int64"), Column.of("at", "Nullable(DateTime64(6, 'UTC'))")]


def new(**changes: Any) -> dict[str, Any]:
    body = {"name": "orders", "format": "Parquet", "url_pattern": URL, "credential": KEYS}
    body |= changes
    return {name: value for name, value in body.items() if value is not ...}


def refused(answer: httpx.Response) -> tuple[int, str, str, str | None]:
    body = answer.json()
    assert body["type"] == "validation_error", body
    return answer.status_code, body["code"], body["detail"], body["attr"]


def test_a_table_is_answered_at_once_without_columns_and_with_its_job(
    client: httpx.Client, rings: list[Ring], project_id: int
) -> None:
    answer = client.post("warehouse_tables/", json=new())
    assert answer.status_code == 201, answer.text
    table = answer.json()
    assert table["columns"] == []
    assert (table["latest_job"]["kind"], table["latest_job"]["state"]) == (
        "refresh_schema",
        "queued",
    )
    job_id = table["latest_job"]["id"]
    assert answer.headers["location"] == f"/api/projects/{project_id}/jobs/{job_id}/"
    assert [str(ring.job_id) for ring in rings] == [job_id]


def test_a_waited_create_answers_as_posthog_does_with_the_columns(
    client: httpx.Client, served: Served
) -> None:
    start_worker(served, read_columns(COLUMNS))
    answer = client.post("warehouse_tables/", json=new(), headers={"Prefer": "wait=10"})
    assert answer.status_code == 201, answer.text
    assert answer.headers["preference-applied"] == "wait=10"
    assert [(each["key"], each["type"]) for each in answer.json()["columns"]] == [
        ("id", "integer"),
        ("at", "datetime"),
    ]


def test_a_waited_create_that_cannot_be_read_is_400_and_leaves_no_table(
    client: httpx.Client, served: Served, database: Database
) -> None:
    start_worker(served, fail_with(AccessDeniedError()))
    answer = client.post("warehouse_tables/", json=new(), headers={"Prefer": "wait=10"})
    assert refused(answer) == (
        400,
        "invalid_input",
        "Access was denied when reading the provided file",
        None,
    )
    assert answer.json()["error"]["code"] == "access_denied"
    assert client.get("warehouse_tables/").json()["count"] == 0
    with database.read() as session:
        [job] = jobs_of(database, session.query(Table).one().id)
        assert session.query(StoredCredential).count() == 0
    assert job.state == "failed"


def test_a_name_is_free_again_after_a_waited_create_that_failed(
    client: httpx.Client, served: Served
) -> None:
    start_worker(served, fail_with(SourceNotFoundError()))
    waited = {"Prefer": "wait=10"}
    assert client.post("warehouse_tables/", json=new(), headers=waited).status_code == 400
    start_worker(served, read_columns(COLUMNS))
    assert client.post("warehouse_tables/", json=new(), headers=waited).status_code == 201


def test_the_answer_of_a_failed_waited_create_is_replayed_under_its_idempotency_key(
    client: httpx.Client, served: Served
) -> None:
    start_worker(served, fail_with(SourceNotFoundError()))
    headers = {"Prefer": "wait=10", "Idempotency-Key": "once"}
    first = client.post("warehouse_tables/", json=new(), headers=headers)
    again = client.post("warehouse_tables/", json=new(), headers=headers)
    assert (first.status_code, again.status_code) == (400, 400)
    assert again.json() == first.json()
    assert len(served.rings.rung) == 1


def test_a_create_that_ran_out_of_its_wait_keeps_the_table(
    client: httpx.Client, served: Served
) -> None:
    start_worker(served, fail_with(StorageThrottledError("Slow down.")))
    answer = client.post("warehouse_tables/", json=new(), headers={"Prefer": "wait=1"})
    assert answer.status_code == 201
    assert client.get(f"warehouse_tables/{answer.json()['id']}/").status_code == 200


def test_without_a_wait_a_table_whose_read_fails_stays_and_shows_the_error(
    client: httpx.Client, served: Served
) -> None:
    start_worker(served, fail_with(SourceNotFoundError()))
    table_id = client.post("warehouse_tables/", json=new()).json()["id"]
    job = client.get(f"warehouse_tables/{table_id}/").json()["latest_job"]
    assert (job["state"], job["done"]) == ("failed", True)
    assert job["error"]["detail"] == "The provided file doesn't exist in the bucket"


REQUIRED = "This field is required."
NOT_NULL = "This field may not be null."
BLANK = "This field may not be blank."


@pytest.mark.parametrize(
    ("changes", "code", "detail", "attr"),
    [
        ({"name": ...}, "required", REQUIRED, "name"),
        ({"format": ...}, "required", REQUIRED, "format"),
        ({"url_pattern": ...}, "required", REQUIRED, "url_pattern"),
        ({"name": None}, "null", NOT_NULL, "name"),
        ({"format": None}, "null", NOT_NULL, "format"),
        ({"url_pattern": None}, "null", NOT_NULL, "url_pattern"),
        ({"name": "  "}, "blank", BLANK, "name"),
        ({"url_pattern": ""}, "blank", BLANK, "url_pattern"),
        ({"name": 5}, "invalid_input", "Not a valid string.", "name"),
        ({"name": "", "format": ...}, "blank", BLANK, "name"),
        (
            {"name": "n" * 129},
            "max_length",
            "Ensure this field has no more than 128 characters.",
            "name",
        ),
        (
            {"url_pattern": URL + "x" * 500},
            "max_length",
            "Ensure this field has no more than 500 characters.",
            "url_pattern",
        ),
        ({"format": "XML"}, "invalid_input", '"XML" is not a valid choice.', "format"),
        ({"credential": ...}, "invalid_input", "Credentials are required", "credential"),
        ({"credential": None}, "invalid_input", "Credentials are required", "credential"),
        ({"credential": {}}, "required", REQUIRED, "credential__access_key"),
        (
            {"credential": {"access_secret": "s"}},
            "required",
            REQUIRED,
            "credential__access_key",
        ),
        ({"credential": {"access_key": "k"}}, "required", REQUIRED, "credential__access_secret"),
        (
            {"credential": {"access_key": "k", "access_secret": None}},
            "invalid_input",
            "Access key and secret are required",
            "credential",
        ),
        (
            {"credential": {"access_key": "", "access_secret": "s"}},
            "invalid_input",
            "Access key and secret are required",
            "credential",
        ),
        (
            {"credential": {"access_key": "  ", "access_secret": "s"}},
            "invalid_input",
            "Access key and secret can't be blank",
            "credential",
        ),
        (
            {"credential": {"access_key": "k" * 501, "access_secret": "s"}},
            "max_length",
            "Ensure this field has no more than 500 characters.",
            "credential__access_key",
        ),
        (
            {"credential": KEYS | {"session_token": "t"}},
            "invalid_input",
            "This field is not known here.",
            "credential__session_token",
        ),
        (
            {"credential": "k:s"},
            "invalid_input",
            "Invalid data. Expected a dictionary, but got str.",
            "credential",
        ),
        ({"options": []}, "invalid_input", "Options must be a JSON object.", "options"),
        ({"options": None}, "invalid_input", "Options must be a JSON object.", "options"),
    ],
)
def test_a_wrong_field_is_refused_in_posthogs_words(
    client: httpx.Client, changes: dict[str, Any], code: str, detail: str, attr: str
) -> None:
    answer = client.post("warehouse_tables/", json=new(**changes))
    assert refused(answer) == (400, code, detail, attr)
    assert client.get("warehouse_tables/").json()["count"] == 0


@pytest.mark.parametrize(
    ("body", "code", "begins"),
    [
        ({}, "required", "The request has no body. "),
        ({"data": {"name": "orders"}}, "invalid_input", "Invalid data. "),
        ({"files": {"name": ("orders.csv", b"a,b")}}, "invalid_input", "Invalid data. "),
    ],
    ids=["no body", "form", "multipart"],
)
def test_a_body_that_is_no_json_says_what_to_send(
    client: httpx.Client, body: dict[str, Any], code: str, begins: str
) -> None:
    answer = client.post("warehouse_tables/", **body)
    detail = begins + "Send a JSON object, with Content-Type: application/json."
    assert refused(answer) == (400, code, detail, None)


@pytest.mark.parametrize(
    ("url_pattern", "sentence"),
    [
        ("http://bucket.s3.amazonaws.com/x.csv", "URL pattern must use https."),
        ("file:///etc/passwd", "URL pattern must use https."),
        ("https:///x.csv", "URL pattern must include a valid hostname."),
        ("https://files.example.com/b/x.csv", "URL pattern hostname is not allowed."),
        (
            "https://169.254.169.254/latest/x.csv",
            "URL pattern hostname must not resolve to internal IP ranges.",
        ),
        (
            "https://s3.amazonaws.com/buck*/x.csv",
            "The bucket name in a URL pattern must be exact. Wildcards belong in the file path.",
        ),
        (
            "https://s3.amazonaws.com/b%75cket/x.csv",
            "The bucket name in a URL pattern can't contain percent-encoded characters.",
        ),
    ],
)
def test_a_url_that_may_not_be_opened_is_refused_with_the_contracts_sentence(
    client: httpx.Client, url_pattern: str, sentence: str
) -> None:
    answer = client.post("warehouse_tables/", json=new(url_pattern=url_pattern))
    assert refused(answer) == (400, "invalid_input", sentence, "url_pattern")
    assert url_pattern not in answer.text


def test_a_url_of_other_tools_is_refused_with_how_it_is_written(client: httpx.Client) -> None:
    answer = client.post("warehouse_tables/", json=new(url_pattern="s3://bucket/x.csv"))
    assert answer.json()["hint"] == spellings.S3


@pytest.mark.parametrize(
    ("format_", "title"),
    [("Delta", "Delta"), ("DeltaS3Wrapper", "Delta"), ("Iceberg", "Iceberg")],
)
def test_a_table_of_a_folder_is_named_by_its_root_and_not_by_a_pattern(
    client: httpx.Client, format_: str, title: str
) -> None:
    glob = client.post("warehouse_tables/", json=new(format=format_))
    assert refused(glob)[2:] == (
        f"A {title} table is named by its root folder: the URL pattern can't contain wildcards.",
        "url_pattern",
    )
    root = new(format=format_, url_pattern="https://bucket.s3.amazonaws.com/orders")
    assert client.post("warehouse_tables/", json=root).status_code == 201


def test_a_name_may_hold_dots_and_is_trimmed(client: httpx.Client) -> None:
    answer = client.post("warehouse_tables/", json=new(name=" shop.orders 2026 "))
    assert answer.json()["name"] == answer.json()["hogql_name"] == "shop.orders 2026"


def test_a_name_that_is_taken_is_refused(client: httpx.Client) -> None:
    assert client.post("warehouse_tables/", json=new()).status_code == 201
    answer = client.post("warehouse_tables/", json=new())
    assert refused(answer) == (
        400,
        "invalid_input",
        "A table with this name already exists.",
        "name",
    )


def test_a_name_of_another_project_is_free(
    client: httpx.Client, make_table: Any, other_project: int
) -> None:
    make_table("orders", other_project)
    assert client.post("warehouse_tables/", json=new()).status_code == 201


def test_a_public_source_needs_no_credential(client: httpx.Client) -> None:
    answer = client.post("warehouse_tables/", json=new(credential=..., options={"public": True}))
    assert answer.status_code == 201, answer.text
    assert answer.json()["credential"] is None
    assert answer.json()["options"] == {"public": True}


def test_a_credential_is_sealed_and_never_comes_back(
    client: httpx.Client, database: Database
) -> None:
    answer = client.post("warehouse_tables/", json=new())
    shown = client.get("warehouse_tables/").text + answer.text
    assert KEYS["access_key"] not in shown
    assert KEYS["access_secret"] not in shown
    assert set(answer.json()["credential"]) == {"id", "created_by", "created_at"}
    with database.read() as session:
        stored = session.query(StoredCredential).one().ciphertext
    assert KEYS["access_secret"].encode() not in stored


def test_read_only_fields_of_a_new_table_are_ignored(client: httpx.Client) -> None:
    body = new(id="0190", columns=[{"key": "x"}], created_by=7, row_count=9, deleted=False)
    answer = client.post("warehouse_tables/", json=body)
    assert answer.status_code == 201, answer.text
    assert (answer.json()["columns"], answer.json()["row_count"]) == ([], None)


@pytest.mark.parametrize("body", [[], "x", 1, None])
def test_a_body_that_is_no_object_is_400(client: httpx.Client, body: Any) -> None:
    assert client.post("warehouse_tables/", json=body).status_code == 400


def test_a_local_file_needs_no_credential_where_the_operator_allows_it(
    serve: Callable[..., Served],
    connect: Callable[..., httpx.Client],
    make_key: Callable[..., str],
    project_id: int,
    tmp_path: Path,
) -> None:
    root = tmp_path / "lake"
    root.mkdir()
    served = serve(allowed_url_schemes=("https", "file"), local_roots=(root,))
    client = connect(make_key(["*"]), served.url)
    path = f"/api/projects/{project_id}/warehouse_tables/"
    inside = new(credential=..., url_pattern=f"file://{root}/*.parquet")
    assert client.post(path, json=inside).status_code == 201
    outside = new(credential=..., name="other", url_pattern="file:///etc/passwd")
    assert refused(client.post(path, json=outside))[3] == "url_pattern"


def test_our_own_bucket_is_refused_in_both_styles(
    serve: Callable[..., Served],
    connect: Callable[..., httpx.Client],
    make_key: Callable[..., str],
    project_id: int,
) -> None:
    served = serve(
        managed_storage_url="https://managed.s3.us-east-1.amazonaws.com/stocktake",
        managed_storage_access_key="k",
        managed_storage_access_secret=SecretStr("s"),
    )
    client = connect(make_key(["*"]), served.url)
    path = f"/api/projects/{project_id}/warehouse_tables/"
    for url in (
        "https://managed.s3.us-east-1.amazonaws.com/stocktake/x.csv",
        "https://s3.us-east-1.amazonaws.com/managed/x.csv",
        "https://s3.amazonaws.com/managed/x.csv",
    ):
        answer = client.post(path, json=new(url_pattern=url))
        assert refused(answer)[2:] == ("URL pattern hostname is not allowed.", "url_pattern")


def test_the_operator_can_have_every_create_wait(
    serve: Callable[..., Served],
    connect: Callable[..., httpx.Client],
    make_key: Callable[..., str],
    project_id: int,
) -> None:
    served = serve(default_wait_seconds=60.0)
    start_worker(served, read_columns(COLUMNS))
    client = connect(make_key(["*"]), served.url)
    answer = client.post(f"/api/projects/{project_id}/warehouse_tables/", json=new())
    assert [each["key"] for each in answer.json()["columns"]] == ["id", "at"]


def test_a_table_that_was_changed_during_the_wait_is_not_taken_back(
    client: httpx.Client, served: Served, database: Database
) -> None:
    def change_and_fail(where: Database, job_id: UUID) -> None:
        fail_with(AccessDeniedError())(where, job_id)
        with where.write() as session:
            session.query(Table).one().generation += 1

    start_worker(served, change_and_fail)
    answer = client.post("warehouse_tables/", json=new(), headers={"Prefer": "wait=10"})
    assert (answer.status_code, answer.json()["latest_job"]["state"]) == (201, "failed")
    assert client.get("warehouse_tables/").json()["count"] == 1


def test_of_many_creates_of_one_name_at_once_one_wins(client: httpx.Client) -> None:
    start = threading.Barrier(4)
    answers: list[httpx.Response] = []

    def create() -> None:
        start.wait()
        answers.append(client.post("warehouse_tables/", json=new()))

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for answer in answers) == [201, 400, 400, 400]
    lost = {answer.json()["detail"] for answer in answers if answer.status_code == 400}
    assert lost == {"A table with this name already exists."}


def test_a_null_character_in_a_name_is_400(client: httpx.Client) -> None:
    assert client.post("warehouse_tables/", json=new(name="a\0b")).status_code == 400


def test_registering_is_audited_without_secrets(client: httpx.Client, database: Database) -> None:
    table_id = client.post("warehouse_tables/", json=new()).json()["id"]
    with database.read() as session:
        entries = session.query(AuditEntry).filter_by(subject=table_id).all()
    assert [entry.action for entry in entries] == ["table.create"]
    assert KEYS["access_secret"] not in str(entries[0].detail)


def test_a_new_table_belongs_to_the_project_and_the_user_of_the_key(
    client: httpx.Client, database: Database, project_id: int
) -> None:
    table_id = client.post("warehouse_tables/", json=new()).json()["id"]
    table = table_row(database, UUID(table_id))
    assert (table.project_id, table.created_by_id is not None) == (project_id, True)


@pytest.mark.parametrize(
    ("url", "key", "secret", "kind"),
    [
        ("https://acc.blob.core.windows.net/c/x.csv", "AKIAIOSFODNN7EXAMPLE", "s", "AWS"),
        (URL, "acc", "sv=2024-11-04&sp=rl&sig=c2VjcmV0", "SAS token"),
        (URL, "x", '{"private_key": "c2VjcmV0"}', "service account"),
        ("https://storage.googleapis.com/b/x.csv", "AKIAIOSFODNN7EXAMPLE", "s", "AWS"),
    ],
)
def test_keys_of_a_kind_that_the_store_does_not_take_are_refused_by_it(
    client: httpx.Client, url: str, key: str, secret: str, kind: str
) -> None:
    pair = {"access_key": key, "access_secret": secret}
    answer = client.post("warehouse_tables/", json=new(url_pattern=url, credential=pair))
    status, code, told, attr = refused(answer)
    assert (status, code, attr) == (400, "wrong_key_kind", "credential")
    assert kind in told
    assert "c2VjcmV0" not in answer.text
    assert client.get("warehouse_tables/").json()["count"] == 0
    # of a source that is read unsigned they are not used
    public = {"public": True}
    body = new(url_pattern=url, credential=pair, options=public)
    assert client.post("warehouse_tables/", json=body).status_code == 201
