"""Turning what obstore raises into our errors, by the store's own codes. Pure.

obstore (0.12) keeps neither status nor code: it raises ``FileNotFoundError`` for a 404 of an
object, a few classes of its own, and ``GenericError`` for every failed listing. Its text has the
status, the answer's body and, after ``Debug source``, the tree of causes. So the text is read
here, once, and nothing of it goes on: it holds URLs.
"""

import errno
import re
from collections.abc import Callable, Mapping
from typing import Final

from stocktake.errors import (
    READ_ERROR,
    AccessDeniedError,
    ArchivedSourceError,
    JobError,
    KeyRefusedError,
    ManagedStorageRefusedError,
    SourceChangedError,
    SourceNotFoundError,
    StorageThrottledError,
    StorageTimeoutError,
    StorageUnavailableError,
    TerminalError,
    UnsupportedError,
    UrlRefusedError,
    WrongRegionError,
)
from stocktake.storage.stores.answers import CODE, PASSING, STATUS, is_no_part
from stocktake.storage.stores.certificates import certificate_error
from stocktake.storage.stores.protocol import MAX_KEY_BYTES
from stocktake.storage.stores.unreachable import unreachable_error

#: What became of asking a proxy for a way to elsewhere. Only a redirect leads to that, as
#: `stocktake.storage.stores.egress` says; a relay that does not reach the store hangs up instead.
_ELSEWHERE = re.compile(r"\bConnect,\s+(?:ConnectFailed|Tunnel(?!UnexpectedEof)\w+|Proxy\w+|Io)\b")

Build = Callable[[str | None], JobError]


def _invalid_key(path: str | None) -> JobError:
    return KeyRefusedError("The Access Key you provided does not exist", file=path)


def _wrong_secret(path: str | None) -> JobError:
    return KeyRefusedError(
        code="access_denied",
        hint="The store knows the access key, but not with this secret: set both again.",
        file=path,
    )


def _expired(path: str | None) -> JobError:
    return KeyRefusedError(
        code="access_denied",
        hint="The credential is temporary and has expired, or is no longer known: set a new one.",
        file=path,
    )


def _wrong_clock(path: str | None) -> JobError:
    return KeyRefusedError(
        code="access_denied",
        hint="The worker's clock is wrong: the store refuses the time of its signature.",
        file=path,
    )


def _requester_pays(path: str | None) -> JobError:
    return AccessDeniedError(
        hint="Who reads this bucket pays for it, which this reader does not offer.", file=path
    )


def _encrypted(path: str | None) -> JobError:
    return AccessDeniedError(
        hint="The object is encrypted with a key that is disabled, or that the credential may "
        "not use.",
        file=path,
    )


def _denied(path: str | None) -> JobError:
    return AccessDeniedError(file=path)


def _denied_bucket(path: str | None) -> JobError:
    return AccessDeniedError("Access was denied to the provided bucket", file=path)


def _no_bucket(path: str | None) -> JobError:
    return SourceNotFoundError(
        "The provided bucket doesn't exist",
        code="bucket_not_found",
        hint="Check the bucket's name and region in the URL pattern.",
        file=path,
    )


def _no_object(path: str | None) -> JobError:
    return SourceNotFoundError(file=path)


def _archived(path: str | None) -> JobError:
    return ArchivedSourceError(file=path)


def _throttled(path: str | None) -> JobError:
    return StorageThrottledError("The store asked for fewer requests.", file=path)


def _timed_out(path: str | None) -> JobError:
    return StorageTimeoutError("The store did not answer in time.", file=path)


def _unavailable(path: str | None) -> JobError:
    return StorageUnavailableError("The store failed to answer the request.", file=path)


def _redirected(path: str | None) -> JobError:
    return UrlRefusedError("The store answered with a redirect, which is not followed.", file=path)


def _other_region(path: str | None, region: str | None = None) -> JobError:
    if region is None:
        return WrongRegionError(
            hint="The bucket is in another region than the one that the URL pattern names.",
            file=path,
        )
    return WrongRegionError(
        f'The bucket is in the region "{region}", which is not the one that the URL pattern names.',
        hint=f'Put the region "{region}" into the URL pattern, or into the settings of the store.',
        region=region,
        file=path,
    )


def broken_off(path: str | None) -> JobError:
    """Return the error for an answer that ended early, from a store that cannot send the rest
    alone.
    """
    return StorageUnavailableError("The store's answer broke off.", file=path)


def not_a_store(path: str | None) -> JobError:
    """Return the error for answers that no object store gives."""
    return TerminalError(
        "What answers there is no object store: it has a web page, or another document, where a "
        "listing or a file was asked for.",
        code="not_a_store",
        hint="Name the store's own API endpoint: a console or a login page has another host or "
        "port.",
        file=path,
    )


