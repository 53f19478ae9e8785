"""POST warehouse_tables/file/, as PostHog's clients use it."""

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from pydantic import SecretStr

from stocktake.clock import upkeep
from stocktake.db.clock import now
from stocktake.db.models import Table, Upload
from stocktake.db.session import Database
from stocktake.errors import EmptySourceError
from stocktake.parts import managed_storage
from stocktake.schema.columns import Column
from stocktake.services import files
from stocktake.services.upload_forms import too_large
from stocktake.settings import Settings
from tests.integration.api.conftest import MakeKey, Served
from tests.integration.api.playing import (
    fail_with,
    jobs_of,
    read_columns,
    start_worker,
    table_row,
    take,
)
from tests.support.hostile_store import hostile
from tests.support.stack import wait_until

CSV = b"id,name\n1,Ada\n"
FORMATS = (
    "Arrow, ArrowStream, Avro, CSV, CSVWithNames, Delta, DeltaS3Wrapper, Excel, Iceberg, "
    "JSONEachRow, ODS, ORC, Parquet"
)
TITLES = "Arrow, Arrow stream, Avro, CSV, Excel, JSON, ORC, OpenDocument or Parquet"


def send(
    client: httpx.Client,
    content: bytes = CSV,
    filename: str | None = "orders.csv",
    headers: dict[str, str] | None = None,
    **fields: str,
) -> httpx.Response:
    files = {} if filename is None else {"file": (filename, content)}
    return client.post("warehouse_tables/file/", data=fields, files=files, headers=headers)


def uploads(database: Database) -> list[Upload]:
    with database.read() as session:
        return list(session.query(Upload).order_by(Upload.id))


def stored_files(settings: Settings) -> list[bytes]:
    managed = settings.data_dir / "managed"
    return [path.read_bytes() for path in sorted(managed.rglob("*")) if path.is_file()]


def test_a_new_table_takes_the_upload_when_its_job_has_read_it(
    client: httpx.Client, served: Served, project_id: int
) -> None:
    answer = send(client, name="orders")
    assert answer.status_code == 201, answer.text
    table = answer.json()
    assert (table["name"], table["format"], table["columns"]) == ("orders", "CSVWithNames", [])
    assert (table["credential"], table["created_via"]) == (None, "api")
    [job] = jobs_of(served.database, table["id"])
    assert (job.kind, job.state, job.arguments) == (
        "ingest_file",
        "queued",
        {"target": "file", "format": "CSVWithNames"},
    )
    assert table["latest_job"]["id"] == str(job.id)
    assert answer.headers["location"] == f"/api/projects/{project_id}/jobs/{job.id}/"
    [upload] = uploads(served.database)
    assert (upload.id, upload.state, upload.size_bytes) == (job.upload_id, "stored", len(CSV))
    assert stored_files(served.settings) == [CSV]
    assert table_row(served.database, table["id"]).upload_id is None
    assert [ring.job_id for ring in served.rings.rung] == [job.id]


def test_the_file_is_stored_under_a_generated_id_and_never_its_own_name(
    client: httpx.Client, served: Served
) -> None:
    send(client, filename="../../etc/my orders.csv", name="orders")
    [upload] = uploads(served.database)
    assert upload.filename == "my_orders.csv"
    assert upload.object_key.endswith(str(upload.id))
    [path] = [p for p in (served.settings.data_dir / "managed").rglob("*") if p.is_file()]
    assert path.name == str(upload.id)


def test_a_waited_upload_answers_with_the_columns(client: httpx.Client, served: Served) -> None:
    start_worker(served, read_columns([Column.of("id", "Int64")]))
    answer = send(client, name="orders", headers={"Prefer": "wait=10"})
    assert answer.status_code == 201
    assert [column["key"] for column in answer.json()["columns"]] == ["id"]


