"""A way out of this process that leads to one endpoint each: what keeps redirects from elsewhere.

object_store follows redirects to anywhere, chooses a proxy by host alone, and has no option
against either. So for a trusted endpoint its proxy is this one, on loopback and in the process
itself. It opens the endpoint that the client was built for and nothing else; the store sees
requests as if there were none: TLS goes through unread, and a plain request is put back from the
absolute form that proxies are sent (RFC 9112, section 3.2.2) into the usual one.
"""

import asyncio
import contextlib
import os
import re
import secrets
import threading
from base64 import b64encode
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

#: As long as the clients themselves wait for a connection.
_CONNECT_SECONDS: Final = 5
_BUFFER_BYTES: Final = 1 << 18
#: Of a request line with its headers: S3 takes no longer ones.
_HEAD_BYTES: Final = 1 << 16

_HEAD: Final = re.compile(
    rb"(?P<verb>[A-Z]+) (?P<target>[^ \r\n]+) HTTP/1\.1\r\n(?P<fields>.*)\r\n", re.S
)
_PROXY_FIELD: Final = re.compile(rb"^proxy-[a-z-]+:[^\r\n]*\r\n", re.I | re.M)
_LENGTH: Final = re.compile(rb"^content-length: *(\d+) *\r$", re.I | re.M)
_CHUNKED: Final = re.compile(rb"^transfer-encoding:", re.I | re.M)
_AUTHORIZATION: Final = re.compile(rb"^proxy-authorization: *(Basic [^\r\n]*)\r$", re.I | re.M)

#: A tunnel to elsewhere: `stocktake.storage.stores.store_errors` knows a redirect by it.
_NOT_THERE: Final = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
#: A plain request to elsewhere, likewise.
_MISDIRECTED: Final = b"HTTP/1.1 421 Misdirected Request\r\nContent-Length: 0\r\n\r\n"
_UNKNOWN: Final = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
_OPEN: Final = b"HTTP/1.1 200 OK\r\n\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Endpoint:
    tls: bool
    host: str
    port: int


def proxy_url(endpoint: str) -> str:
    """Return the proxy that leads a client to the endpoint; it runs from now on, as long as the
    process.

    Args:
        endpoint: ``scheme://host[:port][/path]``.
    """
    with _starting:
        return _relay().admit(_place(endpoint))


def failure(endpoint: str) -> OSError | None:
    """Return why this process could not connect to the endpoint at the last try; None where it
    could.

    The client itself is told no more than that the relay hung up.
    """
    return _failures.get(_place(endpoint))


def _place(endpoint: str) -> _Endpoint:
    url = urlsplit(endpoint)
    tls = url.scheme == "https"
    return _Endpoint(tls=tls, host=url.hostname or "", port=url.port or (443 if tls else 80))


#: As many as there are endpoints that the operator trusts.
_failures: dict[_Endpoint, OSError] = {}


