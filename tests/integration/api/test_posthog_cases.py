"""Every case of PostHog's own tests of warehouse tables, replayed; docs/posthog.md lists them.

Each is told in our words and named by a key, which `case` takes; the test of item 14 holds page and
tests together.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar
from uuid import UUID

import httpx
import pytest
from pydantic import SecretStr

from stocktake.db.models import StoredCredential, Upload
from stocktake.db.session import Database
from stocktake.errors import AccessDeniedError
from stocktake.schema.columns import Column
from tests.integration.api.conftest import Served
from tests.integration.api.playing import fail_with, jobs_of, read_columns, start_worker, table_row

PAGE: Final = Path(__file__).parents[3] / "docs/posthog.md"
CSV: Final = b"id,total\n1,9\n"
KEYS: Final = {"access_key": "_accesskey", "access_secret": "_accesssecret"}
URL: Final = "https://your-org.s3.amazonaws.com/bucket/whatever.pqt"
TABLE: Final = {"name": "whatever", "url_pattern": URL, "credential": KEYS, "format": "Parquet"}
SOURCED: Final = {"external_data_source": {"id": "0190", "source_type": "GoogleAnalytics"}}
STRINGS: Final = [Column.of("id", "String"), Column.of("a_column", "String")]
TAKEN: Final = "A table with this name already exists."
HELD: Final[set[str]] = set()

Test = TypeVar("Test", bound=Callable[..., None])


def case(*keys: str) -> Callable[[Test], Test]:
    """Say which of the page's cases a test holds."""
    HELD.update(keys)
    return lambda test: test


def cases(*rows: Any) -> Any:
    """Parametrize a test by rows that begin with the case's key."""
    HELD.update(row[0] for row in rows)
    return [pytest.param(*row[1:], id=row[0]) for row in rows]


def post(client: httpx.Client, **changes: Any) -> httpx.Response:
    return client.post("warehouse_tables/", json=TABLE | changes)


def upload(client: httpx.Client, filename: str = "orders.csv", **fields: str) -> httpx.Response:
    files = {"file": (filename, CSV)}
    return client.post("warehouse_tables/upload_file/", data=fields, files=files)


def send(client: httpx.Client, filename: str, **fields: str) -> httpx.Response:
    return client.post("warehouse_tables/file/", data=fields, files={"file": (filename, CSV)})


def create(client: httpx.Client, uploaded: dict[str, Any], **changes: Any) -> httpx.Response:
    keys = ("upload_id", "filename", "file_format")
    body = {key: uploaded[key] for key in keys} | {"table_name": "orders"} | changes
    path = "warehouse_tables/create_from_upload/?include_columns=false"
    return client.post(path, json=body)


def test_item_14_the_page_lists_each_case() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \|(.*)\| (\w[\w ]*) \|(.*)\|$", PAGE.read_text(), re.M)
    keys = [key for key, *_ in rows]
    assert len(keys) == len(set(keys)) >= 90
    assert {verdict for _, _, verdict, _ in rows} == {"same", "different", "not applicable"}
    for key, _, verdict, why in rows:
        assert verdict == "same" or len(why.split()) > 3, key
    unheld = {key for key, _, verdict, _ in rows if verdict == "not applicable"}
    assert {key for key in keys if key not in unheld} == HELD - unheld
    assert set(keys) >= HELD


# --- registering ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "sentence"),
    cases(
        ("url-http", "http://example.com/path/*.csv", "URL pattern must use https."),
        ("url-s3", "s3://bucket/path/*.parquet", "URL pattern must use https."),
        ("url-localhost", "https://localhost/path/*.csv", "hostname is not allowed"),
        ("url-loopback", "https://127.0.0.1/path/*.csv", "internal IP ranges"),
        ("url-link-local", "https://169.254.169.254/path/*.csv", "internal IP ranges"),
        ("url-mapped-loopback", "https://[::ffff:127.0.0.1]/path/*.csv", "internal IP ranges"),
        ("url-6to4-loopback", "https://[2002:7f00:1::]/path/*.csv", "internal IP ranges"),
        # No name is resolved for a request: strangers are refused whatever they resolve to.
        ("dns-nip-io", "https://127.0.0.1.nip.io/latest/meta-data/", "hostname is not allowed"),
        ("dns-sslip-io", "https://169.254.169.254.sslip.io/x/", "hostname is not allowed"),
        ("dns-rebinding", "https://evil.attacker.com/path/*.csv", "hostname is not allowed"),
        ("dns-mixed", "https://sneaky.example.com/path/*.csv", "hostname is not allowed"),
        ("dns-unknown", "https://does-not-exist.invalid/path/*.csv", "hostname is not allowed"),
    ),
)
def test_an_unsafe_url_is_refused(
    client: httpx.Client, database: Database, url: str, sentence: str
) -> None:
    answer = post(client, url_pattern=url)
    assert (answer.status_code, answer.json()["attr"]) == (400, "url_pattern")
    assert sentence in answer.json()["detail"]
    table = post(client).json()
    changed = client.patch(f"warehouse_tables/{table['id']}", json={"url_pattern": url})
    assert changed.status_code == 400
    assert table_row(database, table["id"]).url_pattern == URL


