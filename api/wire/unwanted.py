"""What it may cost a process to throw away bodies whose requests are answered.

Most clients read no answer before they have sent all of a body, and one that is cut off while it
sends never sees what it was told. So the rest is taken, within bounds: the time of one connection
is the protocol's, how many there are and how fast they go is here.
"""

from typing import Final, Protocol

#: So many connections of a process at once ...
_CONNECTIONS: Final = 64
#: ... and of all of them so many bytes a second.
_BYTES_PER_SECOND: Final = 128 * 1024 * 1024
#: What came within so long is read at once, and not in pieces of a millisecond.
_BURST_SECONDS: Final = 0.1


class Connection(Protocol):
    """Whose body it is."""

    def hang_up(self) -> None:
        """End it; it calls `Unwanted.end`."""


class Unwanted:
    """The connections of a process whose bodies are thrown away, and what that may cost.

    Args:
        connections: at most so many at once; one more ends the one that has been at it longest.
        bytes_per_second: of all together.
    """

    def __init__(
        self,
        connections: int = _CONNECTIONS,
        bytes_per_second: float = _BYTES_PER_SECOND,
    ) -> None:
        self._most = connections
        self._rate = bytes_per_second
        self._oldest_first: dict[Connection, None] = {}
        self._spent_until = 0.0

    def begin(self, connection: Connection) -> None:
        """Take one in; where there is no room, the oldest is hung up on."""
        while len(self._oldest_first) >= self._most:
            next(iter(self._oldest_first)).hang_up()
        self._oldest_first[connection] = None

    def end(self, connection: Connection) -> None:
        """Forget one, if it is one."""
        self._oldest_first.pop(connection, None)

    def throw_away(self, size_bytes: int, now_seconds: float) -> float:
        """Count bytes; give the seconds until more may be read."""
        self._spent_until = max(self._spent_until, now_seconds) + size_bytes / self._rate
        return max(0.0, self._spent_until - now_seconds - _BURST_SECONDS)
