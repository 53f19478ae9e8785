"""Batches of other actions than a refresh, as the API takes them; lists of batches and of jobs."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select, update

from stocktake.db.models import Batch, Job
from stocktake.db.session import Database
from stocktake.states import JobKind, JobState
from tests.integration.api.conftest import MakeJob

MakeTable = Callable[..., UUID]


def ids(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    found = [each["id"] for each in answer.json()["results"]]
    assert answer.json()["count"] == len(found)
    return found


def test_a_batch_of_a_filter_is_one_job_and_done_once(
    client: httpx.Client, make_table: MakeTable, database: Database
) -> None:
    make_table()
    body = {"action": "delete", "selector": {"state": "never_read"}}
    key = {"Idempotency-Key": "once"}
    made = client.post("batches/", json=body, headers=key)
    assert made.status_code == 202, made.text
    again = client.post("batches/", json=body, headers=key)
    assert again.json()["id"] == made.json()["id"]
    batch = client.get(f"batches/{made.json()['id']}/").json()
    told = {name: batch[name] for name in ("action", "arguments", "state", "done", "selector")}
    assert told == body | {"arguments": {}, "state": "expanding", "done": False}
    with database.read() as session:
        [kind] = session.scalars(select(Job.kind).where(Job.batch_id == UUID(batch["id"])))
    assert kind == JobKind.CHANGE_TABLES
    [entry] = client.get("audit_log/?action=batch.create").json()["results"]
    assert entry["detail"] == {"does": "delete", "selector": {"state": "never_read"}}
    ended = client.post(f"batches/{batch['id']}/cancel/").json()
    assert (ended["state"], ended["done"]) == ("cancelled", True)


@pytest.mark.parametrize(
    ("body", "attr"),
    [
        ({"action": "delete"}, "selector"),
        ({"action": "drop", "selector": {"all": True}}, "action"),
        ({"action": "delete", "selector": {"state": "bad"}}, "selector__state"),
        ({"action": "delete", "selector": {"stat": "fresh"}}, "selector__stat"),
        ({"action": "delete", "selector": {"all": True, "state": "fresh"}}, "selector"),
        ({"action": "delete", "selector": {"schedule": str(UUID(int=1))}}, "selector__schedule"),
        ({"action": "delete", "selector": {"has_overrides": "yes"}}, "selector__has_overrides"),
        ({"action": "delete", "selector": {"tables": [str(UUID(int=1))]}}, "selector__tables"),
        ({"action": "policy", "selector": {"all": True}}, None),
        ({"action": "delete", "selector": {"all": True}, "change_policy": "auto"}, None),
    ],
)
def test_a_batch_that_is_none_is_refused(
    client: httpx.Client, body: dict[str, Any], attr: str | None
) -> None:
    answer = client.post("batches/", json=body)
    assert (answer.status_code, answer.json()["attr"]) == (400, attr)


def test_a_batch_needs_the_right_to_write(
    connect: Callable[..., httpx.Client], make_key: Callable[..., str], project_id: int
) -> None:
    reader = connect(make_key(["warehouse_table:read"]))
    path = f"/api/projects/{project_id}/batches/"
    body = {"action": "delete", "selector": {"all": True}}
    assert reader.post(path, json=body).status_code == 403
    assert reader.get(path).status_code == 200


def test_batches_are_listed_by_what_they_show(
    client: httpx.Client, make_table: MakeTable, database: Database
) -> None:
    make_table()

    def made(**body: Any) -> str:
        answer = client.post("batches/", json={"selector": {"all": True}} | body)
        return str(answer.json()["id"])

    refresh = made(action="refresh")
    policy = made(action="policy", change_policy="manual")
    plan = str(
        client.post("warehouse_tables/refresh/?dry_run=true", json={"all": True}).json()["id"]
    )
    failed = made(action="delete")
    with database.write() as session:
        ended = update(Job).where(Job.batch_id == UUID(failed))
        session.execute(ended.values(state=JobState.FAILED, error={"code": "internal"}))
        expanded = update(Batch).where(Batch.id == UUID(refresh))
        session.execute(expanded.values(expanded_at=datetime.now(UTC), tables=7))
        session.execute(
            update(Job).where(Job.batch_id == UUID(refresh)).values(state=JobState.SUCCEEDED)
        )
    assert ids(client.get("batches/")) == [failed, plan, policy, refresh]
    assert ids(client.get("batches/?action=refresh")) == [plan, refresh]
    assert ids(client.get("batches/?dry_run=true")) == [plan]
    assert ids(client.get("batches/?state=expanding")) == [plan, policy]
    assert ids(client.get("batches/?state=failed")) == [failed]
    assert ids(client.get("batches/?state=finished")) == [refresh]
    assert ids(client.get(f"batches/?schedule={refresh}")) == []
    shown = {each["id"]: each for each in client.get("batches/").json()["results"]}
    assert shown[refresh]["tables"] == 7
    assert shown[policy]["arguments"] == {"change_policy": "manual"}
    for batch_id, row in shown.items():
        assert client.get(f"batches/{batch_id}/").json()["state"] == row["state"]
    first = client.get("batches/?limit=3&cursor=").json()
    rest = client.get(first["next"]).json()
    assert [each["id"] for each in rest["results"]] == [refresh]


def test_jobs_are_found_by_code_and_by_age(
    client: httpx.Client, make_job: MakeJob, database: Database
) -> None:
    old, denied, superseded, waiting = (make_job() for _ in range(4))
    ago = datetime.now(UTC) - timedelta(days=2)
    ended = {"finished_at": datetime.now(UTC)}

    def error(code: str) -> dict[str, Any]:
        return {"code": code, "retryable": False, "detail": "", "hint": None, "file": None}

    with database.write() as session:
        for job_id, values in (
            (old, {"created_at": ago}),
            (denied, {"state": JobState.FAILED, "error": error("access_denied"), **ended}),
            (superseded, {"state": JobState.CANCELLED, "error": error("superseded"), **ended}),
            (waiting, {"error": error("access_denied")}),
        ):
            session.execute(update(Job).where(Job.id == job_id).values(**values))

    def found(**query: str) -> list[UUID]:
        answer = client.get("jobs/", params=query)
        assert answer.status_code == 200, answer.text
        return [UUID(each["id"]) for each in answer.json()["results"]]

    yesterday = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    assert found(error_code="access_denied") == [denied]
    assert found(error_code="access_denied", state="queued") == [waiting]
    assert found(error_code="superseded") == [superseded]
    assert found(created_before=yesterday) == [old]
    assert found(created_after=yesterday) == [waiting, superseded, denied]
    assert found(order_by="created_at") == [old, denied, superseded, waiting]
    page = client.get("jobs/?order_by=created_at&limit=3&cursor=").json()
    assert [UUID(each["id"]) for each in client.get(page["next"]).json()["results"]] == [waiting]
    assert client.get("jobs/?created_after=yesterday").json()["attr"] == "created_after"
    assert client.get("jobs/?created_after=2026-11-01T10:00:00").status_code == 400
    for number in ("0.5", "-1", "1793527200"):
        assert client.get(f"jobs/?created_before={number}").json()["attr"] == "created_before"
    assert client.patch("", json={"row_previews": 0}).json()["attr"] == "row_previews"