@case("patch-unsafe-url")
def test_an_unsafe_url_is_refused_by_patch(client: httpx.Client) -> None:
    table = post(client).json()
    unsafe = {"url_pattern": "https://127.0.0.1/latest/meta-data/"}
    answer = client.patch(f"warehouse_tables/{table['id']}", json=unsafe)
    assert answer.status_code == 400
    assert "internal IP ranges" in answer.json()["detail"]


@case("create-columns")
def test_a_waited_create_has_columns(client: httpx.Client, served: Served) -> None:
    start_worker(served, read_columns(STRINGS))
    at_once = post(client, name="at_once")
    assert (at_once.status_code, at_once.json()["columns"]) == (201, [])
    client.headers["Prefer"] = "wait=20"
    answer = post(client)
    assert answer.status_code == 201
    assert [(each["key"], each["type"]) for each in answer.json()["columns"]] == [
        ("id", "string"),
        ("a_column", "string"),
    ]


@case("create-invalid-columns")
def test_a_column_that_does_not_hold_says_so(
    client: httpx.Client, make_table: Callable[..., UUID]
) -> None:
    invalid = Column.of("id", "String").as_dict() | {"valid": False}
    table_id = make_table(columns=[invalid])
    [column] = client.get(f"warehouse_tables/{table_id}").json()["columns"]
    assert column["schema_valid"] is False


@case("create-wrong-key")
def test_a_wrong_key_is_400_and_leaves_no_table(client: httpx.Client, served: Served) -> None:
    sentence = "The Access Key you provided does not exist"
    start_worker(served, fail_with(AccessDeniedError(sentence, code="invalid_access_key")))
    client.headers["Prefer"] = "wait=20"
    answer = post(client)
    assert (answer.status_code, answer.json()["detail"]) == (400, sentence)
    assert client.get("warehouse_tables/").json()["count"] == 0


@case("create-name-twice")
def test_a_name_is_taken_once(client: httpx.Client) -> None:
    assert post(client).status_code == 201
    answer = post(client)
    assert (answer.status_code, answer.json()["detail"]) == (400, TAKEN)
    assert client.get("warehouse_tables/").json()["count"] == 1


@case("create-name-of-posthogs")
def test_names_of_posthogs_own_tables_are_free(client: httpx.Client) -> None:
    assert post(client, name="events").status_code == 201


@case("create-own-bucket", "patch-own-bucket")
def test_the_services_own_bucket_is_refused(
    serve: Callable[..., Served],
    connect: Callable[..., httpx.Client],
    make_key: Callable[..., str],
    project_id: int,
) -> None:
    served = serve(
        managed_storage_url="https://ours.s3.us-east-1.amazonaws.com/stocktake",
        managed_storage_access_key="k",
        managed_storage_access_secret=SecretStr("s"),
    )
    client = connect(make_key(["*"]), served.url)
    client.base_url = client.base_url.join(f"/api/projects/{project_id}/")
    ours = "https://ours.s3.us-east-1.amazonaws.com/some/path.pqt"
    assert post(client, url_pattern=ours).status_code == 400
    assert client.get("warehouse_tables/").json()["count"] == 0
    table = post(client).json()
    path = f"warehouse_tables/{table['id']}"
    assert client.patch(path, json={"url_pattern": ours, "credential": KEYS}).status_code == 400
    assert client.get(path).json()["url_pattern"] == URL


# --- changing ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "status"),
    cases(
        ("patch-name-taken", "other", 400),
        ("patch-name-same", "whatever", 200),
        ("patch-name", "another", 200),
    ),
)
def test_a_rename(client: httpx.Client, name: str, status: int) -> None:
    table = post(client).json()
    post(client, name="other")
    answer = client.patch(f"warehouse_tables/{table['id']}", json={"name": name})
    assert answer.status_code == status
    assert answer.json().get("name" if status == 200 else "detail") in (name, TAKEN)


