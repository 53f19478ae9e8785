"""What a route answers, and how it becomes a response."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final
from uuid import UUID

from fastapi import Response
from pydantic import BaseModel
from pydantic_core import to_json
from starlette.types import Receive, Scope, Send

from stocktake.services import idempotency
from stocktake.services.context import Context

#: Bytes of an answer that are no work to keep or to send; a larger one goes out in such pieces.
LARGE_BYTES: Final = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a route answers.

    Attributes:
        body: a wire model or what JSON can hold, or makes one once the transaction has committed:
            of a table of 10,000 columns that is no work to do under a lock. None is no body.
        job_id: the job that a client may wait for.
        kept: what is kept under an Idempotency-Key in the place of the body, where that holds what
            must not be kept.
        after_wait: makes the answer anew, in a new transaction that may write, once that job
            has ended in time.
    """

    status: int = 200
    body: BaseModel | dict[str, Any] | list[Any] | Callable[[], BaseModel] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    job_id: UUID | None = None
    kept: BaseModel | None = None
    after_wait: "Callable[[Context], Answer] | None" = None

    @property
    def made(self) -> "Answer":
        """Return the answer with its body."""
        return replace(self, body=self.body()) if callable(self.body) else self

    def stored(self) -> idempotency.StoredAnswer:
        """Return the answer as plain data, to keep under an idempotency key."""
        body = self.made.body if self.kept is None else self.kept
        if isinstance(body, BaseModel):
            body = body.model_dump(mode="json")
        return idempotency.StoredAnswer(status=self.status, body=body, headers=dict(self.headers))


class JsonResponse(Response):
    """JSON that is sent piece by piece: of what is sent at once, nobody could tell when the client
    has taken it."""

    media_type = "application/json"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        start = {"status": self.status_code, "headers": self.raw_headers}
        await send({"type": "http.response.start", **start})
        body = memoryview(self.body)
        for begin in range(0, max(1, len(body)), LARGE_BYTES):
            end = begin + LARGE_BYTES
            piece = {"body": bytes(body[begin:end]), "more_body": end < len(body)}
            await send({"type": "http.response.body", **piece})


def respond(answer: Answer | idempotency.StoredAnswer) -> Response:
    """Return the response of an answer, made in a thread: on the event loop, one of a table with
    very many columns held everybody up."""
    if isinstance(answer, Answer):
        answer = answer.made
    headers = dict(answer.headers)
    if answer.body is None:
        return Response(status_code=answer.status, headers=headers)
    return JsonResponse(to_json(answer.body), answer.status, headers)
