"""One browser and one filled stack for all that is only looked at."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser

from servers.service import Up
from tests.browser import playing
from tests.browser.playing import Visit
from tests.browser.shop import Shop, fill, opened

Open = Callable[..., Visit]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is here, and say why it skips where it has to."""
    for item in items:
        if item.path.is_relative_to(playing.HERE):
            item.add_marker("browser")
            if why := playing.missing():
                item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A running Chromium."""
    with playing.browser() as started:
        yield started


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A running stack full of data, which no test stops."""
    with opened(tmp_path_factory.mktemp("shop")) as running:
        fill(running)
        yield running


@pytest.fixture(scope="module")
def windows(browser: Browser, shop: Shop) -> Iterator[Open]:
    """Open a window that has signed in; `key` is another's, "" nobody's, and other arguments are
    the browser's."""
    with ExitStack() as stack:

        def opened_window(key: str | None = None, up: Up = shop.up, **options: Any) -> Visit:
            context = browser.new_context(**{"viewport": playing.WIDE, **options})
            stack.callback(context.close)
            context.set_default_timeout(playing.PATIENCE_MS)
            made = Visit.of(context, up.url)
            if key != "":
                made.sign_in(key or up.client_settings()["API_KEY"])
            return made

        yield opened_window