def _speaks_tls(path: str | None) -> JobError:
    return TerminalError(
        "The store was asked in plain http, and does not answer in it: that port speaks TLS, or "
        "another protocol altogether.",
        code="wrong_protocol",
        hint="Write https:// in the URL pattern and in the trusted endpoint, or correct the port.",
        file=path,
    )


def _not_implemented(path: str | None) -> JobError:
    return TerminalError(
        "The store does not have what it was asked for (501).", code="storage_refused", file=path
    )


def _changed(path: str | None) -> JobError:
    return SourceChangedError(file=path)


#: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html,
#: https://cloud.google.com/storage/docs/xml-api/reference-status and
#: https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes
_BY_CODE: Final[Mapping[str, Build]] = {
    "InvalidAccessKeyId": _invalid_key,
    "InvalidSecurity": _invalid_key,  # Google, for an unknown HMAC key
    "SignatureDoesNotMatch": _wrong_secret,
    "AuthenticationFailed": _wrong_secret,
    "ExpiredToken": _expired,
    "InvalidToken": _expired,
    "TokenRefreshRequired": _expired,
    "RequestTimeTooSkewed": _wrong_clock,
    "UserProjectMissing": _requester_pays,
    "KMS.DisabledException": _encrypted,
    "KMS.InvalidStateException": _encrypted,
    "KMS.NotFoundException": _encrypted,
    "NoSuchBucket": _no_bucket,
    "ContainerNotFound": _no_bucket,
    "ContainerBeingDeleted": _no_bucket,
    "AllAccessDisabled": _denied_bucket,
    "NoSuchKey": _no_object,
    "BlobNotFound": _no_object,
    "PreconditionFailed": _changed,
    "ConditionNotMet": _changed,
    "InvalidObjectState": _archived,
    "BlobArchived": _archived,
    "BlobBeingRehydrated": _archived,
    "PublicAccessNotPermitted": _denied,
    "SlowDown": _throttled,
    "RateLimitExceeded": _throttled,
    "BandwidthLimitExceeded": _throttled,
    "RequestLimitExceeded": _throttled,
    "Throttling": _throttled,
    "ThrottlingException": _throttled,
    "TooManyRequests": _throttled,
    "ServerBusy": _throttled,
    "RequestTimeout": _timed_out,
    "OperationTimedOut": _timed_out,
    "AuthorizationHeaderMalformed": _other_region,
    "IllegalLocationConstraintException": _other_region,
    "PermanentRedirect": _other_region,
}

#: Codes that say what a status says: a listing is then refused for the bucket.
_STATUS_OF_CODE: Final[Mapping[str, int]] = {
    "AccessDenied": 403,
    "AccountProblem": 403,
    "AccountIsDisabled": 403,
    "AuthorizationFailure": 403,
    "AuthorizationPermissionMismatch": 403,
    "AuthorizationProtocolMismatch": 403,
    "AuthorizationResourceTypeMismatch": 403,
    "AuthorizationServiceMismatch": 403,
    "AuthorizationSourceIPMismatch": 403,
    "InsufficientAccountPermissions": 403,
    "InvalidAuthenticationInfo": 403,
    "NoAuthenticationInformation": 403,
    "NotSignedUp": 403,
    "UserProjectAccountProblem": 403,
    "ResourceNotFound": 404,
    "InternalError": 500,
    "ServiceUnavailable": 503,
}

_BY_STATUS: Final[Mapping[int, Build]] = {
    401: _denied,
    403: _denied,
    404: _no_object,
    408: _timed_out,
    409: _denied,
    412: _changed,
    421: _redirected,  # the relay's answer to a plain request that was sent elsewhere
    429: _throttled,
    501: _not_implemented,
    504: _timed_out,
}

_REGION = re.compile(r"<Region>([A-Za-z0-9-]{1,40})</Region>")

#: What hyper says of an answer that does not begin as one of HTTP.
_NO_HTTP = re.compile(r"\bParse\(\s*Version\b")

#: What Go's servers, nginx and Apache say to plain http where they speak TLS.
_WANTS_TLS = re.compile(
    r"HTTP request to an HTTPS server|plain HTTP request was sent to HTTPS|SSL-enabled server port"
)


#: obstore's words for a token that could not be renewed, with the name of what `entra` raised.
_NO_LOGIN = re.compile(r"credential provider: (\w+Error)\b")
_LOGINS: Final[Mapping[str, Build]] = {
    "StorageUnavailableError": _unavailable,
    "StorageThrottledError": _throttled,
}


