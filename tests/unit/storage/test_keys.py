"""Kinds of keys: each that a store takes is taken, another is told by its kind, none is quoted."""

import base64
import json
from typing import Any

import pytest

from stocktake.errors import AccessDeniedError
from stocktake.services.credentials import new_pair
from stocktake.storage.places.urls import parse
from stocktake.storage.stores.clients import build_client
from stocktake.storage.stores.keys import (
    AccountKey,
    EntraClient,
    SharedAccess,
    azure_secret,
    check_kind,
    is_long,
)
from stocktake.storage.stores.protocol import Credential

ACCOUNT_KEY = base64.b64encode(bytes(range(64))).decode()
SAS = "sv=2024-11-04&ss=b&srt=sco&sp=rl&se=2027-01-01T00:00:00Z&spr=https&sig=aB%2Bc%2Fd%3D"
CONNECTION = (
    f"DefaultEndpointsProtocol=https;AccountName=lake;AccountKey={ACCOUNT_KEY};"
    "EndpointSuffix=core.windows.net"
)
CLIENT = "0f0e0d0c-1111-2222-3333-444455556666"
SERVICE_ACCOUNT = json.dumps({"type": "service_account", "private_key": "-----BEGIN PRIVATE KEY"})
URLS = {
    "s3": "https://b.s3.eu-west-1.amazonaws.com/k",
    "s3_express": "https://b--use1-az4--x-s3.s3express-use1-az4.us-east-1.amazonaws.com/k",
    "gcs": "https://storage.googleapis.com/b/k",
    "r2": f"https://{'a' * 32}.r2.cloudflarestorage.com/b/k",
    "s3_compatible": "https://minio.corp:9000/b/k",
    "azure": "https://lake.blob.core.windows.net/c/k",
}

#: Key, secret, the words that tell the kind, and which stores take it.
KINDS: dict[str, tuple[str, str, str, set[str]]] = {
    "aws": ("AKIAIOSFODNN7EXAMPLE", "x" * 40, "AWS access key", {"s3", "s3_express", "compatible"}),
    "temporary": ("ASIAIOSFODNN7EXAMPLE", "x" * 40, "session token", set()),
    "hmac": ("GOOG1EABCDEFGHIJKLMNOP", "x" * 40, "Google HMAC key", {"gcs", "compatible"}),
    "service account": ("x", SERVICE_ACCOUNT, "service account", set()),
    "its address": ("a@p.iam.gserviceaccount.com", "x", "service account", set()),
    "private key": ("ocid1.user", "-----BEGIN RSA PRIVATE KEY-----\nx", "private key", set()),
    "account key": ("lake", ACCOUNT_KEY, "Azure account key", {"azure", "compatible"}),
    "sas": ("lake", SAS, "SAS token", {"azure"}),
    "sas with its mark": ("lake", f"?{SAS}", "SAS token", {"azure"}),
    "sas url": ("lake", f"https://lake.blob.core.windows.net/c?{SAS}", "SAS token", {"azure"}),
    "connection string": ("lake", CONNECTION, "connection string", {"azure"}),
    "entra": (f"{CLIENT}@contoso.onmicrosoft.com", "a~b.c", "Entra client", {"azure"}),
    "half an entra client": (CLIENT, "a~b.c", "without its tenant", {"compatible"}),
    "presigned": (
        "x",
        "https://b.s3.amazonaws.com/k?X-Amz-Credential=a&X-Amz-Signature=0a",
        "presigned URL",
        set(),
    ),
    "token": ("x", "eyJhbGciOi.eyJzdWIiOi.sig", "access token", set()),
    "google token": ("x", "ya29.a0AfH6SMB", "access token", set()),
}
CASES = [
    pytest.param(provider, key, secret, words, id=f"{kind} for {provider}")
    for kind, (key, secret, words, taken) in KINDS.items()
    for provider in URLS
    if provider.removeprefix("s3_comp").replace("atible", "compatible") not in taken
]


@pytest.mark.parametrize(("provider", "key", "secret", "words"), CASES)
def test_another_kind_is_told_by_its_kind_and_not_quoted(
    provider: str, key: str, secret: str, words: str
) -> None:
    pair = Credential(access_key=key, access_secret=secret)
    with pytest.raises(AccessDeniedError) as caught:
        build_client(parse(URLS[provider]), pair, public=False, allow_http=False)
    told = caught.value
    assert (told.code, told.retryable) == ("wrong_key_kind", False)
    assert words in told.detail
    for part in (key, secret):
        assert part == "x" or part not in str(told.as_dict()) + repr(told)


@pytest.mark.parametrize("provider", URLS)
def test_a_form_that_nobody_knows_is_let_through(provider: str) -> None:
    for key, secret in (
        ("k", "s"),
        ("AKIA", "x"),
        ("0" * 32, "f" * 64),
        ("user", "sig=1"),
        ("k", "&" * 150),
    ):
        check_kind(provider, Credential(access_key=key, access_secret=secret))


