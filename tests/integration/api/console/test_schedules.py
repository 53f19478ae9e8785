"""The pages of schedules: the rule in words, what it would do, and its buttons."""

import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
import pytest

from tests.integration.api.console.conftest import SignIn, post, text_of

EVIL = "<script>alert(1)</script>\"'>"
FIELDS = {
    "name": "nightly",
    "cron": "0 6 * * mon#1",
    "timezone": "Europe/Berlin",
    "tables": "orders",
}
MakeTable = Callable[..., UUID]
Made = Callable[..., str]


@pytest.fixture
def schedule(client: httpx.Client) -> Made:
    """Make a schedule by the API: its id."""

    def make(**values: Any) -> str:
        body = {"name": "nightly", "cron": "0 6 * * *", "selector": {"all": True}, **values}
        answer = client.post("schedules/", json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    return make


def test_without_schedules_the_way_to_one_is_told(browser: httpx.Client) -> None:
    page = text_of(browser.get("schedules"))
    assert "No schedules yet" in page
    assert "/schedules/new" in page


def test_a_schedule_is_tried_saved_and_changed(
    browser: httpx.Client, client: httpx.Client, make_table: MakeTable
) -> None:
    make_table("orders")
    make_table("people")
    assert "What it would do" not in text_of(browser.get("schedules/new"))
    page = text_of(browser.get("schedules/new", params=FIELDS))
    assert "At 06:00, on the first Monday of the month, Europe/Berlin" in page
    assert "1 table</a>" in page
    assert len(re.findall(r"<div>20\d\d-\d\d-\d\d 0[45]:00:00 UTC", page)) == 5
    assert client.get("schedules/").json()["count"] == 0  # nothing is saved by a look
    answer = post(browser, "schedules/new", FIELDS)
    assert answer.status_code == 303, answer.text
    [made] = client.get("schedules/").json()["results"]
    assert made["selector"] == {"search": "orders"}
    assert (made["cron"], made["timezone"]) == (FIELDS["cron"], "Europe/Berlin")
    page = text_of(browser.get(f"schedules/{made['id']}/edit"))
    assert 'value="orders"' in page
    changed = FIELDS | {"cron": "@daily", "tables": "", "jitter_seconds": "60"}
    assert post(browser, f"schedules/{made['id']}/edit", changed).status_code == 303
    made = client.get(f"schedules/{made['id']}/").json()
    assert (made["cron"], made["selector"], made["jitter_seconds"]) == ("@daily", {"all": True}, 60)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"cron": "0 6 * *"}, "five fields"),
        ({"cron": "99 6 * * *"}, "Minutes go from 0 to 59"),
        ({"timezone": "Mars"}, "not a known time zone"),
        ({"jitter_seconds": "soon"}, "a number of seconds"),
        ({"jitter_seconds": "nan"}, "jitter_seconds must be from 0"),
        ({"tables": "state:burning"}, "state:burning is no state"),
        ({"name": ""}, "blank"),
    ],
)
def test_what_is_wrong_is_told_beside_what_was_typed(
    browser: httpx.Client, client: httpx.Client, wrong: dict[str, str], told: str
) -> None:
    fields = FIELDS | wrong
    page = text_of(post(browser, "schedules/new", fields), 400)
    assert told in page
    assert 'value="Europe/Berlin"' in page or "timezone" in wrong
    assert told in text_of(browser.get("schedules/new", params=fields))
    assert client.get("schedules/").json()["count"] == 0


def test_a_selector_without_words_is_kept(
    browser: httpx.Client, client: httpx.Client, schedule: Made
) -> None:
    selector = {"name_glob": "sales_*", "stale_for_seconds": 60}
    made = schedule(selector=selector)
    page = text_of(browser.get(f"schedules/{made}/edit"))
    assert "name_glob:sales_*" in page
    fields = FIELDS | {"which": "same"}
    assert post(browser, f"schedules/{made}/edit", fields).status_code == 303
    assert client.get(f"schedules/{made}/").json()["selector"] == selector
    assert post(browser, f"schedules/{made}/edit", FIELDS | {"which": "query"}).status_code == 303
    assert client.get(f"schedules/{made}/").json()["selector"] == {"search": "orders"}


def test_it_is_paused_resumed_run_and_deleted(
    browser: httpx.Client, client: httpx.Client, schedule: Made
) -> None:
    made = schedule()
    assert "At 06:00, UTC" in text_of(browser.get(f"schedules/{made}"))
    assert post(browser, f"schedules/{made}/pause").status_code == 303
    assert client.get(f"schedules/{made}/").json()["paused"] is True
    assert "It is paused" in text_of(browser.get(f"schedules/{made}"))
    assert post(browser, f"schedules/{made}/resume").status_code == 303
    assert client.get(f"schedules/{made}/").json()["paused"] is False
    answer = post(browser, f"schedules/{made}/run")
    batch = answer.headers["location"].partition("/batches/")[2].partition("?")[0]
    assert client.get(f"batches/{batch}/").json()["schedule_id"] == made
    assert f"/batches/{batch}" in text_of(browser.get(f"schedules/{made}"))
    assert "Tick the box" in text_of(post(browser, f"schedules/{made}/delete"), 400)
    assert post(browser, f"schedules/{made}/delete", {"sure": "yes"}).status_code == 303
    assert client.get(f"schedules/{made}/").status_code == 404


def test_names_of_strangers_are_text(browser: httpx.Client, schedule: Made) -> None:
    made = schedule(name=EVIL)
    for path in ("schedules", f"schedules/{made}", f"schedules/{made}/edit"):
        assert "<script>alert" not in text_of(browser.get(path)), path
    page = browser.get("schedules/new", params=dict.fromkeys(FIELDS, EVIL))
    assert "<script>alert" not in text_of(page)


def test_a_key_that_may_only_look_finds_the_buttons_disabled(
    sign_in: SignIn, schedule: Made, project_id: int
) -> None:
    page = text_of(sign_in(["warehouse_table:read"]).get(f"/p/{project_id}/schedules/{schedule()}"))
    assert len(re.findall(r"<button[^>]*disabled[^>]*lacks the scope", page)) == 3
