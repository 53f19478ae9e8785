"""What a pair of keys is. PostHog's contract has two fields, `access_key` and `access_secret`; what
they hold is known by its form, so that each kind that a store takes fits in, and another is told
by its kind.

| kind | access_key | access_secret |
|---|---|---|
| S3, R2 and compatible stores | the access key | its secret |
| Google Cloud Storage | an HMAC key | its secret |
| Azure, account key | the account's name | the key |
| Azure, SAS | the account's name | the token, or the URL that ends in it |
| Azure, connection string | the account's name | the string |
| Azure, Entra client | client id, ``@``, tenant | the client's secret |
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qs

from stocktake.errors import AccessDeniedError
from stocktake.storage.stores.protocol import Credential

#: Longer than a key, and still no book: a SAS token of a user's delegation has 400 characters.
LONG_SECRET_LENGTH: Final = 2000

_GUID: Final = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_CLIENT: Final = re.compile(rf"(?P<client>{_GUID})@(?P<tenant>[a-z0-9][a-z0-9.-]{{0,252}})", re.I)
_CONNECTION: Final = re.compile(
    r"(?:^|;)\s*(?:AccountKey|SharedAccessSignature|AccountName|BlobEndpoint"
    r"|DefaultEndpointsProtocol|UseDevelopmentStorage)=",
    re.I,
)
_ACCOUNT_KEY_BYTES: Final = 64
#: A SAS token has some fifteen.
_MOST_FIELDS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountKey:
    """An Azure storage account's key."""

    key: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedAccess:
    """A shared access signature, without the question mark before it."""

    token: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntraClient:
    """An application in Entra, with a secret of its own."""

    client: str
    tenant: str
    secret: str = field(repr=False)


AzureSecret = AccountKey | SharedAccess | EntraClient


def is_long(secret: str) -> bool:
    """Return whether it is of a kind that is longer than keys are: a SAS or a connection string."""
    return _is_sas(secret) or _is_connection(secret)


def check_kind(provider: str, credential: Credential) -> None:
    """Let through what a store of this provider may take; a form that nobody knows, as well.

    Raises:
        AccessDeniedError: it is known by its form, and of another kind.
    """
    kind = next((kind for kind, holds in _KINDS.items() if holds(credential)), None)
    if kind is None or kind in _TAKES[provider]:
        return
    raise AccessDeniedError(
        f"The credential is {kind}, which {_STORES[provider]} does not take.",
        code="wrong_key_kind",
        hint=_HINTS[provider],
    )


def azure_secret(credential: Credential, account: str | None) -> AzureSecret:
    """Return what the credential is for Azure.

    Args:
        credential: checked by `check_kind`.
        account: the account that the URL names, else None.

    Raises:
        AccessDeniedError: it is nothing that Azure takes, or of another account.
    """
    secret = credential.access_secret.strip()
    # By the access key, since an Entra client's secret has no form. A connection string may hold a
    # SAS, so it is looked for before one.
    if client := _CLIENT.fullmatch(credential.access_key.strip()):
        return EntraClient(client=client["client"], tenant=client["tenant"], secret=secret)
    if _is_connection(secret):
        return _connection(secret, account)
    if _is_sas(secret):
        return SharedAccess(token=_token(secret))
    if _decoded(secret) is None:
        raise AccessDeniedError(
            "The access secret is no account key, SAS token or connection string of Azure.",
            code="invalid_access_key",
            hint=_HINTS["azure"],
        )
    if account and credential.access_key.strip().lower() != account.lower():
        raise AccessDeniedError(
            "The access key is not the name of the storage account that the URL pattern names.",
            code="invalid_access_key",
            hint=_HINTS["azure"],
        )
    return AccountKey(key=secret)


def _connection(text: str, account: str | None) -> AzureSecret:
    """Read names and keys from it, and no more: where to go, the table's URL says."""
    parts = (part.strip().partition("=") for part in text.split(";"))
    found = {name.lower(): value.strip() for name, _, value in parts}
    named = found.get("accountname")
    if named and account and named.lower() != account.lower():
        raise AccessDeniedError(
            "The connection string is of another storage account than the URL pattern names.",
            code="wrong_key_kind",
            hint="Copy the connection string of the account that the URL pattern names.",
        )
    if key := found.get("accountkey"):
        # What stands beside a connection string says nothing: the account is the URL's.
        return azure_secret(Credential(access_key=account or "-", access_secret=key), account)
    if token := found.get("sharedaccesssignature"):
        return SharedAccess(token=_token(token))
    raise AccessDeniedError(
        "The connection string holds neither an AccountKey nor a SharedAccessSignature.",
        code="invalid_access_key",
        hint=_HINTS["azure"],
    )


