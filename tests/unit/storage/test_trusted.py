"""Entries of TRUSTED_ENDPOINTS: what they name, in which protocol, and where the bucket stands."""

import pydantic
import pytest

from stocktake.errors import ValidationError
from stocktake.parts import guard_policy
from stocktake.settings import Settings, explain
from stocktake.storage.places import guard
from stocktake.storage.places.guard import GuardPolicy, check, locate, requires_credential
from stocktake.storage.places.trusted import read_entry
from stocktake.storage.places.urls import Location, MalformedUrlError


def opened(url: str, *entries: str) -> Location:
    return check(url, GuardPolicy(trusted_endpoints=entries))


@pytest.mark.parametrize(
    ("entry", "url", "provider", "account", "endpoint", "bucket", "key"),
    [
        (
            "azure+https://azurite.corp:10000",
            "https://azurite.corp:10000/devstoreaccount1/lake/orders/x.csv",
            *("azure", "devstoreaccount1", "https://azurite.corp:10000/devstoreaccount1"),
            *("lake", "orders/x.csv"),
        ),
        (
            "AZURE+HTTP://127.0.0.1:10000/",
            "http://127.0.0.1:10000/acc/lake/a%20b",
            *("azure", "acc", "http://127.0.0.1:10000/acc", "lake", "a b"),
        ),
        (
            "azure+https://*.blob.local.azurestack.external",
            "https://acc.blob.local.azurestack.external/lake/x",
            *("azure", "acc", "https://acc.blob.local.azurestack.external", "lake", "x"),
        ),
        (
            "azure+https://{account}.blob.corp:8443",
            "https://acc.blob.corp:8443/lake/x",
            *("azure", "acc", "https://acc.blob.corp:8443", "lake", "x"),
        ),
        (
            "gcs+https://storage-psc.p.googleapis.com",
            "https://storage-psc.p.googleapis.com/lake/x",
            *("gcs", None, "https://storage-psc.p.googleapis.com", "lake", "x"),
        ),
        (
            "s3+https://minio.corp",
            "https://minio.corp/lake/x",
            *("s3_compatible", None, "https://minio.corp", "lake", "x"),
        ),
        (
            "https://{bucket}.store.example",
            "https://lake.store.example/orders/x%23.csv",
            *("s3_compatible", None, "https://store.example", "lake", "orders/x#.csv"),
        ),
        (
            "s3+http://{bucket}.*.store.example:9000",
            "http://lake.eu.store.example:9000/x",
            *("s3_compatible", None, "http://eu.store.example:9000", "lake", "x"),
        ),
        (
            "gcs+https://{bucket}.gcs.corp",
            "https://lake.gcs.corp/x",
            *("gcs", None, "https://gcs.corp", "lake", "x"),
        ),
        (
            "https://*.store.example",
            "https://eu.store.example/lake/x",
            *("s3_compatible", None, "https://eu.store.example", "lake", "x"),
        ),
    ],
)
def test_entry_says_how_a_url_there_is_read(
    entry: str,
    url: str,
    provider: str,
    account: str | None,
    endpoint: str,
    bucket: str,
    key: str,
) -> None:
    found = opened(url, "https://other.example", entry)
    assert (found.provider, found.account, found.endpoint) == (provider, account, endpoint)
    assert (found.bucket, found.key) == (bucket, key)
    assert found.path_style is ("{bucket}" not in entry)


@pytest.mark.parametrize(
    ("entry", "url"),
    [
        ("https://{bucket}.store.example", "https://a.b.store.example/x"),
        ("https://{bucket}.store.example", "https://store.example/b/x"),
        ("https://{bucket}.store.example", "https://-b.store.example/x"),
        ("https://{bucket}.store.example", "https://b.store.example.evil.example/x"),
        ("https://{bucket}.store.example", "https://b.store.example:8443/x"),
        ("https://{bucket}.store.example", "http://b.store.example/x"),
        ("https://{bucket}.store.example", "https://b.store.example/"),
        ("azure+https://azurite.corp", "https://azurite.corp/account/container"),
        ("azure+https://azurite.corp", "https://azurite.corp.evil.example/a/c/x"),
        ("azure+https://{account}.blob.corp", "https://blob.corp/a/c/x"),
        ("azure+https://azurite.corp", "https://azurite.corp/../account/container/x"),
        ("azure+https://azurite.corp", "https://azurite.corp/%2e%2e/account/container/x"),
        ("azure+https://azurite.corp", "https://azurite.corp/a#b/container/x"),
        # No protocol of ours: it trusts nobody.
        ("ftp+https://store.example", "https://store.example/b/x"),
        ("store.example", "https://store.example/b/x"),
        ("https://x.{bucket}.example", "https://x.b.example/c/x"),
        ("s3+https://{account}.store.example", "https://a.store.example/b/x"),
        ("azure+https://{bucket}.store.example", "https://a.store.example/b/x"),
        ("https://{bucket}", "https://a/b/x"),
    ],
)
def test_what_the_entry_does_not_name_is_refused(entry: str, url: str) -> None:
    with pytest.raises(ValidationError):
        opened(url, entry)


def test_wildcard_of_a_bucket_in_the_host_is_refused() -> None:
    with pytest.raises(ValidationError) as caught:
        opened("https://b*.store.example/x", "https://{bucket}.store.example")
    assert caught.value.detail == guard.BUCKET_WILDCARD


def test_schemes_of_entries_are_allowed_whatever_their_protocol() -> None:
    policy = GuardPolicy(trusted_endpoints=("azure+http://azurite:10000",))
    assert check("http://azurite:10000/a/c/x", policy).scheme == "http"
    with pytest.raises(ValidationError):
        check("http://b.s3.amazonaws.com/x", policy)


