import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlalchemy.orm import Session

from servers.process import PATIENCE_SECONDS
from stocktake.db.models import ApiKey, AuditEntry
from stocktake.db.session import Database
from stocktake.security.keys import digest
from stocktake.services import identity
from tests.integration.api.conftest import MakeJob, MakeKey, Served
from tests.integration.api.playing import wait_for_a_lock

READ = ["warehouse_table:read"]
Connect = Callable[..., httpx.Client]


def test_no_key_is_401_in_posthogs_words(anonymous: httpx.Client, project_id: int) -> None:
    answer = anonymous.get(f"/api/projects/{project_id}/jobs/")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.json() == {
        "type": "authentication_error",
        "code": "not_authenticated",
        "detail": "Authentication credentials were not provided.",
        "attr": None,
    }


@pytest.mark.parametrize(
    "header",
    ["Bearer stk_wrong", "Bearer " + "x" * 5000, "Bearer \u00e9".encode("latin-1"), "bearer a b"],
)
def test_a_key_that_does_not_hold_is_401(
    anonymous: httpx.Client, project_id: int, header: str | bytes
) -> None:
    answer = anonymous.get(
        f"/api/projects/{project_id}/jobs/", headers=[(b"Authorization", _bytes(header))]
    )
    assert answer.status_code == 401
    assert answer.json()["code"] == "authentication_failed"


def _bytes(header: str | bytes) -> bytes:
    return header if isinstance(header, bytes) else header.encode()


@pytest.mark.parametrize("header", ["", "Basic YTpi", "Bearer", "stk_abc"])
def test_another_scheme_counts_as_no_key(
    anonymous: httpx.Client, project_id: int, header: str
) -> None:
    answer = anonymous.get(f"/api/projects/{project_id}/jobs/", headers={"Authorization": header})
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")


def test_a_key_in_the_query_or_body_is_not_taken(
    anonymous: httpx.Client, make_key: MakeKey, project_id: int
) -> None:
    url = f"/api/projects/{project_id}/jobs/"
    assert anonymous.get(url, params={"personal_api_key": make_key()}).status_code == 401
    body = {"personal_api_key": make_key()}
    assert anonymous.post(f"{url}x/retry/", json=body).status_code == 401


def test_an_expired_and_a_revoked_key_are_401(
    connect: Connect, make_key: MakeKey, database: Database, project_id: int
) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    revoked = make_key()
    with database.write() as session:
        assert identity.revoke_key(session, revoked[:10]) == 1
    for key in (make_key(expires=past), revoked):
        answer = connect(key).get(f"/api/projects/{project_id}/jobs/")
        assert (answer.status_code, answer.json()["code"]) == (401, "authentication_failed")


def test_a_key_that_expires_later_holds(
    connect: Connect, make_key: MakeKey, project_id: int
) -> None:
    key = make_key(expires=datetime.now(UTC) + timedelta(hours=1))
    assert connect(key).get(f"/api/projects/{project_id}/jobs/").status_code == 200


def test_a_missing_scope_is_403_and_named(
    connect: Connect, make_key: MakeKey, make_job: MakeJob, project_id: int
) -> None:
    answer = connect(make_key(READ)).post(f"/api/projects/{project_id}/jobs/{make_job()}/cancel/")
    assert answer.status_code == 403
    assert answer.json() == {
        "type": "authentication_error",
        "code": "permission_denied",
        "detail": "API key missing required scope 'warehouse_table:write'",
        "attr": None,
    }


def test_write_implies_read(connect: Connect, make_key: MakeKey, project_id: int) -> None:
    writer = connect(make_key(["warehouse_table:write"]))
    assert writer.get(f"/api/projects/{project_id}/jobs/").status_code == 200


def test_another_tenants_project_is_a_404_like_any(
    connect: Connect, make_key: MakeKey, other_project: int
) -> None:
    ours = connect(make_key())
    for unknown in (other_project, "99999", "0", "-1", "x", "1.0", "9" * 5000, "%00", "\u0661"):
        answer = ours.get(f"/api/projects/{unknown}/jobs/")
        assert (answer.status_code, answer.json()["detail"]) == (404, "Not found."), unknown


def test_another_tenants_job_is_a_404_like_any(
    connect: Connect, make_key: MakeKey, make_job: MakeJob, other_project: int, project_id: int
) -> None:
    theirs = make_job(other_project)
    ours = connect(make_key())
    url = f"/api/projects/{project_id}/jobs"
    unknown = ours.get(f"{url}/00000000-0000-7000-8000-000000000000/")
    for answer in (
        ours.get(f"{url}/{theirs}/"),
        ours.get(f"{url}/{theirs}/events/"),
        ours.post(f"{url}/{theirs}/cancel/"),
        ours.post(f"{url}/{theirs}/retry/"),
    ):
        assert (answer.status_code, answer.json()) == (404, unknown.json())


