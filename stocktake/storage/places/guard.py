"""Deciding which URLs may be opened at all: deny by default, at registration and again in the job.

Nothing is resolved here: the host must belong to a store that is known by name, or be one that
the operator named in ``TRUSTED_ENDPOINTS``.
"""

import errno
import os
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from stocktake.errors import LimitExceededError, UrlRefusedError, ValidationError
from stocktake.schema.formats import TableFormat
from stocktake.storage.places import trusted
from stocktake.storage.places.addresses import NotAnAddressError, is_internal, parse_address
from stocktake.storage.places.globs import check_size, is_glob, split_folder
from stocktake.storage.places.providers import match_host
from stocktake.storage.places.spellings import instead_of
from stocktake.storage.places.trusted import LABEL
from stocktake.storage.places.urls import Location, MalformedUrlError, parse

MUST_USE_HTTPS = "URL pattern must use https."
NO_HOSTNAME = "URL pattern must include a valid hostname."
BACKSLASH = (
    "URL pattern must not contain a backslash. Folders are divided by /; write %5C for a backslash "
    "in a file's name."
)
UNSEEN = "URL pattern must not contain line breaks or other control characters."
HOST_NOT_ALLOWED = "URL pattern hostname is not allowed."
INTERNAL_ADDRESS = "URL pattern hostname must not resolve to internal IP ranges."
BUCKET_WILDCARD = (
    "The bucket name in a URL pattern must be exact. Wildcards belong in the file path."
)
BUCKET_ENCODED = "The bucket name in a URL pattern can't contain percent-encoded characters."
BUCKET_MISSING = "URL pattern must name a bucket and the path of the files in it."
BUCKET_INVALID = "The bucket name in a URL pattern has a character that bucket names can't have."
ACCOUNT_INVALID = "The storage account in a URL pattern has a character that accounts can't have."
PATH_INVALID = "The path in a URL pattern can't contain control characters or '.' and '..' parts."
SIGNED = (
    "URL pattern must not carry a signature or a token, which would be stored and shown with it. "
    "Put an access key and its secret into the credential."
)
QUERY = (
    "URL pattern must not have a query string, such as ?versionId=: what is read is the newest "
    "version of a file. Write %3F for a question mark in a file's name."
)
FOLDER_GLOB = "A {} table is named by its root folder: the URL pattern can't contain wildcards."
FOLDER_NOT_ALLOWED = "URL pattern must name a path in a folder that this server may read."

