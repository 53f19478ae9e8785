"""HTTP/1.1 with bounds: what a stranger can make the server hold, and for how long.

uvicorn's parser takes a request head of any size, waits for it for ever, and reads on where a
request was answered before its body came (0.54: a header of 200 MB was taken into memory). Here
a head has a size, a number of headers and a time; a body has a least rate, and little beside its
data; a client that stops reading is cut off; and what was answered early is closed.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from api.errors import SECURITY_HEADERS, body_of, unavailable
from api.wire.unwanted import Unwanted
from stocktake.settings import Settings

#: Bytes of a request line and its headers; nginx takes 32 KiB, h11 16 KiB.
MAX_HEAD_BYTES: Final = 32 * 1024
MAX_HEADERS: Final = 100
#: Of each a request has one: whoever stands in front of us might have looked at the other.
_ONCE: Final = (b"authorization", b"host")
#: So many bytes beside its data may come with each byte of a body, and MAX_HEAD_BYTES more: sizes
#: and extensions of chunks, and trailers (RFC 9112, 7.1). A chunk of one byte has 5.
_FRAMING_PER_BYTE: Final = 16
#: A slow body is looked at this often.
_BODY_WINDOW_SECONDS: Final = 5.0
#: A body that was answered before it came in is thrown away until it is in, or nothing has come
#: for so long (nginx's `lingering_timeout`).
_SILENCE_SECONDS: Final = 5.0
#: How long a client has to take the last answer, and how much of what it sends is thrown away
#: meanwhile: closing at once would reset the connection, and the answer might never be seen.
_LINGER_SECONDS: Final = 2.0
_LINGER_BYTES: Final = 1024 * 1024
#: Headers of a request that a proxy passes on. What is answered before its body is in, is held back
#: until then: a proxy that is written in Go (Caddy, Traefik) lets go of the body with the answer,
#: and resets the connection of the client that still sends.
_OF_PROXIES: Final = frozenset({b"via", b"forwarded", b"x-forwarded-for"})
#: An answer that is longer than this goes out.
_HELD_BYTES: Final = 64 * 1024

_SENTENCES: Final = {
    400: ("parse_error", "The request is not valid HTTP."),
    408: ("request_timeout", "The request came too slowly."),
    431: (
        "head_too_large",
        f"The request's head, or what comes beside the data of its chunks, is larger than "
        f"{MAX_HEAD_BYTES} bytes, or it has more than {MAX_HEADERS} headers.",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeLimits:
    """What one connection may take.

    Attributes:
        head_seconds: from the connection, or from the first byte of a later request, to the end
            of the head.
        body_bytes_per_second: least rate of a body while the server waits for it; 0 is off.
        connections: open at once. One more takes the place of the one that has waited longest for
            its client; where none does, its request is answered 503.
        linger_seconds: for how long a body is thrown away whose request is answered.
        write_seconds: for how long a client may take nothing of an answer.
    """

    head_seconds: float
    body_bytes_per_second: int
    connections: int
    linger_seconds: float = 30.0
    write_seconds: float = 60.0


class _LastAnswer:
    """The transport as an answer sees it that ends the connection: it waits for the request."""

    def __init__(self, connection: "BoundedProtocol") -> None:
        self.write, self.is_closing = connection.answer, connection.transport.is_closing
        self.close = connection.close_after_request


class BoundedProtocol(HttpToolsProtocol):
    """A connection within `limits`; `protocol` makes the class of a server."""

    limits: EdgeLimits
    #: Of all connections of the process.
    unwanted: Final = Unwanted()
    #: A server's connections, those first of which nothing was asked for longest.
    by_age: Final["dict[BoundedProtocol, None]"] = {}

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start a client's connection, and the time in which it has to send a head."""
        super().connection_made(transport)
        self._in_head, self._unwanted, self._hung_up, self._last = True, False, False, False
        self._head_bytes = self._body_bytes = self._framing_bytes = self._thrown_away_bytes = 0
        self._refusal = 400
        self._holds, self._held = False, b""
        self._write_timer: asyncio.TimerHandle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._arm(self.limits.head_seconds, self._head_is_late)
        if len(self.connections) > self.limits.connections:
            self._take_a_place()
        self.by_age[self] = None

    def _take_a_place(self) -> None:
        """Hang up on a connection that waits for its client: who opens them and says nothing, or
        asks and takes no answer, would have them all."""
        waiting = (each for each in self.by_age if each.waits_for_client)
        if (other := next(waiting, None)) is not None:
            self.connections.discard(other)  # as when it is lost, which is a moment later
            other.transport.abort()

    @property
    def waits_for_client(self) -> bool:
        """Whether nothing is asked, or the answer is not taken."""
        asked_nothing: bool = self._in_head and self._idle
        return (asked_nothing or self.flow.write_paused) and not self.transport.is_closing()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the timers of a connection that is gone."""
        self._disarm()
        self.unwanted.end(self)
        self.by_age.pop(self, None)
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came; of a head, and of what frames a body, no more than the limit."""
        if self._hung_up:
            self._throw_away(len(data))
            return
        if self._in_head and self._timer is None and self._idle:
            self._arm(self.limits.head_seconds, self._head_is_late)
        while data and not self._closing:
            was_in_head, room = self._in_head, MAX_HEAD_BYTES - self._head_bytes
            # Of a head no more than it may still have: the parser would take all. What follows may
            # be a body, for which this is no limit.
            piece, data = (data[:room], data[room:]) if was_in_head else (data, b"")
            request, body_bytes = self.scope, self._body_bytes
            self._head_bytes += len(piece) if was_in_head else 0  # 0 again where one is complete
            super().data_received(piece)
            # Only of a piece that lies within one body: beside a head, nobody can tell what framed
            # what.
            if not (was_in_head or self._in_head) and self.scope is request:
                self._count_framing(len(piece), self._body_bytes - body_bytes)
            if max(self._head_bytes, self._framing_bytes) >= MAX_HEAD_BYTES and not self._closing:
                self._too_much()
            if self._unwanted:
                self._take_unwanted(len(piece))
        if not self._in_head and self._timer is None:
            self._watch_body()

    def _count_framing(self, size_bytes: int, of_body: int) -> None:
        beside = size_bytes - of_body - _FRAMING_PER_BYTE * of_body
        self._framing_bytes = max(0, self._framing_bytes + beside)

    def _too_much(self) -> None:
        if self._unwanted:
            self.hang_up()
        else:
            self._refuse(431)

    @property
    def _idle(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        return cycle is None or cycle.response_complete

    @property
    def _closing(self) -> bool:
        return self._hung_up or self.transport.is_closing()

    # --- what the parser finds ------------------------------------------------------------

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; one too many ends the request. A trailer is none, and is dropped."""
        if not self._in_head:
            return
        super().on_header(name, value)
        if len(self.headers) > MAX_HEADERS:
            self._refusal = 431
            raise ValueError("too many headers")  # the parser makes an error of its own of it

    def on_headers_complete(self) -> None:
        """Take the complete head; one that can be read in two ways ends the request."""
        names, version = [name for name, _ in self.headers], self.parser.get_http_version()
        twice = any(names.count(name) > 1 for name in _ONCE)
        # RFC 9112, 3.2; and the parser takes 0.9, which has no head.
        if twice or version not in ("1.0", "1.1") or (version == "1.1" and b"host" not in names):
            raise ValueError("ambiguous head")  # as above
        self._disarm()
        self._in_head = False
        self._head_bytes = self._body_bytes = self._framing_bytes = 0
        # The youngest again, as something was asked for now.
        self.by_age.pop(self, None)
        self.by_age[self] = None
        busy = len(self.connections) > self.limits.connections
        self.app = _busy if busy else self.config.loaded_app
        super().on_headers_complete()
        self.cycle.transport = _LastAnswer(self)  # type: ignore[assignment]
        self._holds = not _OF_PROXIES.isdisjoint(names)

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that the request is complete; the next thing is another one's head."""
        self._disarm()
        self._in_head = True
        super().on_message_complete()
        self._let_go()
        if self._unwanted:
            self._unwanted = False
            self.unwanted.end(self)
            if self._last:
                self.transport.close()
            super().on_response_complete()

    def on_response_complete(self) -> None:
        """Take what is missing of the answered request, and throw it away."""
        if self._in_head or self.pipeline or self._closing:
            super().on_response_complete()
            return
        self._unwanted, self._framing_bytes = True, 0
        self._unwanted_until = self.loop.time() + self.limits.linger_seconds
        self.unwanted.begin(self)
        self.flow.resume_reading()
        self._watch_unwanted()

    def close_after_request(self) -> None:
        """End the connection as soon as the request is in that was answered."""
        self._last = True
        if self._in_head or self.pipeline or not self.cycle.response_complete:
            self.transport.close()

    def answer(self, data: bytes) -> None:
        """Write a part of an answer: at once, or when the request of a proxy is in."""
        # A client that was told to wait for a 100 sends no body before it is answered.
        if not self._holds or self._in_head or self.cycle.waiting_for_100_continue:
            self.transport.write(data)
            return
        self._held += data
        if len(self._held) > _HELD_BYTES:
            self._let_go()

    def _let_go(self) -> None:
        held, self._held, self._holds = self._held, b"", False
        if held:
            self.transport.write(held)

    def _take_unwanted(self, size_bytes: int) -> None:
        self._thrown_away_bytes += size_bytes
        wait_seconds = self.unwanted.throw_away(size_bytes, self.loop.time())
        if wait_seconds > 0 and not self._closing:
            self.flow.pause_reading()
            self.loop.call_later(wait_seconds, self.flow.resume_reading)

    def _watch_unwanted(self) -> None:
        left = self._unwanted_until - self.loop.time()
        wait = min(left, _SILENCE_SECONDS)
        self._arm(wait, self._look_at_unwanted, self._thrown_away_bytes)

    def _look_at_unwanted(self, bytes_before: int) -> None:
        late = self.loop.time() >= self._unwanted_until
        if late or (self._thrown_away_bytes == bytes_before and not self.flow.read_paused):
            self.hang_up()
        else:
            self._watch_unwanted()

    def hang_up(self) -> None:
        """Say that nothing more is coming, and give the client a moment to take what was said."""
        self.unwanted.end(self)
        self._hung_up, self._thrown_away_bytes = True, 0
        self._let_go()
        self.transport.write_eof()
        self.flow.resume_reading()  # else the end of the connection would not be seen
        self._arm(_LINGER_SECONDS, self.transport.abort)

    def _throw_away(self, size_bytes: int) -> None:
        self._thrown_away_bytes += size_bytes
        if self._thrown_away_bytes > _LINGER_BYTES:
            self.transport.abort()

    # --- time -----------------------------------------------------------------------------

    def _arm(self, seconds: float, act: Callable[..., None], *arguments: Any) -> None:
        self._disarm()
        self._timer = self.loop.call_later(seconds, act, *arguments)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _head_is_late(self) -> None:
        if self._head_bytes:
            self._refuse(408)
        else:
            self.transport.close()

    def _watch_body(self) -> None:
        if self.limits.body_bytes_per_second:
            self._arm(_BODY_WINDOW_SECONDS, self._look_at_body, self._body_bytes)

    def _look_at_body(self, bytes_before: int) -> None:
        # What waits here unread, or is held back, waits for us and not for the client.
        ours = self.flow.read_paused or self.cycle.body
        wanted = self.limits.body_bytes_per_second * _BODY_WINDOW_SECONDS
        if ours or self._body_bytes - bytes_before >= wanted:
            self._watch_body()
            return
        self._refuse(408)

    def pause_writing(self) -> None:
        """Note that the client has not taken what was sent."""
        super().pause_writing()
        self._write_timer = self.loop.call_later(self.limits.write_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """Note that the client reads on."""
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
        super().resume_writing()

    # --- refusing -------------------------------------------------------------------------

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser does not take, in our form."""
        self._refuse(self._refusal)

    def _refuse(self, status: int) -> None:
        """Answer, and close; for the app the client is gone."""
        if not self._idle:
            # A second answer would be read as a part of the first.
            if self.cycle.response_started:
                self.transport.abort()
                return
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        code, sentence = _SENTENCES[status]
        body = json.dumps(body_of("invalid_request", code, sentence)).encode()
        headers = SECURITY_HEADERS | {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "Connection": "close",
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.transport.write(STATUS_LINE[status] + lines.encode("ascii") + b"\r\n" + body)
        self.hang_up()


async def _busy(scope: Scope, receive: Receive, send: Send) -> None:
    answer = unavailable()
    answer.headers.update(SECURITY_HEADERS | {"Connection": "close"})
    await answer(scope, receive, send)


def protocol(settings: Settings) -> type[BoundedProtocol]:
    """Return the class of connections within the settings' limits, as uvicorn wants it."""
    limits = EdgeLimits(
        head_seconds=settings.request_head_seconds,
        body_bytes_per_second=settings.request_min_bytes_per_second,
        connections=settings.max_connections,
        linger_seconds=settings.request_linger_seconds,
    )
    return type("BoundedProtocol", (BoundedProtocol,), {"limits": limits, "by_age": {}})
