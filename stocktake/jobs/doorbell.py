"""The doorbell: how a committed job row tells the workers that it is there."""

from typing import Protocol

from stocktake.db.session import Ring


class Doorbell(Protocol):
    """Publishes messages that carry a job's id and nothing else.

    A lost, doubled or late message is harmless: the row is the truth and the clock rings again.
    """

    def ring(self, ring: Ring) -> None:
        """Take the ring and return at once; drop it where it cannot be delivered soon."""
        ...

    def close(self) -> None:
        """Stop, giving what is still queued a moment to leave."""
        ...