@pytest.mark.parametrize(
    "credential",
    cases(
        ("patch-blank-key", {"access_key": "  ", "access_secret": "new_secret"}),
        ("patch-blank-secret", {"access_key": "new_key", "access_secret": ""}),
        ("patch-null-keys", {"access_key": None, "access_secret": None}),
        ("patch-null-credential", None),
    ),
)
def test_a_credential_is_never_emptied(
    client: httpx.Client, database: Database, credential: Any
) -> None:
    table = post(client).json()

    def sealed() -> list[bytes]:
        with database.read() as session:
            return [row.ciphertext for row in session.query(StoredCredential)]

    before = sealed()
    answer = client.patch(f"warehouse_tables/{table['id']}", json={"credential": credential})
    assert answer.status_code == 400
    assert len(before) == 1
    assert sealed() == before


@pytest.mark.parametrize(
    ("fields", "status"),
    cases(
        ("patch-upload-url-again", {}, 200),
        ("patch-upload-url", {"url_pattern": URL}, 400),
        ("patch-upload-keys", {"credential": KEYS}, 400),
        ("patch-upload-no-keys", {"credential": {}}, 200),
    ),
)
def test_an_uploaded_table_stays_where_it_is(
    client: httpx.Client, fields: dict[str, Any], status: int
) -> None:
    made = send(client, "orders.csv").json()
    table = client.get(f"warehouse_tables/{made['id']}").json()
    body = {"url_pattern": table["url_pattern"]} | fields
    answer = client.patch(f"warehouse_tables/{table['id']}", json=body)
    assert answer.status_code == status, answer.text
    assert client.get(f"warehouse_tables/{table['id']}").json() == table


# --- types ---------------------------------------------------------------------------------


@pytest.fixture
def typed(make_table: Callable[..., UUID]) -> str:
    """The path of a table with an integer column."""
    table_id = make_table("typed", columns=[Column.of("id", "Nullable(Int64)").as_dict()])
    return f"warehouse_tables/{table_id}/update_schema"


@case("types-set")
def test_a_type_is_set(client: httpx.Client, database: Database, typed: str) -> None:
    assert client.post(typed, json={"updates": {"id": "float"}}).status_code == 200
    [column] = table_row(database, typed.split("/")[1]).columns
    stored = (column["clickhouse"], column["hogql"], column["valid"])
    assert stored == ("Nullable(Float64)", "FloatDatabaseField", True)


@pytest.mark.parametrize("body", cases(("types-empty", {"updates": {}}), ("types-missing", {})))
def test_no_updates_change_nothing(
    client: httpx.Client, database: Database, typed: str, body: Any
) -> None:
    before = table_row(database, typed.split("/")[1]).columns
    assert client.post(typed, json=body).status_code == 200
    assert table_row(database, typed.split("/")[1]).columns == before


@pytest.mark.parametrize(
    ("updates", "message"),
    cases(
        ("types-unknown-column", {"other": "float"}, "Column other does not exist on table"),
        (
            "types-unknown-type",
            {"id": "another_type"},
            "Can not parse type another_type for column id - type does not exist",
        ),
    ),
)
def test_a_wrong_update_is_refused(
    client: httpx.Client, typed: str, updates: Any, message: str
) -> None:
    answer = client.post(typed, json={"updates": updates})
    assert (answer.status_code, answer.json()["message"]) == (400, message)


@case("types-of-sourced")
def test_the_types_of_a_sourced_table_stay(
    client: httpx.Client, make_table: Callable[..., UUID]
) -> None:
    path = f"warehouse_tables/{make_table(**SOURCED)}/update_schema"
    answer = client.post(path, json={"updates": {"id": "float"}})
    sentence = "The table must be a manually linked table"
    assert (answer.status_code, answer.json()["message"]) == (400, sentence)


@case("types-by-scope")
def test_types_are_set_by_keys_that_may_write(
    connect: Callable[..., httpx.Client],
    make_key: Callable[..., str],
    project_id: int,
    typed: str,
) -> None:
    for scope, status in (("write", 200), ("read", 403)):
        client = connect(make_key([f"warehouse_table:{scope}"]))
        answer = client.post(f"/api/projects/{project_id}/{typed}", json={"updates": {}})
        assert answer.status_code == status


