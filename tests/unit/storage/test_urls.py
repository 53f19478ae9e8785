"""Parsing of URL patterns: what each provider's URL names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stocktake.storage.places.providers import match_host
from stocktake.storage.places.urls import MalformedUrlError, normalise_host, parse

COMPATIBLE = "s3_compatible"
R2 = "0123456789abcdef0123456789abcdef.r2.cloudflarestorage.com"


@pytest.mark.parametrize(
    ("url", "provider", "bucket", "key", "region", "path_style"),
    [
        ("https://b.s3.amazonaws.com/k/*.csv", "s3", "b", "k/*.csv", None, False),
        ("https://a.b.s3.amazonaws.com/k", "s3", "a.b", "k", None, False),
        ("https://s3.amazonaws.com/b/k", "s3", "b", "k", None, True),
        ("https://b.s3.eu-west-1.amazonaws.com/k", "s3", "b", "k", "eu-west-1", False),
        ("https://s3.eu-west-1.amazonaws.com/b/k", "s3", "b", "k", "eu-west-1", True),
        ("https://b.s3-eu-west-1.amazonaws.com/k", "s3", "b", "k", "eu-west-1", False),
        ("https://b.s3.dualstack.eu-west-1.amazonaws.com/k", "s3", "b", "k", "eu-west-1", False),
        ("https://s3.dualstack.us-east-2.amazonaws.com/b/k", "s3", "b", "k", "us-east-2", True),
        ("https://b.s3-fips.us-gov-west-1.amazonaws.com/k", "s3", "b", "k", "us-gov-west-1", False),
        ("https://b.s3.cn-north-1.amazonaws.com.cn/k", "s3", "b", "k", "cn-north-1", False),
        ("https://storage.googleapis.com/b/k", "gcs", "b", "k", None, True),
        ("https://b.storage.googleapis.com/k", "gcs", "b", "k", None, False),
        (f"https://{R2}/b/k", "r2", "b", "k", None, True),
        (f"https://b.{R2}/k", "r2", "b", "k", None, False),
        ("https://acct.blob.core.windows.net/c/a/b", "azure", "c", "a/b", None, True),
        ("https://s3.fr-par.scw.cloud/b/k", COMPATIBLE, "b", "k", "fr-par", True),
        ("https://b.nyc3.digitaloceanspaces.com/k", COMPATIBLE, "b", "k", "nyc3", False),
        ("https://b.fsn1.your-objectstorage.com/k", COMPATIBLE, "b", "k", "fsn1", False),
        ("https://us-east-1.linodeobjects.com/b/k", COMPATIBLE, "b", "k", "us-east-1", True),
        ("https://b.us-ord-10.linodeobjects.com/k", COMPATIBLE, "b", "k", "us-ord-10", False),
        ("https://b.oss-eu-central-1.aliyuncs.com/k", COMPATIBLE, "b", "k", "eu-central-1", False),
        ("https://ewr1.vultrobjects.com/b/k", COMPATIBLE, "b", "k", "ewr1", True),
        ("https://s3.us-west-004.backblazeb2.com/b/k", COMPATIBLE, "b", "k", "us-west-004", True),
        ("https://s3.wasabisys.com/b/k", COMPATIBLE, "b", "k", None, True),
        ("https://s3.eu-central-1.wasabisys.com/b/k", COMPATIBLE, "b", "k", "eu-central-1", True),
        ("https://s3.gra.io.cloud.ovh.net/b/k", COMPATIBLE, "b", "k", "gra", True),
        (
            "https://ns1.compat.objectstorage.us-ashburn-1.oraclecloud.com/b/k",
            COMPATIBLE,
            "b",
            "k",
            "us-ashburn-1",
            True,
        ),
        (
            "https://s3.us-south.cloud-object-storage.appdomain.cloud/b/k",
            COMPATIBLE,
            "b",
            "k",
            "us-south",
            True,
        ),
        ("https://fly.storage.tigris.dev/b/k", COMPATIBLE, "b", "k", None, True),
        ("http://127.0.0.1:8333/b/k", COMPATIBLE, "b", "k", None, True),
        ("file:///data/x/*.csv", "file", "", "/data/x/*.csv", None, True),
    ],
)
def test_url_names_provider_bucket_and_key(
    url: str, provider: str, bucket: str, key: str, region: str | None, path_style: bool
) -> None:
    found = parse(url)
    assert (found.provider, found.bucket, found.key) == (provider, bucket, key)
    if provider != "file":
        assert (found.region, found.path_style) == (region, path_style)


def test_azure_url_names_the_account() -> None:
    assert parse("https://acct.blob.core.windows.net/c/k").account == "acct"


def test_endpoint_is_without_the_bucket() -> None:
    assert parse("https://b.s3.amazonaws.com/k").endpoint is None
    assert parse("https://s3.amazonaws.com/b/k").endpoint == "https://s3.amazonaws.com"
    assert parse(f"https://b.{R2}/k").endpoint == f"https://{R2}"
    assert parse("http://[::1]:8333/b/k").endpoint == "http://[::1]:8333"
    assert parse("https://minio.corp:443/b/k").endpoint == "https://minio.corp"


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("a%20b", "a b"),
        ("a+b", "a+b"),
        ("a%2Fb", "a/b"),
        ("100%", "100%"),
        ("a%zz", "a%zz"),
        ("%FF", "%FF"),
        ("a?b#c", "a?b#c"),
        ("a%252F", "a%2F"),
        ("{a,b}/{1..9}", "{a,b}/{1..9}"),
    ],
)
def test_key_is_decoded_once(written: str, key: str) -> None:
    assert parse(f"https://s3.amazonaws.com/b/{written}").key == key


def test_bucket_is_kept_as_written() -> None:
    assert parse("https://s3.amazonaws.com/%62ucket/k").bucket == "%62ucket"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/etc/passwd",
        "~/x",
        "https://",
        "https:///k",
        "https://k:s@s3.amazonaws.com/b/k",
        "https://host:99999/b/k",
        "https://host:0/b/k",
        "https://host:x/b/k",
        "https://[::1/b/k",
        "file://host/x",
    ],
)
def test_text_that_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(MalformedUrlError):
        parse(url)


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("S3.AmazonAWS.com", "s3.amazonaws.com"),
        ("s3.amazonaws.com.", "s3.amazonaws.com"),
        ("１２７．０．０．１", "127.0.0.1"),  # noqa: RUF001 - full width on purpose
        ("s3。amazonaws。com", "s3.amazonaws.com"),
        ("bücher.example", "xn--bcher-kva.example"),
    ],
)
def test_host_is_normalised(written: str, normal: str) -> None:
    assert normalise_host(written) == normal


@pytest.mark.parametrize(
    "host",
    [
        "s3.amazonaws.com.evil.example",
        "evil-s3.amazonaws.com",
        "evils3.amazonaws.com",
        "ec2-1-2-3-4.compute-1.amazonaws.com",
        "b.s3-website-us-east-1.amazonaws.com",
        "b.s3-website.eu-central-1.amazonaws.com",
        "x.execute-api.us-east-1.amazonaws.com",
        "x.us-east-1.elb.amazonaws.com",
        "amazonaws.com",
        "b.s3-accelerate.amazonaws.com",
        "b.s3-control.us-east-1.amazonaws.com",
        "b.oss-cn-hangzhou-internal.aliyuncs.com",
        "b.nyc3.cdn.digitaloceanspaces.com",
        "b.website-us-east-1.linodeobjects.com",
        "b.s3-website.fr-par.scw.cloud",
        "storage.googleapis.com.evil.example",
        "www.googleapis.com",
        "notr2.cloudflarestorage.com",
        "blob.core.windows.net",
        "acct.web.core.windows.net",
        "metadata.google.internal",
    ],
)
def test_neighbour_of_a_known_store_is_a_stranger(host: str) -> None:
    assert match_host(host) is None


@given(st.from_regex(r"[a-z0-9-]{3,10}", fullmatch=True), st.text(alphabet="ab/ *%?é", max_size=9))
def test_both_styles_name_the_same_bucket_and_key(bucket: str, key: str) -> None:
    virtual = parse(f"https://{bucket}.s3.amazonaws.com/{key}")
    path = parse(f"https://s3.amazonaws.com/{bucket}/{key}")
    assert (virtual.bucket, virtual.key) == (path.bucket, path.key)
