"""Which known store a host belongs to, and what the host tells: the table of
`stocktake.storage.places.known_stores`, matched label by label, lower case, after IDNA.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from stocktake.storage.places.known_stores import KNOWN_STORES, KnownStore

#: What a placeholder stands for, where the table does not say otherwise. A bucket may have dots:
#: the guard looks at it.
_USUAL: Final = {
    "region": r"[a-z]{2,4}(?:-[a-z]+)+-[0-9]+",
    "account": r"[a-z0-9]{3,24}",
    "bucket": r"[^/]+",
}
_PLACEHOLDER: Final = re.compile(r"\{([a-z]+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class HostMatch:
    """What a known host tells of itself.

    Attributes:
        provider: ``s3``, ``s3_express``, ``gcs``, ``r2``, ``azure`` or ``s3_compatible``.
        bucket: the bucket or container that the host names; None in path style.
        account: the Azure storage account, else None.
        region: the region that the host names, as signatures call it, else None.
        signs_with: the region of signatures where the host names none.
        asked_host: the host that is asked: another one where a store has several names and
            answers the calls of this service under one.
        service_host: that host without the bucket, but for access points, which have none.
        prefix: the path before the bucket; ends in a slash unless empty.
        account_in_path: whether the account is the path's first part, as in Azure's emulator.
        store: the row of the table, by its name; empty for a trusted endpoint.
        tenant: what else the host names: an R2 account, an Oracle namespace.
    """

    provider: str
    bucket: str | None = None
    account: str | None = None
    region: str | None = None
    signs_with: str = "us-east-1"
    asked_host: str = ""
    service_host: str = ""
    prefix: str = ""
    account_in_path: bool = False
    store: str = ""
    tenant: str | None = None


@lru_cache(maxsize=1_024)  # a sweep asks for each table, of few hosts
def match_host(host: str) -> HostMatch | None:
    """Return what a known store's host tells, or None for a stranger.

    Args:
        host: lower case, in its IDNA form, without a port.

    >>> match_host("bucket.s3.eu-west-1.amazonaws.com").bucket
    'bucket'
    >>> match_host("s3.amazonaws.com.evil.example") is None
    True
    """
    return next(_matches(host), None)


def _matches(host: str) -> Iterator[HostMatch]:
    for store, pattern in _COMPILED:
        if match := pattern.fullmatch(host):
            yield _told(store, host, match.groupdict())


def _told(store: KnownStore, host: str, found: dict[str, str | None]) -> HostMatch:
    asked = host
    if store.provider == "azure":
        # The certificates are for the public name, and the calls are the Blob service's.
        asked = host.replace(".privatelink.", ".", 1).replace(".dfs.", ".blob.", 1)
    bucket, region = found.get("bucket"), found.get("region")
    # OneLake has one account for everybody, of that name.
    account = found.get("account") or ("onelake" if store.provider == "azure" else None)
    return HostMatch(
        provider=store.provider,
        bucket=bucket,
        account=account,
        # A region that only routes, and that signatures do not know, is none.
        region=store.regions.get(region, region) if region and store.region != "auto" else None,
        signs_with=store.region,
        asked_host=asked,
        service_host=asked if bucket is None or store.style == "host" else asked[len(bucket) + 1 :],
        prefix=store.prefix,
        store=store.name,
        tenant=found.get("id"),
    )


def _pattern(store: KnownStore, host: str) -> re.Pattern[str]:
    labels = _USUAL | dict(store.labels)
    parts = _PLACEHOLDER.split(host)
    # The split leaves text at even places, and the placeholders' names between.
    parts[::2] = map(re.escape, parts[::2])
    parts[1::2] = [f"(?P<{name}>{labels[name]})" for name in parts[1::2]]
    bucket = {"path": "", "host": "(?P<bucket>{})\\.", "either": "(?:(?P<bucket>{})\\.)?"}
    return re.compile(bucket[store.style].format(labels["bucket"]) + "".join(parts), re.ASCII)


_COMPILED: Final = tuple(
    (store, _pattern(store, host)) for store in KNOWN_STORES for host in store.hosts
)
