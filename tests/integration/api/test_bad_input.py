"""No input that a client can send ends in a 500."""

from collections.abc import Callable
from uuid import UUID

import httpx
import pytest

from stocktake.settings import Settings
from tests.integration.api.conftest import MakeJob, Served

UNKNOWN = "00000000-0000-7000-8000-000000000000"


@pytest.mark.parametrize(
    "job_id",
    [
        UNKNOWN,
        "1",
        "x" * 4000,
        "%00",
        "%ff%fe",
        "..%2f..%2fetc",
        "' OR 1=1 --",
        "null",
        "\u0661\u0662",
        "00000000-0000-7000-8000-00000000000g",
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("GET", "events/"), ("POST", "cancel/"), ("POST", "retry/")],
)
def test_an_id_that_names_nothing_is_404(
    client: httpx.Client, job_id: str, method: str, path: str
) -> None:
    answer = client.request(method, f"jobs/{job_id}/{path}")
    assert answer.status_code == 404
    assert answer.json() == {
        "type": "invalid_request",
        "code": "not_found",
        "detail": "Not found.",
        "attr": None,
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "-1"),
        ("limit", "0"),
        ("limit", "abc"),
        ("limit", "1.5"),
        ("limit", ""),
        ("limit", "9" * 5000),
        ("offset", "-1"),
        ("offset", "9" * 30),
        ("state", "no-such"),
        ("kind", "\u0000"),
        ("table", "not-a-uuid"),
        ("batch", "\ud800".encode("utf-8", "surrogatepass")),
    ],
)
def test_a_wrong_query_is_400_and_names_the_parameter(
    client: httpx.Client, name: str, value: str
) -> None:
    answer = client.get("jobs/", params={name: value})
    assert answer.status_code == 400
    body = answer.json()
    assert (body["type"], body["attr"]) == ("validation_error", name)
    assert body["code"] == "invalid_input"


@pytest.mark.parametrize("wait", ["-1", "abc", "nan", "9" * 5000])
def test_a_wrong_wait_is_400(client: httpx.Client, make_job: MakeJob, wait: str) -> None:
    answer = client.get(f"jobs/{make_job()}/", params={"wait": wait})
    assert (answer.status_code, answer.json()["attr"]) == (400, "wait")


@pytest.mark.parametrize("prefer", ["wait", "wait=", "wait=-1", "wait=x", "wait=" + "9" * 99, ";,"])
def test_a_preference_that_nobody_can_read_is_passed_over(
    client: httpx.Client, make_job: MakeJob, prefer: str
) -> None:
    answer = client.get(f"jobs/{make_job()}/", headers={"Prefer": prefer})
    assert answer.status_code == 200
    assert "preference-applied" not in answer.headers


def test_a_limit_beyond_the_longest_page_is_cut(client: httpx.Client, make_job: MakeJob) -> None:
    make_job()
    assert client.get("jobs/", params={"limit": 10**6}).json()["count"] == 1


@pytest.mark.parametrize(
    "body",
    [b"{", b"[" * 100_000, b"\xff\xfe", b"NaN", b"1" * 5000, b"\x00", b'"\\ud800"'],
)
def test_a_body_that_is_not_asked_for_is_ignored(
    client: httpx.Client, make_job: MakeJob, body: bytes
) -> None:
    headers = {"Content-Type": "application/json"}
    answer = client.post(f"jobs/{make_job()}/cancel/", content=body, headers=headers)
    assert answer.status_code == 202


