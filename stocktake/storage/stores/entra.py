"""Logging in at Entra as a client with a secret: a token for Azure's storage, renewed in time.

Not by the client of obstore, which would ask through the way that leads to the store alone. The
host that gets the secret is one of three, by the cloud that the store's host belongs to.
"""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import httpx

from stocktake.errors import (
    AccessDeniedError,
    JobError,
    StorageThrottledError,
    StorageUnavailableError,
)
from stocktake.storage.stores.keys import EntraClient

if TYPE_CHECKING:
    from obstore.store import AzureBearerToken

#: Who logs in for a cloud's hosts.
#: https://learn.microsoft.com/entra/identity-platform/authentication-national-cloud
AUTHORITIES: Final[dict[str, str]] = {
    ".chinacloudapi.cn": "https://login.chinacloudapi.cn",
    ".usgovcloudapi.net": "https://login.microsoftonline.us",
    "": "https://login.microsoftonline.com",
}
_SCOPE: Final = "https://storage.azure.com/.default"
_SECONDS: Final = 10
_EARLY: Final = timedelta(minutes=5)

#: https://learn.microsoft.com/entra/identity-platform/reference-error-codes
_NO_TENANT: Final = {90002, 900023, 900021}
_NO_CLIENT: Final = {700016, 7000112, 900144}
_WRONG_SECRET: Final = {7000215, 7000216}
_EXPIRED_SECRET: Final = {7000222}


class EntraToken:
    """What obstore asks for a token before it sends a request.

    Args:
        client: who logs in.
        host: the store's.
    """

    def __init__(self, client: EntraClient, host: str) -> None:
        # The empty suffix is the last one, and fits every host.
        authority = next(url for suffix, url in AUTHORITIES.items() if host.endswith(suffix))
        self._client = client
        self._url = f"{authority}/{client.tenant}/oauth2/v2.0/token"
        self._token = ""
        self._expires_at = datetime.now(UTC)

    def __call__(self) -> "AzureBearerToken":
        """Return the token and when it expires.

        Raises:
            AccessDeniedError: Entra knows no such client, or not with this secret.
            StorageUnavailableError: it could not be asked, or did not answer as it should.
        """
        if datetime.now(UTC) > self._expires_at - _EARLY:
            self._token, seconds = self._log_in()
            self._expires_at = datetime.now(UTC) + timedelta(seconds=seconds)
        return {"token": self._token, "expires_at": self._expires_at}

    def _log_in(self) -> tuple[str, float]:
        asked = {
            "grant_type": "client_credentials",
            "client_id": self._client.client,
            "client_secret": self._client.secret,
            "scope": _SCOPE,
        }
        try:
            answer = httpx.post(
                self._url,
                data=asked,
                follow_redirects=False,
                trust_env=False,
                timeout=_SECONDS,
                verify=httpx.create_ssl_context(),  # SSL_CERT_FILE, as the store's client
            )
            told = answer.json()
            if answer.is_success:
                return str(told["access_token"]), float(told["expires_in"])
        except (httpx.HTTPError, OSError, ValueError, KeyError, TypeError):
            raise _unanswered() from None  # a cause may quote what was sent
        raise _refused(answer.status_code, told)


def _unanswered() -> JobError:
    return StorageUnavailableError("Microsoft Entra, which logs in for Azure, did not answer.")


def _refused(status: int, told: Any) -> JobError:
    codes = set(told.get("error_codes") or ()) if isinstance(told, dict) else set()
    if status == 429:
        return StorageThrottledError("Microsoft Entra asked for fewer requests.")
    if codes & _WRONG_SECRET:
        return AccessDeniedError(
            "Microsoft Entra knows the client, but not with this secret",
            hint="Set the secret's value, not its id, with CLIENT_ID@TENANT_ID as the access key.",
        )
    if codes & _EXPIRED_SECRET:
        return AccessDeniedError(
            "The client's secret has expired at Microsoft Entra",
            hint="Make a new one, and set the credential again.",
        )
    if codes & (_NO_TENANT | _NO_CLIENT):
        return AccessDeniedError(
            "Microsoft Entra knows no such client in this tenant",
            code="invalid_access_key",
            hint="The access key is CLIENT_ID@TENANT_ID: the application's id and its directory's.",
        )
    if 400 <= status < 500:
        return AccessDeniedError("Microsoft Entra refused to log the client in")
    return _unanswered()