#: Where another spelling may be what is meant.
_OTHERWISE = frozenset(
    {MUST_USE_HTTPS, NO_HOSTNAME, HOST_NOT_ALLOWED, INTERNAL_ADDRESS, FOLDER_NOT_ALLOWED}
)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
#: The secret parts of presigned URLs: S3 (both versions), Google, Azure, and what others call so.
_SIGNED = re.compile(
    r"[?&;](?:sig|signature|x-(?:amz|goog)-(?:signature|credential|security-token)|awsaccesskeyid"
    r"|googleaccessid|(?:access_?|auth_?|security_?)?token|key|secret|password)=",
    re.IGNORECASE,
)
#: Of the files that tables are made of, packed ones as well.
_ENDINGS = (
    *(ending for each in TableFormat for ending in each.facts.extensions),
    *("tsv", "txt", "gz", "bz2", "zst", "xz", "lz4"),
)
#: ``?name=value`` up to the end, or with an ``&``, or of a name that stores know; or a bare word
#: behind a file's extension. A ``?`` in the name of a folder is a wildcard: ``part?x=1/a.csv``.
_QUERY = re.compile(
    r"\?[A-Za-z_][\w.~%-]*=(?:[^/]*$|[^&]*&[A-Za-z_])"
    r"|\?(?:versionId|generation|snapshot|prefix|delimiter|list-type|comp|restype)="
    rf"|\.(?:{'|'.join(_ENDINGS)})\?[A-Za-z][A-Za-z-]+$",
    re.IGNORECASE,
)
_BUCKET = re.compile(r"[A-Za-z0-9$][A-Za-z0-9._$-]{0,254}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardPolicy:
    """What the operator allows, besides the stores that are known by name.

    Attributes:
        allowed_schemes: ``https``, and ``http`` or ``file`` where the operator wants them.
        trusted_endpoints: further stores, as `stocktake.storage.places.trusted` reads them.
        local_roots: folders that a ``file://`` URL may name paths in.
        managed_location: our own storage, which no customer's URL may name.
        private_folders: folders of the service's own, with its keys and its database: nothing in
            them is a source, though a local root may hold them.
    """

    allowed_schemes: frozenset[str] = frozenset({"https"})
    trusted_endpoints: tuple[str, ...] = ()
    local_roots: tuple[Path, ...] = ()
    managed_location: Location | None = None
    private_folders: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Folders:
    """Where the policy's folders are at one moment, symlinks resolved: to find out is most of what
    the check of a local URL takes.

    Texts, and no objects of pathlib: of a thousand local tables these took longer than the looks.

    Attributes:
        roots: the folders that may be read, in their order, each with the private ones that it does
            not open. A root that the operator named inside a private folder is meant; a private
            folder inside a root is not.
        managed: None where managed storage is no folder.
    """

    roots: Mapping[str, tuple[str, ...]]
    managed: str | None

    @classmethod
    def of(cls, policy: GuardPolicy) -> Self:
        """Look where they are now."""
        managed = policy.managed_location
        ours = managed if managed and managed.provider == "file" else None
        private = [_resolved(folder) for folder in policy.private_folders]
        roots = [_resolved(root) for root in policy.local_roots]
        return cls(
            roots={
                root: tuple(each for each in private if each == root or not _is_in(root, each))
                for root in roots
            },
            managed=_resolved(ours.key) if ours else None,
        )


def check(url_pattern: str, policy: GuardPolicy, folders: Folders | None = None) -> Location:
    """Return the location that the URL names, if it may be opened.

    Args:
        folders: the policy's, as of a moment ago; looked for where there are none.

    Raises:
        ValidationError: it may not; `attr` is ``url_pattern``, and neither sentence nor hint
            repeats the URL.
    """
    try:
        return _check(url_pattern, policy, folders)
    except ValidationError as exc:
        if exc.detail in _OTHERWISE:
            exc.hint = instead_of(url_pattern)
        raise


def _check(url_pattern: str, policy: GuardPolicy, folders: Folders | None) -> Location:
    _check_text(url_pattern, policy)
    try:
        location = locate(url_pattern, policy)
    except MalformedUrlError as exc:
        raise _refusal(NO_HOSTNAME) from exc
    _check_path(location)
    _check_unsigned(location)
    _check_query(url_pattern)
    if location.provider == "file":
        return _in_folder(location, folders or Folders.of(policy))
    _check_host(location, policy)
    _check_bucket(location)
    if _is_managed(location, policy.managed_location):
        raise _refusal(HOST_NOT_ALLOWED)
    return location


def locate(url_pattern: str, policy: GuardPolicy) -> Location:
    """Return the location that the URL names, whether or not it may be opened.

    Raises:
        MalformedUrlError: as `parse` does.
    """
    location = parse(url_pattern)
    if entry := trusted.find(location, policy.trusted_endpoints):
        return parse(url_pattern, entry.tells(location.host))
    return location


def recheck(url_pattern: str, policy: GuardPolicy, folders: Folders | None = None) -> Location:
    """Check again, at the connection: the policy may have changed since the table was registered.

    Args:
        folders: as of `check`.

    Raises:
        UrlRefusedError: it may not be opened (any more).
    """
    try:
        return check(url_pattern, policy, folders)
    except ValidationError as exc:
        raise UrlRefusedError(exc.detail, hint=exc.hint or None) from exc


def check_pattern(location: Location, table_format: TableFormat) -> None:
    """Refuse a pattern where one folder must be named, and one that stands for too much.

    Args:
        table_format: says whether it is a root folder that names a table.

    Raises:
        ValidationError: a wildcard in a folder's path, or braces that spell out more than a
            listing is compared with.
    """
    if table_format.is_folder and is_glob(location.pattern):
        raise _refusal(FOLDER_GLOB.format(table_format.facts.title))
    try:
        check_size(location.pattern)
    except LimitExceededError as exc:
        raise _refusal(f"{exc.detail} {exc.hint}") from exc


def requires_credential(old: Location, new: Location) -> bool:
    """Return whether the stored credential would go to another host, endpoint or bucket than
    before.

    A path in the same bucket may change freely. A file takes no credential.
    """
    return new.provider != "file" and _recipient(old) != _recipient(new)


def _refusal(sentence: str) -> ValidationError:
    return ValidationError(sentence, attr="url_pattern")


def _recipient(location: Location) -> tuple[str | int | None, ...]:
    return location.scheme, location.host, location.port, location.account, location.bucket


def _check_text(url_pattern: str, policy: GuardPolicy) -> None:
    """Refuse what must not be there before the text is taken apart: parsers disagree on the
    rest."""
    match = _SCHEME.match(url_pattern)
    if match is None or match[1].lower() not in _schemes(policy):
        raise _refusal(MUST_USE_HTTPS)
    if "\\" in url_pattern:
        raise _refusal(BACKSLASH)
    if any(unicodedata.category(character) in _UNSEEN for character in url_pattern):
        raise _refusal(UNSEEN)


#: Control, surrogate and line-breaking characters. Format characters (Cf) may stand in a key.
_UNSEEN = frozenset({"Cc", "Cs", "Zl", "Zp"})


def _schemes(policy: GuardPolicy) -> frozenset[str]:
    named = {entry.scheme for entry in trusted.read_entries(policy.trusted_endpoints)}
    return (policy.allowed_schemes | named) & {"https", "http", "file"}


def _check_path(location: Location) -> None:
    parts = location.key.split("/")
    if "." in parts or ".." in parts:
        raise _refusal(PATH_INVALID)
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in location.key):
        raise _refusal(PATH_INVALID)


