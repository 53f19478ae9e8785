"""Store errors become ours by their codes, and nothing of their text goes on."""

import pytest
from obstore.exceptions import GenericError, PermissionDeniedError

from stocktake.errors import JobError
from stocktake.storage.stores.store_errors import from_store

TEXT = (
    "Generic S3 error: Error performing GET https://b.example/k?sig=secret in 1ms - "
    "Server returned non-2xx status code: {status} Something: <Error><Code>{code}</Code></Error>"
    "\n\nDebug source:\nGeneric {{ uri: https://b.example/k }}"
)
CAUSE = "Error performing GET https://b.example/k - HTTP error\n\nDebug source:\nHttp({cause})"


@pytest.mark.parametrize(
    ("status", "code", "expected", "detail"),
    [
        (403, "InvalidAccessKeyId", "invalid_access_key", "The Access Key you provided does not"),
        (403, "SignatureDoesNotMatch", "access_denied", "Access was denied when reading the"),
        (403, "AccessDenied", "access_denied", "Access was denied when reading the provided file"),
        (401, "Whatever", "access_denied", "Access was denied when reading the provided file"),
        (404, "NoSuchKey", "source_not_found", "The provided file doesn't exist in the bucket"),
        (404, "BlobNotFound", "source_not_found", "The provided file doesn't exist in the bucket"),
        (404, "NoSuchBucket", "bucket_not_found", "The provided bucket doesn't exist"),
        (404, "ContainerNotFound", "bucket_not_found", "The provided bucket doesn't exist"),
        (403, "InvalidObjectState", "source_archived", "Some of the files are archived"),
        (409, "BlobArchived", "source_archived", "Some of the files are archived"),
        (400, "AuthorizationHeaderMalformed", "wrong_region", "Could not read the files from"),
        (400, "Novel", "storage_refused", "Could not read the files from your storage bucket."),
        (503, "SlowDown", "storage_throttled", "The store asked for fewer requests."),
        (429, "Novel", "storage_throttled", "The store asked for fewer requests."),
        (503, "ServerBusy", "storage_throttled", "The store asked for fewer requests."),
        (500, "OperationTimedOut", "storage_timeout", "The store did not answer in time."),
        (400, "RequestTimeout", "storage_timeout", "The store did not answer in time."),
        (504, "Novel", "storage_timeout", "The store did not answer in time."),
        (500, "InternalError", "storage_unavailable", "The store failed to answer the request."),
        (503, "Novel", "storage_unavailable", "The store failed to answer the request."),
    ],
)
def test_code_decides_and_then_the_status(
    status: int, code: str, expected: str, detail: str
) -> None:
    found = from_store(GenericError(TEXT.format(status=status, code=code)), "a/b")
    assert found.code == expected
    assert found.detail.startswith(detail)
    assert found.retryable is expected.startswith(
        ("storage_throttled", "storage_timeout", "storage_unavailable")
    )


def test_missing_listing_names_no_file_that_was_listed_and_is_gone() -> None:
    error = GenericError(TEXT.format(status=404, code="NoSuchKey"))
    assert from_store(error, "a/b").file == "a/b"
    found = from_store(error, "a/", listing=True)
    assert (found.code, found.file) == ("source_not_found", None)


def test_refused_listing_is_refused_for_the_bucket() -> None:
    error = GenericError(TEXT.format(status=403, code="AccessDenied"))
    assert (
        from_store(error, "a/", listing=True).detail == "Access was denied to the provided bucket"
    )


