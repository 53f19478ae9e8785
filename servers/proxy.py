"""A TCP proxy that breaks what goes through it, on command, and counts what it broke.

It knows nothing of the protocols that it carries. `benchmarks/delay_proxy.py` is another thing:
it understands HTTP, to count requests and to cost next to nothing.
"""

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

from servers.process import HOST

_PIECE_BYTES: Final = 64 * 1024
#: Close with RST instead of FIN: what is still under way never arrives.
_NO_LINGER: Final = struct.pack("ii", 1, 0)


@dataclass(slots=True, kw_only=True)
class Counts:
    """What the proxy did since it was made: by them a test proves that its fault fired.

    Attributes:
        connections: accepted.
        delivered_bytes: in both directions.
        swallowed_bytes: taken and never delivered.
        delayed: requests that were held back.
        cut: connections that were reset, or closed too soon.
        replaced: requests that the proxy answered itself.
    """

    connections: int = 0
    delivered_bytes: int = 0
    swallowed_bytes: int = 0
    delayed: int = 0
    cut: int = 0
    replaced: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """The request at which a connection is reset.

    Attributes:
        at: bytes of that request.
        after: bytes of an earlier request on the connection, which tell it from others.
        executed: whether the server gets the request, so that only its answer is lost.
    """

    at: bytes
    after: bytes = b""
    executed: bool = False


@dataclass(eq=False, slots=True)
class _Connection:
    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    silent: bool = False
    #: What `Cut.after` asks for was seen.
    primed: bool = False
    answer_is_lost: bool = False
    answered_bytes: int = 0
    #: Requests with the moments from which they may be delivered; None ends them.
    requests: "asyncio.Queue[tuple[float, bytes] | None]" = field(default_factory=asyncio.Queue)


