"""Signing in to the console: the cookie, what ends it, and who else may ask."""

import re
import time
from collections.abc import Callable
from http.cookies import SimpleCookie
from uuid import uuid4

import httpx
import pytest

from api.console import session as console_session
from stocktake.db.session import Database
from stocktake.security.encryption import Keyring
from stocktake.services import identity
from tests.integration.api.conftest import MakeKey, Served
from tests.integration.api.console.conftest import OWN, SignIn, post, text_of

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def _cookie(answer: httpx.Response) -> SimpleCookie:
    return SimpleCookie(answer.headers["set-cookie"])


def test_the_cookie_is_sealed_and_strict_and_holds_no_key(
    anonymous: httpx.Client, make_key: MakeKey
) -> None:
    key = make_key(["*"])
    answer = anonymous.post("/sign-in", data={"key": key}, headers=OWN)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    morsel = _cookie(answer)["stocktake_session"]
    assert (morsel["httponly"], morsel["samesite"], morsel["max-age"]) == (True, "strict", "43200")
    assert morsel["path"] == "/"
    assert key not in answer.headers["set-cookie"]
    assert key[4:12] not in answer.headers["set-cookie"]


def test_over_https_the_cookie_is_secure(served: Served, make_key: MakeKey) -> None:
    app = served.server.config.app
    served.parts  # noqa: B018 - once it has started
    secure = {"scheme": "https", "headers": [], "type": "http", "server": ("a", 443), "path": "/"}
    from fastapi import Request, Response

    answer = Response()
    console_session.keep(Request({**secure, "app": app, "query_string": b""}), answer, "x")
    assert "; Secure" in answer.headers["set-cookie"]


def test_a_wrong_key_is_told_and_keeps_where_to_go(anonymous: httpx.Client) -> None:
    fields = {"key": "stk_nothing", "next": "/p/1/tables"}
    answer = anonymous.post("/sign-in", data=fields, headers=OWN)
    page = text_of(answer, 401)
    assert "This key does not hold" in page
    assert 'name="next" value="/p/1/tables"' in page
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example", "/\\evil.example", "/a\r\nb", ""]
)
def test_signing_in_leads_to_no_other_site(
    anonymous: httpx.Client, make_key: MakeKey, target: str
) -> None:
    answer = anonymous.post("/sign-in", data={"key": make_key(), "next": target}, headers=OWN)
    assert answer.headers["location"] == "/"


def test_wrong_keys_of_an_address_are_counted(
    serve: Callable[..., Served], connect: Callable[..., httpx.Client]
) -> None:
    client = connect(url=serve(refused_keys_per_minute=2).url)
    codes = [client.post("/sign-in", data={"key": "x"}, headers=OWN).status_code for _ in range(3)]
    assert codes == [401, 401, 429]


def test_requests_of_a_key_are_counted_with_the_apis(
    serve: Callable[..., Served], connect: Callable[..., httpx.Client], make_key: MakeKey
) -> None:
    client = connect(url=serve(rate_limit_per_minute=2).url)
    client.post("/sign-in", data={"key": make_key()}, headers=OWN)  # the first
    assert client.get("/").status_code == 303
    answer = client.get("/")
    page = text_of(answer, 429)
    assert page.count(answer.headers["x-request-id"]) == 2  # below what is wrong, and in the foot
    assert "Try again in" in page
    assert int(answer.headers["retry-after"]) > 0


def test_pages_have_the_policy_and_nothing_that_it_refuses(browser: httpx.Client) -> None:
    answer = browser.get("")
    page = text_of(answer)
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"\sstyle=|<style|\son\w+=|hx-on|javascript:|<script(?! src=)", page)
    assert not re.search(r'(?:src|href|action)="(?!/|\?|#)', page)


def test_without_a_session_a_page_asks_who_it_is(anonymous: httpx.Client) -> None:
    answer = anonymous.get("/p/1/tables?q=a%26b")
    page = text_of(answer, 401)
    assert 'name="next" value="/p/1/tables?q=a%26b"' in page
    assert "stocktake keys create" in page
    assert "stocktake projects create" in page


