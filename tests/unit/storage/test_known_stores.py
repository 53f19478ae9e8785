"""The table of known stores: every row is opened as it says, and nothing beside it."""

from collections.abc import Iterator

import pytest

from stocktake.errors import ValidationError
from stocktake.storage.places.guard import GuardPolicy, check
from stocktake.storage.places.known_stores import KNOWN_STORES, KnownStore
from stocktake.storage.places.providers import match_host

PUBLIC = GuardPolicy()
#: What stands for a placeholder in hosts of the tests' own.
FILLED = {
    "Amazon S3 in China": {"region": "cn-northwest-1"},
    "Amazon S3 in the European Sovereign Cloud": {"region": "eusc-de-east-1"},
    "Amazon S3 through a VPC endpoint": {"id": "0a1b-9z8y"},
    "Amazon S3 access points through a VPC endpoint": {"id": "0a1b-9z8y-us-east-1c"},
    "Amazon S3 Express One Zone": {"id": "apne1-az4"},
    "Google Cloud Storage, regional endpoints": {"region": "me-central2"},
    "Cloudflare R2": {"id": "f" * 32},
    "Azure Blob Storage and Data Lake": {"id": "z07"},
    "Microsoft OneLake": {"region": "westus", "id": "0" * 32 + ".zfe"},
    "Backblaze B2": {"region": "eu-central-003"},
    "DigitalOcean Spaces": {"region": "blr1"},
    "Hetzner Object Storage": {"region": "hel1"},
    "Scaleway Object Storage": {"region": "pl-waw"},
    "OVHcloud Object Storage": {"region": "eu-west-par"},
    "Vultr Object Storage": {"region": "sjc1"},
    "Oracle Cloud Object Storage": {"id": "axaxnpcrorw5", "region": "eu-frankfurt-1"},
    "IBM Cloud Object Storage": {"region": "eu-de", "id": "ams"},
    "Alibaba Cloud OSS": {"region": "cn-hangzhou"},
    "Tencent Cloud COS": {"region": "na-siliconvalley"},
    "Huawei Cloud OBS": {"region": "la-north-2"},
    "Open Telekom Cloud OBS": {"region": "eu-nl"},
    "STACKIT Object Storage": {"region": "eu02"},
    "Exoscale SOS": {"region": "at-vie-2"},
    "Contabo Object Storage": {"region": "usc1"},
    "Supabase Storage": {"id": "zyxwvutsrqponmlkjihg"},
    "Storj": {"region": "ap1"},
    "Gcore Object Storage": {"region": "s-darz"},
    "Synology C2 Object Storage": {"region": "tw-001"},
    "Selectel": {"region": "ru-7"},
    "Magalu Cloud": {"region": "br-ne1"},
    "Wasabi": {"region": "de-1"},
    "DreamObjects": {"region": "us-east-005"},
    "MEGA S4": {"region": "ca-montreal"},
}
BUCKETS = {
    "Amazon S3 access points": "sales-210987654321",
    "Amazon S3 access points through a VPC endpoint": "sales-210987654321",
    "Amazon S3 Express One Zone": "sales--apne1-az4--x-s3",
}


def hosts(store: KnownStore) -> Iterator[str]:
    """Each of its hosts, without a bucket, as somebody may have it."""
    filled = {"region": "ap-southeast-3", "account": "acc0unt"} | FILLED.get(store.name, {})
    for host in store.hosts:
        yield host.format_map(filled)


def urls(store: KnownStore) -> Iterator[str]:
    """Each of its hosts with a bucket, in each place that it takes one."""
    bucket = BUCKETS.get(store.name, "sales")
    for host in hosts(store):
        if store.style != "path":
            yield f"https://{bucket}.{host}/{store.prefix}2026/x.csv"
        if store.style != "host":
            yield f"https://{host}/{store.prefix}{bucket}/2026/x.csv"


EVERY = [pytest.param(store, id=store.name) for store in KNOWN_STORES]


@pytest.mark.parametrize("store", EVERY)
def test_every_form_of_its_urls_is_opened_as_that_store(store: KnownStore) -> None:
    for url in urls(store):
        location = check(url, PUBLIC)
        assert location.provider == store.provider, url
        assert location.bucket == BUCKETS.get(store.name, "sales"), url
        assert location.key == "2026/x.csv", url
        known = match_host(location.host)
        assert known is not None
        assert known.store == store.name, url


@pytest.mark.parametrize("store", EVERY)
def test_the_example_that_people_are_shown_is_opened(store: KnownStore) -> None:
    shown = store.example
    for word, name in (("ACCOUNT", "acc0unt"), ("NAMESPACE", "ns1"), ("NAME-", "sales-")):
        shown = shown.replace(word, name)
    location = check(shown, PUBLIC)
    assert location.provider == store.provider
    assert location.key in ("PATH", "ITEM.Lakehouse/Tables/orders")
    assert store.source.startswith("https://")


