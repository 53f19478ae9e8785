"""Every page: nothing refused, nothing from elsewhere, nobody kept out, on a phone too."""

from collections import Counter
from collections.abc import Iterator

import httpx
import pytest

from tests.browser.conftest import Open
from tests.browser.playing import PHONE, WIDE
from tests.browser.shop import Shop
from tests.security.routes import CONSOLE

MOST_BYTES = 100_000
#: What is no page.
_NO_PAGES = ("/events", "/raw")
#: All pages that the app has: a test holds this list to its routes.
PAGES = sorted(
    path
    for method, _, path in (each.partition(" ") for each in CONSOLE)
    if method == "GET" and not path.endswith(_NO_PAGES)
)
#: Pages in another state than the first: below the project, or what the shop calls it.
STATES = (
    "a change to decide", "a table that fails", "a job that failed", "tables?q=order",
    "tables?q=nothing-is-called-so+state:stale", "jobs?state=failed", "tables/{table_id}?edit=1",
    "add?url=https://shop.s3.eu-west-1.amazonaws.com/orders/2026/*.parquet", "not-there",
)  # fmt: skip


def _path(shop: Shop, name: str) -> str:
    if name.startswith("/p/"):
        return name.format(project_id=1, **shop.ids)
    return f"/p/1/{shop.more.get(name, name).format(**shop.ids)}"


@pytest.mark.parametrize("name", ["/sign-in", *PAGES, *STATES])
def test_a_page_keeps_nobody_out(shop: Shop, visit: Open, name: str) -> None:
    window = visit()
    status = window.go(name if name == "/sign-in" else _path(shop, name))
    assert status == (404 if name == "not-there" else 200)
    if status == 404:  # the browser's console tells of it
        window.faults.clear()
    for scheme in ("light", "dark"):
        window.page.emulate_media(color_scheme=scheme)
        for size in (WIDE, PHONE):
            window.page.set_viewport_size(size)
            assert window.accessibility_faults() == [], (scheme, size)
            assert window.overflow() <= 0, (scheme, size)
    assert window.faults == []


@pytest.fixture
def reader(shop: Shop) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=shop.up.url, headers={"Accept": "text/html"}) as client:
        sent = {"Sec-Fetch-Site": "same-origin"}
        assert client.post("/sign-in", data={"key": shop.key}, headers=sent).status_code == 303
        yield client


def test_pages_are_small_and_called_apart(shop: Shop, reader: httpx.Client) -> None:
    titles: Counter[str] = Counter()
    for page in PAGES:
        answer = reader.get(_path(shop, page))
        assert answer.status_code == 200, page
        assert len(answer.content) < MOST_BYTES, page
        titles[answer.text.partition("<title>")[2].partition("</title>")[0]] += 1
    assert [title for title, times in titles.items() if times > 1] == []
