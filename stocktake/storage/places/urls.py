"""Reading a URL pattern: which store, bucket and key it names. Pure; nothing is resolved.

`parse` says what a URL means; whether it may be opened is the guard's to say.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import TypedDict
from urllib.parse import unquote

from stocktake.storage.places import globs
from stocktake.storage.places.addresses import canonical_host
from stocktake.storage.places.providers import HostMatch, match_host

_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/]*)(?P<path>.*)", re.S)

#: The dots that IDNA takes for a full stop (RFC 3490, section 3.1).
_DOTS = re.compile("[\u3002\uff0e\uff61]")

#: Unassigned, private, half a surrogate pair, control.
_NO_LETTERS = frozenset({"Cn", "Co", "Cs", "Cc"})
_LEFTWARD = frozenset({"R", "AL", "AN"})
_EITHER_WAY = frozenset({"EN", "ES", "CS", "ET", "ON", "BN", "NSM"})

_DEFAULT_PORTS = {"https": 443, "http": 80}


class MalformedUrlError(ValueError):
    """The text is no URL of the shape that a pattern has; only `guard` sees this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """Where a source is.

    Attributes:
        provider: ``s3``, ``s3_express``, ``gcs``, ``r2``, ``azure``, ``s3_compatible`` or ``file``.
        scheme: lower case.
        host: lower case, in its IDNA form, without brackets; empty for a file.
        port: as written, or the scheme's own; None for a file.
        endpoint: ``scheme://host[:port][/path]`` that answers for the store, without the bucket,
            but for an access point, whose host is all it has; None where it follows from the
            region (S3 virtual hosted) and for a file.
        bucket: the bucket or container, exactly as written; empty for a file.
        key: percent-decoded, without a leading slash; for a file the absolute path.
        pattern: the same as `globs` reads it: what is matched and opened. Empty for a location
            that no URL pattern named.
        region: the region that the host names, else None.
        path_style: whether the bucket stands in the path.
        account: the Azure storage account, else None.
        local_root: the operator's folder that the guard found a file in, links resolved.
        local_path: the file, or the folder before a glob, as the guard resolved it. What is
            opened is this and not what the key may lead to by then.
    """

    provider: str
    scheme: str
    host: str
    port: int | None
    endpoint: str | None
    bucket: str
    key: str
    pattern: str = ""
    region: str | None = None
    path_style: bool = True
    account: str | None = None
    local_root: str | None = None
    local_path: str | None = None

    @property
    def signing_region(self) -> str:
        """The region of signatures, also where the host names none."""
        if self.region:
            return self.region
        if known := match_host(self.host):
            return known.signs_with
        return "auto" if self.provider == "gcs" else "us-east-1"


def parse(url_pattern: str, known: HostMatch | None = None) -> Location:
    """Return what the URL names.

    Args:
        url_pattern: the URL.
        known: what the host tells, where an operator has said so.

    Percent-decoding is done once, on the key alone: a bucket is kept as written, so that an
    encoded one can be refused. A ``?`` is a wildcard and a ``#`` is a character of the key: a
    pattern has neither query nor fragment.

    Raises:
        MalformedUrlError: no scheme, no host, user info, or a port that is no port.

    >>> parse("https://b.s3.eu-west-1.amazonaws.com/a%20b/*.csv").key
    'a b/*.csv'
    >>> parse("https://storage.googleapis.com/b/x").bucket
    'b'
    """
    match = _URL.fullmatch(url_pattern)
    if match is None:
        raise MalformedUrlError("no scheme")
    scheme, path = match["scheme"].lower(), match["path"]
    if scheme == "file":
        return _file(match["authority"], path)
    host, port = _split_authority(match["authority"])
    known = (
        known
        or match_host(host)
        or HostMatch(provider="s3_compatible", asked_host=host, service_host=host)
    )
    return _remote(scheme, host, port or _DEFAULT_PORTS.get(scheme), path.removeprefix("/"), known)


