"""What the middleware does by itself, whatever the server below it would do."""

import asyncio
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from api.wire.middleware import HeadMiddleware


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
