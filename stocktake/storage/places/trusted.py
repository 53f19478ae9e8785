"""Reading ``TRUSTED_ENDPOINTS``: which hosts an operator's entry names, and what a URL there means.

An entry is ``[protocol+]scheme://host[:port]``. The protocol is ``s3`` (also without one),
``azure`` or ``gcs``. A label of the host may be ``*``, which stands for any one label; the first
may be ``{bucket}``, where the store wants the bucket in the host, or ``{account}`` for Azure's.
"""

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from stocktake.settings import TRUSTED_ENTRY
from stocktake.storage.places.providers import HostMatch
from stocktake.storage.places.urls import Location, MalformedUrlError, parse

_PROVIDERS: Final = {None: None, "s3": "s3_compatible", "azure": "azure", "gcs": "gcs"}
#: One name between the dots of a host.
LABEL: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.ASCII)
#: While the host is read, what a name may not have stands as one that it may.
_STANDS_IN: Final = {"{bucket}": "bucket--in--host", "{account}": "account--in--host"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedEndpoint:
    """An entry, read.

    Attributes:
        provider: whose protocol is spoken there; None is for the host to say.
        url: ``scheme://host[:port]`` as the entry has it, without the protocol.
        scheme: lower case.
        labels: of the host; ``*``, ``{bucket}`` and ``{account}`` stand for one each.
        port: as written, or the scheme's own.
    """

    provider: str | None
    url: str
    scheme: str
    labels: tuple[str, ...]
    port: int | None

    @property
    def many(self) -> bool:
        """Whether it stands for more than one host."""
        return any(label[0] in "*{" for label in self.labels)

    def names(self, location: Location) -> bool:
        """Return whether it names the location's scheme, host and port."""
        labels = location.host.split(".")
        return (
            (location.scheme, location.port) == (self.scheme, self.port)
            and len(labels) == len(self.labels)
            and all(map(_fits, self.labels, labels))
        )

    def tells(self, host: str) -> HostMatch | None:
        """Return what the entry tells of a host that it names; None is for the host to say."""
        first, _, rest = host.partition(".")
        if self.provider == "azure":
            named = self.labels[0] in ("{account}", "*")
            account = first if named else None
            return _match("azure", host, account=account, account_in_path=not named)
        if self.labels[0] == "{bucket}":
            provider = self.provider or "s3_compatible"
            return replace(_match(provider, host), bucket=first, service_host=rest)
        return None if self.provider is None else _match(self.provider, host)


@lru_cache(maxsize=256)
def read_entry(entry: str) -> TrustedEndpoint:
    """Return an entry of ``TRUSTED_ENDPOINTS``.

    Raises:
        MalformedUrlError: it is none; the text says why.

    >>> read_entry("azure+https://{account}.blob.corp").labels
    ('{account}', 'blob', 'corp')
    """
    match = TRUSTED_ENTRY.fullmatch(entry.strip())
    protocol = match["protocol"].lower() if match and match["protocol"] else None
    if match is None:
        raise MalformedUrlError("expected [s3+|azure+|gcs+]https://host[:port]")
    # A brace is in no host: the parser is given a name in its place, and the labels get it back.
    plain = match["url"]
    for written, stand_in in _STANDS_IN.items():
        plain = plain.replace(f"://{written}.", f"://{stand_in}.")
    if "{" in plain:
        raise MalformedUrlError("{bucket} or {account} can only be the first label of the host")
    found = parse(plain)
    back = {stand_in: written for written, stand_in in _STANDS_IN.items()}
    labels = tuple(back.get(label, label) for label in found.host.split("."))
    if labels[0] == "{account}" and protocol != "azure":
        raise MalformedUrlError("only azure+ has an {account} in the host")
    if (labels[0] == "{bucket}") and (protocol == "azure" or len(labels) == 1):
        raise MalformedUrlError("a {bucket} stands before the host of an S3 or Google store")
    return TrustedEndpoint(
        provider=_PROVIDERS[protocol],
        url=match["url"],
        scheme=found.scheme,
        labels=labels,
        port=found.port,
    )


def find(location: Location, entries: tuple[str, ...]) -> TrustedEndpoint | None:
    """Return the first entry that names the location's scheme, host and port, else None."""
    if location.provider == "file":
        return None
    return next((one for one in read_entries(entries) if one.names(location)), None)


def read_entries(entries: tuple[str, ...]) -> list[TrustedEndpoint]:
    """Return those that can be read: a wrong one trusts nobody, and `stocktake doctor`
    tells of it."""
    read = []
    for entry in entries:
        try:
            read.append(read_entry(entry))
        except MalformedUrlError:
            continue
    return read


def _fits(wanted: str, label: str) -> bool:
    if wanted in ("*", "{bucket}", "{account}"):
        return LABEL.fullmatch(label) is not None
    return wanted == label


def _match(
    provider: str, host: str, *, account: str | None = None, account_in_path: bool = False
) -> HostMatch:
    return HostMatch(
        provider=provider,
        account=account,
        account_in_path=account_in_path,
        asked_host=host,
        service_host=host,
    )
