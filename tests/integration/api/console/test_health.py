"""The page of health: each part, and what a project has under way."""

import re
from collections.abc import Callable

import httpx

from stocktake.db.models import ClockBeat
from stocktake.db.session import Database
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


def test_flower_is_linked_where_it_is(
    serve: Callable[..., Served], connect: Callable[..., httpx.Client], make_key: Callable[..., str]
) -> None:
    browser = connect(url=serve(flower_url="http://127.0.0.1:5555").url)
    browser.headers.update(OWN)
    browser.post("/sign-in", data={"key": make_key(["*"])})
    page = text_of(browser.get("/p/1/health"))
    assert '<a role="button" href="http://127.0.0.1:5555" rel="noreferrer"' in page
