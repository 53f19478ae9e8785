"""Every page: nothing refused, nothing from elsewhere, nobody kept out, on a phone too."""

from collections import Counter
from collections.abc import Iterator
from itertools import product

import httpx
import pytest

from tests.browser.conftest import Open
from tests.browser.playing import PHONE, WIDE, Visit
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
    "rows of a file",
    "add?url=https://shop.s3.eu-west-1.amazonaws.com/orders/2026/*.parquet",
)  # fmt: skip
_LOOKS = tuple(product(("light", "dark"), (WIDE, PHONE)))


@pytest.fixture(scope="module")
def looker(windows: Open) -> Visit:
    return windows()


@pytest.mark.parametrize("name", [*PAGES, *STATES])
def test_a_page_keeps_nobody_out(shop: Shop, looker: Visit, name: str) -> None:
    assert looker.go(shop.path(name)) == 200
    assert looker.page.title().endswith(" · Stocktake")
    _look_at(looker)


def test_signing_in_keeps_nobody_out(windows: Open) -> None:
    stranger = windows(key="")
    stranger.go("/sign-in")
    _look_at(stranger)


@pytest.mark.parametrize("path", ["/p/1/not-there", "/p/99"])
def test_what_is_not_there_is_a_page_too(windows: Open, path: str) -> None:
    window = windows()
    assert window.go(path) == 404
    window.faults.clear()  # the browser's own console tells of the status
    _look_at(window)
    assert window.page.locator("footer code").inner_text()


def test_who_may_only_look_is_told_so(shop: Shop, windows: Open) -> None:
    reader = windows(key=shop.reader_key())
    for path in ("/p/1/tables", shop.path("/p/{project_id}/tables/{table_id}")):
        reader.go(path)
        button = reader.page.get_by_role("button", name="Refresh", exact=True)
        assert button.is_disabled()
        assert "warehouse_table:write" in (button.get_attribute("title") or "")
        _look_at(reader)


@pytest.mark.parametrize("name", ["/p/{project_id}", "a job that failed", "batches"])
def test_own_colours_and_still_pages_lose_nothing(shop: Shop, windows: Open, name: str) -> None:
    window = windows(forced_colors="active", reduced_motion="reduce")
    window.go(shop.path(name))
    _look_at(window)
    assert window.page.evaluate("document.getAnimations().length") == 0
    for icon in window.page.locator("main .badge .icon").all():
        assert icon.evaluate("it => getComputedStyle(it).stroke") != "none"


def _look_at(window: Visit) -> None:
    """Nothing went wrong on this page, it fits a phone, and axe finds nothing grave in it."""
    page = window.page
    for scheme, size in _LOOKS:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size(size)
        assert window.overflow() <= 0, (scheme, size)
        assert window.faults == [], (scheme, size)
        assert window.accessibility_faults() == [], (scheme, size)
        window.faults.clear()  # axe has styles of its own, which the policy refuses
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert window.overflow() <= 0


@pytest.fixture
def reader(shop: Shop) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=shop.up.url, headers={"Accept": "text/html"}) as client:
        sent = {"Sec-Fetch-Site": "same-origin"}
        assert client.post("/sign-in", data={"key": shop.key}, headers=sent).status_code == 303
        yield client


def test_pages_are_small_and_called_apart(shop: Shop, reader: httpx.Client) -> None:
    titles: Counter[str] = Counter()
    for page in PAGES:
        answer = reader.get(shop.path(page))
        assert answer.status_code == 200, page
        assert len(answer.content) < MOST_BYTES, page
        titles[answer.text.partition("<title>")[2].partition("</title>")[0]] += 1
    assert [title for title, times in titles.items() if times > 1] == []
