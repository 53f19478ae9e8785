"""The pages of jobs: the list and its filters, one job whatever became of it, and its buttons."""

import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx

from stocktake.db.session import Database
from stocktake.jobs import leases
from stocktake.states import JobKind
from tests.integration.api.conftest import FinishJob, MakeJob
from tests.integration.api.console.conftest import Claim, SignIn, post, text_of

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
NOTHING: dict[str, Any] = {"removed": [], "changed": [], "renamed": [], "reordered": False}
DIFF = {**NOTHING, "added": [{"name": "price", "type": "Float64"}]}


def _listed(page: str) -> set[str]:
    return set(re.findall(r"/jobs/([0-9a-f-]{36})\"", page))


def test_an_empty_list_says_how_to_fill_it(browser: httpx.Client) -> None:
    assert "No jobs yet" in text_of(browser.get("jobs"))
    assert "No job matches" in text_of(browser.get("jobs", params={"state": "failed"}))


def test_jobs_are_found_by_state_kind_table_and_code(
    browser: httpx.Client, make_job: MakeJob, make_table: Callable[..., UUID], fail_job: Any
) -> None:
    table = make_table("orders")
    queued = make_job(table_id=table)
    failed = make_job(kind=JobKind.PLAN_REFRESH)
    fail_job(failed)

    def found(**asked: object) -> set[str]:
        return _listed(text_of(browser.get("jobs", params={k: str(v) for k, v in asked.items()})))

    assert found() == {str(queued), str(failed)}
    assert found(state="queued") == found(table=table) == {str(queued)}
    assert found(kind="plan_refresh") == found(code="access_denied") == {str(failed)}
    assert found(state="queued", code="access_denied") == set()
    # What is none of them asks for nothing.
    assert found(state="burning") == found()
    page = text_of(browser.get("jobs", params={"table": str(table), "state": "queued"}))
    assert "table: orders" in page
    assert f"jobs/?state=queued&amp;table={table}" in page


def test_what_is_typed_in_the_box_becomes_chips(
    browser: httpx.Client, make_job: MakeJob, make_table: Callable[..., UUID], fail_job: Any
) -> None:
    orders, _ = make_table("orders"), make_table("orders_eu")
    failed = make_job(table_id=orders)
    fail_job(failed)
    make_job(table_id=orders)

    def typed(text: str) -> httpx.Response:
        return browser.get("jobs", params={"q": text}, follow_redirects=False)

    answer = typed("state:failed code:access_denied table:orders")
    assert answer.status_code == 303
    assert answer.headers["location"].endswith(
        f"/jobs?state=failed&code=access_denied&table={orders}"
    )
    page = text_of(browser.get(answer.headers["location"].rpartition("/")[2]))
    assert _listed(page) == {str(failed)}
    assert 'value="state:failed code:access_denied table:orders"' in page
    assert typed("orders_e").status_code == 303  # one has it in its name
    page = text_of(typed("rders"))
    assert "No one table is called" in page
    assert "/tables?q=rders" in page
    page = text_of(typed("state:faled batch:x"))
    assert "is no state of a job" in page
    assert "is no batch" in page
    assert typed("code:" + "x" * 150).status_code == 303


def test_tables_lead_to_their_jobs(browser: httpx.Client, make_table: Callable[..., UUID]) -> None:
    make_table("orders")
    page = text_of(browser.get("tables", params={"q": "state:failed table:orders"}))
    assert "/jobs?q=state%3Afailed+table%3Aorders" in page
    failing = page[page.index('class="row filters"') :].partition("</div>")[0]
    assert re.search(r'aria-current="true">failing ', failing)  # also where it is typed as "failed"
    for text in ("", "state:stale", "orders format:delta"):
        assert "Jobs that match" not in text_of(browser.get("tables", params={"q": text}))


def test_a_list_is_paged(browser: httpx.Client, make_job: MakeJob) -> None:
    made = [str(make_job()) for _ in range(42)]
    first = text_of(browser.get("jobs"))
    assert "of 42</span>" in first
    second = text_of(browser.get("jobs?offset=40"))
    assert _listed(second) == set(made[:2])


def test_a_failed_job_tells_why_and_what_to_do(
    browser: httpx.Client, client: httpx.Client, make_job: MakeJob, fail_job: Any
) -> None:
    job = make_job()
    fail_job(job)
    page = text_of(browser.get(f"jobs/{job}"))
    assert "The bucket says no." in page
    assert "Give the credential permission" in page
    assert "1 of 5 at most" in page
    assert re.search(
        r'<rect class="no" x="[\d.]+" width="[\d.]+" height="14"><title>Attempt 1', page
    )
    assert f"stocktake jobs retry {job}" in page
    assert "changes from:body" not in page  # it has ended
    answer = post(browser, f"jobs/{job}/retry")
    again = answer.headers["location"].partition("/jobs/")[2].partition("?")[0]
    assert (answer.status_code, again == str(job)) == (303, False)
    page = text_of(browser.get(f"jobs/{again}?notice=retried"))
    assert f"/jobs/{job}" in page
    assert "Queued once more" in page
    assert client.get(f"jobs/{again}/").json()["state"] == "queued"