def test_current_names_the_only_project_of_a_key(
    connect: Connect, make_key: MakeKey, make_job: MakeJob, other_project: int, project_id: int
) -> None:
    job_id = make_job()
    one, two = connect(make_key()), connect(make_key(["*"], project_id, other_project))
    assert one.get(f"/api/projects/@current/jobs/{job_id}/").status_code == 200
    answer = two.get(f"/api/projects/@current/jobs/{job_id}/")
    assert (answer.status_code, answer.json()["attr"]) == (400, "project_id")


def test_requests_beyond_the_limit_of_a_key_are_429(
    serve: Callable[..., Served], connect: Connect, make_key: MakeKey, project_id: int
) -> None:
    limited = serve(rate_limit_per_minute=2, rate_limit_per_hour=100)
    client, other = connect(make_key(), limited.url), connect(make_key(), limited.url)
    url = f"/api/projects/{project_id}/jobs/"
    assert [client.get(url).status_code for _ in range(3)] == [200, 200, 429]
    answer = client.get(url)
    wait = int(answer.headers["retry-after"])
    assert 1 <= wait <= 60
    assert answer.json() == {
        "type": "throttled_error",
        "code": "throttled",
        "detail": f"Request was throttled. Expected available in {wait} seconds.",
        "attr": None,
    }
    assert other.get(url).status_code == 200


def test_the_hourly_limit_holds_by_itself(
    serve: Callable[..., Served], connect: Connect, make_key: MakeKey, project_id: int
) -> None:
    client = connect(make_key(), serve(rate_limit_per_minute=0, rate_limit_per_hour=1).url)
    url = f"/api/projects/{project_id}/jobs/"
    assert [client.get(url).status_code for _ in range(2)] == [200, 429]


def test_bad_keys_from_one_address_are_throttled_and_good_ones_are_not(
    serve: Callable[..., Served], connect: Connect, make_key: MakeKey, project_id: int
) -> None:
    limited = serve(refused_keys_per_minute=30)
    url = f"/api/projects/{project_id}/jobs/"
    bad = connect("stk_wrong", limited.url)
    statuses = {bad.get(url).status_code for _ in range(40)}
    assert statuses == {401, 429}
    assert connect(make_key(), limited.url).get(url).status_code == 200


def test_last_use_and_refusals_are_written_at_the_latest_when_the_server_stops(
    serve: Callable[..., Served],
    connect: Connect,
    make_key: MakeKey,
    database: Database,
    project_id: int,
) -> None:
    other = serve()
    key = make_key(READ)
    url = f"/api/projects/{project_id}/jobs/{project_id}/cancel/"
    assert connect(key, other.url).post(url).status_code == 403
    other.stop()
    with database.read() as session:
        row = session.query(ApiKey).filter(ApiKey.prefix == key[:10]).one()
        (entry,) = session.query(AuditEntry).filter(AuditEntry.action == "refused")
    assert row.last_used_at is not None
    assert entry.key_prefix == key[:10]
    assert entry.detail == {"scope": "warehouse_table:write", "code": "permission_denied"}


def test_only_a_keys_hash_and_prefix_are_stored(make_key: MakeKey, database: Database) -> None:
    key = make_key()
    with database.read() as session:
        row = session.query(ApiKey).one()
    assert key[:10] == row.prefix
    assert key.encode() not in repr(vars(row)).encode()


@pytest.mark.parametrize("header", [None, "Bearer stk_wrong"])
def test_a_stranger_is_refused_before_any_of_a_body_is_read(
    served: Served, project_id: int, header: str | None
) -> None:
    path = f"/api/projects/{project_id}/warehouse_tables/"
    authorization = f"Authorization: {header}\r\n" if header else ""
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\n{authorization}Content-Type: application/json\r\n"
    with socket.create_connection(
        served.listening.getsockname(), timeout=PATIENCE_SECONDS
    ) as stranger:
        stranger.sendall(f"{head}Content-Length: 1000\r\n\r\n".encode())
        assert stranger.recv(100).startswith(b"HTTP/1.1 401")


def test_a_request_with_a_body_counts_once_against_the_limit(
    serve: Callable[..., Served], connect: Connect, make_key: MakeKey, project_id: int
) -> None:
    limited = serve(rate_limit_per_minute=2)
    client = connect(make_key(["*"]), limited.url)
    path = f"/api/projects/{project_id}/warehouse_tables/refresh/"
    answers = [client.post(path, json={"all": True}).status_code for _ in range(3)]
    assert answers == [202, 202, 429]


def test_two_first_keys_of_one_person_at_once_are_both_made(
    database: Database, project_id: int
) -> None:
    def make(session: Session) -> str:
        return identity.create_key(session, [project_id], READ, email="new@example.com")

    def second() -> str:
        with database.write() as session:
            return make(session)

    with ThreadPoolExecutor(1) as pool:
        with database.write() as session:
            first_key = make(session)
            asked = pool.submit(second)
            wait_for_a_lock(database)
        second_key = asked.result()
    with database.read() as session:
        keys = session.query(ApiKey).filter(ApiKey.sha256.in_(map(digest, (first_key, second_key))))
        assert len({key.user_id for key in keys}) == 1
        assert keys.count() == 2
