"""Browsers without a browser: clients that have signed in to the console."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
import pytest

from stocktake.db.session import Database
from stocktake.errors import AccessDeniedError
from stocktake.jobs import leases
from tests.integration.api.conftest import MakeKey

#: What a browser says of a form that is sent from a page of the same server.
OWN: dict[str, str] = {"Sec-Fetch-Site": "same-origin"}
SignIn = Callable[..., httpx.Client]
Claim = Callable[[UUID], leases.Claim]
_RETRY = leases.RetryPolicy(base_seconds=0.0, max_seconds=0.0)


@pytest.fixture
def sign_in(connect: Callable[..., httpx.Client], make_key: MakeKey) -> SignIn:
    """Sign in with a key of these scopes, or with the key: paths are relative to the server."""

    def signed_in(scopes: list[str] | None = None, key: str | None = None) -> httpx.Client:
        client = connect()
        client.headers.update({"Accept": "text/html", **OWN})
        answer = client.post("/sign-in", data={"key": key or make_key(scopes or ["*"])})
        assert answer.status_code == 303, answer.text
        return client

    return signed_in


@pytest.fixture
def browser(sign_in: SignIn, project_id: int) -> httpx.Client:
    """A browser that has signed in with all scopes; its paths are relative to the project."""
    client = sign_in()
    client.base_url = client.base_url.join(f"/p/{project_id}/")
    return client


@pytest.fixture
def fail_job(database: Database, claim_job: Claim) -> Callable[..., None]:
    """Play a worker that is denied its source."""

    def fail(job_id: UUID, detail: str = "The bucket says no.") -> None:
        claimed = claim_job(job_id)
        with database.write() as session:
            leases.fail(session, claimed, AccessDeniedError(detail), _RETRY)

    return fail


def text_of(answer: httpx.Response, status: int = 200) -> str:
    """A page's HTML."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return answer.text


def post(client: httpx.Client, path: str, fields: dict[str, Any] | None = None) -> httpx.Response:
    """Send a form."""
    return client.post(path, data=fields or {}, follow_redirects=False)
