"""PostgreSQL connections that wait for each answer for a bounded time."""

import time
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg.errors import ConnectionTimeout, _WaitTimeout

#: After an answer that did not come, nobody else asks for so long: a hundred requests that had to
#: find out for themselves, a few at a time, would be answered minutes later.
_LEFT_ALONE_SECONDS: Final = 2.0


@dataclass(slots=True)
class Patience:
    """How long one process waits for its PostgreSQL, and whether that was in vain lately.

    libpq waits without an end, and the kernel of a server whose processes stand still (SIGSTOP, a
    disk that hangs) goes on acknowledging, so no option of TCP notices it.

    Attributes:
        seconds: for one answer; those to COMMIT and to a statement that waits for a lock count.
    """

    seconds: float
    _left_alone_until: float = 0.0

    def connect(self, *arguments: Any, **options: Any) -> "PatientConnection":
        """Make a connection.

        Raises:
            psycopg.OperationalError: it could not be made, or the server gave no answer lately.
        """
        if time.monotonic() < self._left_alone_until:
            raise psycopg.OperationalError("timeout expired: no answer came a moment ago")
        try:
            connection = PatientConnection.connect(*arguments, **options)
        except ConnectionTimeout:
            self.end_in_vain()
            raise
        connection.patience = self
        return connection

    def end_in_vain(self) -> None:
        """Note that an answer did not come."""
        self._left_alone_until = time.monotonic() + _LEFT_ALONE_SECONDS


class PatientConnection(psycopg.Connection[Any]):
    """Is closed where the server gives no answer in time."""

    patience: Patience | None = None

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait for one answer.

        Raises:
            psycopg.OperationalError: there was none in time; whether the statement was carried out
                is not known.
        """
        # Who names a bound of its own has it, as `notifies()` does.
        if timeout is not None or self.patience is None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, self.patience.seconds)
        except _WaitTimeout:
            self.pgconn.finish()  # what it says yet would be taken for the next answer
            self.patience.end_in_vain()
            raise psycopg.OperationalError(
                f"timeout expired: no answer within {self.patience.seconds:g} s"
            ) from None
