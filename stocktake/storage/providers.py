"""The object stores that are known by name: which hosts are theirs, and what such a host tells.

A reviewed list, not a list of companies' domains: under ``amazonaws.com`` also live virtual
machines, load balancers and static websites, and what answers there belongs to anybody. So each
rule names the storage service itself. Hosts are matched label by label, lower case, after IDNA.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class HostMatch:
    """What a known host tells of itself.

    Attributes:
        provider: ``s3``, ``gcs``, ``r2``, ``azure`` or ``s3_compatible``.
        bucket: the bucket or container that the host names; None in path style.
        account: the Azure storage account, else None.
        region: the region that the host names, else None.
    """

    provider: str
    bucket: str | None = None
    account: str | None = None
    region: str | None = None


_REGION = r"(?P<region>[a-z]{2}(?:-[a-z]+)+-[0-9]+)"  # us-gov-west-1
_SITE = r"(?P<region>[a-z]{3}[0-9])"  # fra1
_PLAIN_REGION = r"(?P<region>[a-z0-9-]+)"

#: Each is the service's endpoint; a bucket and a dot may stand before it unless noted.
_ENDPOINTS: tuple[tuple[str, str], ...] = (
    # Amazon S3: global, regional (also the old dash), dual-stack, FIPS; China.
    # https://docs.aws.amazon.com/general/latest/gr/s3.html
    ("s3", r"s3\.amazonaws\.com"),
    ("s3", rf"s3(?:-fips)?(?:\.dualstack)?\.{_REGION}\.amazonaws\.com"),
    ("s3", rf"s3\.(?:dualstack\.)?{_REGION}\.amazonaws\.com\.cn"),
    ("s3", rf"s3-{_REGION}\.amazonaws\.com"),
    ("gcs", r"storage\.googleapis\.com"),
    # Cloudflare R2: the account is part of the endpoint; jurisdictions eu and fedramp.
    ("r2", r"[0-9a-f]{32}(?:\.(?:eu|fedramp))?\.r2\.cloudflarestorage\.com"),
    ("s3_compatible", rf"s3\.{_PLAIN_REGION}\.backblazeb2\.com"),
    ("s3_compatible", rf"s3(?:\.{_PLAIN_REGION})?\.wasabisys\.com"),
    ("s3_compatible", rf"{_SITE}\.digitaloceanspaces\.com"),
    ("s3_compatible", rf"{_SITE}\.your-objectstorage\.com"),  # Hetzner
    ("s3_compatible", rf"s3\.{_PLAIN_REGION}\.scw\.cloud"),  # Scaleway
    ("s3_compatible", rf"s3\.{_PLAIN_REGION}\.(?:io\.|perf\.)?cloud\.ovh\.(?:net|us)"),
    ("s3_compatible", r"(?P<region>(?!website)[a-z]{2}-[a-z]+-[0-9]+)\.linodeobjects\.com"),
    # Oracle: the namespace is part of the endpoint.
    ("s3_compatible", rf"[a-z0-9]+\.compat\.objectstorage\.{_PLAIN_REGION}\.oraclecloud\.com"),
    ("s3_compatible", rf"s3\.{_PLAIN_REGION}\.cloud-object-storage\.appdomain\.cloud"),  # IBM
    (
        "s3_compatible",
        r"oss-(?P<region>[a-z0-9-]+(?<!-internal))\.aliyuncs\.com",
    ),  # Alibaba, outside its network
    ("s3_compatible", r"fly\.storage\.tigris\.dev"),
    ("s3_compatible", r"t3\.storage\.dev"),  # Tigris
    ("s3_compatible", r"(?P<region>[a-z]+[0-9])\.vultrobjects\.com"),
)

_COMPILED = tuple(
    (provider, re.compile(rf"(?:(?P<bucket>[^/]+)\.)?{endpoint}", re.ASCII))
    for provider, endpoint in _ENDPOINTS
)

#: Azure Blob Storage, with its sovereign clouds. The account is the host, the container the path.
_AZURE = re.compile(
    r"(?P<account>[a-z0-9]{3,24})\.blob\.core\.(?:windows\.net|chinacloudapi\.cn|usgovcloudapi\.net)",
    re.ASCII,
)


def match_host(host: str) -> HostMatch | None:
    """What a known store's host tells, or None for a stranger.

    Args:
        host: lower case, in its IDNA form, without a port.

    >>> match_host("bucket.s3.eu-west-1.amazonaws.com").bucket
    'bucket'
    >>> match_host("s3.amazonaws.com.evil.example") is None
    True
    """
    if azure := _AZURE.fullmatch(host):
        return HostMatch(provider="azure", account=azure["account"])
    return next(_matches(host), None)


def _matches(host: str) -> Iterator[HostMatch]:
    for provider, pattern in _COMPILED:
        if match := pattern.fullmatch(host):
            found = match.groupdict()
            yield HostMatch(provider=provider, bucket=found["bucket"], region=found.get("region"))