def test_a_link_on_another_site_is_followed_once_more_with_the_cookie(
    anonymous: httpx.Client,
) -> None:
    page = text_of(anonymous.get("/p/1", headers={"Sec-Fetch-Site": "cross-site"}))
    assert '<meta http-equiv="refresh" content="0">' in page


def test_a_session_dies_with_its_key(
    sign_in: SignIn, make_key: MakeKey, database: Database
) -> None:
    key = make_key(["*"])
    client = sign_in(key=key)
    assert client.get("/").status_code == 303
    with database.write() as session:
        identity.revoke_key(session, key[:10])
    assert client.get("/").status_code == 401


def test_a_session_ends_after_twelve_hours(
    served: Served, connect: Callable[..., httpx.Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    keyring = Keyring.of(served.settings.secret_keys)
    key_id = uuid4()
    sealed = console_session.seal(keyring, key_id)
    assert console_session.key_of(keyring, sealed) == key_id
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 12 * 3600 + 1)
    assert console_session.key_of(keyring, sealed) is None


@pytest.mark.parametrize("change", [lambda it: it[:-4], lambda it: it + "AAAA", lambda _: "é"])
def test_a_cookie_that_was_changed_is_none(served: Served, change: Callable[[str], str]) -> None:
    keyring = Keyring.of(served.settings.secret_keys)
    sealed = console_session.seal(keyring, uuid4())
    assert console_session.key_of(keyring, change(sealed)) is None


def test_signing_out_takes_the_cookie_away(sign_in: SignIn) -> None:
    client = sign_in()
    answer = post(client, "/sign-out")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    assert client.get("/").status_code == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "{own}"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 303),
        ({"Origin": "{own}"}, 303),
    ],
)
def test_forms_of_other_sites_are_refused(
    anonymous: httpx.Client, make_key: MakeKey, headers: dict[str, str], status: int
) -> None:
    own = str(anonymous.base_url).rstrip("/")
    sent = {name: value.format(own=own) for name, value in headers.items()}
    answer = anonymous.post("/sign-in", data={"key": make_key()}, headers=sent)
    assert answer.status_code == status
    assert ("set-cookie" in answer.headers) == (status == 303)


def test_another_project_is_not_found(sign_in: SignIn, other_project: int) -> None:
    page = text_of(sign_in().get(f"/p/{other_project}"), 404)
    assert "There is nothing here" in page
    assert re.search(r"Request <code>[0-9a-f]{32}</code>", page)


def test_a_key_without_the_scope_is_told_which(sign_in: SignIn, project_id: int) -> None:
    page = text_of(sign_in(["audit_log:read"]).get(f"/p/{project_id}"), 403)
    assert "warehouse_table:read" in page


def test_a_page_that_there_is_not_is_a_page_for_people_alone(anonymous: httpx.Client) -> None:
    answer = anonymous.get("/nothing", headers={"Accept": "text/html"})
    assert answer.headers["x-request-id"] in text_of(answer, 404)
    assert anonymous.get("/nothing").json()["code"] == "not_found"
    assert anonymous.get("/api/nothing/", headers={"Accept": "text/html"}).json()["code"]


def test_switched_off_there_is_no_console(
    serve: Callable[..., Served], connect: Callable[..., httpx.Client]
) -> None:
    client = connect(url=serve(console=False).url)
    answer = client.get("/", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.headers["location"]) == (307, "/docs")
    for path in ("/sign-in", "/p/1", "/console/console.css"):
        missing = client.get(path, headers={"Accept": "text/html"})
        assert (missing.status_code, missing.json()["code"]) == (404, "not_found"), path


def test_a_form_that_is_too_large_or_none_is_refused(anonymous: httpx.Client) -> None:
    """What is parsed before a key is looked at takes the time of everybody else: it is little."""
    large = anonymous.post("/sign-in", data={"key": "x" * 5_000}, headers=OWN)
    assert large.status_code == 413
    many = anonymous.post("/sign-in", content="&".join(["a=1"] * 20), headers=OWN)
    assert many.status_code == 400
    null = anonymous.post("/sign-in", data={"key": "a\0b"}, headers=OWN)
    assert null.status_code == 400
    assert anonymous.post("/sign-in", json={"key": "x"}, headers=OWN).status_code == 400
