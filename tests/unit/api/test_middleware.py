"""What the middleware does by itself, whatever the server below it would do."""

import asyncio
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from api.wire.middleware import HeadMiddleware, RequestMiddleware


def test_item_6_head_sends_no_byte_of_a_body() -> None:
    """Not every server drops one, as uvicorn does."""
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["method"] == "GET"
        headers = [(b"content-length", b"5")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"whole"})

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {"type": "http", "method": "HEAD"}
    asyncio.run(HeadMiddleware(app)(scope, receive, send))
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[0]["headers"] == [(b"content-length", b"5")]
    assert sent[1]["body"] == b""


def test_a_request_that_outlasts_the_stop_of_its_process_is_told_to_come_again() -> None:
    """uvicorn cancels it then, and would answer 500."""
    sent = asyncio.run(_cancelled(answers_first=False))
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[0]["status"] == 503
    assert (b"retry-after", b"2") in sent[0]["headers"]


def test_an_answer_that_had_begun_is_not_begun_again() -> None:
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(_cancelled(answers_first=True))


async def _cancelled(*, answers_first: bool) -> list[Message]:
    sent: list[Message] = []
    under_way = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if answers_first:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        under_way.set()
        await asyncio.Event().wait()

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/", "headers": []}
    middleware = RequestMiddleware(app, observe=lambda *_: None)
    serving = asyncio.ensure_future(middleware(scope, receive, send))
    await under_way.wait()
    serving.cancel()
    await serving
    return sent
