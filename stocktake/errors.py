"""Every error of the domain, each with a stable code; whether to retry is in its type.

Codes without a class of their own, such as `storage_refused`, are given where a library's error is
met (`storage/stores/store_errors.py`); docs/errors.md has all of them.

::

    StocktakeError
    ├── RequestError                  a request that is refused (the API maps it to a status)
    │   ├── ValidationError           400, with the attribute at fault
    │   ├── NotAuthenticatedError     401
    │   ├── PermissionDeniedError     403
    │   ├── QuotaExceededError        403
    │   ├── NotFoundError             404
    │   ├── ConflictError             409
    │   ├── PayloadTooLargeError      413
    │   ├── UnprocessableError        422
    │   └── ThrottledError            429
    ├── JobError                      why an attempt at a job ended
    │   ├── TerminalError             no retry mends it: the job fails at once
    │   │   ├── SourceNotFoundError   source_not_found, bucket_not_found
    │   │   ├── AccessDeniedError     access_denied
    │   │   │   └── KeyRefusedError   invalid_access_key; access_denied where it is its secret
    │   │   ├── EmptySourceError      source_empty
    │   │   ├── ArchivedSourceError   source_archived
    │   │   ├── InvalidSourceError    the bytes are not what the format says
    │   │   │   └── RaggedRowsError   csv_ragged
    │   │   ├── DuplicateColumnError  duplicate_column
    │   │   ├── FormatMismatchError   format_mismatch
    │   │   ├── UnsupportedError      unsupported_type, unsupported_reader_feature …
    │   │   ├── SchemaConflictError   schema_conflict: an upload's rows do not fit the table
    │   │   ├── LimitExceededError    limit_exceeded, time_limit, memory_limit
    │   │   ├── UrlRefusedError       url_refused
    │   │   ├── WrongRegionError      wrong_region
    │   │   ├── ManagedStorageRefusedError  managed_storage_refused: our own store says no
    │   │   └── CredentialUnavailableError
    │   └── TransientError            retried with full-jitter backoff
    │       ├── StorageUnavailableError   storage_unavailable
    │       ├── StorageThrottledError     storage_throttled
    │       ├── StorageTimeoutError       storage_timeout
    │       ├── SourceChangedError        source_changed: files went or changed under the read
    │       ├── CommitConflictError       commit_conflict
    │       ├── TableChangedError         table_changed: an upload is read again
    │       ├── DatabaseUnavailableError  database_unavailable
    │       ├── WorkerLostError           worker_lost
    │       └── HandedBackError           costs no attempt
    │           ├── WorkerStoppedError    worker_stopped
    │           └── ReserveNeededError    reserve_needed: another project had no child
    ├── CommandError                  a command of the command line that cannot go on
    ├── SupersededError               the table changed while its source was being read
    └── StaleAttemptError             a write by an attempt that no longer owns its job

A third-party error is wrapped once, in the adapter that met it, ``from exc``. A message says
what, where, expected against found, and never carries a URL, a key or a backtrace.
"""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any, ClassVar

#: PostHog's sentence where nothing more exact is known.
READ_ERROR = (
    "Could not read the files from your storage bucket. Check that the files URL pattern, "
    "file format, and credentials are correct, then try again."
)

#: Characters of a text in an error that is stored and shown.
_LONGEST_TEXT = 2_000
#: Of a name that a client made up, as far as it is compared.
_LONGEST_NAME = 64
#: `filename` is no slip of `name` (0.67), `file_format` may be one of `format` (0.75).
_NEAR = 0.7


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """Return how the sentence about an unknown name ends: with the nearest known one, or with all
    of them.

    >>> did_you_mean("csv_delimeter", ["csv_delimiter", "public"])
    "did you mean 'csv_delimiter'?"
    >>> did_you_mean("x", ["public", "all"])
    "expected 'all', 'public'."
    """
    names = sorted(map(str, known))  # a member of an enum is shown as its word
    if near := get_close_matches(given.lower(), names, n=1):
        return f"did you mean {near[0]!r}?"
    return f"expected {', '.join(map(repr, names))}."