def test_a_public_source_needs_no_fitting_key() -> None:
    pair = Credential(access_key="AKIAIOSFODNN7EXAMPLE", access_secret="x")
    assert build_client(parse(URLS["azure"]), pair, public=True, allow_http=False)


@pytest.mark.parametrize(
    ("key", "secret", "expected"),
    [
        ("lake", ACCOUNT_KEY, AccountKey(key=ACCOUNT_KEY)),
        ("Lake", f" {ACCOUNT_KEY}\n", AccountKey(key=ACCOUNT_KEY)),
        ("lake", SAS, SharedAccess(token=SAS)),
        ("lake", f"?{SAS}", SharedAccess(token=SAS)),
        ("lake", f"https://other.blob.core.windows.net/x?{SAS}", SharedAccess(token=SAS)),
        ("lake", CONNECTION, AccountKey(key=ACCOUNT_KEY)),
        ("lake", f"AccountKey={ACCOUNT_KEY};AccountName=LAKE;", AccountKey(key=ACCOUNT_KEY)),
        (
            "lake",
            f"BlobEndpoint=https://evil.example/;SharedAccessSignature={SAS}",
            SharedAccess(token=SAS),
        ),
        (
            f"{CLIENT}@9188040d-6c67-4c5b-b112-36a304b66dad",
            "a~b.c",
            EntraClient(
                client=CLIENT, tenant="9188040d-6c67-4c5b-b112-36a304b66dad", secret="a~b.c"
            ),
        ),
    ],
)
def test_azure_takes_each_of_its_kinds(key: str, secret: str, expected: Any) -> None:
    found = azure_secret(Credential(access_key=key, access_secret=secret), "lake")
    assert found == expected
    assert secret not in repr(found)


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        ("no base 64", "no account key"),
        (CONNECTION.replace("=lake", "=other"), "another storage account"),
        ("DefaultEndpointsProtocol=https;AccountName=lake", "neither"),
        ("UseDevelopmentStorage=true", "neither"),
    ],
)
def test_what_is_nothing_of_azures_is_told(secret: str, words: str) -> None:
    with pytest.raises(AccessDeniedError, match=words) as caught:
        azure_secret(Credential(access_key="lake", access_secret=secret), "lake")
    assert secret not in str(caught.value.as_dict())


def test_an_account_key_goes_with_the_name_of_its_account() -> None:
    for name in ("lake", " LAKE "):
        azure_secret(Credential(access_key=name, access_secret=ACCOUNT_KEY), "lake")
    with pytest.raises(AccessDeniedError, match="name of the storage account"):
        azure_secret(Credential(access_key="AKIANOBODY", access_secret=ACCOUNT_KEY), "lake")


def test_a_tenant_cannot_lead_the_login_elsewhere() -> None:
    for tenant in ("../../evil", "x/../..", "evil.example/", "@evil.example", "x?y", "a b"):
        pair = Credential(access_key=f"{CLIENT}@{tenant}", access_secret="s")
        with pytest.raises(AccessDeniedError):
            azure_secret(pair, "lake")


@pytest.mark.parametrize(
    ("url", "account"),
    [
        ("https://lake.dfs.core.windows.net/c/k", "lake"),
        ("https://lake-secondary.blob.core.windows.net/c/k", "lake"),
        ("https://lake.privatelink.blob.core.windows.net/c/k", "lake"),
        ("https://lake.z42.blob.storage.azure.net/c/k", "lake"),
        ("https://lake.blob.core.usgovcloudapi.net/c/k", "lake"),
        ("https://lake.dfs.core.chinacloudapi.cn/c/k", "lake"),
        ("https://westus-onelake.dfs.fabric.microsoft.com/w/i.Lakehouse/Tables/x", "onelake"),
    ],
)
def test_client_asks_the_blob_service_of_the_account(url: str, account: str) -> None:
    pair = Credential(access_key=account, access_secret=ACCOUNT_KEY)
    client = build_client(parse(url), pair, public=False, allow_http=False)
    assert client.config["account_name"] == account
    endpoint = str(client.config["endpoint"])
    host = endpoint.removeprefix("https://")
    assert ".blob." in host
    assert ".dfs." not in host
    assert "privatelink" not in host
    options = client.client_options
    assert options is not None
    assert (options["proxy_url"], options["proxy_excludes"]) == ("http://127.0.0.1:0", host)


def test_long_secrets_are_those_of_azure_alone() -> None:
    for secret in (SAS, CONNECTION, f"?{SAS}&ske={'x' * 900}"):
        assert is_long(secret)
        assert new_pair({"access_key": "lake", "access_secret": secret}) is not None
    assert not is_long("x" * 900)