@lru_cache(maxsize=1_024)  # a sweep asks for each table, of few hosts
def normalise_host(host: str) -> str:
    """Return the host as a resolver would see it: compatibility forms folded, IDNA, lower case, an
    address in its one spelling.

    Raises:
        MalformedUrlError: no such name can exist.

    >>> normalise_host("１２７.0.0.1")
    '127.0.0.1'
    """
    # A dot at the end is the root's: the same name.
    folded = unicodedata.normalize("NFKC", _DOTS.sub(".", host)).lower().removesuffix(".")
    try:
        name = folded if folded.isascii() else folded.encode("idna").decode("ascii")
        for label in name.split("."):
            if label.startswith("xn--"):
                _require_readable(label)
    except UnicodeError as exc:
        raise MalformedUrlError("not a host name") from exc
    return canonical_host(name)


def _require_readable(label: str) -> None:
    """Raise UnicodeError where no client would connect to the name: better here than in each job.

    Source: RFC 3490, section 4.2; RFC 5893, section 2, for text from right to left.
    """
    text = label.encode("ascii").decode("idna")
    kinds = {unicodedata.bidirectional(character) for character in text}
    mixed = kinds & _LEFTWARD and (
        unicodedata.bidirectional(text[0]) not in ("R", "AL") or kinds - _LEFTWARD - _EITHER_WAY
    )
    if mixed or any(unicodedata.category(character) in _NO_LETTERS for character in text):
        raise UnicodeError("not a host name")


def _file(authority: str, path: str) -> Location:
    if authority not in ("", "localhost") or not path.startswith("/"):
        raise MalformedUrlError("a file URL names an absolute path")
    return Location(
        provider="file",
        scheme="file",
        host="",
        port=None,
        endpoint=None,
        bucket="",
        **_named(path),
    )


def _remote(scheme: str, host: str, port: int | None, path: str, known: HostMatch) -> Location:
    account = known.account
    endpoint = _endpoint(scheme, port, known)
    if known.account_in_path:
        account, _, path = path.partition("/")
        endpoint = f"{endpoint}/{account}"
    # Without the path that the store's own begins with, no bucket is named.
    path = path.removeprefix(known.prefix) if path.startswith(known.prefix) else ""
    first, _, rest = path.partition("/")
    bucket, key = (first, rest) if known.bucket is None else (known.bucket, path)
    return Location(
        provider=known.provider,
        scheme=scheme,
        host=host,
        port=port,
        endpoint=endpoint,
        bucket=bucket,
        **_named(key),
        region=known.region,
        path_style=known.bucket is None,
        account=account,
    )


def _endpoint(scheme: str, port: int | None, known: HostMatch) -> str | None:
    host = known.service_host
    if known.provider == "s3" and known.bucket is not None and host != known.asked_host:
        return None
    shown = f"[{host}]" if ":" in host else host
    shown += "" if port == _DEFAULT_PORTS.get(scheme) else f":{port}"
    return f"{scheme}://{shown}/{known.prefix}".rstrip("/")


def _split_authority(authority: str) -> tuple[str, int | None]:
    if "@" in authority:
        raise MalformedUrlError("user info")
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.%]+\]|[^:\[\]]*)(?::([0-9]*))?", authority)
    if match is None or not match[1]:
        raise MalformedUrlError("no host")
    port = int(match[2]) if match[2] and len(match[2]) < 6 else None
    if match[2] is not None and (port is None or not 0 < port < 65536):
        raise MalformedUrlError("not a port")
    return normalise_host(match[1].strip("[]")), port


class _Named(TypedDict):
    key: str
    pattern: str


def _named(text: str) -> _Named:
    """Return the key and the pattern that the URL's path spells; a stray ``%`` is a character."""
    if not _decodes(text):
        return {"key": text, "pattern": text.replace("\\", r"\\")}
    return {"key": unquote(text, errors="strict"), "pattern": globs.decode(text)}


def _decodes(text: str) -> bool:
    """Return whether each escape is one, and the bytes are UTF-8."""
    if re.search(r"%(?![0-9A-Fa-f]{2})", text):
        return False
    try:
        unquote(text, errors="strict")
    except UnicodeDecodeError:
        return False
    return True
