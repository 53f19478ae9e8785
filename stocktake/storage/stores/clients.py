"""Building obstore's clients: explicit credentials only, one store only, nothing from outside.

A trap of obstore 0.12, measured: its constructors read ``AWS_*`` and ``AZURE_*`` from the
environment, and a session token found there is sent along with explicit keys. So credentials are
given by a provider, which wins over all of that, and each option that decides where a request
goes is set, as `stocktake.storage.stores.egress` says.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx
from obstore.exceptions import BaseError
from obstore.store import AzureStore, S3Store

from stocktake.errors import AccessDeniedError, CredentialUnavailableError
from stocktake.storage.places.urls import Location
from stocktake.storage.stores.egress import Route, route
from stocktake.storage.stores.entra import EntraToken
from stocktake.storage.stores.keys import AccountKey, SharedAccess, azure_secret, check_kind
from stocktake.storage.stores.protocol import MAX_RETRIES, RETRY_SECONDS, Credential

if TYPE_CHECKING:
    from obstore.store import (
        AzureAccessKey,
        AzureBearerToken,
        AzureSASToken,
        ClientConfig,
        RetryConfig,
        S3Credential,
    )

Client = S3Store | AzureStore

_CONNECT_SECONDS = 5
_READ_SECONDS = 30
#: A whole answer may be a large file; the job's own deadline ends it sooner.
_ANSWER_SECONDS = 3600
#: Connections that one client keeps while nobody uses them, and for how long. A read in 128 threads
#: opens as many and takes each up again at once. A process keeps several clients, and a connection
#: through the relay takes three descriptors; without a bound all stood for 90 s.
_IDLE_CONNECTIONS = 16
_IDLE_SECONDS = 15

_RETRY: "RetryConfig" = {
    "max_retries": MAX_RETRIES,
    "retry_timeout": timedelta(seconds=RETRY_SECONDS),
    "backoff": {
        "init_backoff": timedelta(milliseconds=100),
        "max_backoff": timedelta(seconds=2),
    },
}

#: The hosts of Amazon S3 that say no more than a region.
_PLAIN_AWS = re.compile(r"s3(?:[.-][a-z0-9-]+)?\.amazonaws\.com")
_AWS_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-[0-9]+")

#: Regions of AWS buckets that their URL does not name, for the life of the process.
_regions: dict[str, str] = {}


def build_client(
    location: Location,
    credential: Credential | None,
    *,
    public: bool,
    allow_http: bool,
    as_stored: bool = False,
) -> Client:
    """Return a client for the location's bucket, which talks to the location's store and no other.

    Args:
        as_stored: whether the store is asked not to unpack what it stores compressed.

    Raises:
        CredentialUnavailableError: there is no credential, and the source is not public.
        AccessDeniedError: the credential is not of the form that the store's keys have.
    """
    if credential is None and not public:
        raise CredentialUnavailableError(
            "The table has no credential, and its source is not marked as public."
        )
    # obstore panics, past every except clause, on a key that no HTTP header can carry.
    if credential is not None and not credential.access_key.isprintable():
        raise _no_such_key()
    if credential is not None and not public:
        check_kind(location.provider, credential)
    build = _azure if location.provider == "azure" else _s3
    try:
        return build(location, None if public else credential, allow_http, as_stored)
    except (BaseError, ValueError) as exc:
        raise _no_such_key() from exc


def _no_such_key() -> AccessDeniedError:
    return AccessDeniedError(
        "The Access Key you provided does not exist", code="invalid_access_key"
    )


def discover_region(location: Location) -> str | None:
    """Return the region of an AWS bucket whose URL names none: from the headers of one unsigned
    HEAD.

    Returns:
        the region, or None where the answer does not tell; an answer is remembered.
    """
    if location.bucket not in _regions:
        answer = _head(_bucket_url(location, _endpoint(location)))
        region = answer.headers.get("x-amz-bucket-region") if answer is not None else None
        # It becomes a part of a host's name.
        if not region or not region.replace("-", "").isalnum():
            return None
        _regions[location.bucket] = region
    return _regions[location.bucket]


def in_region(location: Location, region: str | None) -> Location | None:
    """Return the same bucket where it is, after the store has refused the region that was asked.

    Args:
        region: the one that the store named; None where it did not.

    Returns:
        The location, or None where its region stays unknown or is the one that was asked, or its
        host is one that was chosen for more than its region (FIPS, dual stack, an access point).
    """
    if location.provider != "s3":
        asked = region in (None, location.signing_region)
        return None if asked else replace(location, region=region)
    host = (
        location.host if location.path_style else location.host.removeprefix(f"{location.bucket}.")
    )
    if not _PLAIN_AWS.fullmatch(host):
        return None
    region = region or discover_region(location)
    if region is None or not _AWS_REGION.fullmatch(region):
        return None
    if region == location.region:
        return None
    endpoint = _regional(location, region)
    shown = endpoint if location.path_style else None
    return replace(location, host=endpoint.removeprefix("https://"), endpoint=shown, region=region)


def _s3(
    location: Location, credential: Credential | None, allow_http: bool, as_stored: bool
) -> S3Store:
    region = location.region
    endpoint = _endpoint(location)
    if location.provider == "s3" and region is None:
        region = discover_region(location)
        endpoint = _regional(location, region) if region else endpoint
    way = route(endpoint, allow_http=allow_http)
    keys: dict[str, Any] = {"credential_provider": _S3Keys(credential)} if credential else {}
    return S3Store(
        location.bucket,
        endpoint=way.endpoint,
        aws_endpoint_url_s3=way.endpoint,
        region=region or location.signing_region,
        virtual_hosted_style_request=not location.path_style,
        skip_signature=credential is None,
        s3_express=location.provider == "s3_express",
        request_payer=False,
        unsigned_payload=False,
        client_options=_client_options(way, as_stored),
        retry_config=_RETRY,
        **keys,
    )


def _azure(
    location: Location, credential: Credential | None, allow_http: bool, as_stored: bool
) -> AzureStore:
    way = route(_endpoint(location), allow_http=allow_http)
    keys: dict[str, Any] = {}
    if credential:
        keys["credential_provider"] = _azure_keys(location, credential)
    return AzureStore(
        location.bucket,
        account_name=location.account or (credential.access_key if credential else ""),
        endpoint=way.endpoint,
        skip_signature=credential is None,
        use_emulator=False,
        use_fabric_endpoint=False,
        client_options=_client_options(way, as_stored),
        retry_config=_RETRY,
        **keys,
    )


class _S3Keys:
    def __init__(self, credential: Credential) -> None:
        self._credential = credential

    def __call__(self) -> "S3Credential":
        return {
            "access_key_id": self._credential.access_key,
            "secret_access_key": self._credential.access_secret,
            "token": None,
            "expires_at": None,
        }


def _azure_keys(
    location: Location, credential: Credential
) -> "Callable[[], AzureAccessKey | AzureSASToken | AzureBearerToken]":
    match azure_secret(credential, location.account):
        case AccountKey(key=key):
            account_key: AzureAccessKey = {"access_key": key, "expires_at": None}
            return lambda: account_key
        case SharedAccess(token=token):
            shared: AzureSASToken = {"sas_token": token, "expires_at": None}
            return lambda: shared
        case client:
            bearer = EntraToken(client, location.host)
            bearer()  # now, where its errors are told as they are
            return bearer


def _client_options(way: Route, as_stored: bool) -> "ClientConfig":
    headers = {"accept-encoding": "gzip"} if as_stored else {}
    return {
        "default_headers": headers,
        "allow_http": way.allow_http,
        "proxy_url": way.proxy_url,
        "proxy_excludes": way.proxy_excludes,
        "allow_invalid_certificates": False,
        "connect_timeout": timedelta(seconds=_CONNECT_SECONDS),
        "read_timeout": timedelta(seconds=_READ_SECONDS),
        "timeout": timedelta(seconds=_ANSWER_SECONDS),
        "pool_max_idle_per_host": str(_IDLE_CONNECTIONS),
        "pool_idle_timeout": timedelta(seconds=_IDLE_SECONDS),
        "user_agent": "stocktake",
    }


def _endpoint(location: Location) -> str:
    """Return the URL to which keys (virtual hosted) or bucket and keys (path style) are
    appended."""
    if location.path_style and location.endpoint is not None:
        return location.endpoint
    shown = f"[{location.host}]" if ":" in location.host else location.host
    own = {"https": 443, "http": 80}[location.scheme]
    port = "" if location.port in (None, own) else f":{location.port}"
    return f"{location.scheme}://{shown}{port}"


def _regional(location: Location, region: str) -> str:
    host = f"s3.{region}.amazonaws.com"
    return f"https://{host}" if location.path_style else f"https://{location.bucket}.{host}"


def _bucket_url(location: Location, endpoint: str) -> str:
    return f"{endpoint}/{location.bucket}" if location.path_style else endpoint


def _head(url: str) -> httpx.Response | None:
    try:
        return httpx.head(
            url,
            follow_redirects=False,
            # No proxy of the environment, as the client itself takes none.
            trust_env=False,
            timeout=_CONNECT_SECONDS,
            verify=httpx.create_ssl_context(),  # SSL_CERT_FILE, as the client itself
        )
    except (httpx.HTTPError, httpx.InvalidURL, OSError):
        return None