# --- deleting and listing ------------------------------------------------------------------


@case("delete", "delete-linked")
def test_a_table_is_deleted_softly(client: httpx.Client, database: Database) -> None:
    table = post(client).json()
    assert client.delete(f"warehouse_tables/{table['id']}").status_code == 204
    assert table_row(database, table["id"]).deleted is True
    with database.read() as session:
        assert session.query(Upload).count() == 0  # nothing of a customer's is ours to remove


@case("delete-sourced")
def test_a_sourced_table_stays(
    client: httpx.Client, database: Database, make_table: Callable[..., UUID]
) -> None:
    table_id = make_table(**SOURCED)
    assert client.delete(f"warehouse_tables/{table_id}").status_code == 400
    assert table_row(database, table_id).deleted is False


@case("list-sourced", "list-without-columns", "hogql-name-linked")
@case("hogql-name-sourced", "hogql-name-words", "hogql-name-prefix", "hogql-name-direct")
@case("list-hogql-name")
def test_a_sourced_table_is_listed_under_its_name(
    client: httpx.Client, make_table: Callable[..., UUID]
) -> None:
    make_table("googleanalytics_devices", columns=[Column.of("id", "Int32").as_dict()], **SOURCED)
    [table] = client.get("warehouse_tables/").json()["results"]
    assert table["hogql_name"] == table["name"] == "googleanalytics_devices"
    assert [column["name"] for column in table["columns"]] == ["id"]
    [short] = client.get("warehouse_tables/?include_columns=false").json()["results"]
    assert (short["hogql_name"], short["columns"]) == ("googleanalytics_devices", [])


@case("delete-upload", "delete-shared-upload")
def test_the_bytes_go_with_the_last_table(client: httpx.Client, database: Database) -> None:
    uploaded = upload(client).json()
    states = []
    tables = [create(client, uploaded, table_name=name).json() for name in ("orders", "copy")]
    for table in tables:
        assert client.delete(f"warehouse_tables/{table['id']}").status_code == 204
        with database.read() as session:
            states.append(session.get_one(Upload, UUID(uploaded["upload_id"])).state)
    assert states == ["stored", "superseded"]


# --- one file, one request -----------------------------------------------------------------


@case("file-new", "file-store", "file-enabled")
def test_a_file_makes_a_table(client: httpx.Client, served: Served) -> None:
    answer = send(client, "test_file.csv", name="test_csv_table", format="CSVWithNames")
    assert answer.status_code == 201
    assert (answer.json()["name"], answer.json()["format"]) == ("test_csv_table", "CSVWithNames")
    folder = served.settings.data_dir / "managed"
    assert [path.read_bytes() for path in folder.rglob("*") if path.is_file()] == [CSV]


@case("file-again")
def test_a_file_updates_a_table_when_it_was_read(
    client: httpx.Client, database: Database, make_table: Callable[..., UUID]
) -> None:
    table_id = make_table("existing_table")
    answer = send(client, "updated_file.csv", name="existing_table")
    assert (answer.status_code, answer.json()["id"]) == (201, str(table_id))
    assert [job.kind for job in jobs_of(database, table_id)] == ["ingest_file"]


@pytest.mark.parametrize(
    ("filename", "fields", "message"),
    cases(
        ("file-bad-name", "x.csv", {"name": "test-table"}, "Table names must start with a letter"),
        ("file-dot", ".hidden", {"name": "test_table"}, "Invalid filename"),
        ("file-bad-format", "x.csv", {"format": "InvalidFormat"}, "Invalid format"),
        ("file-format-injection", "x.csv", {"format": "'; DROP TABLE"}, "Invalid format"),
    ),
)
def test_a_wrong_form_is_refused(
    client: httpx.Client, filename: str, fields: dict[str, str], message: str
) -> None:
    answer = send(client, filename, **fields)
    assert answer.status_code == 400
    assert message in answer.json()["message"]


@pytest.mark.parametrize(
    ("filename", "name"),
    cases(
        ("file-cleaned", "evil file (1).csv", "evil_file__1_"),
        ("file-default-name", "my data (2).csv", "my_data__2_"),
        ("file-default-name-valid", "my_data", "my_data"),
    ),
)
def test_the_name_of_a_file_is_a_tables(client: httpx.Client, filename: str, name: str) -> None:
    answer = send(client, filename)
    assert (answer.status_code, answer.json()["name"]) == (201, name)
    # The object has a name of its own: nothing of the client's is in it.
    assert name not in answer.json()["url_pattern"]


