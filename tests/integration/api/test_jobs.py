import httpx

from tests.integration.api.conftest import FinishJob, MakeJob


def test_a_queued_job_has_the_shape_of_the_contract(
    client: httpx.Client, make_job: MakeJob
) -> None:
    job_id = make_job()
    answer = client.get(f"jobs/{job_id}/")
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert list(body) == [
        "id",
        "kind",
        "table_id",
        "batch_id",
        "state",
        "done",
        "attempt",
        "max_attempts",
        "next_run_at",
        "deduplicated",
        "progress",
        "result",
        "error",
        "created_at",
        "started_at",
        "finished_at",
    ]
    assert (body["id"], body["state"], body["done"]) == (str(job_id), "queued", False)
    assert answer.headers["retry-after"] == "1"


def test_a_finished_job_carries_its_result(
    client: httpx.Client, make_job: MakeJob, finish_job: FinishJob
) -> None:
    job_id = make_job()
    finish_job(job_id, {"columns": 2})
    answer = client.get(f"jobs/{job_id}/")
    assert (answer.json()["state"], answer.json()["result"]) == ("succeeded", {"columns": 2})
    assert "retry-after" not in answer.headers
