"""What answers that say no become."""

import json
from typing import Any

import httpx

from stocktake.client.answers import Job
from stocktake.client.decoding import decode
from stocktake.client.errors import (
    AuthenticationError,
    ConflictError,
    JobFailedError,
    NotFoundError,
    PermissionDeniedError,
    RefusedError,
    ServerError,
    StocktakeError,
    ThrottledError,
)
from stocktake.client.strangers import is_ours, told, unexpected

_KINDS: dict[int, type[RefusedError]] = {
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    429: ThrottledError,
}


def failure_of(job: "Job", request_id: str | None = None) -> JobFailedError:
    """Return the error of a job that failed or was cancelled."""
    error = job.error
    return JobFailedError(
        error.detail if error else f"The job is {job.state}.",
        code=error.code if error else job.state,
        hint=error.hint if error else None,
        request_id=request_id,
        job=job,
    )


def refusal_of(answer: httpx.Response, retry_after_seconds: float | None) -> StocktakeError:
    """Return the error that an answer stands for."""
    try:
        body = answer.json()
    except ValueError:
        body = None
    if not is_ours(body):
        # What stands before a Stocktake may say these in its own words.
        if answer.status_code < 500 and answer.status_code != 429:
            return unexpected(answer)
        body = {"detail": told(answer)}
    request_id = answer.headers.get("x-request-id")
    if isinstance(body.get("job"), dict):
        return failure_of(decode(Job, body["job"]), request_id)
    return _refusal(
        answer.status_code, body, request_id=request_id, retry_after_seconds=retry_after_seconds
    )


def refusal_in(data: str) -> RefusedError:
    """Return the error that a stream's last event stands for, whose status nobody sent."""
    body = json.loads(data)
    status = {"authentication_failed": 401, "not_authenticated": 401, "not_found": 404}
    return _refusal(status.get(body.get("code"), 403), body)


def _refusal(status: int, body: dict[str, Any], **more: Any) -> RefusedError:
    error = body.get("error")
    kind = ServerError if status >= 500 else _KINDS.get(status, RefusedError)
    return kind(
        str(body.get("detail") or body.get("message") or f"status {status}"),
        code=str(body.get("code") or "error"),
        status=status,
        attr=str(body.get("attr") or "").replace("__", ".") or None,  # as it is written in a body
        hint=body.get("hint") or (error.get("hint") if isinstance(error, dict) else None),
        **more,
    )
