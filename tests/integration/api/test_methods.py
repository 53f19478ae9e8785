"""HEAD wherever GET answers, and OPTIONS with the methods of a path."""

import socket
from collections.abc import Callable, Iterator
from uuid import UUID, uuid4

import httpx
import pytest

from stocktake.db.session import Database
from tests.integration.api.conftest import MakeJob, Served
from tests.support.rows import pending_change

#: Differ from one answer to the next.
_OWN = {"date", "x-request-id"}


@pytest.fixture
def described(anonymous: httpx.Client) -> dict[str, dict[str, object]]:
    paths: dict[str, dict[str, object]] = anonymous.get("/api/schema/").json()["paths"]
    return paths


@pytest.fixture
def made(
    client: httpx.Client,
    make_job: MakeJob,
    make_table: Callable[..., UUID],
    database: Database,
    project_id: int,
) -> dict[str, str]:
    """One of each thing that a path may name."""
    table_id = make_table("named")
    with database.write() as session:
        change = pending_change(project_id, table_id)
        session.add(change)
        session.flush()
        change_id = str(change.id)
    schedule = {"name": "nightly", "cron": "0 3 * * *", "selector": {"all": True}}
    return {
        "project_id": "@current",
        "job_id": str(make_job()),
        "table_id": str(table_id),
        "change_id": change_id,
        "batch_id": client.post("warehouse_tables/refresh/", json={"all": True}).json()["id"],
        "schedule_id": client.post("schedules/", json=schedule).json()["id"],
        "number": "1",
    }


def paths_with(method: str, described: dict[str, dict[str, object]]) -> Iterator[str]:
    return (path for path, methods in described.items() if method in methods)


def test_item_6_head_answers_wherever_get_does(
    client: httpx.Client, made: dict[str, str], described: dict[str, dict[str, object]]
) -> None:
    """The same status and headers, and no body; streams have no length, and end at once."""
    undescribed = ["/", "/docs", "/docs/start.js", "/docs/swagger-ui.css", "/nothing"]
    asked = [*paths_with("get", described), *undescribed]
    assert len(asked) > 20
    for path in (each.format(**made) for each in asked):
        head = client.head(str(client.base_url.join(path)), follow_redirects=False)
        if path.endswith("/events/"):
            assert (head.status_code, head.content) == (200, b"")
            assert head.headers["content-type"].startswith("text/event-stream")
            continue
        got = client.get(str(client.base_url.join(path)), follow_redirects=False)
        assert (head.status_code, head.content) == (got.status_code, b""), path
        assert head.headers.keys() == got.headers.keys()
        if not path.startswith(("/metrics", "/readyz")):  # these change by themselves
            assert _fixed(head) == _fixed(got), path


def _fixed(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in _OWN}


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/healthz/"])
def test_item_6_a_health_check_by_head_keeps_its_connection(served: Served, path: str) -> None:
    """What follows on the connection is the next answer: no byte of a body is sent."""
    address = httpx.URL(served.url)
    with socket.create_connection((address.host, address.port)) as plain:
        file = plain.makefile("rb")
        for _ in range(2):
            plain.sendall(f"HEAD {path} HTTP/1.1\r\nHost: {address.host}\r\n\r\n".encode())
            assert file.readline().split()[1] in {b"200", b"503"}
            while file.readline() != b"\r\n":
                pass


def test_item_6_head_of_what_a_client_may_not_see_is_refused_as_get_is(
    anonymous: httpx.Client, client: httpx.Client
) -> None:
    assert anonymous.head("/api/projects/1/jobs/").status_code == 401
    missing = client.head(f"jobs/{uuid4()}/")
    assert (missing.status_code, missing.content) == (404, b"")


def test_item_6_head_of_what_only_takes_post_is_405(client: httpx.Client) -> None:
    answer = client.head(f"jobs/{uuid4()}/cancel/")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "OPTIONS, POST")


def test_item_6_options_answers_with_allow_and_needs_no_key(
    anonymous: httpx.Client, made: dict[str, str], described: dict[str, dict[str, object]]
) -> None:
    for path, methods in described.items():
        answer = anonymous.options(path.format(**made))
        assert (answer.status_code, answer.content) == (204, b""), path
        allowed = set(answer.headers["Allow"].split(", "))
        own = {method.upper() for method in methods}
        assert own | {"OPTIONS"} <= allowed, path
        assert ("HEAD" in allowed) is ("GET" in allowed)
    assert anonymous.options("/nothing").status_code == 404


def test_item_6_options_allows_no_page_of_another_origin_anything(client: httpx.Client) -> None:
    preflight = {"Origin": "https://evil.example", "Access-Control-Request-Method": "DELETE"}
    answer = client.options("jobs/", headers=preflight)
    assert answer.status_code == 204
    assert not [name for name in answer.headers if name.startswith("access-control-")]
