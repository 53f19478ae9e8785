"""Both clients behind one face, so that each test plays with either."""

from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from typing import Any

import httpx
from anyio.from_thread import BlockingPortal, start_blocking_portal

from stocktake.client import AsyncClient, Client

KINDS = ("sync", "async")


class LosesAnswers(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """The network, on which the answers to the next so many requests are lost once the server has
    done what was asked.

    Attributes:
        sent: the requests' methods and Idempotency-Keys.
    """

    def __init__(self, count: int = 0) -> None:
        self.left = count
        self.sent: list[tuple[str, str | None]] = []
        self._blocking, self._async = httpx.HTTPTransport(), httpx.AsyncHTTPTransport()

    def _note(self, request: httpx.Request) -> None:
        self.sent.append((request.method, request.headers.get("idempotency-key")))

    def _lose(self) -> None:
        if self.left:
            self.left -= 1
            raise httpx.ReadError("the connection was reset")

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._note(request)
        answer = self._blocking.handle_request(request)
        if self.left:
            answer.read()
            answer.close()
        self._lose()
        return answer

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._note(request)
        answer = await self._async.handle_async_request(request)
        if self.left:
            await answer.aread()
            await answer.aclose()
        self._lose()
        return answer

    def close(self) -> None:
        self._blocking.close()

    async def aclose(self) -> None:
        await self._async.aclose()


class _Blocking:
    """An object of the asynchronous client whose methods block."""

    def __init__(self, portal: BlockingPortal, inner: Any) -> None:
        self._portal, self._inner = portal, inner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return partial(self._call, found) if callable(found) else _Blocking(self._portal, found)

    def _call(self, method: Any, *args: Any, **kwargs: Any) -> Any:
        made = method(*args, **kwargs)
        if isinstance(made, Awaitable):
            return self._portal.call(_awaited, made)
        return self._iterate(made)

    def _iterate(self, items: AsyncIterator[Any]) -> Iterator[Any]:
        nothing = object()
        try:
            while (item := self._portal.call(_next, items, nothing)) is not nothing:
                yield item
        finally:
            self._portal.call(items.aclose)  # type: ignore[attr-defined]  # it is a generator


async def _awaited(it: Awaitable[Any]) -> Any:
    return await it


async def _next(items: AsyncIterator[Any], nothing: object) -> Any:
    return await anext(items, nothing)


def open_client(stack: ExitStack, kind: str, url: str, key: str, **settings: Any) -> Any:
    """A client of either kind, which the stack closes."""
    if kind == "sync":
        return stack.enter_context(closing(Client(url, key, **settings)))
    portal = stack.enter_context(start_blocking_portal())

    async def make() -> AsyncClient:
        return AsyncClient(url, key, **settings)

    client = portal.call(make)
    stack.callback(portal.call, client.aclose)
    return _Blocking(portal, client)