@pytest.mark.parametrize("fails", [False, True])
def test_the_answer_is_about_its_own_file_though_another_came_meanwhile(
    client: httpx.Client, served: Served, project_id: int, fails: bool
) -> None:
    """The table's latest job is the other file's by the time that the first is answered."""
    others: list[httpx.Response] = []
    end = fail_with(EmptySourceError()) if fails else read_columns([Column.of("id", "Int64")])

    def play(database: Database, job_id: UUID) -> None:
        if not others:
            others.append(httpx.Response(0))
            others[0] = send(client, name="orders", target="delta")
            end(database, job_id)

    start_worker(served, play)
    answer = send(client, name="orders", target="delta", headers={"Prefer": "wait=20"})
    mine, [other] = answer.json(), others

    first, second = jobs_of(served.database, mine["id"])
    assert (answer.status_code, mine["job_id"]) == (201, str(first.id))
    assert answer.headers["location"] == f"/api/projects/{project_id}/jobs/{first.id}/"
    job = mine["latest_job"]
    assert (job["id"], job["state"]) == (str(first.id), "failed" if fails else "succeeded")
    assert (job["error"] is None) is not fails
    assert other.json()["job_id"] == other.json()["latest_job"]["id"] == str(second.id)
    shown = client.get(f"warehouse_tables/{mine['id']}/").json()
    assert shown["latest_job"]["id"] == str(second.id)


def test_a_first_upload_that_fails_leaves_a_table_that_takes_the_next(
    client: httpx.Client, served: Served
) -> None:
    start_worker(served, fail_with(EmptySourceError()))
    table = send(client, b"", name="orders", headers={"Prefer": "wait=10"}).json()
    assert table["columns"] == []
    assert table["latest_job"]["error"]["detail"] == "The provided file contains no data"
    start_worker(served, read_columns([Column.of("id", "Int64")]))
    again = send(client, name="orders", headers={"Prefer": "wait=10"})
    assert (again.status_code, again.json()["id"]) == (201, table["id"])
    assert [column["key"] for column in again.json()["columns"]] == ["id"]


def test_an_upload_of_a_known_name_updates_that_table_only_after_its_job(
    client: httpx.Client, make_table: Callable[..., UUID], database: Database
) -> None:
    stored = [Column.of("old", "Int64").as_dict()]
    table_id = make_table("orders", columns=stored)
    before = table_row(database, table_id)
    answer = send(client, name="orders", format="JSONEachRow")
    assert (answer.status_code, answer.json()["id"]) == (201, str(table_id))
    after = table_row(database, table_id)
    assert (after.url_pattern, after.format, after.columns, after.generation) == (
        before.url_pattern,
        before.format,
        stored,
        before.generation,
    )
    assert jobs_of(database, table_id)[0].arguments["format"] == "JSONEachRow"


def test_a_newer_upload_takes_the_place_of_one_that_waits(
    client: httpx.Client, database: Database
) -> None:
    table_id = send(client, name="orders").json()["id"]
    send(client, b"id\n2\n", name="orders")
    first, second = jobs_of(database, table_id)
    assert (first.state, (first.error or {})["code"]) == ("cancelled", "superseded")
    assert second.state == "queued"
    assert [upload.state for upload in uploads(database)] == ["superseded", "stored"]


def test_an_upload_that_is_being_read_is_left_alone(
    client: httpx.Client, database: Database
) -> None:
    table_id = send(client, name="orders").json()["id"]
    take(database, jobs_of(database, table_id)[0].id)
    send(client, name="orders")
    assert [job.state for job in jobs_of(database, table_id)] == ["running", "queued"]
    assert [upload.state for upload in uploads(database)] == ["stored", "stored"]