def _check_unsigned(location: Location) -> None:
    """Refuse a signature, which the key alone can hold: a pattern has no query, so a ``?`` and what
    follows is in it.
    """
    if _SIGNED.search(location.key):
        raise _refusal(SIGNED)


def _check_query(url_pattern: str) -> None:
    """Refuse what a client means for a query string, and we would take for a wildcard."""
    if _QUERY.search(url_pattern):
        raise _refusal(QUERY)


def _in_folder(location: Location, folders: Folders) -> Location:
    """Return the location with where it is now, which is what will be opened."""
    path = split_folder(location.pattern)[0] if is_glob(location.pattern) else location.key
    try:
        resolved = _resolved(path)
    except OSError as exc:  # a link that goes round, or was just swapped for a file
        raise _refusal(FOLDER_NOT_ALLOWED) from exc
    root = next(
        (root for root, hidden in folders.roots.items() if _opens(root, resolved, hidden)), None
    )
    if root is None or (folders.managed and _overlap(resolved, folders.managed)):
        raise _refusal(FOLDER_NOT_ALLOWED)
    return replace(location, local_root=root, local_path=resolved)


def _resolved(path: str | Path) -> str:
    """Return where a path leads, whether or not something is there.

    Raises:
        OSError: nowhere, as its links go round.
    """
    resolved = os.path.realpath(path)
    try:
        os.stat(resolved)
    except OSError as exc:
        if exc.errno == errno.ELOOP:
            raise
    return resolved


def _opens(root: str, path: str, hidden: Iterable[str]) -> bool:
    """Return whether the root holds the path, and lets it be read."""
    return _is_in(path, root) and not any(_overlap(path, folder) for folder in hidden)


def _is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder if folder == "/" else f"{folder}/")


def _overlap(path: str, ours: str) -> bool:
    # Above it, too: a listing goes down into what is below.
    return _is_in(path, ours) or _is_in(ours, path)


def _check_host(location: Location, policy: GuardPolicy) -> None:
    if trusted.find(location, policy.trusted_endpoints):
        return
    if location.scheme not in policy.allowed_schemes:
        raise _refusal(MUST_USE_HTTPS)
    _check_address(location.host)
    default_port = 443 if location.scheme == "https" else 80
    if match_host(location.host) is None or location.port != default_port:
        raise _refusal(HOST_NOT_ALLOWED)


def _check_address(host: str) -> None:
    try:
        address = parse_address(host)
    except NotAnAddressError as exc:
        raise _refusal(NO_HOSTNAME) from exc
    if address is not None:
        raise _refusal(INTERNAL_ADDRESS if is_internal(address) else HOST_NOT_ALLOWED)
    if len(host) > 253 or not all(LABEL.fullmatch(label) for label in host.split(".")):
        # A star can only be a wildcard where the bucket stands, in the host's first label.
        raise _refusal(BUCKET_WILDCARD if set("*{}[]") & set(host) else _host_sentence(host))


def _host_sentence(host: str) -> str:
    return BUCKET_ENCODED if "%" in host else NO_HOSTNAME


def _check_bucket(location: Location) -> None:
    bucket = location.bucket
    if location.account is not None and not LABEL.fullmatch(location.account):
        raise _refusal(ACCOUNT_INVALID)
    if set("*?{}[]") & set(bucket):
        raise _refusal(BUCKET_WILDCARD)
    if "%" in bucket:
        raise _refusal(BUCKET_ENCODED)
    if not bucket or not location.key:
        raise _refusal(BUCKET_MISSING)
    if not _BUCKET.fullmatch(bucket):
        raise _refusal(BUCKET_INVALID)


def _is_managed(location: Location, managed: Location | None) -> bool:
    if managed is None or managed.provider == "file":
        return False
    # In a host letter case makes no difference, so here it makes none either.
    bucket = managed.bucket.lower()
    if location.host == f"{bucket}.{managed.host}":
        return True
    if location.bucket.lower() != bucket or location.provider != managed.provider:
        return False
    # The names of S3's and Google's buckets are unique, whatever the endpoint.
    return managed.provider in ("s3", "gcs") or _store(location) == _store(managed)


def _store(location: Location) -> tuple[str | None, ...]:
    """Return the store by one name, whichever of its hosts the URL has."""
    if known := match_host(location.host):
        return known.store, known.tenant, known.account
    host = location.host
    if not location.path_style:
        host = host.removeprefix(location.bucket + ".")
    return host, str(location.port), location.account
