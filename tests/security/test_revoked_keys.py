"""A key that is revoked, expires or is cut ends what it left open, seconds later."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import httpx
import pytest
from sqlalchemy import update

from api.uploads import Receiver
from stocktake.db.clock import now
from stocktake.db.models import ApiKey, Upload
from stocktake.db.session import Database
from stocktake.security.scopes import AUDIT_READ, TABLE_READ
from tests.integration.api.conftest import FinishJob, MakeJob, Served

#: What can happen to a key, what its row is then, and what a request is answered from then on.
ENDS: Final[dict[str, tuple[dict[str, Any], int]]] = {
    "revoked": ({"revoked_at": now()}, 401),
    "expired": ({"expires_at": now()}, 401),
    "scope cut": ({"scopes": [AUDIT_READ]}, 403),
    "no scope": ({"scopes": []}, 403),
    "project cut": ({"project_ids": [999_999]}, 404),
}

Change = Callable[..., None]


@pytest.fixture
def change(database: Database) -> Change:
    """Change the rows of all keys but of one that a test leaves alone."""

    def change(**values: Any) -> None:
        with database.write() as session:
            session.execute(update(ApiKey).where(ApiKey.label != "stays").values(values))

    return change


@pytest.fixture
def waited_for(served: Served) -> Callable[[int], None]:
    """Wait until so many requests wait."""
    hub = served.parts.hub

    def wait(count: int) -> None:
        deadline = datetime.now(UTC) + timedelta(seconds=60)
        while hub.waiting != count or not hub.polls:
            assert datetime.now(UTC) < deadline, "nobody waited"
            threading.Event().wait(0.01)

    return wait


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as executor:
        yield executor


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("by", ["query", "prefer"])
def test_a_long_poll_is_refused_as_a_new_request_would_be(
    end: str,
    by: str,
    client: httpx.Client,
    make_job: MakeJob,
    change: Change,
    waited_for: Callable[[int], None],
    pool: ThreadPoolExecutor,
) -> None:
    values, status = ENDS[end]
    path = f"jobs/{make_job()}/"
    asked = (
        pool.submit(client.get, path, params={"wait": 60}, timeout=90)
        if by == "query"
        else pool.submit(client.get, path, headers={"Prefer": "wait=60"}, timeout=90)
    )
    waited_for(1)
    change(**values)
    answer = asked.result()
    assert answer.status_code == status
    again = client.get(path)
    assert (again.status_code, again.json()) == (status, answer.json())


@pytest.mark.parametrize("end", ENDS)
def test_a_stream_ends_with_the_refusal(
    end: str, client: httpx.Client, make_job: MakeJob, change: Change
) -> None:
    values, status = ENDS[end]
    told: list[tuple[str, Any]] = []
    job_id = make_job()
    with client.stream("GET", f"jobs/{job_id}/events/", timeout=90) as answer:
        for name, data in _events(answer):
            told.append((name, data))
            if len(told) == 1:
                change(**values)
    assert [name for name, _ in told] == ["state", "refused"]
    again = client.get(f"jobs/{job_id}/")
    assert (again.status_code, again.json()) == (status, told[-1][1])


def _events(answer: httpx.Response) -> Iterator[tuple[str, Any]]:
    name = ""
    for line in answer.iter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        if line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


@pytest.mark.parametrize("end", ENDS)
def test_a_submit_that_waits_gets_the_answer_of_when_its_key_held(
    end: str,
    client: httpx.Client,
    make_job: MakeJob,
    finish_job: FinishJob,
    change: Change,
    waited_for: Callable[[int], None],
    pool: ThreadPoolExecutor,
) -> None:
    finish_job(old := make_job())
    retry = f"jobs/{old}/retry/"
    asked = pool.submit(client.post, retry, headers={"Prefer": "wait=60"}, timeout=90)
    waited_for(1)
    change(**ENDS[end][0])
    answer = asked.result()
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")


def test_other_keys_and_lesser_cuts_wait_on(
    client: httpx.Client,
    connect: Callable[..., httpx.Client],
    make_key: Callable[..., str],
    make_job: MakeJob,
    finish_job: FinishJob,
    change: Change,
    waited_for: Callable[[int], None],
    pool: ThreadPoolExecutor,
) -> None:
    job_id = make_job()
    other = connect(make_key(["*"], label="stays"), str(client.base_url))
    asked = [
        pool.submit(each.get, f"jobs/{job_id}/", params={"wait": 60}, timeout=90)
        for each in (client, other)
    ]
    waited_for(2)
    change(scopes=[TABLE_READ])
    change(revoked_at=now())
    assert asked[0].result().status_code == 401
    assert not asked[1].done()
    finish_job(job_id)
    assert asked[1].result().json()["state"] == "succeeded"


@pytest.mark.parametrize("end", ENDS)
def test_an_upload_whose_key_ends_on_the_way_leaves_nothing(
    end: str,
    client: httpx.Client,
    change: Change,
    database: Database,
    served: Served,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write, (values, status) = Receiver._write, ENDS[end]

    async def cut(receiver: Receiver, event: Any) -> None:
        await write(receiver, event)
        change(**values)

    monkeypatch.setattr(Receiver, "_write", cut)
    answer = client.post("warehouse_tables/file/", files={"file": ("a.csv", b"a\n1\n")})
    assert answer.status_code == status
    stored = served.settings.data_dir / "managed"
    assert [path for path in stored.rglob("*") if path.is_file()] == []
    with database.read() as session:
        assert {row.state for row in session.query(Upload)} == {"removed"}


def test_a_key_whose_time_is_up_while_it_waits_is_refused(
    client: httpx.Client, make_job: MakeJob, change: Change
) -> None:
    """Nobody does anything: its time goes by."""
    job_id: UUID = make_job()
    change(expires_at=datetime.now(UTC) + timedelta(seconds=3))
    answer = client.get(f"jobs/{job_id}/", params={"wait": 60}, timeout=90)
    assert answer.status_code == 401