def test_loads_into_a_delta_table_are_data_and_never_left_out(
    client: httpx.Client, database: Database
) -> None:
    first = send(client, name="events", target="delta", mode="replace")
    assert (first.status_code, first.json()["format"]) == (201, "Delta")
    table_id = first.json()["id"]
    assert first.json()["url_pattern"].endswith(f"/{table_id}")
    again = send(client, name="events", target="delta")
    assert again.json()["id"] == table_id
    jobs = jobs_of(database, table_id)
    # What would be sent again, by which an append is known (ADR 21): sent once more it is data.
    assert len(jobs[1].arguments.pop("request")) == 64
    assert [(job.state, job.arguments) for job in jobs] == [
        ("queued", {"target": "delta", "format": "CSVWithNames", "mode": "replace"}),
        ("queued", {"target": "delta", "format": "CSVWithNames", "mode": "append"}),
    ]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"format": "XML"}, f"Invalid format. Must be one of: {FORMATS}"),
        ({"format": "XML", "name": "1x"}, f"Invalid format. Must be one of: {FORMATS}"),
        (
            {"name": "1x"},
            "Table names must start with a letter or underscore and contain only "
            "alphanumeric characters or underscores.",
        ),
        (
            {"name": "a.b"},
            "Table names must start with a letter or underscore and contain only "
            "alphanumeric characters or underscores.",
        ),
        ({"name": "x" * 129}, "Ensure this field has no more than 128 characters."),
        ({"target": "moon"}, "Invalid target. Must be one of: file, delta"),
        (
            {"target": "delta", "mode": "upsert"},
            "Invalid mode. Must be one of: append, replace, merge",
        ),
        ({"mode": "append"}, "mode=append needs target=delta."),
        (
            {"format": "Delta"},
            f"One file is no Delta table. Upload a file of {TITLES}, with "
            "target=delta to load its rows into a managed Delta table.",
        ),
        (
            {"format": "DeltaS3Wrapper"},
            f"One file is no Delta table. Upload a file of {TITLES}, with "
            "target=delta to load its rows into a managed Delta table.",
        ),
    ],
)
def test_a_wrong_form_is_refused_and_nothing_of_it_is_kept(
    client: httpx.Client, served: Served, fields: dict[str, str], sentence: str
) -> None:
    answer = send(client, **({"name": "orders"} | fields))
    assert answer.status_code == 400
    assert answer.json()["detail"] == sentence
    assert ("hint" in answer.json()) == sentence.startswith("Table names")
    if "128" not in sentence:
        assert answer.json()["message"] == sentence
    assert client.get("warehouse_tables/").json()["count"] == 0
    assert [upload.state for upload in uploads(served.database)] == ["removed"]
    assert stored_files(served.settings) == []


def test_the_name_is_the_files_unless_it_is_given(client: httpx.Client) -> None:
    assert send(client, filename="orders").json()["name"] == "orders"
    assert send(client, filename="eu-orders.2.csv").json()["name"] == "eu_orders"
    assert send(client, filename="2024.csv").json()["name"] == "_2024"


@pytest.mark.parametrize(
    ("filename", "told", "format_"),
    [
        ("book.xlsx", {}, "Excel"),
        ("orders.parquet", {}, "Parquet"),
        ("orders.json.gz", {}, "JSONEachRow"),
        ("orders.csv", {}, "CSVWithNames"),
        ("orders", {}, "CSVWithNames"),
        ("orders.parquet", {"format": "CSVWithNames"}, "CSVWithNames"),
        ("orders.csv", {"format": "CSV"}, "CSV"),
    ],
)
def test_a_format_that_is_not_told_is_as_the_name_ends(
    client: httpx.Client, filename: str, told: dict[str, str], format_: str
) -> None:
    made = client.post("warehouse_tables/file/", files={"file": (filename, b"x")}, data=told)
    assert (made.status_code, made.json()["format"]) == (201, format_), made.text


@pytest.mark.parametrize("filename", [".env", "x/.env", "dir/", "", "a" * 300])
def test_a_file_name_that_cannot_be_used_is_refused(client: httpx.Client, filename: str) -> None:
    body = (
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="'
        + filename.encode()
        + b'"\r\n\r\nid\n1\r\n--b--\r\n'
    )
    for name in (b"", b'--b\r\nContent-Disposition: form-data; name="name"\r\n\r\norders\r\n'):
        answer = post_raw(client, name + body)
        assert (answer.status_code, answer.json()["message"]) == (400, "Invalid filename")


def post_raw(client: httpx.Client, body: bytes | Iterator[bytes], **headers: str) -> httpx.Response:
    content_type = {"Content-Type": "multipart/form-data; boundary=b"}
    return client.post("warehouse_tables/file/", content=body, headers=content_type | headers)