def from_store(
    error: Exception, path: str, *, listing: bool = False, connecting: OSError | None = None
) -> JobError:
    """Return the error of ours for one that obstore raised.

    Args:
        error: obstore's, or the built-in that it raised.
        path: the key or prefix that was asked for, below the store's root.
        listing: whether a listing failed: it is refused for the bucket, not for a file.
        connecting: what the relay met in connecting, where it was asked and knows.
    """
    summary, _, causes = str(error).partition("Debug source")
    if isinstance(error, ValueError):
        return _bad_key(path)
    if login := _NO_LOGIN.search(summary):
        return _LOGINS.get(login[1], _expired)(path)
    # The store's own code before the status: one 403 stands for a dozen of them.
    code, status = CODE.search(summary), STATUS.search(summary)
    if code and (build := _BY_CODE.get(code[1])):
        if build is _other_region and (region := _REGION.search(summary)):
            return _other_region(path, region[1])
        # Of a listing it tells no file that was listed and is gone.
        return build(None if listing and build is _no_object else path)
    if status and status[1] == "400" and _WANTS_TLS.search(summary):
        return _speaks_tls(path)
    if code and code[1] in _STATUS_OF_CODE:
        return _from_status(_STATUS_OF_CODE[code[1]], path, listing)
    if status:
        return _from_status(int(status[1]), path, listing)
    if is_no_part(error):
        return _no_length(path)
    if untrusted := certificate_error(str(error), file=path):
        return untrusted
    return _from_causes(causes + (repr(connecting) if connecting else ""), path)


#: What says that managed storage's settings lead to the wrong place.
_MISPLACED = frozenset(
    {"bucket_not_found", "not_a_store", "url_refused", "wrong_protocol", "wrong_region"}
)


def from_managed(error: Exception) -> JobError:
    """Return the error of ours for one of managed storage, whether obstore, deltalake or the disk
    met it.

    Returns:
        StorageUnavailableError where the same may succeed later, else ManagedStorageRefusedError.
    """
    if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        todo = "The operator must let the service's user write it; `stocktake doctor` tries it."
        return ManagedStorageRefusedError("Managed storage's folder cannot be written.", hint=todo)
    if untrusted := certificate_error(str(error)):
        return untrusted
    status, told = STATUS.search(str(error)), from_store(error, "")
    final = status is not None and not told.retryable and int(status[1]) not in PASSING
    if not final and told.code not in _MISPLACED:
        return StorageUnavailableError("Managed storage could not take or drop the file.")
    answered = f" (it answered {status[1]})" if status else ""
    denied = told.code == AccessDeniedError.default_code
    why = "its key may not do this." if denied else told.detail
    return ManagedStorageRefusedError(
        f"Managed storage refuses the service{answered}: {why}",
        hint=told.hint if told.code in _MISPLACED else None,
    )


def key_too_long(path: str) -> JobError:
    """Return the error for a key longer than any store has; it is not repeated whole."""
    return UnsupportedError(
        f"A key of {len(path):,} characters was asked for; the longest that a store has is "
        f"{MAX_KEY_BYTES:,} bytes.",
        code="unsupported_key",
        hint="Copy the object to a shorter key.",
        file=path,
    )


def _from_status(status: int, path: str, listing: bool) -> JobError:
    if listing and status in (401, 403):
        return _denied_bucket(path)
    if listing and status == 404:
        return _no_bucket(path)
    if build := _BY_STATUS.get(status):
        return build(path)
    if 300 <= status < 400:
        return _redirected(path)
    if status >= 500:
        return _unavailable(path)
    return TerminalError(READ_ERROR, code="storage_refused", file=path)


def _from_causes(causes: str, path: str) -> JobError:
    # The most telling word first: `reqwest` may be in the text of any cause.
    if "TooManyRedirects" in causes or "kind: Redirect" in causes or _ELSEWHERE.search(causes):
        return _redirected(path)
    if "BareRedirect" in causes:
        return _other_region(path)
    if _NO_HTTP.search(causes):
        return _speaks_tls(path)
    if "InvalidListResponse" in causes:
        return not_a_store(path)
    if "kind: Timeout" in causes:
        return _timed_out(path)
    if "Http(" in causes or "HttpError" in causes or "reqwest" in causes:
        return unreachable_error(causes, file=path)
    return TerminalError(READ_ERROR, code="storage_refused", file=path)


def _no_length(path: str) -> JobError:
    return UnsupportedError(
        "The store's answer for the file does not say which part of it, or how long, it is.",
        code="ranges_unsupported",
        hint="Read it from the store itself, and not through a gateway that packs or cuts its "
        "answers on the way; or set the object's Content-Encoding to none.",
        file=path,
    )


def _bad_key(path: str) -> JobError:
    return UnsupportedError(
        "A key has an empty, '.' or '..' part, which this reader cannot address.",
        code="unsupported_key",
        hint="Copy the object to a key without such parts.",
        file=path,
    )
