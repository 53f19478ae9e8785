from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from stocktake.db.models import IdempotencyKey, Job
from stocktake.db.session import Database
from stocktake.errors import ConflictError
from stocktake.services import idempotency
from stocktake.services.idempotency import StoredAnswer
from tests.integration.api.conftest import FinishJob, MakeJob, MakeKey

KEY = {"Idempotency-Key": "5f0c"}


@pytest.fixture
def ended(make_job: MakeJob, finish_job: FinishJob) -> UUID:
    """An ended job: each retry of it that is not waiting already makes a new one."""
    finish_job(job_id := make_job())
    return job_id


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as executor:
        yield executor


def _count(database: Database, entity: type[Any]) -> int:
    with database.read() as session:
        return session.query(entity).count()


def test_the_same_request_gets_the_first_answer_again(
    client: httpx.Client, ended: UUID, finish_job: FinishJob, database: Database
) -> None:
    first = client.post(f"jobs/{ended}/retry/", headers=KEY)
    finish_job(UUID(first.json()["id"]))
    again = client.post(f"jobs/{ended}/retry/", headers=KEY)
    assert (again.status_code, again.json()) == (202, first.json())
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert again.headers["location"] == first.headers["location"]
    assert _count(database, Job) == 2


def test_the_slash_and_the_other_prefix_do_not_hide_a_repeat(
    client: httpx.Client, ended: UUID
) -> None:
    client.post(f"jobs/{ended}/retry/", headers=KEY)
    again = client.post(f"jobs/{ended}/retry", headers=KEY)
    assert again.headers["idempotent-replayed"] == "true"


@pytest.mark.parametrize("other", ["body", "path"])
def test_another_request_with_the_key_is_422(
    client: httpx.Client, ended: UUID, make_job: MakeJob, other: str
) -> None:
    assert client.post(f"jobs/{ended}/retry/", headers=KEY).status_code == 202
    if other == "body":
        answer = client.post(f"jobs/{ended}/retry/", headers=KEY, json={"a": 1})
    else:
        answer = client.post(f"jobs/{make_job()}/cancel/", headers=KEY)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")


def test_a_refused_request_does_not_take_the_key(
    client: httpx.Client, make_job: MakeJob, finish_job: FinishJob
) -> None:
    job_id = make_job()
    assert client.post(f"jobs/{job_id}/retry/", headers=KEY).status_code == 409
    finish_job(job_id)
    answer = client.post(f"jobs/{job_id}/retry/", headers=KEY)
    assert answer.status_code == 202
    assert "idempotent-replayed" not in answer.headers


def test_keys_of_two_projects_do_not_meet(
    client: httpx.Client,
    connect: Callable[..., httpx.Client],
    make_key: MakeKey,
    make_job: MakeJob,
    ended: UUID,
    other_project: int,
) -> None:
    client.post(f"jobs/{ended}/retry/", headers=KEY)
    theirs = connect(make_key(["*"], other_project))
    url = f"/api/projects/{other_project}/jobs/{make_job(other_project)}/cancel/"
    assert theirs.post(url, headers=KEY).status_code == 202


def test_repeats_at_the_same_moment_are_done_once(
    client: httpx.Client, ended: UUID, pool: ThreadPoolExecutor, database: Database
) -> None:
    asked = [pool.submit(client.post, f"jobs/{ended}/retry/", headers=KEY) for _ in range(8)]
    answers = [one.result() for one in asked]
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
    assert not any(answer.json()["deduplicated"] for answer in answers)


def test_a_repeat_while_the_first_still_waits_is_409_and_then_gets_its_final_answer(
    client: httpx.Client, ended: UUID, finish_job: FinishJob, database: Database
) -> None:
    headers = KEY | {"Prefer": "wait=40"}
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(client.post, f"jobs/{ended}/retry/", headers=headers)
        while _count(database, IdempotencyKey) == 0:
            assert not asked.done(), asked.result().text
        repeat = client.post(f"jobs/{ended}/retry/", headers=headers)
        assert (repeat.status_code, repeat.json()["code"]) == (409, "idempotency_key_in_use")
        with database.read() as session:
            job_id = session.query(Job).filter(Job.retry_of == ended).one().id
        finish_job(job_id, {"columns": 7})
        first = asked.result()
    assert first.status_code == 200
    again = client.post(f"jobs/{ended}/retry/", headers=headers)
    assert (again.status_code, again.json()) == (200, first.json())
    assert again.headers["idempotent-replayed"] == "true"


def test_a_wait_that_runs_out_frees_the_key(client: httpx.Client, ended: UUID) -> None:
    headers = KEY | {"Prefer": "wait=1"}
    assert client.post(f"jobs/{ended}/retry/", headers=headers).status_code == 202
    again = client.post(f"jobs/{ended}/retry/", headers=headers)
    assert (again.status_code, again.headers["idempotent-replayed"]) == (202, "true")


def test_a_process_that_died_while_it_waited_leaves_its_first_answer(
    database: Database, project_id: int
) -> None:
    key = idempotency.make_key(project_id, "k", b"x")
    given = StoredAnswer(status=202, body={"id": 1}, headers={"Location": "/x"})
    with database.write() as session:
        assert idempotency.begin(session, key) is None
        idempotency.keep(session, key, given, final=False)
    with pytest.raises(ConflictError), database.write() as session:
        idempotency.begin(session, key)
    _age(database, timedelta(minutes=2))
    with database.write() as session:
        assert idempotency.begin(session, key) == given


def test_a_key_is_forgotten_after_a_day(
    client: httpx.Client, ended: UUID, finish_job: FinishJob, database: Database
) -> None:
    first = client.post(f"jobs/{ended}/retry/", headers=KEY).json()
    finish_job(UUID(first["id"]))
    _age(database, timedelta(hours=24, minutes=1))
    assert client.post(f"jobs/{ended}/retry/", headers=KEY).json()["id"] != first["id"]


def _age(database: Database, by: timedelta) -> None:
    with database.write() as session:
        session.query(IdempotencyKey).update({IdempotencyKey.created_at: datetime.now(UTC) - by})


@pytest.mark.parametrize("key", ["", "x" * 256, "\u00e9"])
def test_a_key_that_cannot_be_one_is_400(client: httpx.Client, ended: UUID, key: str) -> None:
    headers = [(b"Idempotency-Key", key.encode("latin-1"))]
    answer = client.post(f"jobs/{ended}/retry/", headers=headers)
    assert (answer.status_code, answer.json()["attr"]) == (400, "Idempotency-Key")