# --- two steps -----------------------------------------------------------------------------


@case("upload")
def test_an_upload_is_answered_with_its_id(client: httpx.Client) -> None:
    answer = upload(client, "data.csv", file_format="csv")
    body = answer.json()
    assert answer.status_code == 201
    assert UUID(body["upload_id"])
    assert (body["filename"], body["file_format"]) == ("data.csv", "csv")
    assert body["size_bytes"] == len(CSV)


@pytest.mark.parametrize(
    ("filename", "file_format"),
    cases(
        ("upload-bad-format", "data.csv", "tsv"),
        ("upload-empty-format", "data.csv", ""),
    ),
)
def test_item_13_another_format_is_refused(
    client: httpx.Client, filename: str, file_format: str
) -> None:
    answer = upload(client, filename, file_format=file_format)
    known = "arrow, arrow_stream, avro, csv, json, ods, orc, parquet, xlsx"
    sentence = f"Invalid format. Must be one of: {known}"
    assert (answer.status_code, answer.json()["message"]) == (400, sentence)


@case("upload-xlsx", "upload-bad-xlsx")
def test_a_workbook_stays_one_and_is_looked_at_by_the_job(client: httpx.Client) -> None:
    body = upload(client, "report.xlsx", file_format="xlsx").json()
    assert (body["filename"], body["file_format"]) == ("report.xlsx", "xlsx")


@case("upload-escape")
def test_a_path_in_a_file_name_is_dropped(client: httpx.Client, database: Database) -> None:
    body = upload(client, "../../secrets.csv", file_format="csv").json()
    with database.read() as session:
        stored = session.get_one(Upload, UUID(body["upload_id"]))
    assert stored.object_key == f"uploads/{stored.project_id}/{stored.id}"


@case("upload-no-file", "upload-two-files")
def test_one_file_is_wanted(client: httpx.Client) -> None:
    path = "warehouse_tables/upload_file/"
    none = client.post(path, data={"file_format": "csv"})
    two = client.post(path, files=[("file", ("a.csv", CSV)), ("file", ("b.csv", CSV))])
    assert (none.status_code, none.json()["message"]) == (400, "No file provided")
    assert (two.status_code, two.json()["message"]) == (400, "Upload one file per request.")


@case("upload-too-large", "upload-body-too-large")
def test_a_large_upload_is_refused(
    serve: Callable[..., Served],
    connect: Callable[..., httpx.Client],
    make_key: Callable[..., str],
    project_id: int,
) -> None:
    client = connect(make_key(["*"]), serve(max_upload_bytes=4).url)
    path = f"/api/projects/{project_id}/warehouse_tables/upload_file/"
    for size, status, words in (
        (5, 400, "File size exceeds the maximum"),
        (2 * 1024**2, 413, "Upload exceeds the maximum"),
    ):
        answer = client.post(path, files={"file": ("data.csv", b"x" * size)})
        assert answer.status_code == status
        assert words in answer.json()["message"]


@case("upload-no-storage")
def test_without_storage_an_upload_is_told_to_come_again(
    serve: Callable[..., Served],
    connect: Callable[..., httpx.Client],
    make_key: Callable[..., str],
    project_id: int,
    tmp_path: Path,
) -> None:
    file = tmp_path / "no folder"
    file.write_text("")
    client = connect(make_key(["*"]), serve(managed_storage_url=f"file://{file}").url)
    path = f"/api/projects/{project_id}/warehouse_tables/upload_file/"
    answer = client.post(path, files={"file": ("data.csv", CSV)})
    assert answer.status_code in (500, 503)


@case("upload-no-key")
def test_an_upload_needs_a_key(anonymous: httpx.Client, project_id: int) -> None:
    path = f"/api/environments/{project_id}/warehouse_tables/upload_file/"
    answer = anonymous.post(path, files={"file": ("data.csv", CSV)})
    assert answer.status_code == 401


@case("from-upload", "from-upload-own-project")
def test_an_upload_becomes_a_table(
    client: httpx.Client, served: Served, database: Database, project_id: int
) -> None:
    start_worker(served, read_columns([Column.of("id", "Int64"), Column.of("total", "Int64")]))
    client.headers["Prefer"] = "wait=20"
    uploaded = upload(client).json()
    answer = create(client, uploaded)
    assert answer.status_code == 201
    table = answer.json()
    assert (table["name"], table["format"]) == ("orders", "CSVWithNames")
    assert (table["external_data_source"], table["credential"]) == (None, None)
    assert table["url_pattern"].endswith(f"/uploads/{project_id}/{uploaded['upload_id']}")
    names = [column["name"] for column in table_row(database, table["id"]).columns]
    assert names == ["id", "total"]


