"""Managed storage: what the settings name, and the URLs and keys that follow."""

from pathlib import Path

import pytest

from stocktake.errors import ValidationError
from stocktake.storage.managed import storage_at
from stocktake.storage.stores.protocol import Credential
from stocktake.storage.stores.relay import proxy_url

KEYS = {"access_key": "AK", "access_secret": "canary-secret"}


@pytest.mark.parametrize(
    ("url", "settings", "pattern"),
    [
        (
            "s3://ours/prefix/",
            {"endpoint": "http://127.0.0.1:8333"},
            "http://127.0.0.1:8333/ours/prefix/uploads/7/id",
        ),
        (
            "s3://ours",
            {"region": "eu-west-1"},
            "https://s3.eu-west-1.amazonaws.com/ours/uploads/7/id",
        ),
        (
            "https://ours.s3.eu-west-1.amazonaws.com/a b",
            {},
            "https://ours.s3.eu-west-1.amazonaws.com/a%20b/uploads/7/id",
        ),
        (
            "https://storage.googleapis.com/ours",
            {},
            "https://storage.googleapis.com/ours/uploads/7/id",
        ),
    ],
)
def test_bucket_gives_url_patterns_below_its_prefix(
    url: str, settings: dict[str, str], pattern: str
) -> None:
    managed = storage_at(url, **KEYS, **settings)
    assert managed.url_pattern(managed.upload_key(7, "id")) == pattern


def test_folder_gives_urls_without_its_path(tmp_path: Path) -> None:
    for url in (str(tmp_path), f"file://{tmp_path}"):
        managed = storage_at(url)
        key = managed.upload_key(7, "id")
        assert managed.url_pattern(key) == "managed:///uploads/7/id"
        assert managed.location(key).key == f"{tmp_path}/uploads/7/id"
        assert managed.path(key) == key


def test_delta_options_for_an_s3_compatible_store_commit_conditionally() -> None:
    managed = storage_at("s3://ours/p", **KEYS, endpoint="http://127.0.0.1:1", region="r1")
    uri, options = managed.delta_root(7, "id")
    assert uri == "s3://ours/p/delta/7/id"
    assert options["aws_conditional_put"] == "etag"
    assert options["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"
    assert (options["AWS_REGION"], options["AWS_ALLOW_HTTP"]) == ("r1", "true")


@pytest.mark.parametrize("endpoint", ["http://minio:1", "https://minio:1"])
def test_delta_writer_goes_to_a_trusted_store_through_the_relay(endpoint: str) -> None:
    _, options = storage_at("s3://ours", **KEYS, endpoint=endpoint).delta_root(7, "id")
    assert options["AWS_ENDPOINT_URL"] == endpoint
    assert options["AWS_ALLOW_HTTP"] == str(endpoint.startswith("http:")).lower()
    assert (options["proxy_url"], options["proxy_excludes"]) == (proxy_url(endpoint), "")


def test_delta_writer_goes_to_a_known_store_and_nowhere_else() -> None:
    endpoint = "https://s3.fr-par.scw.cloud"
    _, options = storage_at("s3://ours", **KEYS, endpoint=endpoint).delta_root(7, "id")
    assert (options["AWS_ENDPOINT_URL"], options["AWS_ALLOW_HTTP"]) == (endpoint, "false")
    assert options["proxy_url"] == "http://127.0.0.1:0"
    assert options["proxy_excludes"] == "s3.fr-par.scw.cloud"


@pytest.mark.parametrize(
    ("url", "settings"),
    [
        ("s3://", KEYS),
        ("s3://ours", {}),
        ("s3://ours", {"access_key": "AK"}),
        ("https://", KEYS),
        ("/data/a[1]", {}),
        ("/data/100%25", {}),
    ],
)
def test_settings_that_name_no_storage_are_refused(url: str, settings: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="MANAGED_STORAGE_URL"):
        storage_at(url, **settings)


def test_secret_is_in_no_repr() -> None:
    managed = storage_at("s3://ours", **KEYS)
    assert "canary-secret" not in repr(managed)
    assert "canary-secret" not in repr(Credential(**KEYS))
