"""Clients are built for one host, without a connection and without asking anybody."""

from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpx
import pytest

from stocktake.errors import AccessDeniedError
from stocktake.storage.places.guard import GuardPolicy, check
from stocktake.storage.places.urls import parse
from stocktake.storage.stores import clients
from stocktake.storage.stores.clients import build_client, discover_region, in_region
from stocktake.storage.stores.opening import (
    Credential,
    delta_storage_options,
    open_source,
    split_root,
)
from stocktake.storage.stores.relay import proxy_url
from stocktake.storage.stores.remote import RemoteObjects

KEYS = Credential(access_key="AK", access_secret="c2VjcmV0")


@pytest.mark.parametrize(
    ("url", "endpoint", "region"),
    [
        ("https://b.s3.eu-west-1.amazonaws.com/k", "https://b.s3.eu-west-1.amazonaws.com", None),
        ("https://s3.eu-west-1.amazonaws.com/b/k", "https://s3.eu-west-1.amazonaws.com", None),
        ("https://storage.googleapis.com/b/k", "https://storage.googleapis.com", "auto"),
        ("https://b.nyc3.digitaloceanspaces.com/k", "https://b.nyc3.digitaloceanspaces.com", None),
    ],
)
def test_client_of_a_known_store_goes_past_the_proxy_to_its_host_only(
    url: str, endpoint: str, region: str | None
) -> None:
    location = parse(url)
    client = build_client(location, KEYS, public=False, allow_http=False)
    assert client.config["endpoint"] == endpoint
    assert client.config["region"] == (region or location.region)
    options = client.client_options
    assert options is not None
    assert options["proxy_url"] == "http://127.0.0.1:0"
    assert options["proxy_excludes"] == location.host
    assert str(options["allow_http"]) == "false"


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("https://minio.corp:9000/b/k", "https://minio.corp:9000"),
        ("https://minio.corp/b/k", "https://minio.corp"),
        ("https://[2001:db8::1]:9000/b/k", "https://[2001:db8::1]:9000"),
        ("https://s3.amazonaws.com:8443/b/k", "https://s3.amazonaws.com:8443"),
        ("http://minio.corp:9000/b/k", "http://minio.corp:9000"),
    ],
)
def test_client_of_a_trusted_store_goes_through_the_relay(
    url: str, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No host is excepted, so that nothing is connected to past it."""
    monkeypatch.setattr(clients, "_head", lambda url: None)
    location = parse(url)
    client = build_client(location, KEYS, public=False, allow_http=location.scheme == "http")
    assert client.config["endpoint"] == endpoint
    options = client.client_options
    assert options is not None
    assert urlsplit(str(options["proxy_url"])).hostname == "127.0.0.1"
    assert options["proxy_url"] == proxy_url(endpoint)
    assert options["proxy_excludes"] == ""
    assert str(options["allow_http"]) == str(location.scheme == "http").lower()


def test_azure_key_that_is_no_key_is_denied() -> None:
    location = parse("https://acct.blob.core.windows.net/c/k")
    keys = Credential(access_key="acct", access_secret="no base 64")
    with pytest.raises(AccessDeniedError):
        build_client(location, keys, public=False, allow_http=False)


@pytest.mark.parametrize("key", ["a\nb", "a\0b", "a\x7f"])
def test_key_that_no_header_can_carry_is_denied(key: str) -> None:
    location = parse("https://s3.amazonaws.com/b/k")
    keys = Credential(access_key=key, access_secret="x")
    with pytest.raises(AccessDeniedError):
        build_client(location, keys, public=False, allow_http=False)


def test_region_of_a_global_url_is_asked_once_and_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def head(url: str) -> httpx.Response:
        asked.append(url)
        return httpx.Response(301, headers={"x-amz-bucket-region": "eu-central-1"})

    monkeypatch.setattr(clients, "_head", head)
    monkeypatch.setattr(clients, "_regions", {})
    for url in ("https://b.s3.amazonaws.com/k", "https://s3.amazonaws.com/b/k"):
        client = build_client(parse(url), KEYS, public=False, allow_http=False)
        assert client.config["region"] == "eu-central-1"
        assert "s3.eu-central-1.amazonaws.com" in client.config["endpoint"]
    assert asked == ["https://b.s3.amazonaws.com"]


def test_region_that_is_no_region_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = httpx.Response(200, headers={"x-amz-bucket-region": "evil.example/"})
    monkeypatch.setattr(clients, "_head", lambda url: answer)
    monkeypatch.setattr(clients, "_regions", {})
    assert discover_region(parse("https://b.s3.amazonaws.com/k")) is None


def test_local_source_is_confined_to_its_folder(tmp_path: object) -> None:
    root, path = split_root(parse(f"file://{tmp_path}/a/2024-*/x.csv"))
    assert (str(root), path) == (f"{tmp_path}/a", "2024-*/x.csv")
    root, path = split_root(parse(f"file://{tmp_path}/a/table/"))
    assert (str(root), path) == (f"{tmp_path}/a", "table")


class _Unordered:
    """What obstore tells of a directory bucket: pages in no order; a start in them is refused."""

    def list(self, prefix: str | None, *, chunk_size: int) -> list[list[dict[str, object]]]:
        names = ["k/c", "k/a", "k/d", "k/b"]
        at = datetime.now(UTC)
        metas = [{"path": n, "size": 1, "e_tag": "x", "last_modified": at} for n in names]
        return [metas[:2], metas[2:]]


def test_directory_bucket_is_listed_in_order_and_from_its_start() -> None:
    location = parse("https://b--use1-az4--x-s3.s3express-use1-az4.us-east-1.amazonaws.com/k")
    store = RemoteObjects(location, KEYS)
    store._clients[store._location, False] = _Unordered()
    assert [info.path for info in store.list("k/")] == ["k/a", "k/b", "k/c", "k/d"]
    assert [info.path for info in store.list("k/", start_after="k/b")] == ["k/c", "k/d"]


@pytest.mark.parametrize(
    ("url", "style", "region"),
    [
        ("https://b--use1-az4--x-s3.s3express-use1-az4.us-east-1.amazonaws.com/k", 1, "us-east-1"),
        ("https://a-123456789012.s3-accesspoint.eu-west-1.amazonaws.com/k", 1, "eu-west-1"),
        ("https://bucket.vpce-1-2.s3.eu-west-3.vpce.amazonaws.com/b/k", 0, "eu-west-3"),
        ("https://s3.eusc-de-east-1.amazonaws.eu/b/k", 0, "eusc-de-east-1"),
        ("https://storage.me-central2.rep.googleapis.com/b/k", 0, "auto"),
        ("https://s3-eu-central-1.ionoscloud.com/b/k", 0, "de"),
        ("https://t3.storage.dev/b/k", 0, "auto"),
        (f"https://{'z' * 20}.storage.supabase.co/storage/v1/s3/b/k", 0, "us-east-1"),
    ],
)
def test_client_signs_for_the_host_that_is_asked(url: str, style: int, region: str) -> None:
    location = parse(url)
    client = build_client(location, KEYS, public=False, allow_http=False)
    assert client.config["region"] == region  # type: ignore[typeddict-item]
    endpoint = str(client.config["endpoint"])
    prefix = "/storage/v1/s3" if "supabase" in url else ""
    assert endpoint == f"https://{location.host}{prefix}"
    virtual = str(client.config["virtual_hosted_style_request"])  # type: ignore[typeddict-item]
    assert virtual == ("true" if style else "false")
    options = client.client_options
    assert options is not None
    assert options["proxy_excludes"] == location.host


@pytest.mark.parametrize(
    "url",
    [
        "https://t3.storage.dev/b/k",
        "https://storage.googleapis.com/b/k",
        "https://s3.eu-west-1.amazonaws.com/b/k",
        "https://s3-eu-central-1.ionoscloud.com/b/k",
        "https://s3.cubbit.eu/b/k",
        f"https://{'a' * 32}.r2.cloudflarestorage.com/b/k",
        "https://minio.corp:9000/b/k",
    ],
)
def test_managed_tables_are_signed_for_as_sources_are(url: str) -> None:
    location = parse(url)
    client = build_client(location, KEYS, public=False, allow_http=False)
    _, options = delta_storage_options(location, KEYS)
    assert options["AWS_REGION"] == client.config["region"]  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    ("url", "named", "asked_next"),
    [
        ("https://s3.eu-west-1.amazonaws.com/b/k", "eu-west-1", None),
        ("https://s3.eu-west-1.amazonaws.com/b/k", "eu-west-3", "eu-west-3"),
        ("https://b.s3.eu-west-1.amazonaws.com/k", "eu-west-1", None),
        ("https://minio.corp:9000/b/k", "us-east-1", None),
        ("https://minio.corp:9000/b/k", "eu-central-1", "eu-central-1"),
        ("https://t3.storage.dev/b/k", "auto", None),
        ("https://minio.corp:9000/b/k", None, None),
    ],
)
def test_the_region_that_was_asked_is_not_asked_again(
    url: str, named: str | None, asked_next: str | None
) -> None:
    moved = in_region(parse(url), named)
    assert (moved.region if moved else None) == asked_next


def test_a_thread_that_was_refused_before_another_moved_asks_there() -> None:
    old = parse("https://minio.corp:9000/b/k")
    store = RemoteObjects(old, KEYS)
    assert store._move(old, "eu-central-1")
    assert store._move(old, "eu-central-1")
    assert not store._move(store._location, "eu-central-1")


def test_sources_of_one_bucket_share_its_client_and_so_its_connections() -> None:
    """Each pattern once had a client of its own, with sixteen connections that stayed open."""
    policy = GuardPolicy(trusted_endpoints=("https://minio.example:9000",))
    keys, others = (Credential(access_key="acme", access_secret=each) for each in ("b25l", "dHdv"))

    def client(url: str, credential: Credential) -> clients.Client:
        store, _ = open_source(check(url, policy), credential)
        assert isinstance(store, RemoteObjects)
        return store._client

    for folder in (
        "https://shared.s3.eu-west-1.amazonaws.com/",
        "https://minio.example:9000/shared/",
        "https://acme.blob.core.windows.net/shared/",
    ):
        paths = ("orders", "orders/*.parquet", "orders/**/day=*/x.csv", "a%20b/{c,d}.json")
        shared = client(folder + "orders", keys)
        assert all(client(folder + path, keys) is shared for path in paths)
        assert client(folder + "orders", others) is not shared
        assert client(folder.replace("shared", "another") + "orders", keys) is not shared
        store, _ = open_source(check(folder + "orders", policy), keys)
        assert isinstance(store, RemoteObjects)
        assert store._client_as_stored is not shared
        unsigned, _ = open_source(check(folder + "orders", policy), keys, public=True)
        assert isinstance(unsigned, RemoteObjects)
        assert unsigned._client is not shared