def test_without_a_file_the_answer_says_so(client: httpx.Client) -> None:
    field = b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nid\n1\r\n--b--\r\n'
    answers = [
        send(client, filename=None, name="orders"),
        client.post("warehouse_tables/file/", files={"data": ("x.csv", CSV)}),
        client.post("warehouse_tables/file/", json={"file": "x"}),
        client.post("warehouse_tables/file/"),
        post_raw(client, field),
    ]
    assert {answer.status_code for answer in answers} == {400}
    assert {answer.json()["message"] for answer in answers} == {"No file provided"}


def test_the_fields_may_follow_the_file(client: httpx.Client) -> None:
    body = (
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.json"\r\n'
        b"Content-Type: application/json\r\n\r\n{}\r\n"
        b'--b\r\nContent-Disposition: form-data; name="format"\r\n\r\nJSONEachRow\r\n'
        b'--b\r\nContent-Disposition: form-data; name="name"\r\n\r\norders\r\n--b--\r\n'
    )
    table = post_raw(client, body).json()
    assert (table["name"], table["format"]) == ("orders", "JSONEachRow")


def test_a_body_in_single_bytes_is_read_like_any_other(
    client: httpx.Client, served: Served
) -> None:
    content = b"id\r\n--b\r\n-\r\n--bb"
    body = (
        b'--b1\r\nContent-Disposition: form-data; name="file"; filename="orders"\r\n\r\n'
        + content
        + b"\r\n--b1--\r\n"
    )
    headers = {"Content-Type": "multipart/form-data; boundary=b1"}
    pieces = (body[at : at + 1] for at in range(len(body)))
    assert client.post("warehouse_tables/file/", content=pieces, headers=headers).status_code == 201
    assert stored_files(served.settings) == [content]


@pytest.fixture
def small(
    serve: Callable[..., Served],
    connect: Callable[..., httpx.Client],
    make_key: Callable[..., str],
    project_id: int,
) -> tuple[httpx.Client, Served]:
    """An app that takes files of up to 2 MiB, and a client of it."""
    served = serve(max_upload_bytes=2 * 1024**2)
    client = connect(make_key(["*"]), served.url)
    client.base_url = client.base_url.join(f"/api/projects/{project_id}/")
    return client, served


def test_a_file_of_exactly_the_cap_is_taken_and_one_byte_more_is_not(
    small: tuple[httpx.Client, Served],
) -> None:
    client, served = small
    most = served.settings.max_upload_bytes
    assert send(client, b"x" * most, name="orders").status_code == 201
    for extra in (1, 5 * 1024**2):
        answer = send(client, b"x" * (most + extra), name="bigger")
        sentence = "File size exceeds maximum allowed size of 2MB"
        assert (answer.status_code, answer.json()["message"]) == (400, sentence)
    assert [len(each) for each in stored_files(served.settings)] == [most]
    assert client.get("warehouse_tables/").json()["count"] == 1


def test_the_default_cap_is_posthogs(settings: Settings) -> None:
    assert settings.max_upload_bytes == 52_428_800
    sentence = "File size exceeds maximum allowed size of 50MB"
    assert too_large(settings.max_upload_bytes).detail == sentence


def test_a_body_that_never_ends_is_cut_off(small: tuple[httpx.Client, Served]) -> None:
    client, served = small

    def endless() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="orders"\r\n\r\n'
        for _ in range(64):
            yield b"x" * 1024**2

    answer = post_raw(client, endless())
    assert answer.status_code == 400
    assert stored_files(served.settings) == []
    assert [upload.state for upload in uploads(served.database)] == ["removed"]


