"""A client that says what it likes: bytes to a server, and what comes back of it."""

import json
import select
import socket
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from servers.process import PATIENCE_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class RawAnswer:
    """One answer as it came.

    Attributes:
        headers: by their lower-case names.
    """

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(slots=True)
class Raw:
    """One connection."""

    port: int
    _connection: socket.socket = field(init=False)
    _buffer: bytes = field(init=False, default=b"")
    #: How much of what was offered the other side's machine took.
    sent_bytes: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._connection = socket.create_connection(("127.0.0.1", self.port), PATIENCE_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()

    def send(self, data: bytes) -> Self:
        self._connection.sendall(data)
        self.sent_bytes += len(data)
        return self

    def silent(self, seconds: float = 0.2) -> bool:
        """Whether nothing comes for so long."""
        return not select.select([self._connection], [], [], seconds)[0]

    def pour(self, piece: bytes, most_bytes: int) -> Self:
        """Send the piece over and over, until the server hangs up or so much is sent."""
        while self.sent_bytes < most_bytes:
            try:
                self.send(piece)
            except OSError:
                break
        return self

    def closed(self) -> bool:
        """Whether the server ends the connection, with nothing more to say."""
        try:
            return not self._buffer and self._connection.recv(1) == b""
        except ConnectionResetError:
            return True

    def answer(self) -> RawAnswer:
        """The next answer."""
        while b"\r\n\r\n" not in self._buffer:
            self._receive()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }
        length = int(headers.get("content-length", "0"))
        while len(self._buffer) < length:
            self._receive()
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return RawAnswer(status=int(status.split()[1]), headers=headers, body=body)

    def _receive(self) -> None:
        data = self._connection.recv(65536)
        assert data, f"the server hung up; of an answer it had sent {self._buffer!r}"
        self._buffer += data