def meant(given: str, known: Iterable[str]) -> str | None:
    """Return the known name that an unknown one was to be, where it is near enough to say so: for
    names that may be passed over, unless they are slips of the pen.

    >>> [meant(each, ["dry_run", "mode"]) for each in ("dryrun", "Dry-Run", "dry", "modes", "note")]
    ['dry_run', 'dry_run', 'dry_run', 'mode', None]
    """
    names = {_folded(each): each for each in sorted(known)}
    if not (folded := _folded(given[:_LONGEST_NAME])):
        return None
    begun = [each for each in names if len(folded) > 2 and each.startswith(folded)]
    near = get_close_matches(folded, names, n=1, cutoff=_NEAR)
    return names[(begun or near)[0]] if begun or near else None


def _folded(name: str) -> str:
    return "".join(filter(str.isalnum, name.lower()))


class StocktakeError(Exception):
    """Base of every error that Stocktake raises on purpose."""


# --- requests -----------------------------------------------------------------------------


class RequestError(StocktakeError):
    """A request that is refused. Nothing was changed.

    Args:
        detail: the sentence for the client.
        code: the stable code; the class's default when None.
        attr: the field at fault, nested fields joined by ``__``.
        legacy_message: whether PostHog answers this one as ``{"message": …}``; the body then
            carries both shapes.
        hint: what to do, where the sentence is PostHog's and does not say.
    """

    default_code: ClassVar[str] = "error"

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        attr: str | None = None,
        legacy_message: bool = False,
        hint: str = "",
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.default_code
        self.attr = attr
        self.legacy_message = legacy_message
        self.hint = hint

    def __str__(self) -> str:
        """Return the sentence with the hint, for people."""
        return f"{self.detail} {self.hint}".strip()


class ValidationError(RequestError):
    """A value in the request is wrong."""

    default_code = "invalid_input"


class NotAuthenticatedError(RequestError):
    """No key, or a key that does not hold."""

    default_code = "not_authenticated"


class PermissionDeniedError(RequestError):
    """The key holds, but not for this."""

    default_code = "permission_denied"


class QuotaExceededError(RequestError):
    """The project has as much as it may have; the message names the setting."""

    default_code = "quota_exceeded"


class NotFoundError(RequestError):
    """No such thing in this project; another tenant's thing looks the same."""

    default_code = "not_found"

    def __init__(self, detail: str = "Not found.", **kwargs: Any) -> None:
        super().__init__(detail, **kwargs)


class ConflictError(RequestError):
    """The thing is in a state that does not allow this."""

    default_code = "conflict"


class PayloadTooLargeError(RequestError):
    """The body is larger than this endpoint takes."""

    default_code = "payload_too_large"


class UnprocessableError(RequestError):
    """An Idempotency-Key was used before with another body."""

    default_code = "idempotency_key_reused"


class ThrottledError(RequestError):
    """Too many requests.

    Args:
        retry_after_seconds: whole seconds until one request would pass.
    """

    default_code = "throttled"

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(
            f"Request was throttled. Expected available in {retry_after_seconds} seconds."
        )
        self.retry_after_seconds = retry_after_seconds


# --- jobs ---------------------------------------------------------------------------------


def _shortened(text: str) -> str:
    """Return the text without its middle, where the names in it, which strangers gave, are too
    long.
    """
    if len(text) <= _LONGEST_TEXT:
        return text
    half = _LONGEST_TEXT // 2
    return f"{text[:half]} … {text[-half:]}"


class JobError(StocktakeError):
    """Why an attempt at a job ended without its result.

    Args:
        detail: the sentence for the person who owns the table.
        code: the stable code; the class's default when None.
        hint: what to do about it; the class's default when None.
        file: the file at fault, relative to the source.
    """

    retryable: ClassVar[bool] = False
    default_code: ClassVar[str] = "error"
    default_hint: ClassVar[str] = "Check the table's URL pattern, format and credential."

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        hint: str | None = None,
        file: str | None = None,
    ) -> None:
        # a source may hold half of a surrogate pair, which no answer can carry
        detail = _shortened(detail.encode("utf-8", "backslashreplace").decode())
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.default_code
        self.hint = hint or self.default_hint
        self.file = file

    def as_dict(self) -> dict[str, Any]:
        """Return the job's ``error`` object on the wire.

        >>> EmptySourceError().as_dict()["code"]
        'source_empty'
        """
        return {
            "code": self.code,
            "retryable": self.retryable,
            "detail": self.detail,
            "hint": _shortened(self.hint),
            "file": None if self.file is None else _shortened(self.file),
        }