class Slow:
    """A body that takes two hours for each of its pieces; the clock tidies up meanwhile.

    Each piece is noted in the upload's row: in earnest they are only after ten minutes.
    """

    PIECE = b"1\n" * 5000

    def __init__(self, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(files, "TOUCH_SECONDS", 0.0)
        self.served = served

    def begin(self) -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="orders"\r\n\r\n'
        wait_until(lambda: bool(uploads(self.served.database)), "the upload's row")

    def piece(self) -> Iterator[bytes]:
        database = self.served.database
        with database.write() as session:
            session.query(Upload).update({Upload.changed_at: now(-7200)})
        [before] = uploads(database)
        yield self.PIECE
        wait_until(lambda: uploads(database)[0].changed_at > before.changed_at, "a touch")

    def tidy(self) -> None:
        storage = managed_storage(self.served.settings)
        upkeep.remove_uploads(self.served.database, storage, superseded_seconds=0)


@pytest.fixture
def slow(served: Served, monkeypatch: pytest.MonkeyPatch) -> Slow:
    return Slow(served, monkeypatch)


def test_an_upload_whose_bytes_come_for_hours_is_not_given_up(
    client: httpx.Client, served: Served, slow: Slow
) -> None:
    def body() -> Iterator[bytes]:
        yield from slow.begin()
        for _ in range(3):
            yield from slow.piece()
            slow.tidy()
        yield b"\r\n--b--\r\n"

    assert post_raw(client, body()).status_code == 201
    assert stored_files(served.settings) == [slow.PIECE * 3]


def test_an_upload_that_was_given_up_is_refused_while_it_still_comes(
    client: httpx.Client, served: Served, slow: Slow
) -> None:
    def body() -> Iterator[bytes]:
        yield from slow.begin()
        yield from slow.piece()
        with served.database.write() as session:
            session.query(Upload).update({Upload.changed_at: now(-7200)})
        slow.tidy()
        for _ in range(64):
            yield b"x" * 1024**2

    answer = post_raw(client, body())
    assert (answer.status_code, answer.json()["message"]) == (400, files.NO_UPLOAD)
    assert stored_files(served.settings) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"--b\r\n",
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="orders"\r\n\r\nid\n1',
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="'
        + b"x" * 5000
        + b'"\r\n\r\n\r\n--b--\r\n',
        b'--b\r\nContent-Disposition: form-data; name="name"\r\n\r\n'
        + b"x" * 5000
        + b"\r\n--b--\r\n",
        b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n' * 10_000 + b"--b--\r\n",
    ],
    ids=["empty", "nonsense", "cut", "cut file", "long file name", "long field", "many parts"],
)
def test_a_broken_or_hostile_form_is_400_and_leaves_nothing(
    client: httpx.Client, served: Served, body: bytes
) -> None:
    assert post_raw(client, body).status_code == 400
    assert {upload.state for upload in uploads(served.database)} <= {"removed"}
    assert stored_files(served.settings) == []


def test_two_files_in_one_form_are_refused(client: httpx.Client, served: Served) -> None:
    files = [("file", ("a.csv", CSV)), ("file", ("b.csv", CSV))]
    answer = client.post("warehouse_tables/file/", data={"name": "orders"}, files=files)
    assert (answer.status_code, answer.json()["message"]) == (400, "Upload one file per request.")
    assert stored_files(served.settings) == []


def test_without_a_key_nothing_of_the_body_is_read(
    anonymous: httpx.Client, served: Served, project_id: int
) -> None:
    path = f"/api/projects/{project_id}/warehouse_tables/file/"
    answer = anonymous.post(path, data={"name": "x"}, files={"file": ("x.csv", b"x" * 10**6)})
    assert answer.status_code == 401
    assert uploads(served.database) == []


@pytest.mark.parametrize(
    ("values", "fields", "start"),
    [
        (
            {"external_data_source": {"id": "0190"}},
            {},
            "The table must be a manually linked table",
        ),
        ({"managed": True, "format": "Delta"}, {}, "This table is a managed Delta table."),
        ({"managed": True}, {"target": "delta"}, "This table is not a managed Delta table"),
        ({"format": "Delta"}, {"target": "delta"}, "This table is not a managed Delta table"),
    ],
)
def test_a_table_of_another_kind_refuses_the_upload(
    client: httpx.Client,
    make_table: Callable[..., UUID],
    database: Database,
    values: dict[str, Any],
    fields: dict[str, str],
    start: str,
) -> None:
    table_id = make_table("orders", **values)
    answer = send(client, name="orders", **fields)
    assert answer.status_code == 400
    assert answer.json()["message"].startswith(start)
    assert jobs_of(database, table_id) == []
    assert [upload.state for upload in uploads(database)] == ["removed"]


