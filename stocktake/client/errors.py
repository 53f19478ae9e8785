"""What the client raises.

StocktakeError
├── ConfigurationError      no key, or a URL that is none
├── UnreachableError        no answer came
├── UnexpectedAnswerError   something else than Stocktake answered
├── RefusedError            the service said no; `status` has the number
│   ├── AuthenticationError     401
│   ├── PermissionDeniedError   403
│   ├── NotFoundError           404
│   ├── ConflictError           409
│   ├── ThrottledError          429
│   └── ServerError             500 and more
├── JobFailedError          what was waited for failed, or was cancelled
└── NotEndedError           what was waited for has not ended in time
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stocktake.client.answers import Batch, Job


class StocktakeError(Exception):
    """Base of all that the client raises.

    Attributes:
        code: stays the same over releases; docs/errors.md has those of jobs.
        detail: the sentence, for people.
        hint: what to do, where somebody knows.
        request_id: the answer's `X-Request-ID`, as the service's log has it.
        job: the job that it is about, where there is one.
    """

    def __init__(
        self,
        detail: str,
        *,
        code: str,
        hint: str | None = None,
        request_id: str | None = None,
        job: "Job | None" = None,
    ) -> None:
        super().__init__(f"{detail}\n{hint}" if hint else detail)
        self.code, self.detail, self.hint = code, detail, hint
        self.request_id, self.job = request_id, job


class ConfigurationError(StocktakeError):
    """There is no key, or the URL is none."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail, code="configuration")


class UnreachableError(StocktakeError):
    """No answer came, however often it was tried; `timed_out` tells silence from a refusal."""

    def __init__(self, detail: str, *, timed_out: bool, hint: str | None = None) -> None:
        super().__init__(detail, code="unreachable", hint=hint)
        self.timed_out = timed_out


class UnexpectedAnswerError(StocktakeError):
    """What answered is not Stocktake, or another version than this client understands."""

    def __init__(
        self, detail: str, *, hint: str | None = None, request_id: str | None = None
    ) -> None:
        super().__init__(detail, code="unexpected_answer", hint=hint, request_id=request_id)


class RefusedError(StocktakeError):
    """The service said no.

    Attributes:
        status: of the answer.
        attr: the field of the request that it is about, as `credential.access_key`.
        retry_after_seconds: when it is worth while to ask again, where the service said so.
    """

    def __init__(
        self,
        detail: str,
        *,
        code: str,
        status: int,
        attr: str | None = None,
        retry_after_seconds: float | None = None,
        **more: Any,
    ) -> None:
        super().__init__(detail, code=code, **more)
        self.status, self.attr = status, attr
        self.retry_after_seconds = retry_after_seconds


class AuthenticationError(RefusedError):
    """The key is not known, was revoked, or has expired."""


class PermissionDeniedError(RefusedError):
    """The key may not do that, or the project has as much as it may have."""


class NotFoundError(RefusedError):
    """There is no such thing in the project."""


class ConflictError(RefusedError):
    """The thing is in a state that does not allow this."""


class ThrottledError(RefusedError):
    """Too many requests."""


class ServerError(RefusedError):
    """The service failed, or is away."""


class JobFailedError(StocktakeError):
    """A job that was waited for failed or was cancelled; `job` is it."""

    job: "Job"


class NotEndedError(StocktakeError):
    """What was waited for has not ended in time, and goes on; `job` or `batch` is it."""

    def __init__(
        self, detail: str, *, job: "Job | None" = None, batch: "Batch | None" = None
    ) -> None:
        super().__init__(detail, code="not_ended", job=job)
        self.batch = batch