@pytest.mark.parametrize("store", EVERY)
def test_what_only_looks_like_it_is_a_stranger(store: KnownStore) -> None:
    for host in hosts(store):
        first, _, rest = host.partition(".")
        domain = ".".join(host.split(".")[-2:])
        for look_alike in (
            f"{host}.evil.example",
            f"evil-{domain}",
            f"evil{domain}",
            domain,
            f"www.{domain}",
            host.replace(".", "-"),
            host + "x",
            host.replace(domain, f"evil.{domain}"),
            f"{first}x.{rest}.evil",
            host.replace(domain, f"{domain}.cn"),
            f"sales.{host}:8443",
        ):
            found = match_host(look_alike)
            if found is not None:  # of the same provider: a bucket, or its store in China
                assert look_alike.endswith((f".{host}", ".amazonaws.com.cn")), look_alike


@pytest.mark.parametrize(
    "host",
    [
        # Anybody's: web sites, functions, machines and balancers beside the stores.
        "x.s3-website.eu-central-1.amazonaws.com",
        "vpce-0a1b-9z8y.vpce-svc-0123.us-east-1.vpce.amazonaws.com",
        "bucket.vpce-0a1b-9z8y.execute-api.us-east-1.vpce.amazonaws.com",
        "control.vpce-0a1b-9z8y.s3.us-east-1.vpce.amazonaws.com",
        "x.s3-object-lambda.us-east-1.amazonaws.com",
        "mrap.accesspoint.s3-global.amazonaws.com",
        "sales.s3-accesspoint.eu-west-1.amazonaws.com",
        "sales.s3express-use1-az4.us-east-1.amazonaws.com",
        "s3express-control.us-east-1.amazonaws.com",
        "acc0unt.z13.web.core.windows.net",
        "acc0unt.z13.web.storage.azure.net",
        "acc0unt.azurewebsites.net",
        "acc0unt.file.core.windows.net",
        "acc0unt.zab.blob.storage.azure.net",
        "evil.onelake.dfs.fabric.microsoft.com",
        "app.fabric.microsoft.com",
        "sales.run.app",
        "storage.evil.rep.googleapis.com",
        "compute.me-central2.rep.googleapis.com",
        "sales.obs-website.eu-de.otc.t-systems.com",
        "sales.obs-website.la-north-2.myhuaweicloud.com",
        "sales.cos-website.ap-guangzhou.myqcloud.com",
        "sales.oss-cn-hangzhou-internal.aliyuncs.com",
        "sales.oss-accelerate.aliyuncs.com",
        "x.runs.onstackit.cloud",
        "x.ske.eu01.onstackit.cloud",
        "abcdefghijklmnopqrst.supabase.co",
        "abcdefghijklmnopqrst.functions.supabase.co",
        "link.storjshare.io",
        "s3.us-west-1.idrivee2-42.com",
        "c1k7.va.idrivee2-46.com",
        "app.idrivee2.com",
        "s3.private.us-south.cloud-object-storage.appdomain.cloud",
        "sales.s3-web.us-south.cloud-object-storage.appdomain.cloud",
        "x.us-south.containers.appdomain.cloud",
        "sales.eu2.contabostorage.com",
        "pub-0123.r2.dev",
    ],
)
def test_neighbour_in_a_providers_domain_is_refused(host: str) -> None:
    for url in (f"https://{host}/b/k", f"https://{host}/storage/v1/s3/b/k"):
        with pytest.raises(ValidationError):
            check(url, PUBLIC)


def test_names_are_there_once() -> None:
    names = [store.name for store in KNOWN_STORES]
    assert len(set(names)) == len(names)
    all_hosts = [host for store in KNOWN_STORES for host in store.hosts]
    assert len(set(all_hosts)) == len(all_hosts)


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("s3-eu-central-1.ionoscloud.com", "de"),
        ("s3.eu-central-3.ionoscloud.com", "eu-central-3"),
        ("sos-de-muc-1.exo.io", "de-muc-1"),
        ("obs.eu-west-101.myhuaweicloud.eu", "eu-west-101"),
        ("s3.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1"),
        ("s.accesspoint.vpce-1-2.s3.eu-west-3.vpce.amazonaws.com", None),
        ("s3.wasabisys.com", None),
        ("s3.uk-2.wasabisys.com", "eu-west-3"),
        ("s3.eu-central-2.wasabisys.com", "eu-central-2"),
        ("s3.g.s4.mega.io", "g"),
        ("br-se-1.magaluobjects.com", "us-east-1"),
        ("s3.us-east-005.dream.io", "us-east-005"),
        ("s3-fips.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1"),
    ],
)
def test_signatures_have_the_region_that_the_store_calls_its_own(
    host: str, region: str | None
) -> None:
    found = match_host(host)
    assert (found.region if found else None) == region
