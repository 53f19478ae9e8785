import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from sqlalchemy import delete, text

from stocktake.db.models import AuditEntry, Batch, Job, JobAttempt, Table, Upload
from stocktake.db.session import Database, Ring
from stocktake.errors import StorageThrottledError, WorkerStoppedError
from stocktake.jobs import leases
from stocktake.jobs.leases import Claim, RetryPolicy
from stocktake.states import JobKind, UploadState
from tests.integration.api.conftest import FinishJob, MakeJob, MakeKey, Served
from tests.support.commands import stocktake
from tests.support.stack import wait_until

ClaimJob = Callable[[UUID], Claim]
JobRow = Callable[[UUID], Job]
MakeTable = Callable[..., UUID]


def test_a_queued_job_has_the_shape_of_the_contract(
    client: httpx.Client, make_job: MakeJob
) -> None:
    job_id = make_job()
    answer = client.get(f"jobs/{job_id}/")
    assert answer.status_code == 200
    body = answer.json()
    assert list(body) == [
        *("id", "kind", "table_id", "batch_id", "state", "done", "attempt", "max_attempts"),
        *("next_run_at", "deduplicated", "progress", "result", "error"),
        *("created_at", "started_at", "finished_at", "attempts"),
    ]
    assert (body["id"], body["state"], body["done"]) == (str(job_id), "queued", False)
    assert body["created_at"].endswith("Z")
    assert answer.headers["retry-after"] == "1"


def test_a_finished_job_carries_its_result(
    client: httpx.Client, make_job: MakeJob, finish_job: FinishJob
) -> None:
    job_id = make_job()
    finish_job(job_id, {"columns": 2})
    answer = client.get(f"jobs/{job_id}/")
    body = answer.json()
    assert (body["state"], body["done"], body["result"]) == ("succeeded", True, {"columns": 2})
    assert body["finished_at"] is not None
    assert "retry-after" not in answer.headers


def test_a_backed_off_job_says_why_and_when_to_look_again(
    client: httpx.Client, make_job: MakeJob, claim_job: ClaimJob, database: Database
) -> None:
    claimed = claim_job(job_id := make_job())
    # A draw of exactly the cap is not needed: the answer is cut to a minute either way.
    with database.write() as session:
        retry = RetryPolicy(base_seconds=10**9, max_seconds=10**9)
        leases.fail(session, claimed, StorageThrottledError("Slow down."), retry)
    answer = client.get(f"jobs/{job_id}/")
    body = answer.json()
    assert (body["state"], body["done"], body["attempt"]) == ("queued", False, 1)
    assert body["error"]["code"] == "storage_throttled"
    assert body["error"]["retryable"] is True
    assert answer.headers["retry-after"] == "60"


def test_each_attempt_says_when_where_and_why_it_ended(
    client: httpx.Client, make_job: MakeJob, claim_job: ClaimJob, database: Database
) -> None:
    stopped = claim_job(job_id := make_job())
    with database.write() as session:
        leases.hand_back(session, stopped, WorkerStoppedError("A deploy."))
    running = claim_job(job_id)
    first, second = client.get(f"jobs/{job_id}/").json()["attempts"]
    assert first["started_at"] <= first["ended_at"] <= second["started_at"]
    assert (first["number"], first["outcome"], first["detail"]) == (
        1,
        "worker_stopped",
        "A deploy.",
    )
    assert (second["worker"], second["ended_at"], second["outcome"]) == (running.worker, None, None)
    assert "attempts" not in client.get("jobs/").json()["results"][0]


def test_the_command_line_shows_each_attempt_with_its_reason_times_and_worker(
    served: Served,
    make_key: MakeKey,
    make_job: MakeJob,
    claim_job: ClaimJob,
    database: Database,
    tmp_path: Path,
) -> None:
    stopped = claim_job(job_id := make_job())
    with database.write() as session:
        leases.hand_back(session, stopped, WorkerStoppedError("A deploy."))
    claim_job(job_id)

    settings = {"URL": served.url, "API_KEY": make_key()}
    shown = stocktake("jobs", "show", str(job_id), folder=tmp_path, settings=settings)

    moment = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ"
    told = (
        rf"Attempt 1\tworker_stopped\n\tA deploy\.\n\t{moment} to {moment} on test/1\n\n"
        rf"Attempt 2\trunning\n\tsince {moment} on test/1\n"
    )
    assert re.search(told, shown.stdout), shown.stdout