def _token(text: str) -> str:
    return text.rpartition("?")[2]


def _is_connection(text: str) -> bool:
    return _CONNECTION.search(text) is not None


def _is_sas(text: str) -> bool:
    if len(text) > LONG_SECRET_LENGTH:
        return False
    token = _token(text.strip())
    if token.count("&") > _MOST_FIELDS:
        return False
    names = {name.lower() for name in parse_qs(token)}
    return "sig" in names and bool({"sv", "se", "sr", "si"} & names)


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _either(holds: Callable[[str], bool]) -> Callable[[Credential], bool]:
    return lambda pair: holds(pair.access_key.strip()) or holds(pair.access_secret.strip())


def _key(pattern: str) -> Callable[[Credential], bool]:
    compiled = re.compile(pattern)
    return lambda pair: compiled.fullmatch(pair.access_key.strip()) is not None


_AWS: Final = "an AWS access key"
_HMAC: Final = "a Google HMAC key"
_CONNECTION_STRING: Final = "an Azure connection string"
_SAS: Final = "an Azure SAS token"
_ENTRA: Final = "an Entra client"
_ACCOUNT: Final = "an Azure account key"

#: The first that holds is told. What two providers' keys may look like is no kind.
_KINDS: Final[Mapping[str, Callable[[Credential], bool]]] = {
    "a Google service account's key file": _either(
        lambda text: (
            ('"private_key"' in text and text.startswith("{"))
            or text.endswith(".iam.gserviceaccount.com")
        )
    ),
    "a private key": _either(lambda text: text.startswith("-----BEGIN ")),
    "a presigned URL": _either(
        lambda text: re.search(r"[?&]X-(?:Amz|Goog)-Signature=", text, re.I) is not None
    ),
    _CONNECTION_STRING: _either(_is_connection),
    _SAS: _either(_is_sas),
    _ENTRA: lambda pair: _CLIENT.fullmatch(pair.access_key.strip()) is not None,
    "an application's id without its tenant": _key(f"(?i:{_GUID})"),
    "a temporary AWS access key, good only with a session token": _key("ASIA[A-Z2-7]{16}"),
    _AWS: _key("(?:AKIA|AROA|AIDA)[A-Z2-7]{16}"),
    _HMAC: _key("GOOG[A-Z0-9]{12,}"),
    "an access token": _either(
        lambda text: re.match(r"(?:ya29\.|eyJ[\w-]+\.eyJ|Bearer )", text) is not None
    ),
    _ACCOUNT: lambda pair: (
        len(_decoded(pair.access_secret.strip()) or b"") == _ACCOUNT_KEY_BYTES
        and len(pair.access_secret.strip()) == 88
    ),
}

_TAKES: Final[Mapping[str, frozenset[str]]] = {
    "s3": frozenset({_AWS}),
    "s3_express": frozenset({_AWS}),
    "gcs": frozenset({_HMAC}),
    "r2": frozenset(),
    # An operator of such a store may have made keys of any form; an id is a form as well.
    "s3_compatible": frozenset({_AWS, _HMAC, _ACCOUNT, "an application's id without its tenant"}),
    "azure": frozenset({_CONNECTION_STRING, _SAS, _ENTRA, _ACCOUNT}),
}

_STORES: Final = {
    "s3": "Amazon S3",
    "s3_express": "Amazon S3",
    "gcs": "Google Cloud Storage",
    "r2": "Cloudflare R2",
    "s3_compatible": "an S3-compatible store",
    "azure": "Azure",
}
_S3_HINT: Final = "Set the access key and its secret, as the store's console made them"
_HINTS: Final = {
    "s3": _S3_HINT + " for an IAM user.",
    "s3_express": _S3_HINT + " for an IAM user.",
    "gcs": "Make an HMAC key for a service account (Cloud Storage, Settings, Interoperability), "
    "and set its access key and secret.",
    "r2": _S3_HINT + " with an R2 API token.",
    "s3_compatible": _S3_HINT + ".",
    "azure": "Set the account's name as the access key, and as the secret an account key, a SAS "
    "token or a connection string; or CLIENT_ID@TENANT_ID and the client's secret.",
}