@pytest.mark.parametrize(
    ("file_format", "format_"),
    cases(
        ("from-upload-csv", "csv", "CSVWithNames"),
        ("from-upload-json", "json", "JSONEachRow"),
        ("from-upload-parquet", "parquet", "Parquet"),
    ),
)
def test_each_format_of_an_upload(client: httpx.Client, file_format: str, format_: str) -> None:
    uploaded = upload(client, f"data.{file_format}", file_format=file_format).json()
    answer = create(client, uploaded)
    assert (answer.status_code, answer.json()["format"]) == (201, format_)


@pytest.mark.parametrize(
    ("changes", "words"),
    cases(
        ("from-upload-name-taken", {"table_name": "whatever"}, "already exists"),
        ("from-upload-bad-name", {"table_name": "1-bad name"}, "Table names must start"),
        ("from-upload-missing", {"upload_id": "0190f000-0000-7000-8000-000000000000"}, "not found"),
    ),
)
def test_a_wrong_create_from_upload(
    client: httpx.Client, changes: dict[str, str], words: str
) -> None:
    post(client)
    answer = create(client, upload(client).json(), **changes)
    assert answer.status_code == 400
    assert words in answer.json()["message"]
    assert client.get("warehouse_tables/").json()["count"] == 1


@case("throttle-upload-file", "throttle-create-from-upload", "throttle-file")
@case("throttle-others", "throttle-per-key")
def test_each_key_has_one_limit_for_all_that_it_asks(
    serve: Callable[..., Served],
    connect: Callable[..., httpx.Client],
    make_key: Callable[..., str],
    project_id: int,
) -> None:
    served = serve(rate_limit_per_minute=2)
    first, second = (connect(make_key(["*"]), served.url) for _ in range(2))
    path = f"/api/projects/{project_id}/warehouse_tables/"
    assert first.get(path).status_code == 200
    assert first.post(f"{path}upload_file/", files={"file": ("x.csv", CSV)}).status_code == 201
    assert first.post(f"{path}file/", files={"file": ("x.csv", CSV)}).status_code == 429
    assert first.post(f"{path}create_from_upload/", json={}).status_code == 429
    assert second.get(path).status_code == 200


# --- who may what --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scope", "verb", "status"),
    cases(
        ("access-viewer-get", "warehouse_table:read", "GET", 200),
        ("access-viewer-patch", "warehouse_table:read", "PATCH", 403),
        ("access-viewer-delete", "warehouse_table:read", "DELETE", 403),
        ("access-editor-get", "warehouse_table:write", "GET", 200),
        ("access-editor-patch", "warehouse_table:write", "PATCH", 200),
        ("access-none-get", "audit_log:read", "GET", 403),
        ("access-default-none", "audit_log:read", "GET", 403),
    ),
)
def test_a_key_may_what_its_scope_says(
    connect: Callable[..., httpx.Client],
    make_key: Callable[..., str],
    make_table: Callable[..., UUID],
    project_id: int,
    scope: str,
    verb: str,
    status: int,
) -> None:
    path = f"/api/environments/{project_id}/warehouse_tables/{make_table()}/"
    body = {"name": "updated_table"} if verb == "PATCH" else None
    assert connect(make_key([scope])).request(verb, path, json=body).status_code == status


@case("access-viewer-list")
def test_a_viewer_lists(
    connect: Callable[..., httpx.Client], make_key: Callable[..., str], project_id: int
) -> None:
    client = connect(make_key(["warehouse_table:read"]))
    assert client.get(f"/api/environments/{project_id}/warehouse_tables/").status_code == 200


@case("access-level-field")
def test_who_may_read_is_a_viewer(
    connect: Callable[..., httpx.Client],
    make_key: Callable[..., str],
    make_table: Callable[..., UUID],
    project_id: int,
) -> None:
    make_table()
    client = connect(make_key(["warehouse_table:read"]))
    answer = client.get(f"/api/environments/{project_id}/warehouse_tables/")
    assert answer.json()["results"][0]["user_access_level"] == "viewer"