class Proxy:
    """Passes bytes between its clients and a port of this machine, in a thread of its own.

    Args:
        port: the server's.

    Attributes:
        port: what to connect to instead.
        counts: what it did so far.
        latency_seconds: between a request and its delivery; answers are not held back.
        answer_bytes: a connection is reset after so many bytes of answers; None for never.
        cut_in_order: whether it is closed instead, as if the answer were complete.
        answer_instead: what every request is answered with, which the server never sees.
        answer_pace: bytes of answers that a connection delivers in a second; None for no limit.
    """

    def __init__(self, port: int) -> None:
        self.counts = Counts()
        self.latency_seconds = 0.0
        self.answer_bytes: int | None = None
        self.answer_pace: float | None = None
        self.cut_in_order = False
        self.answer_instead: bytes | None = None
        self._server_port = port
        self._black_hole = False
        self._silenced: bytes | None = None
        self._cut: Cut | None = None
        self._cut_came = threading.Event()
        self._connections: set[_Connection] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._listener = self._run(asyncio.start_server(self._serve, HOST, 0))
        self.port: int = self._listener.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def black_hole(self) -> None:
        """Take all bytes and deliver none; connections, old and new, stay open."""
        self._run(self._fall_silent())

    def silence(self, request: bytes) -> None:
        """Deliver nothing more on connections that ask this, from then on; others work."""
        self._silenced = request

    def reset(self) -> None:
        """Reset all connections; new ones work."""
        self._run(self._reset_all())

    def cut(self, rule: Cut) -> None:
        """Reset the first connection that meets the rule."""
        self._cut_came.clear()
        self._cut = rule

    def wait_for_cut(self, timeout_seconds: float = 60) -> None:
        """Return when the rule that `cut` was given has been met, or fail."""
        assert self._cut_came.wait(timeout_seconds), "no connection met the rule"

    def heal(self) -> None:
        """End every fault. What was in a black hole stays silent, as a connection does that a
        gateway on the way has forgotten; new ones work."""
        self._black_hole = False
        self._silenced = self._cut = None
        self.latency_seconds, self.answer_bytes, self.answer_pace = 0.0, None, None
        self.cut_in_order, self.answer_instead = False, None

    def _run(self, work: "Coroutine[Any, Any, Any]") -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _fall_silent(self) -> None:
        self._black_hole = True
        for connection in self._connections:
            connection.silent = True

    async def _reset_all(self) -> None:
        for connection in list(self._connections):
            self._reset(connection)

    async def _close(self) -> None:
        self._listener.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0)  # the sockets are closed by callbacks

    def _end(self, connection: _Connection) -> None:
        if self.cut_in_order:
            self.counts.cut += 1
            connection.client.close()
        else:
            self._reset(connection)

    def _reset(self, connection: _Connection) -> None:
        self.counts.cut += 1
        for writer in (connection.client, connection.server):
            if not writer.is_closing():
                plain = writer.get_extra_info("socket")
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
                writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.counts.connections += 1
        try:
            answers, server = await asyncio.open_connection(HOST, self._server_port)
        except OSError:
            writer.close()  # as a server that is down does
            return
        connection = _Connection(writer, server, silent=self._black_hole)
        self._connections.add(connection)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._take_requests(connection, reader))
                tasks.create_task(self._deliver_requests(connection))
                tasks.create_task(self._pass_answers(connection, answers))
        except* (OSError, asyncio.CancelledError):
            pass  # one side has left, and so does the other; or the proxy ends
        finally:
            self._connections.discard(connection)
            writer.close()
            server.close()

    async def _take_requests(self, connection: _Connection, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(_PIECE_BYTES):
            self.counts.delayed += self.latency_seconds > 0
            # Taken at once and delivered when due: a delay must not become a limit of what goes
            # through.
            connection.requests.put_nowait((self._loop.time() + self.latency_seconds, data))
        connection.requests.put_nowait(None)

    async def _deliver_requests(self, connection: _Connection) -> None:
        while (request := await connection.requests.get()) is not None:
            due, data = request
            await asyncio.sleep(due - self._loop.time())
            if self._silenced is not None and self._silenced in data:
                connection.silent = True
            if self.answer_instead is not None:
                self.counts.replaced += 1
                await self._deliver(connection, connection.client, self.answer_instead)
                continue
            if not self._meets_cut(connection, data):
                await self._deliver(connection, connection.server, data)
        # A black hole does not say that the other side has left.
        if not connection.silent:
            connection.server.write_eof()

    def _meets_cut(self, connection: _Connection, request: bytes) -> bool:
        """Return whether the request is not to be delivered, because its connection was
        just reset."""
        rule = self._cut
        if rule is None:
            return False
        connection.primed = connection.primed or rule.after in request
        if not connection.primed or rule.at not in request:
            return False
        self._cut = None
        if rule.executed:
            connection.answer_is_lost = True
            return False
        self._reset(connection)
        self._cut_came.set()
        return True

    async def _pass_answers(self, connection: _Connection, answers: asyncio.StreamReader) -> None:
        while data := await answers.read(_PIECE_BYTES):
            if connection.answer_is_lost:
                self._reset(connection)
                self._cut_came.set()
                return
            whole, data = data, data[: self._answer_bytes_left(connection)]
            connection.answered_bytes += len(data)
            await self._deliver_paced(connection, data)
            if len(data) < len(whole):
                self._end(connection)
                return
        if not connection.silent:
            connection.client.write_eof()

    def _answer_bytes_left(self, connection: _Connection) -> int | None:
        if self.answer_bytes is None:
            return None
        return max(0, self.answer_bytes - connection.answered_bytes)

    async def _deliver_paced(self, connection: _Connection, data: bytes) -> None:
        while data and (pace := self.answer_pace) is not None:
            await self._deliver(connection, connection.client, data[:1])
            data = data[1:]
            await asyncio.sleep(1 / pace)
        await self._deliver(connection, connection.client, data)

    async def _deliver(
        self, connection: _Connection, to: asyncio.StreamWriter, data: bytes
    ) -> None:
        if connection.silent:
            self.counts.swallowed_bytes += len(data)
            return
        self.counts.delivered_bytes += len(data)
        to.write(data)
        await to.drain()