@pytest.mark.parametrize(
    "entry", ["azure+https://azurite.corp", "azure+https://{account}.corp", "https://{bucket}.corp"]
)
def test_a_key_is_asked_for_again_where_it_would_go_to_another(entry: str) -> None:
    """Also where account or bucket stand elsewhere than in the URLs of S3."""
    policy = GuardPolicy(trusted_endpoints=(entry,))
    host = entry.partition("://")[2]

    def at(account: str, container: str) -> Location:
        named = host.format(account=account, bucket=container)
        path = f"{account}/{container}/x" if named == host else f"{container}/x"
        return locate(f"https://{named}/{path}", policy)

    assert not requires_credential(at("a", "b"), at("a", "b"))
    assert requires_credential(at("a", "b"), at("a", "c"))
    if "azure" in entry:
        assert requires_credential(at("a", "b"), at("c", "b"))


@pytest.mark.parametrize("entry", ["ftp+https://x", "https://a.{bucket}.x", "x", "https://"])
def test_entry_that_is_none_is_told(entry: str) -> None:
    with pytest.raises(MalformedUrlError):
        read_entry(entry)


@pytest.mark.parametrize(
    ("managed", "url"),
    [
        (
            "https://acc.blob.core.windows.net/ours/x",
            "https://acc.dfs.core.windows.net/ours/uploads/1/x",
        ),
        (
            "https://acc.blob.core.windows.net/ours/x",
            "https://acc-secondary.blob.core.windows.net/ours/x",
        ),
        (
            "https://acc.blob.core.windows.net/ours/x",
            "https://acc.privatelink.blob.core.windows.net/ours/x",
        ),
        ("https://t3.storage.dev/ours/x", "https://ours.fly.storage.tigris.dev/x"),
        ("https://s3.wasabisys.com/ours/x", "https://ours.s3.us-east-1.wasabisys.com/x"),
        (
            "https://ours.s3.eu-west-1.amazonaws.com/x",
            "https://bucket.vpce-1-2.s3.eu-west-1.vpce.amazonaws.com/ours/x",
        ),
        (
            "https://storage.googleapis.com/ours/x",
            "https://storage.us-central1.rep.googleapis.com/ours/x",
        ),
    ],
)
def test_managed_storage_is_refused_by_each_of_its_names(managed: str, url: str) -> None:
    policy = GuardPolicy(managed_location=locate(managed, GuardPolicy()))
    with pytest.raises(ValidationError):
        check(url, policy)
    assert check(url.replace("ours", "theirs"), policy)


def test_another_tenants_bucket_of_the_same_name_is_not_managed_storage() -> None:
    managed = locate("https://acc.blob.core.windows.net/ours/x", GuardPolicy())
    policy = GuardPolicy(managed_location=managed)
    assert check("https://other.blob.core.windows.net/ours/x", policy)
    assert check("https://acc.blob.core.chinacloudapi.cn/ours/x", policy)


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("127.1", "127.0.0.1"),
        ("0x7F000001", "127.0.0.1"),
        ("0177.0.0.1", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("[0:0:0:0:0:0:0:1]", "[::1]"),
        ("[FD00:0::000A]", "[fd00::a]"),
        ("[::ffff:127.0.0.1]", "[::ffff:7f00:1]"),
        ("MinIO.Corp", "minio.corp"),
    ],
)
def test_a_host_is_one_host_in_every_spelling(written: str, canonical: str) -> None:
    """The entry, the URL and the relay, which compares texts, all have the same."""
    for entry, host in ((written, canonical), (canonical, written), (written, written)):
        found = opened(f"http://{host}:9000/lake/x", f"HTTP://{entry}:9000")
        assert found.endpoint == f"http://{canonical}:9000"
        assert found.host == canonical.strip("[]")


@pytest.mark.parametrize("host", ["127.1", "[0:0:0:0:0:0:0:1]", "[::FFFF:a9fe:a9fe]", "0x7f.1"])
def test_another_spelling_of_an_address_is_not_trusted_by_itself(host: str) -> None:
    with pytest.raises(ValidationError):
        opened(f"http://{host}:9000/lake/x", "http://127.0.0.2:9000")


@pytest.mark.parametrize(
    "entry",
    ["minio.corp:9000", "ftp+https://x", "https://minio.corp/bucket", "htps://minio.corp", "*"],
)
def test_settings_with_an_entry_of_no_known_shape_are_refused(entry: str) -> None:
    """Each process ends at its start, with a sentence, and trusts no less than it was told to."""
    with pytest.raises(pydantic.ValidationError) as caught:
        Settings(trusted_endpoints=("https://good.corp", entry))
    told = explain(caught.value)
    assert f'STOCKTAKE_TRUSTED_ENDPOINTS: entry 2 ("{entry}")' in told
    assert "http(s)://host[:port]" in told
    assert "such as https://minio.corp:9000" in told


@pytest.mark.parametrize(
    "entry", ["https://a.{bucket}.x", "https://minio.corp:99999", "s3+https://{account}.x"]
)
def test_an_entry_that_only_looks_well_ends_the_start_too(entry: str) -> None:
    settings = Settings(trusted_endpoints=(entry,))
    with pytest.raises(ValidationError, match="STOCKTAKE_TRUSTED_ENDPOINTS: entry 1") as caught:
        guard_policy(settings)
    assert entry in caught.value.detail


def test_a_password_in_an_entry_is_not_repeated() -> None:
    with pytest.raises(pydantic.ValidationError) as caught:
        Settings(trusted_endpoints=("https://ada:hunter2@minio.corp",))
    assert "entry 1 cannot be read" in explain(caught.value)
    assert "hunter2" not in explain(caught.value)
