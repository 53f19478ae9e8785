"""Whose address a request has: the connection's, or what a proxy that is named says of it."""

import httpx
import pytest

from servers.process import HOST
from servers.service import Web
from tests.security.conftest import StartWeb

LIMIT = 3
TRIES = 2 * LIMIT
REFUSED = [401] * LIMIT + [429] * LIMIT


@pytest.fixture
def refusals(start_web: StartWeb) -> StartWeb:
    """Start a web process that answers so many wrong keys of an address a minute with 401."""

    def start(trusted: str, variables: dict[str, str] | None = None) -> Web:
        return start_web(variables, REFUSED_KEYS_PER_MINUTE=str(LIMIT), TRUSTED_PROXIES=trusted)

    return start


def _tries(web: Web, forwarded_for: str) -> list[int]:
    """The answers to wrong keys, with a number in the header's place for one."""
    with httpx.Client(base_url=web.url, headers={"Authorization": "Bearer stk_wrong"}) as stranger:
        return [
            stranger.get(
                "/api/projects/1/jobs/", headers={"X-Forwarded-For": forwarded_for.format(number)}
            ).status_code
            for number in range(TRIES)
        ]


@pytest.mark.parametrize("trusted", ["", "192.0.2.1,10.0.0.0/8"])
def test_a_stranger_does_not_choose_an_address(refusals: StartWeb, trusted: str) -> None:
    """Whatever uvicorn's own variable says."""
    web = refusals(trusted, {"FORWARDED_ALLOW_IPS": "*"})
    assert _tries(web, "203.0.113.{}") == REFUSED


def test_of_a_proxy_that_is_named_each_client_has_an_address(refusals: StartWeb) -> None:
    web = refusals(f"192.0.2.1,{HOST}/32")
    assert _tries(web, "203.0.113.{}") == [401] * TRIES
    assert _tries(web, "198.51.100.{}, 203.0.113.77") == REFUSED  # the proxy adds the last one
    assert _tries(web, "2001:db8::{}") == REFUSED  # one network
    assert _tries(web, "2001:db8:1:{}::") == [401] * TRIES
    assert _tries(web, "forged-{}" + "z" * 20_000) == REFUSED