def test_a_body_beyond_the_limit_is_413(client: httpx.Client) -> None:
    headers = {"Content-Type": "application/json", "Idempotency-Key": "k"}
    answer = client.post(f"jobs/{UNKNOWN}/cancel/", content=b" " * 1_100_000, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")


def test_a_chunked_body_beyond_the_limit_is_413(client: httpx.Client) -> None:
    def chunks():  # type: ignore[no-untyped-def]  # a generator of bytes
        for _ in range(30):
            yield b" " * 65_536

    answer = client.post(
        f"jobs/{UNKNOWN}/cancel/", content=chunks(), headers={"Idempotency-Key": "k"}
    )
    assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")


def test_a_wrong_method_is_405_and_an_unknown_path_404(client: httpx.Client) -> None:
    answer = client.delete("jobs/")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    answer = client.get("no_such_thing/")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("path", ["jobs", "jobs/"])
def test_paths_answer_with_and_without_the_slash(client: httpx.Client, path: str) -> None:
    answer = client.get(path, follow_redirects=False)
    assert answer.status_code == 200


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_a_database_that_is_away_is_503_with_retry_after(
    serve: Callable[..., Served], connect: Callable[..., httpx.Client], settings: Settings
) -> None:
    gone = serve(database_url="postgresql+psycopg://stocktake@127.0.0.1:1/gone")
    answer = connect("stk_x", gone.url).get("/api/projects/1/jobs/")
    assert (answer.status_code, answer.json()["code"]) == (503, "service_unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    assert "127.0.0.1" not in answer.text


@pytest.mark.parametrize("path", ["jobs/", "no_such_thing/", "jobs/x/"])
def test_every_answer_carries_its_id_and_the_security_headers(
    client: httpx.Client, path: str
) -> None:
    answer = client.get(path, headers={"X-Request-ID": "mine-1"})
    assert answer.headers["x-request-id"] == "mine-1"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", '"; drop'])
def test_a_request_id_that_is_none_is_replaced(anonymous: httpx.Client, given: str) -> None:
    answer = anonymous.get("/healthz", headers={"X-Request-ID": given})
    assert answer.headers["x-request-id"] not in ("", given)


@pytest.mark.parametrize(
    ("method", "path", "query", "words"),
    [
        ("POST", "warehouse_tables/file/", "dry_run=true", "send 'dry_run' in the body"),
        ("POST", "warehouse_tables/file/", "Target=delta", "send 'target' in the body"),
        ("POST", "warehouse_tables/", "optoins=x", "send 'options' in the body"),
        ("PATCH", "warehouse_tables/{table}/", "delete=true", "send 'deleted' in the body"),
        ("DELETE", "warehouse_tables/{table}/", "dry-run=1", "nothing here has a dry run"),
        ("POST", "warehouse_tables/{table}/restore/", "version=3", "send 'version' in the body"),
        ("POST", "warehouse_tables/{table}/maintain/", "dryrun=1", "nothing here has a dry run"),
        ("GET", "jobs/", "states=failed", "did you mean 'state'?"),
        ("GET", "warehouse_tables/", "serach=x", "did you mean 'search'?"),
    ],
)
def test_a_query_that_would_be_passed_over_at_somebodys_cost_is_refused(
    client: httpx.Client,
    make_table: Callable[..., UUID],
    method: str,
    path: str,
    query: str,
    words: str,
) -> None:
    table = make_table("orders")
    answer = client.request(method, path.format(table=table) + "?" + query, json={})
    assert answer.status_code == 400, answer.text
    assert words in answer.json()["detail"]
    assert answer.json()["attr"] == query.partition("=")[0]
    assert client.get(f"warehouse_tables/{table}/").status_code == 200


def test_other_names_of_a_query_are_passed_over(client: httpx.Client) -> None:
    assert client.get("warehouse_tables/?format=json&_=17&utm_source=x").status_code == 200
    asked = client.post("warehouse_tables/?format=json&trace=1", json={"name": "x"})
    assert asked.json()["attr"] == "format"  # of the body, which has none


@pytest.mark.parametrize(("key", "near"), [("delted", "deleted"), ("optoins", "options")])
def test_a_misspelt_key_of_a_table_is_told(
    client: httpx.Client, make_table: Callable[..., UUID], key: str, near: str
) -> None:
    answer = client.patch(f"warehouse_tables/{make_table('orders')}/", json={key: True})
    assert (answer.status_code, answer.json()["attr"]) == (400, key)
    assert answer.json()["detail"] == f"This field is not known; did you mean {near!r}?"


def test_a_table_may_be_sent_back_as_it_was_shown(
    client: httpx.Client, make_table: Callable[..., UUID]
) -> None:
    path = f"warehouse_tables/{make_table('orders')}/"
    shown = client.get(path).json()
    assert client.patch(path, json=shown).status_code == 200
