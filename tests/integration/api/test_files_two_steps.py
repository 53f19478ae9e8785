"""`upload_file/` and then `create_from_upload/`."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import httpx
import pytest

from stocktake.db.models import Table, Upload
from stocktake.db.session import Database
from stocktake.errors import EmptySourceError, InvalidSourceError
from stocktake.schema.columns import Column
from stocktake.services import tables
from stocktake.states import UploadState
from tests.integration.api.conftest import Served
from tests.integration.api.playing import (
    fail_with,
    jobs_of,
    read_columns,
    start_worker,
    table_row,
    wait_for_a_lock,
)
from tests.support.rows import context

CSV = b"id,name\n1,Ada\n"
BAD_FORMAT = (
    "Invalid format. Must be one of: arrow, arrow_stream, avro, csv, json, ods, orc, parquet, xlsx"
)
NOT_FOUND = "Uploaded file not found. Please upload the file again."


def upload(client: httpx.Client, filename: str = "orders.csv", **fields: str) -> httpx.Response:
    files = {"file": (filename, CSV)}
    return client.post("warehouse_tables/upload_file/", data=fields, files=files)


def create(client: httpx.Client, uploaded: dict[str, Any], **changes: Any) -> httpx.Response:
    body = {
        "upload_id": uploaded["upload_id"],
        "filename": uploaded["filename"],
        "file_format": uploaded["file_format"],
        "table_name": "orders",
    }
    return client.post("warehouse_tables/create_from_upload/", json=body | changes)


def test_an_upload_is_answered_with_its_id_and_makes_no_table(
    client: httpx.Client, database: Database
) -> None:
    answer = upload(client, "../my orders.csv")
    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert list(body) == ["upload_id", "filename", "file_format", "size_bytes"]
    assert (body["filename"], body["file_format"], body["size_bytes"]) == (
        "my_orders.csv",
        "csv",
        len(CSV),
    )
    with database.read() as session:
        assert session.get_one(Upload, UUID(body["upload_id"])).state == "stored"
    assert client.get("warehouse_tables/").json()["count"] == 0


@pytest.mark.parametrize(
    ("filename", "fields", "file_format"),
    [
        ("x.csv", {}, "csv"),
        ("x.CSV", {}, "csv"),
        ("x.json", {}, "json"),
        ("x.jsonl", {}, "json"),
        ("x.ndjson", {}, "json"),
        ("x.parquet", {}, "parquet"),
        ("x.bin", {"file_format": "parquet"}, "parquet"),
        ("x.csv", {"file_format": "json"}, "json"),
    ],
)
def test_the_format_is_as_sent_or_as_the_file_is_named(
    client: httpx.Client, filename: str, fields: dict[str, str], file_format: str
) -> None:
    assert upload(client, filename, **fields).json()["file_format"] == file_format


@pytest.mark.parametrize(
    ("filename", "fields"),
    [
        ("x.pdf", {}),
        ("x", {}),
        ("x.csv", {"file_format": "Delta"}),
        ("x.csv", {"file_format": ""}),
        ("x.csv", {"file_format": " "}),
    ],
)
def test_item_13_another_format_is_refused(
    client: httpx.Client, filename: str, fields: dict[str, str]
) -> None:
    answer = upload(client, filename, **fields)
    assert (answer.status_code, answer.json()["message"]) == (400, BAD_FORMAT)
    assert answer.json()["attr"] == "file_format"


def test_types_and_options_come_with_the_table(client: httpx.Client, database: Database) -> None:
    sent = {"options": {"csv_delimiter": ";", "encoding": None}, "columns": {"zip": "string"}}
    made = create(client, upload(client).json(), **sent)
    assert made.status_code == 201, made.text
    assert made.json()["options"] == {"csv_delimiter": ";"}
    [job] = jobs_of(database, made.json()["id"])
    assert job.arguments["types"] == {"zip": "string"}


@pytest.mark.parametrize(
    ("sent", "attr", "told"),
    [
        ({"columns": {"zip": "strng"}}, "columns", "did you mean 'string'?"),
        ({"columns": "zip=string"}, "columns", "must be a JSON object"),
        ({"options": {"csv_delimeter": ";"}}, "options", "did you mean 'csv_delimiter'?"),
        ({"options": {"sheet": "x"}}, "options", "says nothing about CSVWithNames files"),
        ({"options": []}, "options", "must be a JSON object"),
        ({"option": {}}, "option", "did you mean 'options'?"),
        ({"dry_run": True}, "dry_run", "it has no meaning here"),
        ({"target": "delta"}, "target", "it has no meaning here"),
    ],
)
def test_types_and_options_that_are_none_are_refused(
    client: httpx.Client, sent: dict[str, Any], attr: str, told: str
) -> None:
    answer = create(client, upload(client).json(), **sent)
    assert (answer.status_code, answer.json()["attr"]) == (400, attr)
    assert told in answer.json()["detail"]
    assert client.get("warehouse_tables/").json()["count"] == 0


@pytest.mark.parametrize(
    ("file_format", "table_format"),
    [("csv", "CSVWithNames"), ("json", "JSONEachRow"), ("parquet", "Parquet")],
)
def test_a_table_is_made_of_the_upload(
    client: httpx.Client, database: Database, file_format: str, table_format: str
) -> None:
    uploaded = upload(client, file_format=file_format).json()
    answer = create(client, uploaded)
    assert answer.status_code == 201, answer.text
    table = answer.json()
    assert (table["name"], table["format"], table["columns"]) == ("orders", table_format, [])
    [job] = jobs_of(database, table["id"])
    assert (job.kind, str(job.upload_id)) == ("ingest_file", uploaded["upload_id"])
    assert job.arguments == {"target": "file", "format": table_format}
    assert table_row(database, table["id"]).managed is True


def test_a_waited_create_answers_with_the_columns(client: httpx.Client, served: Served) -> None:
    uploaded = upload(client).json()
    start_worker(served, read_columns([Column.of("id", "Int64")]))
    client.headers["Prefer"] = "wait=10"
    table = create(client, uploaded).json()
    assert [column["key"] for column in table["columns"]] == ["id"]


def test_item_4_a_waited_create_that_cannot_be_read_is_400_and_leaves_no_table(
    client: httpx.Client, served: Served
) -> None:
    uploaded = upload(client).json()
    start_worker(served, fail_with(EmptySourceError()))
    client.headers["Prefer"] = "wait=10"
    answer = create(client, uploaded)
    assert answer.status_code == 400
    assert answer.json()["detail"] == "The provided file contains no data"
    assert answer.json()["job"]["state"] == "failed"
    assert client.get("warehouse_tables/").json()["count"] == 0
    start_worker(served, read_columns([Column.of("id", "Int64")]))
    assert create(client, upload(client).json()).status_code == 201


def test_item_4_without_a_wait_a_created_table_stays_and_shows_the_error(
    client: httpx.Client, served: Served
) -> None:
    uploaded = upload(client).json()
    start_worker(served, fail_with(EmptySourceError()))
    table = create(client, uploaded)
    assert table.status_code == 201
    shown = client.get(f"warehouse_tables/{table.json()['id']}/").json()
    assert shown["latest_job"]["error"]["code"] == "source_empty"


@pytest.mark.parametrize(
    ("changes", "sentence", "attr"),
    [
        ({"upload_id": "0190f000-0000-7000-8000-000000000000"}, NOT_FOUND, "upload_id"),
        ({"upload_id": "nonsense"}, NOT_FOUND, "upload_id"),
        ({"filename": "other.csv"}, NOT_FOUND, "upload_id"),
        ({"file_format": "pdf"}, BAD_FORMAT, "file_format"),
        ({"file_format": ""}, BAD_FORMAT, "file_format"),
        (
            {"table_name": "my.orders"},
            "Table names must start with a letter or underscore and contain only "
            "alphanumeric characters or underscores.",
            "table_name",
        ),
    ],
)
def test_a_wrong_field_is_refused_and_the_upload_can_be_used_yet(
    client: httpx.Client, changes: dict[str, str], sentence: str, attr: str
) -> None:
    uploaded = upload(client).json()
    answer = create(client, uploaded, **changes)
    assert answer.status_code == 400
    assert (answer.json()["message"], answer.json()["attr"]) == (sentence, attr)
    assert create(client, uploaded).status_code == 201


@pytest.mark.parametrize("field", ["upload_id", "filename", "file_format", "table_name"])
def test_each_field_is_required(client: httpx.Client, field: str) -> None:
    body = {"upload_id": "u", "filename": "f", "file_format": "csv", "table_name": "t"}
    del body[field]
    answer = client.post("warehouse_tables/create_from_upload/", json=body)
    assert (answer.status_code, answer.json()["code"], answer.json()["attr"]) == (
        400,
        "required",
        field,
    )


def test_a_name_that_is_taken_is_refused_and_that_table_is_not_touched(
    client: httpx.Client, make_table: Callable[..., UUID], database: Database
) -> None:
    table_id = make_table("orders")
    answer = create(client, upload(client).json())
    assert (answer.status_code, answer.json()["message"]) == (
        400,
        "A table with this name already exists.",
    )
    assert jobs_of(database, table_id) == []


def test_item_13_one_upload_may_back_several_tables_and_goes_with_the_last(
    client: httpx.Client, database: Database
) -> None:
    uploaded = upload(client).json()
    made = [create(client, uploaded, table_name=name) for name in ("orders", "copy", "third")]
    assert [answer.status_code for answer in made] == [201] * 3
    shown = [answer.json() for answer in made]
    assert len({table["url_pattern"] for table in shown}) == 1
    states = []
    for table in shown:
        client.delete(f"warehouse_tables/{table['id']}/")
        with database.read() as session:
            states.append(session.get_one(Upload, UUID(uploaded["upload_id"])).state)
    assert states == ["stored", "stored", "superseded"]
    again = create(client, uploaded)
    assert (again.status_code, again.json()["message"]) == (400, NOT_FOUND)


def test_of_two_last_tables_deleted_at_once_one_lets_the_upload_go(
    client: httpx.Client, served: Served, project_id: int
) -> None:
    uploaded = upload(client).json()
    first, second = (create(client, uploaded, table_name=name).json() for name in ("a", "b"))
    with ThreadPoolExecutor(1) as pool:
        with context(served.database, served.settings, project_id) as ctx:
            tables.delete(ctx, UUID(first["id"]))
            answer = pool.submit(client.delete, f"warehouse_tables/{second['id']}/")
            wait_for_a_lock(served.database)
        assert answer.result().status_code == 204
    with served.database.read() as session:
        assert session.get_one(Upload, UUID(uploaded["upload_id"])).state == "superseded"


def test_what_file_received_is_its_tables_alone(client: httpx.Client, database: Database) -> None:
    client.post("warehouse_tables/file/", files={"file": ("orders.csv", CSV)})
    with database.read() as session:
        [stored] = session.query(Upload)
    uploaded = {"upload_id": str(stored.id), "filename": "orders.csv", "file_format": "csv"}
    answer = create(client, uploaded, table_name="copy")
    assert (answer.status_code, answer.json()["message"]) == (400, NOT_FOUND)


def test_a_failed_table_of_a_shared_upload_can_be_tried_again(
    client: httpx.Client, served: Served, database: Database
) -> None:
    uploaded = upload(client).json()
    start_worker(served, fail_with(InvalidSourceError("No.", hint="Mend it.")))
    bad = create(client, uploaded, table_name="bad").json()
    with database.write() as session:  # as the job of a second table leaves it
        session.get_one(Upload, UUID(uploaded["upload_id"])).state = UploadState.ACTIVE.value
    [job] = jobs_of(database, bad["id"])
    assert client.post(f"jobs/{job.id}/retry/").status_code == 202
    with database.write() as session:
        session.get_one(Table, UUID(bad["id"])).upload_id = UUID(uploaded["upload_id"])
    assert client.post(f"jobs/{job.id}/retry/").status_code == 409


def test_an_upload_of_another_project_is_unknown(
    client: httpx.Client, database: Database, other_project: int
) -> None:
    with database.write() as session:
        theirs = Upload(
            project_id=other_project,
            filename="orders.csv",
            object_key="k",
            state=UploadState.STORED.value,
            size_bytes=1,
        )
        session.add(theirs)
        session.flush()
        upload_id = str(theirs.id)
    uploaded = {"upload_id": upload_id, "filename": "orders.csv", "file_format": "csv"}
    answer = create(client, uploaded)
    assert (answer.status_code, answer.json()["message"]) == (400, NOT_FOUND)


@pytest.mark.parametrize("fields", [["file", "file"], ["file", "more"], ["more", "file"]])
@pytest.mark.parametrize("path", ["upload_file", "file"])
def test_item_13_a_second_file_under_any_field_is_refused(
    client: httpx.Client, served: Served, path: str, fields: list[str]
) -> None:
    files = [(field, (f"{i}.csv", CSV)) for i, field in enumerate(fields)]
    answer = client.post(f"warehouse_tables/{path}/", files=files)
    assert (answer.status_code, answer.json()["message"]) == (400, "Upload one file per request.")
    with served.database.read() as session:
        assert {row.state for row in session.query(Upload)} <= {"removed"}


def test_a_field_of_files_that_nobody_filled_in_is_no_file(client: httpx.Client) -> None:
    part = '--b\r\nContent-Disposition: form-data; name="{}"; filename="{}"\r\n\r\n{}\r\n'
    sent = part.format("more", "", "") + part.format("file", "x.csv", "a\n1") + "--b--\r\n"
    answer = client.post(
        "warehouse_tables/upload_file/",
        content=sent,
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )
    assert answer.status_code == 201, answer.text


def test_no_file_and_a_bad_name_are_refused(client: httpx.Client) -> None:
    path = "warehouse_tables/upload_file/"
    assert client.post(path, data={"x": "y"}).json()["message"] == "No file provided"
    elsewhere = [("more", ("a.csv", CSV)), ("other", ("b.csv", CSV))]
    assert client.post(path, files=elsewhere).json()["message"] == "No file provided"
    assert upload(client, ".csv", file_format="tsv").json()["message"] == BAD_FORMAT
    assert upload(client, ".csv").json()["message"] == "Invalid filename"


@pytest.mark.parametrize("says_its_length", [True, False])
def test_item_13_a_body_over_the_cap_and_a_mebibyte_is_413_and_nothing_is_stored(
    serve: Callable[..., Served],
    connect: Callable[..., httpx.Client],
    make_key: Callable[..., str],
    project_id: int,
    says_its_length: bool,
) -> None:
    served = serve(max_upload_bytes=10)
    client = connect(make_key(["*"]), served.url)
    begin = b'--b\r\nContent-Disposition: form-data; name="other"; filename="x"\r\n\r\n'
    body = begin + b"x" * (1024**2 + 10) + b"\r\n--b--\r\n"

    def pieces() -> Iterator[bytes]:
        for at in range(0, len(body), 65_536):
            yield body[at : at + 65_536]

    answer = client.post(
        f"/api/projects/{project_id}/warehouse_tables/upload_file/",
        content=body if says_its_length else pieces(),
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )
    assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")
    assert answer.json()["message"] == (
        "Upload exceeds the maximum of 10 bytes. "
        "For larger files, connect the bucket they live in as a self-managed source instead."
    )
    assert not (served.settings.data_dir / "managed").exists()


def test_item_13_a_file_just_over_the_cap_is_400_in_posthogs_words(
    serve: Callable[..., Served],
    connect: Callable[..., httpx.Client],
    make_key: Callable[..., str],
    project_id: int,
) -> None:
    served = serve(max_upload_bytes=10)
    client = connect(make_key(["*"]), served.url)
    path = f"/api/projects/{project_id}/warehouse_tables/upload_file/"
    answer = client.post(path, files={"file": ("x.csv", b"x" * 11)})
    assert (answer.status_code, answer.json()["message"]) == (
        400,
        "File size exceeds the maximum of 10 bytes. "
        "For larger files, connect the bucket they live in as a self-managed source instead.",
    )
