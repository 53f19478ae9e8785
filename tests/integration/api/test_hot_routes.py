"""The short way of the commonest requests answers, and refuses, as the framework's does."""

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import update

from api.edge import hot_routes
from stocktake.db.models import ApiKey, AuditEntry
from stocktake.db.session import Database
from stocktake.services import identity
from tests.integration.api.conftest import FinishJob, MakeJob, MakeKey, Served

Connect = Callable[..., httpx.Client]
#: An answer's own: the others are the same on both ways.
_OWN = {"x-request-id", "date"}


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of the requests that go the short way."""
    taken: list[str] = []
    begin = hot_routes.begin_request

    def note(request, parts, caller) -> None:
        taken.append(request.url.path)
        begin(request, parts, caller)

    monkeypatch.setattr(hot_routes, "begin_request", note)
    return taken


def _all_of(answer: httpx.Response) -> tuple[int, dict[str, str], bytes]:
    headers = {name: value for name, value in answer.headers.items() if name not in _OWN}
    return answer.status_code, headers, answer.content


def test_both_ways_give_the_same_bytes_and_headers(
    client: httpx.Client, make_table, make_job: MakeJob, finish_job: FinishJob, short: list[str]
) -> None:
    columns = [{"name": "a", "clickhouse": "Int64", "hogql": "integer", "valid": True}]
    table = make_table(columns=[columns[0] | {"nullable": False, "override": None}])
    ended = make_job(table_id=table)
    finish_job(ended, {"columns": 1})
    client.get("jobs/")  # the key is known from here on
    client.post(f"warehouse_tables/{table}/refresh_schema/")
    short.clear()
    asked = [
        ("POST", f"warehouse_tables/{table}/refresh_schema/"),  # finds the job that waits
        ("GET", f"warehouse_tables/{table}/"),
        ("GET", f"jobs/{ended}/"),
        ("GET", f"jobs/{uuid4()}/"),
        ("GET", f"warehouse_tables/{uuid4()}/"),
        ("POST", f"warehouse_tables/{uuid4()}/refresh_schema/"),
    ]
    for method, path in asked:
        quick = client.request(method, path)
        slow = client.request(method, path, params={"unknown": "1"})
        assert _all_of(quick) == _all_of(slow), path
    assert len(short) == len(asked)


@pytest.mark.parametrize(
    "headers",
    [{}, {"Idempotency-Key": "one"}, {"Prefer": "wait=0"}, {"Idempotency-Key": "x" * 300}],
)
def test_a_new_submit_is_the_same_on_both_ways(
    client: httpx.Client, make_table, short: list[str], headers: dict[str, str]
) -> None:
    client.get("jobs/")
    bodies = []
    for name, params in (("a", None), ("b", {"unknown": "1"})):
        path = f"warehouse_tables/{make_table(name)}/refresh_schema/"
        key = {each: value + name for each, value in headers.items() if each != "Prefer"}
        answer = client.post(path, params=params, headers=headers | key)
        again = client.post(path, params=params, headers=headers | key)
        bodies.append((answer.status_code, set(answer.headers), set(answer.json())))
        if "Idempotency-Key" in headers and answer.status_code == 202:
            assert again.headers["idempotent-replayed"] == "true"
            assert again.content == answer.content
    assert bodies[0] == bodies[1]
    assert len(short) == 2


def test_a_revoked_key_is_refused_at_its_next_request(
    connect: Connect, make_key: MakeKey, make_table, database: Database, project_id: int, rings
) -> None:
    key = make_key(["*"])
    client = connect(key)
    base = f"/api/projects/{project_id}"
    path = f"{base}/warehouse_tables/{make_table()}"
    assert [client.get(f"{path}/").status_code for _ in range(2)] == [200, 200]
    with database.write() as session:
        assert identity.revoke_key(session, key[:10]) == 1
    rung = len(rings)
    refused = client.post(f"{path}/refresh_schema/")
    assert (refused.status_code, refused.json()["code"]) == (401, "authentication_failed")
    assert refused.headers["www-authenticate"].startswith("Bearer")
    assert client.get(f"{path}/").status_code == 401
    assert client.get(f"{base}/jobs/{uuid4()}/").status_code == 401
    assert len(rings) == rung


@pytest.mark.parametrize(
    ("cut", "status"),
    [
        ({"scopes": ["warehouse_table:read"]}, 403),
        ({"project_ids": []}, 404),
        ({"expires_at": datetime(2020, 1, 1, tzinfo=UTC)}, 401),
    ],
    ids=["scope", "project", "expired"],
)
def test_a_key_that_lost_a_right_is_refused_at_its_next_request(
    client: httpx.Client, make_table, database: Database, rings, cut, status: int
) -> None:
    path = f"warehouse_tables/{make_table()}/"
    assert [client.get(path).status_code for _ in range(2)] == [200, 200]
    with database.write() as session:
        session.execute(update(ApiKey).values(**cut))
    assert client.post(f"{path}refresh_schema/").status_code == status
    assert rings == []


def test_what_a_key_may_not_is_refused_and_noted(
    connect: Connect,
    make_key: MakeKey,
    make_table,
    served: Served,
    project_id: int,
    other_project: int,
    database: Database,
    short: list[str],
) -> None:
    client = connect(make_key(["warehouse_table:read"]))
    foreign: UUID = make_table("foreign", other_project)
    mine: UUID = make_table()
    assert client.get(f"/api/projects/{project_id}/warehouse_tables/{mine}/").status_code == 200
    refusals = [
        client.post(f"/api/projects/{project_id}/warehouse_tables/{mine}/refresh_schema/"),
        client.get(f"/api/projects/{other_project}/warehouse_tables/{foreign}/"),
        client.get(f"/api/projects/{project_id}/warehouse_tables/{foreign}/"),
    ]
    assert [each.status_code for each in refusals] == [403, 404, 404]
    assert len(short) == 1  # the last: that it is another's is known only by its row
    served.stop()  # writes what it has collected
    with database.read() as session:
        noted = session.query(AuditEntry).filter(AuditEntry.action == "refused").count()
    assert noted == 2


def test_both_ways_share_a_keys_limit(
    serve, settings, make_table, make_key: MakeKey, connect: Connect, project_id: int
) -> None:
    limited = serve(rate_limit_per_minute=4)
    client = connect(make_key(["*"]), limited.url)
    path = f"/api/projects/{project_id}/warehouse_tables/{make_table()}/"
    answers = [client.get(path) for _ in range(6)]
    assert [each.status_code for each in answers] == [200] * 4 + [429] * 2
    assert int(answers[-1].headers["retry-after"]) >= 1


@pytest.mark.parametrize("size_bytes", [1, 1024 * 1024, 1024 * 1024 + 1])
def test_a_body_is_ignored_up_to_its_limit(
    client: httpx.Client, make_table, size_bytes: int
) -> None:
    client.get("jobs/")
    path = f"warehouse_tables/{make_table()}/refresh_schema/"
    answer = client.post(path, content=b"x" * size_bytes)
    assert answer.status_code == (413 if size_bytes > 1024 * 1024 else 202)