def test_a_job_that_waits_is_cancelled_once(
    browser: httpx.Client, client: httpx.Client, make_job: MakeJob
) -> None:
    job = make_job()
    page = text_of(browser.get(f"jobs/{job}"))
    assert "No worker has taken it yet" in page
    assert "changes from:body" in page
    assert post(browser, f"jobs/{job}/cancel").status_code == 303
    assert client.get(f"jobs/{job}/").json()["state"] == "cancelled"
    assert "ended already" in text_of(post(browser, f"jobs/{job}/cancel"), 409)


def test_a_job_that_runs_is_not_tried_again(
    browser: httpx.Client, make_job: MakeJob, claim_job: Claim, database: Database
) -> None:
    job = make_job()
    claimed = claim_job(job)
    with database.write() as session:
        progress = {"phase": "read", "files_done": 3, "files_total": 9}
        leases.heartbeat(session, claimed, lease_seconds=60, progress=progress)
    page = text_of(browser.get(f"jobs/{job}"))
    assert "read: 3 of 9 files" in page
    assert '<progress max="9" value="3"' in page
    assert "has not ended" in text_of(post(browser, f"jobs/{job}/retry"), 409)


def test_what_a_read_found_is_told(
    browser: httpx.Client, make_job: MakeJob, finish_job: FinishJob
) -> None:
    job = make_job()
    warning = {"code": "x", "sentence": "Rows were cut.", "file": "a.csv", "line": 7}
    finish_job(job, {"change": "additive", "diff": DIFF, "warnings": [warning]})
    page = text_of(browser.get(f"jobs/{job}"))
    assert "What changed" in page
    assert "price" in page
    assert "Rows were cut." in page
    raw = browser.get(f"jobs/{job}/raw")
    assert raw.headers["content-type"] == "application/json"
    assert raw.json()["result"]["warnings"] == [warning]
    assert raw.json()["attempts"][0]["outcome"] == "succeeded"


def test_a_long_diff_is_paged(
    browser: httpx.Client, make_job: MakeJob, finish_job: FinishJob
) -> None:
    job = make_job()
    added = [{"name": f"c{at}", "type": "String"} for at in range(41)]
    finish_job(job, {"change": "additive", "diff": {**NOTHING, "added": added}})
    assert "40 of 41</span>" in text_of(browser.get(f"jobs/{job}"))
    assert "<strong>c40</strong>" in text_of(browser.get(f"jobs/{job}?line=40"))


def test_a_check_shows_each_step(
    browser: httpx.Client, make_job: MakeJob, finish_job: FinishJob
) -> None:
    job = make_job(kind=JobKind.CHECK_SOURCE)
    step = {"step": "list", "outcome": "failed", "detail": "403", "code": "denied", "hint": "Ask."}
    result = {"passed": False, "url_pattern": "https://b/x.csv", "format": "CSV", "steps": [step]}
    finish_job(job, result | {"columns": [], "row_count": None, "warnings": [], "grant": None})
    page = text_of(browser.get(f"jobs/{job}"))
    assert "The source cannot be read" in page
    assert "List</th>" in page
    assert "Ask." in page


def test_what_strangers_wrote_is_text_and_cut(
    browser: httpx.Client, make_job: MakeJob, finish_job: FinishJob, fail_job: Any
) -> None:
    failed, read = make_job(), make_job()
    fail_job(failed, EVIL + "x" * 50_000)
    columns = [{"name": f"{EVIL}{at}" + "n" * 10_000, "type": "Int64"} for at in range(200)]
    warnings = [{"code": "x", "sentence": EVIL * 99, "file": EVIL, "line": 1}] * 99
    diff = {**NOTHING, "added": columns}
    finish_job(read, {"change": "additive", "diff": diff, "warnings": warnings})
    for path in ("jobs", f"jobs/{failed}", f"jobs/{read}"):
        answer = browser.get(path)
        assert "<script>alert" not in text_of(answer), path
        assert "<img src=x" not in answer.text, path
        assert len(answer.content) < 100_000, path


def test_a_key_that_may_only_look_finds_the_buttons_disabled(
    sign_in: SignIn, make_job: MakeJob, project_id: int
) -> None:
    job = make_job()
    browser = sign_in(["warehouse_table:read"])
    page = text_of(browser.get(f"/p/{project_id}/jobs/{job}"))
    assert re.search(r"<button[^>]*disabled[^>]*lacks the scope warehouse_table:write", page)