def test_an_unchanged_job_is_304_until_it_changes(
    client: httpx.Client, make_job: MakeJob, finish_job: FinishJob
) -> None:
    job_id = make_job()
    tag = client.get(f"jobs/{job_id}/").headers["etag"]
    again = client.get(f"jobs/{job_id}/", headers={"If-None-Match": f'"other", W/{tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    finish_job(job_id)
    changed = client.get(f"jobs/{job_id}/", headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != tag


def test_the_history_is_newest_first_and_filtered(
    client: httpx.Client,
    make_job: MakeJob,
    make_table: MakeTable,
    finish_job: FinishJob,
    other_project: int,
) -> None:
    table_id = make_table()
    first = make_job(table_id=table_id)
    finish_job(first)
    second = make_job(table_id=table_id)
    third = make_job(kind=JobKind.VALIDATE_COLUMNS)
    make_job(other_project)

    def ids(**filters: str) -> list[str]:
        return [job["id"] for job in client.get("jobs/", params=filters).json()["results"]]

    assert ids() == [str(third), str(second), str(first)]
    assert ids(state="succeeded") == [str(first)]
    assert ids(kind="validate_columns") == [str(third)]
    assert ids(table=str(table_id)) == [str(second), str(first)]
    assert ids(table=str(table_id), state="queued") == [str(second)]
    assert ids(batch=str(table_id)) == []


def test_the_history_is_read_in_pages(client: httpx.Client, make_job: MakeJob) -> None:
    made = [str(make_job()) for _ in range(3)]
    page = client.get("jobs/", params={"limit": 2, "state": "queued"}).json()
    assert (page["count"], page["previous"]) == (3, None)
    assert "state=queued" in page["next"]
    rest = client.get(page["next"]).json()
    assert [job["id"] for job in page["results"] + rest["results"]] == made[::-1]
    assert rest["next"] is None
    assert client.get(rest["previous"]).json()["results"] == page["results"]


def test_a_cancelled_queued_job_ends_at_once(
    client: httpx.Client, make_job: MakeJob, database: Database
) -> None:
    job_id = make_job()
    answer = client.post(f"jobs/{job_id}/cancel/")
    assert answer.status_code == 202
    body = answer.json()
    assert (body["state"], body["done"], body["error"]["code"]) == ("cancelled", True, "cancelled")
    assert answer.headers["location"].endswith(f"/jobs/{job_id}/")
    with database.read() as session:
        entry = session.query(AuditEntry).filter(AuditEntry.action == "job.cancel").one()
    assert entry.subject == str(job_id)


def test_a_running_job_is_asked_to_stop_and_its_worker_sees_it(
    client: httpx.Client, make_job: MakeJob, claim_job: ClaimJob, database: Database
) -> None:
    claimed = claim_job(job_id := make_job())
    tag = client.get(f"jobs/{job_id}/").headers["etag"]
    answer = client.post(f"jobs/{job_id}/cancel/")
    assert (answer.status_code, answer.json()["state"]) == (202, "running")
    assert client.get(f"jobs/{job_id}/").headers["etag"] != tag
    with database.write() as session:
        beat = leases.heartbeat(session, claimed, lease_seconds=60)
    assert beat.cancel_requested
    assert client.post(f"jobs/{job_id}/cancel/").status_code == 202


def test_an_ended_job_cannot_be_cancelled(
    client: httpx.Client, make_job: MakeJob, finish_job: FinishJob
) -> None:
    finish_job(job_id := make_job())
    answer = client.post(f"jobs/{job_id}/cancel/")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert "succeeded" in answer.json()["detail"]


def test_a_retry_is_a_new_job_that_rings_and_is_the_tables_latest(
    client: httpx.Client,
    make_job: MakeJob,
    finish_job: FinishJob,
    job_row: JobRow,
    rings: list[Ring],
    database: Database,
) -> None:
    finish_job(old := make_job())
    answer = client.post(f"jobs/{old}/retry/")
    assert answer.status_code == 202
    new = UUID(answer.json()["id"])
    assert new != old
    row = job_row(new)
    assert (row.retry_of, row.kind, row.table_id) == (old, "refresh_schema", job_row(old).table_id)
    assert [ring.job_id for ring in rings] == [new]
    assert answer.headers["location"].endswith(f"/jobs/{new}/")
    assert answer.headers["retry-after"] == "1"
    with database.read() as session:
        table = session.get(Table, row.table_id)
    assert table is not None
    assert table.latest_job_id == new


def test_two_retries_share_one_waiting_job(
    client: httpx.Client, make_job: MakeJob, finish_job: FinishJob
) -> None:
    finish_job(old := make_job())
    first, second = (client.post(f"jobs/{old}/retry/").json() for _ in range(2))
    assert first["id"] == second["id"]
    assert (first["deduplicated"], second["deduplicated"]) == (False, True)


def test_a_job_that_has_not_ended_is_not_retried(
    client: httpx.Client, make_job: MakeJob, claim_job: ClaimJob
) -> None:
    job_id = make_job()
    assert client.post(f"jobs/{job_id}/retry/").status_code == 409
    claim_job(job_id)
    assert client.post(f"jobs/{job_id}/retry/").status_code == 409


def test_a_job_of_a_deleted_table_is_not_retried(
    client: httpx.Client, make_job: MakeJob, finish_job: FinishJob, database: Database
) -> None:
    finish_job(job_id := make_job())
    with database.write() as session:
        session.query(Table).update({Table.deleted: True})
    answer = client.post(f"jobs/{job_id}/retry/")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


def test_a_job_that_only_a_newer_release_knows_is_shown_cancelled_and_not_retried(
    client: httpx.Client,
    anonymous: httpx.Client,
    make_job: MakeJob,
    database: Database,
) -> None:
    """It was written during a rolling upgrade, or before the release was rolled back."""
    job_id = make_job()
    with database.write() as session:
        session.query(Job).update({Job.kind: "compact_table", Job.queue: "urgent"})

    [listed] = client.get("jobs/").json()["results"]
    shown = client.get(f"jobs/{job_id}/").json()
    scraped = anonymous.get("/metrics").text
    cancelled = client.post(f"jobs/{job_id}/cancel/")
    retried = client.post(f"jobs/{job_id}/retry/")

    assert (listed["kind"], shown["kind"]) == ("compact_table", "compact_table")
    assert 'stocktake_due_jobs{queue="urgent"} 1.0' in scraped
    assert cancelled.json()["state"] == "cancelled"
    assert (retried.status_code, retried.json()["code"]) == (409, "conflict")
    assert "compact_table" in retried.json()["detail"]


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)  # SQLite writes one by one
def test_a_batch_that_retention_removes_at_that_moment_is_not_expanded_again(
    client: httpx.Client, finish_job: FinishJob, database: Database
) -> None:
    started = client.post("warehouse_tables/refresh/", json={"all": True}).json()
    finish_job(UUID(started["expand_job_id"]))

    with ThreadPoolExecutor(1) as one, database.write() as session:
        for model in (JobAttempt, Job, Batch):
            session.execute(delete(model))
        retry = one.submit(client.post, f"jobs/{started['expand_job_id']}/retry/")
        waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        wait_until(lambda: bool(session.scalar(waiting)), "a retry that waits for the removal")

    assert (retry.result().status_code, retry.result().json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("state", "ends_well", "status"),
    [
        (UploadState.STORED, False, 202),
        (UploadState.STORED, True, 409),
        (UploadState.REMOVED, False, 409),
    ],
)
def test_an_upload_is_loaded_again_only_if_it_was_not_and_is_still_there(
    client: httpx.Client,
    make_job: MakeJob,
    finish_job: FinishJob,
    database: Database,
    project_id: int,
    state: UploadState,
    ends_well: bool,
    status: int,
) -> None:
    with database.write() as session:
        upload = Upload(project_id=project_id, filename="a.csv", object_key="k", state=state.value)
        session.add(upload)
        session.flush()
    job_id = make_job(kind=JobKind.INGEST_FILE, upload_id=upload.id)
    if ends_well:
        finish_job(job_id)
    else:
        client.post(f"jobs/{job_id}/cancel/")
    assert client.post(f"jobs/{job_id}/retry/").status_code == status


def test_events_tell_a_jobs_life_and_end_with_it(
    client: httpx.Client, make_job: MakeJob, claim_job: ClaimJob, database: Database
) -> None:
    job_id = make_job()
    told: list[tuple[str, str]] = []
    with client.stream("GET", f"jobs/{job_id}/events/") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for name, job in _events(answer):
            told.append((name, job["state"]))
            if told == [("state", "queued")]:
                claimed = claim_job(job_id)
            if told[-1] == ("state", "running"):
                with database.write() as session:
                    progress = {"phase": "read", "files_done": 1, "files_total": 2}
                    leases.heartbeat(session, claimed, lease_seconds=60, progress=progress)
            if told[-1] == ("progress", "running"):
                with database.write() as session:
                    leases.succeed(session, claimed, {"columns": 1})
    assert told == [
        ("state", "queued"),
        ("state", "running"),
        ("progress", "running"),
        ("state", "succeeded"),
        ("end", "succeeded"),
    ]


def _events(answer: httpx.Response):  # type: ignore[no-untyped-def]  # a generator of pairs
    name = ""
    for line in answer.iter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        if line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


def test_events_of_an_ended_job_are_its_end(
    client: httpx.Client, make_job: MakeJob, finish_job: FinishJob
) -> None:
    finish_job(job_id := make_job())
    with client.stream("GET", f"jobs/{job_id}/events/") as answer:
        assert [name for name, _ in _events(answer)] == ["state", "end"]


def test_item_11_who_waits_behind_a_cancelled_job_is_rung_for(
    client: httpx.Client, make_job: MakeJob, make_table: MakeTable, rings: list[Ring]
) -> None:
    table_id = make_table("ledger")
    older, younger = (make_job(table_id=table_id, kind=JobKind.INGEST_FILE) for _ in range(2))
    rings.clear()
    assert client.post(f"jobs/{older}/cancel/").status_code == 202
    assert [ring.job_id for ring in rings] == [younger]