def test_the_same_upload_again_under_one_idempotency_key_is_one_job(
    client: httpx.Client, served: Served
) -> None:
    headers = {"Idempotency-Key": "once"}
    first = send(client, name="events", target="delta", headers=headers)
    again = send(client, name="events", target="delta", headers=headers)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["idempotent-replayed"] == "true"
    assert len(jobs_of(served.database, first.json()["id"])) == 1
    assert [upload.state for upload in uploads(served.database)] == ["stored", "removed"]
    assert stored_files(served.settings) == [CSV]
    other = send(client, b"id\n2\n", name="events", target="delta", headers=headers)
    assert other.status_code == 422
    assert stored_files(served.settings) == [CSV]


def test_storage_that_is_away_is_503_and_no_table_is_made(
    client: httpx.Client, served: Served
) -> None:
    managed: Path = served.settings.data_dir / "managed"
    managed.parent.mkdir(parents=True, exist_ok=True)
    managed.write_bytes(b"a file where the folder should be")
    answer = send(client, name="orders")
    assert (answer.status_code, answer.headers["retry-after"].isdigit()) == (503, True)
    assert client.get("warehouse_tables/").json()["count"] == 0


@pytest.mark.parametrize("status", [403, 501])
def test_storage_that_refuses_is_told_and_not_asked_for_again(
    serve: Callable[..., Served], make_key: MakeKey, project_id: int, status: int
) -> None:
    with hostile(lambda _: (status, b"", {})) as store:
        served = serve(
            managed_storage_url="s3://bucket/kept",
            managed_storage_endpoint=store.endpoint,
            managed_storage_access_key="AK",
            managed_storage_access_secret=SecretStr("SK"),
        )
        headers = {"Authorization": f"Bearer {make_key(['*'])}"}
        url = f"{served.url}/api/projects/{project_id}/"
        with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
            answer = send(client, name="orders")
            count = client.get("warehouse_tables/").json()["count"]
    body = answer.json()
    assert (answer.status_code, body["code"], count) == (500, "managed_storage_refused", 0)
    assert str(status) in body["detail"]
    assert "stocktake doctor" in body["detail"]


def test_many_first_uploads_of_one_name_at_once_make_one_table(
    client: httpx.Client, database: Database
) -> None:
    start = threading.Barrier(4)
    answers: list[httpx.Response] = []

    def upload() -> None:
        start.wait()
        answers.append(send(client, name="orders"))

    threads = [threading.Thread(target=upload) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [201] * 4
    assert len({answer.json()["id"] for answer in answers}) == 1
    with database.read() as session:
        assert session.query(Table).count() == 1
    waiting = [job for job in jobs_of(database, answers[0].json()["id"]) if job.state == "queued"]
    assert len(waiting) == 1


def test_a_dry_run_is_a_job_and_makes_no_table(client: httpx.Client, database: Database) -> None:
    sent = {"name": "orders", "target": "delta", "dry_run": "true", "columns": '{"id": "string"}'}
    answer = send(client, **sent)

    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert (job["kind"], job["table_id"], job["state"]) == ("check_file", None, "queued")
    assert answer.headers["Location"].endswith(f"/jobs/{job['id']}/")
    assert client.get("warehouse_tables/").json()["count"] == 0
    # another file is another job
    assert send(client, b"id\n2\n", **sent).json()["id"] != job["id"]
    assert len(uploads(database)) == 2


def test_a_dry_run_is_refused_where_the_upload_would_be(client: httpx.Client) -> None:
    assert send(client, name="orders").status_code == 201
    answer = send(client, name="orders", target="delta", dry_run="true")
    assert (answer.status_code, answer.json()["attr"]) == (400, "target")
    answer = send(client, name="orders", dry_run="maybe")
    assert (answer.status_code, answer.json()["attr"]) == (400, "dry_run")


def test_a_new_table_has_the_options_of_its_first_upload(client: httpx.Client) -> None:
    options = {"csv_delimiter": ";", "encoding": "latin-1"}
    sent = {"options": json.dumps(options | {"csv_quote": None}), "columns": '{"zip": "string"}'}
    assert send(client, name="orders", **sent).json()["options"] == options
