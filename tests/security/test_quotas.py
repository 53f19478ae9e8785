"""What one key may hold open, and one project may have; another one's share is untouched."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any
from uuid import UUID

import httpx
import pytest

from api.edge.rate_limits import RateLimits
from servers.process import PATIENCE_SECONDS
from stocktake.db.models import Table, Upload
from stocktake.db.session import Database
from tests.integration.api.conftest import Served
from tests.support.stack import wait_until

Connect = Callable[..., httpx.Client]
Serve = Callable[..., Served]
MakeKey = Callable[..., str]


@pytest.fixture
def start(
    serve: Serve, connect: Connect, make_key: MakeKey, project_id: int, other_project: int
) -> Callable[..., tuple[httpx.Client, httpx.Client]]:
    """A client of one project and one of another, of an app with other limits."""

    def started(**limits: Any) -> tuple[httpx.Client, httpx.Client]:
        url = serve(**limits).url
        clients = []
        for project in (project_id, other_project):
            clients.append(connect(make_key(["*"], project), url))
            clients[-1].base_url = clients[-1].base_url.join(f"/api/projects/{project}/")
        return clients[0], clients[1]

    return started


def _require_quota(answer: httpx.Response, setting: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (403, "quota_exceeded")
    assert setting in answer.json()["detail"]


def _register(client: httpx.Client, name: str) -> httpx.Response:
    body = {
        "name": name,
        "format": "CSV",
        "url_pattern": "https://bucket.s3.amazonaws.com/x.csv",
        "options": {"public": True},
    }
    return client.post("warehouse_tables/", json=body)


def _upload(client: httpx.Client, path: str, size_bytes: int, **fields: str) -> httpx.Response:
    files = {"file": ("a.csv", b"a\n" + b"1" * (size_bytes - 2))}
    return client.post(f"warehouse_tables/{path}/", files=files, data=fields)


def test_kept_answers_of_a_project_are_limited(
    start: Callable[..., tuple[httpx.Client, httpx.Client]],
) -> None:
    mine, others = start(max_kept_answer_bytes_per_project=4000)
    paths = [
        f"warehouse_tables/{_register(client, 'a').json()['id']}/update_schema/"
        for client in (mine, others)
    ]
    answers = [
        mine.post(paths[0], json={}, headers={"Idempotency-Key": str(number)})
        for number in range(8)
    ]
    kept = [answer for answer in answers if answer.status_code == 200]
    assert 0 < len(kept) < len(answers)
    _require_quota(answers[-1], "MAX_KEPT_ANSWER_BYTES_PER_PROJECT")
    again = mine.post(paths[0], json={}, headers={"Idempotency-Key": "0"})
    assert again.headers["Idempotent-Replayed"] == "true"
    assert mine.post(paths[0], json={}).status_code == 200  # keeps nothing
    assert others.post(paths[1], json={}, headers={"Idempotency-Key": "0"}).status_code == 200


def test_tables_of_a_project_are_limited(
    start: Callable[..., tuple[httpx.Client, httpx.Client]], database: Database
) -> None:
    ours, theirs = start(max_tables_per_project=2)
    first = _register(ours, "one").json()["id"]
    assert _upload(ours, "file", 10, name="two").status_code == 201
    _require_quota(_register(ours, "three"), "STOCKTAKE_MAX_TABLES_PER_PROJECT")
    _require_quota(_upload(ours, "file", 10, name="three"), "STOCKTAKE_MAX_TABLES_PER_PROJECT")
    # A new file for a table that is there needs no room.
    assert _upload(ours, "file", 10, name="two").status_code == 201
    assert _register(theirs, "one").status_code == 201
    assert ours.delete(f"warehouse_tables/{first}/").status_code == 204
    assert _register(ours, "three").status_code == 201
    with database.read() as session:
        assert session.query(Upload).filter_by(state="receiving").count() == 0


def test_schedules_of_a_project_are_limited(
    start: Callable[..., tuple[httpx.Client, httpx.Client]],
) -> None:
    ours, theirs = start(max_schedules_per_project=1)
    body = {"name": "nightly", "cron": "0 3 * * *", "selector": {"all": True}}
    first = ours.post("schedules/", json=body)
    assert first.status_code == 201
    second = ours.post("schedules/", json=body | {"name": "hourly"})
    _require_quota(second, "STOCKTAKE_MAX_SCHEDULES_PER_PROJECT")
    assert theirs.post("schedules/", json=body).status_code == 201
    assert ours.delete(f"schedules/{first.json()['id']}/").status_code == 204
    assert ours.post("schedules/", json=body).status_code == 201


def test_checks_of_a_project_that_go_on_at_once_are_limited(
    start: Callable[..., tuple[httpx.Client, httpx.Client]],
) -> None:
    ours, theirs = start(max_checks_per_project=2)
    body = {"url_pattern": "https://bucket.s3.amazonaws.com/a.csv", "options": {"public": True}}
    first, second = (ours.post("warehouse_tables/check/", json=body) for _ in range(2))
    assert (first.status_code, second.status_code) == (202, 202)
    third = ours.post("warehouse_tables/check/", json=body)
    _require_quota(third, "STOCKTAKE_MAX_CHECKS_PER_PROJECT")
    assert theirs.post("warehouse_tables/check/", json=body).status_code == 202
    ended = f"jobs/{first.json()['id']}"
    assert ours.post(f"{ended}/cancel/").status_code == 202
    assert ours.post("warehouse_tables/check/", json=body).status_code == 202
    _require_quota(ours.post(f"{ended}/retry/"), "STOCKTAKE_MAX_CHECKS_PER_PROJECT")


def test_stored_bytes_of_a_project_are_limited(
    start: Callable[..., tuple[httpx.Client, httpx.Client]],
    database: Database,
    project_id: int,
) -> None:
    ours, theirs = start(max_stored_bytes_per_project=1000)
    sent = {"file_format": "csv"}
    stored = _upload(ours, "upload_file", 600, **sent).json()["upload_id"]
    assert _upload(ours, "upload_file", 400, **sent).status_code == 201
    for path in ("upload_file", "file"):
        refused = _upload(ours, path, 10, name="more", **sent)
        _require_quota(refused, "STOCKTAKE_MAX_STORED_BYTES_PER_PROJECT")
    assert _upload(theirs, "upload_file", 600, **sent).status_code == 201
    with database.write() as session:
        session.get_one(Upload, UUID(stored)).state = "removed"
    assert _upload(ours, "upload_file", 10, **sent).status_code == 201
    with database.write() as session:
        session.add(
            Table(
                project_id=project_id,
                name="grown",
                format="Delta",
                url_pattern="managed:///delta",
                managed=True,
                size_bytes=1000,
            )
        )
    _require_quota(_upload(ours, "upload_file", 10, **sent), "STOCKTAKE_MAX_STORED_BYTES")


def test_schemas_count_as_stored_bytes_of_deleted_tables_too(
    start: Callable[..., tuple[httpx.Client, httpx.Client]], database: Database, project_id: int
) -> None:
    ours, theirs = start(max_stored_bytes_per_project=1000)
    kept, deleted = (_register(ours, name).json()["id"] for name in ("kept", "deleted"))
    with database.write() as session:
        session.get_one(Table, UUID(kept)).schema_bytes = 500
    assert _upload(ours, "upload_file", 10, file_format="csv").status_code == 201
    with database.write() as session:
        session.get_one(Table, UUID(deleted)).schema_bytes = 490
    assert ours.delete(f"warehouse_tables/{deleted}/").status_code == 204
    refused = _upload(ours, "upload_file", 10, file_format="csv")
    _require_quota(refused, "STOCKTAKE_MAX_STORED_BYTES_PER_PROJECT")
    assert _upload(theirs, "upload_file", 10, file_format="csv").status_code == 201


def test_an_upload_on_its_way_counts_as_large_as_it_may_become(
    start: Callable[..., tuple[httpx.Client, httpx.Client]], database: Database, project_id: int
) -> None:
    ours, _ = start(max_stored_bytes_per_project=1000, max_upload_bytes=1000)
    with database.write() as session:
        session.add(Upload(project_id=project_id, filename="a", object_key="k", state="receiving"))
    _require_quota(_upload(ours, "upload_file", 10, file_format="csv"), "STORED_BYTES")


def test_no_limit_is_a_limit_of_0(
    start: Callable[..., tuple[httpx.Client, httpx.Client]],
) -> None:
    ours, _ = start(
        max_tables_per_project=0,
        max_schedules_per_project=0,
        max_stored_bytes_per_project=0,
        max_waits_per_key=0,
    )
    assert _upload(ours, "file", 10, name="one").status_code == 201


@contextmanager
def _streams(client: httpx.Client, job_id: UUID, count: int) -> Iterator[None]:
    kept = []  # an iterator that nobody holds closes its stream
    with ExitStack() as opened:
        for _ in range(count):
            stream = opened.enter_context(client.stream("GET", f"jobs/{job_id}/events/"))
            assert stream.status_code == 200
            kept.append(stream.iter_lines())
            next(kept[-1])
        yield


def test_event_streams_of_a_key_are_limited(
    start: Callable[..., tuple[httpx.Client, httpx.Client]],
    make_job: Callable[..., UUID],
    other_project: int,
) -> None:
    ours, theirs = start(max_waits_per_key=2)
    job_id, other_job = make_job(), make_job(other_project)
    with _streams(ours, job_id, 2):
        refused = ours.get(f"jobs/{job_id}/events/")
        assert (refused.status_code, refused.json()["code"]) == (429, "throttled")
        assert refused.headers["retry-after"] == "5"
        with _streams(theirs, other_job, 1):
            pass
        # What can be answered at once is, without the wait.
        waited = ours.get(f"jobs/{job_id}/", params={"wait": 50})
        assert (waited.status_code, waited.json()["done"]) == (200, False)

    def free() -> bool:
        with ours.stream("GET", f"jobs/{job_id}/events/") as stream:
            return stream.status_code == 200

    wait_until(free, "the end of the streams that were left")


def test_requests_of_a_key_that_are_under_way_are_limited(
    start: Callable[..., tuple[httpx.Client, httpx.Client]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else bodies that come slowly, each with a connection, would be all that there are."""
    mine, others = start(max_connections=8)
    count, counted, over = RateLimits.under_way, threading.Semaphore(0), threading.Event()

    @contextmanager
    def counting(limits: RateLimits, key_id: UUID) -> Iterator[None]:
        with count(limits, key_id):
            counted.release()
            yield

    def slowly() -> Iterator[bytes]:
        over.wait(PATIENCE_SECONDS)
        yield b"{}"

    def post() -> int:
        return mine.post("schedules/", content=slowly()).status_code

    monkeypatch.setattr(RateLimits, "under_way", counting)
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(post) for _ in range(4)]
        for _ in asked:
            assert counted.acquire(timeout=PATIENCE_SECONDS)
        assert mine.get("warehouse_tables/").status_code == 429
        assert others.get("warehouse_tables/").status_code == 200
        over.set()
        assert [each.result() for each in asked] == [400] * 4
    assert mine.get("warehouse_tables/").status_code == 200
