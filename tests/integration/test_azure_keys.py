"""Each kind of key that Azure has, at the emulator and under each kind of its names."""

import base64
import hmac
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, quote

import pytest

from servers.certificates import Certificate, make_certificate
from stocktake.errors import AccessDeniedError, JobError
from stocktake.storage.places.guard import GuardPolicy, check
from stocktake.storage.stores import entra
from stocktake.storage.stores.opening import open_source
from stocktake.storage.stores.protocol import Credential
from tests.support.azurite import Azurite
from tests.support.hostile_store import FOUND, Answer, Hostile, hostile

CLIENT = "0f0e0d0c-1111-2222-3333-444455556666"
KEY = "orders/a#b;c?.csv"
TOKEN = b'{"token_type": "Bearer", "expires_in": %d, "access_token": "%s"}'


def read(azurite: Azurite, entry: str, url: str, secret: str, key: str | None = None) -> bytes:
    location = check(url, GuardPolicy(trusted_endpoints=(entry,)))
    credential = Credential(access_key=key or azurite.account, access_secret=secret)
    store, _ = open_source(location, credential)
    assert [info.path for info in store.list("orders/")] == [KEY]
    return store.get(KEY, start=1, length=3).data


@pytest.fixture
def container(azurite: Azurite) -> str:
    name = azurite.container()
    azurite.client(name).put(KEY, b"0123456789")
    return name


def sas(azurite: Azurite, *, permissions: str = "rl", days: int = 1) -> str:
    """An account's signature.
    https://learn.microsoft.com/rest/api/storageservices/create-account-sas
    """
    until = (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
    fields = [azurite.account, permissions, "b", "sco", "", until, "", "https", "2021-12-02", ""]
    text = "".join(f"{value}\n" for value in fields)
    digest = hmac.digest(base64.b64decode(azurite.account_key), text.encode(), "sha256")
    signature = quote(base64.b64encode(digest).decode(), safe="")
    return (
        f"sv=2021-12-02&ss=b&srt=sco&sp={permissions}&se={quote(until, safe='')}&spr=https"
        f"&sig={signature}"
    )


def secrets_of(azurite: Azurite) -> list[str]:
    token = sas(azurite)
    return [
        azurite.account_key,
        token,
        f"?{token}",
        f"{azurite.address}/x?{token}",
        f"AccountName={azurite.account};AccountKey={azurite.account_key};EndpointSuffix=x",
        f"BlobEndpoint=https://elsewhere.example/;SharedAccessSignature={token}",
    ]


@pytest.mark.usefixtures("azures_name")
@pytest.mark.parametrize("which", range(6))
@pytest.mark.parametrize("place", ["azures name", "path style"])
def test_each_kind_of_secret_reads(
    azurite: Azurite, container: str, which: int, place: str
) -> None:
    entry, url = azurite.endpoint, azurite.url(container, "orders/*")
    if place == "path style":
        entry = f"azure+{azurite.address}"
        url = f"{azurite.address}/{azurite.account}/{container}/orders/*"
    assert read(azurite, entry, url, secrets_of(azurite)[which]) == b"123"


@pytest.mark.usefixtures("azures_name")
def test_a_secret_that_may_not_is_denied(azurite: Azurite, container: str) -> None:
    entry, url = azurite.endpoint, azurite.url(container, "orders/*")
    other = base64.b64encode(bytes(64)).decode()
    for secret in (sas(azurite, days=-1), sas(azurite, permissions="w"), other):
        with pytest.raises(AccessDeniedError) as caught:
            read(azurite, entry, url, secret)
        assert caught.value.code in ("access_denied", "invalid_access_key")


# --- Entra --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def login(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hostile]:
    """Who logs in, instead of Microsoft: it answers a POST as a test's function says."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.authority))
    answer: Answer = 200, TOKEN % (3600, b"token-1"), {"Content-Type": "application/json"}
    with hostile(lambda _: answer, certificate.context()) as server:
        monkeypatch.setattr(entra, "AUTHORITIES", {"": server.endpoint})
        yield server


@pytest.fixture
def store(certificate: Certificate) -> Iterator[Hostile]:
    with hostile(lambda _: FOUND, certificate.context()) as server:
        yield server


def entra_read(store: Hostile, secret: str = "s3cret~value") -> bytes:
    url = f"{store.endpoint}/acc/lake/k"
    location = check(url, GuardPolicy(trusted_endpoints=(f"azure+{store.endpoint}",)))
    pair = Credential(access_key=f"{CLIENT}@contoso.onmicrosoft.com", access_secret=secret)
    return open_source(location, pair)[0].get("k").data


def test_a_client_logs_in_and_reads_with_its_token(login: Hostile, store: Hostile) -> None:
    assert entra_read(store) == b"bytes"
    [(path, _)] = login.seen
    assert path == "/contoso.onmicrosoft.com/oauth2/v2.0/token"
    assert parse_qs(login.bodies[0].decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": [CLIENT],
        "client_secret": ["s3cret~value"],
        "scope": ["https://storage.azure.com/.default"],
    }
    [(_, headers)] = store.seen
    assert headers["authorization"] == "Bearer token-1"
    assert "s3cret" not in str(store.seen)


def test_a_token_is_used_until_it_is_about_to_expire(login: Hostile) -> None:
    client = entra.EntraClient(client=CLIENT, tenant="t", secret="s")
    token = entra.EntraToken(client, "acc.blob.core.windows.net")
    assert {token()["token"] for _ in range(3)} == {"token-1"}
    assert len(login.seen) == 1
    login.answer = lambda _: (200, TOKEN % (30, b"token-2"), {})
    short = entra.EntraToken(client, "acc.blob.core.windows.net")
    assert {short()["token"] for _ in range(3)} == {"token-2"}
    assert len(login.seen) == 4


@pytest.mark.parametrize(
    ("status", "body", "code", "retryable", "words"),
    [
        (401, b'{"error": "invalid_client", "error_codes": [7000215]}', "access_denied", 0, "not"),
        (401, b'{"error": "invalid_client", "error_codes": [7000222]}', "access_denied", 0, "exp"),
        (400, b'{"error_codes": [700016]}', "invalid_access_key", 0, "no such client"),
        (400, b'{"error_codes": [90002]}', "invalid_access_key", 0, "no such client"),
        (400, b'{"error": "unheard_of"}', "access_denied", 0, "refused"),
        (400, b"[]", "access_denied", 0, "refused"),
        (429, b"{}", "storage_throttled", 1, "fewer"),
        (503, b"{}", "storage_unavailable", 1, "did not answer"),
        (200, b"<html>a portal", "storage_unavailable", 1, "did not answer"),
        (200, b"{}", "storage_unavailable", 1, "did not answer"),
        (302, b"{}", "storage_unavailable", 1, "did not answer"),
    ],
)
def test_what_entra_refuses_is_told(
    login: Hostile,
    store: Hostile,
    status: int,
    body: bytes,
    code: str,
    retryable: int,
    words: str,
) -> None:
    login.answer = lambda _: (status, body, {"Location": f"{store.endpoint}/stolen"})
    with pytest.raises(JobError, match=words) as caught:
        entra_read(store)
    assert (caught.value.code, caught.value.retryable) == (code, bool(retryable))
    assert "s3cret" not in repr(caught.value) + str(caught.value.__cause__)
    assert store.seen == []


def test_a_login_that_nobody_vouches_for_is_sent_nothing(
    login: Hostile, store: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(JobError):
        entra_read(store)
    assert login.connections
    assert login.seen == []
