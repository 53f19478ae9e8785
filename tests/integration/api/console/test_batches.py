"""The pages of batches: how far one is, what failed by code, and the failed once more."""

import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
import pytest

from stocktake.db.clock import now
from stocktake.db.models import Batch, BatchItem
from stocktake.db.session import Database
from tests.integration.api.conftest import FinishJob, MakeJob
from tests.integration.api.console.conftest import SignIn, post, text_of

EVIL = "<script>alert(1)</script>"
MakeTable = Callable[..., UUID]
Batched = tuple[str, list[UUID]]


@pytest.fixture
def batched(
    client: httpx.Client,
    database: Database,
    make_table: MakeTable,
    make_job: MakeJob,
    finish_job: FinishJob,
    fail_job: Any,
) -> Batched:
    """A batch of three tables, two of which have failed, and the tables."""
    tables = [make_table(f"{name}{EVIL}") for name in ("good", "bad", "worse")]
    selector = {"tables": [str(each) for each in tables]}
    batch = client.post("warehouse_tables/refresh/", json=selector).json()["id"]
    jobs = [make_job(table_id=table, batch_id=UUID(batch)) for table in tables]
    with database.write() as session:
        for table, job in zip(tables, jobs, strict=True):
            session.add(BatchItem(batch_id=UUID(batch), table_id=table, job_id=job))
        session.get_one(Batch, UUID(batch)).expanded_at = session.scalar(now().select())
    finish_job(jobs[0], {"change": "none"})
    for job in jobs[1:]:
        fail_job(job, f"No, {EVIL}")
    return batch, tables


def test_without_batches_the_ways_to_one_are_told(browser: httpx.Client) -> None:
    assert "No batches yet" in text_of(browser.get("batches"))
    assert "No batch matches" in text_of(browser.get("batches?state=failed"))


def test_batches_are_listed_by_state_and_action(
    browser: httpx.Client, client: httpx.Client, make_table: MakeTable
) -> None:
    make_table()
    body = {"action": "policy", "selector": {"state": "never_read"}, "change_policy": "manual"}
    policy = client.post("batches/", json=body).json()["id"]
    refresh = client.post("warehouse_tables/refresh/", json={"all": True}).json()["id"]

    def found(query: str = "") -> set[str]:
        page = text_of(browser.get(f"batches{query}"))
        return set(re.findall(r"/batches/([0-9a-f-]{36})\"", page))

    assert found() == found("?state=expanding") == {policy, refresh}
    assert found("?action=policy") == {policy}
    assert found("?state=finished") == set()
    page = text_of(browser.get("batches"))
    assert "all tables" in page
    assert "state:never_read" in page
    page = text_of(browser.get(f"batches/{policy}"))
    assert "Set the policy" in page
    assert post(browser, f"batches/{policy}/cancel").status_code == 303
    assert client.get(f"batches/{policy}/").json()["state"] == "cancelled"


def test_a_batch_tells_what_failed_and_tries_that_again(
    browser: httpx.Client, client: httpx.Client, batched: Batched
) -> None:
    batch, tables = batched
    page = text_of(browser.get(f"batches/{batch}"))
    assert "3 of 3 tables done" in re.sub(r"\s+", " ", page)
    assert "1 succeeded, 2 failed, 0 cancelled, 0 to come" in page
    assert re.search(r"<code>access_denied</code></a></th><td class=\"right\">2</td>", page)
    assert "Give the credential permission" in page
    answer = post(browser, f"batches/{batch}/retry")
    assert answer.status_code == 303, answer.text
    again = answer.headers["location"].partition("/batches/")[2].partition("?")[0]
    selector = client.get(f"batches/{again}/").json()["selector"]
    assert selector == {"tables": sorted(str(each) for each in tables[1:])}


def test_the_deleted_are_not_tried_again(
    browser: httpx.Client, client: httpx.Client, batched: Batched
) -> None:
    batch, tables = batched
    for table in tables[1:]:
        client.delete(f"warehouse_tables/{table}/")
    assert "No table of this batch" in text_of(post(browser, f"batches/{batch}/retry"), 409)


def test_names_and_sentences_of_strangers_are_text(browser: httpx.Client, batched: Batched) -> None:
    for path in ("batches", f"batches/{batched[0]}"):
        assert "<script>alert" not in text_of(browser.get(path)), path


def test_a_key_that_may_only_look_finds_the_buttons_disabled(
    sign_in: SignIn, batched: Batched, project_id: int
) -> None:
    page = text_of(sign_in(["warehouse_table:read"]).get(f"/p/{project_id}/batches/{batched[0]}"))
    assert re.search(r"<button[^>]*disabled[^>]*lacks the scope warehouse_table:write", page)
