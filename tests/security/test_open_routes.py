"""What is open to strangers: cheap however often it is asked; and the headers of every answer."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, event

from api.app import create_app
from stocktake.settings import Settings
from tests.integration.api.conftest import Served
from tests.security.routes import OPEN, OWN_TOKEN, routes_of

#: None of this asks the database for anything of its own.
pytestmark = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)

#: On every answer; what pages may load is tested by itself.
HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}

Connect = Callable[..., httpx.Client]
Serve = Callable[..., Served]


@contextmanager
def _statements() -> Iterator[list[str]]:
    """What any engine of this process sends to its database."""
    sent: list[str] = []

    def note(*arguments: Any) -> None:
        sent.append(arguments[2])

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(Engine, "before_cursor_execute", note)


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/api/schema/", "/docs", "/"])
def test_a_flood_of_strangers_costs_the_database_one_look(
    serve: Serve, connect: Connect, path: str
) -> None:
    url = serve(health_fresh_seconds=600.0).url
    with connect(url=url) as stranger, _statements() as sent:
        stranger.get(path)
        first = len(sent)
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: stranger.get(path).status_code, range(100)))
    assert set(answers) <= {200, 401, 503}
    assert len(sent) == first


def test_metrics_without_a_token_are_for_this_machine(anonymous: httpx.Client) -> None:
    """A proxy on this machine says for whom it asks."""
    assert anonymous.get("/metrics").status_code == 200
    for address in ("203.0.113.7", "10.0.0.1", "2001:db8::1", "127.0.0.1", "nonsense"):
        answer = anonymous.get("/metrics", headers={"X-Forwarded-For": address})
        assert answer.status_code == 401, address
        assert "STOCKTAKE_METRICS_TOKEN" in answer.json()["detail"]


def test_metrics_with_a_token_are_for_who_has_it(serve: Serve, connect: Connect) -> None:
    url = serve(metrics_token=SecretStr("let-me-see")).url
    asked = {"X-Forwarded-For": "203.0.113.7"}
    assert connect("let-me-see", url).get("/metrics", headers=asked).status_code == 200
    for key in (None, "let-me-se", "let-me-see-", "\u00e9"):
        with httpx.Client(base_url=url) as stranger:
            header = [] if key is None else [(b"Authorization", f"Bearer {key}".encode())]
            assert stranger.get("/metrics", headers=header).status_code == 401


def test_every_answer_has_the_headers_and_none_opens_the_api_to_other_sites(
    anonymous: httpx.Client, client: httpx.Client
) -> None:
    """On every route, with a key and without, found or not, allowed or not."""
    site = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    walked = 0
    for route in sorted(routes_of(create_app(Settings()))):
        path = route.partition(" ")[2].replace("{", "").replace("}", "")
        for asking in (anonymous, client):
            url = str(asking.base_url.copy_with(path=path))
            for method in ("GET", "POST", "OPTIONS", "DELETE"):
                answer = asking.request(method, url, headers=site)
                walked += 1
                _require_headers(answer)
    assert walked > 300
    _require_headers(anonymous.get("/no/such/thing"))
    _require_headers(anonymous.get("/docs/swagger-ui.css"))


def _require_headers(answer: httpx.Response) -> None:
    where = (answer.request.method, answer.request.url.path, answer.status_code)
    expected = dict(HEADERS)
    if "form-action 'self'" in answer.headers["content-security-policy"]:
        # The console's pages: with "no-referrer" no form would say where it comes from.
        expected["referrer-policy"] = "same-origin"
    assert {name: answer.headers.get(name) for name in HEADERS} == expected, where
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy, where
    assert "frame-ancestors 'none'" in policy, where
    for word in ("unsafe-eval", "http:", "https:", "*"):
        assert word not in policy, where
    scripts = [part for part in policy.split(";") if part.strip().startswith("script-src")]
    assert scripts in ([], [" script-src 'self'"]), where
    assert not [name for name in answer.headers if name.startswith("access-control")], where
    assert answer.headers["x-request-id"], where


class _Loaded(HTMLParser):
    """What a page loads, and what of it is inside."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []
        self.inline: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        url = given.get("src") or (given.get("href") if tag == "link" else None)
        if url:
            self.urls.append(url)
        if (tag == "script" and "src" not in given) or any(name[:2] == "on" for name in given):
            self.inline.append(tag)


def test_pages_load_from_this_server_alone_and_hold_no_script(anonymous: httpx.Client) -> None:
    pages = 0
    for route in [*OPEN, *OWN_TOKEN]:
        path = route.partition(" ")[2]
        answer = anonymous.get(path) if "{" not in path else None
        if answer is None or not answer.headers.get("content-type", "").startswith("text/html"):
            continue
        pages += 1
        loaded = _Loaded()
        loaded.feed(answer.text)
        assert loaded.urls
        assert loaded.inline == []
        for url in loaded.urls:
            assert url.startswith("/")
            assert not url.startswith("//")
            assert anonymous.get(url).status_code == 200, url
    assert pages