class TerminalError(JobError):
    """No retry mends it."""


class SourceNotFoundError(TerminalError):
    """The file, folder or bucket is not there."""

    default_code = "source_not_found"
    default_hint = (
        "Check the path in the URL pattern. A folder of files needs a glob, such as "
        "/path/*.parquet; a Delta table is named by its root folder."
    )

    def __init__(
        self, detail: str = "The provided file doesn't exist in the bucket", **kwargs: Any
    ) -> None:
        super().__init__(detail, **kwargs)


class OnlyHiddenFilesError(SourceNotFoundError):
    """Files match, and all of them are passed over for their names.

    Args:
        paths: theirs.
    """

    default_code = "only_hidden_files"
    default_hint = (
        "To read them, spell the beginning of the hidden name in the URL pattern, as "
        "/_staging/*.csv does."
    )

    def __init__(self, detail: str, *, paths: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(detail, **kwargs)
        self.paths = paths


class AccessDeniedError(TerminalError):
    """The store knows the key, or the lack of one, and says no."""

    default_code = "access_denied"
    default_hint = "Give the credential permission to list and read this path, then refresh again."

    def __init__(
        self, detail: str = "Access was denied when reading the provided file", **kwargs: Any
    ) -> None:
        super().__init__(detail, **kwargs)


class KeyRefusedError(AccessDeniedError):
    """The store does not know the key, or not with this secret, or not any more."""

    default_code = "invalid_access_key"


class EmptySourceError(TerminalError):
    """There is a file, and nothing in it."""

    default_code = "source_empty"
    default_hint = "Write at least a header or one row, then refresh again."

    def __init__(self, detail: str = "The provided file contains no data", **kwargs: Any) -> None:
        super().__init__(detail, **kwargs)


class ArchivedSourceError(TerminalError):
    """The object sits in an archive tier and cannot be read now."""

    default_code = "source_archived"
    default_hint = "Restore the objects, or narrow the URL pattern so that it leaves them out."

    def __init__(
        self,
        detail: str = (
            "Some of the files are archived and cannot be read. "
            "Restore them or narrow the URL pattern."
        ),
        **kwargs: Any,
    ) -> None:
        super().__init__(detail, **kwargs)


class InvalidSourceError(TerminalError):
    """The bytes are corrupt, truncated or break the format's rules."""

    default_code = "invalid_source"
    default_hint = "Write the named file again with a tool that follows the format."


class RaggedRowsError(InvalidSourceError):
    """A CSV row has more or fewer values than the others."""

    default_code = "csv_ragged"
    default_hint = (
        "Check the delimiter and quoting of the named line, or set them in the options; "
        "csv_skip_lines and csv_comment say which lines are no rows."
    )


class DuplicateColumnError(TerminalError):
    """Two columns carry one name."""

    default_code = "duplicate_column"
    default_hint = "Rename one of the columns at the source."


class FormatMismatchError(TerminalError):
    """The file is of another format than the one declared."""

    default_code = "format_mismatch"
    default_hint = "Set the table's format to what the files are, or point it at other files."


class UnsupportedError(TerminalError):
    """The source uses something that this reader does not know."""

    default_code = "unsupported"
    default_hint = "Upgrade Stocktake, or write the table without the named feature."


class SchemaConflictError(TerminalError):
    """An upload's rows do not fit the managed Delta table. Nothing was committed."""

    default_code = "schema_conflict"
    default_hint = "Convert the column at its source."


class RestoreRefusedError(TerminalError):
    """A managed Delta table cannot be taken back to a version. It is as it was."""

    default_code = "restore_refused"
    default_hint = (
        "Go back to a newer version, which drops what was loaded after it alone; or upload all "
        "rows with mode=replace, which removes those that the table has now."
    )


class LimitExceededError(TerminalError):
    """A budget ran out; the message names the figure and the setting that raises it."""

    default_code = "limit_exceeded"
    default_hint = "Narrow the source, or raise the named setting."


class WrongRegionError(TerminalError):
    """The bucket is in another region than the one that its URL names.

    Args:
        region: the one that the store named, if it did.
    """

    default_code = "wrong_region"
    default_hint = "Put the bucket's region into the URL pattern."

    def __init__(self, detail: str = READ_ERROR, *, region: str | None = None, **kw: Any) -> None:
        super().__init__(detail, **kw)
        self.region = region


class ManagedStorageRefusedError(TerminalError):
    """Managed storage will not take or drop a file, however often it is asked."""

    default_code = "managed_storage_refused"
    default_hint = (
        "The operator of the service must give the key of managed storage its rights to the "
        "bucket; `stocktake doctor` tries them. Then send the file again."
    )


class UrlRefusedError(TerminalError):
    """The guard refuses to open this URL."""

    default_code = "url_refused"
    default_hint = "Use a known object store, or have the operator add it to TRUSTED_ENDPOINTS."


class CredentialUnavailableError(TerminalError):
    """The stored credential cannot be decrypted, or is gone."""

    default_code = "credential_unavailable"
    default_hint = "Set the table's credential again."


class InternalError(TerminalError):
    """Anything unforeseen; the traceback is in the log only."""

    default_code = "internal"
    default_hint = "Look for the job's id in the worker's log, and report what it says."


class TransientError(JobError):
    """Trying again later may well succeed."""

    retryable = True
    default_hint = "Nothing to do: the job tries again by itself."


class StorageUnavailableError(TransientError):
    """The store answered 5xx, reset the connection or could not be reached.

    Args:
        reached: whether a request came through to it.
    """

    default_code = "storage_unavailable"

    def __init__(self, detail: str, *, reached: bool = True, **kwargs: Any) -> None:
        super().__init__(detail, **kwargs)
        self.reached = reached


class StorageThrottledError(TransientError):
    """The store asked for fewer requests."""

    default_code = "storage_throttled"


class StorageTimeoutError(TransientError):
    """The store did not answer in time."""

    default_code = "storage_timeout"


class SourceChangedError(TransientError):
    """A file was removed or rewritten between the listing and the read, and again after the
    source was listed anew."""

    default_code = "source_changed"
    default_hint = (
        "Nothing to do: the job tries again by itself. If it comes again, the source is rewritten "
        "faster than it can be read: refresh when its writer has ended."
    )

    def __init__(
        self, detail: str = "The source was changed while it was being read.", **kwargs: Any
    ) -> None:
        super().__init__(detail, **kwargs)


class CommitConflictError(TransientError):
    """Another writer took the Delta version that this load wanted."""

    default_code = "commit_conflict"


class TableChangedError(TransientError):
    """The table was changed while its upload was read; the upload is read again, never lost."""

    default_code = "table_changed"


class DatabaseUnavailableError(TransientError):
    """Stocktake's own database did not take the result."""

    default_code = "database_unavailable"


class WorkerLostError(TransientError):
    """The process that held the lease vanished."""

    default_code = "worker_lost"


class HandedBackError(TransientError):
    """The attempt ended for no fault of its job: it costs none of its attempts."""


class WorkerStoppedError(HandedBackError):
    """The worker was asked to stop, and handed its job back."""

    default_code = "worker_stopped"


class ReserveNeededError(HandedBackError):
    """A child of the reserve was given up for a project that had none."""

    default_code = "reserve_needed"


def hint_for(code: str) -> str:
    """Return what is to be done about tables whose last read failed so, as far as the code tells.

    >>> hint_for("access_denied")
    'Give the credential permission to list and read this path, then refresh again.'
    """
    kinds: list[type[JobError]] = [JobError]
    for kind in kinds:
        if kind.default_code == code and issubclass(kind, TransientError):
            return "Refresh again once what failed is over: it was tried as often as it may be."
        if kind.default_code == code:
            return kind.default_hint
        kinds += kind.__subclasses__()
    return JobError.default_hint


class CommandError(StocktakeError):
    """A command of the command line cannot go on; its text says why, and what to do."""


class SupersededError(StocktakeError):
    """The table changed or went away while its source was being read: the result is void."""


class StaleAttemptError(StocktakeError):
    """A write by an attempt that no longer owns its job. It changed nothing."""