@pytest.mark.parametrize(
    ("cause", "code", "retryable"),
    [
        ("HttpError { kind: Timeout }", "storage_timeout", True),
        ("HttpError { kind: Connect }", "storage_unavailable", True),
        ('Connect,\n  ConnectError(\n  "tcp connect error"', "storage_unavailable", True),
        ("Connect,\n  Custom { kind: Other, error: Invalid", "storage_unavailable", True),
        ("Connect,\n  ConnectFailed(\n  ConnectError(\n", "url_refused", False),
        ("Connect,\n  TunnelUnsuccessful,\n", "url_refused", False),
        ("Connect,\n  ProxyAuthRequired,\n", "url_refused", False),
        ("HttpError { Connect,\n  TunnelUnexpectedEof,\n", "storage_unavailable", True),
        ("Connect,\n  Io(\n  Custom { kind: UnexpectedEof", "url_refused", False),
        ("HttpError { kind: Unknown, source: TooManyRedirects }", "url_refused", False),
        ("BareRedirect", "wrong_region", False),
    ],
)
def test_failure_without_an_answer_is_told_by_its_cause(
    cause: str, code: str, retryable: bool
) -> None:
    found = from_store(GenericError(CAUSE.format(cause=cause)), "a/b")
    assert (found.code, found.retryable) == (code, retryable)


@pytest.mark.parametrize("kind", [GenericError, PermissionDeniedError, FileNotFoundError])
def test_nothing_of_the_stores_text_goes_on(kind: type[Exception]) -> None:
    for status in (400, 403, 404, 500):
        found: JobError = from_store(kind(TEXT.format(status=status, code="Novel")), "a/b")
        for word in ("b.example", "https", "secret", "Debug", "Novel"):
            assert word not in str(found.as_dict())


def test_key_that_cannot_be_addressed_is_unsupported() -> None:
    found = from_store(ValueError('Path "x//y" contained empty path segment'), "x//y")
    assert (found.code, found.retryable) == ("unsupported_key", False)


XML = "<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{words}</Message>"


@pytest.mark.parametrize("status", [200, 400, 404, 500])
@pytest.mark.parametrize(
    ("code", "expected"),
    [
        # Google, over its S3-compatible interface
        ("InvalidSecurity", "invalid_access_key"),
        ("SignatureDoesNotMatch", "access_denied"),
        ("AccessDenied", "access_denied"),
        ("UserProjectMissing", "access_denied"),
        ("ExpiredToken", "access_denied"),
        ("NoSuchBucket", "bucket_not_found"),
        ("NoSuchKey", "source_not_found"),
        ("RateLimitExceeded", "storage_throttled"),
        ("ServiceUnavailable", "storage_unavailable"),
        ("InternalError", "storage_unavailable"),
        # Azure
        ("AuthenticationFailed", "access_denied"),
        ("AuthorizationFailure", "access_denied"),
        ("AuthorizationPermissionMismatch", "access_denied"),
        ("NoAuthenticationInformation", "access_denied"),
        ("AccountIsDisabled", "access_denied"),
        ("PublicAccessNotPermitted", "access_denied"),
        ("ContainerNotFound", "bucket_not_found"),
        ("ContainerBeingDeleted", "bucket_not_found"),
        ("BlobNotFound", "source_not_found"),
        ("ResourceNotFound", "source_not_found"),
        ("BlobArchived", "source_archived"),
        ("BlobBeingRehydrated", "source_archived"),
        ("ServerBusy", "storage_throttled"),
        ("OperationTimedOut", "storage_timeout"),
        # Amazon
        ("InvalidAccessKeyId", "invalid_access_key"),
        ("InvalidToken", "access_denied"),
        ("RequestTimeTooSkewed", "access_denied"),
        ("KMS.DisabledException", "access_denied"),
        ("InvalidObjectState", "source_archived"),
        ("SlowDown", "storage_throttled"),
        ("RequestTimeout", "storage_timeout"),
        ("PermanentRedirect", "wrong_region"),
    ],
)
def test_providers_code_wins_over_the_status_and_over_any_words(
    code: str, expected: str, status: int
) -> None:
    # words that belong to other codes: a search of the text would fall for them
    words = "AccessDenied NoSuchBucket SlowDown timed out not found, please reduce your request"
    body = XML.format(code=code, words=words)
    text = f"Server returned non-2xx status code: {status} Something: {body}\n\nDebug source:\n"
    assert from_store(GenericError(text), "a/b").code == expected
