"""A proxy before an S3 store that makes each request wait, and counts requests and bytes.

Figures over a network are a matter of round trips; those are counted here, not guessed. The proxy
passes bytes on as they are, the `Host` that was signed too, and understands no more of HTTP than
where a message ends. It runs on uvloop: what it costs itself is in every figure.
"""

import asyncio
import re
import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import uvloop

HOST: Final = "127.0.0.1"
_HEAD_BYTES: Final = 64 * 1024
_PIECE_BYTES: Final = 256 * 1024
_LENGTH: Final = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
_CHUNKED: Final = re.compile(rb"\r\ntransfer-encoding:[^\r]*chunked", re.IGNORECASE)
_BODILESS: Final = frozenset({b"204", b"304"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What went through since it was last asked."""

    requests: int
    bytes: int


def body_length(method: bytes, head: bytes) -> int | None:
    r"""Return how many bytes follow an answer's head; None where they come in chunks.

    Args:
        method: of the request that is answered.
        head: the status line and the headers, with the empty line.

    >>> body_length(b"GET", b"HTTP/1.1 200 OK" + b"\r\nContent-Length: 5" + b"\r\n\r\n")
    5
    """
    if method == b"HEAD" or head.split(b" ", 2)[1] in _BODILESS:
        return 0
    if _CHUNKED.search(head):
        return None
    found = _LENGTH.search(head)
    return int(found[1]) if found else 0


class DelayProxy:
    """Runs in a thread of its own while its context lasts.

    Args:
        port: of the store on this machine.
        delay_seconds: added to each request before it is passed on.
    """

    def __init__(self, port: int, delay_seconds: float) -> None:
        self._store = port
        self._delay = delay_seconds
        self._requests = self._bytes = 0
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        starting = asyncio.start_server(self._serve, HOST, 0, limit=_HEAD_BYTES, backlog=512)
        self._server = asyncio.run_coroutine_threadsafe(starting, self._loop).result()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def endpoint(self) -> str:
        """The URL to give to a reader instead of the store's."""
        assert self._server is not None, "the proxy is not running"
        return f"http://{HOST}:{self._server.sockets[0].getsockname()[1]}"

    def traffic(self) -> Traffic:
        """Return what went through since the last call."""
        taken = Traffic(requests=self._requests, bytes=self._bytes)
        self._requests = self._bytes = 0
        return taken

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        for _, writer in self._idle:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await self._one(await reader.readuntil(b"\r\n\r\n"), writer)
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass  # the reader has all that it wanted, or the run is over
        finally:
            writer.close()

    async def _one(self, request: bytes, writer: asyncio.StreamWriter) -> None:
        """Pass one request on. Readers only read: none of their requests has a body."""
        self._requests += 1
        await asyncio.sleep(self._delay)
        upstream, head = await self._answered(request)
        try:
            _write(writer, head)
            await self._pass_body(upstream[0], writer, body_length(request.split(b" ", 1)[0], head))
        except BaseException:
            upstream[1].close()  # what is left of the answer would be taken for the next one's
            raise
        self._idle.append(upstream)
        await writer.drain()

    async def _pass_body(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, length: int | None
    ) -> None:
        if length is None:
            await self._pass_chunks(reader, writer)
        else:
            await self._pass(reader, writer, length)

    async def _answered(
        self, request: bytes
    ) -> tuple[tuple[asyncio.StreamReader, asyncio.StreamWriter], bytes]:
        """Ask over a connection that is kept, and over a new one where the store has closed it."""
        while True:
            kept = self._idle.pop() if self._idle else None
            upstream = kept or await asyncio.open_connection(HOST, self._store, limit=_HEAD_BYTES)
            try:
                upstream[1].write(request)
                return upstream, await upstream[0].readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                upstream[1].close()
                if kept is None:
                    raise

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, length: int
    ) -> None:
        while length:
            piece = await reader.read(min(length, _PIECE_BYTES))
            if not piece:
                raise ConnectionResetError("the store ended an answer early")
            length -= len(piece)
            self._bytes += len(piece)
            _write(writer, piece)
            await writer.drain()

    async def _pass_chunks(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        size = 1
        while size:
            line = await reader.readuntil(b"\r\n")
            size = int(line.split(b";")[0], 16)
            _write(writer, line)
            await self._pass(reader, writer, size)
            _write(writer, await reader.readexactly(2))


def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Write to a reader that may have left: some end a read as soon as they have enough."""
    if writer.is_closing():
        raise ConnectionResetError("the reader has left")
    writer.write(data)