class _Relay:
    """One a process. A client names its endpoint by a name that nobody else knows: another
    program on this machine is led nowhere, and a store not to another client's endpoint."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self._names: dict[_Endpoint, str] = {}
        self._admitted: dict[bytes, _Endpoint] = {}
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="relay", daemon=True).start()
        self._port = self._call(self._listen())

    def admit(self, endpoint: _Endpoint) -> str:
        name = self._names.get(endpoint)
        if name is None:
            name = self._names[endpoint] = secrets.token_hex(16)
            self._admitted[b"Basic " + b64encode(f"{name}:-".encode())] = endpoint
        return f"http://{name}:-@127.0.0.1:{self._port}"

    def _call(self, work: Coroutine[Any, Any, int]) -> int:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _listen(self) -> int:
        server = await asyncio.start_server(
            self._serve, "127.0.0.1", 0, limit=_BUFFER_BYTES, backlog=512
        )
        port: int = server.sockets[0].getsockname()[1]
        return port

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # What ends a connection on either side ends it on the other; the client tells why.
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            await self._answer(reader, writer)
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await _head(reader)
        sent = _AUTHORIZATION.search(head["fields"])
        endpoint = self._admitted.get(sent[1].rstrip(b" ")) if sent else None
        if endpoint is None:
            # A client that follows a plain redirect to another host leaves the name behind.
            writer.write(_UNKNOWN if head["verb"] == b"CONNECT" else _MISDIRECTED)
        elif head["verb"] == b"CONNECT":
            await _tunnel(endpoint, head, reader, writer)
        else:
            await _forward(endpoint, head, reader, writer)
        with contextlib.suppress(OSError):
            await writer.drain()


_starting = threading.Lock()
_running: _Relay | None = None


def _relay() -> _Relay:
    """Return this process's own: a forked child has neither the thread nor the loop of its
    parent."""
    global _running  # noqa: PLW0603 - one a process
    if _running is None or _running.process != os.getpid():
        _running = _Relay()
    return _running


async def _head(reader: asyncio.StreamReader) -> re.Match[bytes]:
    text = await reader.readuntil(b"\r\n\r\n")
    match = _HEAD.fullmatch(text)
    if match is None or len(text) > _HEAD_BYTES:
        raise ConnectionError("not a request that object_store sends")
    return match


async def _tunnel(
    endpoint: _Endpoint,
    head: re.Match[bytes],
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    if not endpoint.tls or not _leads_to(f"//{head['target'].decode('latin-1')}", endpoint):
        writer.write(_NOT_THERE)
        return
    there_reader, there = await _connect(endpoint)
    writer.write(_OPEN)
    with contextlib.closing(there):
        await _both(_copy(reader, there), _copy(there_reader, writer))


async def _forward(
    endpoint: _Endpoint,
    head: re.Match[bytes],
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    """Pass requests on, one after the other, from one connection of the client to one to
    the store."""
    if not _is_plainly(endpoint, head):
        writer.write(_MISDIRECTED)
        return
    there_reader, there = await _connect(endpoint)
    with contextlib.closing(there):
        await _both(
            _copy_requests(endpoint, head, reader, there, writer), _copy(there_reader, writer)
        )


async def _copy_requests(
    endpoint: _Endpoint,
    head: re.Match[bytes],
    reader: asyncio.StreamReader,
    there: asyncio.StreamWriter,
    writer: asyncio.StreamWriter,
) -> None:
    while True:
        url = urlsplit(head["target"])
        # Cut by lengths and not put together anew: the signature is for the bytes as they are.
        path = head["target"][len(url.scheme) + 3 + len(url.netloc) :] or b"/"
        fields = _PROXY_FIELD.sub(b"", head["fields"])
        there.write(b"%s %s HTTP/1.1\r\n%s\r\n" % (head["verb"], path, fields))
        length = _LENGTH.search(fields)
        if _CHUNKED.search(fields):
            raise ConnectionError("object_store says how long its bodies are")
        await _copy(reader, there, length=int(length[1]) if length else 0)
        head = await _head(reader)
        # Each request of a connection names its host anew, and a redirect may be among them.
        if not _is_plainly(endpoint, head):
            writer.write(_MISDIRECTED)
            return


def _is_plainly(endpoint: _Endpoint, head: re.Match[bytes]) -> bool:
    target = head["target"].decode("latin-1")
    return not endpoint.tls and target.startswith("http://") and _leads_to(target, endpoint)


def _leads_to(url: str, endpoint: _Endpoint) -> bool:
    try:
        found = urlsplit(url)
        port = found.port or (443 if endpoint.tls else 80)
    except ValueError:
        return False
    return (found.hostname, port) == (endpoint.host, endpoint.port)


async def _connect(endpoint: _Endpoint) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            both = await asyncio.open_connection(endpoint.host, endpoint.port, limit=_BUFFER_BYTES)
    except OSError as exc:
        _failures[endpoint] = exc
        raise
    _failures.pop(endpoint, None)
    return both


async def _both(*ways: Coroutine[Any, Any, None]) -> None:
    """Copy both ways until one ends: object_store and stores alike close a connection in both."""
    tasks = [asyncio.ensure_future(way) for way in ways]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    # each is asked how it ended, or asyncio writes to stderr that nobody did
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    for end in ends:
        if isinstance(end, Exception):
            raise end


async def _copy(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, length: int | None = None
) -> None:
    """Copy to the end, or so many bytes."""
    while length is None or length > 0:
        data = await reader.read(_BUFFER_BYTES if length is None else min(length, _BUFFER_BYTES))
        if not data:
            if length is not None:
                raise ConnectionError("the client left in the midst of a request")
            break
        writer.write(data)
        await writer.drain()
        length = None if length is None else length - len(data)
    await writer.drain()
