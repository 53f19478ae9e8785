"""The page of health: each part, and what a project has under way."""

import re
import threading
from collections.abc import Callable

import httpx
import pytest

from servers.process import PATIENCE_SECONDS
from stocktake import __version__
from stocktake.db.models import ClockBeat
from stocktake.db.session import Database
from stocktake.jobs.doorbell import WorkerAnswer
from tests.integration.api.conftest import MakeJob, Served
from tests.integration.api.console.conftest import OWN, Claim, text_of


def test_what_does_not_work_is_named_with_its_reason(browser: httpx.Client) -> None:
    page = text_of(browser.get("health"))
    assert "Something does not work" in page
    assert "No clock has ticked yet" in page
    assert page.count(">works</span>") == 2  # the database and the broker
    assert "STOCKTAKE_FLOWER_URL" in page


def test_all_is_well_when_the_clock_ticks(browser: httpx.Client, database: Database) -> None:
    with database.write() as session:
        session.add(ClockBeat(node="here"))
    page = text_of(browser.get("health"))
    assert "Everything works" in page
    assert page.count(">works</span>") == 4


def test_a_broker_that_is_away_is_told(browser: httpx.Client, served: Served) -> None:
    served.rings.waiting = None
    page = text_of(browser.get("health"))
    assert "does not answer" in page


def test_what_the_project_has_under_way_is_counted(
    browser: httpx.Client,
    make_job: MakeJob,
    claim_job: Claim,
    other_project: int,
    make_table: Callable[..., object],
) -> None:
    assert "No job waits" in text_of(browser.get("health"))
    make_job()
    claim_job(make_job())
    make_job(other_project)
    page = re.sub(r"\s+", " ", text_of(browser.get("health")))
    row = re.search(r"interactive.*?</tr>", page)
    assert row is not None
    assert re.findall(r'class="right[^"]*">(\d+)<', row[0]) == ["1", "0", "1"]
    assert "The oldest job waits since" in page


def test_workers_are_asked_apart_from_the_page(browser: httpx.Client, served: Served) -> None:
    served.rings.crew = [
        WorkerAnswer(node="b@two", version="0.0.9"),
        WorkerAnswer(
            node="a@<one>", version=__version__, processes=3, running={"refresh_schema": 2}
        ),
    ]
    page = text_of(browser.get("health"))
    assert "@two" not in page
    assert "Ask the workers" in page
    page = text_of(browser.get("health/workers"))
    rows = re.findall(r"<tr><th scope=.*?</tr>", page, re.DOTALL)
    assert [re.search(r"[ab]@[^<]*", row)[0] for row in rows] == ["a@&lt;one&gt;", "b@two"]  # type: ignore[index]
    assert "2 refresh schema" in rows[0]
    assert f"the server has {__version__}" in rows[1]
    assert "the server has" not in rows[0]


@pytest.mark.parametrize(
    ("crew", "told"), [(None, "The broker does not answer"), ([], "No worker has answered")]
)
def test_workers_that_do_not_answer_are_told_of(
    browser: httpx.Client, served: Served, crew: list[WorkerAnswer] | None, told: str
) -> None:
    served.rings.crew = crew
    assert told in text_of(browser.get("health/workers"))


def test_a_broker_that_hangs_keeps_no_page_waiting_and_is_asked_once(
    browser: httpx.Client, served: Served
) -> None:
    let_go = threading.Event()
    asked: list[int] = []

    def hang() -> None:
        asked.append(1)
        let_go.wait(PATIENCE_SECONDS)

    served.rings.on_ask = hang
    try:
        for _ in range(2):
            assert "The broker does not answer" in text_of(browser.get("health/workers"))
        assert asked == [1]
    finally:
        let_go.set()


def test_flower_is_linked_where_it_is(
    serve: Callable[..., Served], connect: Callable[..., httpx.Client], make_key: Callable[..., str]
) -> None:
    browser = connect(url=serve(flower_url="http://127.0.0.1:5555").url)
    browser.headers.update(OWN)
    browser.post("/sign-in", data={"key": make_key(["*"])})
    page = text_of(browser.get("/p/1/health"))
    assert '<a role="button" href="http://127.0.0.1:5555" rel="noreferrer"' in page
